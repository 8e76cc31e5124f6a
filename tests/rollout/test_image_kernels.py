"""Tests of wann.rollout.image_kernels through its wrappers: float32 against `wann.forward`.

The bound is no fixed number: rounding grows with depth. Each network is computed once more in
intervals that hold every value that float32 can have come to, node by node.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import random_network

from wann.activations import PAPER_ACTIVATIONS
from wann.forward import forward
from wann.rollout.images import image_logits, logits_by_weight, score_images
from wann.topology import Topologies, Topology

ROUNDING = 2.0**-24  # the largest relative error of one float32 operation
ACTIVATION_ERROR = 4e-7  # of one activation, relative and absolute; test_functions32.py
SMALLEST = 1e-37  # below it float32 loses digits
WILD = 1e30  # values beyond it may overflow float32, where `forward` does not
WEIGHTS = np.array([-2.0, -1.0, -0.5, 0.5, 1.0, 2.0])


def bounds_of_activation(name, low, high):
    """Return the least and largest value of an activation over an interval."""
    function = next(each.function for each in PAPER_ACTIVATIONS if each.name == name)
    if name in ("sin", "cos"):
        middle, reach = function(0.5 * (low + high)), np.pi * 0.5 * (high - low)
        return np.maximum(middle - reach, -1.0), np.minimum(middle + reach, 1.0)
    ends = np.stack([function(low), function(high)])
    least, largest = ends.min(axis=0), ends.max(axis=0)
    holds_zero = (low < 0.0) & (high > 0.0)
    if name in ("abs", "square"):
        least = np.where(holds_zero, 0.0, least)
    if name == "gaussian":
        largest = np.where(holds_zero, 1.0, largest)
    return least, largest


def bounds(topology, weights, images):
    """Return the least and largest outputs [B, O] that float32 allows, and which images are tame.

    weights: one number, or one a link.
    """
    low = np.zeros((topology.num_nodes, len(images)))
    low[0] = 1.0
    low[1 : 1 + topology.num_inputs] = images.T
    high = low.copy()
    tame = np.ones(len(images), dtype=bool)
    each = np.broadcast_to(weights, topology.num_connections)[:, None]
    for node in range(1 + topology.num_inputs, topology.num_nodes):
        links = slice(topology.offsets[node], topology.offsets[node + 1])
        sources = topology.sources[links]
        ends = np.stack([each[links] * low[sources], each[links] * high[sources]])
        size = np.abs(ends).max(axis=0).sum(axis=0)
        reach = 1.01 * (len(sources) + 3) * (ROUNDING * size + SMALLEST)
        least, largest = ends.min(axis=0).sum(axis=0) - reach, ends.max(axis=0).sum(axis=0) + reach
        name = PAPER_ACTIVATIONS[topology.activations[node] - 1].name
        least, largest = bounds_of_activation(name, least, largest)
        low[node] = least - ACTIVATION_ERROR * np.minimum(np.abs(least), 1.0) - SMALLEST
        high[node] = largest + ACTIVATION_ERROR * np.minimum(np.abs(largest), 1.0) + SMALLEST
        low[node] -= ACTIVATION_ERROR * np.abs(least)
        high[node] += ACTIVATION_ERROR * np.abs(largest)
        tame &= np.maximum(np.abs(low[node]), np.abs(high[node])) < WILD
        low[node, ~tame] = high[node, ~tame] = 0.0
    return low[topology.outputs].T, high[topology.outputs].T, tame


def assert_within_rounding(topology, weights, images):
    """Assert that the outputs are what float32 can come to; return how far that reaches."""
    low, high, tame = bounds(topology, weights, images)
    got = image_logits(topology, weights, images)
    assert np.isfinite(got).all()
    assert (got[tame] >= low[tame]).all()
    assert (got[tame] <= high[tame]).all()
    exact = forward(topology, weights, images.astype(np.float64))[tame]
    assert (exact >= low[tame]).all()  # else the intervals are wrong
    assert (exact <= high[tame]).all()
    return (high - low)[tame]


def random_images(num_images, num_inputs, seed):
    rng = np.random.default_rng(seed)
    images = rng.random((num_images, num_inputs)) * (rng.random((num_images, num_inputs)) < 0.4)
    return images.astype(np.float32)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 40), st.integers(1, 10), st.integers(0, 80), st.integers(0, 400),
    st.integers(1, 150), st.sampled_from([-2.0, -0.3, 0.0, 0.5, 1.0]), st.integers(0, 2**31),
)  # fmt: skip
def test_outputs_differ_from_forwards_by_no_more_than_rounding(
    num_inputs, num_outputs, num_hidden, num_links, batch, weight, seed
):
    topology = random_network(
        num_inputs, num_outputs, num_hidden, num_links, seed=seed, output_links=True
    ).topology
    assert_within_rounding(topology, weight, random_images(batch, num_inputs, seed))


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 40), st.integers(1, 10), st.integers(0, 80), st.integers(0, 400),
    st.integers(1, 150), st.integers(0, 2**31),
)  # fmt: skip
def test_with_a_weight_for_each_link_too(num_inputs, num_outputs, num_hidden, num_links, batch, s):
    network = random_network(
        num_inputs, num_outputs, num_hidden, num_links, seed=s, output_links=True, shared=False
    )
    images = random_images(batch, num_inputs, s)
    assert_within_rounding(network.topology, network.weights, images)


def layered_topology(num_links, seed):
    """Return a network of 256 inputs, 30 hidden nodes of all activations and 10 outputs."""
    rng = np.random.default_rng(seed)
    first = [(source, node) for node in range(257, 287) for source in range(257)]
    second = [(source, node) for node in range(287, 297) for source in range(257, 287)]
    pairs = [first[k] for k in rng.permutation(len(first))[: num_links - num_links // 20]]
    pairs += [second[k] for k in rng.permutation(len(second))[: num_links // 20]]
    pairs.sort(key=lambda pair: (pair[1], pair[0]))
    sizes = np.bincount([node for _, node in pairs], minlength=297)
    return Topology(
        256,
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32),
        np.array([source for source, _ in pairs], np.int32),
        np.array([1] * 257 + [1 + k % 11 for k in range(30)] + [1] * 10, np.uint8),
        np.arange(287, 297, dtype=np.int32),
    ).check()


@pytest.mark.parametrize("num_links", [1, 50, 500, 5_000])
@pytest.mark.parametrize("weight", [-2.0, 0.5, 1.0])
def test_networks_of_the_sizes_of_digits_are_right_to_five_places(num_links, weight):
    topology = layered_topology(num_links, seed=num_links)
    assert topology.num_connections == num_links
    images = random_images(100, 256, 0)
    reach = assert_within_rounding(topology, weight, images)
    exact = forward(topology, weight, images.astype(np.float64))
    size = np.maximum(1.0, np.abs(exact))
    assert np.median(reach / size) < 1e-3  # so the intervals say something
    error = np.abs(image_logits(topology, weight, images) - exact) / size
    assert np.quantile(error, 0.9) < 1e-5


def chain(activation_ids):
    """Return a network of one input in which each node takes the one before and the bias."""
    num_nodes = 2 + len(activation_ids)
    sources = [each for node in range(2, num_nodes) for each in (0, node - 1)]
    return Topology(
        1,
        np.concatenate([[0, 0, 0], 2 * np.arange(1, num_nodes - 1)]).astype(np.int32),
        np.array(sources, np.int32),
        np.array([1, 1, *activation_ids], np.uint8),
        np.array([num_nodes - 1], np.int32),
    ).check()


@pytest.mark.parametrize("activation", PAPER_ACTIVATIONS, ids=lambda each: each.name)
@pytest.mark.parametrize("batch", [1, 16, 63, 64, 65, 200])
def test_one_node_of_each_activation_is_right_in_any_batch(activation, batch):
    images = np.linspace(-3.0, 3.0, batch, dtype=np.float32)[:, None]
    reach = assert_within_rounding(chain([activation.id]), 0.5, images)
    assert np.median(reach) < 1e-4


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "gaussian", "sin", "abs"])
def test_deep_networks_are_right(name):
    activation = next(each for each in PAPER_ACTIVATIONS if each.name == name)
    assert_within_rounding(chain([activation.id] * 200), 0.25, random_images(70, 1, 1))


@pytest.mark.parametrize("weight", [*WEIGHTS.tolist(), 0.0])
def test_scores_are_those_of_the_logits(weight):
    topology = random_network(30, 7, 20, 120, seed=3, output_links=True).topology
    images = random_images(333, 30, 3)
    labels = np.random.default_rng(3).integers(0, 7, 333)
    scores, correct = score_images(Topologies.stack([topology]), np.array([weight]), images, labels)
    logits = image_logits(topology, weight, images)
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_softmax = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(
        scores[0, 0], log_softmax[np.arange(333), labels].mean(), rtol=1e-6, atol=1e-7
    )
    assert correct[0, 0] == (logits.argmax(axis=1) == labels).sum()


def test_several_weights_at_once_give_the_bits_of_each_alone():
    network = random_network(30, 7, 20, 120, seed=4, output_links=True, shared=False)
    images = random_images(100, 30, 4)
    together = logits_by_weight(network.topology, WEIGHTS, images)
    vectors = np.stack([network.weights, network.weights[::-1]])
    each_link = logits_by_weight(network.topology, vectors, images)
    for index, weight in enumerate(WEIGHTS.tolist()):
        alone = image_logits(network.topology, weight, images)
        np.testing.assert_array_equal(together[index], alone)
    for index in range(2):
        alone = image_logits(network.topology, vectors[index], images)
        np.testing.assert_array_equal(each_link[index], alone)


def test_an_image_gives_the_same_logits_wherever_it_stands():
    topology = random_network(30, 7, 20, 120, seed=5).topology
    images = random_images(150, 30, 5)
    whole = image_logits(topology, 1.0, images)
    for index in (0, 63, 64, 149):
        alone = image_logits(topology, 1.0, images[index : index + 1])
        np.testing.assert_array_equal(alone[0], whole[index])
