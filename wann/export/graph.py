"""Networks as graphs: networkx, its node-link JSON, GraphML, and DOT text for Graphviz."""

from __future__ import annotations

import dataclasses
import json
import math
import warnings
from collections import Counter
from collections.abc import Hashable, Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from jaxtyping import Float64

from wann.activations import activation_named, activation_of
from wann.checks import unknown
from wann.export.assembly import Link, Part, assemble
from wann.export.drawing import node_colour
from wann.export.layout import node_depths
from wann.export.svg import cut
from wann.files import read_bounded, write_atomically
from wann.network import Network
from wann.network_file import FORMAT, MAX_EDGES, MAX_NODES, ROLES, VERSION
from wann.strict_json import MAX_BYTES, first_not, parse_json, shown, typed

if TYPE_CHECKING:
    import networkx as nx

    from wann.export.formats import Options

MAX_GRAPHML_BYTES = 4_000_000  # about 36,000 links; reading them takes 84 MB
MAX_XML_DEPTH, MAX_XML_ELEMENTS, MAX_XML_ATTRIBUTES = 16, 120_000, 16
MAX_LABEL_WIDTH, LABEL_SIZE = 160.0, 12.0  # px, of a name in DOT text
_JSON_FACTS = ("observation", "scores", "made_by")  # a GraphML attribute holds no dict
_FACTS = ("task", "action")


def to_networkx(network: Network) -> nx.DiGraph[Any]:
    """Return the network as a directed graph, with an edge for each link.

    Nodes are the numbers 0 to N-1, in evaluation order. Their attributes: role (bias, input,
    hidden, output), activation (its name in our table), name (h1, h2, ... for hidden nodes), level
    (longest path, in links) and, of an output, output (its number from 0).
    Edge attribute: weight. Graph attributes: format, version, task, action, shared_weight when all
    links share one, and as JSON text observation, scores and made_by.
    All are text and numbers, so every writer of networkx can keep them; `from_networkx` reads them.
    """
    import networkx as nx

    content = json.loads(network.to_json())
    facts = {name: content[name] for name in _FACTS}
    facts |= {name: json.dumps(content[name]) for name in _JSON_FACTS}
    if network.shared_weight is not None:
        facts["shared_weight"] = network.shared_weight
    graph: nx.DiGraph[Any] = nx.DiGraph(format=FORMAT, version=VERSION, **facts)
    names, levels = node_names(network), node_depths(network.topology)
    for entry in content["nodes"]:
        node = entry.pop("id")
        graph.add_node(node, **entry, name=names[node], level=levels[node])
    for (source, target), weight in zip(content["edges"], weight_list(network), strict=True):
        graph.add_edge(source, target, weight=weight)
    return graph


def from_networkx(graph: nx.DiGraph[Any]) -> Network:
    """Return the network that a directed graph describes: the reverse of `to_networkx`.

    Nodes may have any names and come in any order; inputs are taken in the order of the graph,
    outputs by their number, or in that order where none has one. role is needed of every node,
    activation of hidden nodes and outputs, weight of every edge unless the graph has a
    shared_weight; all else may be left out. Unknown attributes are not looked at.
    Raises ValueError for a graph that is no network: undirected, with parallel edges or a cycle,
    larger than a network file may be, of another format or version, or with an attribute that is
    missing or out of range.
    """
    if not graph.is_directed():
        raise ValueError("a network is a directed graph (networkx.DiGraph), but this one is not")
    if graph.is_multigraph():
        raise ValueError("two nodes of a network have one edge at most, but this is a multigraph")
    if len(graph) > MAX_NODES or graph.number_of_edges() > MAX_EDGES:
        sizes = f"{len(graph):,} nodes and {graph.number_of_edges():,} edges"
        raise ValueError(f"at most {MAX_NODES:,} nodes and {MAX_EDGES:,} edges fit, not {sizes}")
    for name, wanted in (("format", FORMAT), ("version", VERSION)):
        if graph.graph.get(name, wanted) != wanted:
            came = shown(graph.graph[name])
            raise ValueError(f"the graph's {name} must be {wanted!r}, but it is {came}")
    shared = _shared_weight(graph.graph)
    parts = [_part(node, attributes) for node, attributes in graph.nodes(data=True)]
    links = [
        Link(
            source, target, _weight(f"edge {shown(source)} -> {shown(target)}", attributes, shared)
        )
        for source, target, attributes in graph.edges(data=True)
    ]
    return assemble(parts, links, shared_weight=shared, **_facts(graph.graph))


def _shared_weight(attributes: dict[str, Any]) -> float | None:
    if "shared_weight" not in attributes:
        return None
    return _number("the graph's shared_weight", attributes["shared_weight"])


def _part(node: Hashable, attributes: dict[str, Any]) -> Part:
    where = f"node {shown(node)}"
    role = _text(f"{where}: role", attributes.get("role"))
    if role not in ROLES:
        raise ValueError(f"{where}: {unknown('role', role[:40], ROLES)}")
    is_computed = role in ("hidden", "output")
    activation = _text(
        f"{where}: activation", attributes.get("activation", "" if is_computed else "linear")
    )
    has_name = role in ("input", "output") and "name" in attributes
    output = attributes.get("output") if role == "output" else None
    if output is not None and type(output) is not int:
        raise ValueError(f"{where}: output must be a whole number, but it is {shown(output)}")
    name = _text(f"{where}: name", attributes["name"]) if has_name else None
    return Part(node, role, activation, name, output)


def _weight(where: str, attributes: dict[str, Any], shared: float | None) -> float:
    if shared is None and "weight" not in attributes:
        raise ValueError(f"{where} has no weight, and the graph has no shared_weight")
    weight = _number(f"{where}: weight", attributes.get("weight", shared))
    if shared is not None and weight != shared:
        raise ValueError(
            f"{where} has weight {weight:g}, but the graph's shared_weight is {shared:g}; "
            "leave one out"
        )
    return weight


def _facts(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a network file that a graph keeps as its attributes."""
    facts: dict[str, Any] = {
        name: _text(f"the graph's {name}", attributes[name])
        for name in _FACTS
        if name in attributes
    }
    for name in _JSON_FACTS:
        if name in attributes:
            facts[name] = parse_json(_text(f"the graph's {name}", attributes[name]).encode())
    return facts


def _text(what: str, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{what} must be text, but it is {shown(value)}")
    return value


def _number(what: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise ValueError(f"{what} must be a number, but it is {shown(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{what} must be finite, but it is {shown(value)}")
    return number


def evaluate_graph(
    graph: nx.DiGraph[Any], inputs: Float64[np.ndarray, "B I"]
) -> Float64[np.ndarray, "B O"]:
    """Return the outputs that a graph of `to_networkx` gives, computed by walking over it.

    It looks at nothing but the graph's attributes, so it shows that these are all one needs.
    """
    import networkx as nx

    values: dict[Hashable, Float64[np.ndarray, "B"]] = {}
    outputs: dict[int, Float64[np.ndarray, "B"]] = {}
    columns = iter(inputs.T)
    roles = graph.nodes(data="role")
    values |= {node: np.ones(len(inputs)) for node, role in roles if role == "bias"}
    values |= {node: next(columns) for node, role in roles if role == "input"}
    for node in nx.topological_sort(graph):
        attributes = graph.nodes[node]
        if node not in values:
            total = np.zeros(len(inputs))
            for source, _, weight in graph.in_edges(node, data="weight"):
                total = total + weight * values[source]
            with np.errstate(over="ignore", invalid="ignore"):
                values[node] = activation_named(attributes["activation"]).function(total)
        if attributes["role"] == "output":
            outputs[attributes["output"]] = values[node]
    return np.stack([outputs[number] for number in range(len(outputs))], axis=1)


def write_networkx(
    network: Network,
    path: str | Path,
    about: Mapping[str, Any] | None = None,
    options: Options | None = None,
) -> None:
    """Write the network as networkx's node-link JSON, which `networkx.node_link_graph` reads.

    about: goes into its made_by, in each format that has one.
    """
    import networkx as nx

    content = nx.node_link_data(to_networkx(told(network, about)), edges="edges")
    write_atomically(path, json.dumps(content, allow_nan=False) + "\n")


def read_networkx(path: str | Path) -> Network:
    """Return the network in a node-link JSON file of networkx; see `from_networkx`.

    Raises ValueError, naming the file, for anything else; OSError when it cannot be read.
    """
    try:
        return from_networkx(_node_link_graph(read_bounded(path, MAX_BYTES)))
    except ValueError as error:
        raise ValueError(f"{path} is not a usable node-link file: {error}") from None


def run_networkx(
    path: str | Path, inputs: Float64[np.ndarray, "B I"]
) -> Float64[np.ndarray, "B O"]:
    """Return the outputs that the graph in a node-link file gives."""
    return evaluate_graph(_node_link_graph(read_bounded(path, MAX_BYTES)), inputs)


def _node_link_graph(data: bytes) -> nx.DiGraph[Any]:
    import networkx as nx

    content = parse_json(data)
    if not isinstance(content, dict):
        raise ValueError(f"an object was wanted, but it is {shown(content)}")
    content.setdefault("edges", content.pop("links", []))  # its name before networkx 3.4
    nodes = _objects(content, "nodes", MAX_NODES)
    edges = _objects(content, "edges", MAX_EDGES)
    names = [_node_name(each, "id", f"nodes[{place}]") for place, each in enumerate(nodes)]
    if len(set(names)) < len(names):
        raise ValueError("two of its nodes have the same id")
    for place, each in enumerate(edges):
        for end in ("source", "target"):
            _node_name(each, end, f"edges[{place}]")
    pairs = {(each["source"], each["target"]) for each in edges}
    if len(pairs) < len(edges):
        raise ValueError("two of its edges join the same nodes")
    if type(content.get("graph", {})) is not dict:
        raise ValueError(f"'graph' must be an object, but it is {shown(content['graph'])}")
    for key, wanted in (("directed", True), ("multigraph", False)):
        if content.get(key) is not wanted:
            raise ValueError(f"{key!r} must be {str(wanted).lower()} for a network")
    return nx.node_link_graph(content, edges="edges")


def _objects(content: dict[str, Any], key: str, limit: int) -> list[dict[str, Any]]:
    values = typed(content, key, list)
    if len(values) > limit:
        raise ValueError(f"at most {limit:,} {key} fit, not {len(values):,}")
    wrong = first_not(dict, values)
    if wrong is not None:
        raise ValueError(f"{key}[{wrong}] must be an object, but it is {shown(values[wrong])}")
    return values


def _node_name(content: dict[str, Any], key: str, where: str) -> int | str:
    name = content.get(key)
    if isinstance(name, bool) or not isinstance(name, int | str):
        raise ValueError(f"{where}: {key} must be a number or text, but it is {shown(name)}")
    return name


def write_graphml(
    network: Network,
    path: str | Path,
    about: Mapping[str, Any] | None = None,
    options: Options | None = None,
) -> None:
    """Write the network as GraphML, with the attributes that `to_networkx` names."""
    import networkx as nx

    text = BytesIO()
    nx.write_graphml(to_networkx(told(network, about)), text)
    write_atomically(path, text.getvalue())


def read_graphml(path: str | Path) -> Network:
    """Return the network in a GraphML file; see `from_networkx`.

    Document type declarations, and with them entities of any kind, are refused before anything is
    built. Raises ValueError, naming the file, for anything but the one graph of a network;
    OSError when it cannot be read.
    """
    try:
        return from_networkx(_graphml_graph(read_bounded(path, MAX_GRAPHML_BYTES)))
    except ValueError as error:
        raise ValueError(f"{path} is not a usable GraphML file: {error}") from None


def run_graphml(path: str | Path, inputs: Float64[np.ndarray, "B I"]) -> Float64[np.ndarray, "B O"]:
    """Return the outputs that the graph in a GraphML file gives."""
    return evaluate_graph(_graphml_graph(read_bounded(path, MAX_GRAPHML_BYTES)), inputs)


def _graphml_graph(data: bytes) -> nx.DiGraph[Any]:
    import networkx as nx

    counts = _checked_elements(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of parts of GraphML that networkx leaves out
            graph = nx.read_graphml(BytesIO(data))
    except Exception as error:  # networkx meets a strange file with errors of many kinds
        came = " ".join(str(error).split())[:100]
        raise ValueError(f"networkx cannot read it: {came or type(error).__name__}") from None
    if len(graph) != counts["node"]:
        raise ValueError(
            f"{counts['node']} nodes with ids of their own were wanted, not {len(graph)}"
        )
    return graph


def _checked_elements(data: bytes) -> Counter[str]:
    """Return how many elements of each name XML holds. Raises ValueError for what is not plain."""
    from xml.parsers import expat

    counts: Counter[str] = Counter()
    depth = num_elements = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth, num_elements
        depth += 1
        num_elements += 1
        counts[name.rpartition(":")[2]] += 1
        if depth > MAX_XML_DEPTH:
            raise ValueError(f"its elements must not be nested deeper than {MAX_XML_DEPTH}")
        if len(attributes) > MAX_XML_ATTRIBUTES:
            raise ValueError(f"its elements may have {MAX_XML_ATTRIBUTES} attributes at most")
        if num_elements > MAX_XML_ELEMENTS:
            raise ValueError(f"it may have {MAX_XML_ELEMENTS:,} elements at most, but has more")

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1

    def refuse(*_: object) -> NoReturn:
        raise ValueError("a document type declaration is not read; take it out")

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler, parser.EndElementHandler = start, end
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, LookupError) as error:  # the latter for an unknown encoding
        raise ValueError(f"it is not XML: {str(error)[:100]}") from None
    if counts["graph"] != 1:
        raise ValueError(f"one graph was wanted, but it has {counts['graph']}")
    return counts


def to_dot(network: Network) -> str:
    """Return the network as DOT text, which Graphviz draws (`dot -Tpng`), from left to right.

    Nodes are labelled with their name and activation and have the colours of `draw_svg`; each
    edge has its weight as attribute `weight_value`, and as label where links have their own.
    """
    topology = network.topology
    names, first = node_names(network), 1 + topology.num_inputs
    outputs = set(topology.outputs.tolist())
    lines = [
        f"digraph {_quoted(network.task or 'network')} {{",
        '  graph [rankdir=LR, ranksep=0.8, fontname="Helvetica"];',
        '  node [shape=circle, fontname="Helvetica", fontsize=10];',
        '  edge [arrowsize=0.6, fontname="Helvetica", fontsize=8];',
    ]
    for node, activation in enumerate(topology.activations.tolist()):
        name = cut(names[node], MAX_LABEL_WIDTH, LABEL_SIZE)
        label = name if node < first else f"{name}\n{activation_of(activation).name}"
        shape = "plaintext" if node < first else "doublecircle" if node in outputs else "circle"
        look = f'shape={shape}, color="{node_colour(topology, node)}"'
        lines.append(f"  n{node} [label={_quoted(label)}, {look}];")
    lines.append(f"  {{ rank=source; {' '.join(f'n{node};' for node in range(first))} }}")
    lines.append(f"  {{ rank=sink; {' '.join(f'n{node};' for node in sorted(outputs))} }}")
    own = network.shared_weight is None
    for source, target, weight in zip(
        topology.sources.tolist(), topology.targets().tolist(), weight_list(network), strict=True
    ):
        label = f', label="{weight:.3g}"' if own else ""
        lines.append(f'  n{source} -> n{target} [weight_value="{weight!r}"{label}];')
    return "\n".join([*lines, "}"]) + "\n"


def write_dot(
    network: Network,
    path: str | Path,
    about: Mapping[str, Any] | None = None,
    options: Options | None = None,
) -> None:
    """Write the network as DOT text; see `to_dot`."""
    write_atomically(path, to_dot(network))


def _quoted(text: str) -> str:
    """Return `text` as a DOT string, in which a line break stays one."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def told(network: Network, about: Mapping[str, Any] | None) -> Network:
    """Return the network with what is to be said of its export in its `made_by`."""
    if not about:
        return network
    return dataclasses.replace(network, made_by={**network.made_by, "export": dict(about)})


def node_names(network: Network) -> list[str]:
    """Return what to call each node [N]: bias, the inputs' and outputs' names, h1, h2, ..."""
    outputs = dict(zip(network.topology.outputs.tolist(), network.output_names, strict=True))
    names = ["bias", *network.input_names]
    num_hidden = 0
    for node in range(len(names), network.topology.num_nodes):
        num_hidden += node not in outputs
        names.append(outputs.get(node, f"h{num_hidden}"))
    return names


def weight_list(network: Network) -> list[float]:
    """Return the weight of each link [E], be it shared or its own."""
    return np.broadcast_to(network.weights, network.topology.num_connections).tolist()
