"""Cards: a task as a few lines of TOML. See docs/tasks.md for every key."""

from __future__ import annotations

import functools
import importlib.resources
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from wann.checks import nearest, number_in, unknown, whole_number_in
from wann.network import CONTROL_RULES
from wann.tasks.faults import text_of
from wann.tasks.image_card import ImageCard
from wann.tasks.task_card import (
    TaskCard,
    check_names,
    check_search,
    check_tables,
    check_task_name,
    check_texts,
    listed,
)

MAX_CARD_BYTES = 1 << 20
MAX_STEPS = 10_000_000  # more than any episode that could be evaluated
LARGEST_NUMBER = 1e300
ARGUMENTS_OF_MAKE = ("id", "max_episode_steps", "disable_env_checker", "render_mode")


@dataclass(frozen=True, eq=False)
class Card(TaskCard):
    """A Gymnasium task as its file describes it; what is left empty follows from the environment.

    task: the name that commands, runs and network files use.
    environment: Gymnasium id or "module:Id-v0"; the task's name when empty.
    arguments: keyword arguments of `gymnasium.make`.
    wrappers: "module:Class" of each wrapper, the innermost first.
    action: the rule that turns outputs into an action; empty for the space's default.
    inputs, outputs: names for pictures, one for each.
    scale, offset: a network's input is (observation - offset) / scale; one number for each input.
    max_steps: where an episode is cut; None for the environment's own limit.
    reuse_environment: whether one environment may play many episodes, because its reset leaves
        nothing of the one before; None for what is known of it. A new one each time is safe, but
        takes as long as making it does.
    solved: the mean return that counts as solved; None for the environment's own, if it has one.
    note: one line for people.
    search: values of `SearchConfig` fields that this task wants instead of the defaults.
    presets: by name of the preset, values that go over the preset's own.
    source: the file this comes from, for messages.
    Raises ValueError or TypeError that names the key for a wrong value.
    """

    task: str
    environment: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    wrappers: tuple[str, ...] = ()
    action: str = ""
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    scale: tuple[float, ...] = ()
    offset: tuple[float, ...] = ()
    max_steps: int | None = None
    reuse_environment: bool | None = None
    solved: float | None = None
    note: str = ""
    search: Mapping[str, Any] = field(default_factory=dict)
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    source: str = ""

    def __post_init__(self) -> None:
        if not self.environment:
            object.__setattr__(self, "environment", self.task)
        _check_names(self)
        _check_numbers(self)
        _check_arguments(self)
        check_search(self)


_TEXTS = ("task", "environment", "action", "note")
_LISTS_OF_TEXTS = ("wrappers", "inputs", "outputs")
_LISTS_OF_NUMBERS = ("scale", "offset")
_TABLES = ("arguments", "search", "presets")


def _check_names(card: Card) -> None:
    check_texts(card, _TEXTS)
    for name in ("task", "environment"):
        value = getattr(card, name)
        module, colon, environment_id = value.rpartition(":")
        is_named = environment_id and ":" not in module and bool(module) == bool(colon)
        if value != value.strip() or not is_named:
            raise ValueError(f"{name} must be an id or 'module:Id-v0', but {value!r} was given")
    check_task_name(card)
    check_names(card, _LISTS_OF_TEXTS)
    for value in card.wrappers:
        if value.count(":") != 1 or not all(value.split(":")):
            raise ValueError(f"wrappers must be written 'module:Class', but {value!r} was given")
    if card.action and card.action not in CONTROL_RULES:
        raise unknown("action rule", card.action, CONTROL_RULES, ", ".join(CONTROL_RULES))


def _check_numbers(card: Card) -> None:
    for name in _LISTS_OF_NUMBERS:
        for index, value in enumerate(listed(card, name)):
            number_in(f"{name}[{index}]", value, -LARGEST_NUMBER, LARGEST_NUMBER)
            if name == "scale" and value == 0:
                raise ValueError(f"scale[{index}] divides an observation and must not be 0")
    if card.max_steps is not None:
        whole_number_in("max_steps", card.max_steps, 1, MAX_STEPS)
    given = card.reuse_environment
    if given is not None and not isinstance(given, bool):
        raise TypeError(f"reuse_environment must be true or false, but {given!r} was given")
    if card.solved is not None:
        number_in("solved", card.solved, -LARGEST_NUMBER, LARGEST_NUMBER)


def _check_arguments(card: Card) -> None:
    check_tables(card, _TABLES)
    for name in ARGUMENTS_OF_MAKE:
        if name in card.arguments:
            instead = "; write max_steps in the card" if name == "max_episode_steps" else ""
            raise ValueError(f"arguments must be the environment's own, not {name!r}{instead}")


def read_card(path: str | Path) -> Card | ImageCard:
    """Return the card in a TOML file.

    Raises ValueError of one line that names the file and what is wrong in it: not there, not TOML,
    an unknown key (with the nearest known one), a wrong type, a value out of its range.
    """
    where = f"card {str(path)!r}"
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_CARD_BYTES + 1)
        if len(content) > MAX_CARD_BYTES:
            raise ValueError(f"a card has at most {MAX_CARD_BYTES:,} bytes, but this has more")
        return card_of_table(tomllib.loads(content.decode()), str(path))
    except OSError as error:
        raise ValueError(f"{where} cannot be read: {error.strerror}") from None
    except RecursionError:
        raise ValueError(f"{where}: its tables are nested too deeply") from None
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"{where}: {text_of(error)}") from None


def card_of_table(table: Mapping[str, Any], source: str) -> Card | ImageCard:
    """Return the card that a parsed file's table describes: one of images if it has [images].

    source: the file, for messages. Raises ValueError or TypeError that names the wrong key.
    """
    kind = ImageCard if "images" in table else Card
    keys = ["preset" if each.name == "presets" else each.name for each in fields(kind)]
    keys.remove("source")
    others = [each.name for each in fields(Card)] if kind is ImageCard else []
    for key in table:
        if key in keys:
            continue
        if key in others:
            raise ValueError(f"key {key!r} is for Gymnasium tasks, not for one with [images]")
        raise ValueError(f"unknown key {key!r}{nearest(key, [*keys, 'images'])}")
    if "task" not in table:
        raise ValueError("key 'task', the task's name, is missing")
    values = dict(table)
    if "preset" in values:
        values["presets"] = values.pop("preset")
    return kind(**values, source=source)


@functools.cache
def shipped_cards() -> Mapping[str, Card | ImageCard]:
    """Return the cards that come with the package, by task, in order of their names."""
    folder = importlib.resources.files("wann_envs") / "cards"
    with importlib.resources.as_file(folder) as path:
        cards = [read_card(each) for each in sorted(path.glob("*.toml"))]
    return {card.task: card for card in cards}
