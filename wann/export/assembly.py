"""Networks put together from nodes and links that another program's file names in its own way."""

from __future__ import annotations

import heapq
import json
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wann.activations import activation_of
from wann.network import Network
from wann.network_file import FORMAT, MAX_EDGES, MAX_NODES, ROLES, VERSION, parse_network
from wann.strict_json import shown


@dataclass(frozen=True)
class Part:
    """A node.

    role: as in a network file. name: of an input or output; numbered where none has one.
    output: an output's number from 0; outputs are taken in their order where none has one.
    """

    label: Hashable
    role: str
    activation: str = "linear"
    name: str | None = None
    output: int | None = None


@dataclass(frozen=True)
class Link:
    """A link between the nodes of these labels."""

    source: Hashable
    target: Hashable
    weight: float = 1.0


def assemble(
    parts: Sequence[Part],
    links: Sequence[Link],
    *,
    shared_weight: float | None = None,
    **facts: Any,
) -> Network:
    """Return the network of these nodes and links, whatever their order.

    parts: inputs in the task's order. A bias is added where there is none. Nodes that already come
        after all their sources keep their order.
    shared_weight: of all links, in place of their own. facts: further fields of a network file.
    Raises ValueError for what a network file may not hold, a cycle above all.
    """
    if len(parts) > MAX_NODES or len(links) > MAX_EDGES:
        sizes = f"{len(parts):,} nodes and {len(links):,} links"
        raise ValueError(f"at most {MAX_NODES:,} nodes and {MAX_EDGES:,} links fit, not {sizes}")
    by_role: dict[str, list[Part]] = {role: [] for role in ROLES}
    for part in parts:
        if part.role not in by_role:
            raise ValueError(f"a node's role must be one of {', '.join(ROLES)}, not {part.role!r}")
        by_role[part.role].append(part)
    if len(by_role["bias"]) > 1:
        raise ValueError(f"a network has one bias, but {len(by_role['bias'])} nodes are")
    bias = by_role["bias"] or [Part(object(), "bias")]
    inputs, outputs = by_role["input"], _numbered(by_role["output"])
    computed = [part for part in parts if part.role in ("hidden", "output")]
    position = _positions([*bias, *inputs], computed, links)
    output_of = {part.label: index for index, part in enumerate(outputs)}
    nodes: list[dict[str, Any]] = [{}] * len(position)
    for part in (*bias, *inputs, *computed):
        node = {"id": position[part.label], "role": part.role, "activation": part.activation}
        nodes[position[part.label]] = node
        if part.role == "output":
            node["output"] = output_of[part.label]
    ends = [(position[link.target], position[link.source]) for link in links]
    order = sorted(range(len(links)), key=ends.__getitem__)
    content = {
        "format": FORMAT,
        "version": VERSION,
        "task": "",
        "observation": {"space": "", "scale": [], "offset": []},
        "action": "",
        "inputs": _names("input", inputs),
        "outputs": _names("output", outputs),
        "nodes": nodes,
        "edges": [[ends[index][1], ends[index][0]] for index in order],
        "scores": {},
        "made_by": {},
        **facts,
    }
    if shared_weight is not None:
        content["weight"] = shared_weight
    else:
        content["weights"] = [links[index].weight for index in order]
    return _checked(content)


def feeding(network: Network, outputs: Sequence[int]) -> Network:
    """Return the part of a network that some of its outputs need, given by their numbers from 0.

    Inputs that none of them needs are left out, but one stays. So are the action rule and scores,
    which are those of the whole.
    Raises ValueError when there is no such output, or none is given.
    """
    topology = network.topology
    wrong = [each for each in outputs if not 0 <= each < topology.num_outputs]
    if wrong or not outputs:
        came = wrong[0] if wrong else "none"
        raise ValueError(f"outputs are numbered 0 to {topology.num_outputs - 1}, not {came}")
    needed = {int(topology.outputs[each]) for each in outputs}
    sources, offsets = topology.sources.tolist(), topology.offsets.tolist()
    for node in reversed(range(topology.num_nodes)):
        if node in needed:
            needed.update(sources[offsets[node] : offsets[node + 1]])
    inputs = [node for node in range(1, 1 + topology.num_inputs) if node in needed] or [1]
    names = [activation_of(each).name for each in topology.activations.tolist()]
    number_of = {int(topology.outputs[each]): number for number, each in enumerate(outputs)}
    parts = [Part(0, "bias")]
    parts += [Part(node, "input", name=network.input_names[node - 1]) for node in inputs]
    for node in sorted(each for each in needed if each > topology.num_inputs):
        number = number_of.get(node)
        if number is None:
            parts.append(Part(node, "hidden", names[node]))
        else:
            name = network.output_names[outputs[number]]
            parts.append(Part(node, "output", names[node], name, number))
    weights = np.broadcast_to(network.weights, topology.num_connections).tolist()
    ends = zip(sources, topology.targets().tolist(), weights, strict=True)
    links = [Link(*each) for each in ends if each[1] in needed]
    chosen = {
        kind: [values[node - 1] for node in inputs] if values else []
        for kind, values in (("scale", network.scale), ("offset", network.offset))
    }
    return assemble(
        parts,
        links,
        shared_weight=network.shared_weight,
        task=network.task,
        observation={"space": network.observation_space, **chosen},
    )


def _numbered(outputs: Sequence[Part]) -> Sequence[Part]:
    """Return the outputs by their number."""
    numbers = [part.output for part in outputs if part.output is not None]
    if not numbers:
        return outputs
    if sorted(numbers) != list(range(len(outputs))):
        raise ValueError("outputs must be numbered from 0, none left out or given twice")
    return sorted(outputs, key=lambda part: part.output or 0)


def _checked(content: dict[str, Any]) -> Network:
    """Return the network of a network file's content, read as strictly as one from a stranger."""
    try:
        data = json.dumps(content, allow_nan=False, default=_plain).encode()
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"it must hold finite numbers and plain text: {error}") from None
    return Network(**vars(parse_network(data)))


def _plain(value: object) -> object:
    """Return a NumPy number as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{shown(value)} is neither")


def _names(kind: str, parts: Sequence[Part]) -> list[str]:
    if all(part.name is None for part in parts):
        return [f"{kind} {number}" for number in range(1, len(parts) + 1)]
    return [part.name or "" for part in parts]


def _positions(
    fixed: Sequence[Part], computed: Sequence[Part], links: Sequence[Link]
) -> dict[Hashable, int]:
    """Return each node's place in evaluation order: as early as its sources and its rank allow."""
    rank = {part.label: place for place, part in enumerate(computed)}
    position: dict[Hashable, int] = {part.label: place for place, part in enumerate(fixed)}
    if len(rank) + len(position) < len(fixed) + len(computed):
        raise ValueError("two nodes have the same name; give each its own")
    waiting = dict.fromkeys(rank, 0)  # sources that are not placed yet
    followers: dict[Hashable, list[Hashable]] = {}
    for link in links:
        for end in (link.source, link.target):
            if end not in rank and end not in position:
                raise ValueError(f"a link names a node {shown(end)}, which is not there")
        if link.target in position:
            raise ValueError(f"a link ends in {shown(link.target)}, which is the bias or an input")
        if link.source in rank:
            waiting[link.target] += 1
            followers.setdefault(link.source, []).append(link.target)
    ready = [(place, label) for label, place in rank.items() if not waiting[label]]
    heap = [place for place, _ in ready]  # ranks are sorted, so this is a heap
    label_at = [part.label for part in computed]
    while heap:
        label = label_at[heapq.heappop(heap)]
        position[label] = len(position)
        for target in followers.get(label, ()):
            waiting[target] -= 1
            if not waiting[target]:
                heapq.heappush(heap, rank[target])
    unplaced = [label for label in rank if label not in position]
    if unplaced:
        raise ValueError(
            f"a network must not have a cycle, but {len(unplaced)} nodes lie behind one"
        )
    return position
