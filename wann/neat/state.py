"""neat-python's state between two generations as arrays, so that it is kept without pickle."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from graphlib import TopologicalSorter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64, Int64

from wann.activations import activation_names, activation_of
from wann.archive import Archive
from wann.config import SearchConfig
from wann.neat.genomes import PREFIX, activation_id, neat_config
from wann.topology import Topology

if TYPE_CHECKING:
    import neat

ARRAYS: Mapping[str, type[np.generic]] = {
    "counters": np.int64,  # in the order of COUNTERS
    "random.state": np.int64,  # of Python's Mersenne twister: 624 words and a place
    "random.gauss": np.float64,  # the second of two normal numbers; NaN when there is none
    "genomes.keys": np.int64,
    "nodes.offsets": np.int64,  # where each genome's nodes begin; [G+1]
    "nodes.keys": np.int64,
    "nodes.biases": np.float64,
    "nodes.responses": np.float64,
    "nodes.activations": np.uint8,
    "links.offsets": np.int64,
    "links.sources": np.int64,
    "links.targets": np.int64,
    "links.innovations": np.int64,
    "links.weights": np.float64,
    "links.enabled": np.bool_,
    "species.keys": np.int64,
    "species.created": np.int64,
    "species.improved": np.int64,
    "species.representatives": np.int64,
    "members.offsets": np.int64,
    "members.keys": np.int64,
    "history.offsets": np.int64,
    "history.fitnesses": np.float64,
}
COUNTERS = ("generation", "next_genome", "next_node", "innovations", "next_species")
TWISTER = 3  # version of Python's generator, which random.getstate() begins with


@dataclass(frozen=True, eq=False)
class NeatState:
    """All that a NEAT run carries from one generation to the next.

    arrays: neat-python's population, species, counters and random state; see ARRAYS.
    """

    arrays: Mapping[str, np.ndarray]
    archive: Archive
    num_inputs: int
    num_outputs: int

    @property
    def generation(self) -> int:
        """The generation that comes next, counted from 0."""
        return int(self.arrays["counters"][0])

    def check(self) -> NeatState:
        """Return this state when a population can go on from it.

        Raises ValueError that says why it cannot.
        """
        config = neat_config(
            SearchConfig(algorithm="neat", activations=activation_names()),
            self.num_inputs,
            self.num_outputs,
        )
        from_arrays(self.arrays, config)
        return self


class Indexer:
    """Counts up as itertools.count does, but tells where it is."""

    def __init__(self, value: int) -> None:
        """Give `value` next."""
        self.value = value

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        self.value += 1
        return self.value - 1


class OwnRandom:
    """neat-python's random numbers, which it takes from Python's one generator for all."""

    def __init__(self, seed: int) -> None:
        """Start from a seed."""
        self.state = random.Random(seed).getstate()

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let Python's generator go on from here, and put back what was there before at the end."""
        before = random.getstate()
        random.setstate(self.state)
        try:
            yield
        finally:
            self.state = random.getstate()
            random.setstate(before)


def to_arrays(population: neat.Population, own_random: OwnRandom) -> dict[str, np.ndarray]:
    """Return a population between two generations as arrays; see ARRAYS."""
    genomes = list(population.population.values())
    nodes = [gene for genome in genomes for gene in genome.nodes.values()]
    links = [gene for genome in genomes for gene in genome.connections.values()]
    species = list(population.species.species.values())
    reproduction: Any = population.reproduction
    _, words, gauss = own_random.state
    columns: dict[str, Any] = {
        "counters": [
            population.generation,
            reproduction.genome_indexer.value,
            population.config.genome_config.node_indexer.value,
            reproduction.innovation_tracker.global_counter,
            population.species.indexer.value,
        ],
        "random.state": words,
        "random.gauss": [np.nan if gauss is None else gauss],
        "genomes.keys": [each.key for each in genomes],
        "nodes.offsets": _offsets([len(each.nodes) for each in genomes]),
        "nodes.keys": [each.key for each in nodes],
        "nodes.biases": [each.bias for each in nodes],
        "nodes.responses": [each.response for each in nodes],
        "nodes.activations": [activation_id(each) for each in nodes],
        "links.offsets": _offsets([len(each.connections) for each in genomes]),
        "links.sources": [each.key[0] for each in links],
        "links.targets": [each.key[1] for each in links],
        "links.innovations": [each.innovation for each in links],
        "links.weights": [each.weight for each in links],
        "links.enabled": [each.enabled for each in links],
        "species.keys": [each.key for each in species],
        "species.created": [each.created for each in species],
        "species.improved": [each.last_improved for each in species],
        "species.representatives": [each.representative.key for each in species],
        "members.offsets": _offsets([len(each.members) for each in species]),
        "members.keys": [key for each in species for key in each.members],
        "history.offsets": _offsets([len(each.fitness_history) for each in species]),
        "history.fitnesses": [value for each in species for value in each.fitness_history],
    }
    return {name: np.array(columns[name], dtype=kind) for name, kind in ARRAYS.items()}


def _offsets(sizes: Sequence[int]) -> Int64[np.ndarray, "K_plus_1"]:
    return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])


def first_population(config: neat.Config, own_random: OwnRandom) -> neat.Population:
    """Return neat-python's first generation."""
    import neat

    genomes: Any = config.genome_config
    genomes.node_indexer = Indexer(genomes.num_outputs)
    with own_random.in_place():
        population = neat.Population(config)
    reproduction: Any = population.reproduction
    reproduction.genome_indexer = Indexer(max(population.population) + 1)
    population.species.indexer = Indexer(max(population.species.species) + 1)
    return population


def from_arrays(
    arrays: Mapping[str, np.ndarray], config: neat.Config
) -> tuple[neat.Population, OwnRandom]:
    """Return the population that `to_arrays` made these from, and its random numbers.

    Raises ValueError when the arrays do not fit each other.
    """
    import neat
    from neat.reporting import ReporterSet
    from neat.species import DefaultSpeciesSet, Species

    counters = dict(zip(COUNTERS, arrays["counters"].tolist(), strict=True))
    genomes = {each.key: each for each in _genomes(arrays, config)}
    species_set: Any = DefaultSpeciesSet(config.species_set_config, ReporterSet())
    species_set.indexer = Indexer(counters["next_species"])
    heads = zip(
        *(arrays[f"species.{name}"].tolist() for name in ("keys", "created", "improved")),
        arrays["species.representatives"].tolist(),
        _parts(arrays, "members", "keys"),
        _parts(arrays, "history", "fitnesses"),
        strict=True,
    )
    for key, created, improved, representative, members, history in heads:
        species = Species(key, created)
        species.last_improved = improved
        species.fitness_history = history
        if representative not in genomes or not set(members) <= set(genomes):
            raise ValueError(f"species {key} has a genome that is not in the population")
        species.update(genomes[representative], {each: genomes[each] for each in members})
        species_set.species[key] = species
        species_set.genome_to_species |= dict.fromkeys(members, key)
    population = neat.Population(config, (genomes, species_set, counters["generation"]))
    reproduction: Any = population.reproduction
    reproduction.genome_indexer = Indexer(counters["next_genome"])
    reproduction.innovation_tracker.global_counter = counters["innovations"]
    genome_config: Any = config.genome_config
    genome_config.node_indexer = Indexer(counters["next_node"])
    gauss = float(arrays["random.gauss"][0])
    own_random = OwnRandom(0)
    words = tuple(arrays["random.state"].tolist())
    own_random.state = (TWISTER, words, None if np.isnan(gauss) else gauss)
    random.Random().setstate(own_random.state)  # raises where it is none
    return population, own_random


def _genomes(arrays: Mapping[str, np.ndarray], config: neat.Config) -> Iterator[neat.DefaultGenome]:
    from neat import DefaultGenome
    from neat.genes import DefaultConnectionGene, DefaultNodeGene

    activations = arrays["nodes.activations"].tolist()
    names = {each: PREFIX + activation_of(each).name for each in set(activations)}
    nodes: list[DefaultNodeGene] = []
    for key, bias, response, activation in zip(
        *(arrays[f"nodes.{name}"].tolist() for name in ("keys", "biases", "responses")),
        activations,
        strict=True,
    ):
        node: Any = DefaultNodeGene(key)
        node.bias, node.response, node.activation = bias, response, names[activation]
        node.aggregation, node.time_constant = "sum", 1.0
        nodes.append(node)
    links: list[DefaultConnectionGene] = []
    for source, target, innovation, weight, enabled in zip(
        *(
            arrays[f"links.{name}"].tolist()
            for name in ("sources", "targets", "innovations", "weights", "enabled")
        ),
        strict=True,
    ):
        link: Any = DefaultConnectionGene((source, target), innovation=innovation)
        link.weight, link.enabled = weight, enabled
        links.append(link)
    node_ends, link_ends = arrays["nodes.offsets"].tolist(), arrays["links.offsets"].tolist()
    keys = arrays["genomes.keys"].tolist()
    if not len(keys) == len(node_ends) - 1 == len(link_ends) - 1:
        raise ValueError("its genomes have not one place for nodes and for links each")
    inputs = set(config.genome_config.input_keys)
    outputs = set(config.genome_config.output_keys)
    for place, key in enumerate(keys):
        genome = DefaultGenome(key)
        genome.nodes = {each.key: each for each in nodes[node_ends[place] : node_ends[place + 1]]}
        genome.connections = {
            each.key: each for each in links[link_ends[place] : link_ends[place + 1]]
        }
        _check_links(genome, inputs, outputs)
        yield genome


def _check_links(genome: neat.DefaultGenome, inputs: set[int], outputs: set[int]) -> None:
    """Raise ValueError when a genome's links do not make a network from inputs to outputs."""
    nodes = set(genome.nodes)
    sources = {source for source, _ in genome.connections}
    targets = {target for _, target in genome.connections}
    if not outputs <= nodes or not sources <= nodes - outputs | inputs or not targets <= nodes:
        raise ValueError(f"genome {genome.key} has links between nodes that it does not have")
    graph: dict[int, list[int]] = {}
    for source, target in genome.connections:
        graph.setdefault(target, []).append(source)
    TopologicalSorter(graph).prepare()  # raises a ValueError for a cycle


def _parts(arrays: Mapping[str, np.ndarray], name: str, column: str) -> Iterator[list[Any]]:
    """Yield the part of each species of a column."""
    ends = arrays[f"{name}.offsets"].tolist()
    values = arrays[f"{name}.{column}"].tolist()
    for first, last in pairwise(ends):
        yield values[first:last]


def network_key(topology: Topology, weights: Float64[np.ndarray, "E"]) -> int:
    """Return 64 bits that differ for networks of different links, activations or weights."""
    digest = hashlib.blake2b(digest_size=8)
    for array in (topology.offsets, topology.sources, topology.activations, weights):
        digest.update(array.tobytes())
    return int.from_bytes(digest.digest(), "little")
