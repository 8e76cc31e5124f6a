import dataclasses
import itertools

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import (
    ALL_OPERATORS,
    assert_same_arrays,
    genome_of_genes,
    genomes,
    grown_genomes,
    random_dag,
    renumbered,
    with_dead_parts,
)

from wann.activations import COS, SIGMOID, SIN, TANH
from wann.genome import Genomes
from wann.topology import Topologies, compile, compile_all, node_hashes

DIAMOND = compile(genome_of_genes(2, 1, [(1, 4), (2, 4), (4, 5), (0, 5), (5, 3)], [TANH, SIN]))
BATCH = compile_all(Genomes.stack(grown_genomes(3, 5, 40)))
LARGEST = 2**31 - 1


def enabled_graph(genome):
    graph = nx.DiGraph()
    graph.add_nodes_from(range(genome.num_nodes))
    enabled = genome.enabled
    graph.add_edges_from(
        zip(genome.sources[enabled].tolist(), genome.targets[enabled].tolist(), strict=True)
    )
    return graph


def live_graph(genome):
    """Return the links on a path from the bias or an input to an output: every path is walked."""
    graph = enabled_graph(genome)
    live = nx.DiGraph()
    live.add_nodes_from(range(genome.num_fixed))
    outputs = range(genome.num_inputs + 1, genome.num_fixed)
    for start in range(genome.num_inputs + 1):
        for path in nx.all_simple_paths(graph, start, set(outputs)):
            nx.add_path(live, path)
    return live


def labelled(graph, genome):
    for node in graph:
        kind = node if node < genome.num_fixed else "hidden"
        graph.nodes[node]["label"] = (kind, int(genome.activations[node]))
    return graph


def graph_of(topology):
    """Return a topology as a graph whose labels are those of `labelled`."""
    graph = nx.DiGraph()
    outputs = topology.outputs.tolist()
    for node in range(topology.num_nodes):
        kind = node if node <= topology.num_inputs else "hidden"
        if node in outputs:
            kind = topology.num_inputs + 1 + outputs.index(node)
        graph.add_node(node, label=(kind, int(topology.activations[node])))
    graph.add_edges_from(zip(topology.sources.tolist(), topology.targets().tolist(), strict=True))
    return graph


def longest_paths(graph):
    depths = {}
    for node in nx.topological_sort(graph):
        depths[node] = max((1 + depths[each] for each in graph.predecessors(node)), default=0)
    return depths


def check_compiled(genome):
    """Compare what a genome compiles to with the definitions, by brute force."""
    topology = compile(genome).check()
    live = labelled(live_graph(genome), genome)
    graph = graph_of(topology)
    assert topology.num_connections == live.number_of_edges()
    same_label = nx.algorithms.isomorphism.categorical_node_match("label", None)
    assert nx.is_isomorphic(graph, live, node_match=same_label)
    depths = longest_paths(graph)
    outputs = topology.outputs.tolist()
    last = [node for node in outputs if graph.out_degree(node) == 0]
    assert last == list(range(topology.num_nodes - len(last), topology.num_nodes))
    middle = range(topology.num_inputs + 1, topology.num_nodes - len(last))
    hashes = node_hashes(topology)
    ranks = [(depths[node], hashes[node]) for node in middle]
    assert ranks == sorted(ranks)
    assert topology.num_inputs == genome.num_inputs
    assert topology.activations.dtype == np.uint8


@given(genomes(max_hidden=4, max_genes=12))
def test_compiling_keeps_what_lies_on_a_path_from_input_to_output(genome):
    check_compiled(genome)


@pytest.mark.parametrize("output_links", [False, True])
def test_grown_genomes_compile_to_their_definition(output_links):
    config = ALL_OPERATORS.replace(output_links=output_links)
    for genome in grown_genomes(11, 20, 25, config=config):
        check_compiled(genome)


def test_an_output_that_feeds_a_node_comes_before_it():
    genome = genome_of_genes(1, 2, [(1, 2), (2, 4), (4, 3)], hidden=[TANH])
    topology = compile(genome)
    assert topology.outputs.tolist() == [2, 4]
    assert topology.num_connections == 3
    assert graph_of(topology).has_edge(2, 3)


def test_an_output_that_nothing_reaches_stays_without_links():
    genome = genome_of_genes(1, 2, [(1, 2), (3, 2)])  # output 3 has no source: its link is dead
    topology = compile(genome)
    assert topology.outputs.tolist() == [2, 3]
    assert topology.num_connections == 1


def test_a_genome_without_an_enabled_gene_has_no_links():
    topology = compile(genome_of_genes(2, 2, [(1, 3, False), (0, 4, False)]))
    assert (topology.num_nodes, topology.num_connections) == (5, 0)


def test_a_disabled_gene_is_really_off():
    on = genome_of_genes(1, 1, [(1, 3), (3, 4), (4, 2), (3, 2)], hidden=[TANH, SIN])
    off = genome_of_genes(1, 1, [(1, 3), (3, 4, False), (4, 2), (3, 2)], hidden=[TANH, SIN])
    assert compile(on).num_connections == 4
    assert compile(off).num_connections == 2  # the reference would keep the hidden link


@settings(max_examples=60)
@given(genomes(), st.integers(0, 2**32 - 1))
def test_the_key_forgets_node_numbers_gene_order_and_dead_parts(genome, seed):
    rng = np.random.default_rng(seed)
    topology = compile(genome)
    for same in (renumbered(genome, rng), with_dead_parts(renumbered(genome, rng))):
        other = compile(same)
        assert other.key() == topology.key()
        if len(set(node_hashes(topology))) == topology.num_nodes:
            assert_same_arrays(other, topology)


def live_genes(genome):
    """Return the genes that lie on a path from an input to an output."""
    live = live_graph(genome)
    pairs = zip(genome.sources.tolist(), genome.targets.tolist(), strict=True)
    return [gene for gene, pair in enumerate(pairs) if genome.enabled[gene] and pair in live.edges]


@given(genomes(), st.data())
def test_the_key_changes_with_any_live_activation(genome, data):
    used = {int(genome.targets[gene]) for gene in live_genes(genome)}
    nodes = sorted(used | set(range(genome.num_inputs + 1, genome.num_fixed)))
    node = data.draw(st.sampled_from(nodes))
    changed = genome.activations.copy()
    changed[node] = COS if changed[node] != COS else SIGMOID
    other = dataclasses.replace(genome, activations=changed)
    assert compile(other).key() != compile(genome).key()


@given(genomes(), st.data())
def test_the_key_changes_with_any_live_link(genome, data):
    genes = live_genes(genome)
    if genes:
        flags = genome.enabled.copy()
        flags[data.draw(st.sampled_from(genes))] = False
        assert compile(dataclasses.replace(genome, enabled=flags)).key() != compile(genome).key()


def test_the_key_tells_the_outputs_apart():
    one = genome_of_genes(1, 2, [(1, 2), (0, 3)])
    other = genome_of_genes(1, 2, [(1, 3), (0, 2)])
    assert compile(one).key() != compile(other).key()


def test_the_key_counts_nodes_that_compute_the_same():
    shared = genome_of_genes(1, 1, [(1, 3), (3, 4), (3, 5), (4, 2), (5, 2)], [TANH, SIN, COS])
    twins = [(1, 3), (1, 6), (3, 4), (6, 5), (4, 2), (5, 2)]
    assert (
        compile(shared).key() != compile(genome_of_genes(1, 1, twins, [TANH, SIN, COS, TANH])).key()
    )


def test_different_networks_have_different_keys():
    rng = np.random.default_rng(5)
    topologies = [compile(random_dag(rng, num_hidden=3)) for _ in range(300)]
    same_label = nx.algorithms.isomorphism.categorical_node_match("label", None)
    for one, other in itertools.pairwise(topologies):
        same = nx.is_isomorphic(graph_of(one), graph_of(other), node_match=same_label)
        assert (one.key() == other.key()) == same


def test_a_batch_gives_back_its_topologies_and_takes_any_of_them():
    again = Topologies.stack(list(BATCH))
    assert_same_arrays(again.check(), BATCH.check())
    chosen = np.array([3, 0, 0, 4])
    taken = BATCH.take(chosen).check()
    for found, index in zip(taken, chosen, strict=True):
        assert_same_arrays(found, BATCH[int(index)])
    assert BATCH.take(np.array([], dtype=np.int64)).sources.size == 0
    assert_same_arrays(BATCH[-1], BATCH[4])


def test_an_index_outside_a_batch_is_refused():
    with pytest.raises(IndexError, match="topology 5 of 5"):
        BATCH[5]


def test_a_batch_needs_topologies_of_one_size():
    with pytest.raises(ValueError, match="a batch needs at least one topology"):
        Topologies.stack([])
    with pytest.raises(ValueError, match="must have one size, but these have"):
        Topologies.stack([DIAMOND, BATCH[0]])


def array(*values, dtype=np.int32):
    return np.array(values, dtype=dtype)


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"num_inputs": 0}, "at least one input and one output"),
        ({"num_inputs": 10**12}, "at least one input and one output"),
        ({"outputs": array()}, "at least one input and one output"),
        ({"offsets": array(0, 0, 0, 0, 2, 4)}, "offsets must rise from 0"),
        ({"offsets": array(1, 1, 1, 1, 3, 5, 5)}, "offsets must rise from 0"),
        ({"offsets": array(0, 0, 0, 4, 2, 4, 5)}, "offsets must rise from 0"),
        ({"offsets": array(0, 0, 0, 0, LARGEST, -2, 5)}, "offsets must rise from 0"),
        ({"offsets": array(0, 0, 0, 0, 2, 4, 4)}, "offsets end at 4, but there are 5 links"),
        ({"offsets": array(0, 0, 1, 1, 2, 4, 5)}, "no link may end in the bias or an input"),
        ({"sources": array(1, 3, 0, 3, 4)}, "link 3 -> 3 does not follow the evaluation order"),
        ({"sources": array(1, 2, 0, 3, -1)}, "link -1 -> 5 does not follow"),
        ({"sources": array(1, 1, 0, 3, 4)}, "rise by source within a node"),
        ({"sources": array(2, 1, 0, 3, 4)}, "rise by source within a node"),
        ({"activations": array(1, 1, 1, 5, 3, 99, dtype=np.uint8)}, "unknown activation"),
        ({"outputs": array(2)}, "outputs must be distinct nodes after the inputs"),
        ({"outputs": array(6)}, "outputs must be distinct nodes after the inputs"),
        ({"outputs": array(5, 5)}, "outputs must be distinct nodes after the inputs"),
    ],
)
def test_a_topology_that_breaks_a_promise_is_refused(changes, wanted):
    with pytest.raises(ValueError, match=wanted):
        dataclasses.replace(DIAMOND, **changes).check()


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"node_offsets": BATCH.node_offsets[:1]}, "for the same topologies"),
        ({"edge_offsets": BATCH.edge_offsets[:-1]}, "for the same topologies"),
        ({"outputs": BATCH.outputs[:-1]}, "for the same topologies"),
        ({"keys": BATCH.keys[:-1]}, "for the same topologies"),
        ({"offsets": BATCH.offsets[:-1]}, "for the same topologies"),
        ({"node_offsets": BATCH.node_offsets + 1}, "must rise from 0"),
        ({"edge_offsets": BATCH.edge_offsets[[0, 2, 1, 3, 4, 5]]}, "must rise from 0"),
        ({"sources": BATCH.sources[:-1]}, "must rise from 0"),
        ({"keys": BATCH.keys + np.uint64(1)}, "key is .* but .* is stored"),
    ],
)
def test_a_batch_whose_arrays_do_not_fit_is_refused(changes, wanted):
    with pytest.raises(ValueError, match=wanted):
        dataclasses.replace(BATCH, **changes).check()


def test_batch_offsets_whose_differences_overflow_are_refused():
    largest = 2**63 - 1
    hostile = array(0, largest, -2, *BATCH.edge_offsets[3:], dtype=np.int64)
    with pytest.raises(ValueError, match="must rise from 0"):
        dataclasses.replace(BATCH, edge_offsets=hostile).check()


@given(genomes())
def test_a_nodes_level_is_its_longest_path(genome):
    topology = compile(genome)
    graph = nx.DiGraph()
    graph.add_nodes_from(range(topology.num_nodes))
    graph.add_edges_from(zip(topology.sources.tolist(), topology.targets().tolist(), strict=True))
    wanted = dict.fromkeys(range(topology.num_nodes), 0)
    for node in nx.topological_sort(graph):
        below = [wanted[each] for each in graph.predecessors(node)]
        wanted[node] = 1 + max(below, default=0) if node > topology.num_inputs else 0
    assert topology.levels().tolist() == [wanted[node] for node in range(topology.num_nodes)]
