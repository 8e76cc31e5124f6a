"""Ray started for a search or joined: what is refused, what runs where, and nothing left behind."""

from __future__ import annotations

import contextlib
import http.server
import importlib
import math
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.misbehaving import count_running, die, fail, is_writable
from tests.networks import random_network
from wann.distributed import RayEvaluator
from wann.ray_session import ClusterFault, check_address, ray_session, run_task, run_tasks
from wann.tasks import MissingDependency, load_task
from wann.topology import Topologies

ROOT = Path(__file__).parent.parent
FINAL_FILES = ("front.csv", "front.jsonl", "champion.json")
LONG = ("--generations=300",)  # several seconds, so that there is a checkpoint
module = importlib.import_module("wann.ray_session")  # `wann` has a function of that name
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.mark.parametrize(
    "address",
    ["here", "here:", ":6379", "here:0", "here:65536", "here:port", "ray://here:10001", "AUTO"],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match=r"a cluster's address is HOST:PORT or auto, but '"):
        check_address(address)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_an_address_where_nobody_listens_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    port = free_port()
    started = time.monotonic()
    wanted = rf"nobody answers at 127.0.0.1:{port} \(connection refused\); is `ray start --head`"
    with pytest.raises(ClusterFault, match=wanted):
        check_address(f"127.0.0.1:{port}")
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
    with pytest.raises(ClusterFault, match=rf"{port}, which RAY_ADDRESS names \(connection ref"):
        check_address(f"127.0.0.1:{port}")
    assert time.monotonic() - started < module.CONNECT_LIMIT


def test_an_address_that_swallows_everything_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(place: tuple[str, int], limit: float) -> socket.socket:
        assert (place, limit) == (("fe80::1", 6379), module.CONNECT_LIMIT)
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(ClusterFault, match=r"nobody answers at \[fe80::1\]:6379 \(no answer with"):
        check_address("[fe80::1]:6379")


@contextlib.contextmanager
def deaf() -> Iterator[int]:
    """Give the port of a server that accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


class Silent(http.server.SimpleHTTPRequestHandler):
    """Answers without writing of it."""

    def log_message(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def web() -> Iterator[int]:
    """Give the port of a web server."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Silent) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.ray
@pytest.mark.parametrize("server", [deaf, web])
def test_what_listens_but_is_no_cluster_is_named_in_time(
    server: Callable[[], contextlib.AbstractContextManager[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HEALTH_LIMIT", 8.0)
    started = time.monotonic()
    with server() as port:
        wanted = rf"no Ray cluster in good health answers at 127.0.0.1:{port} \(.*\)$"
        with pytest.raises(ClusterFault, match=wanted), ray_session(f"127.0.0.1:{port}"):
            pass
    assert time.monotonic() - started < 40.0
    assert "RAY_AUTH_MODE" not in os.environ


def test_without_a_session_functions_run_here() -> None:
    assert run_task(os.getpid) == os.getpid()
    assert run_tasks(math.sqrt, [(4,), (9,)], num_gpus=8) == [2.0, 3.0]
    with pytest.raises(LookupError, match="not there"):
        run_task(fail, ["not there"])


def own_handler(number: int, frame: Any) -> None:
    """Stand for what a program does about SIGTERM."""


@pytest.fixture(scope="module")
def ray_here() -> Iterator[Any]:
    """Return Ray with two CPUs, started as for a search."""
    before = signal.signal(signal.SIGTERM, own_handler)
    with ray_session("", 2):
        import ray

        yield ray
    signal.signal(signal.SIGTERM, before)


@pytest.mark.ray
@pytest.mark.usefixtures("ray_here")
def test_functions_run_in_other_processes_with_equal_results() -> None:
    assert run_task(os.getpid) != os.getpid()
    sizes = [(each, each + 1) for each in range(7)]
    assert run_tasks(np.eye, sizes)[5].tobytes() == np.eye(5, 6).tobytes()
    assert run_tasks(math.exp, []) == []
    batch = Topologies.stack([random_network(4, 2, 2, 5, seed=0).topology])
    assert run_task(is_writable, [batch])  # or kernels would be compiled anew for it
    with pytest.raises(LookupError, match=r"^not there$"):
        run_task(fail, ["not there"])


@pytest.mark.ray
@pytest.mark.usefixtures("ray_here")
def test_a_function_whose_worker_dies_is_run_again_but_not_for_ever(tmp_path: Path) -> None:
    (tmp_path / "once").mkdir()
    assert run_task(die, [tmp_path / "once", 1]) == 1
    (tmp_path / "always").mkdir()
    with pytest.raises(ClusterFault, match="die could not be run on the cluster: "):
        run_task(die, [tmp_path / "always", 1000])
    assert len(list((tmp_path / "always").glob("*"))) == module.TASK_RETRIES + 1


@pytest.mark.ray
@pytest.mark.usefixtures("ray_here")
def test_gpus_that_no_machine_has_are_refused_instead_of_awaited() -> None:
    wanted = "sqrt needs 64 GPUs on one machine, but no machine of the cluster has more than"
    with pytest.raises(ValueError, match=wanted):
        run_task(math.sqrt, [1], num_gpus=64)


@pytest.mark.ray
def test_no_more_functions_run_at_once_than_the_cluster_has_cpus(
    ray_here: Any, tmp_path: Path
) -> None:
    peaks = run_tasks(count_running, [(tmp_path, name) for name in "abcdef"])
    assert max(peaks) <= 2


@pytest.mark.ray
def test_a_session_within_the_users_own_ray_leaves_it_running(ray_here: Any) -> None:
    with ray_session("127.0.0.1:1"):  # not looked at: there is one
        assert run_task(math.sqrt, [4]) == 2.0
    assert ray_here.is_initialized()
    assert run_task(math.sqrt, [4]) == 2.0


@pytest.mark.ray
def test_sigterm_is_left_to_those_who_had_it(ray_here: Any) -> None:
    assert signal.getsignal(signal.SIGTERM) is own_handler


def family(process: int) -> set[int]:
    """Return a process and all that have come of it."""
    found, new = {process}, [process]
    while new:
        text = Path(f"/proc/{new[0]}/task").glob("*/children")
        children: list[int] = []
        for each in text:
            with contextlib.suppress(OSError):
                children += map(int, each.read_text().split())
        new = [*new[1:], *(each for each in children if each not in found)]
        found.update(children)
    return found


def listening(processes: set[int]) -> set[str]:
    """Return the addresses, as /proc has them, at which these processes listen."""
    sockets = set()
    for process in processes:
        with contextlib.suppress(OSError):
            for each in Path(f"/proc/{process}/fd").iterdir():
                with contextlib.suppress(OSError):
                    sockets.add(str(each.readlink()))
    found = set()
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and f"socket:[{words[9]}]" in sockets:
                found.add(words[1].partition(":")[0])
    return found


LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}


@linux
@pytest.mark.ray
def test_ray_started_for_a_search_listens_on_loopback_only_and_has_no_dashboard(
    ray_here: Any,
) -> None:
    addresses = listening(family(os.getpid()))
    assert addresses
    assert addresses <= LOOPBACK
    assert not ray_here._private.worker.global_worker.node.address_info["webui_url"]
    assert ray_here.cluster_resources()["CPU"] == 2


@pytest.mark.ray
@pytest.mark.usefixtures("ray_here")
def test_workers_of_ones_own_ray_are_as_nice_as_this_process() -> None:
    assert run_task(os.nice, [0]) == os.nice(0)


@pytest.mark.parametrize("given", ["1", "0", None])
def test_usage_statistics_are_off_unless_the_user_wants_them(
    given: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", given or "")
    if given is None:
        monkeypatch.delenv("RAY_USAGE_STATS_ENABLED")
    module._prepare_environment(is_local=True)
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == (given or "0")


@pytest.mark.ray
@pytest.mark.usefixtures("ray_here")
def test_a_module_that_workers_lack_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "only_here.py").write_text(
        "import gymnasium\nfrom gymnasium.envs.classic_control import CartPoleEnv\n"
        "class Mine(CartPoleEnv):\n    pass\n"
        "gymnasium.register('OnlyHere-v0', Mine, max_episode_steps=5)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    task = load_task("only_here:OnlyHere-v0")
    batch = Topologies.stack([random_network(4, 2, 2, 5, seed=0).topology])
    wanted = "a worker lacks module 'only_here'; install it on every machine"
    with RayEvaluator(task, 1) as evaluator, pytest.raises(MissingDependency, match=wanted):
        evaluator.evaluate(batch, np.ones(1), np.arange(2))
