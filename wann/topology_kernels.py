"""Compiled twin of `wann.topology.compile`, for whole generations at a time."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Int32, Int64, UInt8, UInt64
from numba import njit

from wann.genome import Genomes
from wann.topology import Topologies

INPUT_HASH = np.uint64(0x9E3779B97F4A7C15)
NODE_HASH = np.uint64(0xD1B54A32D192ED03)
KEY_HASH = np.uint64(0xA5A5A5A5A5A5A5A5)
MIX_FIRST = np.uint64(0xBF58476D1CE4E5B9)
MIX_SECOND = np.uint64(0x94D049BB133111EB)
SHIFT_30, SHIFT_27, SHIFT_31 = np.uint64(30), np.uint64(27), np.uint64(31)
ZERO = np.uint64(0)

# Rows of the scratch space of `compile_one`: one integer a node.
IN_START, OUT_START, WAITING, ORDER, FED, USED, DEPTH, FEEDS, MIDDLE, POSITION, FILL = range(11)
NUM_NODE_ROWS = 11
# Scratch has room for more than the largest genome.
NodeRows: TypeAlias = Int32[np.ndarray, "rows room"]  # NUM_NODE_ROWS of them
Links: TypeAlias = Int32[np.ndarray, "links"]  # of all nodes, grouped by node; see `adjacency`
LinkLists: TypeAlias = Int32[np.ndarray, "lists links"]  # the nodes before each, those behind each
Hashes: TypeAlias = UInt64[np.ndarray, "room"]
FlatTopologies: TypeAlias = tuple[  # the fields of `Topologies` behind its first
    Int64[np.ndarray, "G+1"],
    Int64[np.ndarray, "G+1"],
    Int32[np.ndarray, "allN+G"],
    Int32[np.ndarray, "allE"],
    UInt8[np.ndarray, "allN"],
    Int32[np.ndarray, "G O"],
    UInt64[np.ndarray, "G"],
]


@njit(cache=True, nogil=True)
def mix(bits: np.uint64) -> np.uint64:
    """Return 64 well-mixed bits; see `wann.topology.mix`."""
    bits = (bits ^ (bits >> SHIFT_30)) * MIX_FIRST
    bits = (bits ^ (bits >> SHIFT_27)) * MIX_SECOND
    return bits ^ (bits >> SHIFT_31)


@njit(cache=True, nogil=True)
def adjacency(
    start: Int32[np.ndarray, "room"],
    listed: Links,
    fill: Int32[np.ndarray, "room"],
    keys: Int32[np.ndarray, "C"],
    values: Int32[np.ndarray, "C"],
    enabled: Bool[np.ndarray, "C"],
    num_nodes: int,
) -> None:
    """Group values of the enabled genes by keys: node n's are listed[start[n]:start[n+1]]."""
    start[: num_nodes + 1] = 0
    for gene in range(len(keys)):
        if enabled[gene]:
            start[keys[gene] + 1] += 1
    for node in range(num_nodes):
        start[node + 1] += start[node]
        fill[node] = start[node]
    for gene in range(len(keys)):
        if enabled[gene]:
            listed[fill[keys[gene]]] = values[gene]
            fill[keys[gene]] += 1


@njit(cache=True, nogil=True)
def order_nodes(rows: NodeRows, out: Links, num_nodes: int) -> None:
    """Write a topological order of all nodes into rows[ORDER] (Kahn 1962)."""
    waiting, order = rows[WAITING], rows[ORDER]
    tail = 0
    for node in range(num_nodes):
        waiting[node] = rows[IN_START, node + 1] - rows[IN_START, node]
        if waiting[node] == 0:
            order[tail] = node
            tail += 1
    for head in range(num_nodes):
        node = order[head]
        for link in range(rows[OUT_START, node], rows[OUT_START, node + 1]):
            target = out[link]
            waiting[target] -= 1
            if waiting[target] == 0:
                order[tail] = target
                tail += 1


@njit(cache=True, nogil=True)
def mark_live(
    rows: NodeRows, into: Links, out: Links, num_nodes: int, num_inputs: int, num_fixed: int
) -> None:
    """Mark in rows[FED] what an input reaches, and in rows[USED] what reaches an output."""
    fed, used = rows[FED], rows[USED]
    for place in range(num_nodes):
        node = rows[ORDER, place]
        fed[node] = 1 if node <= num_inputs else 0
        for link in range(rows[IN_START, node], rows[IN_START, node + 1]):
            fed[node] |= fed[into[link]]
    for place in range(num_nodes - 1, -1, -1):
        node = rows[ORDER, place]
        used[node] = 1 if num_inputs < node < num_fixed else 0
        for link in range(rows[OUT_START, node], rows[OUT_START, node + 1]):
            used[node] |= used[out[link]]


@njit(cache=True, nogil=True)
def measure_nodes(
    rows: NodeRows,
    hashes: Hashes,
    into: Links,
    activations: UInt8[np.ndarray, "N"],
    num_nodes: int,
    num_inputs: int,
    num_fixed: int,
) -> None:
    """Write depth and hash of each live node, and into rows[FEEDS] whether it feeds another."""
    depth, feeds = rows[DEPTH], rows[FEEDS]
    feeds[:num_nodes] = 0
    for place in range(num_nodes):
        node = rows[ORDER, place]
        if node <= num_inputs:
            depth[node] = 0
            hashes[node] = mix(INPUT_HASH * np.uint64(node + 1))
            continue
        deepest = 0
        total = NODE_HASH * np.uint64(activations[node] + 1)
        if rows[USED, node]:
            for link in range(rows[IN_START, node], rows[IN_START, node + 1]):
                source: int = into[link]
                if rows[FED, source]:
                    deepest = max(deepest, depth[source])
                    total += mix(hashes[source])
                    feeds[source] = 1
        depth[node] = deepest + 1
        hashes[node] = mix(total)


@njit(cache=True, nogil=True)
def sort_middle(rows: NodeRows, hashes: Hashes, num_nodes: int, num_inputs: int) -> int:
    """Write the computed nodes that feed others into rows[MIDDLE]; return how many.

    They come in order of depth, then of hash, then of their number.
    """
    middle, depth, count = rows[MIDDLE], rows[DEPTH], 0
    start = rows[FILL]
    start[: num_nodes + 1] = 0
    for node in range(num_inputs + 1, num_nodes):
        if rows[FEEDS, node]:
            start[depth[node]] += 1
            count += 1
    total = 0
    for level in range(num_nodes + 1):  # counting sort by depth
        total += start[level]
        start[level] = total - start[level]
    for node in range(num_inputs + 1, num_nodes):
        if rows[FEEDS, node]:
            middle[start[depth[node]]] = node
            start[depth[node]] += 1
    for place in range(1, count):  # insertion sort by hash inside a depth
        node = middle[place]
        gap = place
        while gap > 0:
            before = middle[gap - 1]
            if depth[before] != depth[node] or hashes[before] <= hashes[node]:
                break
            middle[gap] = before
            gap -= 1
        middle[gap] = node
    return count


@njit(cache=True, nogil=True)
def key_of(
    rows: NodeRows, hashes: Hashes, count: int, num_inputs: int, num_fixed: int
) -> np.uint64:
    """Return the key of a measured genome; see `wann.topology.topology_key`."""
    key = ZERO
    bag = ZERO
    for node in range(num_inputs + 1, num_fixed):
        key = mix(key + hashes[node])
        if not rows[FEEDS, node]:
            bag += mix(hashes[node] ^ KEY_HASH)
    for place in range(count):
        node = int(rows[MIDDLE, place])
        bag += mix(hashes[node] ^ KEY_HASH)
    return mix(key + bag)


@njit(cache=True, nogil=True)
def measure(
    rows: NodeRows,
    lists: LinkLists,
    hashes: Hashes,
    num_inputs: int,
    num_outputs: int,
    activations: UInt8[np.ndarray, "N"],
    sources: Int32[np.ndarray, "C"],
    targets: Int32[np.ndarray, "C"],
    enabled: Bool[np.ndarray, "C"],
) -> tuple[int, int, np.uint64]:
    """Return (middle nodes, live links, key) of one genome, leaving its order in `rows`."""
    num_nodes, num_fixed = len(activations), 1 + num_inputs + num_outputs
    into, out = lists[0], lists[1]
    adjacency(rows[IN_START], into, rows[FILL], targets, sources, enabled, num_nodes)
    adjacency(rows[OUT_START], out, rows[FILL], sources, targets, enabled, num_nodes)
    order_nodes(rows, out, num_nodes)
    mark_live(rows, into, out, num_nodes, num_inputs, num_fixed)
    measure_nodes(rows, hashes, into, activations, num_nodes, num_inputs, num_fixed)
    count = sort_middle(rows, hashes, num_nodes, num_inputs)
    links = 0
    for gene in range(len(sources)):
        if enabled[gene] and rows[FED, sources[gene]] and rows[USED, targets[gene]]:
            links += 1
    return count, links, key_of(rows, hashes, count, num_inputs, num_fixed)


@njit(cache=True, nogil=True)
def emit(
    rows: NodeRows,
    lists: LinkLists,
    count: int,
    num_inputs: int,
    num_outputs: int,
    activations: UInt8[np.ndarray, "N"],
    offsets: Int32[np.ndarray, "allN+G"],
    sources: Int32[np.ndarray, "allE"],
    kept: UInt8[np.ndarray, "allN"],
    outputs: Int32[np.ndarray, "O"],
) -> int:
    """Write a measured genome's topology; return its number of nodes.

    offsets, sources, kept (activations), outputs: where to write, with room enough.
    """
    num_fixed = 1 + num_inputs + num_outputs
    order, position = rows[WAITING], rows[POSITION]
    num_kept = 0
    for node in range(num_inputs + 1):
        order[num_kept] = node
        num_kept += 1
    for place in range(count):
        order[num_kept] = rows[MIDDLE, place]
        num_kept += 1
    for node in range(num_inputs + 1, num_fixed):
        if not rows[FEEDS, node]:
            order[num_kept] = node
            num_kept += 1
    for place in range(num_kept):
        position[order[place]] = place
        kept[place] = activations[order[place]]
    offsets[0] = 0
    for place in range(num_kept):
        node, size = order[place], 0
        if rows[USED, node] and node > num_inputs:
            for link in range(rows[IN_START, node], rows[IN_START, node + 1]):
                size += rows[FED, lists[0, link]]
        offsets[place + 1] = offsets[place] + size
        rows[FILL, place] = offsets[place]
    for place in range(num_kept):  # sources in order of place, so each node's come out ascending
        node = order[place]
        if rows[FED, node]:
            for link in range(rows[OUT_START, node], rows[OUT_START, node + 1]):
                target = lists[1, link]
                if rows[USED, target]:
                    sources[rows[FILL, position[target]]] = place
                    rows[FILL, position[target]] += 1
    for output in range(num_outputs):
        outputs[output] = position[num_inputs + 1 + output]
    return num_kept


@njit(cache=True, nogil=True)
def largest_step(offsets: Int64[np.ndarray, "G+1"]) -> int:
    """Return the largest difference of neighbours."""
    largest = 0
    for index in range(len(offsets) - 1):
        largest = max(largest, offsets[index + 1] - offsets[index])
    return largest


@njit(cache=True, nogil=True)
def compile_batch(
    num_inputs: int,
    num_outputs: int,
    node_offsets: Int64[np.ndarray, "G+1"],
    activations: UInt8[np.ndarray, "allN"],
    gene_offsets: Int64[np.ndarray, "G+1"],
    sources: Int32[np.ndarray, "allC"],
    targets: Int32[np.ndarray, "allC"],
    enabled: Bool[np.ndarray, "allC"],
) -> FlatTopologies:
    """Return the flat arrays of `wann.topology.Topologies` for a flat batch of genomes."""
    num_genomes = len(node_offsets) - 1
    rows = np.empty((NUM_NODE_ROWS, largest_step(node_offsets) + 2), dtype=np.int32)
    lists = np.empty((2, largest_step(gene_offsets)), dtype=np.int32)
    hashes = np.empty(rows.shape[1], dtype=np.uint64)
    new_nodes = np.zeros(num_genomes + 1, dtype=np.int64)
    new_edges = np.zeros(num_genomes + 1, dtype=np.int64)
    offsets = np.empty(len(activations) + num_genomes, dtype=np.int32)
    linked = np.empty(len(sources), dtype=np.int32)
    kept = np.empty(len(activations), dtype=np.uint8)
    outputs = np.empty((num_genomes, num_outputs), dtype=np.int32)
    keys = np.empty(num_genomes, dtype=np.uint64)
    for genome in range(num_genomes):
        nodes = activations[node_offsets[genome] : node_offsets[genome + 1]]
        first, last = gene_offsets[genome], gene_offsets[genome + 1]
        count, links, keys[genome] = measure(
            rows, lists, hashes, num_inputs, num_outputs, nodes,
            sources[first:last], targets[first:last], enabled[first:last],
        )  # fmt: skip
        node_end, edge_end = new_nodes[genome], new_edges[genome]
        num_kept = emit(
            rows, lists, count, num_inputs, num_outputs, nodes,
            offsets[node_end + genome :], linked[edge_end:], kept[node_end:], outputs[genome],
        )  # fmt: skip
        new_nodes[genome + 1] = node_end + num_kept
        new_edges[genome + 1] = edge_end + links
    num_nodes, num_edges = new_nodes[-1], new_edges[-1]
    return (
        new_nodes, new_edges, offsets[: num_nodes + num_genomes].copy(), linked[:num_edges].copy(),
        kept[:num_nodes].copy(), outputs, keys,
    )  # fmt: skip


def compile_genomes(genomes: Genomes) -> Topologies:
    """Return what each of the G genomes computes; see `wann.topology.compile`."""
    arrays = compile_batch(
        genomes.num_inputs,
        genomes.num_outputs,
        genomes.node_offsets,
        genomes.activations,
        genomes.gene_offsets,
        genomes.sources,
        genomes.targets,
        genomes.enabled,
    )
    return Topologies(genomes.num_inputs, *arrays)
