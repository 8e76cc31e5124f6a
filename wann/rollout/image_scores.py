"""Batches of images in plain NumPy: for activations of a user's own, and to test kernels against.

An output that is NaN counts as 0, as under every action rule, and an infinite one as the largest
number that float32 holds, so that every network has a finite score.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from wann.forward import forward
from wann.tasks.image_data import ImageSet
from wann.tasks.images import ImageTask
from wann.topology import Topologies, Topology

LARGEST_OUTPUT = float(np.finfo(np.float32).max)


@dataclass(frozen=True, eq=False)
class Graded:
    """What one network makes of batches of images.

    returns: minus the mean cross-entropy of each batch, nats. num_correct: how many images of each
        are told rightly. sizes: how many there are.
    """

    returns: Float64[np.ndarray, "W R"]
    num_correct: Int64[np.ndarray, "W R"]
    sizes: Int64[np.ndarray, "R"]

    @property
    def accuracy_by_weight(self) -> Float64[np.ndarray, "W"]:
        """Share of the images of all batches that are told rightly, 0 to 1."""
        return self.num_correct.sum(axis=1) / self.sizes.sum()


def bounded(outputs: Float64[np.ndarray, "B O"]) -> Float64[np.ndarray, "B O"]:
    """Return outputs that are all finite: 0 for NaN, and what float32 holds at most."""
    return np.nan_to_num(np.clip(outputs, -LARGEST_OUTPUT, LARGEST_OUTPUT), nan=0.0)


def minus_cross_entropy(
    outputs: Float64[np.ndarray, "B O"], labels: Int64[np.ndarray, "B"]
) -> Float64[np.ndarray, "B"]:
    """Return the logarithm of the probability that softmax gives each image's own class."""
    logits = bounded(outputs)
    shifted = logits - logits.max(axis=1, keepdims=True)
    own = shifted[np.arange(len(labels)), labels]
    return own - np.log(np.exp(shifted).sum(axis=1))


def grade(
    task: ImageTask,
    topology: Topology,
    weights: Float64[np.ndarray, "W"],
    seeds: Int64[np.ndarray, "R"],
) -> Graded:
    """Return how well a network tells the images of each seed's batch apart, by `wann.forward`."""
    returns = np.empty((len(weights), len(seeds)))
    num_correct = np.empty(returns.shape, dtype=np.int64)
    sizes = np.empty(len(seeds), dtype=np.int64)
    for layer, seed in enumerate(seeds.tolist()):
        batch = task.batch(seed)
        sizes[layer] = len(batch)
        returns[:, layer], num_correct[:, layer] = _graded(topology, weights, batch)
    return Graded(returns, num_correct, sizes)


def _graded(
    topology: Topology, weights: Float64[np.ndarray, "W"], batch: ImageSet
) -> tuple[list[float], list[int]]:
    images = batch.images.astype(np.float64)
    returns, num_correct = [], []
    for weight in weights.tolist():
        outputs = forward(topology, weight, images)
        returns.append(float(minus_cross_entropy(outputs, batch.labels).mean()))
        num_correct.append(int((bounded(outputs).argmax(axis=1) == batch.labels).sum()))
    return returns, num_correct


def score_batches(
    task: ImageTask,
    topologies: Topologies,
    weights: Float64[np.ndarray, "W"],
    seeds: Int64[np.ndarray, "R"],
) -> tuple[Float64[np.ndarray, "G W R"], int]:
    """Return minus each network's mean cross-entropy on each seed's batch, under each weight.

    Beside it, how many images the networks saw: each one once for each network and weight.
    """
    graded = [grade(task, each, weights, seeds) for each in topologies]
    returns = np.empty((len(graded), len(weights), len(seeds)))
    for row, each in enumerate(graded):
        returns[row] = each.returns
    num_images = sum(len(weights) * int(each.sizes.sum()) for each in graded)
    return returns, num_images
