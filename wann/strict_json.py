"""JSON from anywhere: read within bounds and without surprises, or refused in one line."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

MAX_MEMORY = 90_000_000  # bytes that reading may take at most
MAX_BYTES = MAX_MEMORY // 4
MAX_DIGITS = 400  # of one number; the longest float64 written out has 309 before the point
MAX_DEPTH = 16  # levels of values inside values


def parse_json(data: bytes) -> Any:
    """Return the value that UTF-8 `data` spells: dicts, lists, strings, numbers, booleans, None.

    Raises ValueError for anything else, for keys given twice, for numbers that are not finite or
    absurdly long, for nesting that would exhaust the stack, and for what would take more memory
    than MAX_MEMORY.
    """
    needed = _memory_needed(data)
    if needed > MAX_MEMORY:
        limit = f"{MAX_MEMORY // 1_000_000} MB"
        raise ValueError(f"reading it may take {needed // 1_000_000} MB, but {limit} are allowed")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"it must be UTF-8 text, but byte {error.start} is not") from None
    if not text.strip():
        raise ValueError("it is empty")
    try:
        return json.loads(
            text,
            parse_float=_finite_float,
            parse_int=_whole_number,
            parse_constant=_refuse_constant,
            object_pairs_hook=_unique_keys,
        )
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"it is not JSON: {error.msg} at {where}") from None
    except RecursionError:
        raise ValueError("it is not usable: its values are nested too deeply") from None


def _memory_needed(data: bytes) -> int:
    """Return an upper estimate of the bytes that the parsed value takes, from a few counts."""
    a_character = 1 if data.isascii() and b"\\u" not in data else 4
    text = len(data) * (1 + 3 * a_character)  # itself, decoded, as strings, and as JSON again
    return (
        text
        + 96 * (data.count(b"[") + data.count(b"{"))
        + 64 * data.count(b",")
        + 200 * data.count(b":")
    )


def _finite_float(text: str) -> float:
    value = float(text) if len(text) <= MAX_DIGITS else math.inf
    if not math.isfinite(value):
        raise ValueError(f"numbers must be finite float64, but {text[:20]!r} is not")
    return value


def _whole_number(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"numbers may have {MAX_DIGITS} digits, but one has {len(text):,}")
    return int(text)


def _refuse_constant(text: str) -> float:
    raise ValueError(f"numbers must be finite, but it holds {text}")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for key, value in pairs:
        if key in content:
            raise ValueError(f"the key {shown(key)} is given twice")
        content[key] = value
    return content


def check_plain(name: str, value: object) -> None:
    """Raise ValueError when JSON cannot hold `value`, or only more than MAX_DEPTH levels deep.

    name: what the value is called in the error.
    """
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH + 1):
        containers = [each for each in level if isinstance(each, dict | list | tuple)]
        level = [
            inner
            for each in containers
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
    if level:
        raise ValueError(f"{name} must not be nested deeper than {MAX_DEPTH} levels")
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be plain JSON with finite numbers: {error}") from None


def typed(content: dict[str, Any], key: str, kind: type, where: str = "") -> Any:
    """Return `content[key]`, an object of exactly this kind, so that no boolean is a number.

    where: what stands before the key in an error. Raises ValueError.
    """
    if key not in content:
        raise ValueError(f"{where}{key!r} is missing")
    if type(content[key]) is not kind:
        wanted = _JSON_NAMES[kind]
        raise ValueError(f"{where}{key!r} must be {wanted}, but it is {shown(content[key])}")
    return content[key]


_JSON_NAMES = {str: "a string", int: "a whole number", list: "a list", dict: "an object"}


def first_not(kind: type, values: Sequence[object]) -> int | None:
    """Return the index of the first value that is not exactly of `kind`; None when all are."""
    if set(map(type, values)) <= {kind}:
        return None
    return next(index for index, value in enumerate(values) if type(value) is not kind)


def shown(value: object) -> str:
    """Return a value as an error shows it: short, and on one line."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = repr(value[:40] if isinstance(value, str) else value)
    return text if len(text) <= 40 else f"{text[:37]}..."
