"""Random networks for tests: any size, any activation, links that skip layers."""

import numpy as np

from wann.network import Network
from wann.topology import Topology


def random_network(
    num_inputs, num_outputs, num_hidden, num_links, *, seed, shared=True, output_links=False
):
    """Return a network with at most `num_links` links, all of which may end in any later node.

    Outputs come last, in shuffled order, unless `output_links` mixes them with the hidden nodes.
    """
    rng = np.random.default_rng(seed)
    num_nodes = 1 + num_inputs + num_hidden + num_outputs
    free = np.arange(1 + num_inputs, num_nodes)
    outputs = rng.permutation(free if output_links else free[num_hidden:])[:num_outputs]
    ends = rng.integers(0, num_nodes, size=(4 * num_links + 8, 2))
    ends = ends[(ends[:, 0] < ends[:, 1]) & (ends[:, 1] > num_inputs)]
    if not output_links:
        ends = ends[ends[:, 0] <= num_inputs + num_hidden]
    keys = np.unique(ends[:num_links, 1] * num_nodes + ends[:num_links, 0])
    activations = rng.integers(1, 12, size=num_nodes)
    activations[: 1 + num_inputs] = 1
    topology = Topology(
        num_inputs,
        np.searchsorted(keys // num_nodes, np.arange(num_nodes + 1)).astype(np.int32),
        (keys % num_nodes).astype(np.int32),
        activations.astype(np.uint8),
        outputs.astype(np.int32),
    )
    weights = 1.5 if shared else rng.normal(size=len(keys))
    return Network(topology.check(), weights, task="CartPole-v1", action="argmax")
