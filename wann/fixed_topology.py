"""Fixed topologies: the layered networks that the field compares found shapes with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from wann.activations import LINEAR, activation_named
from wann.checks import whole_number_in
from wann.topology import Topology

MAX_CONNECTIONS = 10_000_000
# Hidden layers of the networks that Gaier & Ha 2019 compare with: of the demonstration beside the
# article for swing-up (5-10-1: 71 links), else the `layers` of their code's tasks.
PAPER_HIDDEN: Mapping[str, tuple[int, ...]] = {
    "wann/SwingUp-v0": (10,),
    "BipedalWalker-v3": (40, 40),
    "BipedalWalkerHardcore-v3": (40, 40),
    "mnist": (128, 9),
    "digits": (128, 9),
}


def fixed_topology(
    sizes: Sequence[int], activation: str = "tanh", output_activation: str = ""
) -> Topology:
    """Return the topology in which each layer is linked to all of the next, with a bias each.

    sizes: nodes in each layer, the inputs first and the outputs last. activation: of the hidden
        nodes; output_activation: of the outputs, the same when left out.
    It has (before + 1) * after links for each pair of neighbouring layers: 71 for 5-10-1.
    Raises ValueError when there are fewer than two layers, a layer has no node, there would be more
    than MAX_CONNECTIONS links, or an activation is unknown; TypeError for what is no whole number.
    """
    if len(sizes) < 2:
        raise ValueError(f"sizes must be those of two layers or more, but {list(sizes)} were given")
    for place, size in enumerate(sizes):
        whole_number_in(f"sizes[{place}]", size, 1)
    num_links = sum((before + 1) * after for before, after in pairwise(sizes))
    if num_links > MAX_CONNECTIONS:
        raise ValueError(
            f"layers of {list(sizes)} nodes have {num_links:,} links, but at most "
            f"{MAX_CONNECTIONS:,} are possible; take smaller layers"
        )
    hidden = activation_named(activation).id
    last = activation_named(output_activation or activation).id
    num_inputs, num_outputs = sizes[0], sizes[-1]
    offsets = [np.zeros(num_inputs + 2, dtype=np.int64)]  # bias and inputs have no links
    sources: list[np.ndarray] = []
    first = 1  # node of the layer before
    num_before = 0
    for before, after in pairwise(sizes):
        links = np.concatenate([[0], np.arange(first, first + before)])
        sources.append(np.tile(links, after))
        offsets.append(num_before + len(links) * np.arange(1, after + 1))
        num_before += len(links) * after
        first += before
    num_nodes = 1 + sum(sizes)
    activations = np.full(num_nodes, hidden, dtype=np.uint8)
    activations[: 1 + num_inputs] = LINEAR
    activations[num_nodes - num_outputs :] = last
    return Topology(
        num_inputs,
        np.concatenate(offsets).astype(np.int32),
        np.concatenate(sources).astype(np.int32),
        activations,
        np.arange(num_nodes - num_outputs, num_nodes, dtype=np.int32),
    )
