"""What can go wrong with somebody else's environment, as errors of one line."""

from __future__ import annotations

MAX_ERROR_TEXT = 300  # characters of a foreign error that are shown


class MissingDependency(ImportError):
    """A package that an environment needs is not installed; the text says how to install it."""


class EnvironmentFault(RuntimeError):
    """An environment did what none may do; the text names it, the seed, the step and the fault."""


def describe(error: BaseException) -> str:
    """Return a foreign error's type and text on one line, cut to a readable length."""
    text = text_of(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def text_of(error: BaseException) -> str:
    """Return an error's text on one line, cut to a readable length."""
    text = " ".join(str(error).split())
    return text if len(text) <= MAX_ERROR_TEXT else text[:MAX_ERROR_TEXT] + "..."
