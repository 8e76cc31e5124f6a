"""Runs of neat-python as the baseline: their bytes, their scores, their end and their start."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest

from wann.config import SearchConfig
from wann.export import progress
from wann.neat import NeatSearch
from wann.network import Network, load_network
from wann.network_evaluator import NetworkEvaluator
from wann.records import load_run
from wann.rollout.episodes import play
from wann.run import Run
from wann.run_files import RunSpec
from wann.seeding import Purpose
from wann.tasks import load_task

TASK = load_task("CartPole-v1")
CONFIG = SearchConfig(
    algorithm="neat",
    generations=5,
    population=16,
    episodes=2,
    activations=("tanh", "sin"),
    validation_episodes=3,
    test_episodes=4,
)
FINAL_FILES = ("front.csv", "front.jsonl", "champion.json")


@pytest.fixture(autouse=True)
def no_learning_curve(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the picture that takes longer than the run."""
    monkeypatch.setattr(progress, "draw_progress", lambda *_: None)


def run_in(root: Path, **changes: int) -> Run:
    return Run(RunSpec(CONFIG.replace(**changes), TASK.card), root)


def final_bytes(run: Run) -> dict[str, bytes]:
    return {name: run.paths.file(name).read_bytes() for name in FINAL_FILES}


def test_the_same_seed_gives_the_same_bytes_whatever_python_drew_before(
    tmp_path: Path, unchecked: Callable[[], AbstractContextManager[None]]
) -> None:
    first, second, other = run_in(tmp_path / "a"), run_in(tmp_path / "b"), run_in(tmp_path, seed=1)
    first.execute()
    random.seed(77)
    before = random.getstate()
    with unchecked():  # whose checks draw random numbers
        second.execute()
    assert random.getstate() == before
    assert final_bytes(first) == final_bytes(second)
    other.execute()
    assert final_bytes(first) != final_bytes(other)


def test_a_run_that_was_stopped_ends_with_the_same_bytes(tmp_path: Path) -> None:
    whole, stopped = run_in(tmp_path / "a"), run_in(tmp_path / "b")
    whole.execute()

    def stop(_: object, report: object) -> None:
        if report.generation == 2:  # pyright: ignore[reportAttributeAccessIssue]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped.execute([stop])
    outcome = run_in(tmp_path / "b").execute()
    assert (outcome.resumed_at, outcome.generations) == (3, 5)
    assert final_bytes(whole) == final_bytes(stopped)


def test_an_interrupted_generation_leaves_no_trace() -> None:
    search, whole = [NeatSearch(CONFIG, 4, 2, NetworkEvaluator(TASK, workers=1)) for _ in range(2)]
    search.step()
    evaluate = search.evaluator.evaluate

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    search.evaluator.evaluate = fail  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(KeyboardInterrupt):
        search.step()
    search.evaluator.evaluate = evaluate
    whole.step()
    assert search.step() == whole.step()


def test_a_champion_plays_its_test_episodes_as_its_file_says(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    outcome = run.execute()
    champion = load_network(run.paths.file("champion.json"))
    assert champion.shared_weight is None
    search = NeatSearch(CONFIG, 4, 2, NetworkEvaluator(TASK, workers=1))
    env = TASK.make()
    returns = [
        play(TASK, env, lambda inputs: champion(inputs[np.newaxis])[0], seed).return_
        for seed in search.held_out(Purpose.TEST)[1].tolist()
    ]
    env.close()
    assert champion.scores["test"]["mean"] == np.mean(returns)
    assert champion.scores["test"]["deviation"] == np.std(returns)
    assert outcome.champion.scores["test"]["weights"] == []


def test_a_run_is_labelled_as_what_it_is(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    run.execute()
    assert run.paths.name.startswith("CartPole-v1-neat-s0-")
    assert "neat-python" in run.paths.file("meta.json").read_text()
    assert "pop_size = 16" in run.paths.file("neat.ini").read_text()
    loaded = load_run(run.paths.folder)
    assert loaded.spec.config == CONFIG
    assert isinstance(loaded.champion, Network)
    assert loaded.champion.made_by["algorithm"].startswith("NEAT by neat-python")
    assert len(loaded.networks) == len(loaded.front)


def test_fitness_is_the_mean_return_of_a_genomes_own_weights() -> None:
    search = NeatSearch(CONFIG, 4, 2, NetworkEvaluator(TASK, workers=1))
    report = search.step()
    assert report.best >= report.median > 0
    assert report.num_steps > 0
    assert search.generation == 1
    assert search.archive.best_mean == report.validated


def test_a_search_of_ours_is_not_run_by_neat_python() -> None:
    with pytest.raises(ValueError, match="algorithm must be 'neat' here, but it is 'wann'"):
        NeatSearch(SearchConfig(), 4, 2, NetworkEvaluator(TASK, workers=1))


def test_a_state_of_another_task_is_refused() -> None:
    state = NeatSearch(CONFIG, 4, 2, NetworkEvaluator(TASK, workers=1)).state
    with pytest.raises(ValueError, match="has 4 inputs and 2 outputs, but the task has 3 and 1"):
        NeatSearch(CONFIG, 3, 1, NetworkEvaluator(TASK), state)
