"""Which evaluator serves a search."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.commands import TINY, Ended
from wann.backend import open_evaluator, uses_ray
from wann.cli import main
from wann.config import Backend
from wann.evaluation import LocalEvaluator
from wann.tasks import load_task

ROOT = Path(__file__).parent.parent
FINAL_FILES = ("front.csv", "front.jsonl", "champion.json")


@pytest.mark.parametrize(
    ("backend", "variable", "task", "expected"),
    [
        (Backend(), "", "CartPole-v1", False),
        (Backend(), "", "LunarLander-v3", True),
        (Backend(), "10.0.0.1:6379", "CartPole-v1", True),
        (Backend(address="auto"), "", "CartPole-v1", True),
        (Backend("local"), "10.0.0.1:6379", "LunarLander-v3", False),
        (Backend("ray"), "", "CartPole-v1", True),
    ],
)
def test_ray_serves_environments_in_python_and_whoever_names_a_cluster(
    backend: Backend, variable: str, task: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", variable)
    assert uses_ray(backend, load_task(task)) == expected


def test_no_thread_of_a_local_evaluator_stays_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with open_evaluator(load_task("CartPole-v1"), Backend(workers=3)) as evaluator:
        assert isinstance(evaluator, LocalEvaluator)
        assert evaluator.workers == 3
        evaluator._pool.submit(int).result()
    for thread in threading.enumerate():
        if thread.name.startswith("evaluate"):
            thread.join(10.0)
            assert not thread.is_alive()


def test_a_local_search_does_not_import_ray(tmp_path: Path) -> None:
    command = (
        "import sys\nfrom wann.cli.main import search\n"
        "code = search(sys.argv[1:])\nsys.exit(code or 'ray' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", command, *TINY, "--backend=local"], cwd=tmp_path, check=False
    )
    assert done.returncode == 0


@dataclass(frozen=True)
class Program:
    """A program in a process of its own, with its folder and a mark on all that come of it."""

    process: subprocess.Popen[str]
    folder: Path
    mark: str

    def rest(self) -> list[str]:
        """Return the command lines of the processes that are left of it."""
        found = []
        for each in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if self.mark.encode() in each.read_bytes():
                    found.append((each.parent / "cmdline").read_text().replace("\0", " "))
        return found

    def ended(self) -> Ended:
        """Return how it ended; no process of it may be left some seconds later.

        After SIGKILL two agents of Ray's may: for a minute they try to tell of it.
        """
        out, err = self.process.communicate(timeout=300)
        is_killed = self.process.returncode == -signal.SIGKILL
        deadline = time.monotonic() + 30.0
        while rest := [each for each in self.rest() if not (is_killed and "Agent" in each)]:
            assert time.monotonic() < deadline, rest
            time.sleep(0.1)
        return Ended(self.process.returncode, out, err)


def start(folder: Path, *command: str) -> Program:
    mark = f"MARK={uuid.uuid4()}"
    folder.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"MARK": mark.removeprefix("MARK="), "PYTHONPATH": str(ROOT)}
    environment.pop("RAY_ADDRESS", None)
    process = subprocess.Popen(
        [sys.executable, *command], cwd=folder, env=environment, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    return Program(process, folder, mark)


def search(folder: Path, *options: str) -> Program:
    return start(folder, "-m", "wann", "search", *TINY, *options)


def wait_for(condition: Callable[[], object], limit: float = 120.0) -> None:
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def final_bytes(folder: Path) -> dict[str, bytes]:
    (run,) = folder.glob("results/runs/*")
    return {name: (run / name).read_bytes() for name in FINAL_FILES}


needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@needs_proc
@pytest.mark.ray
@pytest.mark.parametrize("workers", [1, 2])
def test_a_search_on_ray_gives_the_local_bytes_and_leaves_nothing(
    tmp_path: Path, workers: int
) -> None:
    options = ("--task=CartPole-v1", "--json")
    here = search(tmp_path / "here", *options)
    there = search(tmp_path / "there", *options, "--backend=ray", f"--workers={workers}")
    ended = there.ended()
    assert ended.code == here.ended().code == 0, ended.err
    assert final_bytes(tmp_path / "there") == final_bytes(tmp_path / "here")
    assert json.loads(ended.out)["generations"] == 3
    lines = [each for each in ended.err.splitlines() if "ray" in each.lower()]
    assert lines == ["starting Ray"]


MODULE = """
import gymnasium
from gymnasium.envs.classic_control import CartPoleEnv

class Mine(CartPoleEnv):
    def step(self, action):
        observation, reward, *rest = super().step(action)
        return observation, reward + 0.1 * float(observation[0]), *rest

gymnasium.register("Mine-v0", Mine, max_episode_steps=20)
"""
SCRIPT = (
    MODULE
    + """
import sys
from pathlib import Path
from wann import SearchConfig, register_activation
from wann.config import Backend
from wann.ray_session import ray_session
from wann.run import Run
from wann.run_files import RunSpec
from wann.tasks import load_task

register_activation("cubic", lambda x: x**3)
gymnasium.register("Named-v0", "__main__:Mine", max_episode_steps=20)
with ray_session("", 2):
    for task in ("Mine-v0", "Named-v0"):
        config = SearchConfig(
            task=task, generations=4, population=12, episodes=1, tournament=2, weights="-1,1",
            validation_episodes=2, test_episodes=2, activations=("cubic",), insert_node=0.75,
            change_activation=0.0,
        )
        for name in ("local", "ray"):
            root = Path(sys.argv[1], name, task)
            Run(RunSpec(config, load_task(task).card), root, Backend(name, 2)).execute()
"""
)


@needs_proc
@pytest.mark.ray
def test_a_module_of_the_working_folder_is_there_for_workers(tmp_path: Path) -> None:
    for name in ("ray", "local"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.py").write_text(MODULE)
    here = search(tmp_path / "local", "--task=mine:Mine-v0", "--backend=local")
    ended = search(tmp_path / "ray", "--task=mine:Mine-v0", "--quiet").ended()  # ray: no kernel
    assert (ended.code, ended.err) == (here.ended().code, "") == (0, "")
    assert final_bytes(tmp_path / "ray") == final_bytes(tmp_path / "local")


@needs_proc
@pytest.mark.ray
def test_classes_and_activations_of_a_users_script_reach_the_workers(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    ended = start(tmp_path, "script.py", "runs").ended()
    assert ended.code == 0, ended.err
    for task in ("Mine-v0", "Named-v0"):
        ours, theirs = (tmp_path / "runs" / name / task for name in ("ray", "local"))
        assert final_bytes(ours) == final_bytes(theirs)
    assert b"cubic" in final_bytes(tmp_path / "runs" / "ray" / "Named-v0")["front.jsonl"]


@needs_proc
@pytest.mark.ray
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_a_search_stopped_on_ray_is_saved_leaves_nothing_and_ends_with_the_same_bytes(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    options = ("--task=CartPole-v1", "--generations=600", "--population=24")
    stopped = search(tmp_path / "stopped", *options, "--backend=ray", "--workers=2")
    wait_for(lambda: list((tmp_path / "stopped" / "populations").glob("*.safetensors")))
    stopped.process.send_signal(number)
    ended = stopped.ended()
    assert ended.code == code, ended.err
    assert "Traceback" not in ended.err
    assert ("what was found is saved" in ended.err) == (number != signal.SIGKILL)
    here = search(tmp_path / "here", *options)
    resumed = search(tmp_path / "stopped", *options, "--backend=local").ended()
    assert "going on with run" in resumed.err
    assert (resumed.code, here.ended().code) == (0, 0)
    assert final_bytes(tmp_path / "stopped") == final_bytes(tmp_path / "here")


@needs_proc
@pytest.mark.ray
def test_ctrl_c_while_ray_starts_leaves_nothing(tmp_path: Path) -> None:
    program = search(tmp_path, "--task=CartPole-v1", "--backend=ray", "--workers=2")
    wait_for(lambda: len(program.rest()) > 2)
    time.sleep(0.5)
    program.process.send_signal(signal.SIGINT)
    assert program.ended().code == 130


@pytest.mark.parametrize(
    ("options", "code", "wanted"),
    [
        (["--workers=-1"], 2, "workers must be"),
        (["--ray-address=nowhere"], 2, "a cluster's address is HOST:PORT or auto, but 'nowhere'"),
        (["--ray-address=127.0.0.1:1"], 1, "nobody answers at 127.0.0.1:1 (connection refused)"),
        (["--backend=rya"], 2, "did you mean 'ray'"),
        (["--backend=local", "--ray-address=auto"], 2, "the local backend has no address"),
    ],
)
def test_what_cannot_be_is_one_line_with_its_exit_code(
    options: list[str], code: int, wanted: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--task=CartPole-v1", "--quiet", f"--out={tmp_path}", *options]
    assert main.search(arguments) == code
    err = capsys.readouterr().err
    assert wanted in err
    assert err.count("\n") == 1
