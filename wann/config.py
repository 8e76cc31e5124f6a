"""Everything a search depends on, with its defaults, presets and checks."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Float64

from wann.activations import activation_named
from wann.checks import nearest, number_in, unknown, whole_number_in
from wann.objectives import OBJECTIVES

SHARED_WEIGHTS = (-2.0, -1.0, -0.5, 0.5, 1.0, 2.0)  # Gaier & Ha 2019, section 3.1
MAX_POPULATION = 100_000
MAX_EPISODES = 10_000
MAX_WORKERS = 1_024
BACKENDS = ("auto", "local", "ray")
LABELS = {  # what an algorithm is called where results are shown
    "wann": "WANN: shapes under shared weights",
    "neat": "NEAT by neat-python: weights evolved, no shared weight",
}
ALGORITHMS = tuple(LABELS)
PATIENCE = 120.0  # s without any worker before a search gives up
MAX_WEIGHTS = 1000
CONTROL_ACTIVATIONS = (
    "linear", "step", "sin", "gaussian", "tanh", "sigmoid", "inverse", "abs", "relu", "cos",
)  # fmt: skip


@dataclass(frozen=True)
class SharedWeights:
    """Where the shared weights of a generation come from.

    values: the fixed list; empty when they are drawn afresh each generation.
    distribution: "uniform" with (low, high) or "normal" with (mean, standard deviation).
    """

    values: tuple[float, ...]
    distribution: str = ""
    parameters: tuple[float, float] = (0.0, 0.0)
    count: int = 0

    def draw(self, rng: np.random.Generator) -> Float64[np.ndarray, "W"]:
        """Return the weights of one generation; only a distribution consumes `rng`."""
        if self.distribution == "uniform":
            return rng.uniform(*self.parameters, size=self.count)
        if self.distribution == "normal":
            return rng.normal(*self.parameters, size=self.count)
        return np.array(self.values)

    def __len__(self) -> int:
        return self.count or len(self.values)


def parse_weights(text: str) -> SharedWeights:
    """Return the shared weights that `text` asks for.

    text: numbers with commas between, "uniform:LOW:HIGH:COUNT" or "normal:MEAN:DEVIATION:COUNT".
    Raises ValueError when it is neither, has no weight, one that is not finite, or only zeros.
    """
    kind, *rest = text.split(":")
    if rest:
        return _parse_distribution(text, kind, rest)
    try:
        values = tuple(float(each) for each in text.split(","))
    except ValueError:
        raise ValueError(
            f"weights must be numbers with commas between, or uniform:LOW:HIGH:COUNT, not {text!r}"
        ) from None
    for index, value in enumerate(values):
        if not math.isfinite(value):
            raise ValueError(f"shared weights must be finite, but weights[{index}] is {value}")
    whole_number_in("the number of weights", len(values), 1, MAX_WEIGHTS)
    if not any(values):
        raise ValueError(f"at least one shared weight must not be zero, but all are in {text!r}")
    return SharedWeights(values)


def _parse_distribution(text: str, kind: str, rest: list[str]) -> SharedWeights:
    if kind not in ("uniform", "normal"):
        raise unknown("distribution of weights", kind, ("uniform", "normal"))
    try:
        first, second, count = float(rest[0]), float(rest[1]), int(rest[2])
    except (ValueError, IndexError):
        raise ValueError(f"a distribution is written {kind}:A:B:COUNT, not {text!r}") from None
    spread_is_right = second > first if kind == "uniform" else second > 0
    is_finite = math.isfinite(first) and math.isfinite(second) and math.isfinite(second - first)
    if len(rest) != 3 or not (is_finite and spread_is_right):
        wanted = "LOW < HIGH" if kind == "uniform" else "a positive deviation"
        raise ValueError(f"a {kind} distribution needs finite numbers and {wanted}, not {text!r}")
    whole_number_in("the number of weights", count, 1, MAX_WEIGHTS)
    return SharedWeights((), kind, (first, second), count)


@dataclass(frozen=True)
class SearchConfig:
    """What a search depends on: two runs of equal configuration on one machine are equal.

    A field is also an option of `wann-search` and a key of a card's [search] table.
    algorithm: "wann" searches for shapes under shared weights; "neat" runs neat-python, which
        evolves weights as well. For it only NEAT_FIELDS have a meaning, and all others must keep
        their defaults. A genome of it has its own weights only: `episodes` and
        `validation_episodes` are all that it plays.
    objectives: names of `wann.objectives.OBJECTIVES`. None stands for the paper's two pairs, of
        which `pareto_probability` chooses one a generation; it is not used where some are named.
    Raises ValueError or TypeError, naming the field, for a value out of its range.
    """

    task: str = "CartPole-v1"
    """Gymnasium id, `module:Id-v0`, or a card's path"""
    algorithm: str = "wann"
    """What searches: wann, or neat for neat-python as a baseline"""
    seed: int = 0
    """The whole run follows from it"""
    generations: int = 64
    """Generations to run"""
    population: int = 192
    """Genomes in a generation"""
    episodes: int = 3
    """Episodes for each shared weight in a generation"""
    weights: str = ",".join(f"{each:g}" for each in SHARED_WEIGHTS)
    """Shared weights, or uniform:LOW:HIGH:COUNT, or normal:MEAN:DEVIATION:COUNT"""
    activations: tuple[str, ...] = CONTROL_ACTIVATIONS
    """Activations that a hidden node may have"""
    insert_node: float = 0.25
    """Probability that a child gets a node in the middle of a link"""
    add_connection: float = 0.20
    """Probability that a child gets a link"""
    enable_connection: float = 0.05
    """Probability that a disabled link of a child is enabled"""
    change_activation: float = 0.50
    """Probability that a hidden node of a child gets another activation"""
    remove_connection: float = 0.0
    """Probability that a child loses a link"""
    remove_node: float = 0.0
    """Probability that a child loses a hidden node"""
    initial_enable: float = 0.5
    """Probability that a link of a first genome is enabled"""
    tournament: int = 3
    """Genomes that compete to be a parent"""
    cull_ratio: float = 0.2
    """Share of the worst that cannot be parents"""
    elite_ratio: float = 0.2
    """Share of the rest that goes on unchanged"""
    pareto_probability: float = 0.6
    """Probability that a generation is ranked by size instead of by best weight"""
    objectives: tuple[str, ...] = ()
    """Rank every generation by all of these: mean, best, worst, connections, hidden"""
    output_links: bool = False
    """Whether an output may feed other nodes"""
    max_connections: int = 0
    """Most links that a network may have; 0 for no limit"""
    validation_episodes: int = 32
    """Held-out episodes for each weight that choose the champion"""
    test_episodes: int = 100
    """Episodes for each weight that score the champion at the end"""

    def __post_init__(self) -> None:
        # One spelling for one configuration: equal ones are the same run, with the same digest.
        object.__setattr__(self, "weights", _spelled_weights(self.weights))
        object.__setattr__(self, "activations", _names("activations", self.activations))
        object.__setattr__(self, "objectives", _names("objectives", self.objectives))
        _check_ranges(self)
        for name in _PROBABILITIES:
            object.__setattr__(self, name, float(getattr(self, name)))
        if self.algorithm == "neat":
            check_fields_of_neat(self, "the configuration")

    @property
    def shared_weights(self) -> SharedWeights:
        """The shared weights that `weights` asks for."""
        return parse_weights(self.weights)

    @property
    def operators(self) -> tuple[float, ...]:
        """Probabilities of the six mutations, in the order of `wann.mutation.Operator`."""
        return tuple(getattr(self, name) for name in OPERATORS)

    def digest(self) -> str:
        """Return ten characters that differ when any field but the generations differs."""
        content = self.table()
        del content["generations"]  # a run may be made longer
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:10]

    def table(self) -> dict[str, Any]:
        """Return the fields as a file keeps them.

        Without `objectives` where there are none and without `algorithm` where it is "wann": a
        search has the digest that it had before they could be named. Of "neat", only what has a
        meaning for it.
        """
        content = dataclasses.asdict(self)
        if self.algorithm == "neat":
            return {name: content[name] for name in NEAT_FIELDS}
        del content["algorithm"]
        if not self.objectives:
            del content["objectives"]
        return content

    def replace(self, **changes: Any) -> SearchConfig:
        """Return this configuration with some fields changed, and checked again."""
        return dataclasses.replace(self, **changes)


NEAT_FIELDS = (
    "task", "algorithm", "seed", "generations", "population", "episodes", "activations",
    "validation_episodes", "test_episodes",
)  # fmt: skip
NEAT_ACTIVATIONS = ("tanh",)  # as in the NEAT of Gaier & Ha's own code


def check_fields_of_neat(values: SearchConfig | Mapping[str, Any], where: str) -> None:
    """Raise ValueError, naming the field, when a value is given that neat-python has no use for.

    values: a configuration, whose default values are not counted as given, or some of its fields.
    """
    for each in fields(SearchConfig):
        if each.name in NEAT_FIELDS:
            continue
        if isinstance(values, SearchConfig):
            is_given = getattr(values, each.name) != each.default
        else:
            is_given = each.name in values
        if is_given:
            raise ValueError(
                f"{each.name} has no meaning for algorithm 'neat', but {where} gives it; leave it "
                f"out (neat-python takes {', '.join(NEAT_FIELDS)})"
            )


def neat_defaults(search: SearchConfig) -> dict[str, Any]:
    """Return the fields of a NEAT run that has the same budget of episodes as this search.

    A genome of the search plays its episodes under each shared weight, one of NEAT under its own
    weights only: it gets that many times the episodes.
    """
    num_weights = len(search.shared_weights)
    return {
        "generations": search.generations,
        "population": search.population,
        "episodes": min(search.episodes * num_weights, MAX_EPISODES),
        "validation_episodes": min(search.validation_episodes * num_weights, MAX_EPISODES),
        "test_episodes": search.test_episodes,
        "activations": NEAT_ACTIVATIONS,
    }


OPERATORS = (
    "insert_node",
    "add_connection",
    "enable_connection",
    "change_activation",
    "remove_connection",
    "remove_node",
)

_WHOLE_NUMBERS: dict[str, tuple[int, float]] = {
    "seed": (0, 2**63 - 1),
    "generations": (1, 10_000_000),
    "population": (2, MAX_POPULATION),
    "episodes": (1, MAX_EPISODES),
    "tournament": (1, MAX_POPULATION),
    "max_connections": (0, 1_000_000),
    "validation_episodes": (2, MAX_EPISODES),
    "test_episodes": (2, MAX_EPISODES),
}
_PROBABILITIES = (
    *OPERATORS,
    "initial_enable",
    "cull_ratio",
    "elite_ratio",
    "pareto_probability",
)


def _spelled_weights(weights: object) -> str:
    """Return the one text for these weights, which come as text or as numbers."""
    if isinstance(weights, str):
        if ":" in weights:
            return weights
        values = parse_weights(weights).values
    elif isinstance(weights, list | tuple | np.ndarray) and all(
        isinstance(each, int | float | np.number) for each in weights
    ):
        values = weights
    else:
        raise TypeError(f"weights must be numbers or text, but {weights!r} was given")
    return ",".join(repr(float(each)).removesuffix(".0") for each in values)


def _names(field: str, names: object) -> tuple[str, ...]:
    if not isinstance(names, list | tuple) or not all(isinstance(each, str) for each in names):
        raise TypeError(f"{field} must be a list of names, but {names!r} was given")
    return tuple(names)


def _check_ranges(config: SearchConfig) -> None:
    if not isinstance(config.task, str) or not config.task:
        raise ValueError(f"task must be a name, but {config.task!r} was given")
    if config.algorithm not in ALGORITHMS:
        raise unknown("algorithm", str(config.algorithm), ALGORITHMS, " or ".join(ALGORITHMS))
    for name, (low, high) in _WHOLE_NUMBERS.items():
        whole_number_in(name, getattr(config, name), low, high)
    for name in _PROBABILITIES:
        number_in(name, getattr(config, name), 0.0, 1.0)
    for name in ("cull_ratio", "elite_ratio"):  # there must be parents, and room for children
        if getattr(config, name) == 1.0:
            raise ValueError(f"{name} must be less than 1, but {getattr(config, name)} was given")
    if not isinstance(config.output_links, bool):
        raise TypeError(f"output_links must be true or false, not {config.output_links!r}")
    parse_weights(config.weights)
    if not config.activations:
        raise ValueError("activations must name at least one")
    for name in config.activations:
        activation_named(name)
    for name in config.objectives:
        if name not in OBJECTIVES:
            raise unknown("objective", name, OBJECTIVES, f"there are {', '.join(OBJECTIVES)}")
    for field in ("activations", "objectives"):
        names = getattr(config, field)
        if len(set(names)) != len(names):
            raise ValueError(f"{field} must differ, but {list(names)} were given")
    total = sum(config.operators)
    if not math.isclose(total, 1.0, abs_tol=1e-9):
        names = ", ".join(OPERATORS)
        raise ValueError(f"the probabilities of {names} must sum to 1, but they sum to {total:g}")


@dataclass(frozen=True)
class Backend:
    """Where networks are evaluated; it makes no difference to what is found.

    name: "local" is threads of this process; "ray" is actors; "auto" is local where the task has a
        compiled kernel and there is no address, else ray.
    workers: threads or actors; 0 for all cores of this machine or CPUs of the cluster.
    address: HOST:PORT of a Ray cluster, "auto" for the one this machine belongs to, "" for a Ray of
        our own on this machine. The variable RAY_ADDRESS stands in where it is empty.
    deadline: seconds an actor may take over one piece of work; 0 for a limit by what others took.
    patience: seconds without any actor before the search is saved and given up.
    Raises ValueError or TypeError that names the field for a wrong value.
    """

    name: str = "auto"
    workers: int = 0
    address: str = ""
    deadline: float = 0.0
    patience: float = PATIENCE

    def __post_init__(self) -> None:
        if self.name not in BACKENDS:
            raise unknown("backend", self.name, BACKENDS, "auto, local or ray")
        whole_number_in("workers", self.workers, 0, MAX_WORKERS)
        number_in("deadline", self.deadline, 0.0)
        number_in("patience", self.patience, 0.0)
        if self.name == "local" and self.address:
            raise ValueError(
                f"the local backend has no address, but {self.address!r} was given; leave one out"
            )

    @property
    def cluster(self) -> str:
        """The address of the cluster to join; "" for none."""
        if self.name == "local":
            return ""
        return self.address or os.environ.get("RAY_ADDRESS", "")


PAPER_OPERATORS: dict[str, Any] = {
    "insert_node": 0.25,
    "add_connection": 0.20,
    "enable_connection": 0.05,
    "change_activation": 0.50,
    "remove_connection": 0.0,
    "remove_node": 0.0,
    "tournament": 8,  # as in the paper; its code keeps the better of two winners: 16 in effect
    "cull_ratio": 0.2,
    "elite_ratio": 0.2,
    "pareto_probability": 0.8,
    "initial_enable": 0.5,
    "activations": CONTROL_ACTIVATIONS,
    "output_links": False,
    "max_connections": 0,
    "weights": ",".join(f"{each:g}" for each in SHARED_WEIGHTS),
}
PRESETS: dict[str, dict[str, Any]] = {"gaier2019": PAPER_OPERATORS}


def preset_named(name: str) -> dict[str, Any]:
    """Return the values that a preset sets. Raises ValueError with the nearest match."""
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS)
    return PRESETS[name]


def check_keys(values: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    """Raise ValueError, with the nearest match, when `values` has a key that is not known."""
    names = tuple(known)
    for key in values:
        if key not in names:
            raise ValueError(f"unknown key {key!r} in {where}{nearest(key, names)}")


def search_config(layers: Iterable[tuple[str, Mapping[str, Any]]]) -> SearchConfig:
    """Return the configuration that these layers give, a later one over an earlier one.

    layers: (where the values come from, the values), the weakest first.
    Raises ValueError that names the layer of an unknown key, and ValueError or TypeError that names
    the field of a wrong value.
    """
    names = tuple(each.name for each in fields(SearchConfig))
    merged: dict[str, Any] = {}
    for where, values in layers:
        check_keys(values, names, where)
        merged.update(values)
    return SearchConfig(**merged)
