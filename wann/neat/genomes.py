"""neat-python's configuration, and what one of its genomes computes as a topology with weights."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64

from wann.activations import Activation, activation_named
from wann.topology import Topology

if TYPE_CHECKING:
    import neat

    from wann.config import SearchConfig

PREFIX = "wann_"  # of our activations there: its `tanh` is tanh(2.5 x), its `inv` is 1 / x
# Values of neat-python's own feed-forward example (examples/xor/config-feedforward), but with one
# elite and at least one genome a species, so that any number of species fits any population.
SETTINGS: dict[str, dict[str, Any]] = {
    "NEAT": {
        "fitness_criterion": "max",
        "fitness_threshold": 0.0,
        "no_fitness_termination": True,
        "reset_on_extinction": True,
    },
    "DefaultGenome": {
        "activation_default": "random",
        "activation_mutate_rate": 0.1,
        "aggregation_default": "sum",
        "aggregation_mutate_rate": 0.0,
        "aggregation_options": "sum",
        "bias_init_mean": 0.0,
        "bias_init_stdev": 1.0,
        "bias_max_value": 30.0,
        "bias_min_value": -30.0,
        "bias_mutate_power": 0.5,
        "bias_mutate_rate": 0.7,
        "bias_replace_rate": 0.1,
        "compatibility_disjoint_coefficient": 1.0,
        "compatibility_weight_coefficient": 0.5,
        "conn_add_prob": 0.5,
        "conn_delete_prob": 0.5,
        "enabled_default": True,
        "enabled_mutate_rate": 0.01,
        "feed_forward": True,
        "initial_connection": "full_direct",
        "node_add_prob": 0.2,
        "node_delete_prob": 0.2,
        "num_hidden": 0,
        "response_init_mean": 1.0,
        "response_init_stdev": 0.0,
        "response_max_value": 30.0,
        "response_min_value": -30.0,
        "response_mutate_power": 0.0,
        "response_mutate_rate": 0.0,
        "response_replace_rate": 0.0,
        "weight_init_mean": 0.0,
        "weight_init_stdev": 1.0,
        "weight_max_value": 30.0,
        "weight_min_value": -30.0,
        "weight_mutate_power": 0.5,
        "weight_mutate_rate": 0.8,
        "weight_replace_rate": 0.1,
    },
    "DefaultSpeciesSet": {"compatibility_threshold": 3.0},
    "DefaultStagnation": {
        "species_fitness_func": "max",
        "max_stagnation": 20,
        "species_elitism": 2,
    },
    "DefaultReproduction": {"elitism": 1, "survival_threshold": 0.2, "min_species_size": 1},
}


def neat_settings(config: SearchConfig, num_inputs: int, num_outputs: int) -> str:
    """Return neat-python's configuration file for a run: its `neat.ini`."""
    ours = {
        "NEAT": {"pop_size": config.population},
        "DefaultGenome": {
            "activation_options": " ".join(PREFIX + name for name in config.activations),
            "num_inputs": num_inputs,
            "num_outputs": num_outputs,
        },
    }
    sections = {name: ours.get(name, {}) | values for name, values in SETTINGS.items()}
    return "\n".join(
        f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in values.items())
        for name, values in sections.items()
    )


def neat_config(config: SearchConfig, num_inputs: int, num_outputs: int) -> neat.Config:
    """Return neat-python's configuration of a run, which knows our activations by `PREFIX`."""
    import neat

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "neat.ini"
        path.write_text(neat_settings(config, num_inputs, num_outputs))
        result = neat.Config(
            neat.DefaultGenome,
            neat.DefaultReproduction,
            neat.DefaultSpeciesSet,
            neat.DefaultStagnation,
            str(path),
        )
    for name in config.activations:
        result.genome_config.add_activation(PREFIX + name, _scalar(activation_named(name)))
    return result


def _scalar(activation: Activation) -> Callable[[float], float]:
    """Return an activation as neat-python takes it: a function of one number."""

    def apply(x: float) -> float:
        return float(activation.function(np.array([x], dtype=np.float64))[0])

    apply.__name__ = PREFIX + activation.name
    return apply


def activation_id(gene: Any) -> int:
    """Return the id of the activation of a neat-python node."""
    return activation_named(gene.activation.removeprefix(PREFIX)).id


def network_parts(
    genome: neat.DefaultGenome, num_inputs: int, num_outputs: int
) -> tuple[Topology, Float64[np.ndarray, "E"]]:
    """Return what a feed-forward genome computes: its topology, and a weight for each link.

    Its node is activation(bias + response * sum(weight * source)). The bias becomes a link from the
    bias node, the response a factor of the weights. A bias of 0 adds no link to a node that has
    others. What leads to no output is left out; nodes are in order of depth, the outputs last.
    The genome's activations are ours (`neat_config`), its aggregations sums, and no link starts at
    an output.
    """
    incoming: dict[int, list[tuple[int, float]]] = {key: [] for key in genome.nodes}
    for (source, target), gene in genome.connections.items():
        if gene.enabled:
            incoming[target].append((source, genome.nodes[target].response * gene.weight))
    depths = _depths(incoming, range(num_outputs))
    hidden = sorted(
        (key for key in depths if key >= num_outputs), key=lambda key: (depths[key], key)
    )
    order = [*hidden, *range(num_outputs)]
    first = 1 + num_inputs
    positions = {-number: number for number in range(1, first)}
    positions |= {key: first + place for place, key in enumerate(order)}
    offsets = [0] * (first + 1)
    sources: list[int] = []
    weights: list[float] = []
    for key in order:
        links = sorted((positions[source], weight) for source, weight in incoming[key])
        bias = genome.nodes[key].bias
        if bias != 0.0 or not links:
            links.insert(0, (0, bias))
        sources += [source for source, _ in links]
        weights += [weight for _, weight in links]
        offsets.append(len(sources))
    num_nodes = first + len(order)
    activations = np.ones(num_nodes, dtype=np.uint8)  # linear, as that of the inputs
    activations[first:] = [activation_id(genome.nodes[key]) for key in order]
    topology = Topology(
        num_inputs,
        np.array(offsets, dtype=np.int32),
        np.array(sources, dtype=np.int32),
        activations,
        np.arange(num_nodes - num_outputs, num_nodes, dtype=np.int32),
    )
    return topology, np.array(weights, dtype=np.float64)


def _depths(incoming: dict[int, list[tuple[int, float]]], outputs: Iterable[int]) -> dict[int, int]:
    """Return the longest path, in links, to each node that leads to an output."""
    depths: dict[int, int] = {}
    waiting = [*outputs]
    while waiting:  # a node waits on the stack until all its sources are done
        node = waiting[-1]
        sources = [source for source, _ in incoming[node] if source >= 0]
        missing = [source for source in sources if source not in depths]
        if missing:
            waiting += missing
            continue
        waiting.pop()
        depths[node] = 1 + max((depths[source] for source in sources), default=0)
    return depths
