"""Ray's actors on three nodes: the same scores as here, whatever happens to the actors."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.commands import TINY
from tests.misbehaving import Conditions, misbehaving_task, order, own_action, processes
from tests.networks import random_network
from wann import distributed
from wann.checkpoint import load_checkpoint
from wann.config import Backend, SearchConfig
from wann.coordinator import Coordinator
from wann.distributed import RayEvaluator
from wann.evaluation import LocalEvaluator
from wann.kernel_cache import MARKER_SUFFIX
from wann.ray_session import ClusterFault, ray_session
from wann.run import Outcome, Run
from wann.run_files import RunSpec
from wann.scores import Scores
from wann.tasks import EnvironmentFault, load_task
from wann.tasks.control import ControlTask
from wann.topology import Topologies

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

pytestmark = pytest.mark.ray
FINAL_FILES = ("front.csv", "front.jsonl", "champion.json")
CONDITIONS: Conditions = (np.array([-1.5, 0.5, 2.0]), np.array([3, 1, 4, 1592]))
SHORT = 5.0  # s; a deadline for what takes milliseconds


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Return a cluster of a head without CPUs and two nodes with one each, which is joined."""
    folder = tempfile.mkdtemp(prefix="r")  # not pytest's: the names of sockets must be short
    patch = pytest.MonkeyPatch()
    patch.setenv("RAY_TMPDIR", folder)
    patch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # listen on loopback only
    patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        with ray_session(cluster.address):
            yield cluster
    finally:
        cluster.shutdown()
        patch.undo()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the orders for the misbehaving environment are given."""
    return tmp_path_factory.mktemp("orders")


@pytest.fixture(scope="module")
def task(folder: Path) -> ControlTask:
    return misbehaving_task(folder)


def networks(task: ControlTask, count: int = 12) -> Topologies:
    sizes = task.num_inputs, task.num_outputs
    return Topologies.stack(
        [random_network(*sizes, 3, 12, seed=seed).topology for seed in range(count)]
    )


def local_scores(task: ControlTask, conditions: Conditions = CONDITIONS) -> Scores:
    with LocalEvaluator(task, workers=1) as evaluator:
        return evaluator.evaluate(networks(task), *conditions)


@pytest.fixture(scope="module")
def undisturbed(task: ControlTask) -> Scores:
    return local_scores(task)


@pytest.fixture(scope="module")
def shared_evaluator(cluster: Cluster, task: ControlTask) -> Iterator[RayEvaluator]:
    with RayEvaluator(task) as evaluator:
        yield evaluator


@pytest.fixture
def evaluator(
    shared_evaluator: RayEvaluator, task: ControlTask, monkeypatch: pytest.MonkeyPatch
) -> RayEvaluator:
    """Return an evaluator of the misbehaving task that has evaluated before."""
    monkeypatch.setattr(shared_evaluator, "deadline", 0.0)
    shared_evaluator.evaluate(networks(task), *CONDITIONS)
    return shared_evaluator


@pytest.fixture
def free(shared_evaluator: RayEvaluator) -> None:
    """Have no actor on the cluster."""
    shared_evaluator.close()


def assert_same(scores: Scores, expected: Scores) -> None:
    assert scores.returns.tobytes() == expected.returns.tobytes()
    assert scores.num_steps == expected.num_steps
    assert scores.faults == ()


@pytest.mark.usefixtures("free")
@pytest.mark.parametrize("name", ["CartPole-v1", "LunarLander-v3", "BipedalWalker-v3"])
def test_actors_give_the_bytes_that_threads_give(name: str) -> None:
    task = load_task(name)
    conditions = CONDITIONS[0][:2], CONDITIONS[1][:1]
    expected = local_scores(task, conditions)
    with RayEvaluator(task) as evaluator:
        for _ in range(2):  # without and with measured costs
            assert_same(evaluator.evaluate(networks(task), *conditions), expected)
        assert evaluator.usage.lost == 0
        assert 0.0 < evaluator.usage.utilisation <= 1.0


@pytest.mark.parametrize(
    "deed", ["step-raise", "reset-raise", "step-exit", "make-exit", "step-kill"]
)
def test_a_fault_that_does_not_recur_leaves_no_trace(
    evaluator: RayEvaluator, task: ControlTask, folder: Path, undisturbed: Scores, deed: str
) -> None:
    lost = evaluator.usage.lost
    with order(folder, deed, "once") as path:
        assert_same(evaluator.evaluate(networks(task), *CONDITIONS), undisturbed)
        assert not path.exists()
    assert evaluator.usage.lost == lost + 1


@pytest.mark.parametrize("is_given", [True, False])
def test_a_worker_that_hangs_is_replaced_after_its_deadline(
    evaluator: RayEvaluator, task: ControlTask, folder: Path, undisturbed: Scores, is_given: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if is_given:
        monkeypatch.setattr(evaluator, "deadline", SHORT)
    else:
        monkeypatch.setattr(distributed, "SHORTEST_DEADLINE", SHORT)
    with order(folder, "step-hang", "once") as path:
        started = time.monotonic()
        assert_same(evaluator.evaluate(networks(task), *CONDITIONS), undisturbed)
        assert time.monotonic() - started >= SHORT
        assert not path.exists()


@pytest.mark.parametrize(
    ("deed", "reason"),
    [("step-kill", "its worker died"), ("step-raise", "step raised ArithmeticError: as ordered")],
)
def test_a_network_that_always_fails_scores_minus_infinity_and_nothing_else_changes(
    evaluator: RayEvaluator, task: ControlTask, folder: Path, undisturbed: Scores, deed: str,
    reason: str,
) -> None:  # fmt: skip
    batch, index, lost = networks(task), 7, evaluator.usage.lost
    with order(folder, deed, own_action(task, batch, index, CONDITIONS)):
        scores = evaluator.evaluate(batch, *CONDITIONS)
    assert [each.index for each in scores.faults] == [index]
    assert reason in scores.faults[0].reason
    others = np.arange(len(batch)) != index
    assert (scores.returns[index] == -np.inf).all()
    assert scores.returns[others].tobytes() == undisturbed.returns[others].tobytes()
    assert evaluator.usage.lost >= lost + distributed.TRIALS


@pytest.mark.parametrize("deed", ["step-raise", "make-exit"])
def test_an_environment_that_fails_for_everybody_is_to_blame_and_not_the_networks(
    evaluator: RayEvaluator, task: ControlTask, folder: Path, undisturbed: Scores, deed: str
) -> None:
    with (
        order(folder, deed),
        pytest.raises((EnvironmentFault, ClusterFault), match=r"as ordered|die while they start"),
    ):
        evaluator.evaluate(networks(task), *CONDITIONS)
    assert_same(evaluator.evaluate(networks(task), *CONDITIONS), undisturbed)


@pytest.mark.usefixtures("free")
def test_workers_whose_environment_cannot_be_made_are_tried_three_times(
    task: ControlTask, folder: Path
) -> None:
    with (
        RayEvaluator(task, 1) as evaluator,
        order(folder, "make-raise"),
        pytest.raises(EnvironmentFault, match="could not be made: ArithmeticError: as ordered"),
    ):
        evaluator.evaluate(networks(task), *CONDITIONS)
    assert evaluator.usage.lost == distributed.TRIALS - 1


@pytest.mark.usefixtures("free")
def test_a_worker_killed_from_outside_leaves_no_trace(tmp_path: Path, undisturbed: Scores) -> None:
    slow = misbehaving_task(tmp_path / "orders", pause=0.01)
    with RayEvaluator(slow) as evaluator:
        evaluator.evaluate(networks(slow), *CONDITIONS)
        processes(tmp_path / "orders")

        def kill() -> None:
            while len(found := processes(tmp_path / "orders")) == 0:
                time.sleep(0.05)
            os.kill(found[0], signal.SIGKILL)

        with in_background(kill):
            assert_same(evaluator.evaluate(networks(slow), *CONDITIONS), undisturbed)
        assert evaluator.usage.lost == 1


class in_background:  # noqa: N801
    """A function that runs in a thread while the block does; what it raises is raised after it."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.error: BaseException | None = None
        self.function = function
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            self.function()
        except BaseException as error:
            self.error = error

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.thread.join(60.0)
        if self.error is not None:
            raise self.error


@pytest.mark.usefixtures("free")
def test_the_pool_follows_nodes_that_are_lost_and_added(
    cluster: Cluster, tmp_path: Path, undisturbed: Scores
) -> None:
    folder = tmp_path / "orders"
    slow = misbehaving_task(folder, pause=0.005)

    def used(evaluator: RayEvaluator) -> int:
        processes(folder)
        assert_same(evaluator.evaluate(networks(slow), *CONDITIONS), undisturbed)
        return len(processes(folder))

    def remove() -> None:
        while len(processes(folder)) == 0:
            time.sleep(0.05)
        cluster.remove_node(next(iter(cluster.worker_nodes)))

    with RayEvaluator(slow) as evaluator:
        while used(evaluator) < 2:
            pass
        try:
            with in_background(remove):
                assert_same(evaluator.evaluate(networks(slow), *CONDITIONS), undisturbed)
            assert used(evaluator) == 1
        finally:
            cluster.add_node(num_cpus=1)
            cluster.wait_for_nodes()
        while used(evaluator) < 2:
            pass


def test_an_interrupted_batch_leaves_nothing_to_the_next(
    evaluator: RayEvaluator, task: ControlTask, folder: Path, undisturbed: Scores
) -> None:
    def interrupt() -> None:
        time.sleep(1.0)
        os.kill(os.getpid(), signal.SIGINT)

    with (
        order(folder, "step-hang", "once"),
        in_background(interrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        evaluator.evaluate(networks(task), *CONDITIONS)
    assert_same(evaluator.evaluate(networks(task), *CONDITIONS), undisturbed)


def test_workers_import_neither_torch_nor_pandas(evaluator: RayEvaluator) -> None:
    import ray

    def loaded(worker: Any) -> list[str]:
        import sys

        return [each for each in ("torch", "pandas", "matplotlib", "numpy") if each in sys.modules]

    call = evaluator._members[0].actor.__ray_call__
    assert ray.get(call.remote(loaded)) == ["numpy"]


def test_more_workers_than_the_cluster_has_are_refused(cluster: Cluster, task: ControlTask) -> None:
    with pytest.raises(ValueError, match="3 workers are wanted, but the cluster has 2 CPUs; leave"):
        RayEvaluator(task, 3)
    with pytest.raises(ValueError, match="workers must be"):
        RayEvaluator(task, -1)


def test_no_workers_and_an_empty_batch_need_no_cluster_at_all(
    evaluator: RayEvaluator, task: ControlTask
) -> None:
    calls = evaluator.usage.calls
    nobody = networks(task).take(np.zeros(0, dtype=np.int64))
    assert evaluator.evaluate(nobody, *CONDITIONS).returns.shape == (0, 3, 4)
    assert evaluator.usage.calls == calls


def test_a_cluster_that_others_fill_is_named_after_a_while(
    evaluator: RayEvaluator, task: ControlTask
) -> None:
    wanted = "no worker has been there for 2 s: the cluster is down, or others hold all of its 2"
    with (
        RayEvaluator(task, patience=2.0) as another,
        pytest.raises(ClusterFault, match=wanted),
    ):
        another.evaluate(networks(task), *CONDITIONS)


SEARCH = SearchConfig(
    task="Misbehaving", seed=3, generations=4, population=16, episodes=2, tournament=2,
    validation_episodes=2, test_episodes=2, weights="-1,1",
)  # fmt: skip


def final_bytes(outcome: Outcome) -> dict[str, bytes]:
    return {name: (outcome.folder / name).read_bytes() for name in FINAL_FILES}


@pytest.fixture(scope="module")
def undisturbed_run(task: ControlTask, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    spec = RunSpec(SEARCH, task.card)
    return Run(spec, tmp_path_factory.mktemp("local"), Backend("local", 1)).execute()


@pytest.mark.usefixtures("free")
def test_a_run_whose_nodes_all_go_is_saved_and_goes_on_when_there_are_new_ones(
    cluster: Cluster, task: ControlTask, undisturbed_run: Outcome, tmp_path: Path
) -> None:
    def remove_all(search: Any, report: Any) -> None:
        if report.generation == 1:
            for node in list(cluster.worker_nodes):
                cluster.remove_node(node)

    spec, backend = RunSpec(SEARCH, task.card), Backend("ray", address=cluster.address)
    hasty = replace(backend, patience=4.0)
    try:
        with pytest.raises(ClusterFault, match=r"no worker has been there for 4 s.* --resume goes"):
            Run(spec, tmp_path, hasty).execute([remove_all])
    finally:
        for _ in range(2):
            cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
    outcome = Run(spec, tmp_path, backend).execute()
    assert outcome.resumed_at == 2
    assert final_bytes(outcome) == final_bytes(undisturbed_run)


@pytest.mark.usefixtures("free")
def test_a_run_with_a_network_that_kills_goes_on_and_resumes_with_the_same_bytes(
    task: ControlTask, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    search = Coordinator(SEARCH, task.num_inputs, task.num_outputs)
    batch, index = search.ask(), 4
    action = own_action(task, batch, index, (search.weights, search.seeds))
    spec, backend = RunSpec(SEARCH, task.card), Backend("ray")
    with order(folder, "step-exit", action):
        whole = Run(spec, tmp_path / "whole", backend).execute()
        lines = [each.getMessage() for each in caplog.records if each.name == "wann"]
        Run(spec, tmp_path / "stopped", backend).execute([lambda *_: True])
        resumed = Run(spec, tmp_path / "stopped", backend).execute()
    assert len(lines) == 1
    assert f"network {batch[index].key():016x} is not scored again: its worker died" in lines[0]
    assert (resumed.resumed_at, resumed.generations) == (1, SEARCH.generations)
    assert final_bytes(resumed) == final_bytes(whole)
    for root in ("whole", "stopped"):
        saved = load_checkpoint(Run(spec, tmp_path / root).paths.checkpoint)
        assert [each.key for each in saved.state.quarantined] == [batch[index].key()]


@pytest.mark.usefixtures("free")
def test_a_search_on_three_nodes_gives_the_local_bytes(cluster: Cluster, tmp_path: Path) -> None:
    config = SEARCH.replace(task="CartPole-v1")
    spec = RunSpec(config, load_task("CartPole-v1").card)
    there = Run(spec, tmp_path / "there", Backend("auto", 0, cluster.address)).execute()
    here = Run(spec, tmp_path / "here", Backend("local", 2)).execute()
    assert final_bytes(there) == final_bytes(here)


BLOCK = """
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "wann":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Block())
"""


@contextmanager
def another_node(cluster: Cluster, num_cpus: int = 1, **variables: str) -> Iterator[None]:
    """Have one more node in here, whose processes see these variables."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        node = cluster.add_node(num_cpus=num_cpus)
    try:
        cluster.wait_for_nodes()
        yield
    finally:
        cluster.remove_node(node)


@pytest.mark.usefixtures("free")
def test_a_node_without_our_package_is_named(
    cluster: Cluster, task: ControlTask, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(BLOCK)
    wanted = "a worker cannot import wann: install the same version of wann-search on every machine"
    with (
        another_node(cluster, PYTHONPATH=str(tmp_path)),
        RayEvaluator(task) as evaluator,
        pytest.raises(ClusterFault, match=wanted),
    ):
        evaluator.evaluate(networks(task), *CONDITIONS)


def test_a_node_without_our_package_that_joins_later_is_left_out(
    evaluator: RayEvaluator, cluster: Cluster, task: ControlTask, tmp_path: Path,
    undisturbed: Scores, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    (tmp_path / "sitecustomize.py").write_text(BLOCK)
    with another_node(cluster, PYTHONPATH=str(tmp_path)):
        deadline = time.monotonic() + 60.0
        while not caplog.records and time.monotonic() < deadline:
            assert_same(evaluator.evaluate(networks(task), *CONDITIONS), undisturbed)
        for _ in range(3):
            assert_same(evaluator.evaluate(networks(task), *CONDITIONS), undisturbed)
    (line,) = [each.getMessage() for each in caplog.records if each.name == "wann"]
    assert line.startswith("one worker cannot start, the search goes on without it: a worker cann")


@pytest.mark.usefixtures("free")
def test_workers_of_another_version_are_refused(
    task: ControlTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed, "__version__", "0.0.1")
    with (
        RayEvaluator(task, 1) as evaluator,
        pytest.raises(RuntimeError, match=r"but the search runs with 0\.0\.1; install the same"),
    ):
        evaluator.evaluate(networks(task), *CONDITIONS)


def test_a_cluster_of_another_version_of_ray_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    program = (
        "import sys, ray\nray.__version__ = '2.0.0'\n"
        "from wann.cli.main import search\nsys.exit(search(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *TINY, "--quiet", f"--ray-address={cluster.address}"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    wanted = f"wann-search: error: the cluster at {cluster.address} cannot be joined: Version misma"
    assert done.stderr.startswith(wanted)


@pytest.mark.usefixtures("free")
@pytest.mark.parametrize("name", ["policy", pytest.param("lanes", marks=pytest.mark.slow)])
def test_kernels_are_compiled_once_a_node_and_never_again(
    cluster: Cluster, task: ControlTask, tmp_path: Path, name: str
) -> None:
    played = load_task("CartPole-v1") if name == "lanes" else task

    def kernels() -> dict[str, int]:
        return {each.name: each.stat().st_mtime_ns for each in tmp_path.rglob("*.nb[ic]")}

    def have_all_play() -> None:
        with RayEvaluator(played) as evaluator:
            while not evaluator._members or not all(each.is_ready for each in evaluator._members):
                evaluator.evaluate(networks(played), *CONDITIONS)

    with another_node(cluster, 2, NUMBA_CACHE_DIR=str(tmp_path)):
        have_all_play()
        before = kernels()
        (marker,) = tmp_path.rglob(f"{name}-*{MARKER_SUFFIX}")
        assert not list(tmp_path.rglob(f"breeding-*{MARKER_SUFFIX}"))
        assert max(before.values()) <= marker.stat().st_mtime_ns + 10**9
        assert all(each.endswith((".nbi", ".1.nbc")) for each in before)
        have_all_play()
        assert kernels() == before


def test_a_task_larger_than_an_object_store_is_refused(cluster: Cluster, task: ControlTask) -> None:
    card = replace(task.card, arguments={"data": bytes(200 * 2**20)})
    wanted = r"task 'Misbehaving' takes 210 MB, but the object store of a machine has 157 MB; give"
    with pytest.raises(ClusterFault, match=wanted):
        RayEvaluator(replace(task, card=card))


@pytest.mark.usefixtures("free")
def test_a_full_disk_on_the_driver_keeps_the_last_checkpoint(
    task: ControlTask, undisturbed_run: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wann import checkpoint, run

    def full(path: Path, data: bytes) -> None:
        written.append(path)
        if len(written) >= 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        write(path, data)

    write, written = checkpoint.write_atomically, list[Path]()
    monkeypatch.setattr(run, "CHECKPOINT_INTERVAL", 0.0)
    monkeypatch.setattr(run, "CHECKPOINT_SHARE", 1e9)
    monkeypatch.setattr(checkpoint, "write_atomically", full)
    search = Run(RunSpec(SEARCH, task.card), tmp_path, Backend("ray"))
    with pytest.raises(OSError, match="No space left on device"):
        search.execute()
    monkeypatch.setattr(checkpoint, "write_atomically", write)
    outcome = search.execute()
    assert outcome.resumed_at == 2
    assert final_bytes(outcome) == final_bytes(undisturbed_run)
