"""Networks in the JSON format of neat-python (`neat.export`, version 1.0), which has no reader."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64

from wann.config import check_keys
from wann.export.assembly import Link
from wann.export.graph import told
from wann.export.neat_python import (
    PREFIX,
    Neuron,
    activated,
    function_named,
    keys_of,
    network_of_neurons,
    neurons_of,
    wrong_aggregation,
)
from wann.files import read_bounded, write_atomically
from wann.network import Network
from wann.network_file import MAX_EDGES, MAX_NODES
from wann.strict_json import MAX_BYTES, first_not, parse_json, shown, typed

if TYPE_CHECKING:
    from wann.export.formats import Options

JSON_VERSION = "1.0"  # neat.export.json_format.FORMAT_VERSION
_FACTS = ("task", "observation", "action", "inputs", "outputs", "scores", "made_by")


def write_neat_json(
    network: Network,
    path: str | Path,
    about: Mapping[str, Any] | None = None,
    options: Options | None = None,
) -> None:
    """Write the network in the JSON format of neat-python (`neat.export`, version 1.0).

    What that format has no place for (names, task, a shared weight) stands in metadata.wann_search.
    """
    topology = network.topology
    neurons, links = neurons_of(network)
    keys = keys_of(network)
    input_keys, output_keys = keys[1 : 1 + topology.num_inputs], list(range(topology.num_outputs))
    own = json.loads(told(network, about).to_json())
    facts = {name: own[name] for name in _FACTS}
    if network.shared_weight is not None:
        facts["shared_weight"] = network.shared_weight
    biased = topology.targets()[topology.sources == 0].tolist()
    facts["bias_links"] = [keys[node] for node in biased]
    nodes = [
        _json_node(each, "output" if each.key in output_keys else "hidden") for each in neurons
    ]
    nodes += [_json_node(Neuron(key, "identity"), "input") for key in input_keys]
    content = {
        "format_version": JSON_VERSION,
        "network_type": "feedforward",
        "metadata": {"wann_search": facts},
        "topology": {
            "num_inputs": len(input_keys),
            "num_outputs": len(output_keys),
            "input_keys": input_keys,
            "output_keys": output_keys,
        },
        "nodes": nodes,
        "connections": [
            {"from": each.source, "to": each.target, "weight": each.weight, "enabled": True}
            for each in links
        ],
    }
    write_atomically(path, json.dumps(content, allow_nan=False, indent=1) + "\n")


def _json_node(neuron: Neuron, role: str) -> dict[str, Any]:
    custom = neuron.activation.startswith(PREFIX)
    return {
        "id": neuron.key,
        "type": role,
        "activation": {"name": neuron.activation, "custom": custom},
        "aggregation": {"name": "none" if role == "input" else "sum", "custom": False},
        "bias": neuron.bias,
        "response": neuron.response,
    }


def read_neat_json(path: str | Path) -> Network:
    """Return the network in a JSON file of neat-python; see `from_neat` for what can be read.

    Raises ValueError, naming the file, for anything else; OSError when it cannot be read.
    """
    try:
        return _json_network(parse_json(read_bounded(path, MAX_BYTES)))
    except ValueError as error:
        raise ValueError(f"{path} is not a usable neat-python JSON file: {error}") from None


def _json_network(content: Any) -> Network:
    nodes, connections, input_keys, output_keys = _json_lists(content)
    is_input, is_output = set(input_keys), set(output_keys)
    neurons: list[Neuron] = []
    for place, entry in enumerate(nodes):
        where = f"nodes[{place}] "
        key, role = typed(entry, "id", int, where), typed(entry, "type", str, where)
        wanted = "input" if key in is_input else "output" if key in is_output else "hidden"
        if role != wanted:
            raise ValueError(f"{where}must be of type {wanted!r}, but it is {shown(role)}")
        if role != "input":
            neurons.append(_json_neuron(key, entry, where))
    missing = is_output - {each.key for each in neurons}
    if missing or len(is_output) < len(output_keys) or is_input & is_output:
        raise ValueError("each output must be one of its nodes, once, and none of its inputs")
    links: list[Link] = []
    for place, entry in enumerate(connections):
        where = f"connections[{place}] "
        ends = (typed(entry, "from", int, where), typed(entry, "to", int, where))
        weight = _json_number(entry, "weight", where)
        if type(entry.get("enabled")) is not bool:
            raise ValueError(f"{where}'enabled' must be true or false")
        if entry["enabled"]:
            links.append(Link(*ends, weight))
    return network_of_neurons(
        input_keys, output_keys, neurons, links, **_json_facts(content, neurons)
    )


def _json_lists(content: Any) -> tuple[list[Any], list[Any], list[int], list[int]]:
    """Return the nodes, the connections, and the keys of inputs and outputs."""
    if not isinstance(content, dict):
        raise ValueError(f"an object was wanted, but it is {shown(content)}")
    if typed(content, "format_version", str) != JSON_VERSION:
        came = shown(content["format_version"])
        raise ValueError(f"its format_version must be {JSON_VERSION!r}, but it is {came}")
    if typed(content, "network_type", str) != "feedforward":
        came = shown(content["network_type"])
        raise ValueError(f"its network_type must be 'feedforward', but it is {came}")
    topology = typed(content, "topology", dict)
    lists: list[list[Any]] = []
    for key in ("input_keys", "output_keys"):
        values = typed(topology, key, list)
        wrong = first_not(int, values)
        if wrong is not None:
            raise ValueError(f"{key} must hold whole numbers, but it has {shown(values[wrong])}")
        number = key.replace("input_keys", "num_inputs").replace("output_keys", "num_outputs")
        if typed(topology, number, int) != len(values):
            raise ValueError(f"{number} must be {len(values)}, the number of {key}")
        lists.append(values)
    for key, limit in (("nodes", MAX_NODES), ("connections", MAX_EDGES)):
        values = typed(content, key, list)
        wrong = first_not(dict, values)
        if wrong is not None:
            raise ValueError(f"{key}[{wrong}] must be an object, but it is {shown(values[wrong])}")
        if len(values) > limit:
            raise ValueError(f"at most {limit:,} {key} fit, not {len(values):,}")
        lists.append(values)
    input_keys, output_keys, nodes, connections = lists
    return nodes, connections, input_keys, output_keys


def _json_neuron(key: int, entry: dict[str, Any], where: str) -> Neuron:
    name, is_custom = _json_function(entry, "activation", where)
    if is_custom != name.startswith(PREFIX):
        whose = "the genome's own" if is_custom else "neat-python's"
        raise ValueError(f"{where}has an activation {name[:40]!r} of {whose}, which is not known")
    aggregation, is_custom = _json_function(entry, "aggregation", where)
    if aggregation != "sum" or is_custom:
        raise wrong_aggregation(key, aggregation)
    bias, response = (_json_number(entry, name, where) for name in ("bias", "response"))
    return Neuron(key, name, bias, response)


def _json_function(entry: dict[str, Any], kind: str, where: str) -> tuple[str, bool]:
    function = typed(entry, kind, dict, where)
    custom = function.get("custom")
    if type(custom) is not bool:
        raise ValueError(
            f"{where}{kind}: 'custom' must be true or false, but it is {shown(custom)}"
        )
    return typed(function, "name", str, f"{where}{kind}: "), custom


def _json_number(entry: dict[str, Any], key: str, where: str) -> float:
    value = entry.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{where}{key!r} must be a number, but it is {shown(value)}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{where}{key!r} is too large for float64") from None


def _json_facts(content: dict[str, Any], neurons: Sequence[Neuron]) -> dict[str, Any]:
    """Return what `write_neat_json` says beside neat-python's format, as `_network` takes it."""
    facts = typed(content, "metadata", dict).get("wann_search", {})
    if not isinstance(facts, dict):
        raise ValueError(f"metadata.wann_search must be an object, but it is {shown(facts)}")
    known = (*_FACTS, "shared_weight", "bias_links")
    check_keys({key[:40]: None for key in facts}, known, "metadata.wann_search")
    if "shared_weight" in facts:
        facts["shared_weight"] = _json_number(facts, "shared_weight", "metadata.wann_search: ")
    keys = {each.key for each in neurons}
    for key in typed({"bias_links": [], **facts}, "bias_links", list):
        if type(key) is not int or key not in keys:
            raise ValueError(f"bias_links must be keys of computed nodes, but one is {shown(key)}")
    return facts


def run_neat_json(
    path: str | Path, inputs: Float64[np.ndarray, "B I"]
) -> Float64[np.ndarray, "B O"]:
    """Return what neat-python's FeedForwardNetwork computes with a file of `write_neat_json`."""
    import neat
    from neat.activations import ActivationFunctionSet
    from neat.aggregations import sum_aggregation

    content = parse_json(read_bounded(path, MAX_BYTES))
    nodes, connections, input_keys, output_keys = _json_lists(content)
    incoming: dict[int, list[tuple[int, float]]] = {}
    for entry in connections:
        incoming.setdefault(entry["to"], []).append((entry["from"], entry["weight"]))
    builtin = ActivationFunctionSet()
    evaluations: list[Any] = []
    for entry in nodes:
        if entry["type"] != "input":
            name = entry["activation"]["name"]
            is_own = entry["activation"]["custom"]
            function = function_named(name.removeprefix(PREFIX)) if is_own else builtin.get(name)
            links = incoming.get(entry["id"], [])
            evaluations.append(
                (entry["id"], function, sum_aggregation, entry["bias"], entry["response"], links)
            )
    return activated(neat.nn.FeedForwardNetwork(input_keys, output_keys, evaluations), inputs)
