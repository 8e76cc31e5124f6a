"""What a file says of a network beside its arrays, and a network made of both again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wann.activations import LINEAR, activation_of
from wann.network import Network, network_from_json
from wann.strict_json import MAX_BYTES, parse_json, shown

if TYPE_CHECKING:
    from safetensors import safe_open

STRUCTURE = ("nodes", "edges", "weight", "weights")  # of a network file: what arrays say
MAX_ELEMENTS = 1_000_000  # of one array that is read


def description_of(network: Network) -> dict[str, Any]:
    """Return what the network's file says of it, without nodes, edges and weights; plain JSON."""
    content = json.loads(network.to_json())
    return {key: value for key, value in content.items() if key not in STRUCTURE}


def network_of(
    description: Mapping[str, Any],
    num_inputs: int,
    activations: list[str],
    edges: list[list[int]],
    outputs: list[int],
    weights: float | list[float],
) -> Network:
    """Return the network of a description and the lists that arrays held, checked as a file is.

    activations: names, one for each node after the bias and the inputs. outputs: their nodes.
    Raises ValueError as `wann.network.load_network` does.
    """
    fixed = [_entry(node, "input" if node else "bias", _LINEAR) for node in range(1 + num_inputs)]
    computed = [
        _entry(node, "output" if node in outputs else "hidden", name)
        for node, name in enumerate(activations, 1 + num_inputs)
    ]
    nodes = fixed + computed
    for index, node in enumerate(outputs):
        if not num_inputs < node < len(nodes) or "output" in nodes[node]:
            raise ValueError(f"outputs[{index}] must be another node than the inputs, not {node}")
        nodes[node]["output"] = index
    key = "weights" if isinstance(weights, list) else "weight"
    content = {**description, "nodes": nodes, "edges": edges, key: weights}
    return network_from_json(json.dumps(content))


_LINEAR = activation_of(LINEAR).name


def _entry(node: int, role: str, activation: str) -> dict[str, Any]:
    return {"id": node, "role": role, "activation": activation}


def write_tensors(
    path: Path, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, Any]
) -> None:
    """Write arrays and what is said of them to a safetensors file.

    metadata: text stays as it is, anything else becomes JSON.
    """
    from safetensors.numpy import save

    texts = {
        key: value if isinstance(value, str) else json.dumps(value, allow_nan=False)
        for key, value in metadata.items()
    }
    path.write_bytes(save(dict(tensors), texts))


def read_tensors(
    path: str | Path, kinds: Mapping[str, tuple[str, ...]]
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return the arrays of a safetensors file and what is said of them.

    kinds: by array, the safetensors names of the dtypes that it may have, as "F32".
    Raises ValueError for anything but these arrays, of at most MAX_ELEMENTS each; OSError when
    there is no such file or it cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        if not path.exists():
            raise FileNotFoundError(2, "no such file", str(path))
        raise ValueError("a file was wanted, but this is a folder or a device")
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"at most {MAX_BYTES:,} bytes can be read, not {path.stat().st_size:,}")
    try:
        with safe_open(path, framework="numpy") as file:
            _check_tensors(file, kinds)
            return {name: file.get_tensor(name) for name in kinds}, file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"it is no safetensors file: {' '.join(str(error).split())}") from None


def _check_tensors(file: safe_open, kinds: Mapping[str, tuple[str, ...]]) -> None:
    names = set(file.keys())
    if names != set(kinds):
        came = ", ".join(sorted(names))
        raise ValueError(f"it must hold {', '.join(kinds)}, but it holds {came[:80] or 'nothing'}")
    for name, dtypes in kinds.items():
        array = file.get_slice(name)
        dtype, shape = array.get_dtype(), array.get_shape()
        if dtype not in dtypes:
            raise ValueError(f"{name} must be {' or '.join(dtypes)}, but it is {dtype}")
        if int(np.prod(shape, dtype=object)) > MAX_ELEMENTS:
            raise ValueError(f"{name} may have {MAX_ELEMENTS:,} numbers, but its shape is {shape}")


def parsed_metadata(metadata: Mapping[str, str], key: str) -> dict[str, Any]:
    """Return the object that a file's metadata keeps as JSON. Raises ValueError for another."""
    if key not in metadata:
        raise ValueError(f"its metadata must have {key!r}")
    content = parse_json(metadata[key].encode())
    if not isinstance(content, dict):
        raise ValueError(f"{key!r} in its metadata must be an object, but it is {shown(content)}")
    return content
