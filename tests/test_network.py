import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.networks import random_network
from wann.activations import PAPER_ACTIVATIONS, register_activation
from wann.forward import forward
from wann.network import Network, load_network, network_from_json

SIZES = st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(0, 12), st.integers(0, 40))
SEEDS = st.integers(0, 2**32 - 1)


@given(SIZES, SEEDS, st.booleans())
def test_a_network_comes_back_from_its_text_as_it_was(sizes, seed, shared):
    network = random_network(*sizes, seed=seed, shared=shared)
    text = network.to_json()
    again = network_from_json(text)
    again.topology.check()
    assert again.to_json() == text
    assert text.count("\n") == 1
    inputs = np.random.default_rng(seed).normal(size=(3, network.topology.num_inputs))
    np.testing.assert_array_equal(again(inputs), network(inputs))


def test_a_network_comes_back_from_its_file_with_every_field(tmp_path):
    network = dataclasses.replace(
        random_network(2, 1, 3, 5, seed=1),
        task="wann/SwingUp-v0",
        input_names=("θ", "速度 <b>"),
        output_names=("força",),
        action="clip",
        observation_space="Box(-1, 1, (2,), float32)",
        offset=(0.1, 0.0),
        scale=(2.0, 1e-300),
        scores={"mean": 701.25, "by_weight": [1.0, None], "note": "…"},
        made_by={"version": "0.1.0", "config": "abc"},
    )
    network.save(tmp_path / "champion.json")
    again = load_network(tmp_path / "champion.json")
    for name in ("task", "input_names", "output_names", "action", "observation_space", "offset"):
        assert getattr(again, name) == getattr(network, name)
    assert (again.scale, again.scores, again.made_by) == (
        network.scale,
        network.scores,
        network.made_by,
    )
    assert (tmp_path / "champion.json").read_text() == network.to_json()


def test_the_file_has_the_documented_layout():
    content = json.loads(random_network(1, 1, 1, 3, seed=0, shared=True).to_json())
    assert list(content) == [
        "format", "version", "task", "observation", "action", "inputs", "outputs", "nodes",
        "edges", "weight", "scores", "made_by",
    ]  # fmt: skip
    assert (content["format"], content["version"]) == ("wann-network", 1)
    assert content["nodes"][0] == {"id": 0, "role": "bias", "activation": "linear"}
    assert content["nodes"][-1]["role"] == "output"
    assert content["nodes"][-1]["output"] == 0


def test_outputs_keep_their_order_when_they_stand_in_another():
    network = random_network(2, 3, 4, 12, seed=3)
    shuffled = dataclasses.replace(network.topology, outputs=network.topology.outputs[::-1].copy())
    network = dataclasses.replace(network, topology=shuffled)
    again = network_from_json(network.to_json())
    np.testing.assert_array_equal(again.topology.outputs, shuffled.outputs)


def test_a_network_computes_what_forward_computes():
    network = random_network(3, 2, 5, 14, seed=2, shared=False)
    inputs = np.random.default_rng(0).normal(size=(7, 3))
    expected = forward(network.topology, network.weights, inputs)
    np.testing.assert_array_equal(network(inputs), expected)


def test_a_weight_of_zero_is_a_weight():
    network = dataclasses.replace(random_network(2, 1, 2, 5, seed=4), weights=0)
    again = network_from_json(network.to_json())
    assert again.shared_weight == 0.0
    assert again.topology.num_connections == network.topology.num_connections


def test_each_activation_is_stored_by_its_name():
    for each in PAPER_ACTIVATIONS:
        network = random_network(1, 1, 0, 2, seed=0)
        activations = network.topology.activations.copy()
        activations[-1] = each.id
        network = dataclasses.replace(
            network, topology=dataclasses.replace(network.topology, activations=activations)
        )
        assert f'"activation": "{each.name}", "output": 0' in network.to_json()
        assert network_from_json(network.to_json()).topology.activations[-1] == each.id


def test_a_registered_activation_comes_back():
    added = register_activation("cubic_of_the_network_test", lambda x: x**3)
    network = random_network(1, 1, 0, 2, seed=0)
    activations = network.topology.activations.copy()
    activations[-1] = added.id
    topology = dataclasses.replace(network.topology, activations=activations)
    text = dataclasses.replace(network, topology=topology).to_json()
    assert network_from_json(text).topology.activations[-1] == added.id


def test_names_are_numbered_when_left_out():
    network = Network(random_network(2, 1, 0, 2, seed=0).topology, 1.0)
    assert network.input_names == ("input 1", "input 2")
    assert network.output_names == ("output 1",)


WRONG = [
    ({"weights": float("nan")}, "a network's weight must be finite, but it is nan"),
    ({"weights": True}, r"weights must be a number or an array \[\d+\], not True"),
    ({"weights": np.zeros(99)}, r"weights must be a number or an array \[\d+\], not shape \(99,\)"),
    ({"input_names": ("a",)}, "2 names of inputs are needed, but there are 1"),
    ({"output_names": (1,)}, r"names must be strings, but outputs\[0\] is 1"),
    ({"offset": (1.0,)}, "offset needs 2 numbers, one an input, but there are 1"),
    ({"offset": (1.0, True)}, r"offset must hold numbers, but offset\[1\] is True"),
    ({"scale": (1.0, float("inf"))}, r"scale must be finite, but scale\[1\] is inf"),
    ({"scale": (1.0, 0.0)}, r"scale must not be 0, but scale\[1\] is"),
    ({"action": "agrmax"}, "no action rule 'agrmax'; did you mean 'argmax'?"),
    ({"scores": {"mean": float("-inf")}}, "scores must be plain JSON with finite numbers"),
    ({"made_by": {"host": object()}}, "made_by must be plain JSON"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG, ids=range(len(WRONG)))
def test_parts_that_do_not_fit_are_refused(changes, message):
    network = random_network(2, 1, 3, 5, seed=1)
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(network, **changes)


def test_an_infinite_weight_of_a_link_is_named():
    network = random_network(2, 1, 3, 5, seed=1)
    weights = np.ones(network.topology.num_connections)
    weights[2] = np.inf
    with pytest.raises(ValueError, match=r"weights must be finite, but weights\[2\] is inf"):
        dataclasses.replace(network, weights=weights)


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="No such file"):
        load_network(tmp_path / "champion.json")


def test_the_file_is_named_in_the_error(tmp_path):
    path = tmp_path / "champion.json"
    path.write_text("")
    with pytest.raises(ValueError, match=r"champion\.json is not a usable network file: it is em"):
        load_network(path)
