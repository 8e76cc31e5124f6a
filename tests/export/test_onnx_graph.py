import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings

from tests.export.exported import (
    assert_computes,
    every_activation,
    large_network,
    networks,
    some_inputs,
)
from tests.networks import random_network
from wann.activations import register_activation
from wann.export.formats import Options
from wann.export.onnx_graph import run_onnx, to_onnx, write_onnx

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def written(network, folder, dtype="float64", opset=0):
    path = folder / "net.onnx"
    write_onnx(network, path, {"made_by": "a test"}, Options(dtype=dtype, opset=opset))
    return path


@settings(max_examples=40)
@given(network=networks())
def test_onnx_runtime_computes_the_network(network, tmp_path_factory):
    path = written(network, tmp_path_factory.mktemp("onnx"))
    for rows in (1, 33):
        inputs = some_inputs(network, rows)
        assert_computes(run_onnx(path, inputs), network, inputs)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("network", [every_activation(), large_network()], ids=["all", "large"])
def test_every_activation_and_5000_edges_are_within_tolerance(network, dtype, tmp_path):
    inputs = some_inputs(network).astype(dtype).astype(np.float64)
    outputs = run_onnx(written(network, tmp_path, dtype), inputs)
    assert assert_computes(outputs, network, inputs, dtype) > 20


@pytest.mark.parametrize("opset", [13, 15, 17, 21])
def test_each_opset_that_is_allowed_computes_the_same(opset, tmp_path):
    network = every_activation()
    path = written(network, tmp_path, opset=opset)
    assert onnx.load(path).opset_import[0].version == opset
    inputs = some_inputs(network)
    assert assert_computes(run_onnx(path, inputs), network, inputs) == len(inputs)


def test_one_file_holds_it_all_with_a_symbolic_batch(tmp_path):
    network = random_network(4, 2, 10, 30, seed=1)
    model = onnx.load(written(network, tmp_path))
    assert [each.name for each in tmp_path.iterdir()] == ["net.onnx"]
    for value, size in ((model.graph.input[0], 4), (model.graph.output[0], 2)):
        batch, width = value.type.tensor_type.shape.dim
        assert (batch.dim_param, width.dim_value) == ("batch", size)
    said = {each.key: json.loads(each.value) for each in model.metadata_props}
    assert said["export"] == {"made_by": "a test"}
    assert said["network"]["task"] == "CartPole-v1"


@pytest.mark.parametrize("opset", [12, -1, 1000])
def test_an_opset_that_is_not_known_is_refused(opset):
    with pytest.raises(ValueError, match=r"opset must be 13 to \d+ with the installed onnx"):
        to_onnx(random_network(4, 2, 10, 30, seed=1), opset=opset)


def test_an_activation_of_ones_own_has_no_onnx_form(monkeypatch):
    from wann import activations

    for name in ("_by_name", "_by_id"):
        monkeypatch.setattr(activations, name, dict(getattr(activations, name)))
    own = register_activation("halved", lambda x: x / 2)
    network = random_network(4, 2, 10, 30, seed=1)
    ids = network.topology.activations.copy()
    ids[-1] = own.id
    topology = dataclasses.replace(network.topology, activations=ids)
    with pytest.raises(ValueError, match="activation 'halved' is your own and has no ONNX form"):
        to_onnx(dataclasses.replace(network, topology=topology))
