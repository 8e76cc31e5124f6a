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
from wann.config import SearchConfig, check_keys, preset_named, search_config
from wann.network import CONTROL_RULES
from wann.tasks.faults import text_of

MAX_CARD_BYTES = 1 << 20
MAX_STEPS = 10_000_000  # more than any episode that could be evaluated
LARGEST_NUMBER = 1e300
ARGUMENTS_OF_MAKE = ("id", "max_episode_steps", "disable_env_checker", "render_mode")


@dataclass(frozen=True, eq=False)
class Card:
    """A task as its file describes it; what a field leaves empty follows from the environment.

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
        _check_search(self)

    def table(self) -> dict[str, Any]:
        """Return what the card's file says; `card_of_table` makes an equal card of it."""
        table = {each.name: getattr(self, each.name) for each in fields(self)}
        del table["source"]
        table["preset"] = {name: dict(values) for name, values in table.pop("presets").items()}
        empty = (None, "", (), {})
        return {key: value for key, value in table.items() if value not in empty}

    @property
    def where(self) -> str:
        """What messages call this card: its file or, without one, its task."""
        return f"card {self.source!r}" if self.source else f"task {self.task!r}"


_TEXTS = ("task", "environment", "action", "note")
_LISTS_OF_TEXTS = ("wrappers", "inputs", "outputs")
_LISTS_OF_NUMBERS = ("scale", "offset")
_TABLES = ("arguments", "search", "presets")


def _check_names(card: Card) -> None:
    for name in _TEXTS:
        value = getattr(card, name)
        if not isinstance(value, str) or not value.isprintable():
            raise TypeError(f"{name} must be one line of text, but {value!r} was given")
    for name in ("task", "environment"):
        value = getattr(card, name)
        module, colon, environment_id = value.rpartition(":")
        is_named = environment_id and ":" not in module and bool(module) == bool(colon)
        if value != value.strip() or not is_named:
            raise ValueError(f"{name} must be an id or 'module:Id-v0', but {value!r} was given")
    if not (card.task[0].isalnum() or card.task[0] == "_"):  # it begins the names of run folders
        raise ValueError(f"task must begin with a letter or a digit, but {card.task!r} was given")
    for name in _LISTS_OF_TEXTS:
        for value in _listed(card, name):
            if not isinstance(value, str) or not value or not value.isprintable():
                raise TypeError(f"{name} must be a list of names, but holds {value!r}")
    for value in card.wrappers:
        if value.count(":") != 1 or not all(value.split(":")):
            raise ValueError(f"wrappers must be written 'module:Class', but {value!r} was given")
    if card.action and card.action not in CONTROL_RULES:
        raise unknown("action rule", card.action, CONTROL_RULES, ", ".join(CONTROL_RULES))


def _check_numbers(card: Card) -> None:
    for name in _LISTS_OF_NUMBERS:
        for index, value in enumerate(_listed(card, name)):
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


def _listed(card: Card, name: str) -> tuple[Any, ...]:
    """Return the card's list of this name, which is a tuple from now on."""
    value = getattr(card, name)
    if not isinstance(value, list | tuple):
        raise TypeError(f"{name} must be a list, but {value!r} was given")
    object.__setattr__(card, name, tuple(value))
    return tuple(value)


def _check_arguments(card: Card) -> None:
    for name in _TABLES:
        value = getattr(card, name)
        if not isinstance(value, Mapping):
            raise TypeError(f"{name} must be a table, but {value!r} was given")
    for name in ARGUMENTS_OF_MAKE:
        if name in card.arguments:
            instead = "; write max_steps in the card" if name == "max_episode_steps" else ""
            raise ValueError(f"arguments must be the environment's own, not {name!r}{instead}")


def _check_search(card: Card) -> None:
    """Raise when [search] or a preset's table does not make a valid `SearchConfig`."""
    known = [each.name for each in fields(SearchConfig) if each.name != "task"]
    check_keys(card.search, known, "[search]")
    search_config([("[search]", card.search)])
    for name, values in card.presets.items():
        table = f"[preset.{name}]"
        preset = preset_named(name)
        if not isinstance(values, Mapping):
            raise TypeError(f"{table} must be a table, but {values!r} was given")
        check_keys(values, known, table)
        search_config([("[search]", card.search), (name, preset), (table, values)])


def read_card(path: str | Path) -> Card:
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


def card_of_table(table: Mapping[str, Any], source: str) -> Card:
    """Return the card that a parsed file's table describes.

    source: the file, for messages. Raises ValueError or TypeError that names the wrong key.
    """
    keys = ["preset" if each.name == "presets" else each.name for each in fields(Card)]
    keys.remove("source")
    for key in table:
        if key not in keys:
            raise ValueError(f"unknown key {key!r}{nearest(key, keys)}")
    if "task" not in table:
        raise ValueError("key 'task', the task's name, is missing")
    values = dict(table)
    if "preset" in values:
        values["presets"] = values.pop("preset")
    return Card(**values, source=source)


@functools.cache
def shipped_cards() -> Mapping[str, Card]:
    """Return the cards that come with the package, by task, in order of their names."""
    folder = importlib.resources.files("wann_envs") / "cards"
    with importlib.resources.as_file(folder) as path:
        cards = [read_card(each) for each in sorted(path.glob("*.toml"))]
    return {card.task: card for card in cards}
