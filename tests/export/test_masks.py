import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from safetensors.numpy import load_file, save_file

from tests.export.exported import (
    WEIGHTS,
    assert_computes,
    assert_same_network,
    every_activation,
    large_network,
    networks,
    some_inputs,
)
from tests.fuzzing import count_refusals, mutations
from tests.networks import random_network
from wann.activations import activation_of
from wann.export.formats import Options
from wann.export.masks import load_masks, read_masks, run_masks, to_masks, write_masks
from wann.forward import forward


def swept(matrix, topology, inputs):
    """Return the outputs by one matrix [source, target], swept until nothing changes."""
    values = np.zeros((topology.num_nodes, len(inputs)))
    values[0] = 1.0
    values[1 : 1 + topology.num_inputs] = inputs.T
    for _ in range(topology.num_nodes):
        sums = matrix.T @ values
        for node in range(1 + topology.num_inputs, topology.num_nodes):
            values[node] = activation_of(int(topology.activations[node])).function(sums[node])
    return values[topology.outputs].T


def saved(network, tmp_path):
    path = tmp_path / "net.safetensors"
    write_masks(network, path, {}, Options())
    return path


@pytest.mark.parametrize("weight", WEIGHTS)
def test_a_shared_weight_is_alpha_times_mask_times_sign(weight):
    network = random_network(5, 3, 20, 60, seed=4, output_links=True)
    network = dataclasses.replace(network, weights=weight)
    masks = to_masks(network)
    assert masks.scale == abs(weight)
    assert set(masks.signs.tolist()) == {-1 if weight < 0 else 1}
    matrix = masks.scale * (masks.triangular() * masks.triangular_signs())
    wanted = np.zeros_like(matrix)
    wanted[network.topology.sources, network.topology.targets()] = weight
    np.testing.assert_array_equal(matrix, wanted)
    inputs = some_inputs(network)
    outputs = swept(matrix, network.topology, inputs)
    assert assert_computes(outputs, network, inputs, "float32") > 0
    assert masks.weights == weight


@given(networks())
def test_blocks_triangle_and_edge_list_are_views_of_the_same_edges(network):
    masks = to_masks(network)
    triangle = masks.triangular()
    assert not np.tril(triangle).any()
    assert {tuple(edge) for edge in np.argwhere(triangle)} == set(map(tuple, masks.edge_list()))
    from_blocks = np.zeros_like(triangle)
    seen = list(range(1 + network.topology.num_inputs))
    for block in masks.blocks():
        assert sorted(block.sources.tolist()) == sorted(seen)
        np.testing.assert_array_equal(block.activations, network.topology.activations[block.nodes])
        assert (np.diff(block.activations.astype(int)) >= 0).all()
        from_blocks[np.ix_(block.sources, block.nodes)] = block.mask.T
        np.testing.assert_array_equal(block.mask, block.signs != 0)
        seen += block.nodes.tolist()
    assert sorted(seen) == list(range(network.topology.num_nodes))
    np.testing.assert_array_equal(from_blocks, triangle)


@settings(max_examples=50)
@given(network=networks())
def test_a_file_of_masks_gives_the_network_back(network, tmp_path_factory):
    path = saved(network, tmp_path_factory.mktemp("masks"))
    assert_same_network(read_masks(path), network)
    inputs = some_inputs(network)
    assert_computes(run_masks(path, inputs), network, inputs)


@pytest.mark.parametrize("network", [every_activation(), large_network()], ids=["all", "large"])
def test_blocks_of_every_activation_and_of_5000_edges_compute_the_same(network, tmp_path):
    inputs = some_inputs(network)
    outputs = run_masks(saved(network, tmp_path), inputs)
    assert assert_computes(outputs, network, inputs) > 20


def test_one_weight_a_link_keeps_its_size_as_scale_and_its_sign():
    network = random_network(4, 2, 10, 30, seed=1, shared=False)
    masks = to_masks(network)
    np.testing.assert_array_equal(masks.scale * masks.signs, network.weights)
    assert (np.asarray(masks.scale) >= 0).all()
    row = masks.blocks()[-1]
    np.testing.assert_array_equal(row.weights != 0, row.mask)


def test_random_signs_with_one_scale_are_a_network_of_two_weights():
    network = random_network(4, 2, 10, 30, seed=1)
    masks = to_masks(network)
    signs = np.where(np.arange(len(masks.signs)) % 2, 1, -1).astype(np.int8)
    flipped = dataclasses.replace(masks, signs=signs)
    inputs = some_inputs(network)
    wanted = forward(network.topology, 1.5 * signs.astype(float), inputs)
    np.testing.assert_array_equal(flipped.to_network()(inputs), wanted)


def test_density_is_the_share_of_the_possible_edges():
    full = random_network(2, 1, 1, 1000, seed=0)
    assert full.topology.num_connections == 7
    assert to_masks(full).density == 1.0


def test_300_edges_take_less_than_20_kilobytes(tmp_path):
    network = large_network(300)
    assert network.topology.num_connections >= 300
    assert saved(network, tmp_path).stat().st_size < 20_000


def test_signs_and_scales_that_do_not_fit_are_refused():
    masks = to_masks(random_network(4, 2, 10, 30, seed=1))
    with pytest.raises(ValueError, match=r"signs must be \d+ numbers, one an edge"):
        dataclasses.replace(masks, signs=masks.signs[1:])
    with pytest.raises(ValueError, match=r"each \+1 or -1"):
        dataclasses.replace(masks, signs=masks.signs * 2)
    for scale in (-1.0, np.nan, np.ones(2)):
        with pytest.raises(ValueError, match="a scale must be one finite number"):
            dataclasses.replace(masks, scale=scale)


def test_a_triangle_of_too_many_nodes_is_refused(monkeypatch):
    monkeypatch.setattr("wann.export.masks.MAX_TRIANGLE", 5)
    with pytest.raises(ValueError, match="at most 5 nodes, but there are 17; use blocks"):
        to_masks(random_network(4, 2, 10, 30, seed=1)).triangular()


def changed(path, **arrays):
    """Write the file anew with some arrays changed, or left out when None."""
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    kept = {key: value for key, value in {**load_file(path), **arrays}.items() if value is not None}
    save_file(kept, path, metadata=metadata)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"signs": None}, "it must hold edges, signs, .* but it holds"),
        ({"extra": np.zeros(1)}, "it must hold edges"),
        ({"signs": np.ones(3, dtype=np.int8)}, r"signs \[E\]"),
        ({"signs": np.zeros(30, dtype=np.int8)}, r"signs"),
        ({"scale": np.array(np.nan)}, "a scale must be one finite number"),
        ({"scale": np.zeros((2, 2))}, "scale must be one number, or one an edge"),
        ({"edges": np.zeros((2, 27), dtype=np.int32)}, "ends in the bias or an input"),
        ({"edges": np.zeros((2, 30), dtype=np.int64)}, "edges must be I32, but it is I64"),
        ({"edges": np.zeros(30, dtype=np.int32)}, r"edges must be \[2, E\]"),
        ({"activations": np.full(12, 200, dtype=np.uint8)}, "activation ids are"),
        ({"activations": np.ones(3, dtype=np.uint8)}, "must"),
        ({"outputs": np.array([3, 99], dtype=np.int32)}, "outputs"),
        ({"outputs": np.array([[14, 15]], dtype=np.int32)}, "outputs must have one axis"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_in_one_line(tmp_path, arrays, message):
    network = random_network(4, 2, 10, 30, seed=1)
    path = saved(network, tmp_path)
    changed(path, **arrays)
    with pytest.raises(ValueError, match=message) as caught:
        load_masks(path)
    assert str(caught.value).startswith(f"{path} is not a usable file of masks: ")
    assert "\n" not in str(caught.value)


def test_a_damaged_file_gives_an_error_and_no_other_network(tmp_path):
    network = random_network(4, 2, 10, 30, seed=1)
    path = saved(network, tmp_path)
    files = mutations([path.read_bytes()], 400, seed=0)
    assert count_refusals(read_masks, files, path) > 250


def test_a_huge_array_and_a_huge_header_are_refused_before_they_are_read(tmp_path):
    path = tmp_path / "huge.safetensors"
    header = json.dumps(
        {"edges": {"dtype": "I32", "shape": [2, 2**40], "data_offsets": [0, 2**43]}}
    ).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(ValueError, match="it is no safetensors file"):
        load_masks(path)
    path.write_bytes((2**60).to_bytes(8, "little"))
    with pytest.raises(ValueError, match="it is no safetensors file"):
        load_masks(path)
    with path.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(ValueError, match=r"at most .* bytes can be read"):
        load_masks(path)
