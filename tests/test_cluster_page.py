"""The commands of docs/cluster.md, typed on a head and two more nodes of this machine."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.ray
ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "cluster.md"
FINAL_FILES = ("front.csv", "front.jsonl", "champion.json")
SHORT = (
    "--population=16", "--episodes=1", "--tournament=2", "--validation-episodes=2",
    "--test-episodes=2",
)  # fmt: skip
LIMIT = 120.0  # s for one command
HEAD, PORT, SAVED = "192.0.2.10", "6379", "/saved"  # as the page has them


def command(name: str) -> str:
    """Return the block of the page that is marked with this name."""
    blocks = re.findall(rf"<!-- tried: {name} -->\n```bash\n(.*?)\n```", PAGE.read_text(), re.S)
    assert len(blocks) == 1, name
    return blocks[0]


@dataclass(frozen=True)
class Typist:
    """Types the page's commands in shells that know no other Ray than that of `temporary`."""

    temporary: Path
    port: int

    def start(
        self, name: str, folder: Path, *options: str, run: str = "", saved: Path | None = None
    ) -> subprocess.Popen[bytes]:
        """Start the command that is marked `name`, with options added to its last line.

        run, saved: what stands for RUN and /saved.
        """
        text = command(name).replace(HEAD, "127.0.0.1").replace(PORT, str(self.port))
        text = text.replace("RUN", run).replace(SAVED, str(saved))
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("RAY_")
        } | {
            "HOME": str(self.temporary),  # where the token is kept
            "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "RAY_TMPDIR": str(self.temporary),
            "WANN_TEST_FOLDER": str(folder),
        }
        with (folder / f"{name}.log").open("wb") as log:  # a pipe would be held open by Ray
            return subprocess.Popen(
                ["bash", "-ec", " ".join([text, *options])],
                cwd=folder,
                env=environment,
                stdout=log,
                stderr=log,
            )

    def type(
        self, name: str, folder: Path, *options: str, run: str = "", saved: Path | None = None
    ) -> None:
        """Run a command to its end, which must be a good one."""
        started = self.start(name, folder, *options, run=run, saved=saved)
        assert started.wait(LIMIT) == 0, (folder / f"{name}.log").read_text()

    def start_nodes(self, *folders: Path) -> None:
        """Start a head in the first folder, which evaluates nothing, and a node in each other."""
        small = ("--object-store-memory=100000000", "--dashboard-agent-listen-port=0")
        head, *others = folders
        self.type("head", head, "--num-cpus=0", *small)
        for folder in others:
            self.type("node", folder, "--num-cpus=1", *small)

    def kill(self, folder: Path | None = None) -> None:
        """Kill every process that came of a command in this folder; None for all folders."""
        marks = {f"RAY_TMPDIR={self.temporary}"}
        if folder is not None:
            marks.add(f"WANN_TEST_FOLDER={folder}")
        ended = time.monotonic() + LIMIT
        while found := processes(marks):
            assert time.monotonic() < ended, found
            for process in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            time.sleep(0.1)


def processes(marks: set[str]) -> list[int]:
    """Return the processes that run with all of these in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if marks <= set(path.read_bytes().decode(errors="replace").split("\0")):
                found.append(int(path.parent.name))
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture
def typist() -> Iterator[Typist]:
    temporary = Path(tempfile.mkdtemp(prefix="r"))  # not pytest's: sockets' names must be short
    typist = Typist(temporary, free_port())
    try:
        yield typist
    finally:
        typist.kill()
        shutil.rmtree(temporary, ignore_errors=True)


def only_run(folder: Path) -> Path:
    """Return the folder of the only run below `folder`."""
    (run,) = (folder / "results" / "runs").iterdir()
    return run


def wait_for_a_generation(folder: Path, search: subprocess.Popen[bytes]) -> None:
    """Return once the run below `folder` has a complete generation and is still going on."""
    ended = time.monotonic() + LIMIT
    while not [each for each in folder.rglob("metrics.csv") if each.read_text().count("\n") > 1]:
        assert search.poll() is None, (folder / "search.log").read_text()
        assert time.monotonic() < ended
        time.sleep(0.05)
    assert search.poll() is None


def contents(folder: Path) -> list[bytes]:
    return [(only_run(folder) / name).read_bytes() for name in FINAL_FILES]


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
def test_the_pages_commands_lose_a_node_then_the_head_and_find_the_same(
    typist: Typist, tmp_path: Path
) -> None:
    names = ("here", "head", "first", "second", "new_head", "new_node", "search")
    here, head, first, second, new_head, new_node, folder = [tmp_path / each for each in names]
    for each in (here, head, first, second, new_head, new_node, folder):
        each.mkdir()
    typist.type("token", head)
    typist.start_nodes(head, first, second)

    search = typist.start("search", folder, "--generations=6", *SHORT)
    wait_for_a_generation(folder, search)
    typist.kill(second)
    assert search.wait(LIMIT) == 0, (folder / "search.log").read_text()
    local = command("search").replace("--ray-address auto", "--backend local --workers 1").split()
    module = [sys.executable, "-m", "wann", "search", *local[1:], *SHORT, "--quiet"]
    subprocess.run([*module, "--generations=6"], cwd=here, check=True, timeout=LIMIT)
    assert contents(folder) == contents(here)

    typist.kill()
    run = only_run(folder).name
    typist.start_nodes(new_head, new_node)
    typist.type("copy", new_head, run=run, saved=folder)
    typist.type("resume", new_head, "--generations=8", run=run)
    subprocess.run([*module, "--generations=8"], cwd=here, check=True, timeout=LIMIT)
    assert contents(new_head) == contents(here)


def test_the_example_of_a_cluster_is_what_ray_up_accepts() -> None:
    import yaml
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = yaml.safe_load((ROOT / "examples" / "cluster.yaml").read_text())
    validate_config(prepare_config(config))
    assert config["max_workers"] == len(config["provider"]["worker_ips"])
    for name in ("constraints.txt", "pyproject.toml"):  # the checkout, which is sent to each node
        assert (ROOT / name).is_file()
