"""Ctrl+C and SIGTERM as exceptions, where there is something to save or to clean up."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(KeyboardInterrupt):
    """SIGTERM came; it ends a run as Ctrl+C does."""


@contextmanager
def stoppable() -> Iterator[None]:
    """Let Ctrl+C raise KeyboardInterrupt in here and SIGTERM `Terminated`.

    A signal that the parent process has switched off stays off.
    """
    handlers = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: _terminate}
    previous = {
        number: signal.signal(number, handler)
        for number, handler in handlers.items()
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated
