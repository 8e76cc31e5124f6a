import dataclasses

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import assert_same_arrays, genome_of_genes, genomes, grown_genomes, random_dag

from wann.activations import LINEAR, TANH
from wann.genome import Genome, Genomes, Role, has_cycle, minimal_genome

BATCH = Genomes.stack(grown_genomes(1, 4, 30))
LARGEST = 2**63 - 1


def with_item(array, index, value):
    changed = array.copy()
    changed[index] = value
    return changed


def test_nodes_are_the_bias_then_inputs_then_outputs_then_hidden():
    genome = genome_of_genes(2, 2, [(0, 5), (5, 3)], hidden=[TANH])
    roles = [genome.role(node) for node in range(genome.num_nodes)]
    assert roles == [Role.BIAS, *[Role.INPUT] * 2, *[Role.OUTPUT] * 2, Role.HIDDEN]
    assert (genome.num_nodes, genome.num_fixed) == (6, 5)


def test_a_genome_has_no_weights():
    names = {each.name for each in dataclasses.fields(Genome)}
    assert names == {
        "num_inputs", "num_outputs", "activations", "sources", "targets", "enabled",
    }  # fmt: skip


@pytest.mark.parametrize(("num_inputs", "num_outputs"), [(1, 1), (5, 1), (64, 10), (3, 7)])
def test_the_minimal_genome_joins_the_bias_and_each_input_to_each_output(num_inputs, num_outputs):
    flags = np.random.default_rng(0).random((num_inputs + 1) * num_outputs) < 0.5
    genome = minimal_genome(num_inputs, num_outputs, flags).check()
    pairs = set(zip(genome.sources.tolist(), genome.targets.tolist(), strict=True))
    outputs = range(num_inputs + 1, num_inputs + 1 + num_outputs)
    assert pairs == {(source, target) for source in range(num_inputs + 1) for target in outputs}
    assert (genome.activations == LINEAR).all()
    assert genome.num_nodes == 1 + num_inputs + num_outputs
    np.testing.assert_array_equal(genome.enabled, flags)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=12))
def test_a_cycle_is_found_exactly_when_there_is_one(links):
    graph = nx.DiGraph()
    graph.add_nodes_from(range(7))
    graph.add_edges_from(links)
    columns = np.array(links, dtype=np.int64).reshape(-1, 2).T
    assert has_cycle(7, *columns) != nx.is_directed_acyclic_graph(graph)


@given(st.lists(genomes(max_inputs=1, max_outputs=1), min_size=1, max_size=5))
def test_a_batch_gives_back_its_genomes(several):
    batch = Genomes.stack(several).check()
    assert len(batch) == len(several)
    for found, genome in zip(batch, several, strict=True):
        assert_same_arrays(found, genome)
    assert_same_arrays(batch[-1], several[-1])


@pytest.mark.parametrize("index", [4, -5, 100])
def test_an_index_outside_a_batch_is_refused(index):
    with pytest.raises(IndexError, match=f"genome {index} of 4"):
        BATCH[index]


def test_an_empty_batch_is_refused():
    with pytest.raises(ValueError, match="a batch needs at least one genome"):
        Genomes.stack([])


def test_genomes_of_two_sizes_are_refused():
    two = [genome_of_genes(1, 1, [(0, 2)]), genome_of_genes(2, 1, [(0, 3)])]
    with pytest.raises(ValueError, match="must have one size, but these have"):
        Genomes.stack(two)


@pytest.mark.parametrize(
    ("genes", "wanted"),
    [
        ([(0, 3), (0, 3, False)], "two genes for the same pair"),
        ([(3, 3)], "form a cycle"),
        ([(4, 5), (5, 4)], "form a cycle"),
        ([(4, 5), (5, 4, False)], "form a cycle"),
        ([(3, 0)], "gene 0 of the batch ends at no output or hidden node"),
        ([(0, 3), (3, 2)], "gene 1 of the batch ends at no output or hidden node"),
        ([(0, 6)], "gene 0 of the batch ends at no output or hidden node"),
        ([(0, -1)], "gene 0 of the batch ends at no output or hidden node"),
        ([(6, 3)], "gene 0 of the batch starts at no node"),
        ([(-1, 3)], "gene 0 of the batch starts at no node"),
    ],
)
def test_genes_that_break_an_invariant_are_refused(genes, wanted):
    with pytest.raises(ValueError, match=wanted):
        genome_of_genes(2, 1, genes, hidden=[TANH, TANH])


@pytest.mark.parametrize("activation", [0, 200])
def test_an_unknown_activation_is_refused_with_its_node(activation):
    with pytest.raises(ValueError, match="node 4 of the batch has an unknown activation"):
        genome_of_genes(2, 1, [(0, 3)], hidden=[activation])


NODES, GENES = BATCH.node_offsets, BATCH.gene_offsets


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"num_inputs": 0}, "at least one input and one output"),
        ({"num_outputs": -1}, "at least one input and one output"),
        ({"num_inputs": 10**30}, "genome 0 has too few nodes"),
        ({"num_outputs": 10**18}, "genome 0 has too few nodes"),
        ({"sources": BATCH.sources[:-1]}, "gene offsets must rise from 0"),
        ({"targets": BATCH.targets[:-1]}, "as many sources as targets"),
        ({"enabled": BATCH.enabled[:0]}, "as many sources as targets"),
        ({"activations": BATCH.activations[:-1]}, "node offsets must rise from 0"),
        ({"node_offsets": NODES[:1]}, "node offsets must rise from 0"),
        ({"node_offsets": NODES[:0]}, "node offsets must rise from 0"),
        ({"node_offsets": with_item(NODES, 0, 1)}, "node offsets must rise from 0"),
        ({"node_offsets": with_item(NODES, 1, NODES[2] + 1)}, "node offsets must rise from 0"),
        ({"gene_offsets": with_item(GENES, 2, -5)}, "gene offsets must rise from 0"),
        ({"gene_offsets": GENES[[0, 1, 4]]}, "as many node offsets as gene offsets"),
    ],
)
def test_a_batch_whose_arrays_do_not_fit_is_refused(changes, wanted):
    with pytest.raises(ValueError, match=wanted) as caught:
        dataclasses.replace(BATCH, **changes).check()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["node_offsets", "gene_offsets"])
def test_offsets_whose_differences_overflow_are_refused(name):
    hostile = np.array([0, LARGEST, -2, *getattr(BATCH, name)[3:]])
    assert (np.diff(hostile) >= 0).all()  # they only seem to rise
    with pytest.raises(ValueError, match="offsets must rise from 0"):
        dataclasses.replace(BATCH, **{name: hostile}).check()


def test_random_genes_without_a_cycle_are_accepted():
    rng = np.random.default_rng(7)
    for _ in range(50):
        random_dag(rng).check()
