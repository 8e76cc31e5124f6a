"""The entry points of `wann` and `wann-search`.

Only what Python has loaded anyway is imported up here: a signal that comes while the rest is being
loaded must end the process as quietly as one that comes later.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def main(argv: Sequence[str] | None = None) -> int:
    """Return the exit code of `wann COMMAND ...`, by default of the process's command line."""
    if argv is None:
        return _as_process(main)
    from wann.cli.commands import run_wann

    return run_wann(argv)


def search(argv: Sequence[str] | None = None) -> int:
    """Return the exit code of `wann-search ...`, by default of the process's command line."""
    if argv is None:
        return _as_process(search)
    from wann.cli.commands import run_wann_search

    return run_wann_search(argv)


def _as_process(command: Callable[[Sequence[str]], int]) -> int:
    """Return the exit code of a command that is all this process does.

    A signal ends the process at once, with 130 for Ctrl+C and 143 for SIGTERM, unless the command
    is in `wann.cli.stopping.stoppable`. A signal that the parent has switched off stays off.
    """
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)
    _find_modules_here()
    code = command(sys.argv[1:])
    if code in [128 + number for number in SIGNALS]:
        os._exit(code)  # all is saved; a thread that compiles would hold it up for many seconds
    return code


def _end(number: int, frame: FrameType | None) -> None:
    os._exit(128 + number)


def _find_modules_here() -> None:
    """Let `--task module:Id-v0` find a module of the working folder, as `python -m wann` does."""
    try:
        folder = os.getcwd()  # noqa: PTH109  (pathlib would have to be loaded)
    except OSError:
        return  # it has been removed
    if folder not in sys.path:
        sys.path.append(folder)
