"""The entry points: exit codes, one line an error, and what is loaded when."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console

from tests.commands import TINY, Run
from wann.cli import commands
from wann.cli.stopping import Terminated, stoppable
from wann.tasks import EnvironmentFault, MissingDependency

HEAVY = ("numba", "torch", "ray", "pandas", "gymnasium", "scipy", "networkx", "matplotlib")
LOADED = f"import json, sys; print(json.dumps([name for name in {HEAVY} if name in sys.modules]))"


def in_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )


def test_importing_wann_loads_nothing_heavy() -> None:
    assert json.loads(in_python(f"import wann; {LOADED}").stdout) == []


def test_importing_wann_does_not_even_load_numpy() -> None:
    assert in_python("import wann, sys; print('numpy' in sys.modules)").stdout == "False\n"


def test_a_name_that_a_function_shares_with_its_module_is_the_function() -> None:
    code = "import wann, wann.forward, wann.topology; print(type(wann.forward).__name__)"
    assert in_python(code).stdout == "function\n"


def test_help_loads_nothing_heavy() -> None:
    done = in_python(f"from wann.cli.main import search; search(['--help']); {LOADED}")
    assert json.loads(done.stdout.splitlines()[-1]) == []
    assert "--population" in done.stdout


def test_a_mistyped_option_is_told_before_anything_heavy_is_loaded() -> None:
    done = in_python(f"from wann.cli.main import search; search(['--sed', '3']); {LOADED}")
    assert json.loads(done.stdout) == []
    assert "did you mean '--seed'?" in done.stderr


def test_help_fits_80_columns(folder: Path, wann: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = wann("search", "--help").out.splitlines()
    assert len(lines) > 40
    assert max(len(line) for line in lines) <= 80


def test_every_command_has_help(wann: Run) -> None:
    for name in commands.COMMANDS:
        ended = wann(name, "--help")
        assert (ended.code, ended.err) == (0, "")
        assert f"usage: wann {name}" in ended.out


@pytest.mark.parametrize("typed", [[], ["--help"], ["-h"]])
def test_wann_alone_names_its_commands(wann: Run, typed: list[str]) -> None:
    ended = wann(*typed)
    assert (ended.code, ended.err) == (0, "")
    assert all(f"wann {name}" in ended.out for name in commands.COMMANDS)


def test_the_version_is_told(wann: Run, bare_search: Run) -> None:
    assert re.fullmatch(r"wann-search \d+\.\d+\.\d+\n", wann("--version").out)
    assert bare_search("--version") == wann("--version")


def test_a_width_of_nothing_is_as_none(wann: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "0")
    assert "CartPole-v1" in wann("tasks", "CartPole-v1").out


def test_an_unknown_command_is_refused_with_the_nearest_one(wann: Run) -> None:
    ended = wann("serach")
    assert ended.code == 2
    assert ended.err.startswith("wann: error: no command 'serach'; did you mean 'search'?")


FAILURES: list[tuple[BaseException, int, str]] = [
    (ValueError("a\nb"), 2, "a b"),
    (TypeError("seed must be a number"), 2, "seed must be a number"),
    (MissingDependency("'X' needs box2d"), 3, "'X' needs box2d"),
    (ModuleNotFoundError("No module named 'ray'"), 3, "No module named 'ray'"),
    (EnvironmentFault("it returned NaN"), 1, "it returned NaN"),
    (OSError(errno.ENOSPC, "No space left on device", "x"), 1, "'x': no space left on device; --o"),
    (MemoryError(), 1, "out of memory; a smaller --population"),
    (KeyError("x"), 1, "KeyError: 'x' (--debug shows where)"),
]


@pytest.mark.parametrize(("error", "code", "text"), FAILURES)
def test_an_error_is_one_line_and_an_exit_code(
    wann: Run, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int, text: str
) -> None:
    def fail(argv: Sequence[str], prog: str, console: Console) -> int:
        raise error

    monkeypatch.setattr(commands, "_command", lambda name: fail)
    ended = wann("search")
    assert (ended.code, ended.out) == (code, "")
    assert ended.err.startswith(f"wann search: error: {text}")
    assert ended.err.count("\n") == 1
    assert "Traceback" in wann("search", "--debug").err


def test_a_hint_at_another_folder_is_given_only_for_runs(
    wann: Run, search: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(argv: Sequence[str], prog: str, console: Console) -> int:
        raise OSError(errno.EACCES, "Permission denied", "x")

    monkeypatch.setattr(commands, "_command", lambda name: fail)
    assert search().err.endswith("'x': permission denied; --out chooses another folder\n")
    assert wann("tasks").err.endswith("'x': permission denied\n")


@pytest.mark.parametrize(
    ("number", "kind"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]
)
def test_a_signal_raises_where_work_can_be_saved_and_does_what_it_did_before_after_that(
    number: signal.Signals, kind: type[BaseException]
) -> None:
    before = signal.getsignal(number)
    with pytest.raises(kind, match=r"^$"), stoppable():
        signal.raise_signal(number)
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_is_switched_off_stays_off(number: signal.Signals) -> None:
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with stoppable():
            signal.raise_signal(number)
            assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


SIGNALLED = """
import importlib.abc, os, sys
import wann
class Signals(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), {number})
sys.meta_path.insert(0, Signals())
sys.argv = ["wann", *{argv!r}]
from wann.cli.main import {entry}
sys.exit({entry}())
"""
STARTING = [  # a module that is loaded on the way, by which entry, to do what
    ("wann.cli.commands", "main", ["tasks"], signal.SIGTERM),
    ("rich.console", "main", ["show", "x.json"], signal.SIGINT),
    ("tyro", "search", ["--help"], signal.SIGINT),
    ("gymnasium", "search", [], signal.SIGTERM),
    ("wann.run", "search", [], signal.SIGINT),
]


@pytest.mark.parametrize(("module", "entry", "argv", "number"), STARTING)
def test_a_signal_ends_a_command_that_is_still_being_loaded_without_a_word(
    folder: Path, module: str, entry: str, argv: list[str], number: signal.Signals
) -> None:
    program = SIGNALLED.format(module=module, number=int(number), entry=entry, argv=argv)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False,
        env=environment,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (128 + number, "")


def test_a_signal_that_the_parent_switched_off_does_not_stop_a_command(folder: Path) -> None:
    program = SIGNALLED.format(
        module="tyro", number=int(signal.SIGINT), entry="main", argv=["tasks"]
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    ignoring = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    done = subprocess.run(
        [sys.executable, "-c", ignoring + program], capture_output=True, text=True, check=False,
        env=environment,
    )  # fmt: skip
    assert done.returncode == 0
    assert "CartPole-v1" in done.stdout


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_a_closed_stream_is_no_error(folder: Path, closed: str) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = f"{sys.executable} -m wann tasks CartPole-v1 {closed}"
    done = subprocess.run(
        command, shell=True, capture_output=True, text=True, env=environment, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_working_folder_that_is_gone_is_told_in_one_line(folder: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = f"mkdir gone; cd gone; rmdir ../gone; {sys.executable} -m wann tasks CartPole-v1"
    done = subprocess.run(
        command, shell=True, capture_output=True, text=True, env=environment, check=False
    )
    assert "Traceback" not in done.stderr
    assert done.stdout.startswith("CartPole-v1")


@pytest.mark.parametrize(("signal_number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_process_with_its_exit_code_and_all_saved(
    folder: Path, signal_number: signal.Signals, code: int
) -> None:
    command = [sys.executable, "-m", "wann", "search", *TINY, "--generations=1000000"]
    path = os.pathsep.join(sys.path)
    environment = os.environ | {"PYTHONPATH": path}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        assert any(line.startswith("generation ") for line in lines)
        process.send_signal(signal_number)
        rest = process.stderr.read()
        assert process.wait(timeout=60) == code
    assert rest.splitlines()[-1].startswith("stopped; what was found is saved")
    assert "Traceback" not in rest
    assert list((folder / "populations").glob("*.safetensors"))


def test_a_reader_that_leaves_is_no_error(folder: Path) -> None:
    command = f"{sys.executable} -m wann tasks | true"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        command, shell=True, capture_output=True, text=True, env=environment, check=False
    )
    assert done.stderr == ""
