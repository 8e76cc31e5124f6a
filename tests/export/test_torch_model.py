import copy
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from tests.export.exported import (
    assert_computes,
    assert_same_network,
    every_activation,
    large_network,
    networks,
    some_inputs,
)
from tests.fuzzing import count_refusals, mutations
from tests.networks import random_network
from wann.activations import PAPER_ACTIVATIONS
from wann.export.formats import Options
from wann.export.pytorch import (
    config_of,
    from_torch,
    read_safetensors,
    to_torch,
    write_safetensors,
    write_torch,
)
from wann.export.torch_model import ACTIVATIONS, WannModule, hub_class, load

FORMS = ("blocks", "edges")


def computed(module, inputs):
    with torch.no_grad():
        return module(torch.tensor(inputs, dtype=module.weight.dtype)).double().numpy()


def folder_of(network, tmp_path, dtype="float32"):
    write_torch(network, tmp_path / "net", {}, Options(dtype=dtype))
    return tmp_path / "net"


@pytest.mark.parametrize("activation", PAPER_ACTIVATIONS, ids=lambda each: each.name)
def test_the_pytorch_form_of_an_activation_is_its_numpy_form(activation):
    values = np.array([0.0, 0.5, -0.5, 1.0, -1.25, 3.7, -8.25, 40.0, 1e6 + 0.25, -1e9, 1e15])
    found = ACTIVATIONS[activation.name](torch.tensor(values)).numpy()
    np.testing.assert_allclose(found, activation.function(values), rtol=1e-14, atol=1e-15)
    assert len(ACTIVATIONS) == len(PAPER_ACTIVATIONS)


@settings(max_examples=60)
@given(networks())
def test_both_forms_compute_the_network_in_float64(network):
    for form in FORMS:
        module = to_torch(network, form=form, dtype="float64")
        for rows in (1, 33):
            inputs = some_inputs(network, rows)
            assert_computes(computed(module, inputs), network, inputs)
        assert_same_network(from_torch(module), network)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "network",
    [every_activation(), large_network(), large_network(shared=True), every_activation(-2.0)],
    ids=["all", "large", "large-shared", "negative"],
)
def test_every_activation_and_5000_edges_are_within_tolerance(network, form, dtype):
    inputs = some_inputs(network).astype(dtype).astype(np.float64)
    outputs = computed(to_torch(network, form=form, dtype=dtype), inputs)
    assert assert_computes(outputs, network, inputs, dtype) > 20


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("form", FORMS)
def test_a_module_takes_any_float_dtype(dtype, form):
    network = random_network(4, 2, 10, 30, seed=1, shared=False)
    module = to_torch(network, form=form).to(dtype)
    outputs = module(torch.zeros(3, 4, dtype=dtype))
    assert outputs.dtype == dtype
    assert module.edge_index.dtype == torch.int32


@pytest.mark.parametrize("device", ["meta", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shared", [True, False])
def test_a_module_moves_to_another_device_with_all_it_needs(device, form, shared):
    network = random_network(4, 2, 10, 30, seed=1, shared=shared)
    module = to_torch(network, form=form).to(device)
    inputs = torch.zeros((3, 4), device=device)
    assert module(module.scaled(inputs)).device.type == device


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shared", [True, False])
def test_gradients_are_those_of_finite_differences(form, shared):
    network = random_network(3, 2, 6, 20, seed=5, shared=shared, output_links=True)
    module = to_torch(network, form=form, dtype="float64")
    inputs = torch.tensor(some_inputs(network, 4))

    def outputs(weight):
        return torch.func.functional_call(module, {"weight": weight}, (inputs,))

    assert torch.autograd.gradcheck(outputs, (module.weight.detach().requires_grad_(),))


def test_there_is_a_weight_for_each_edge_and_none_where_no_edge_is():
    network = random_network(4, 2, 10, 30, seed=1)
    module = to_torch(network, each=True)
    num_edges = network.topology.num_connections
    assert [each.shape for each in module.parameters()] == [(num_edges,)]
    assert sum(int(mask.sum()) for mask in module.masks()) == num_edges
    module(torch.ones(5, 4)).sum().backward()
    assert module.weight.grad is not None
    assert module.weight.grad.shape == (num_edges,)


@pytest.mark.parametrize("form", FORMS)
def test_training_moves_the_weights_and_no_edge_appears(form):
    network = random_network(4, 2, 10, 30, seed=1)
    module = to_torch(network, each=True, form=form, dtype="float64")
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-3)
    inputs = torch.tensor(some_inputs(network))
    module(inputs).square().mean().backward()
    optimizer.step()
    trained = from_torch(module)
    assert trained.topology.key() == network.topology.key()
    assert np.abs(np.asarray(trained.weights) - 1.5).max() > 0
    assert_computes(computed(module, inputs.numpy()), trained, inputs.numpy())


def test_a_weight_that_is_not_trainable_requires_no_gradient():
    network = random_network(4, 2, 10, 30, seed=1)
    assert not to_torch(network, trainable=False).weight.requires_grad
    assert to_torch(network).weight.shape == ()
    assert to_torch(network, weight=-0.5).weight.item() == -0.5


def test_the_keys_of_the_state_are_few_and_the_same_in_both_forms():
    network = random_network(4, 2, 10, 30, seed=1)
    blocks, edges = (to_torch(network, form=form) for form in FORMS)
    assert list(blocks.state_dict()) == ["weight", "edge_index", "activation"]
    edges.load_state_dict(blocks.state_dict())
    with torch.no_grad():
        blocks.weight.fill_(0.25)
    edges.load_state_dict(blocks.state_dict())
    inputs = some_inputs(network)
    np.testing.assert_allclose(computed(edges, inputs), computed(blocks, inputs), atol=1e-5)


def test_weights_of_another_network_are_refused():
    one, other = (to_torch(random_network(4, 2, 10, 30, seed=seed), each=True) for seed in (1, 2))
    with pytest.raises(RuntimeError, match="these weights are of another network"):
        one.load_state_dict(other.state_dict())
    with pytest.raises(RuntimeError, match="Missing key"):
        one.load_state_dict({"weight": one.weight})


def test_a_module_can_be_copied_and_its_edge_form_is_as_small_as_its_edges():
    network = large_network()
    module = copy.deepcopy(to_torch(network, form="edges"))
    edge_list = network.topology.num_connections * (4 + 4 + 4)  # source, target and weight
    tensors = [*module.parameters(), *module.buffers()]
    assert sum(each.nbytes for each in tensors) <= 2 * edge_list


def test_observations_are_moved_and_scaled_as_the_network_says():
    network = random_network(2, 1, 3, 8, seed=1)
    module = to_torch(type(network)(network.topology, 1.0, offset=(1.0, 2.0), scale=(2.0, 4.0)))
    assert module.scaled(torch.tensor([[3.0, 4.0]])).tolist() == [[1.0, 0.5]]


WITHOUT_US = """
import json, sys
import torch
sys.path.insert(0, sys.argv[1])
from model import load
model = load(sys.argv[1])
inputs = torch.tensor(json.loads(sys.argv[2]), dtype=torch.float64)
print(json.dumps(model(inputs).tolist()))
print([name for name in sys.modules if name.split(".")[0] == "wann"], file=sys.stderr)
"""


def test_a_folder_runs_without_this_package(tmp_path):
    network = every_activation()
    folder = folder_of(network, tmp_path, "float64")
    names = ["README.md", "config.json", "model.py", "model.safetensors"]
    assert sorted(each.name for each in folder.iterdir()) == names
    inputs = some_inputs(network, 5)
    done = subprocess.run(
        [sys.executable, "-I", "-c", WITHOUT_US, str(folder), json.dumps(inputs.tolist())],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.strip() == "[]"
    assert assert_computes(np.array(json.loads(done.stdout)), network, inputs) == 5


def test_huggingface_hub_loads_a_folder_and_saves_one(tmp_path):
    pytest.importorskip("huggingface_hub")
    network = random_network(4, 2, 10, 30, seed=1, shared=False)
    folder = folder_of(network, tmp_path)
    module = hub_class().from_pretrained(str(folder))
    inputs = some_inputs(network)
    np.testing.assert_array_equal(computed(module, inputs), computed(load(folder), inputs))
    module.save_pretrained(tmp_path / "again")
    again = hub_class().from_pretrained(str(tmp_path / "again"))
    np.testing.assert_array_equal(computed(again, inputs), computed(module, inputs))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "a config of 'wann-torch', version 1, was wanted"),
        ({"num_inputs": 0}, "num_inputs must be 1 to"),
        ({"num_inputs": True}, "num_inputs must be 1 to"),
        ({"shared": 1}, "shared must be true or false"),
        ({"dtype": "int8"}, "dtype must be one of float32, float64"),
        ({"activations": []}, "activations must be a list"),
        ({"activations": ["Tanh"]}, "no activation 'Tanh'"),
        ({"edges": []}, "edges must be a list"),
        ({"edges": [[1, 2, 3]]}, r"edges\[0\] must be \[source, target\]"),
        ({"edges": [[9, 8]]}, "does not go forward"),
        ({"edges": [[1, 9], [1, 9]]}, r"edges\[1\] does not rise"),
        ({"edges": [[2, 9], [1, 9]]}, r"edges\[1\] does not rise"),
        ({"output_nodes": [1]}, "output_nodes must be different nodes after the inputs"),
        ({"output_nodes": [9, 9]}, "output_nodes must be different nodes after the inputs"),
        ({"output_nodes": []}, "output_nodes must be a list of nodes"),
        ({"scale": [1.0]}, "scale needs 4 numbers, one an input, not 1"),
        ({"offset": ["a", "b", "c", "d"]}, "offset must be a list of numbers"),
    ],
)
def test_a_config_that_describes_no_network_is_refused(change, message):
    config = config_of(random_network(4, 2, 10, 30, seed=1))
    with pytest.raises(ValueError, match=message):
        WannModule({**config, **change})
    with pytest.raises(ValueError, match="form must be 'blocks' or 'edges', but 'dense' was given"):
        WannModule(config, "dense")


def test_blocks_that_would_not_fit_are_refused(monkeypatch):
    monkeypatch.setattr("wann.export.torch_model.MAX_BLOCK_ELEMENTS", 10)
    network = random_network(4, 2, 10, 30, seed=1)
    with pytest.raises(ValueError, match=r"10 are allowed; use form='edges'"):
        to_torch(network)
    to_torch(network, form="edges")


@settings(max_examples=40)
@given(network=networks())
def test_a_safetensors_file_gives_the_network_back(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("tensors") / "net.safetensors"
    write_safetensors(network, path, {}, Options(dtype="float64"))
    assert_same_network(read_safetensors(path), network)
    inputs = some_inputs(network, 5)
    assert_computes(computed(load(path), inputs), network, inputs)


def test_a_damaged_file_is_refused_by_reader_and_module_alike(tmp_path):
    path = tmp_path / "net.safetensors"
    network = random_network(4, 2, 6, 12, seed=1, shared=False)
    write_safetensors(network, path, {}, Options(dtype="float32"))
    files = list(mutations([path.read_bytes()], 200, seed=1))
    assert count_refusals(read_safetensors, files, path) > 100
    assert count_refusals(load, files, path) > 100


def test_a_file_of_300_edges_takes_less_than_20_kilobytes(tmp_path):
    path = tmp_path / "net.safetensors"
    network = large_network(300)
    write_safetensors(network, path, {}, Options(dtype="float32"))
    assert path.stat().st_size < 20_000


def test_tensors_of_another_structure_than_the_config_are_refused(tmp_path):
    one, other = (random_network(4, 2, 10, 30, seed=seed) for seed in (1, 2))
    folder = folder_of(one, tmp_path)
    config = json.dumps(config_of(other))
    (folder / "config.json").write_text(config)
    with pytest.raises(ValueError, match="these weights are of another network"):
        load(folder)
    (folder / "config.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match="is not a usable network"):
        load(folder)
