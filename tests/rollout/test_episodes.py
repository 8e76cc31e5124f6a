from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest

from wann.genome import minimal_genome
from wann.rollout.compiled import COMPILED_TASKS, rollout
from wann.rollout.episodes import Episode, kernel_of, play, rollout_episodes, starts
from wann.rollout.single import policy
from wann.tasks import Card, ControlTask, EnvironmentFault, control_task, load_task
from wann.topology import Topologies, compile

COMPILED_IDS = [each.environment_id for each in COMPILED_TASKS]


class Counting(gymnasium.Env[Any, Any]):
    """Rewards its own step count; at step `at` it commits `fault`."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,))
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, fault: str = "", at: int = 3) -> None:
        self.fault, self.at, self.count = fault, at, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.count = 0
        if self.at == 0:
            self.commit()
        return self.observation(), {}

    def step(self, action: Any) -> Any:
        self.count += 1
        if self.count == self.at and self.fault in ("raises", "four values", "two ends"):
            return self.commit()
        return self.observation(), self.reward(), self.count == 5 and not self.fault, False, {}

    def commit(self) -> Any:
        if self.fault == "raises":
            raise RuntimeError("the simulator\nhas crashed")
        if self.fault == "two ends":
            return np.zeros(2), 0.0, np.array([True, False]), False, {}
        return np.zeros(2), 0.0, False, {}

    def observation(self) -> Any:
        values = {
            "nan observation": np.array([0.0, np.nan]),
            "another shape": np.zeros(3),
            "no array": "nothing",
            "infinite observation": np.array([np.inf, 0.0]),
        }
        return values.get(self.fault, np.zeros(2)) if self.count == self.at else np.zeros(2)

    def reward(self) -> Any:
        values = {"nan reward": np.nan, "infinite reward": -np.inf, "no reward": None}
        usual = np.float64(self.count)
        return values.get(self.fault, usual) if self.count == self.at else usual


@pytest.fixture
def counting() -> Iterator[str]:
    gymnasium.register("test/Counting-v0", entry_point=Counting)
    yield "test/Counting-v0"
    del gymnasium.registry["test/Counting-v0"]


def networks(task: ControlTask, count: int = 3, seed: int = 1) -> Topologies:
    rng = np.random.default_rng(seed)
    size = (task.num_inputs + 1) * task.num_outputs
    genomes = [
        minimal_genome(task.num_inputs, task.num_outputs, rng.random(size) < 0.6)
        for _ in range(count)
    ]
    return Topologies.stack([compile(genome) for genome in genomes])


def played(task: ControlTask, seed: int = 0) -> Episode:
    return play(task, task.make(), policy(networks(task)[0], 1.0), seed)


def test_an_episodes_return_is_the_sum_of_its_rewards(counting: str) -> None:
    assert played(load_task(counting)) == Episode(return_=15.0, num_steps=5)


def test_rewards_whose_sum_overflows_are_a_fault_of_the_environment(
    counting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Counting, "reward", lambda self: 1e308)
    with pytest.raises(EnvironmentFault, match="step 2: the sum of the rewards is too large"):
        played(load_task(counting))


FAULTS = {
    "raises": "step raised RuntimeError: the simulator has crashed",
    "four values": "step raised ValueError: not enough values to unpack",
    "two ends": "step raised ValueError: The truth value of an array",
    "nan reward": "the reward must be a finite number, but it was nan",
    "infinite reward": "the reward must be a finite number, but it was -inf",
    "no reward": "the reward must be a finite number, but it was None",
    "nan observation": r"observation 'x\[1\]' was nan",
    "another shape": r"of the observation, ValueError: its shape must be \(2,\), but it is \(3,\)",
    "no array": "of the observation, ValueError: could not convert",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_with_environment_seed_and_step(counting: str, fault: str) -> None:
    task = control_task(Card("counting", environment=counting, arguments={"fault": fault}))
    where = f"environment 'test/Counting-v0', seed 11, step 3: {FAULTS[fault]}"
    with pytest.raises(EnvironmentFault, match=where) as raised:
        played(task, seed=11)
    assert "\n" not in str(raised.value)
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)


def test_a_fault_of_the_reset_is_step_zero(counting: str) -> None:
    arguments = {"fault": "raises", "at": 0}
    with pytest.raises(EnvironmentFault, match="step 0: reset raised RuntimeError: the simulator"):
        played(control_task(Card("counting", environment=counting, arguments=arguments)))
    arguments = {"fault": "nan observation", "at": 0}
    with pytest.raises(EnvironmentFault, match="step 0: observation"):
        played(control_task(Card("counting", environment=counting, arguments=arguments)))


def test_an_infinite_observation_is_no_fault(counting: str) -> None:
    arguments = {"fault": "infinite observation"}
    card = Card("counting", environment=counting, arguments=arguments, max_steps=4)
    assert played(control_task(card)).num_steps == 4


def test_an_environment_that_never_ends_is_cut(counting: str) -> None:
    endless = {"fault": "none of these"}
    task = control_task(Card("counting", environment=counting, arguments=endless))
    assert played(task).num_steps == 1000
    unlimited = Counting("none of these")
    assert play(task, unlimited, policy(networks(task)[0], 1.0), 0).num_steps == 1000


def test_a_rollout_is_the_episodes_of_every_network_weight_and_seed() -> None:
    task = load_task("CartPole-v1")
    topologies, weights = networks(task), np.array([-1.0, 0.0, 2.0])
    seeds = np.array([3, 2**40])
    returns, num_steps = rollout_episodes(task, topologies, weights, seeds)
    assert returns.shape == (3, 3, 2)
    assert num_steps == returns.sum()  # a point a step
    for g, w, r in np.ndindex(returns.shape):
        network = policy(topologies[g], float(weights[w]))
        assert play(task, task.make(), network, int(seeds[r])).return_ == returns[g, w, r]


def test_a_part_of_a_batch_gives_its_part_of_the_returns() -> None:
    task = load_task("CartPole-v1")
    topologies, weights, seeds = networks(task, 5), np.array([1.0]), np.array([3, 4])
    whole, _ = rollout_episodes(task, topologies, weights, seeds)
    part, num_steps = rollout_episodes(task, topologies, weights, seeds, start=1, stop=3)
    np.testing.assert_array_equal(part, whole[1:3])
    assert num_steps == part.sum()


@pytest.mark.parametrize("name", COMPILED_IDS)
def test_a_kernel_from_gymnasiums_starts_plays_gymnasiums_episodes(name: str) -> None:
    task = load_task(name)
    kernel = kernel_of(task)
    assert kernel is not None
    topologies, weights, seeds = networks(task, 2), np.array([-0.5, 1.0]), np.array([5, 6])
    slow, slow_steps = rollout_episodes(task, topologies, weights, seeds)
    start = starts(task, kernel, seeds)
    fast, fast_steps = rollout(
        kernel, topologies, weights, start.states, start.observations, max_steps=task.max_steps
    )
    assert slow_steps == fast_steps
    np.testing.assert_allclose(fast, slow, rtol=1e-6)


def test_arguments_wrappers_or_another_rule_have_no_kernel() -> None:
    assert kernel_of(control_task(Card("T", environment="Pendulum-v1"))) is not None
    for card in (
        Card("T", environment="Pendulum-v1", arguments={"g": 9.81}),
        Card("T", environment="Pendulum-v1", action="tanh"),
        Card("T", environment="Pendulum-v1", wrappers=("gymnasium.wrappers:FlattenObservation",)),
        Card("T", environment="FrozenLake-v1"),
    ):
        assert kernel_of(control_task(card)) is None


@pytest.mark.parametrize(
    "name",
    [
        "LunarLander-v3",
        "BipedalWalker-v3",  # its physics world outlives a reset
        "FrozenLake-v1",
        "Acrobot-v1",
        "wann_envs:wann/SwingUp-v0",
        pytest.param("CarRacing-v3", marks=pytest.mark.slow),
    ],
)
def test_a_return_does_not_depend_on_what_was_played_before(name: str) -> None:
    if name in ("LunarLander-v3", "BipedalWalker-v3", "CarRacing-v3"):
        pytest.importorskip("Box2D", reason="the extra box2d is not installed")
    card = load_task(name).card
    limit = 40 if name == "CarRacing-v3" else 400
    task = control_task(
        Card(name, environment=card.environment, wrappers=card.wrappers, max_steps=limit)
    )
    batch, weights, seeds = networks(task, 6), np.array([-1.5, 0.5, 1.5]), np.array([3, 8])
    together, _ = rollout_episodes(task, batch, weights, seeds)
    alone = [
        rollout_episodes(task, batch, weights, seeds, start=index, stop=index + 1)[0]
        for index in reversed(range(len(batch)))
    ]
    assert np.array_equal(together, np.concatenate(alone[::-1]))


class Forgetful(Counting):
    """Counts on through all its episodes, as an environment whose reset forgets something."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        return self.observation(), {}

    def step(self, action: Any) -> Any:
        self.count += 1
        return self.observation(), float(self.count), self.count % 5 == 0, False, {}


@pytest.mark.parametrize(("reuse", "last"), [(None, 15.0), (False, 15.0), (True, 40.0)])
def test_an_environment_is_reused_only_where_the_card_says_so(
    reuse: bool | None, last: float
) -> None:
    gymnasium.register("test/Forgetful-v0", entry_point=Forgetful)
    try:
        task = control_task(
            Card("T", environment="test/Forgetful-v0", reuse_environment=reuse, max_steps=50)
        )
        returns, _ = rollout_episodes(task, networks(task, 1), np.array([1.0]), np.array([1, 2]))
    finally:
        del gymnasium.registry["test/Forgetful-v0"]
    assert returns.tolist() == [[[15.0, last]]]


@pytest.mark.parametrize("name", ["Blackjack-v1", "Taxi-v4", "FrozenLake-v1", "CliffWalking-v1"])
def test_tasks_of_discrete_and_tuple_spaces_play(name: str) -> None:
    task = load_task(name)
    returns, num_steps = rollout_episodes(
        task, networks(task, 1), np.array([1.0]), np.array([0, 1])
    )
    assert np.isfinite(returns).all()
    assert num_steps >= 2
