"""The commands: which one runs, and what its exit code says."""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import sys
import traceback
from collections.abc import Callable, Sequence

from rich.console import Console

from wann.checks import unknown
from wann.cli.stopping import Terminated
from wann.version import __version__

COMMANDS = {
    "search": "find networks for a task; the same as wann-search",
    "evaluate": "a network in the paper's four settings, and under many shared weights",
    "tune": "weights for a network's links, from the best shared weight",
    "show": "a network's table and picture",
    "play": "watch a network act, in a window or as a film",
    "export": "write a network for PyTorch, ONNX and others",
    "baseline": "a fixed topology to compare with, as a network file",
    "compare": "runs side by side: a table, a CSV, a picture",
    "tasks": "the tasks there are, or one of them",
    "data": "download a data set: wann data fetch NAME",
    "doctor": "versions, processor, folders: is everything in place?",
}
FAILED, WRONG, MISSING, INTERRUPTED, TERMINATED = 1, 2, 3, 130, 143  # exit codes; 0 is done
EXPECTED = (ValueError, TypeError, ImportError, RuntimeError)  # their text says what to do
FOLDER_ERRORS = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EEXIST, errno.ENOTDIR,
    errno.ENOENT, errno.ENAMETOOLONG,
)  # fmt: skip


def run_wann(argv: Sequence[str]) -> int:
    """Return the exit code of `wann COMMAND ...`."""
    arguments = list(argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        return _guarded(_print_help, [], "wann")
    if arguments[0] == "--version":
        return _guarded(_print_version, [], "wann")
    name, *rest = arguments
    return _guarded(_command(name), rest, f"wann {name}" if name in COMMANDS else "wann")


def run_wann_search(argv: Sequence[str]) -> int:
    """Return the exit code of `wann-search ...`."""
    command = _print_version if list(argv) == ["--version"] else _command("search")
    return _guarded(command, list(argv), "wann-search")


Command = Callable[[Sequence[str], str, Console], int]


def _command(name: str) -> Command:
    """Return what carries out a command: `run_NAME` of its module, loaded when it is called."""

    def run(argv: Sequence[str], prog: str, console: Console) -> int:
        if name not in COMMANDS:
            raise unknown("command", name, COMMANDS, "`wann --help` names all")
        command: Command = getattr(importlib.import_module(f"wann.cli.{name}"), f"run_{name}")
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
    if os.environ.get("COLUMNS", "1").strip("0") == "":
        del os.environ["COLUMNS"]  # Rich would print nothing in so narrow a place
    try:
        code = command(argv, prog, _console())
        if sys.stdout is not None:  # as after `>&-`
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
        if sys.stderr is not None:
            print(f"{prog}: error: {_message(error, prog)}", file=sys.stderr, flush=True)
        return _code(error)


def _console() -> Console:
    """Return the console on standard error, which takes every text as it is."""
    return Console(stderr=True, markup=False, highlight=False, emoji=False)


def _code(error: Exception) -> int:
    if isinstance(error, ImportError):
        return MISSING
    return WRONG if isinstance(error, ValueError | TypeError) and not _is_ours(error) else FAILED


def _is_ours(error: Exception) -> bool:
    """Return whether this is a fault in the program: a wrong value within a generation.

    What a user gives has been found right before the first one; a fault of an environment or of
    the cluster is a RuntimeError.
    """
    coordinator = sys.modules.get("wann.coordinator")
    if coordinator is None or not isinstance(error, ValueError | TypeError):
        return False
    frames = traceback.walk_tb(error.__traceback__)
    return any(frame.f_code is coordinator.Coordinator.step.__code__ for frame, _ in frames)


def _message(error: Exception, prog: str) -> str:
    """Return what to tell of an error of a command, on one line."""
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError):
        return "out of memory; a smaller --population or fewer --episodes need less"
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename!r}: " if error.filename else ""
        is_folder = prog.endswith(("search", "evaluate", "tune")) and error.errno in FOLDER_ERRORS
        hint = "; --out chooses another folder" if is_folder else ""
        return f"{where}{error.strerror.lower()}{hint}"
    if isinstance(error, EXPECTED) and not _is_ours(error):
        return text
    return f"{type(error).__name__}: {text} (--debug shows where)"


def _let_go_of_output() -> None:
    """Send what is still buffered nowhere: whoever read it has gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(nowhere, stream.fileno())
