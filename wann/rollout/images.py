"""Checked calls of the image kernels: scores of a batch of networks, logits of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Float32, Float64, Int, Int64

from wann.kernel_cache import use_kernel_cache
from wann.rollout.compiled import (
    check_activations,
    check_range,
    checked,
    kernel_array,
    kernel_arrays,
)

if TYPE_CHECKING:
    from wann.topology import Topologies, Topology


def score_images(
    topologies: Topologies,
    weights: Float64[np.ndarray, "W"],
    images: Float[np.ndarray, "B I"],
    labels: Int[np.ndarray, "B"],
    start: int = 0,
    stop: int | None = None,
) -> tuple[Float64[np.ndarray, "g W"], Int64[np.ndarray, "g W"]]:
    """Return minus the mean cross-entropy and the number of right answers of each network.

    weights: shared weights. images: what the networks see. labels: the output that should be the
        largest, 0 to O - 1. start, stop: which of the topologies; g = stop - start.
    The cross-entropy is that of the softmax of the outputs, in nats, its mean over the images; a
    right answer is one whose largest output, of equal ones the first, is the label's.
    An output that is NaN counts as 0 and an infinite one as the largest float32, so that every
    score is a finite number. Computed in float32, except for the sums over images; the oracle is
    `wann.forward.forward`. Releases the GIL, so threads can share the topologies of a batch. A
    score does not depend on what else is in the call.
    Raises ValueError for no images, sizes that do not fit, labels out of range, values that are not
    finite numbers of float32 and activations that are not among the paper's.
    """
    stop = check_range(topologies, start, stop)
    check_activations(topologies.activations)
    images = _images(images, topologies.num_inputs)
    labels = _labels(labels, len(images), topologies.num_outputs)
    weights = checked("weights", weights, (len(weights),), np.float32)
    entropies = np.zeros((stop - start, len(weights)))
    correct = np.zeros((stop - start, len(weights)), dtype=np.int64)
    if entropies.size:
        use_kernel_cache()
        from wann.rollout.image_kernels import score_lanes

        score_lanes(*kernel_arrays(topologies), start, weights, images, labels, entropies, correct)
    return -entropies / len(images), correct


def image_logits(
    topology: Topology,
    weights: float | Float64[np.ndarray, "E"],
    images: Float[np.ndarray, "B I"],
) -> Float64[np.ndarray, "B O"]:
    """Return the outputs of one network for a batch of images, as `score_images` judges them.

    weights: one number that all links share, or one for each link, as in `wann.forward`.
    See `logits_by_weight` for precision and errors.
    """
    if isinstance(weights, float | int):
        return logits_by_weight(topology, np.array([weights], dtype=np.float64), images)[0]
    return logits_by_weight(topology, weights[np.newaxis], images)[0]


def logits_by_weight(
    topology: Topology,
    weights: Float64[np.ndarray, "W"] | Float64[np.ndarray, "W E"],
    images: Float[np.ndarray, "B I"],
) -> Float64[np.ndarray, "W B O"]:
    """Return the outputs of one network for a batch of images under each of W weights.

    weights: [W], each shared by all links, or [W, E], each a weight for every link.
    Computed in float32; with shared weights by `score_images`'s own code, to the last bit. An
    output that is NaN becomes 0 and an infinite one the largest float32. Releases the GIL.
    Raises ValueError as `score_images` does.
    """
    check_activations(topology.activations)
    images = _images(images, topology.num_inputs)
    is_shared = weights.ndim == 1
    shape = (len(weights),) if is_shared else (len(weights), topology.num_connections)
    weights = checked("weights", weights, shape, np.float32)
    logits = np.zeros((len(weights), len(images), topology.num_outputs))
    if logits.size:
        use_kernel_cache()
        from wann.rollout import image_kernels

        kernel = image_kernels.shared_logits if is_shared else image_kernels.weighted_logits
        kernel(
            kernel_array(topology.offsets, np.int32),
            kernel_array(topology.sources, np.int32),
            kernel_array(topology.activations, np.uint8),
            kernel_array(topology.outputs, np.int32),
            weights,
            images,
            logits,
        )
    return logits


def _images(images: Float[np.ndarray, "B I"], num_inputs: int) -> Float32[np.ndarray, "B I"]:
    """Return at least one finite image of this size, as the kernels take it."""
    if images.ndim != 2 or images.shape[1] != num_inputs or len(images) == 0:
        wanted = f"(batch, {num_inputs}), at least one image"
        raise ValueError(f"images must have shape {wanted}, but the shape is {images.shape}")
    return checked("images", images, images.shape, np.float32)


def _labels(
    labels: Int[np.ndarray, "B"], num_images: int, num_outputs: int
) -> Int64[np.ndarray, "B"]:
    """Return one label an image, each the index of an output, as the kernels take them."""
    if labels.shape != (num_images,):
        wanted = f"({num_images},), one an image"
        raise ValueError(f"labels must have shape {wanted}, but the shape is {labels.shape}")
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels must be whole numbers, but their type is {labels.dtype}")
    wrong = (labels < 0) | (labels >= num_outputs)
    if wrong.any():
        index = int(wrong.argmax())
        raise ValueError(
            f"labels must be 0 to {num_outputs - 1}, but labels[{index}] is {labels[index]}"
        )
    return kernel_array(labels, np.int64)
