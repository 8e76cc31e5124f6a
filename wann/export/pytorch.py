"""Networks as PyTorch modules, and the files that hold them."""

from __future__ import annotations

import importlib.util
import io
import json
import re
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Float64

from wann.activations import activation_of
from wann.export.description import (
    description_of,
    network_of,
    parsed_metadata,
    read_tensors,
    write_tensors,
)
from wann.network import Network

if TYPE_CHECKING:
    from wann.export.formats import Options
    from wann.export.torch_model import WannModule

MODEL_FILE = Path(__file__).with_name("torch_model.py")  # goes along as model.py
OLDEST_FOR_PT2 = (2, 6)
_KINDS = {
    "weight": ("F32", "F64"),
    "edge_index": ("I32",),
    "activation": ("U8",),
}
_numbers = count()


def config_of(network: Network, dtype: str = "float32") -> dict[str, Any]:
    """Return what a `WannModule` is made from: structure and description, without weights."""
    description = description_of(network)
    first = 1 + network.topology.num_inputs
    topology = network.topology
    return {
        "format": "wann-torch",
        "version": 1,
        "task": network.task,
        "inputs": description["inputs"],
        "outputs": description["outputs"],
        "observation_space": network.observation_space,
        "offset": list(network.offset),
        "scale": list(network.scale),
        "action": network.action,
        "num_inputs": topology.num_inputs,
        "activations": [activation_of(int(each)).name for each in topology.activations[first:]],
        "output_nodes": topology.outputs.tolist(),
        "edges": np.column_stack([topology.sources, topology.targets()]).tolist(),
        "shared": network.shared_weight is not None,
        "dtype": dtype,
        "scores": network.scores,
        "made_by": network.made_by,
    }


def to_torch(
    network: Network,
    *,
    weight: float | None = None,
    each: bool = False,
    trainable: bool = True,
    form: Literal["blocks", "edges"] = "blocks",
    dtype: str = "float32",
) -> WannModule:
    """Return the network as a PyTorch module: inputs [B, I] to outputs [B, O].

    weight: shared weight in place of the network's own. each: give every edge a weight of its own,
        to begin with the shared one. trainable: whether weights require a gradient.
    form: "blocks", fast for batches, or "edges", small; see `WannModule`.
    Raises ValueError when the network has no connections or activations that a user registered.
    """
    import torch

    from wann.export.torch_model import WannModule

    values = network.weights if weight is None else float(weight)
    num_edges = network.topology.num_connections
    if each:
        values = np.broadcast_to(np.asarray(values, dtype=np.float64), num_edges)
    config = config_of(network, dtype)
    config["shared"] = isinstance(values, float)
    module = WannModule(config, form, trainable)
    with torch.no_grad():
        module.weight.copy_(torch.tensor(values, dtype=torch.float64))
    return module


def from_torch(module: WannModule) -> Network:
    """Return the network that a module computes, with its weights as they are now."""
    config = module.config
    return _network(config, module.weight.detach().cpu().double().numpy())


def _network(config: Mapping[str, Any], weight: np.ndarray) -> Network:
    """Return a network. Raises ValueError when a config, from anywhere, describes none."""
    from wann.export.torch_model import _check_config

    _check_config(dict(config))
    description = {
        "format": "wann-network",
        "version": 1,
        "observation": {
            "space": config.get("observation_space", ""),
            "scale": config.get("scale", []),
            "offset": config.get("offset", []),
        },
    }
    for key, default in (("task", ""), ("action", ""), ("scores", {}), ("made_by", {})):
        description[key] = config.get(key, default)
    for key, size, name in (
        ("inputs", config["num_inputs"], "input"),
        ("outputs", len(config["output_nodes"]), "output"),
    ):
        description[key] = config.get(key, [f"{name} {number + 1}" for number in range(size)])
    shape = () if config["shared"] else (len(config["edges"]),)
    if weight.shape != shape:
        raise ValueError(f"weight must have shape {shape}, but it has {weight.shape}")
    return network_of(
        description,
        config["num_inputs"],
        config["activations"],
        config["edges"],
        config["output_nodes"],
        weight.tolist(),
    )


def _tensors(network: Network, dtype: str) -> dict[str, np.ndarray]:
    """Return the state_dict of the network's module."""
    topology = network.topology
    return {
        "weight": np.asarray(network.weights, dtype=dtype),
        "edge_index": np.stack([topology.sources, topology.targets()]).astype(np.int32),
        "activation": np.array(_places(network), dtype=np.uint8),
    }


def _places(network: Network) -> list[int]:
    from wann.export.torch_model import ACTIVATIONS

    names = list(ACTIVATIONS)
    computed = network.topology.activations[1 + network.topology.num_inputs :].tolist()
    return [names.index(activation_of(each).name) for each in computed]


def write_safetensors(
    network: Network, path: Path, about: Mapping[str, Any], options: Options
) -> None:
    """Write the tensors of the network's module to one file, its config in the metadata."""
    metadata = {"format": "pt", "config": config_of(network, options.dtype), "export": dict(about)}
    write_tensors(path, _tensors(network, options.dtype), metadata)


def read_safetensors(path: str | Path) -> Network:
    """Return the network in a file that `write_safetensors` wrote.

    Raises ValueError, naming the file and what is wrong, for any other; OSError when it is missing.
    """
    try:
        arrays, metadata = read_tensors(path, _KINDS)
        config = parsed_metadata(metadata, "config")
        network = _network(config, arrays["weight"])
        for name, tensor in _tensors(network, "float64").items():
            if name != "weight" and not np.array_equal(arrays[name], tensor):
                raise ValueError(f"its {name} is not that of its config")
    except ValueError as error:
        raise ValueError(f"{path} is not a usable network: {error}") from None
    return network


def run_safetensors(path: Path, inputs: Float64[np.ndarray, "B I"]) -> Float64[np.ndarray, "B O"]:
    """Return what the module in a file computes."""
    from wann.export.torch_model import load

    return _computed(load(path), inputs)


def _computed(module: WannModule, inputs: Float64[np.ndarray, "B I"]) -> Float64[np.ndarray, "B O"]:
    import torch

    with torch.no_grad():
        return module(torch.from_numpy(inputs).to(module.weight.dtype)).double().numpy()


def write_torch(network: Network, path: Path, about: Mapping[str, Any], options: Options) -> None:
    """Write a folder that PyTorch loads without this package, and huggingface_hub's mixin too.

    Its files: model.py, model.safetensors, config.json and README.md.
    """
    path.mkdir()
    config = {**config_of(network, options.dtype), "export": dict(about)}
    write_tensors(path / "model.safetensors", _tensors(network, options.dtype), {"format": "pt"})
    text = json.dumps(config, allow_nan=False)
    (path / "config.json").write_text(text + "\n", encoding="utf-8")
    source = MODEL_FILE.read_text(encoding="utf-8")
    (path / "model.py").write_text(source, encoding="utf-8")
    (path / "README.md").write_text(_readme(network), encoding="utf-8")


def run_torch(path: Path, inputs: Float64[np.ndarray, "B I"]) -> Float64[np.ndarray, "B O"]:
    """Return what a folder's model.py computes with its own files, block by block and by edges.

    It executes that model.py: only for folders that were just written.
    Raises RuntimeError when its two forms differ.
    """
    spec = importlib.util.spec_from_file_location(
        f"wann_exported_{next(_numbers)}", path / "model.py"
    )
    if spec is None or spec.loader is None:
        raise RuntimeError(f"{path / 'model.py'} cannot be imported")
    model = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(model)
    return _computed(model.load(path), inputs)


def _readme(network: Network) -> str:
    """Return the card that says what the folder is and how to use it."""
    topology = network.topology
    sizes = topology.num_inputs, topology.num_outputs
    weight = network.shared_weight
    weights = "one weight an edge" if weight is None else f"one shared weight, {weight:g}"
    task = re.sub(r"[^\w./: -]", "", network.task) or "a task of its owner's"
    return f"""---
library_name: pytorch
tags: [weight-agnostic-neural-network]
---
# A weight agnostic neural network for {task}

{topology.num_connections} connections, {sizes[0]} inputs, {sizes[1]} outputs, {weights}.
Needs PyTorch and safetensors.

```python
from model import load

model = load(".")
outputs = model(model.scaled(observations))  # [batch, {sizes[0]}] to [batch, {sizes[1]}]
```

Action rule: {network.action or "none"}. `config.json` says the rest: names, structure, scores, and
under "export" how far these files' outputs are from the original's. With huggingface_hub,
`hub_class().from_pretrained(".")` gives the same module.
"""


def write_pt2(network: Network, path: Path, about: Mapping[str, Any], options: Options) -> None:
    """Write a `torch.export` program of any batch size, that needs no code of ours.

    Raises MissingDependency when the installed PyTorch is too old.
    """
    import torch

    _check_version(torch.__version__)
    module = to_torch(network, trainable=False, dtype=options.dtype)
    example = torch.zeros(3, network.topology.num_inputs, dtype=module.weight.dtype)
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(module, (example,), dynamic_shapes={"inputs": {0: batch}})
    details = {**config_of(network, options.dtype), "export": dict(about)}
    buffer = io.BytesIO()
    torch.export.save(program, buffer, extra_files={"wann.json": json.dumps(details)})
    path.write_bytes(buffer.getvalue())


def run_pt2(path: Path, inputs: Float64[np.ndarray, "B I"]) -> Float64[np.ndarray, "B O"]:
    """Return what an exported program computes. It loads the file: only for one of our own."""
    import torch

    extra_files = {"wann.json": ""}
    program = torch.export.load(io.BytesIO(path.read_bytes()), extra_files=extra_files)
    dtype = getattr(torch, json.loads(extra_files["wann.json"])["dtype"])
    with torch.no_grad():
        return program.module()(torch.from_numpy(inputs).to(dtype)).double().numpy()


def _check_version(version: str) -> None:
    found = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if found < OLDEST_FOR_PT2:
        from wann.tasks.faults import MissingDependency

        wanted = ".".join(map(str, OLDEST_FOR_PT2))
        raise MissingDependency(
            f"format 'pt2' needs torch {wanted} or newer, but {version} is installed; "
            f"pip install 'torch>={wanted}'"
        )
