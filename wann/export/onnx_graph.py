"""Networks as ONNX graphs, written operator by operator."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64

from wann.activations import OnnxForm, activation_of
from wann.export.description import description_of
from wann.network import Network

if TYPE_CHECKING:
    from onnx import ModelProto

    from wann.export.formats import Options

OPSETS = (13, 17)  # the oldest whose operators are used, and the default
IR_VERSION = 8  # of ONNX 1.10, for runtimes since then


class _Graph:
    """A graph that grows: operators and constants, in one dtype."""

    def __init__(self, dtype: str) -> None:
        self.dtype = np.dtype(dtype)
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray] = {}
        self._count = 0

    def constant(self, value: np.ndarray, name: str = "") -> str:
        """Return the name of a constant; an unnamed one is a number, and kept once."""
        name = name or f"number_{float(value)!r}"
        self.constants[name] = value
        return name

    def add(self, operator: str, operands: list[str], output: str = "", **attributes: Any) -> str:
        """Return the name of an operator's output."""
        from onnx import helper

        self._count += 1
        output = output or f"{operator.lower()}_{self._count}"
        self.nodes.append(helper.make_node(operator, operands, [output], name=output, **attributes))
        return output

    def apply(self, form: OnnxForm, x: str) -> str:
        """Return the name of an expression of x, as the activation table writes them."""
        if isinstance(form, tuple):
            operator, *operands = form
            return self.add(str(operator), [self.apply(each, x) for each in operands])
        return x if form == "x" else self.constant(np.array(form, dtype=self.dtype))


def to_onnx(network: Network, *, dtype: str = "float32", opset: int = 0) -> ModelProto:
    """Return the network as an ONNX model: "inputs" [batch, I] to "outputs" [batch, O].

    One Gemm for the nodes of one level and one activation; weights are constants, the bias node
    the Gemm's bias. The batch's size is symbolic.
    opset: 0 for the default, else 13 or newer.
    Raises ValueError for another opset, and for activations that a user registered.
    """
    from onnx import TensorProto, checker, helper, numpy_helper

    opset = _checked_opset(opset)
    topology = network.topology
    kind = TensorProto.DOUBLE if dtype == "float64" else TensorProto.FLOAT
    graph = _Graph(dtype)
    first = 1 + topology.num_inputs
    weights = np.broadcast_to(np.asarray(network.weights), topology.num_connections)
    levels = topology.levels()
    place = {node: node - 1 for node in range(1, first)}  # column of each node but the bias
    values = "inputs"
    for level in range(1, int(levels.max()) + 1):
        parts = [values]
        nodes = np.flatnonzero(levels == level)
        for activation in np.unique(topology.activations[nodes]).tolist():
            members = nodes[topology.activations[nodes] == activation].tolist()
            entry = activation_of(activation)
            if not entry.onnx:
                raise ValueError(f"activation {entry.name!r} is your own and has no ONNX form")
            name = f"level{level}_{entry.name}"
            sums = _gemm(graph, network, weights, members, place, values, name)
            parts.append(graph.apply(entry.onnx, sums))
            for node in members:
                place[node] = len(place)
        values = graph.add("Concat", parts, f"level{level}", axis=1)
    chosen = np.array([place[node] for node in topology.outputs.tolist()], dtype=np.int64)
    graph.add("Gather", [values, graph.constant(chosen, "output_columns")], "outputs", axis=1)
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "wann",
            [helper.make_tensor_value_info("inputs", kind, ["batch", topology.num_inputs])],
            [helper.make_tensor_value_info("outputs", kind, ["batch", topology.num_outputs])],
            [numpy_helper.from_array(value, name) for name, value in graph.constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", opset)],
        producer_name="wann-search",
        ir_version=IR_VERSION,
    )
    helper.set_model_props(model, {"network": json.dumps(description_of(network))})
    checker.check_model(model, full_check=True)
    return model


def _gemm(
    graph: _Graph,
    network: Network,
    weights: Float64[np.ndarray, "E"],
    members: list[int],
    place: Mapping[int, int],
    values: str,
    name: str,
) -> str:
    """Return the name of the members' sums [batch, members], from the columns they use."""
    topology = network.topology
    sources = [
        topology.sources[topology.offsets[node] : topology.offsets[node + 1]].tolist()
        for node in members
    ]
    columns = sorted({place[each] for part in sources for each in part if each}) or [0]
    row_of = {column: row for row, column in enumerate(columns)}
    matrix = np.zeros((len(columns), len(members)))
    bias = np.zeros(len(members))
    for index, node in enumerate(members):
        for source, weight in zip(
            sources[index],
            weights[topology.offsets[node] : topology.offsets[node + 1]],
            strict=True,
        ):
            if source:
                matrix[row_of[place[source]], index] = weight
            else:
                bias[index] = weight
    used = graph.add(
        "Gather", [values, graph.constant(np.array(columns, dtype=np.int64), f"{name}_columns")],
        axis=1,
    )  # fmt: skip
    operands = [
        used,
        graph.constant(matrix.astype(graph.dtype), f"{name}_weights"),
        graph.constant(bias.astype(graph.dtype), f"{name}_bias"),
    ]
    return graph.add("Gemm", operands, f"{name}_sums")


def _checked_opset(opset: int) -> int:
    from onnx import __version__, defs

    oldest, default = OPSETS
    newest = defs.onnx_opset_version()
    if opset and not oldest <= opset <= newest:
        raise ValueError(
            f"opset must be {oldest} to {newest} with the installed onnx {__version__}, but "
            f"{opset} was given"
        )
    return opset or default


def write_onnx(network: Network, path: Path, about: Mapping[str, Any], options: Options) -> None:
    """Write one ONNX file, its description and `about` in the model's metadata."""
    from onnx import helper

    model = to_onnx(network, dtype=options.dtype, opset=options.opset)
    details = {"network": json.dumps(description_of(network)), "export": json.dumps(dict(about))}
    helper.set_model_props(model, details)
    path.write_bytes(model.SerializeToString())


def run_onnx(path: Path, inputs: Float64[np.ndarray, "B I"]) -> Float64[np.ndarray, "B O"]:
    """Return what ONNX Runtime computes from a file, on the processor."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (wanted,) = session.get_inputs()
    dtype = np.float64 if wanted.type == "tensor(double)" else np.float32
    (outputs,) = session.run(None, {wanted.name: inputs.astype(dtype)})
    return np.asarray(outputs, dtype=np.float64)
