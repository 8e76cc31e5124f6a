"""Networks: a topology with weights, and the file that keeps one."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from wann.activations import activation_of
from wann.checks import unknown
from wann.files import read_bounded, write_atomically
from wann.forward import forward
from wann.network_file import FORMAT, VERSION, NetworkFile, parse_network
from wann.strict_json import MAX_BYTES, check_plain, shown
from wann.topology import Topology

CONTROL_RULES = ("argmax", "argmax-groups", "positive", "clip", "tanh", "identity")
ACTION_RULES = (*CONTROL_RULES, "softmax")  # the last for images


@dataclass(frozen=True, eq=False)
class Network:
    """A topology with its weights, and all that is needed to use it on its task.

    weights: one number that all links share, or [E], one for each link in the order of
        `topology.sources`.
    task: its id. action: name of the rule that turns outputs into an action; "" when there is none.
    input_names, output_names: of inputs and outputs; numbered when left out.
    observation_space: the environment's, in words. A network input is (observation - offset) /
        scale, one number for each input; empty stands for 0 and 1.
    scores, made_by: plain JSON. scores["mean"], if there, is the mean return: of a network with a
        shared weight over all weights of the search. Pictures show it.
    Raises ValueError when these do not fit each other, and for text that is not printable: names
        end on terminals and in pictures. (A space may have several lines.)
    """

    topology: Topology
    weights: float | Float64[np.ndarray, "E"]
    task: str = ""
    input_names: tuple[str, ...] = ()
    output_names: tuple[str, ...] = ()
    action: str = ""
    observation_space: str = ""
    offset: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    scores: dict[str, Any] = field(default_factory=dict)
    made_by: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        num_inputs, num_outputs = self.topology.num_inputs, self.topology.num_outputs
        fixed = {
            "weights": _checked_weights(self.weights, self.topology.num_connections),
            "input_names": _names("input", self.input_names, num_inputs),
            "output_names": _names("output", self.output_names, num_outputs),
            "offset": _numbers("offset", self.offset, num_inputs),
            "scale": _numbers("scale", self.scale, num_inputs),
        }
        for name, value in fixed.items():
            object.__setattr__(self, name, value)
        if 0.0 in self.scale:
            raise ValueError(f"scale must not be 0, but scale[{self.scale.index(0.0)}] is")
        if self.action and self.action not in ACTION_RULES:
            raise unknown("action rule", self.action[:40], ACTION_RULES)
        _check_printable("task", self.task)
        _check_printable("observation_space", self.observation_space.replace("\n", " "))
        check_plain("scores", self.scores)
        check_plain("made_by", self.made_by)

    def __call__(self, inputs: Float64[np.ndarray, "B I"]) -> Float64[np.ndarray, "B O"]:
        """Return the outputs for a batch of inputs, which are already offset and scaled."""
        return forward(self.topology, self.weights, inputs)

    @property
    def shared_weight(self) -> float | None:
        """The weight that all links share; None when each has its own."""
        return self.weights if isinstance(self.weights, float) else None

    def to_json(self) -> str:
        """Return the network as one line of JSON: equal networks give equal text."""
        topology = self.topology
        content: dict[str, Any] = {
            "format": FORMAT,
            "version": VERSION,
            "task": self.task,
            "observation": {
                "space": self.observation_space,
                "scale": list(self.scale),
                "offset": list(self.offset),
            },
            "action": self.action,
            "inputs": list(self.input_names),
            "outputs": list(self.output_names),
            "nodes": _node_entries(topology),
            "edges": np.column_stack([topology.sources, topology.targets()]).tolist(),
        }
        if self.shared_weight is not None:
            content["weight"] = self.shared_weight
        else:
            content["weights"] = np.asarray(self.weights).tolist()
        content |= {"scores": self.scores, "made_by": self.made_by}
        return json.dumps(content, allow_nan=False) + "\n"

    def save(self, path: str | Path) -> None:
        """Write the network to `path`; whoever reads it sees the old file or the new one."""
        write_atomically(path, self.to_json())


def load_network(path: str | Path) -> Network:
    """Return the network that is kept in the file `path`.

    Raises ValueError, naming the file and what is wrong in it, for anything but a network file of
    this version; OSError when there is no such file or it cannot be read.
    """
    data = read_bounded(path, MAX_BYTES)
    try:
        return _network(parse_network(data))
    except ValueError as error:
        raise ValueError(f"{path} is not a usable network file: {error}") from None


def network_from_json(text: str) -> Network:
    """Return the network that `text` holds, as `Network.to_json` writes it.

    Raises ValueError that says what is wrong for anything else.
    """
    try:
        return _network(parse_network(text.encode()))
    except ValueError as error:
        raise ValueError(f"this is not a usable network: {error}") from None


def _network(content: NetworkFile) -> Network:
    return Network(**vars(content))


def _node_entries(topology: Topology) -> list[dict[str, Any]]:
    output_of = {node: index for index, node in enumerate(topology.outputs.tolist())}
    entries: list[dict[str, Any]] = []
    for node, activation in enumerate(topology.activations.tolist()):
        if node == 0:
            role = "bias"
        elif node <= topology.num_inputs:
            role = "input"
        else:
            role = "output" if node in output_of else "hidden"
        entry = {"id": node, "role": role, "activation": activation_of(activation).name}
        if role == "output":
            entry["output"] = output_of[node]
        entries.append(entry)
    return entries


def _checked_weights(
    weights: float | Float64[np.ndarray, "E"], num_connections: int
) -> float | Float64[np.ndarray, "E"]:
    if isinstance(weights, float | int) and not isinstance(weights, bool):
        if not math.isfinite(weights):
            raise ValueError(f"a network's weight must be finite, but it is {weights}")
        return float(weights)
    if not isinstance(weights, np.ndarray) or weights.shape != (num_connections,):
        came = f"shape {weights.shape}" if isinstance(weights, np.ndarray) else shown(weights)
        raise ValueError(f"weights must be a number or an array [{num_connections}], not {came}")
    values = np.asarray(weights, dtype=np.float64)
    if not np.isfinite(values).all():
        index = int(np.flatnonzero(~np.isfinite(values))[0])
        raise ValueError(f"weights must be finite, but weights[{index}] is {values[index]}")
    return values


def _names(kind: str, names: Sequence[str], count: int) -> tuple[str, ...]:
    if not names:
        return tuple(f"{kind} {number}" for number in range(1, count + 1))
    if len(names) != count:
        raise ValueError(f"{count} names of {kind}s are needed, but there are {len(names)}")
    for index, each in enumerate(names):
        if not isinstance(each, str):
            raise ValueError(f"names must be strings, but {kind}s[{index}] is {shown(each)}")
        _check_printable(f"{kind}s[{index}]", each)
    return tuple(names)


def _check_printable(name: str, text: str) -> None:
    """Raise ValueError for text that would steer the terminal it is printed on, or break a line."""
    if not text.isprintable():
        wrong = next(each for each in text if not each.isprintable())
        raise ValueError(f"{name} must be printable text, but it has {wrong!a}")


def _numbers(name: str, values: Sequence[float], count: int) -> tuple[float, ...]:
    if values and len(values) != count:
        raise ValueError(f"{name} needs {count} numbers, one an input, but there are {len(values)}")
    for index, each in enumerate(values):
        if isinstance(each, bool) or not isinstance(each, float | int):
            raise ValueError(f"{name} must hold numbers, but {name}[{index}] is {shown(each)}")
        if not math.isfinite(each):
            raise ValueError(f"{name} must be finite, but {name}[{index}] is {each}")
    return tuple(float(each) for each in values)
