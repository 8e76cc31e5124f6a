"""Runs: identity, files, and the same bytes however often they are killed."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests import killed_run
from tests.killed_run import CONFIG
from wann.config import Backend, SearchConfig
from wann.coordinator import Coordinator, GenerationReport
from wann.network import load_network
from wann.records import load_metrics, load_run
from wann.run import Outcome, Run
from wann.run_files import RunBusy, RunSpec, find_run, read_spec
from wann.tasks import EnvironmentFault, load_task

FINAL_FILES = ("front.csv", "front.jsonl", "champion.json")


def execute(folder: Path, spec: RunSpec | None = None, **options: Any) -> Outcome:
    return Run(spec or killed_run.spec(), folder, backend=Backend(workers=2)).execute(**options)


def final_bytes(folder: Path) -> dict[str, bytes]:
    run = next((folder / "results" / "runs").iterdir())
    return {name: (run / name).read_bytes() for name in FINAL_FILES}


@pytest.fixture(scope="session")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted")
    execute(folder)
    return folder


MOMENTS = [
    *(("before-rename", count) for count in (1, 2, 3, 4, 7, 12)),
    *(("after-rename", count) for count in (1, 3, 4, 9)),
    *(("evaluation", count) for count in (1, 2, 9, 15)),
    *(("row", count) for count in (1, 6)),
    *(("test", count) for count in (1, 13)),
    *(("compile", count) for count in (1, 3)),
]
QUICK_MOMENTS = [("before-rename", 4), ("evaluation", 9), ("test", 13)]


def kill(folder: Path, moment: str, count: int) -> None:
    environment = dict(os.environ)
    if moment == "compile":
        environment["NUMBA_CACHE_DIR"] = str(folder / "cache")
    command = [sys.executable, "-m", "tests.killed_run", str(folder), moment, str(count)]
    killed = subprocess.run(command, env=environment, capture_output=True, timeout=300, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()


@pytest.mark.parametrize(("moment", "count"), QUICK_MOMENTS)
def test_a_killed_run_ends_with_the_bytes_of_one_never_interrupted(
    uninterrupted: Path, tmp_path: Path, moment: str, count: int
) -> None:
    kill(tmp_path, moment, count)
    execute(tmp_path)
    assert final_bytes(tmp_path) == final_bytes(uninterrupted)


@pytest.mark.slow
@pytest.mark.parametrize(("moment", "count"), MOMENTS)
def test_a_run_killed_twice_at_any_moment_ends_with_the_same_bytes_and_metrics(
    uninterrupted: Path, tmp_path: Path, moment: str, count: int
) -> None:
    kill(tmp_path, moment, count)
    kill(tmp_path, "before-rename", 2)
    execute(tmp_path)
    assert not list(tmp_path.rglob("*.wann-tmp"))
    assert final_bytes(tmp_path) == final_bytes(uninterrupted)
    ours, theirs = (
        load_metrics(find_run(CONFIG_NAME, folder)) for folder in (tmp_path, uninterrupted)
    )
    assert ours.pop("seconds") != theirs.pop("seconds")
    assert ours == theirs


CONFIG_NAME = killed_run.spec().name


def test_any_number_of_workers_gives_the_same_bytes(uninterrupted: Path, tmp_path: Path) -> None:
    for workers in (1, 5):
        Run(killed_run.spec(), tmp_path / str(workers), backend=Backend(workers=workers)).execute()
        assert final_bytes(tmp_path / str(workers)) == final_bytes(uninterrupted)


def test_a_run_made_longer_equals_one_that_was_long_from_the_start(tmp_path: Path) -> None:
    spec = killed_run.spec()
    short = dataclasses.replace(spec, config=spec.config.replace(generations=5))
    assert short.name == spec.name
    assert execute(tmp_path / "a", short).generations == 5
    longer = execute(tmp_path / "a", spec)
    assert (longer.resumed_at, longer.generations) == (5, 12)
    execute(tmp_path / "b", spec)
    assert final_bytes(tmp_path / "a") == final_bytes(tmp_path / "b")


def test_a_finished_run_is_not_run_again(uninterrupted: Path) -> None:
    before = final_bytes(uninterrupted)
    outcome = execute(uninterrupted)
    assert outcome.resumed_at == outcome.generations == CONFIG.generations
    assert final_bytes(uninterrupted) == before


def test_fewer_generations_than_a_finished_run_has_change_nothing(tmp_path: Path) -> None:
    execute(tmp_path)
    before = final_bytes(tmp_path)
    spec = killed_run.spec()
    shorter = dataclasses.replace(spec, config=spec.config.replace(generations=3))
    outcome = execute(tmp_path, shorter)
    assert outcome.resumed_at == outcome.generations == CONFIG.generations
    assert final_bytes(tmp_path) == before
    assert read_spec(find_run(CONFIG_NAME, tmp_path)).config.generations == CONFIG.generations


def test_the_last_row_after_a_stop_is_written_again_and_not_twice(tmp_path: Path) -> None:
    def stop(coordinator: Coordinator, report: GenerationReport) -> None:
        if report.generation == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(tmp_path, callbacks=[stop])
    execute(tmp_path)
    metrics = load_metrics(find_run(CONFIG_NAME, tmp_path))
    assert metrics["generation"] == list(range(CONFIG.generations))


def test_an_interrupted_generation_leaves_no_trace(
    uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wann import coordinator as module

    original, calls = module.next_generation, []

    def interrupted(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(module, "next_generation", interrupted)
    with pytest.raises(KeyboardInterrupt):
        execute(tmp_path)
    assert load_run(CONFIG_NAME, tmp_path).networks  # what was found so far is there to use
    execute(tmp_path)
    assert final_bytes(tmp_path) == final_bytes(uninterrupted)


def test_a_time_limit_ends_the_search_and_still_gives_a_champion(tmp_path: Path) -> None:
    outcome = execute(tmp_path, time_limit=0.0)
    assert outcome.generations == 1
    assert outcome.champion.scores["test"]["episodes"] == CONFIG.test_episodes
    assert execute(tmp_path).resumed_at == 1


def test_a_target_ends_the_search_when_the_held_out_mean_reaches_it(tmp_path: Path) -> None:
    outcome = execute(tmp_path, target=1.0)
    assert outcome.reached
    assert outcome.generations == 1
    assert not execute(tmp_path / "missed", target=501.0).reached


def test_the_printed_score_is_of_episodes_that_selection_never_saw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wann import records
    from wann.evaluation import LocalEvaluator

    seen: set[int] = set()
    scored: list[int] = []
    evaluate, play = LocalEvaluator.evaluate, records.rollout_episodes

    def selecting(self: LocalEvaluator, topologies: Any, weights: Any, seeds: Any) -> Any:
        seen.update(seeds.tolist())
        return evaluate(self, topologies, weights, seeds)

    def scoring(task: Any, topologies: Any, weights: Any, seeds: Any) -> Any:
        scored.extend(seeds.tolist())
        return play(task, topologies, weights, seeds)

    monkeypatch.setattr(LocalEvaluator, "evaluate", selecting)
    monkeypatch.setattr(records, "rollout_episodes", scoring)
    execute(tmp_path)
    assert len(set(scored)) == CONFIG.test_episodes
    assert len(scored) == CONFIG.test_episodes * len(CONFIG.shared_weights)
    assert len(seen) >= CONFIG.generations * CONFIG.episodes
    assert not seen & set(scored)


def test_an_interrupted_row_is_neither_lost_nor_written_twice(
    uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wann.records import MetricsFile

    append = MetricsFile.append

    def interrupted(self: MetricsFile, report: GenerationReport, seconds: float) -> None:
        if report.generation == 3:
            raise KeyboardInterrupt
        append(self, report, seconds)

    monkeypatch.setattr(MetricsFile, "append", interrupted)
    with pytest.raises(KeyboardInterrupt):
        execute(tmp_path)
    monkeypatch.undo()
    outcome = execute(tmp_path)
    metrics = load_metrics(find_run(CONFIG_NAME, tmp_path))
    assert metrics["generation"] == list(range(CONFIG.generations))
    assert sum(metrics["num_steps"]) == outcome.num_steps
    assert final_bytes(tmp_path) == final_bytes(uninterrupted)


def test_an_unfinished_run_cannot_be_made_shorter(tmp_path: Path) -> None:
    execute(tmp_path, callbacks=[lambda search, report: report.generation == 5])
    spec = killed_run.spec()
    shorter = dataclasses.replace(spec, config=spec.config.replace(generations=2))
    with pytest.raises(ValueError, match="has 6 generations already"):
        execute(tmp_path, shorter)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 6))
def test_cartpole_is_solved_for_every_weight_by_at_most_ten_connections(
    tmp_path: Path, seed: int
) -> None:
    from wann.config import search_config

    card = load_task("CartPole-v1").card
    own = {"task": "CartPole-v1", "seed": seed}
    config = search_config([("the card", card.search), ("here", own)])
    champion = execute(tmp_path, RunSpec(config, card)).champion
    assert min(champion.scores["test"]["mean_by_weight"]) >= 475
    assert champion.topology.num_connections <= 10


def test_the_champion_file_holds_its_scores_and_nothing_of_the_machine(
    uninterrupted: Path,
) -> None:
    run = find_run(CONFIG_NAME, uninterrupted)
    champion = load_network(run.file("champion.json"))
    assert champion.task == "CartPole-v1"
    assert champion.scores["mean"] == champion.scores["test"]["mean"]
    low, high = champion.scores["test"]["interval"]
    assert low <= champion.scores["mean"] <= high
    text = run.file("champion.json").read_text()
    assert str(uninterrupted) not in text
    assert champion.weights in champion.scores["validation"]["weights"]


def test_loaded_frames_agree_with_each_other(uninterrupted: Path) -> None:
    loaded = load_run(CONFIG_NAME, uninterrupted)
    assert len(loaded.metrics) == CONFIG.generations
    assert loaded.metrics["validated"].is_monotonic_increasing
    assert loaded.front["connections"].is_monotonic_increasing
    assert loaded.front["mean"].is_monotonic_increasing
    sizes = [each.topology.num_connections for each in loaded.networks]
    assert loaded.front["connections"].tolist() == sizes
    assert loaded.champion is not None
    assert loaded.metrics["validated"].iloc[-1] == loaded.front["mean"].iloc[-1]


def test_a_start_network_fills_the_first_generation(tmp_path: Path) -> None:
    start = execute(tmp_path / "first").champion
    spec = dataclasses.replace(killed_run.spec(), start=start)
    assert spec.name != CONFIG_NAME
    seen: list[int] = []

    def look(coordinator: Coordinator, report: GenerationReport) -> None:
        seen.append(report.connections)

    state = Run(spec, tmp_path)._first_state()
    assert state is not None
    from wann.topology import compile_all

    keys = compile_all(state.population.genomes).keys.tolist()
    assert start.topology.key() == keys[0]
    assert len(set(keys)) > len(keys) // 2
    execute(tmp_path, spec, callbacks=[look])
    assert len(seen) == CONFIG.generations


def test_a_start_network_of_another_task_is_refused(tmp_path: Path) -> None:
    start = execute(tmp_path).champion
    spec = RunSpec(SearchConfig(task="Pendulum-v1"), load_task("Pendulum-v1").card, start)
    with pytest.raises(ValueError, match=r"4 inputs and 2 outputs, but task 'Pendulum-v1' has 3"):
        Run(spec, tmp_path)


def hold(folder: str, entered: Any, leave: Any) -> None:
    run = Run(killed_run.spec(), Path(folder))
    run.paths.create()
    with run.paths.held():
        entered.set()
        leave.wait(30)


def test_two_processes_cannot_work_on_one_run(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    entered, leave = context.Event(), context.Event()
    other = context.Process(target=hold, args=(str(tmp_path), entered, leave))
    other.start()
    assert entered.wait(60)
    with pytest.raises(RunBusy, match=r"run CartPole-v1-s5-\w+ is in the hands of another process"):
        execute(tmp_path)
    os.kill(other.pid or 0, signal.SIGKILL)
    other.join()
    assert execute(tmp_path).generations == CONFIG.generations


def test_a_checkpoint_of_another_run_is_refused(uninterrupted: Path, tmp_path: Path) -> None:
    spec = killed_run.spec()
    other = dataclasses.replace(spec, config=spec.config.replace(tournament=4))
    ours, theirs = Run(spec, uninterrupted).paths, Run(other, tmp_path).paths
    theirs.create()
    theirs.checkpoint.write_bytes(ours.checkpoint.read_bytes())
    with pytest.raises(ValueError, match="belongs to another run"):
        execute(tmp_path, other)


def test_a_full_disk_keeps_the_last_checkpoint(
    uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wann import checkpoint, run

    monkeypatch.setattr(run, "CHECKPOINT_INTERVAL", 0.0)
    monkeypatch.setattr(run, "CHECKPOINT_SHARE", 1e9)
    original, calls = checkpoint.write_atomically, []

    def full(path: Path, data: bytes) -> None:
        calls.append(path)
        if len(calls) >= 5:
            raise OSError(28, "No space left on device", str(path))
        original(path, data)

    monkeypatch.setattr(checkpoint, "write_atomically", full)
    with pytest.raises(OSError, match="No space left on device"):
        execute(tmp_path)
    monkeypatch.setattr(checkpoint, "write_atomically", original)
    outcome = execute(tmp_path)
    assert outcome.resumed_at == 4
    assert final_bytes(tmp_path) == final_bytes(uninterrupted)


def test_a_faulty_environment_stops_the_run_and_saves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wann.evaluation import LocalEvaluator

    original, calls = LocalEvaluator.evaluate, []

    def faulty(self: LocalEvaluator, *arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 10:
            raise EnvironmentFault("environment 'X-v0', seed 1, step 2: step raised ValueError")
        return original(self, *arguments)

    monkeypatch.setattr(LocalEvaluator, "evaluate", faulty)
    with pytest.raises(EnvironmentFault, match="step raised"):
        execute(tmp_path)
    monkeypatch.undo()
    assert execute(tmp_path).resumed_at > 0


def test_checkpoints_are_seconds_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from wann import run

    written: list[Path] = []
    original = run.save_checkpoint

    def counted(*arguments: Any) -> None:
        written.append(arguments[1])
        original(*arguments)

    monkeypatch.setattr(run, "save_checkpoint", counted)
    started = time.monotonic()
    execute(tmp_path)
    assert len(written) <= 1 + (time.monotonic() - started) / run.CHECKPOINT_INTERVAL
