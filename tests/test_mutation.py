import collections
import itertools

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from strategies import ALL_OPERATORS, assert_same_arrays, genome_of_genes, genomes, grown_genomes

from wann.activations import COS, LINEAR, SIN, TANH
from wann.config import OPERATORS, SearchConfig
from wann.mutation import MUTATIONS, MutationRules, Operator, ancestors, below, mutate

RULES = MutationRules(np.array([LINEAR, SIN, TANH], dtype=np.uint8), output_links=False)
LINKED = MutationRules(RULES.activations, output_links=True)
SMALL = genome_of_genes(
    2, 2, [(0, 3), (1, 3, False), (1, 5), (5, 3), (5, 6), (6, 4), (2, 4, False)], [TANH, COS]
)


def description(genome):
    """Return a genome as plain values: activations, and (source, target, enabled) in order."""
    genes = zip(
        genome.sources.tolist(), genome.targets.tolist(), genome.enabled.tolist(), strict=True
    )
    return tuple(genome.activations.tolist()), tuple(genes)


def spread_over(children):
    """Return each child's probability when each entry of the list is as likely."""
    count = collections.Counter(children)
    return {child: times / len(children) for child, times in count.items()}


def insert_node_by_definition(genome, rules):
    activations, genes = description(genome)
    new = len(activations)
    children = []
    for index, (source, target, on) in enumerate(genes):
        for activation in rules.activations.tolist() if on else ():
            split = (*genes[:index], (source, target, False), *genes[index + 1 :])
            added = ((source, new, True), (new, target, True))
            children.append(((*activations, activation), split + added))
    return spread_over(children)


def add_connection_by_definition(genome, rules):
    activations, genes = description(genome)
    pairs = {gene[:2] for gene in genes}
    legal = {}
    for source, target in itertools.product(range(genome.num_nodes), repeat=2):
        is_output = genome.num_inputs < source < genome.num_fixed
        if target <= genome.num_inputs or (source, target) in pairs:
            continue
        graph = nx.DiGraph([*pairs, (source, target)])
        if (rules.output_links or not is_output) and nx.is_directed_acyclic_graph(graph):
            legal.setdefault(source, []).append(target)
    return {
        (activations, (*genes, (source, target, True))): 1 / len(legal) / len(targets)
        for source, targets in legal.items()
        for target in targets
    }


def enable_connection_by_definition(genome, rules):
    activations, genes = description(genome)
    return spread_over(
        [
            (activations, (*genes[:index], (source, target, True), *genes[index + 1 :]))
            for index, (source, target, on) in enumerate(genes)
            if not on
        ]
    )


def change_activation_by_definition(genome, rules):
    activations, genes = description(genome)
    hidden = range(genome.num_fixed, genome.num_nodes)
    children = {}
    for node in hidden:
        others = [each for each in rules.activations.tolist() if each != activations[node]]
        for activation in others:
            changed = (*activations[:node], activation, *activations[node + 1 :])
            children[changed, genes] = 1 / len(hidden) / len(others)
    return children


def remove_connection_by_definition(genome, rules):
    activations, genes = description(genome)
    return spread_over(
        [(activations, tuple(g for g in genes if g != gone)) for gone in genes if gone[2]]
    )


def remove_node_by_definition(genome, rules):
    activations, genes = description(genome)
    children = []
    for gone in range(genome.num_fixed, genome.num_nodes):
        kept = [gene for gene in genes if gone not in gene[:2]]
        moved = tuple((s - (s > gone), t - (t > gone), on) for s, t, on in kept)
        children.append((activations[:gone] + activations[gone + 1 :], moved))
    return spread_over(children)


DEFINITIONS = {
    Operator.INSERT_NODE: insert_node_by_definition,
    Operator.ADD_CONNECTION: add_connection_by_definition,
    Operator.ENABLE_CONNECTION: enable_connection_by_definition,
    Operator.CHANGE_ACTIVATION: change_activation_by_definition,
    Operator.REMOVE_CONNECTION: remove_connection_by_definition,
    Operator.REMOVE_NODE: remove_node_by_definition,
}
EACH = [pytest.param(each, id=each.name.lower()) for each in Operator]


@pytest.mark.parametrize("operator", EACH)
@pytest.mark.parametrize("rules", [RULES, LINKED], ids=["", "output_links"])
def test_an_operator_makes_each_child_of_its_definition_as_often_as_it_should(operator, rules):
    expected = DEFINITIONS[operator](SMALL, rules)
    rng = np.random.default_rng(int(operator) + 10)
    draws = 4000
    children = [MUTATIONS[operator](SMALL, rules, rng) for _ in range(draws)]
    counts = collections.Counter(description(each) for each in children)
    for child in {description(each): each for each in children}.values():
        child.check()
    assert counts.keys() == expected.keys()
    assert len(expected) > 1
    observed = [counts[child] for child in expected]
    wanted = draws * np.array(list(expected.values()))
    assert stats.chisquare(observed, wanted).pvalue > 1e-3


@pytest.mark.parametrize("operator", EACH)
@given(genome=genomes(max_inputs=2, max_outputs=2), seed=st.integers(0, 2**32 - 1))
def test_a_child_is_one_of_its_definition_or_the_genome_itself(operator, genome, seed):
    before = description(genome)
    for rules in (RULES, LINKED):
        expected = DEFINITIONS[operator](genome, rules)
        child = MUTATIONS[operator](genome, rules, np.random.default_rng(seed))
        if expected:
            assert description(child.check()) in expected
        else:
            assert child is genome
    assert description(genome) == before


def test_the_last_legal_link_is_found():
    # A full feed-forward genome of one input and three hidden nodes, but for one pair.
    order = [0, 1, 3, 4, 5, 2]
    pairs = [(a, b) for i, a in enumerate(order) for b in order[i + 1 :] if b > 1]
    for missing in pairs:
        genes = [(*pair, pair != pairs[0]) for pair in pairs if pair != missing]
        genome = genome_of_genes(1, 1, genes, hidden=[TANH] * 3)
        legal = add_connection_by_definition(genome, RULES)
        assert len(legal) <= 2  # the pair, or its reverse where no other node lies between
        for seed in range(5):
            child = MUTATIONS[Operator.ADD_CONNECTION](genome, RULES, np.random.default_rng(seed))
            assert description(child) in legal
    full = genome_of_genes(1, 1, pairs, hidden=[TANH] * 3)
    assert MUTATIONS[Operator.ADD_CONNECTION](full, LINKED, np.random.default_rng(0)) is full


@given(genomes())
def test_ancestors_are_what_leads_to_a_node_by_enabled_and_disabled_genes(genome):
    graph = nx.DiGraph()
    graph.add_nodes_from(range(genome.num_nodes))
    graph.add_edges_from(zip(genome.sources.tolist(), genome.targets.tolist(), strict=True))
    for node in range(genome.num_nodes):
        found = np.flatnonzero(ancestors(genome, node)).tolist()
        assert found == sorted(nx.ancestors(graph, node))


def test_hundreds_of_mutations_keep_every_invariant():
    for genome in grown_genomes(31, 4, 400, config=ALL_OPERATORS.replace(output_links=True)):
        genome.check()
        assert genome.num_nodes > genome.num_fixed


def test_one_operator_is_chosen_with_its_probability():
    config = SearchConfig(
        insert_node=0.1,
        add_connection=0.2,
        enable_connection=0.3,
        change_activation=0.1,
        remove_connection=0.25,
        remove_node=0.05,
        activations=("linear", "sin"),  # the cosine and the tanh of SMALL always change
    )
    rng = np.random.default_rng(77)
    rules = MutationRules.of(config)
    reached = {
        child: operator for operator in Operator for child in DEFINITIONS[operator](SMALL, rules)
    }
    counts = collections.Counter(
        reached[description(mutate(SMALL, config, rng))] for _ in range(4000)
    )
    observed = [counts[operator] for operator in Operator]
    assert stats.chisquare(observed, 4000 * np.array(config.operators)).pvalue > 1e-3


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_of_probability_one_is_always_chosen(name):
    config = SearchConfig(**(dict.fromkeys(OPERATORS, 0.0) | {name: 1.0}))
    rules = MutationRules.of(config)
    operator = Operator[name.upper()]
    for seed in range(20):
        rng, twin = np.random.default_rng(seed), np.random.default_rng(seed)
        twin.random()  # the draw that chooses the operator
        assert_same_arrays(mutate(SMALL, config, rng), MUTATIONS[operator](SMALL, rules, twin))


@given(st.integers(1, 10**6), st.floats(0, 1, exclude_max=True))
def test_a_draw_below_a_count_never_reaches_it(count, drawn):
    class Fixed(np.random.Generator):
        def random(self):
            return drawn

    rng = Fixed(np.random.PCG64())
    assert 0 <= below(rng, count) < count
    assert below(rng, count) == int(drawn * count)
