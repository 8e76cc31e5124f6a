import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.networks import random_network
from tests.strategies import networks
from wann.export.assembly import Link, Part, assemble, feeding

PARTS = [Part("x", "input"), Part("y", "output", "tanh")]


@settings(max_examples=60, deadline=None)
@given(networks(), st.integers(0, 2**32 - 1))
def test_nodes_and_links_in_any_order_give_the_same_function(network, seed):
    topology = network.topology
    rng = np.random.default_rng(seed)
    outputs = topology.outputs.tolist()
    parts = []
    for node, entry in enumerate(topology.activations.tolist()):
        role = "bias" if node == 0 else "input" if node <= topology.num_inputs else "hidden"
        role = "output" if node in outputs else role
        name = {1: "linear", 2: "step", 3: "sin", 4: "gaussian", 5: "tanh", 6: "sigmoid"} | {
            7: "inverse", 8: "abs", 9: "relu", 10: "cos", 11: "square",
        }  # fmt: skip
        number = outputs.index(node) if role == "output" else None
        parts.append(Part(f"n{node}", role, name[entry], output=number))
    inputs, others = parts[1 : 1 + topology.num_inputs], parts[1 + topology.num_inputs :]
    mixed = [*(others[place] for place in rng.permutation(len(others))), *inputs, parts[0]]
    weights = np.broadcast_to(network.weights, topology.num_connections).tolist()
    ends = zip(topology.sources.tolist(), topology.targets().tolist(), weights, strict=True)
    links = [Link(f"n{source}", f"n{target}", weight) for source, target, weight in ends]
    links = [links[place] for place in rng.permutation(len(links))]
    again = assemble(mixed, links)
    assert again.topology.check().key() == topology.key()
    batch = rng.normal(size=(5, topology.num_inputs))
    np.testing.assert_allclose(again(batch), network(batch), rtol=1e-9, atol=1e-9)


def test_a_bias_is_added_where_there_is_none():
    network = assemble(PARTS, [Link("x", "y", 2.0)])
    assert network.topology.num_nodes == 3
    assert network(np.array([[0.5]])).tolist() == [[np.tanh(1.0)]]


WRONG = [
    (PARTS, [Link("y", "y")], "must not have a cycle, but 1 nodes lie behind one"),
    (PARTS, [Link("x", "y")] * 2, "is there twice"),
    (PARTS, [Link("x", "z")], "a link names a node 'z', which is not there"),
    (PARTS, [Link("y", "x")], "a link ends in 'x', which is the bias or an input"),
    (PARTS * 2, [], "two nodes have the same name"),
    ([*PARTS, Part("z", "hiden")], [], "role must be one of bias, input, hidden, output"),
    ([*PARTS, Part("b", "bias"), Part("c", "bias")], [], "has one bias, but 2 nodes are"),
    (PARTS[:1], [], "at least one input and one output"),
    (PARTS, [Link("x", "y", float("nan"))], "it must hold finite numbers"),
]


@pytest.mark.parametrize(("parts", "links", "message"), WRONG, ids=range(len(WRONG)))
def test_what_is_no_network_is_refused(parts, links, message):
    with pytest.raises(ValueError, match=message):
        assemble(parts, links)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("seed", range(8))
def test_a_part_gives_the_outputs_it_was_made_for(seed, shared):
    network = random_network(6, 4, 8, 25, seed=seed, shared=shared, output_links=True)
    network = dataclasses.replace(network, scale=(2.0,) * 6, offset=tuple(range(6)))
    inputs = np.random.default_rng(seed).normal(size=(7, 6))
    for chosen in ([0], [3, 1], [0, 1, 2, 3]):
        part = feeding(network, chosen)
        kept = [network.input_names.index(name) for name in part.input_names]
        with np.errstate(over="ignore", invalid="ignore"):
            found, expected = part(inputs[:, kept]), network(inputs)[:, chosen]
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
        assert part.output_names == tuple(network.output_names[each] for each in chosen)
        assert part.offset == tuple(float(each) for each in kept)
        used = set(part.topology.sources.tolist()) | set(part.topology.outputs.tolist())
        hidden = range(1 + part.topology.num_inputs, part.topology.num_nodes)
        assert used >= set(hidden)


@pytest.mark.parametrize(("outputs", "came"), [([4], "4"), ([-1], "-1"), ([], "none")])
def test_an_output_that_is_not_there_is_refused(outputs, came):
    with pytest.raises(ValueError, match=f"outputs are numbered 0 to 3, not {came}"):
        feeding(random_network(2, 4, 0, 3, seed=0), outputs)
