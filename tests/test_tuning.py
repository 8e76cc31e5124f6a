"""Tuning weights: what it finds, and that it can be stopped at any time."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
from networks import random_network

import wann.tuning
from wann.evaluation import LocalEvaluator
from wann.forward import forward
from wann.network import Network
from wann.scores import Scores
from wann.seeding import Purpose, episode_seeds
from wann.settings import evaluate_settings
from wann.tasks import load_task
from wann.topology import Topology
from wann.tuning import Tuning, TuningReport, turn_of
from wann.tuning_config import TuningConfig

TASK = load_task("CartPole-v1")
NETWORK = random_network(4, 2, 3, 12, seed=5)
SMALL = TuningConfig(
    generations=4, population=6, episodes=1, validation_episodes=2, test_episodes=3, seed=3
)


def tuned(
    config: TuningConfig = SMALL, folder: Path | None = None, network: Network = NETWORK, **options
) -> Network:
    with LocalEvaluator(TASK, 1) as evaluator:
        return Tuning(TASK, network, config, folder).run(evaluator, 1, **options)


def interrupt_at(generation: int):
    def watch(report: TuningReport) -> None:
        if report.generation == generation:
            raise KeyboardInterrupt

    return watch


@pytest.fixture(autouse=True)
def _short_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wann.tuning, "VALIDATION_INTERVAL", 2)
    monkeypatch.setattr(wann.tuning, "FIRST_TURN", 2)


class Hill:
    """Stands for all that plays: a return is minus the distance to weights that are best."""

    def __init__(self, *_: object) -> None:
        self.target = np.linspace(-1.0, 1.0, NETWORK.topology.num_connections)
        self.num_steps = 0

    def __enter__(self) -> Hill:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def returns(self, weights, seeds):
        self.num_steps += len(weights) * len(seeds)
        return -np.linalg.norm(weights - self.target, axis=1)[:, None] + 0.0 * seeds

    def evaluate(self, topologies, weights, seeds) -> Scores:
        vectors = np.repeat(weights[:, None], len(self.target), axis=1)
        return Scores(self.returns(vectors, seeds)[None])

    def episodes(self, task, topology, weights, seeds):
        vectors = np.stack([np.broadcast_to(each, len(self.target)) for each in weights])
        return self.returns(vectors, seeds[:1])[:, 0], 0


@pytest.fixture
def hill(monkeypatch: pytest.MonkeyPatch) -> Hill:
    hill = Hill()
    monkeypatch.setattr(wann.tuning, "WeightEvaluator", Hill)
    monkeypatch.setattr(wann.tuning, "gymnasium_returns", hill.episodes)
    return hill


@pytest.mark.parametrize("climbs", [1, 3])
def test_weights_climb_to_where_returns_are_highest(hill: Hill, climbs: int) -> None:
    config = dataclasses.replace(SMALL, generations=200, population=12, climbs=climbs, decay=0.0)
    network = Tuning(TASK, NETWORK, config).run(hill)
    np.testing.assert_allclose(network.weights, hill.target, atol=0.01)
    best = network.scores["best_shared"]
    assert network.scores["mean"] > -0.05 > best["test"]["mean"]
    assert abs(best["weight"]) < 0.01  # of all shared weights the middle is nearest


def test_what_is_kept_is_never_worse_in_validation_episodes_than_the_best_shared_weight() -> None:
    network = tuned()
    shared = network.scores["best_shared"]["weight"]
    seeds = episode_seeds(3, Purpose.VALIDATION, 0, 2)
    with wann.tuning.WeightEvaluator(TASK, NETWORK.topology) as player:
        both = np.stack([np.asarray(network.weights), np.full(len(network.weights), shared)])
        means = player.returns(both, seeds).mean(axis=1)
    assert network.scores["validation"] == {"episodes": 2, "mean": means[0]}
    assert means[0] >= means[1]


def test_scores_are_of_the_test_episodes_that_an_evaluation_plays() -> None:
    network = tuned()
    found = {
        each.name: each.summary(3)
        for each in evaluate_settings(
            TASK, NETWORK, tuned=network, episodes=3, seed=3,
            best_weight=network.scores["best_shared"]["weight"],
        )
    }  # fmt: skip
    assert {"weight": None} | network.scores["test"] == found["tuned"]
    best = network.scores["best_shared"]
    assert {"weight": best["weight"]} | best["test"] == found["best_shared"]
    assert network.scores["mean"] == network.scores["test"]["mean"]


def test_the_tuned_network_is_the_same_network_with_other_weights() -> None:
    network = tuned()
    inputs = np.random.default_rng(0).normal(size=(3, 4))
    wanted = forward(NETWORK.topology, np.asarray(network.weights), inputs)
    np.testing.assert_array_equal(network(inputs), wanted)
    assert network.made_by["tuning"]["generations"] == 4
    assert network.task == "CartPole-v1"
    assert network.action == NETWORK.action


RACE = dataclasses.replace(SMALL, climbs=3, generations=16)  # turns of 2, 2, 2, 4, 4, and 2 more


@pytest.mark.parametrize("generation", [1, 2, 5, 6, 10, 14, 16])
def test_a_tuning_that_was_stopped_goes_on_to_the_same_bytes(
    tmp_path: Path, generation: int
) -> None:
    whole = tuned(RACE)
    with pytest.raises(KeyboardInterrupt):
        tuned(RACE, tmp_path, watch=[interrupt_at(generation)])
    seen: list[int] = []
    again = tuned(RACE, tmp_path, watch=[lambda report: seen.append(report.generation)])
    assert seen == list(range(generation + 1, 17))
    assert again.to_json() == whole.to_json()


def test_half_of_the_climbs_go_on_twice_as_long_until_one_is_left() -> None:
    turns = [turn_of(generation, 5) for generation in range(1, 40)]
    first = [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    second = [0] * 4 + [1] * 4 + [2] * 4
    third = [0] * 8 + [1] * 8
    assert [each.place for each in turns] == [*first, *second, *third, 0]
    ends = [number for number, each in enumerate(turns, 1) if each.is_last]
    assert ends == [2, 4, 6, 8, 10, 14, 18, 22, 30, 38]
    assert not any(turn_of(generation, 1).is_last for generation in range(1, 100))


def test_the_climbs_that_go_on_are_those_that_came_highest(hill: Hill) -> None:
    tuning = Tuning(TASK, NETWORK, dataclasses.replace(RACE, climbs=4, generations=8))
    seen: list[list[float]] = []

    def watch(report: TuningReport) -> None:
        assert tuning.state is not None
        seen.append([each.best_mean for each in tuning.state.climbs])

    tuning.run(hill, watch=[watch])
    *_, before, after = seen
    assert [len(each) for each in seen] == [4] * 7 + [2]
    assert before[3] == -math.inf  # its turn was not over
    assert after == sorted(after, reverse=True)
    dropped = set(before[:3]) - set(after)
    assert dropped
    assert max(dropped) < min(after)


def test_climbs_begin_two_by_two_at_shared_weights_the_better_ones_first(hill: Hill) -> None:
    tuning = Tuning(TASK, NETWORK, dataclasses.replace(RACE, climbs=5, generations=0))
    tuning.run(hill)
    assert tuning.state is not None
    starts = [np.unique(each.optimizer.mean).tolist() for each in tuning.state.climbs]
    sigmas = [each.optimizer.__getstate__()["_sigma"] for each in tuning.state.climbs]
    assert [len(each) for each in starts] == [1] * 5
    assert starts[0] == starts[1] == [tuning.state.shared_weight]
    assert starts[2] == starts[3] != starts[4]
    assert abs(starts[0][0]) < 0.1 < abs(starts[2][0]) < abs(starts[4][0]) + 0.1
    np.testing.assert_allclose(sigmas, [0.1, 0.3, 0.1, 0.3, 0.1])


def test_decay_pulls_weights_that_change_nothing_towards_0(
    hill: Hill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Hill, "returns", lambda self, weights, seeds: np.ones((len(weights), 1)))
    begun = dataclasses.replace(SMALL, climbs=1, generations=60, population=12)
    ends = []
    for decay in (0.0, 0.01):
        tuning = Tuning(
            TASK,
            Network(NETWORK.topology, hill.target + 9.0),
            dataclasses.replace(begun, decay=decay),
        )
        tuning.run(hill)
        assert tuning.state is not None
        ends.append(float(np.linalg.norm(tuning.state.climbs[0].optimizer.mean)))
    assert ends[1] < 0.1 * ends[0]


def test_a_finished_tuning_can_be_made_longer(tmp_path: Path) -> None:
    tuned(dataclasses.replace(SMALL, generations=3), tmp_path)
    longer = tuned(SMALL, tmp_path)
    assert longer.to_json() == tuned(SMALL).to_json()
    assert len(list(tmp_path.iterdir())) == 1


def test_other_settings_have_a_state_of_their_own(tmp_path: Path) -> None:
    tuned(SMALL, tmp_path, time_limit=0)
    tuned(dataclasses.replace(SMALL, seed=4), tmp_path, time_limit=0)
    assert len(list(tmp_path.iterdir())) == 2


def test_without_time_the_best_shared_weight_is_what_there_is() -> None:
    network = tuned(time_limit=0)
    shared = network.scores["best_shared"]["weight"]
    assert np.asarray(network.weights).tolist() == [shared] * NETWORK.topology.num_connections
    assert network.made_by["tuning"]["generations"] == 0


def test_weights_of_its_own_are_where_tuning_begins_when_they_are_better(hill: Hill) -> None:
    near = Network(NETWORK.topology, hill.target + 0.001)
    network = Tuning(TASK, near, dataclasses.replace(SMALL, generations=0)).run(hill)
    np.testing.assert_array_equal(network.weights, near.weights)
    far = Network(NETWORK.topology, hill.target + 9.0)
    network = Tuning(TASK, far, dataclasses.replace(SMALL, generations=0)).run(hill)
    assert len(set(np.asarray(network.weights).tolist())) == 1


def test_new_episodes_come_with_each_generation_and_all_candidates_share_them(
    hill: Hill, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, list[int]]] = []
    real = Hill.returns

    def returns(self, weights, seeds):
        asked.append((len(weights), seeds.tolist()))
        return real(self, weights, seeds)

    monkeypatch.setattr(Hill, "returns", returns)
    Tuning(TASK, NETWORK, SMALL).run(hill)
    generations = [tuple(seeds) for count, seeds in asked if count == SMALL.population]
    assert generations == [
        tuple(episode_seeds(3, Purpose.TRAIN, number, 1)) for number in range(1, 5)
    ]
    assert len(set(generations)) == 4


def test_a_network_without_links_has_nothing_to_tune() -> None:
    no_links = np.zeros(0, dtype=np.int32)
    topology = Topology(
        4, np.zeros(8, np.int32), no_links, np.ones(7, np.uint8), np.array([5, 6], np.int32)
    ).check()
    with pytest.raises(ValueError, match="no connections, so there are no weights to tune"):
        Tuning(TASK, Network(topology, 1.0), SMALL)


def test_a_network_of_another_task_is_refused() -> None:
    with pytest.raises(ValueError, match="'CartPole-v1' needs networks of 4 inputs and 2 outputs"):
        Tuning(TASK, random_network(5, 1, 2, 6, seed=1), SMALL)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"generations": -1}, "generations must be between 0 and 1,000,000, but -1 was given"),
        ({"population": 3}, "population must be 0 or at least 4, but 3 was given"),
        ({"episodes": 0}, "episodes must be between 1 and"),
        ({"sigma": 0.0}, "sigma must be between 1e-09 and"),
        ({"sigma": float("nan")}, "sigma must be between"),
        ({"decay": -0.1}, "decay must be at least 0|decay must be between 0"),
        ({"climbs": 21}, "climbs must be between 0 and 20, but 21 was given"),
        ({"seed": -1}, "seed must be between 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(values: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TuningConfig(**values)
