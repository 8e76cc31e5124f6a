import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import ALL_OPERATORS, genome_of_genes, genomes, grown_genomes, random_dag

from wann.activations import ABS, GAUSSIAN, INVERSE, RELU, SQUARE, STEP, TANH
from wann.forward import forward, trace
from wann.topology import compile

WEIGHTS = (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0)


def sine(x):
    return math.sin(math.pi * math.fmod(x, 2.0))


def square(x):
    return x * x if abs(x) < 1e150 else math.inf


FORMULAS = {
    1: lambda x: x,
    2: lambda x: 1.0 if x > 0 else 0.0,
    3: sine,
    4: lambda x: math.exp(-square(x) / 2),
    5: math.tanh,
    6: lambda x: (math.tanh(x / 2) + 1) / 2,
    7: lambda x: -x,
    8: abs,
    9: lambda x: max(x, 0.0),
    10: lambda x: math.cos(math.pi * math.fmod(x, 2.0)),
    11: square,
}


def evaluate_genes(genome, weight, inputs):
    """Return the outputs of a genome for one row of inputs, recursively from its genes."""

    def value(node):
        if node == 0:
            return 1.0
        if node <= genome.num_inputs:
            return inputs[node - 1]
        total = sum(
            value(int(genome.sources[gene]))
            for gene in range(len(genome.sources))
            if genome.enabled[gene] and genome.targets[gene] == node and live[genome.sources[gene]]
        )
        return FORMULAS[int(genome.activations[node])](weight * total)

    live = fed_nodes(genome)
    outputs = range(genome.num_inputs + 1, genome.num_fixed)
    return [value(node) for node in outputs]


def fed_nodes(genome):
    """Return which nodes an input or the bias reaches: what nothing reaches is left out."""
    fed = np.arange(genome.num_nodes) <= genome.num_inputs
    for _ in range(genome.num_nodes):
        fed[genome.targets[genome.enabled & fed[genome.sources]]] = True
    return fed


def check_forward(genome, rng):
    topology = compile(genome)
    inputs = rng.uniform(-1.5, 1.5, (3, genome.num_inputs))
    for weight in WEIGHTS:
        expected = [evaluate_genes(genome, weight, row) for row in inputs.tolist()]
        found = forward(topology, weight, inputs)
        assert found.shape == (3, genome.num_outputs)
        largest = np.abs(expected).max()
        if largest < 1e6:  # beyond, a sine turns rounding errors into any value
            np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8)


@settings(max_examples=60)
@given(genomes(max_hidden=4, max_genes=10), st.integers(0, 2**32 - 1))
def test_a_network_computes_what_its_genes_say(genome, seed):
    check_forward(genome, np.random.default_rng(seed))


def test_grown_networks_compute_what_their_genes_say():
    rng = np.random.default_rng(2)
    config = ALL_OPERATORS.replace(
        output_links=True, activations=("tanh", "gaussian", "abs", "step")
    )
    for genome in grown_genomes(6, 15, 20, config=config):
        check_forward(genome, rng)


def test_weight_zero_keeps_the_edge():
    topology = compile(genome_of_genes(1, 1, [(1, 3), (3, 2)], hidden=[GAUSSIAN]))
    assert topology.num_connections == 2
    weights = np.array([0.0, 1.0])
    assert forward(topology, weights, np.array([[7.0]])).tolist() == [[1.0]]  # exp(0), not 0
    assert forward(topology, 0.0, np.array([[7.0]])).tolist() == [[0.0]]


def test_an_output_without_links_gives_its_activation_of_zero():
    topology = compile(genome_of_genes(1, 2, [(1, 2)]))
    assert forward(topology, 1.0, np.array([[3.0], [-4.0]])).tolist() == [[3.0, 0.0], [-4.0, 0.0]]


@pytest.mark.parametrize(
    ("activation", "expected"),
    [(TANH, math.tanh(-3.0)), (STEP, 0.0), (INVERSE, 3.0), (ABS, 3.0), (RELU, 0.0), (SQUARE, 9.0)],
)
def test_the_bias_is_one_and_the_weight_comes_before_the_activation(activation, expected):
    topology = compile(genome_of_genes(1, 1, [(0, 3), (1, 3), (3, 2)], hidden=[activation]))
    weights = np.array([-1.0, -1.0, 1.0])
    np.testing.assert_allclose(forward(topology, weights, np.array([[2.0]])), [[expected]])


def test_equal_weights_one_a_link_give_what_one_shared_weight_gives():
    rng = np.random.default_rng(4)
    for _ in range(20):
        topology = compile(random_dag(rng))
        inputs = rng.normal(size=(5, 3))
        each = np.full(topology.num_connections, 0.7)
        np.testing.assert_allclose(
            forward(topology, each, inputs), forward(topology, 0.7, inputs), rtol=1e-6, atol=1e-9
        )


def test_weights_belong_to_links_in_the_order_of_the_sources():
    topology = compile(genome_of_genes(2, 2, [(2, 3), (0, 3), (1, 4)]))
    assert topology.sources.tolist() == [0, 2, 1]
    weights = np.array([10.0, 100.0, 1000.0])
    assert forward(topology, weights, np.array([[2.0, 3.0]])).tolist() == [[310.0, 2000.0]]


def test_rows_of_a_batch_do_not_mix():
    topology = compile(random_dag(np.random.default_rng(9)))
    inputs = np.random.default_rng(1).normal(size=(6, 3))
    one_by_one = [forward(topology, 1.5, row[None, :])[0] for row in inputs]
    np.testing.assert_array_equal(forward(topology, 1.5, inputs), one_by_one)


def test_overflow_is_silent():
    chain = [(1, 3), (3, 4), (4, 2)]
    topology = compile(genome_of_genes(1, 1, chain, hidden=[SQUARE, SQUARE]))
    assert forward(topology, 1.0, np.array([[1e200]])).tolist() == [[math.inf]]


DIRECT = compile(genome_of_genes(2, 1, [(1, 3), (2, 3)]))


@pytest.mark.parametrize("shape", [(2,), (3, 1), (3, 3), (1, 2, 2)])
def test_inputs_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"inputs must have shape \(batch, 2\), but they have"):
        forward(DIRECT, 1.0, np.zeros(shape))


@pytest.mark.parametrize("weights", [np.zeros(3), np.zeros(()), np.zeros((2, 1)), np.float32(1)])
def test_weights_of_another_shape_are_refused(weights):
    with pytest.raises(ValueError, match=r"weights must have shape \(2,\), but they have"):
        forward(DIRECT, weights, np.zeros((1, 2)))


def test_a_trace_has_what_each_node_is_given_and_what_it_gives():
    topology = compile(genome_of_genes(1, 1, [(0, 3), (1, 3), (3, 2)], [SQUARE]))
    sums, values = trace(topology, 2.0, np.array([[3.0], [-1.0]]))
    assert sums.tolist() == [[1.0, 1.0], [3.0, -1.0], [8.0, 0.0], [128.0, 0.0]]
    assert values.tolist() == [[1.0, 1.0], [3.0, -1.0], [64.0, 0.0], [128.0, 0.0]]
