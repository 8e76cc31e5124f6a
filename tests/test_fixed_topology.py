"""Layered networks, against layers of matrices."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from wann.activations import activation_named
from wann.fixed_topology import MAX_CONNECTIONS, fixed_topology
from wann.forward import forward


@pytest.mark.parametrize("sizes", [(1, 1), (5, 10, 1), (3, 4, 2, 3), (2, 1, 1, 1, 2)])
@pytest.mark.parametrize(("hidden", "last"), [("tanh", ""), ("relu", "linear"), ("sin", "cos")])
def test_a_fixed_topology_computes_what_its_layers_do(
    sizes: tuple[int, ...], hidden: str, last: str
) -> None:
    topology = fixed_topology(sizes, hidden, last).check()
    rng = np.random.default_rng(3)
    weights = rng.normal(size=topology.num_connections)
    inputs = rng.normal(size=(7, sizes[0]))
    values, used = inputs, 0
    for place, (before, after) in enumerate(pairwise(sizes)):
        matrix = weights[used : used + (before + 1) * after].reshape(after, before + 1)
        used += matrix.size
        is_last = place == len(sizes) - 2
        function = activation_named(last if is_last and last else hidden).function
        values = function(np.column_stack([np.ones(len(values)), values]) @ matrix.T)
    assert used == topology.num_connections
    np.testing.assert_allclose(forward(topology, weights, inputs), values, rtol=1e-12, atol=1e-12)


def test_the_sizes_of_the_paper_have_the_links_of_the_paper() -> None:
    assert fixed_topology([5, 10, 1]).num_connections == 71
    assert fixed_topology([24, 40, 40, 4]).num_connections == 2804


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ([5], r"two layers or more, but \[5\] were given"),
        ([5, 0, 1], r"sizes\[1\] must be at least 1, but 0"),
        ([5, 10**6, 10**6, 1], f"at most {MAX_CONNECTIONS:,} are possible; take smaller layers"),
    ],
)
def test_layers_that_cannot_be_are_refused(sizes: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fixed_topology(sizes)


def test_an_unknown_activation_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="no activation 'tanj'; did you mean 'tanh'"):
        fixed_topology([2, 1], "tanj")
