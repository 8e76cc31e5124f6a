"""Networks for neat-python: its genomes, its JSON, and a module that needs nothing of ours.

neat-python's activations are scaled (`tanh` is tanh(2.5 x), `sin` is sin(5 x)) or other functions
altogether (`inv` is 1 / x), so nothing is mapped by name: what is not exactly the same is
registered under a name of our own. Its nodes have a bias where our networks have links from one.
"""

from __future__ import annotations

import inspect
import itertools
import math
import runpy
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64

from wann.activations import PAPER_ACTIVATIONS, activation_named, activation_names, activation_of
from wann.checks import whole_number_in
from wann.export.assembly import Link, Part, assemble
from wann.export.graph import weight_list
from wann.files import write_atomically
from wann.network import Network
from wann.strict_json import shown

if TYPE_CHECKING:
    import neat

    from wann.export.formats import Options

Scalar = Callable[[float], float]

PREFIX = "wann_"  # of the functions that neat-python does not have
LEAST_BOUND = 30.0  # of weights and biases; evolution may go on to twice the largest
BIAS = "bias"


def wann_step(x: float) -> float:
    """Return 1 for x > 0, else 0."""
    return 1.0 if x > 0.0 else 0.0


def wann_sin(x: float) -> float:
    """Return sin(pi x)."""
    return math.sin(math.pi * math.remainder(x, 2.0)) if math.isfinite(x) else math.nan


def wann_gaussian(x: float) -> float:
    """Return exp(-x^2 / 2)."""
    return math.exp(-0.5 * x * x)


def wann_tanh(x: float) -> float:
    """Return tanh(x)."""
    return math.tanh(x)


def wann_sigmoid(x: float) -> float:
    """Return 1 / (1 + exp(-x))."""
    return 0.5 * (math.tanh(0.5 * x) + 1.0)


def wann_inverse(x: float) -> float:
    """Return -x."""
    return -x


def wann_cos(x: float) -> float:
    """Return cos(pi x)."""
    return math.cos(math.pi * math.remainder(x, 2.0)) if math.isfinite(x) else math.nan


def wann_square(x: float) -> float:
    """Return x^2, infinite where neat-python's own raises OverflowError."""
    return x * x


_FUNCTIONS: tuple[Scalar, ...] = (
    wann_step, wann_sin, wann_gaussian, wann_tanh, wann_sigmoid, wann_inverse, wann_cos,
    wann_square,
)  # fmt: skip
_SAME = {"linear": "identity", "abs": "abs", "relu": "relu"}  # ours to neat-python's


@dataclass(frozen=True)
class Scaled:
    """One of neat-python's functions as activation(scale * x), with x held in [-limit, limit]."""

    activation: str
    scale: float = 1.0
    limit: float = math.inf


# neat-python 2.0, activations.py. It also holds 5 x of sigmoid and 2.5 x of tanh in [-60, 60] and
# x of gauss in [-3.4, 3.4], where these are constant to within 1e-24.
SCALED = {
    "identity": Scaled("linear"),
    "abs": Scaled("abs"),
    "relu": Scaled("relu"),
    "square": Scaled("square"),
    "tanh": Scaled("tanh", 2.5),
    "sigmoid": Scaled("sigmoid", 5.0),
    "gauss": Scaled("gaussian", math.sqrt(10.0)),
    "sin": Scaled("sin", 5.0 / math.pi, 12.0),
    "clamped": Scaled("linear", 1.0, 1.0),
}


@dataclass(frozen=True)
class Neuron:
    """A node as neat-python has it: activation(bias + response * sum of weight * source).

    activation: its name; that of a function of ours begins with PREFIX.
    """

    key: int
    activation: str
    bias: float = 0.0
    response: float = 1.0


def to_neat(network: Network, population: int = 50) -> tuple[neat.DefaultGenome, neat.Config]:
    """Return the network as a genome of neat-python, and a configuration to evolve it with.

    `neat.nn.FeedForwardNetwork.create(genome, config)` computes what the network does. Inputs have
    the keys -1 to -I, outputs 0 to O-1, hidden nodes those after. A link from the bias becomes the
    node's bias, so one of weight 0 leaves no trace. Activations that neat-python does not have are
    registered in the configuration as `wann_` and our name.
    population: pop_size; more of the configuration is the caller's to change.
    """
    whole_number_in("population", population, 2)
    neurons, links = neurons_of(network)
    functions = [function_named(name) for name in _names_in(network)]
    return make_genome(
        config_text(network, population),
        [(each.key, each.activation, each.bias) for each in neurons],
        [(link.source, link.target, link.weight) for link in links],
        functions,
    )


def make_genome(
    settings: str,
    nodes: list[tuple[int, str, float]],
    connections: list[tuple[Any, Any, float]],
    functions: list[Any],
) -> tuple[Any, Any]:
    """Return a genome and the configuration it belongs to.

    settings: neat-python's configuration file. nodes: key, activation, bias. connections: from, to,
        weight. functions: activations to register by their names.
    """
    import tempfile
    from pathlib import Path

    import neat

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config"
        path.write_text(settings, encoding="utf-8")
        config = neat.Config(
            neat.DefaultGenome,
            neat.DefaultReproduction,
            neat.DefaultSpeciesSet,
            neat.DefaultStagnation,
            str(path),
        )
    for function in functions:
        config.genome_config.add_activation(function.__name__, function)
    genome = neat.DefaultGenome(1)
    for key, activation, bias in nodes:
        node = config.genome_config.node_gene_type(key)
        node.bias, node.response, node.time_constant = bias, 1.0, 1.0
        node.activation, node.aggregation = activation, "sum"
        genome.nodes[key] = node
    for innovation, (source, target, weight) in enumerate(connections, start=1):
        link = config.genome_config.connection_gene_type((source, target), innovation=innovation)
        link.weight, link.enabled = weight, True
        genome.connections[source, target] = link
    return genome, config


def config_text(network: Network, population: int = 50) -> str:
    """Return a configuration file of neat-python for a network and what evolves from it."""
    weights = np.abs(np.asarray(weight_list(network)))
    bound = max(LEAST_BOUND, 2.0 * float(weights.max(initial=0.0)))
    options = {_neat_name(each.name): None for each in PAPER_ACTIVATIONS}
    options |= dict.fromkeys(_neat_name(name) for name in _names_in(network))
    return _SETTINGS.format(
        population=population,
        activations=" ".join(options),
        num_inputs=network.topology.num_inputs,
        num_outputs=network.topology.num_outputs,
        bound=repr(bound),
    )


_SETTINGS = """\
[NEAT]
fitness_criterion = max
fitness_threshold = 0
no_fitness_termination = True
pop_size = {population}
reset_on_extinction = False

[DefaultGenome]
num_inputs = {num_inputs}
num_outputs = {num_outputs}
num_hidden = 0
feed_forward = True
initial_connection = full_direct
activation_default = random
activation_mutate_rate = 0.05
activation_options = {activations}
aggregation_default = sum
aggregation_mutate_rate = 0.0
aggregation_options = sum
bias_init_mean = 0.0
bias_init_stdev = 1.0
bias_max_value = {bound}
bias_min_value = -{bound}
bias_mutate_power = 0.3
bias_mutate_rate = 0.5
bias_replace_rate = 0.02
response_init_mean = 1.0
response_init_stdev = 0.0
response_max_value = {bound}
response_min_value = -{bound}
response_mutate_power = 0.0
response_mutate_rate = 0.0
response_replace_rate = 0.0
weight_init_mean = 0.0
weight_init_stdev = 1.0
weight_max_value = {bound}
weight_min_value = -{bound}
weight_mutate_power = 0.3
weight_mutate_rate = 0.6
weight_replace_rate = 0.02
enabled_default = True
enabled_mutate_rate = 0.01
compatibility_disjoint_coefficient = 1.0
compatibility_weight_coefficient = 0.5
conn_add_prob = 0.2
conn_delete_prob = 0.1
node_add_prob = 0.1
node_delete_prob = 0.05

[DefaultSpeciesSet]
compatibility_threshold = 3.0

[DefaultStagnation]
species_fitness_func = max
max_stagnation = 20
species_elitism = 1

[DefaultReproduction]
elitism = 2
survival_threshold = 0.2
min_species_size = 2
"""


def neat_population(genome: neat.DefaultGenome, config: neat.Config, seed: int) -> neat.Population:
    """Return a population of neat-python in which a genome's evolution goes on.

    It holds the genome itself and, for the rest of pop_size, mutants of it. With elitism, as in the
    configuration of `to_neat`, the best fitness never falls while the fitness of a genome is fixed.
    seed: of Python's global random state, which is what neat-python draws from.
    """
    import random

    import neat
    from neat.reporting import ReporterSet

    random.seed(seed)
    size: int = vars(config)["pop_size"]  # set by name, so type checkers do not know it
    genomes = {1: genome}
    species = neat.DefaultSpeciesSet(config.species_set_config, ReporterSet())
    population = neat.Population(config, initial_state=(genomes, species, 0))
    tracker = population.reproduction.innovation_tracker
    tracker.global_counter = max(
        (each.innovation for each in genome.connections.values()), default=0
    )
    config.genome_config.innovation_tracker = tracker
    for key in range(2, size + 1):
        mutant = neat.DefaultGenome(key)
        mutant.nodes = {name: each.copy() for name, each in genome.nodes.items()}
        mutant.connections = {name: each.copy() for name, each in genome.connections.items()}
        mutant.mutate(config.genome_config)
        genomes[key] = mutant
    genome.key = 1
    population.reproduction.ancestors.update(dict.fromkeys(genomes, ()))
    population.reproduction.genome_indexer = itertools.count(size + 1)
    species.speciate(config, genomes, 0)
    return population


def evaluate_genome(
    genome: neat.DefaultGenome, config: neat.Config, inputs: Float64[np.ndarray, "B I"]
) -> Float64[np.ndarray, "B O"]:
    """Return the outputs that neat-python's FeedForwardNetwork computes for a genome."""
    import neat

    return activated(neat.nn.FeedForwardNetwork.create(genome, config), inputs)


def from_neat(genome: neat.DefaultGenome, config: neat.Config) -> Network:
    """Return the network that computes what neat-python's FeedForwardNetwork does for a genome.

    A node's response and the scale of its activation become part of the weights, its bias a link
    from the bias unless it is 0. neat-python holds the argument of `sin` and `clamped` in bounds;
    two relu nodes before such a node do the same. As there, nodes that no output needs are left
    out, and so are disabled links.
    Raises ValueError for a genome that allows recurrent links or has a cycle, for an aggregation
    other than sum, and for an activation that is neither ours nor a scaled form of one of ours.
    """
    settings = config.genome_config
    if not settings.feed_forward:
        raise ValueError(
            "the genome's configuration allows recurrent links (feed_forward = False); only a "
            "feed-forward one can be read"
        )
    links = [
        Link(source, target, float(each.weight))
        for (source, target), each in genome.connections.items()
        if each.enabled
    ]
    needed = _needed(settings.output_keys, links)
    neurons: list[Neuron] = []
    is_output = set(settings.output_keys)
    for key in sorted(needed - set(settings.input_keys), key=lambda key: (key in is_output, key)):
        if key not in genome.nodes:
            raise ValueError(f"the genome's links name a node {key}, which it does not have")
        gene = genome.nodes[key]
        if gene.aggregation != "sum":
            raise wrong_aggregation(key, gene.aggregation)
        name = _registered_name(key, gene.activation, settings.activation_defs)
        neurons.append(Neuron(key, name, float(gene.bias), float(gene.response)))
    links = [link for link in links if link.target in needed]
    return network_of_neurons(settings.input_keys, settings.output_keys, neurons, links)


def _needed(outputs: Iterable[int], links: Sequence[Link]) -> set[Any]:
    """Return the outputs and all that leads to them."""
    sources: dict[Hashable, list[Hashable]] = {}
    for link in links:
        sources.setdefault(link.target, []).append(link.source)
    needed: set[Hashable] = set(outputs)
    waiting = list(needed)
    while waiting:
        new = [each for each in sources.get(waiting.pop(), ()) if each not in needed]
        needed.update(new)
        waiting += new
    return needed


def _registered_name(key: int, name: str, functions: Any) -> str:
    """Return what JSON calls an activation, found by the function that is registered for it."""
    from neat.activations import ActivationFunctionSet

    function = functions.functions.get(name)
    for own, theirs in ActivationFunctionSet().functions.items():
        if function is theirs:
            return own
    if function in _FUNCTIONS or hasattr(function, "wann_activation"):
        return str(getattr(function, "__name__", ""))
    raise ValueError(
        f"node {key} has an activation {name!r} that is the genome's own; only {_known_names()} "
        "can be read"
    )


def network_of_neurons(
    input_keys: Sequence[int],
    output_keys: Sequence[int],
    neurons: Sequence[Neuron],
    links: Sequence[Link],
    **facts: Any,
) -> Network:
    """Return the network of neat-python's nodes and links, folded into links and weights."""
    bias_links: set[int] = set(facts.pop("bias_links", ()))
    output_of = {key: number for number, key in enumerate(output_keys)}
    incoming: dict[Hashable, list[Link]] = {}
    for link in links:
        incoming.setdefault(link.target, []).append(link)
    parts = [Part(key, "input") for key in input_keys]
    folded: list[Link] = []
    for neuron in neurons:
        form = _form(neuron)
        number = output_of.get(neuron.key)
        role = "hidden" if number is None else "output"
        own = [
            Link(each.source, neuron.key, neuron.response * each.weight)
            for each in incoming.pop(neuron.key, ())
        ]
        if math.isinf(form.limit):
            folded += [Link(each.source, neuron.key, form.scale * each.weight) for each in own]
            if neuron.bias != 0.0 or neuron.key in bias_links:
                folded.append(Link(BIAS, neuron.key, form.scale * neuron.bias))
        else:  # x held in [-a, a] is relu(x + a) - relu(x - a) - a
            for end, side in (("above", 1.0), ("below", -1.0)):
                label = (neuron.key, end)
                parts.append(Part(label, "hidden", "relu"))
                folded += [Link(each.source, label, each.weight) for each in own]
                folded.append(Link(BIAS, label, neuron.bias + side * form.limit))
                folded.append(Link(label, neuron.key, side * form.scale))
            folded.append(Link(BIAS, neuron.key, -form.scale * form.limit))
        parts.append(Part(neuron.key, role, form.activation, output=number))
    stray = next(iter(incoming), None)
    if stray is not None:
        raise ValueError(f"a link ends in node {shown(stray)}, which is not there or is an input")
    shared = facts.get("shared_weight")
    wrong = next((each.weight for each in folded if shared not in (None, each.weight)), None)
    if wrong is not None:
        raise ValueError(f"its shared_weight is {shared:g}, but a link has weight {wrong:g}")
    return assemble([Part(BIAS, "bias"), *parts], folded, **facts)


def _form(neuron: Neuron) -> Scaled:
    """Return a node's activation as a scaled one of ours."""
    if neuron.activation in SCALED:
        return SCALED[neuron.activation]
    name = neuron.activation.removeprefix(PREFIX)
    if name == neuron.activation or name not in activation_names():
        raise ValueError(
            f"node {neuron.key} has activation {neuron.activation[:40]!r}; only {_known_names()} "
            "can be read"
        )
    return Scaled(name)


def _known_names() -> str:
    return f"{', '.join(SCALED)} and those of ours ({PREFIX}...)"


def wrong_aggregation(key: int, name: str) -> ValueError:
    """Return the error for a node that does not sum."""
    return ValueError(f"node {key} must have aggregation 'sum', but it has {name[:40]!r}")


def neurons_of(network: Network) -> tuple[list[Neuron], list[Link]]:
    """Return the network's nodes and links as neat-python has them, in evaluation order."""
    topology = network.topology
    keys = keys_of(network)
    biases: dict[int, float] = {}
    links: list[Link] = []
    for source, target, weight in zip(
        topology.sources.tolist(), topology.targets().tolist(), weight_list(network), strict=True
    ):
        if source == 0:
            biases[target] = weight
        else:
            links.append(Link(keys[source], keys[target], weight))
    first = 1 + topology.num_inputs
    names = [activation_of(each).name for each in topology.activations.tolist()]
    neurons = [
        Neuron(keys[node], _neat_name(names[node]), biases.get(node, 0.0))
        for node in range(first, topology.num_nodes)
    ]
    return neurons, links


def keys_of(network: Network) -> list[int]:
    """Return neat-python's key of each node [N]; that of the bias, 0 as well, is never used."""
    topology = network.topology
    output_of = {node: number for number, node in enumerate(topology.outputs.tolist())}
    keys = [0, *range(-1, -topology.num_inputs - 1, -1)]
    hidden = topology.num_outputs
    for node in range(len(keys), topology.num_nodes):
        if node in output_of:
            keys.append(output_of[node])
        else:
            keys.append(hidden)
            hidden += 1
    return keys


def _names_in(network: Network) -> list[str]:
    """Return the names of our activations that a genome may use: the paper's, and the network's."""
    used = network.topology.activations[1 + network.topology.num_inputs :].tolist()
    names = [each.name for each in PAPER_ACTIVATIONS]
    names += [activation_of(each).name for each in sorted(set(used))]
    return [each for each in dict.fromkeys(names) if each not in _SAME]


def _neat_name(name: str) -> str:
    return _SAME.get(name, PREFIX + name)


def function_named(name: str) -> Scalar:
    """Return an activation of ours, as a function of a float that is called PREFIX + name."""
    for each in _FUNCTIONS:
        if each.__name__ == PREFIX + name:
            return each
    elementwise = activation_named(name).function

    def registered(x: float) -> float:
        return float(elementwise(np.array([x]))[0])

    registered.__name__ = PREFIX + name
    registered.wann_activation = name  # type: ignore[attr-defined]
    return registered


def write_neat(
    network: Network,
    path: str | Path,
    about: Mapping[str, Any] | None = None,
    options: Options | None = None,
) -> None:
    """Write a Python module whose `make()` returns the network as `to_neat` does.

    It needs neat-python and nothing of ours. Raises ValueError for activations that are no part of
    the paper's: their functions cannot be written down.
    """
    known = {each.__name__.removeprefix(PREFIX): each for each in _FUNCTIONS}
    names = _names_in(network)
    strange = [name for name in names if name not in known]
    if strange:
        raise ValueError(
            f"activation {strange[0]!r} is registered, and its function cannot be written into a "
            "file; `to_neat` hands it over within Python"
        )
    neurons, links = neurons_of(network)
    nodes = "".join(f"    ({each.key}, {each.activation!r}, {each.bias!r}),\n" for each in neurons)
    connections = "".join(
        f"    ({each.source}, {each.target}, {each.weight!r}),\n" for each in links
    )
    functions = "".join(inspect.getsource(known[name]) + "\n\n" for name in names)
    text = _MODULE.format(
        about=repr(dict(about or {})),
        settings=config_text(network),
        nodes=nodes,
        connections=connections,
        functions=functions,
        names=", ".join(PREFIX + name for name in names),
        make_genome=inspect.getsource(make_genome),
    )
    write_atomically(path, text)


_MODULE = '''\
"""A network for neat-python: `genome, config = make()`.

`neat.nn.FeedForwardNetwork.create(genome, config).activate(inputs)` computes its outputs.
"""

from __future__ import annotations

import math

ABOUT = {about}

SETTINGS = """\\
{settings}"""

NODES = [  # key, activation, bias
{nodes}]

CONNECTIONS = [  # from, to, weight
{connections}]


{functions}{make_genome}

def make():
    """Return the genome and the configuration to evaluate it, and evolve it, with."""
    return make_genome(SETTINGS, NODES, CONNECTIONS, [{names}])
'''


def run_neat(path: str | Path, inputs: Float64[np.ndarray, "B I"]) -> Float64[np.ndarray, "B O"]:
    """Return what neat-python computes with a module of `write_neat`, which is executed."""
    genome, config = runpy.run_path(str(path))["make"]()
    return evaluate_genome(genome, config, inputs)


def activated(
    network: neat.nn.FeedForwardNetwork, inputs: Float64[np.ndarray, "B I"]
) -> Float64[np.ndarray, "B O"]:
    """Return what neat-python's network gives for each row of a batch."""
    return np.array([network.activate(row) for row in inputs.tolist()])
