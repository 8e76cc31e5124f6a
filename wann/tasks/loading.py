"""Tasks by what a user calls them: a card that ships, a Gymnasium id, the path of a card."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from wann.tasks.card import Card, read_card, shipped_cards
from wann.tasks.control import ControlTask, control_task
from wann.tasks.environment import resolve_spec
from wann.tasks.image_card import ImageCard
from wann.tasks.images import ImageTask, image_task

AnyTask: TypeAlias = ControlTask | ImageTask
AnyCard: TypeAlias = Card | ImageCard


def load_task(name_or_path: str | Path, data_dir: str = "") -> AnyTask:
    """Return the task of this name, or of the card in this TOML file.

    name_or_path: a task with a card that ships, any Gymnasium id, "module:Id-v0", or a path (every
        `Path`, and every text that ends in .toml). An id without a version means the newest.
    data_dir: where the files of image tasks are looked for first.
    Raises ValueError, with the nearest name, for an unknown task, a wrong card, an environment
    whose spaces no network can use, or images that are missing or cannot be used;
    MissingDependency for one whose packages are not installed; EnvironmentFault for one that fails
    while it is made.
    """
    return task_of(card_of(name_or_path), data_dir)


def load_control_task(name_or_path: str | Path) -> ControlTask:
    """Return the task of this name or card, which must be one that is played.

    Raises as `load_task` does, and ValueError for a task of images.
    """
    return played_task(card_of(name_or_path))


def played_task(card: AnyCard) -> ControlTask:
    """Return the control task that a card describes. Raises ValueError for one of images."""
    if isinstance(card, ImageCard):
        raise ValueError(f"a task with an environment is wanted, but {card.task!r} is of images")
    return control_task(card)


def card_of(name_or_path: str | Path) -> AnyCard:
    """Return the card of the task that `load_task` would load, without loading it.

    Raises ValueError, with the nearest name, for an unknown task or a wrong card.
    """
    if isinstance(name_or_path, Path) or name_or_path.endswith(".toml"):
        return read_card(name_or_path)
    return _card_named(name_or_path)


def task_of(card: AnyCard, data_dir: str = "") -> AnyTask:
    """Return the task that a card describes. Raises as `load_task` does."""
    return image_task(card, data_dir) if isinstance(card, ImageCard) else control_task(card)


def _card_named(name: str) -> AnyCard:
    """Return the card that ships for this task, or else one that says no more than its id."""
    by_name = {each: card for card in shipped_cards().values() for each in _names(card)}
    if name in by_name:
        return by_name[name]
    spec = resolve_spec(name)
    module, colon, _ = name.rpartition(":")
    resolved = f"{module}{colon}{spec.id}"
    return by_name.get(resolved) or Card(resolved, environment=name)


def _names(card: AnyCard) -> tuple[str, ...]:
    return (card.task,) if isinstance(card, ImageCard) else (card.task, card.environment)
