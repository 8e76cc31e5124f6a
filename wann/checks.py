"""Errors that say what was wanted, what came and what to do, in one line each."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" for the known name most like `name`, or "" when none is near."""
    matches = difflib.get_close_matches(name, list(known), n=1)
    if not matches:
        lowered = {each.lower(): each for each in known}
        matches = [lowered[name.lower()]] if name.lower() in lowered else []
    return f"; did you mean {matches[0]!r}?" if matches else ""


def unknown(kind: str, name: str, known: Iterable[str], hint: str = "") -> ValueError:
    """Return the error for a name that is not among the known ones, with the nearest match.

    kind: what the name stands for, as in "no task 'X'". hint: where to see all names.
    """
    near = nearest(name, list(known))
    return ValueError(f"no {kind} {name!r}{near}{f' ({hint})' if hint else ''}")


def number_in(name: str, value: object, low: float, high: float = math.inf) -> float:
    """Return `value` when it is a finite number in [low, high].

    Raises ValueError when it is not, TypeError when it is no number at all.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number, but {value!r} was given")
    # not math.isfinite, which fails on an int of 400 digits
    if not abs(value) < math.inf or not low <= value <= high:
        raise ValueError(f"{name} must be {_interval(low, high)}, but {value!r} was given")
    return value


def whole_number_in(name: str, value: object, low: int, high: float = math.inf) -> int:
    """Return `value` when it is a whole number in [low, high].

    Raises ValueError when it is out of range, TypeError when it is not an int.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number, but {value!r} was given")
    number_in(name, value, low, high)
    return value


def _interval(low: float, high: float) -> str:
    return f"at least {low:,}" if high == math.inf else f"between {low:,} and {high:,}"
