import dataclasses

import gymnasium
import numpy as np
import pytest

from tests.networks import random_network
from wann.export.policy import to_policy
from wann.forward import forward
from wann.network import Network
from wann.tasks import load_task


def network_for(task, **changes):
    network = random_network(task.num_inputs, task.num_outputs, 12, 40, seed=3)
    changes = {"task": task.id, "action": task.action_rule} | changes
    return dataclasses.replace(network, **changes)


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("name", ["CartPole-v1", "Pendulum-v1", "MountainCarContinuous-v0"])
def test_a_policy_plays_an_environment_as_the_task_would(name, library):
    task = load_task(name)
    network = network_for(task, offset=tuple(task.offset), scale=tuple(task.scale))
    policy = to_policy(network, library=library)
    environment = gymnasium.make(name)
    observation, _ = environment.reset(seed=4)
    for _ in range(20):
        outputs = forward(network.topology, network.weights, task.observe(observation)[None])[0]
        action = policy(observation)
        assert environment.action_space.contains(action)
        np.testing.assert_allclose(action, task.act(outputs), rtol=1e-6)
        observation, _, terminated, _, _ = environment.step(action)
        if terminated:
            break


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_a_policy_moves_and_scales_observations_and_takes_another_weight(library):
    task = load_task("CartPole-v1")
    scale, offset = (2.0, 3.0, 4.0, 5.0), (0.1, 0.2, 0.3, 0.4)
    network = network_for(task, offset=offset, scale=scale)
    policy = to_policy(network, weight=-0.7, library=library)
    observation = np.array([1.0, -2.0, 0.5, 0.25], dtype=np.float32)
    inputs = (observation.astype(np.float64) - offset) / np.array(scale)
    wanted = forward(network.topology, -0.7, inputs[None])[0]
    np.testing.assert_allclose(policy.inputs(observation), inputs)
    np.testing.assert_allclose(policy.outputs(inputs), wanted, rtol=1e-12)


def test_spaces_of_ones_own_need_no_task():
    box = gymnasium.spaces.Box(-1.0, 1.0, (2, 2))
    network = Network(random_network(4, 3, 5, 20, seed=1).topology, 1.0)
    policy = to_policy(
        network, observation_space=box, action_space=gymnasium.spaces.Discrete(3, start=5)
    )
    assert policy.rule == "argmax"
    assert policy(np.zeros((2, 2))) in (5, 6, 7)


def test_what_does_not_fit_is_refused():
    network = Network(random_network(4, 2, 5, 20, seed=1).topology, 1.0)
    with pytest.raises(ValueError, match="the network names no task; give one, or both spaces"):
        to_policy(network)
    with pytest.raises(ValueError, match=r"needs 6 inputs and 3 outputs, but the network has 4 an"):
        to_policy(network, load_task("Acrobot-v1"))
    with pytest.raises(ValueError, match="give both an observation space and an action space"):
        to_policy(network, action_space=gymnasium.spaces.Discrete(2))
    with pytest.raises(ValueError, match="library must be 'numpy' or 'torch', but 'jax' was given"):
        to_policy(network, load_task("CartPole-v1"), library="jax")
    named = dataclasses.replace(network, action="clip")
    with pytest.raises(ValueError, match=r"no action rule .* 'clip'"):
        to_policy(named, load_task("CartPole-v1"))
