"""The compiled forward pass over images: LANES of them side by side, in float32.

A block of LANES images is computed for all networks and shared weights before the next one is
taken, so that its pixels stay in the fastest caches. Of each node's sum, the part over inputs and
the bias is the same for all weights; it is computed once.

Only the functions at the end are cached by Numba; what they call is compiled into them. Imported
by `wann.rollout.images` when first used, and called with checked arguments only.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float32, Float64, Int32, Int64, UInt8
from numba import njit

from wann.rollout.functions import COMPILED
from wann.rollout.functions32 import activate_four, exp_of_negative
from wann.rollout.vector import (
    WIDTH32,
    Lanes32,
    Vector,
    clip,
    load,
    load_flat,
    product,
    select,
    splat32,
    store,
)

CACHED = {"error_model": "numpy", "cache": True, "nogil": True}
CACHE_LINE = 64  # bytes; a vector that crosses a line costs two loads
LANES = 4 * WIDTH32  # images side by side
LARGEST = 3.4028234663852886e38  # float32
# Rows of the scratch array: of each image, the largest output, its index, the sum of softmax.
LARGEST_OUTPUT, CHOSEN, SUM = 0, 1, 2
MUCH = 1e150  # a product of sums as large as this is turned into its logarithm


@njit(error_model="numpy")
def _aligned_rows(num_rows: int) -> Lanes32:
    """Return zeros [num_rows, LANES] whose rows start at cache lines."""
    spare = CACHE_LINE // 4
    buffer = np.zeros(num_rows * LANES + spare, np.float32)
    skip = (-buffer.ctypes.data % CACHE_LINE) // 4
    return buffer[skip : skip + num_rows * LANES].reshape(num_rows, LANES)


@njit(**COMPILED)
def _load_images(values: Lanes32, images: Float32[np.ndarray, "B I"], first: int) -> int:
    """Return how many images from `first` on the rows of the bias and the inputs now hold.

    Lanes behind them hold zeros; they are computed too, and what comes out means nothing.
    """
    num_live = min(LANES, len(images) - first)
    for lane in range(LANES):
        values[0, lane] = 1.0  # the bias
    for index in range(images.shape[1]):
        for lane in range(num_live):
            values[1 + index, lane] = images[first + lane, index]
        for lane in range(num_live, LANES):
            values[1 + index, lane] = 0.0
    return num_live


@njit(**COMPILED)
def _sum_inputs(
    values: Lanes32,
    sums: Lanes32,
    middles: Int64[np.ndarray, "N-1-I"],
    num_inputs: int,
    offsets: Int32[np.ndarray, "N+1"],
    sources: Int32[np.ndarray, "E"],
) -> None:
    """Set each computed node's sum over its inputs and the bias, and its first other link."""
    first_node = 1 + num_inputs
    for row in range(len(offsets) - 1 - first_node):
        a = b = c = d = splat32(0.0)
        link = np.uint64(offsets[first_node + row])
        last = np.uint64(offsets[first_node + row + 1])
        while link < last and sources[link] < first_node:
            position = np.int64(sources[link]) * LANES
            a = a + load_flat(values, position)
            b = b + load_flat(values, position + WIDTH32)
            c = c + load_flat(values, position + 2 * WIDTH32)
            d = d + load_flat(values, position + 3 * WIDTH32)
            link += np.uint64(1)
        middles[row] = link
        store(sums, row, 0, a)
        store(sums, row, WIDTH32, b)
        store(sums, row, 2 * WIDTH32, c)
        store(sums, row, 3 * WIDTH32, d)


@njit(**COMPILED)
def _compute_shared(
    values: Lanes32,
    sums: Lanes32,
    middles: Int64[np.ndarray, "N-1-I"],
    weight: float,
    num_inputs: int,
    offsets: Int32[np.ndarray, "N+1"],
    sources: Int32[np.ndarray, "E"],
    activations: UInt8[np.ndarray, "N"],
) -> None:
    """Set the values of all nodes behind the inputs, under one weight that all links share.

    sums, middles: as `_sum_inputs` sets them.
    """
    shared = splat32(weight)
    for node in range(1 + num_inputs, len(activations)):
        row = node - 1 - num_inputs
        a = load(sums, row, 0)
        b = load(sums, row, WIDTH32)
        c = load(sums, row, 2 * WIDTH32)
        d = load(sums, row, 3 * WIDTH32)
        for link in range(np.uint64(middles[row]), np.uint64(offsets[node + 1])):
            position = np.int64(sources[link]) * LANES
            a = a + load_flat(values, position)
            b = b + load_flat(values, position + WIDTH32)
            c = c + load_flat(values, position + 2 * WIDTH32)
            d = d + load_flat(values, position + 3 * WIDTH32)
        _store_node(
            values, node, activations[node],
            product(shared, a), product(shared, b), product(shared, c), product(shared, d),
        )  # fmt: skip


@njit(**COMPILED)
def _compute_weighted(
    values: Lanes32,
    weights: Float32[np.ndarray, "E"],
    num_inputs: int,
    offsets: Int32[np.ndarray, "N+1"],
    sources: Int32[np.ndarray, "E"],
    activations: UInt8[np.ndarray, "N"],
) -> None:
    """Set the values of all nodes behind the inputs, with a weight for each link."""
    for node in range(1 + num_inputs, len(activations)):
        a = b = c = d = splat32(0.0)
        for link in range(np.uint64(offsets[node]), np.uint64(offsets[node + 1])):
            position = np.int64(sources[link]) * LANES
            weight = splat32(weights[link])
            a = a + weight * load_flat(values, position)
            b = b + weight * load_flat(values, position + WIDTH32)
            c = c + weight * load_flat(values, position + 2 * WIDTH32)
            d = d + weight * load_flat(values, position + 3 * WIDTH32)
        _store_node(values, node, activations[node], a, b, c, d)


@njit(**COMPILED)
def _store_node(
    values: Lanes32, node: int, activation_id: int, a: Vector, b: Vector, c: Vector, d: Vector
) -> None:
    """Set a node's values to the activation of its sums."""
    a, b, c, d = activate_four(activation_id, a, b, c, d)
    store(values, node, 0, a)
    store(values, node, WIDTH32, b)
    store(values, node, 2 * WIDTH32, c)
    store(values, node, 3 * WIDTH32, d)


@njit(**COMPILED)
def _logit(values: Lanes32, node: int, lane: int) -> Vector:
    """Return an output as it is judged: NaN counts as 0, infinity as the largest float32."""
    value = load(values, node, lane)
    value = select(value == value, value, 0.0)  # noqa: PLR0124  # only NaN differs from itself
    return clip(value, -LARGEST, LARGEST)


@njit(**COMPILED)
def _settle_logits(values: Lanes32, outputs: Int32[np.ndarray, "O"]) -> None:
    """Replace the outputs by what they are judged as; no node is computed from them any more."""
    for index in range(len(outputs)):
        for lane in range(0, LANES, WIDTH32):
            store(values, outputs[index], lane, _logit(values, outputs[index], lane))


@njit(**COMPILED)
def _score_block(
    values: Lanes32,
    scratch: Lanes32,
    outputs: Int32[np.ndarray, "O"],
    labels: Int64[np.ndarray, "B"],
    first: int,
    num_live: int,
) -> tuple[float, int]:
    """Return the sum of the cross-entropies and how many images have their label's output largest.

    The outputs in `values` have been settled. Of equal outputs the first counts as the largest.
    """
    for lane in range(0, LANES, WIDTH32):
        largest = load(values, outputs[0], lane)
        chosen = splat32(0.0)
        for index in range(1, len(outputs)):
            value = load(values, outputs[index], lane)
            is_larger = value > largest
            largest = select(is_larger, value, largest)
            chosen = select(is_larger, index, chosen)
        total = splat32(0.0)
        for index in range(len(outputs)):
            total = total + exp_of_negative(load(values, outputs[index], lane) - largest)
        store(scratch, LARGEST_OUTPUT, lane, largest)
        store(scratch, CHOSEN, lane, chosen)
        store(scratch, SUM, lane, total)
    entropy, sums, correct = 0.0, 1.0, 0
    for lane in range(num_live):
        label = labels[first + lane]
        logit = np.float64(values[outputs[label], lane])
        entropy += np.float64(scratch[LARGEST_OUTPUT, lane]) - logit
        sums *= np.float64(scratch[SUM, lane])  # one logarithm serves many images
        if sums > MUCH:
            entropy += math.log(sums)
            sums = 1.0
        correct += int(scratch[CHOSEN, lane]) == label
    return entropy + math.log(sums), correct


@njit(**CACHED)
def score_lanes(
    node_offsets: Int64[np.ndarray, "G+1"],
    edge_offsets: Int64[np.ndarray, "G+1"],
    offsets: Int32[np.ndarray, "allN+G"],
    sources: Int32[np.ndarray, "allE"],
    activations: UInt8[np.ndarray, "allN"],
    outputs: Int32[np.ndarray, "G O"],
    start: int,
    weights: Float32[np.ndarray, "W"],
    images: Float32[np.ndarray, "B I"],
    labels: Int64[np.ndarray, "B"],
    entropies: Float64[np.ndarray, "g W"],
    correct: Int64[np.ndarray, "g W"],
) -> None:
    """Add up cross-entropies and right answers of the topologies from `start` on over all images.

    The arrays before `start` are those of `wann.topology.Topologies`. entropies, correct: added
        to; their g says how many topologies are meant.
    """
    num_inputs = images.shape[1]
    first_node = 1 + num_inputs
    most_nodes = 0
    for genome in range(start, start + len(entropies)):
        most_nodes = max(most_nodes, node_offsets[genome + 1] - node_offsets[genome])
    values = _aligned_rows(most_nodes)
    sums = _aligned_rows(most_nodes - first_node)
    middles = np.zeros(most_nodes - first_node, np.int64)
    scratch = _aligned_rows(3)
    for first in range(0, len(images), LANES):
        num_live = _load_images(values, images, first)
        for row in range(len(entropies)):
            genome = start + row
            nodes = slice(node_offsets[genome], node_offsets[genome + 1])
            its_offsets = offsets[nodes.start + genome : nodes.stop + genome + 1]
            its_sources = sources[edge_offsets[genome] : edge_offsets[genome + 1]]
            its_activations = activations[nodes.start : nodes.stop]
            _sum_inputs(values, sums, middles, num_inputs, its_offsets, its_sources)
            for column in range(len(weights)):
                _compute_shared(
                    values, sums, middles, weights[column], num_inputs,
                    its_offsets, its_sources, its_activations,
                )  # fmt: skip
                _settle_logits(values, outputs[genome])
                entropy, right = _score_block(
                    values, scratch, outputs[genome], labels, first, num_live
                )
                entropies[row, column] += entropy
                correct[row, column] += right


@njit(**COMPILED)
def _take_logits(
    values: Lanes32,
    outputs: Int32[np.ndarray, "O"],
    first: int,
    num_live: int,
    logits: Float64[np.ndarray, "B O"],
) -> None:
    """Set the logits of the images from `first` on."""
    _settle_logits(values, outputs)
    for index in range(len(outputs)):
        for lane in range(num_live):
            logits[first + lane, index] = values[outputs[index], lane]


@njit(**CACHED)
def shared_logits(
    offsets: Int32[np.ndarray, "N+1"],
    sources: Int32[np.ndarray, "E"],
    activations: UInt8[np.ndarray, "N"],
    outputs: Int32[np.ndarray, "O"],
    weights: Float32[np.ndarray, "W"],
    images: Float32[np.ndarray, "B I"],
    logits: Float64[np.ndarray, "W B O"],
) -> None:
    """Set the logits of one network under each shared weight, through `score_lanes`'s own code."""
    num_inputs = images.shape[1]
    values = _aligned_rows(len(activations))
    sums = _aligned_rows(len(activations) - 1 - num_inputs)
    middles = np.zeros(len(sums), np.int64)
    for first in range(0, len(images), LANES):
        num_live = _load_images(values, images, first)
        _sum_inputs(values, sums, middles, num_inputs, offsets, sources)
        for column in range(len(weights)):
            _compute_shared(
                values, sums, middles, weights[column], num_inputs, offsets, sources, activations
            )
            _take_logits(values, outputs, first, num_live, logits[column])


@njit(**CACHED)
def weighted_logits(
    offsets: Int32[np.ndarray, "N+1"],
    sources: Int32[np.ndarray, "E"],
    activations: UInt8[np.ndarray, "N"],
    outputs: Int32[np.ndarray, "O"],
    weights: Float32[np.ndarray, "K E"],
    images: Float32[np.ndarray, "B I"],
    logits: Float64[np.ndarray, "K B O"],
) -> None:
    """Set the logits of one network with each of K weights for each of its links."""
    values = _aligned_rows(len(activations))
    for first in range(0, len(images), LANES):
        num_live = _load_images(values, images, first)
        for index in range(len(weights)):
            _compute_weighted(
                values, weights[index], images.shape[1], offsets, sources, activations
            )
            _take_logits(values, outputs, first, num_live, logits[index])
