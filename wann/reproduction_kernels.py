"""Compiled twins of `wann.mutation`, and a whole generation of children in one call."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64, UInt8, UInt64
from numba import njit

from wann.config import SearchConfig
from wann.genome import Genomes
from wann.mutation import MutationRules, Operator
from wann.topology_kernels import NUM_NODE_ROWS, largest_step, measure

INSERT_NODE, ADD_CONNECTION, ENABLE_CONNECTION = (
    int(Operator.INSERT_NODE),
    int(Operator.ADD_CONNECTION),
    int(Operator.ENABLE_CONNECTION),
)
CHANGE_ACTIVATION, REMOVE_CONNECTION, REMOVE_NODE = (
    int(Operator.CHANGE_ACTIVATION),
    int(Operator.REMOVE_CONNECTION),
    int(Operator.REMOVE_NODE),
)
FlatGenomes: TypeAlias = tuple[  # the arrays of `Genomes`, in its order
    Int64[np.ndarray, "G+1"],
    UInt8[np.ndarray, "allN"],
    Int64[np.ndarray, "G+1"],
    Int32[np.ndarray, "allC"],
    Int32[np.ndarray, "allC"],
    Bool[np.ndarray, "allC"],
]
MAX_MUTATIONS = 6  # the one of every child, and up to five more while it repeats another
NUM_LIST_ROWS = 4

# Every function below edits one child in place. Its nodes, genes and flags have room for more than
# the `num_nodes` and `num_genes` entries they hold, which come back when they change.
Nodes: TypeAlias = UInt8[np.ndarray, "room"]  # the activations
Genes: TypeAlias = Int32[np.ndarray, "2 room"]  # sources and targets
Flags: TypeAlias = Bool[np.ndarray, "room"]  # which genes are enabled
Lists: TypeAlias = Int32[np.ndarray, "lists room"]  # scratch, NUM_LIST_ROWS of them
Order: TypeAlias = Int32[np.ndarray, "room"]  # scratch for the nodes
Activations: TypeAlias = UInt8[np.ndarray, "A"]  # ids that a hidden node may have


@njit(cache=True, nogil=True)
def below(rng: np.random.Generator, count: int) -> int:
    """Return a whole number from 0 to count - 1; see `wann.mutation.below`."""
    return int(rng.random() * count)


@njit(cache=True, nogil=True)
def pick_flagged(rng: np.random.Generator, flags: Flags, count: int, wanted: bool) -> int:
    """Return a random index below `count` where flags equal `wanted`, or -1 when none does."""
    matching = 0
    for index in range(count):
        if flags[index] == wanted:
            matching += 1
    if matching == 0:
        return -1
    left = below(rng, matching)
    for index in range(count):
        if flags[index] == wanted:
            if left == 0:
                return index
            left -= 1
    return -1


@njit(cache=True, nogil=True)
def insert_node(
    rng: np.random.Generator,
    nodes: Nodes,
    genes: Genes,
    on: Flags,
    num_nodes: int,
    num_genes: int,
    allowed: Activations,
) -> tuple[int, int]:
    """Split an enabled gene; return the new numbers of nodes and genes."""
    gene = pick_flagged(rng, on, num_genes, True)
    if gene < 0:
        return num_nodes, num_genes
    nodes[num_nodes] = allowed[below(rng, len(allowed))]
    on[gene] = False
    genes[0, num_genes], genes[1, num_genes], on[num_genes] = genes[0, gene], num_nodes, True
    genes[0, num_genes + 1], genes[1, num_genes + 1] = num_nodes, genes[1, gene]
    on[num_genes + 1] = True
    return num_nodes + 1, num_genes + 2


@njit(cache=True, nogil=True)
def forbid_targets(
    source: int, genes: Genes, num_nodes: int, num_genes: int, num_inputs: int, lists: Lists
) -> int:
    """Mark in lists[1] the nodes that a gene from `source` must not end in; return how many may."""
    first, following, forbidden, waiting = lists[0], lists[2], lists[1], lists[3]
    first[:num_nodes] = -1
    forbidden[:num_nodes] = 0
    for gene in range(num_genes):  # genes that end in a node, as linked lists
        following[gene] = first[genes[1, gene]]
        first[genes[1, gene]] = gene
        if genes[0, gene] == source:
            forbidden[genes[1, gene]] = 1
    forbidden[source] = 2  # 2: the source itself, or a node that reaches it
    waiting[0], num_waiting = source, 1
    while num_waiting > 0:
        num_waiting -= 1
        gene = first[waiting[num_waiting]]
        while gene >= 0:
            node = genes[0, gene]
            if forbidden[node] != 2:
                forbidden[node] = 2
                waiting[num_waiting] = node
                num_waiting += 1
            gene = following[gene]
    allowed = 0
    for node in range(num_inputs + 1, num_nodes):
        if forbidden[node] == 0:
            allowed += 1
    return allowed


@njit(cache=True, nogil=True)
def add_connection(
    rng: np.random.Generator,
    genes: Genes,
    on: Flags,
    num_nodes: int,
    num_genes: int,
    num_inputs: int,
    num_fixed: int,
    output_links: bool,
    lists: Lists,
    order: Order,
) -> int:
    """Add a gene where reachability allows one; return the new number of genes."""
    num_sources = 0
    for node in range(num_nodes):
        if output_links or not num_inputs < node < num_fixed:
            order[num_sources] = node
            num_sources += 1
    for tried in range(num_sources):
        pick = tried + below(rng, num_sources - tried)
        order[tried], order[pick] = order[pick], order[tried]
        source = order[tried]
        allowed = forbid_targets(source, genes, num_nodes, num_genes, num_inputs, lists)
        if allowed > 0:
            left = below(rng, allowed)
            for node in range(num_inputs + 1, num_nodes):
                if lists[1, node] == 0:
                    if left == 0:
                        genes[0, num_genes], genes[1, num_genes] = source, node
                        on[num_genes] = True
                        return num_genes + 1
                    left -= 1
    return num_genes


@njit(cache=True, nogil=True)
def change_activation(
    rng: np.random.Generator, nodes: Nodes, num_nodes: int, num_fixed: int, allowed: Activations
) -> None:
    """Give one hidden node another of the allowed activations."""
    if num_nodes == num_fixed:
        return
    node = num_fixed + below(rng, num_nodes - num_fixed)
    others = 0
    for activation in allowed:
        if activation != nodes[node]:
            others += 1
    if others == 0:
        return
    left = below(rng, others)
    for activation in allowed:
        if activation != nodes[node]:
            if left == 0:
                nodes[node] = activation
                return
            left -= 1


@njit(cache=True, nogil=True)
def remove_genes_of(genes: Genes, on: Flags, num_genes: int, gone_gene: int, gone_node: int) -> int:
    """Delete one gene, or all that meet a node (-1 for neither); return how many are left."""
    kept = 0
    for gene in range(num_genes):
        source, target = genes[0, gene], genes[1, gene]
        if gene == gone_gene or gone_node in (source, target):
            continue
        if gone_node >= 0:
            source -= source > gone_node
            target -= target > gone_node
        genes[0, kept], genes[1, kept], on[kept] = source, target, on[gene]
        kept += 1
    return kept


@njit(cache=True, nogil=True)
def remove_node(
    rng: np.random.Generator,
    nodes: Nodes,
    genes: Genes,
    on: Flags,
    num_nodes: int,
    num_genes: int,
    num_fixed: int,
) -> tuple[int, int]:
    """Delete a hidden node; return the new numbers of nodes and genes."""
    if num_nodes == num_fixed:
        return num_nodes, num_genes
    gone = num_fixed + below(rng, num_nodes - num_fixed)
    for node in range(gone, num_nodes - 1):
        nodes[node] = nodes[node + 1]
    return num_nodes - 1, remove_genes_of(genes, on, num_genes, -1, gone)


@njit(cache=True, nogil=True)
def mutate_one(
    rng: np.random.Generator,
    nodes: Nodes,
    genes: Genes,
    on: Flags,
    num_nodes: int,
    num_genes: int,
    num_inputs: int,
    num_fixed: int,
    cumulative: Float64[np.ndarray, "operators"],
    allowed: Activations,
    output_links: bool,
    lists: Lists,
    order: Order,
) -> tuple[int, int]:
    """Make one mutation; return the new numbers of nodes and genes. See `wann.mutation.mutate`."""
    draw = rng.random()
    operator = 0
    while operator < len(cumulative) - 1 and draw >= cumulative[operator]:
        operator += 1
    if operator == INSERT_NODE:
        num_nodes, num_genes = insert_node(rng, nodes, genes, on, num_nodes, num_genes, allowed)
    elif operator == ADD_CONNECTION:
        num_genes = add_connection(
            rng, genes, on, num_nodes, num_genes, num_inputs, num_fixed, output_links, lists, order
        )
    elif operator == ENABLE_CONNECTION:
        gene = pick_flagged(rng, on, num_genes, False)
        if gene >= 0:
            on[gene] = True
    elif operator == CHANGE_ACTIVATION:
        change_activation(rng, nodes, num_nodes, num_fixed, allowed)
    elif operator == REMOVE_CONNECTION:
        gene = pick_flagged(rng, on, num_genes, True)
        if gene >= 0:
            num_genes = remove_genes_of(genes, on, num_genes, gene, -1)
    else:
        num_nodes, num_genes = remove_node(rng, nodes, genes, on, num_nodes, num_genes, num_fixed)
    return num_nodes, num_genes


@njit(cache=True, nogil=True)
def insert_key(
    table: Int64[np.ndarray, "slots"], keys: UInt64[np.ndarray, "G"], key: np.uint64, index: int
) -> bool:
    """Add `key` as that of genome `index`; return False when it is there already.

    table: as long as a power of two above twice the keys, -1 where free; open addressing.
    """
    place = np.int64(key & np.uint64(len(table) - 1))
    while table[place] >= 0:
        if keys[table[place]] == key:
            return False
        place = (place + 1) & (len(table) - 1)
    table[place] = index
    keys[index] = key
    return True


@njit(cache=True, nogil=True)
def load_genome(
    batch: FlatGenomes, index: int, nodes: Nodes, genes: Genes, on: Flags
) -> tuple[int, int]:
    """Copy genome `index` of a flat batch into the scratch child; return its sizes."""
    node_offsets, activations, gene_offsets, sources, targets, enabled = batch
    first_node, last_node = node_offsets[index], node_offsets[index + 1]
    first_gene, last_gene = gene_offsets[index], gene_offsets[index + 1]
    num_nodes, num_genes = last_node - first_node, last_gene - first_gene
    nodes[:num_nodes] = activations[first_node:last_node]
    genes[0, :num_genes] = sources[first_gene:last_gene]
    genes[1, :num_genes] = targets[first_gene:last_gene]
    on[:num_genes] = enabled[first_gene:last_gene]
    return num_nodes, num_genes


@njit(cache=True, nogil=True)
def append_genome(
    batch: FlatGenomes,
    index: int,
    num_nodes: int,
    num_genes: int,
    nodes: Nodes,
    genes: Genes,
    on: Flags,
) -> None:
    """Copy the scratch child to the end of a flat batch, as genome `index`."""
    node_offsets, activations, gene_offsets, sources, targets, enabled = batch
    first_node, first_gene = node_offsets[index], gene_offsets[index]
    last_node, last_gene = first_node + num_nodes, first_gene + num_genes
    activations[first_node:last_node] = nodes[:num_nodes]
    sources[first_gene:last_gene] = genes[0, :num_genes]
    targets[first_gene:last_gene] = genes[1, :num_genes]
    enabled[first_gene:last_gene] = on[:num_genes]
    node_offsets[index + 1], gene_offsets[index + 1] = last_node, last_gene


@njit(cache=True, nogil=True)
def empty_batch(num_genomes: int, max_nodes: int, max_genes: int) -> FlatGenomes:
    """Return the flat arrays of a batch with room for genomes of these sizes."""
    return (
        np.zeros(num_genomes + 1, dtype=np.int64),
        np.empty(num_genomes * max_nodes, dtype=np.uint8),
        np.zeros(num_genomes + 1, dtype=np.int64),
        np.empty(num_genomes * max_genes, dtype=np.int32),
        np.empty(num_genomes * max_genes, dtype=np.int32),
        np.empty(num_genomes * max_genes, dtype=np.bool_),
    )


@njit(cache=True, nogil=True)
def trimmed_batch(batch: FlatGenomes) -> FlatGenomes:
    """Return copies of a batch's arrays without the room that was not used."""
    node_offsets, activations, gene_offsets, sources, targets, enabled = batch
    num_nodes, num_genes = node_offsets[-1], gene_offsets[-1]
    return (
        node_offsets,
        activations[:num_nodes].copy(),
        gene_offsets,
        sources[:num_genes].copy(),
        targets[:num_genes].copy(),
        enabled[:num_genes].copy(),
    )


@njit(cache=True, nogil=True)
def tournament_winner(rng: np.random.Generator, num_parents: int, tournament: int) -> int:
    """Return the best rank among `tournament` draws from the first `num_parents` ranks."""
    winner = below(rng, num_parents)
    for _ in range(tournament - 1):
        winner = min(winner, below(rng, num_parents))
    return winner


@njit(cache=True, nogil=True)
def power_of_two_above(count: int) -> int:
    """Return the least power of two that is greater than `count`."""
    size = 1
    while size <= count:
        size *= 2
    return size


@njit(cache=True, nogil=True)
def breed_batch(
    rng: np.random.Generator,
    num_inputs: int,
    num_outputs: int,
    parents: FlatGenomes,
    order: Int64[np.ndarray, "G"],
    num_children: int,
    num_parents: int,
    num_elites: int,
    tournament: int,
    cumulative: Float64[np.ndarray, "operators"],
    allowed: Activations,
    output_links: bool,
    max_links: int,
) -> FlatGenomes:
    """Return the flat arrays of the next generation; see `wann.reproduction.next_generation`."""
    num_fixed = 1 + num_inputs + num_outputs
    max_nodes = largest_step(parents[0]) + MAX_MUTATIONS
    max_genes = largest_step(parents[2]) + 2 * MAX_MUTATIONS
    room = max(max_nodes, max_genes) + 2
    rows = np.empty((NUM_NODE_ROWS, room), dtype=np.int32)
    lists = np.empty((NUM_LIST_ROWS, room), dtype=np.int32)
    waiting = np.empty(room, dtype=np.int32)
    hashes = np.empty(room, dtype=np.uint64)
    nodes = np.empty(max_nodes, dtype=np.uint8)
    genes = np.empty((2, max_genes), dtype=np.int32)
    on = np.empty(max_genes, dtype=np.bool_)
    table = np.full(power_of_two_above(3 * num_children), -1, dtype=np.int64)
    keys = np.empty(num_children, dtype=np.uint64)
    children = empty_batch(num_children, max_nodes, max_genes)
    for child in range(num_children):
        is_elite = child < num_elites
        parent = order[child if is_elite else tournament_winner(rng, num_parents, tournament)]
        num_nodes, num_genes = load_genome(parents, parent, nodes, genes, on)
        too_large = False
        for _ in range(1 if is_elite else MAX_MUTATIONS):
            if too_large:
                num_nodes, num_genes = load_genome(parents, parent, nodes, genes, on)
            if not is_elite:
                num_nodes, num_genes = mutate_one(
                    rng, nodes, genes, on, num_nodes, num_genes, num_inputs, num_fixed,
                    cumulative, allowed, output_links, lists, waiting,
                )  # fmt: skip
            _, links, key = measure(
                rows, lists, hashes, num_inputs, num_outputs, nodes[:num_nodes],
                genes[0, :num_genes], genes[1, :num_genes], on[:num_genes],
            )  # fmt: skip
            too_large = 0 < max_links < links
            if not too_large and insert_key(table, keys, key, child):
                break
        if too_large:  # to the last attempt: the parent itself takes the place
            num_nodes, num_genes = load_genome(parents, parent, nodes, genes, on)
        append_genome(children, child, num_nodes, num_genes, nodes, genes, on)
    return trimmed_batch(children)


def breed(
    genomes: Genomes,
    order: Int64[np.ndarray, "G"],
    config: SearchConfig,
    rng: np.random.Generator,
) -> Genomes:
    """Return as many children; see `wann.reproduction.next_generation`. order: best first."""
    rules = MutationRules.of(config)
    num_parents = len(genomes) - int(config.cull_ratio * len(genomes))
    arrays = breed_batch(
        rng,
        genomes.num_inputs,
        genomes.num_outputs,
        flat_arrays(genomes),
        order,
        config.population,
        num_parents,
        int(config.elite_ratio * num_parents),
        config.tournament,
        np.cumsum(config.operators),
        rules.activations,
        rules.output_links,
        config.max_connections,
    )
    return Genomes(genomes.num_inputs, genomes.num_outputs, *arrays)


def flat_arrays(genomes: Genomes) -> FlatGenomes:
    """Return the arrays of a batch, in the order in which the kernels take them."""
    return (
        genomes.node_offsets,
        genomes.activations,
        genomes.gene_offsets,
        genomes.sources,
        genomes.targets,
        genomes.enabled,
    )
