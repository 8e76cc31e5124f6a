"""A weight agnostic neural network as a PyTorch module.

This file stands on its own: it needs PyTorch, and safetensors to read and write files.

    model = load("folder or file.safetensors")
    outputs = model(inputs)  # [B, I] to [B, O]

`inputs` are observations less `offset`, divided by `scale`: `model.scaled(observations)`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

FORMAT, VERSION = "wann-torch", 1
MAX_NODES, MAX_EDGES, MAX_BLOCK_ELEMENTS = 50_000, 250_000, 50_000_000
MAX_BYTES = 64_000_000  # of a file that is read
DTYPES = {"float32": torch.float32, "float64": torch.float64}


def _step(x: Tensor) -> Tensor:
    return (x > 0).to(x.dtype)


def _sine(x: Tensor) -> Tensor:
    return torch.sin(torch.pi * (x - 2.0 * torch.round(0.5 * x)))


def _gaussian(x: Tensor) -> Tensor:
    return torch.exp(-0.5 * x * x)


def _cosine(x: Tensor) -> Tensor:
    return torch.cos(torch.pi * (x - 2.0 * torch.round(0.5 * x)))


def _linear(x: Tensor) -> Tensor:
    return x


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": _linear,
    "step": _step,
    "sin": _sine,  # of pi x
    "gaussian": _gaussian,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "inverse": torch.neg,
    "abs": torch.abs,
    "relu": torch.relu,
    "cos": _cosine,  # of pi x
    "square": torch.square,
}


class WannModule(nn.Module):
    """A network of fixed shape: N nodes, E edges, I inputs, O outputs.

    config: "num_inputs", "activations" (names, one for each node after the bias and the inputs),
        "edges" (pairs [source, target] in evaluation order, by target, then by source),
        "output_nodes", "shared" (one weight for all edges, or one each), "dtype" (float32 or
        float64, to begin with), "offset", "scale"; and what else its owner should know.
    form: "blocks" multiplies by one dense block a level, fast for batches, and can be exported;
        "edges" adds up edge by edge and keeps no more than the edges. Both give the same outputs.
    trainable: whether `weight` requires a gradient.

    state_dict: `weight` ([] when shared, else [E]), `edge_index` int32 [2, E] and `activation`
    uint8 [nodes after the inputs], the place of each name in ACTIVATIONS. Weights of another
    shape of network are refused. Gradients reach `weight`: there is nothing where no edge is.

    Node 0 is the bias, 1 to I are the inputs. In blocks, a value that overflows to infinity turns
    its whole block to NaN.
    Raises ValueError for a config that describes no such network.
    """

    weight: nn.Parameter
    edge_index: Tensor
    activation: Tensor
    offset: Tensor
    scale: Tensor
    _outputs: Tensor
    _columns: Tensor  # of blocks
    _block: Tensor
    _places: Tensor
    _place: Tensor  # of edges
    _by_target: Tensor

    def __init__(
        self, config: dict[str, Any], form: str = "blocks", trainable: bool = True
    ) -> None:
        super().__init__()
        _check_config(config)
        if form not in ("blocks", "edges"):
            raise ValueError(f"form must be 'blocks' or 'edges', but {form!r} was given")
        self.config = config
        self.form = form
        self.num_inputs: int = config["num_inputs"]
        self.shared: bool = config["shared"]
        edges = torch.tensor(config["edges"], dtype=torch.int32).reshape(-1, 2).T.contiguous()
        names = list(ACTIVATIONS)
        ids = torch.tensor([names.index(each) for each in config["activations"]])
        size = () if self.shared else (edges.shape[1],)
        whole = torch.float64
        self.weight = nn.Parameter(torch.ones(size, dtype=whole), requires_grad=trainable)
        self.register_buffer("edge_index", edges)
        self.register_buffer("activation", ids.to(torch.uint8))
        for name, value in (("offset", 0.0), ("scale", 1.0)):
            numbers = config.get(name) or [value] * self.num_inputs
            self._hold(name, torch.tensor(numbers, dtype=whole))
        self._plan(edges.long(), ids.tolist(), config["output_nodes"])
        self.to(DTYPES[config.get("dtype", "float32")])
        self._register_load_state_dict_pre_hook(self._refuse_other_shape)

    def _hold(self, name: str, values: Tensor) -> None:
        """Keep a tensor that moves with the module but follows from its config."""
        self.register_buffer(name, values, persistent=False)

    def _plan(self, edges: Tensor, ids: list[int], outputs: list[int]) -> None:
        """Put the nodes in order of level, then of activation, and the edges in that of targets."""
        first = 1 + self.num_inputs
        levels = [0] * first + [1] * len(ids)
        for source, target in edges.T.tolist():
            levels[target] = max(levels[target], levels[source] + 1)
        computed = range(first, len(levels))
        order = sorted(computed, key=lambda node: (levels[node], ids[node - first], node))
        place = torch.arange(len(levels))
        place[torch.tensor(order)] = torch.arange(first, len(levels))
        sources, targets = place[edges[0]], place[edges[1]]
        by_target = torch.argsort(targets * len(levels) + sources)
        sources, targets = sources[by_target], targets[by_target]
        self._hold("_outputs", place[torch.tensor(outputs)])
        self._levels: list[tuple[int, list[tuple[str, int]]]] = []  # number of edges, (name, nodes)
        names = list(ACTIVATIONS)
        ends = torch.searchsorted(targets, torch.arange(len(levels) + 1)).tolist()
        start = first
        blocks: list[Tensor] = []
        used: list[Tensor] = []
        while start < len(levels):
            members = [each for each in order if levels[each] == levels[order[start - first]]]
            stop = start + len(members)
            kinds = [names[ids[each - first]] for each in members]
            groups = [(name, kinds.count(name)) for name in dict.fromkeys(kinds)]
            links = slice(ends[start], ends[stop])
            columns, column_of = torch.unique(sources[links], return_inverse=True)
            if self.form == "blocks":
                used.append(columns)
                blocks.append((targets[links] - start) * len(columns) + column_of)
            self._levels.append((ends[stop] - ends[start], groups))
            start = stop
        if self.form == "edges":
            self._hold("_place", place.int())
            self._hold("_by_target", by_target.int())
            return
        self._hold("_columns", torch.cat(used))
        self._widths = [len(columns) for columns in used]
        self._sizes = [
            sum(count for _, count in groups) * width
            for width, (_, groups) in zip(self._widths, self._levels, strict=True)
        ]
        total = sum(self._sizes)
        if total > MAX_BLOCK_ELEMENTS:
            raise ValueError(
                f"blocks of this network need {total:,} elements, but {MAX_BLOCK_ELEMENTS:,} are "
                "allowed; use form='edges'"
            )
        starts = [sum(self._sizes[:level]) for level in range(len(blocks))]
        flat = torch.cat([block + begin for block, begin in zip(blocks, starts, strict=True)])
        if self.shared:
            self._hold("_block", torch.zeros(total).index_fill(0, flat, 1.0))
        else:
            places = torch.empty_like(flat)
            places[by_target] = flat
            self._hold("_places", places)

    @property
    def num_outputs(self) -> int:
        """Number of outputs O."""
        return len(self.config["output_nodes"])

    def scaled(self, observations: Tensor) -> Tensor:
        """Return observations [B, I] as inputs: less the offset, divided by the scale."""
        return (observations - self.offset) / self.scale

    def masks(self) -> list[Tensor]:
        """Return the mask of each level's block: 1 where an edge is, [nodes, sources in use]."""
        if self.form != "blocks":
            raise ValueError("only form='blocks' has masks")
        flat = self._block if self.shared else self._each(torch.ones_like(self.weight))
        return [block.detach() for block in self._split(flat)]

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs [B, O] for inputs [B, I] of the module's dtype and device."""
        ones = inputs.new_ones((1, inputs.shape[0]))
        values = torch.cat([ones, inputs.T])
        return self._blocks(values) if self.form == "blocks" else self._edge_by_edge(values)

    def _blocks(self, values: Tensor) -> Tensor:
        blocks = self._split(self._block if self.shared else self._each(self.weight))
        columns = self._columns.split(self._widths)
        for (_, groups), block, used in zip(self._levels, blocks, columns, strict=True):
            sums = block @ values.index_select(0, used)
            values = self._joined(values, self.weight * sums if self.shared else sums, groups)
        return values.index_select(0, self._outputs).T

    def _each(self, weight: Tensor) -> Tensor:
        """Return all blocks, one after the other, with these weights [E] where edges are."""
        return weight.new_zeros(sum(self._sizes)).index_put((self._places,), weight)

    def _split(self, flat: Tensor) -> list[Tensor]:
        return [
            part.reshape(sum(count for _, count in groups), -1)
            for part, (_, groups) in zip(flat.split(self._sizes), self._levels, strict=True)
        ]

    def _edge_by_edge(self, values: Tensor) -> Tensor:
        ordered = self.edge_index.index_select(1, self._by_target)
        sources, targets = (self._place.index_select(0, each) for each in ordered.unbind())
        weights = None if self.shared else self.weight.index_select(0, self._by_target)
        first_edge = 0
        for num_edges, groups in self._levels:
            links = slice(first_edge, first_edge + num_edges)
            incoming = values.index_select(0, sources[links])
            if weights is not None:
                incoming = incoming * weights[links, None]
            size = (sum(count for _, count in groups), values.shape[1])
            sums = values.new_zeros(size).index_add(0, targets[links] - len(values), incoming)
            values = self._joined(values, self.weight * sums if self.shared else sums, groups)
            first_edge += num_edges
        return values.index_select(0, self._outputs).T

    @staticmethod
    def _joined(values: Tensor, sums: Tensor, groups: list[tuple[str, int]]) -> Tensor:
        parts = sums.split([count for _, count in groups])
        results = [ACTIVATIONS[name](part) for (name, _), part in zip(groups, parts, strict=True)]
        return torch.cat([values, *results])

    def _refuse_other_shape(self, state: dict[str, Tensor], prefix: str, *arguments: Any) -> None:
        """Add an error for weights of a network of another shape, before anything is copied."""
        errors: list[str] = arguments[-1]
        for name in ("edge_index", "activation"):
            given = state.get(prefix + name)
            if given is not None and not torch.equal(given.cpu(), self.get_buffer(name).cpu()):
                errors.append(f"{prefix}{name} differs: these weights are of another network")


def _check_config(config: dict[str, Any]) -> None:
    """Raise ValueError when a config does not describe a network."""
    if config.get("format") != FORMAT or config.get("version") != VERSION:
        came = f"{config.get('format')!r}, version {config.get('version')!r}"
        raise ValueError(f"a config of {FORMAT!r}, version {VERSION}, was wanted, not {came:.80}")
    if config.get("dtype", "float32") not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}")
    num_inputs, names, edges, outputs = (
        config.get(key) for key in ("num_inputs", "activations", "edges", "output_nodes")
    )
    if type(num_inputs) is not int or not 1 <= num_inputs <= MAX_NODES:
        raise ValueError(f"num_inputs must be 1 to {MAX_NODES:,}, but it is {num_inputs!r:.40}")
    if type(config.get("shared")) is not bool:
        raise ValueError("shared must be true or false")
    if not isinstance(names, list) or not 1 <= len(names) <= MAX_NODES:
        raise ValueError(f"activations must be a list of 1 to {MAX_NODES:,} names")
    unknown = [each for each in names if not isinstance(each, str) or each not in ACTIVATIONS]
    if unknown:
        raise ValueError(f"no activation {unknown[0]!r:.40}; known are {', '.join(ACTIVATIONS)}")
    num_nodes = 1 + num_inputs + len(names)
    if not isinstance(edges, list) or not 1 <= len(edges) <= MAX_EDGES:
        raise ValueError(f"edges must be a list of 1 to {MAX_EDGES:,} pairs")
    for index, edge in enumerate(edges):
        if not (isinstance(edge, list) and len(edge) == 2 and all(type(e) is int for e in edge)):
            raise ValueError(f"edges[{index}] must be [source, target]")
        if not (0 <= edge[0] < edge[1] and num_inputs < edge[1] < num_nodes):
            raise ValueError(f"edges[{index}], {edge}, does not go forward to a later node")
        if index and edges[index - 1][::-1] >= edge[::-1]:
            raise ValueError(f"edges[{index}] does not rise by target, then by source")
    if not isinstance(outputs, list) or not outputs or not all(type(e) is int for e in outputs):
        raise ValueError("output_nodes must be a list of nodes")
    if (
        len(set(outputs)) < len(outputs)
        or not num_inputs < min(outputs) <= max(outputs) < num_nodes
    ):
        raise ValueError("output_nodes must be different nodes after the inputs")
    for key in ("offset", "scale"):
        values = config.get(key) or []
        if not isinstance(values, list) or not all(type(e) in (int, float) for e in values):
            raise ValueError(f"{key} must be a list of numbers")
        if values and len(values) != num_inputs:
            raise ValueError(f"{key} needs {num_inputs} numbers, one an input, not {len(values)}")


def load(path: str | Path, form: str = "blocks", trainable: bool = True) -> WannModule:
    """Return the module that a folder (config.json, model.safetensors) or one file describes.

    Nothing in it is executed. Raises ValueError for anything else; OSError when it is missing.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    tensors = path / "model.safetensors" if path.is_dir() else path
    if tensors.stat().st_size > MAX_BYTES:
        raise ValueError(f"{tensors}: at most {MAX_BYTES:,} bytes can be read")
    try:
        with safe_open(tensors, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        text = (path / "config.json").read_text() if path.is_dir() else metadata.get("config", "{}")
        config = json.loads(text)
        if not isinstance(config, dict):
            raise ValueError("its config must be an object")
        module = WannModule(config, form, trainable)
        weight = state.get("weight")
        if weight is not None and not (weight.is_floating_point() and weight.isfinite().all()):
            raise ValueError("its weights must be finite floating-point numbers")
        module.load_state_dict(state)
    except (SafetensorError, RuntimeError, RecursionError, ValueError) as error:
        raise ValueError(
            f"{path} is not a usable network: {' '.join(str(error).split())}"
        ) from None
    return module


def hub_class() -> Any:
    """Return the class with huggingface_hub's from_pretrained, save_pretrained, push_to_hub."""
    from huggingface_hub import PyTorchModelHubMixin

    class HubWannModule(WannModule, PyTorchModelHubMixin):  # pyright: ignore
        """A `WannModule` that can be loaded from and saved to a folder or the hub."""

    return HubWannModule
