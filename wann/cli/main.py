"""`wann` and `wann-search`: which command runs, and what its exit code says."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType

from rich.console import Console

from wann.checks import unknown
from wann.version import __version__

COMMANDS = {
    "search": "find networks for a task; the same as wann-search",
    "show": "a network's table and picture",
    "tasks": "the tasks there are, or one of them",
    "doctor": "versions, processor, folders: is everything in place?",
}
FAILED, WRONG, MISSING, INTERRUPTED, TERMINATED = 1, 2, 3, 130, 143  # exit codes; 0 is done
EXPECTED = (ValueError, TypeError, ImportError, RuntimeError)  # their text says what to do
FOLDER_ERRORS = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EEXIST, errno.ENOTDIR,
)  # fmt: skip


class Terminated(KeyboardInterrupt):
    """SIGTERM came; it ends a run as Ctrl+C does."""


def main(argv: Sequence[str] | None = None) -> int:
    """Return the exit code of `wann COMMAND ...`, by default of the process's command line."""
    if argv is None:
        _find_modules_here()
        return _unless_stopped(main(sys.argv[1:]))
    arguments = list(argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        return _guarded(_print_help, [], "wann")
    if arguments[0] == "--version":
        return _guarded(_print_version, [], "wann")
    name, *rest = arguments
    return _guarded(_command(name), rest, f"wann {name}" if name in COMMANDS else "wann")


def search(argv: Sequence[str] | None = None) -> int:
    """Return the exit code of `wann-search ...`, by default of the process's command line."""
    if argv is None:
        _find_modules_here()
        return _unless_stopped(search(sys.argv[1:]))
    return _guarded(_command("search"), list(argv), "wann-search")


def _find_modules_here() -> None:
    """Let `--task module:Id-v0` find a module of the working folder, as `python -m wann` does."""
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.append(folder)


def _unless_stopped(code: int) -> int:
    """Return the exit code, but end the process at once when a signal stopped the command.

    All is saved by then, and a thread that compiles a kernel would hold it up for many seconds.
    """
    if code in (INTERRUPTED, TERMINATED):
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
    return code


Command = Callable[[Sequence[str], str, Console], int]


def _command(name: str) -> Command:
    """Return what carries out a command; modules are loaded when it is called."""

    def run(argv: Sequence[str], prog: str, console: Console) -> int:
        if name == "search":
            from wann.cli.search import run_search as command
        elif name == "show":
            from wann.cli.show import run_show as command
        elif name == "tasks":
            from wann.cli.tasks import run_tasks as command
        elif name == "doctor":
            from wann.cli.doctor import run_doctor as command
        else:
            raise unknown("command", name, COMMANDS, "`wann --help` names all")
        return command(argv, prog, console)

    return run


def _print_help(argv: Sequence[str], prog: str, console: Console) -> int:
    print("usage: wann COMMAND [OPTIONS]\n\nWeight agnostic neural networks.\n")
    for name, purpose in COMMANDS.items():
        print(f"  wann {name:<8} {purpose}")
    print("\n`wann COMMAND --help` shows a command's options; `wann --version` the version.")
    return 0


def _print_version(argv: Sequence[str], prog: str, console: Console) -> int:
    print(f"wann-search {__version__}")
    return 0


def _guarded(command: Command, argv: Sequence[str], prog: str) -> int:
    """Return the command's exit code, or that of the error it raised after telling of it."""
    debug = "--debug" in argv
    try:
        with _terminable():
            code = command(argv, prog, _console())
            sys.stdout.flush()
            return code
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0
    except BrokenPipeError:
        _let_go_of_output()
        return FAILED
    except KeyboardInterrupt as stop:
        return TERMINATED if isinstance(stop, Terminated) else INTERRUPTED
    except Exception as error:
        if debug:
            traceback.print_exc()
        print(f"{prog}: error: {_message(error)}", file=sys.stderr, flush=True)
        return _code(error)


def _console() -> Console:
    """Return the console on standard error, which takes every text as it is."""
    return Console(stderr=True, markup=False, highlight=False, emoji=False)


def _code(error: Exception) -> int:
    if isinstance(error, ImportError):
        return MISSING
    return WRONG if isinstance(error, ValueError | TypeError) else FAILED


def _message(error: Exception) -> str:
    """Return what to tell of an error, on one line."""
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError):
        return "out of memory; a smaller --population or fewer --episodes need less"
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename!r}: " if error.filename else ""
        hint = "; --out chooses another folder" if error.errno in FOLDER_ERRORS else ""
        return f"{where}{error.strerror.lower()}{hint}"
    if isinstance(error, EXPECTED):
        return text
    return f"{type(error).__name__}: {text} (--debug shows where)"


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM raise `Terminated` in here, so that a run is saved before the process ends."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Terminated

    previous = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _let_go_of_output() -> None:
    """Send what is still buffered nowhere: whoever read it has gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(nowhere, stream.fileno())
