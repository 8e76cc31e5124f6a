"""What the cards of all kinds of tasks have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from wann.config import SearchConfig, check_keys, preset_named, search_config

EMPTY = (None, "", (), {})  # what a card's table leaves out


class TaskCard:
    """A task as its file describes it, whatever kind it is.

    task: the name that commands, runs and network files use.
    note: one line for people.
    search: values of `SearchConfig` fields that this task wants instead of the defaults.
    presets: by name of the preset, values that go over the preset's own.
    source: the file this comes from, for messages.
    """

    task: str
    note: str
    search: Mapping[str, Any]
    presets: Mapping[str, Mapping[str, Any]]
    source: str

    def table(self) -> dict[str, Any]:
        """Return what the card's file says; `card_of_table` makes an equal card of it."""
        table = {each.name: getattr(self, each.name) for each in fields(self)}  # type: ignore[arg-type]
        del table["source"]
        table["preset"] = {name: dict(values) for name, values in table.pop("presets").items()}
        return {key: value for key, value in table.items() if value not in EMPTY}

    @property
    def where(self) -> str:
        """What messages call this card: its file or, without one, its task."""
        return f"card {self.source!r}" if self.source else f"task {self.task!r}"


def check_texts(card: TaskCard, names: tuple[str, ...]) -> None:
    """Raise TypeError when one of these fields is not a line of text."""
    for name in names:
        value = getattr(card, name)
        if not isinstance(value, str) or not value.isprintable():
            raise TypeError(f"{name} must be one line of text, but {value!r} was given")


def check_task_name(card: TaskCard) -> None:
    """Raise ValueError when the task's name cannot begin the names of run folders."""
    if not (card.task[:1].isalnum() or card.task[:1] == "_"):
        raise ValueError(f"task must begin with a letter or a digit, but {card.task!r} was given")


def listed(card: object, name: str) -> tuple[Any, ...]:
    """Return the list of this name, which is a tuple from now on; TypeError when it is none."""
    value = getattr(card, name)
    if not isinstance(value, list | tuple):
        raise TypeError(f"{name} must be a list, but {value!r} was given")
    object.__setattr__(card, name, tuple(value))
    return tuple(value)


def check_names(card: object, names: tuple[str, ...]) -> None:
    """Raise TypeError when one of these fields is not a list of names."""
    for name in names:
        for value in listed(card, name):
            if not isinstance(value, str) or not value or not value.isprintable():
                raise TypeError(f"{name} must be a list of names, but holds {value!r}")


def check_tables(card: TaskCard, names: tuple[str, ...]) -> None:
    """Raise TypeError when one of these fields is no table."""
    for name in names:
        value = getattr(card, name)
        if not isinstance(value, Mapping):
            raise TypeError(f"{name} must be a table, but {value!r} was given")


def check_search(card: TaskCard) -> None:
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
