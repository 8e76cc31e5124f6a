import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.networks import random_network
from wann.export.layout import heights, in_good_order, layers_of, node_columns
from wann.topology import Topology

SIZES = st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(0, 14), st.integers(0, 50))
SEEDS = st.integers(0, 2**32 - 1)


def topology_of(sizes, seed, output_links=False):
    return random_network(*sizes, seed=seed, output_links=output_links).topology


def network_with(num_inputs, num_hidden, num_outputs, links):
    num_nodes = 1 + num_inputs + num_hidden + num_outputs
    links = sorted(links, key=lambda link: link[::-1])
    targets = [target for _, target in links]
    return Topology(
        num_inputs,
        np.searchsorted(targets, np.arange(num_nodes + 1)).astype(np.int32),
        np.array([source for source, _ in links], dtype=np.int32),
        np.ones(num_nodes, dtype=np.uint8),
        np.arange(num_nodes - num_outputs, num_nodes, dtype=np.int32),
    ).check()


def longest_path(topology, node):
    sources = topology.sources[topology.offsets[node] : topology.offsets[node + 1]]
    if node <= topology.num_inputs:
        return 0
    return 1 + max((longest_path(topology, source) for source in sources.tolist()), default=0)


@given(
    st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(0, 6), st.integers(0, 14)), SEEDS
)
def test_a_hidden_nodes_column_is_its_longest_path_and_outputs_stand_last(sizes, seed):
    topology = topology_of(sizes, seed)
    columns, outputs = node_columns(topology), set(topology.outputs.tolist())
    for node in range(topology.num_nodes):
        if node not in outputs:
            assert columns[node] == longest_path(topology, node)
    assert {columns[node] for node in outputs} == {max(columns)}


def links_along(layers, num_nodes):
    """Return the links that the drawn steps make, by walking each trunk to its ends."""
    links = list(layers.backward)
    for source, steps in layers.trunks.items():
        reached = {source}
        for start, end in steps:
            assert start in reached
            reached.add(end)
        links += [(source, end) for _, end in steps if end < num_nodes]
    return sorted(links)


@given(SIZES, SEEDS, st.booleans())
def test_every_link_is_drawn_once_from_its_source_to_its_target(sizes, seed, output_links):
    topology = topology_of(sizes, seed, output_links)
    layers = layers_of(topology)
    drawn = links_along(layers, topology.num_nodes)
    wanted = zip(topology.sources.tolist(), topology.targets().tolist(), strict=True)
    assert drawn == sorted(wanted)
    for start, end in itertools.chain(*layers.trunks.values()):
        assert layers.column_of[end] == layers.column_of[start] + 1


@given(SIZES, SEEDS)
def test_only_outputs_start_links_that_go_back(sizes, seed):
    topology = topology_of(sizes, seed, output_links=True)
    assert {source for source, _ in layers_of(topology).backward} <= set(topology.outputs.tolist())


@given(SIZES, SEEDS)
def test_ordering_keeps_every_item_and_never_adds_crossings(sizes, seed):
    layers = layers_of(topology_of(sizes, seed))
    columns = in_good_order(layers)
    assert [sorted(each) for each in columns] == [sorted(each) for each in layers.columns]
    assert num_crossings(layers, columns) <= num_crossings(layers, layers.columns)


def num_crossings(layers, columns):
    """Return how many pairs of steps between the same columns cross, by comparing all pairs."""
    place = {item: place for column in columns for place, item in enumerate(column)}
    steps = list(itertools.chain(*layers.trunks.values()))
    return sum(
        layers.column_of[a[0]] == layers.column_of[b[0]]
        and (place[a[0]] - place[b[0]]) * (place[a[1]] - place[b[1]]) < 0
        for a, b in itertools.combinations(steps, 2)
    )


def test_crossings_that_need_not_be_are_removed():
    links = [(1, 7), (2, 6), (3, 5), (4, 8), (5, 11), (6, 10), (7, 9), (8, 12)]
    layers = layers_of(network_with(4, 4, 4, links))
    assert num_crossings(layers, layers.columns) > 0
    assert num_crossings(layers, in_good_order(layers)) == 0


@settings(max_examples=50)
@given(SIZES, SEEDS)
def test_items_keep_their_gaps(sizes, seed):
    layers = layers_of(topology_of(sizes, seed))
    columns = in_good_order(layers)
    y = heights(layers, columns, lambda upper, lower: 3.0 + (upper + lower) % 4)
    assert min(y.values()) == 0.0
    for column in columns:
        for upper, lower in itertools.pairwise(column):
            assert y[lower] - y[upper] >= 3.0 + (upper + lower) % 4 - 1e-9


def test_a_chain_is_a_straight_line():
    layers = layers_of(network_with(1, 3, 1, [(1, 2), (2, 3), (3, 4), (4, 5)]))
    y = heights(layers, in_good_order(layers), lambda *_: 10.0)
    assert max(y.values()) == pytest.approx(0.0)


def test_a_network_with_too_many_waypoints_is_drawn_with_straight_links(monkeypatch):
    monkeypatch.setattr("wann.export.layout.MAX_WAYPOINTS", 1)
    topology = network_with(1, 3, 1, [(1, 2), (2, 3), (3, 4), (4, 5), (1, 5)])
    layers = layers_of(topology)
    assert len(layers.column_of) == topology.num_nodes
    assert (1, 5) in layers.trunks[1]
