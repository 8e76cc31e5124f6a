import dataclasses
import json

import numpy as np
import pytest

from tests.export.exported import assert_same_network, every_activation, some_inputs
from tests.networks import random_network
from wann.activations import RELU, STEP, register_activation
from wann.export import formats
from wann.export.formats import (
    FORMATS,
    Options,
    comparable,
    export_front,
    export_network,
    format_named,
    read_network,
)
from wann.network import Network, load_network
from wann.tasks import MissingDependency
from wann.topology import Topology


def chain(*activations, weight=1.0):
    """Return a network of one input and a row of nodes."""
    count = len(activations)
    return Network(
        Topology(
            1,
            np.array([0, 0, *range(count + 1)], dtype=np.int32),
            np.arange(1, count + 1, dtype=np.int32),
            np.array([1, 1, *activations], dtype=np.uint8),
            np.array([count + 1], dtype=np.int32),
        ).check(),
        weight,
    )


def names(folder):
    return sorted(each.name for each in folder.iterdir())


@pytest.fixture
def faulty(monkeypatch):
    """Return a function that makes the network file's runner give something else."""

    def make(change):
        real = formats.run_json
        monkeypatch.setattr(formats, "run_json", lambda path, inputs: change(real(path, inputs)))

    return make


def test_an_export_is_checked_on_random_inputs_and_says_so_in_the_file(tmp_path):
    network = dataclasses.replace(random_network(4, 2, 10, 30, seed=1), task="")
    path = tmp_path / "net.json"
    check = export_network(network, "json", path)
    assert check is not None
    assert (check.rows + check.excluded, check.episodes) == (formats.NUM_ROWS, 0)
    assert check.max_difference == 0.0
    assert load_network(path).made_by["export"]["check"] == dataclasses.asdict(check)


def test_a_control_task_is_replayed_and_its_actions_compared(tmp_path):
    network = random_network(4, 2, 10, 30, seed=1)
    check = export_network(network, "masks", tmp_path / "net.safetensors")
    assert check is not None
    assert check.episodes == 2
    assert check.rows + check.excluded > formats.NUM_ROWS + 10
    assert check.differing_actions == 0


@pytest.mark.parametrize("task", ["someones_module:Id-v0", "NoSuchTask-v0", "", "Acrobot-v1"])
def test_a_task_that_cannot_or_must_not_be_played_is_left_out(task, tmp_path):
    network = dataclasses.replace(random_network(4, 2, 10, 30, seed=1), task=task)
    check = export_network(network, "json", tmp_path / "net.json")
    assert check is not None
    assert check.episodes == 0


@pytest.mark.parametrize("change", [lambda out: out + 1e-6, lambda out: out * np.nan])
def test_a_file_that_computes_something_else_is_not_kept(tmp_path, faulty, change):
    faulty(change)
    (tmp_path / "net.json").write_text("old")
    with pytest.raises(RuntimeError, match="json computes something else: its outputs are up to"):
        export_network(every_activation(), "json", tmp_path / "net.json", Options(force=True))
    assert names(tmp_path) == ["net.json"]
    assert (tmp_path / "net.json").read_text() == "old"


def test_outputs_of_another_shape_are_noticed(tmp_path, faulty):
    faulty(lambda out: out[:, :1])
    with pytest.raises(RuntimeError, match=r"outputs of shape \(256, 1\), but \(256, 11\)"):
        export_network(every_activation(), "json", tmp_path / "net.json")
    assert names(tmp_path) == []


def test_an_error_of_the_writer_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(network, path, about, options):
        path.write_text("half")
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(formats, "write_json", fail)
    with pytest.raises(OSError, match="No space left"):
        export_network(every_activation(), "json", tmp_path / "net.json")
    assert names(tmp_path) == []


def test_a_step_whose_sum_is_near_zero_is_excluded():
    network = chain(STEP)
    inputs = np.array([[0.5], [1e-6], [-1e-6], [0.0], [-0.5]])
    assert comparable(network, inputs, "float32")[0].tolist() == [True, False, False, True, True]
    assert comparable(network, inputs, "float64")[0].all()


def test_a_step_behind_a_relu_that_is_surely_off_is_compared():
    inputs = np.array([[0.5], [1e-6], [-1e-6], [-0.5]])
    kept, _ = comparable(chain(RELU, STEP), inputs, "float32")
    assert kept.tolist() == [True, False, False, True]


def test_a_weight_of_zero_leaves_nothing_in_doubt():
    network = every_activation(0.0)
    assert comparable(network, some_inputs(network), "float32")[0].all()


def test_what_overflows_float32_is_excluded_there():
    network = chain(11, 11, 11, 11, 11, 11, 11)  # squares: x^128
    inputs = np.array([[1.0], [10.0]])
    assert comparable(network, inputs, "float32")[0].tolist() == [True, False]
    assert comparable(network, inputs, "float64")[0].tolist() == [True, True]


def test_a_network_that_can_be_compared_nowhere_is_refused(tmp_path):
    network = chain(1, STEP, weight=1e-9)
    with pytest.raises(RuntimeError, match="safetensors cannot be checked: on every input"):
        export_network(network, "safetensors", tmp_path / "net.safetensors")
    assert names(tmp_path) == []


def test_a_weight_replaces_the_networks_own(tmp_path):
    export_network(every_activation(), "json", tmp_path / "net.json", Options(weight=-2.0))
    assert load_network(tmp_path / "net.json").shared_weight == -2.0
    with pytest.raises(ValueError, match="a network's weight must be finite, but it is inf"):
        export_network(every_activation(), "json", tmp_path / "x.json", Options(weight=np.inf))


def test_a_front_becomes_a_folder_of_files(tmp_path):
    networks = [random_network(4, 2, 10, links, seed=1) for links in (5, 30)]
    sizes = [each.topology.num_connections for each in networks]
    checks = export_front(networks, "masks", tmp_path / "front")
    assert len(checks) == 2
    wanted = [f"{number}-{size}-connections.safetensors" for number, size in enumerate(sizes, 1)]
    assert names(tmp_path / "front") == wanted
    for each, network in zip(names(tmp_path / "front"), networks, strict=True):
        assert_same_network(read_network(tmp_path / "front" / each), network)
    with pytest.raises(ValueError, match="there is no network to export"):
        export_front([], "masks", tmp_path / "other")


def test_a_front_with_one_bad_network_leaves_no_folder(tmp_path):
    networks = [every_activation(), chain(1, STEP, weight=1e-9)]
    with pytest.raises(RuntimeError, match="cannot be checked"):
        export_front(networks, "safetensors", tmp_path / "front")
    assert names(tmp_path) == []


def test_an_unknown_format_and_arithmetic_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no format 'onx'; did you mean 'onnx'\?"):
        format_named("onx")
    with pytest.raises(ValueError, match="'masks' computes in float64, but 'float32' was given"):
        export_network(
            every_activation(), "masks", tmp_path / "x.safetensors", Options(dtype="float32")
        )


def test_a_network_without_links_is_refused(tmp_path):
    topology = every_activation().topology
    empty = dataclasses.replace(
        topology,
        offsets=np.zeros_like(topology.offsets),
        sources=np.zeros(0, dtype=np.int32),
    )
    with pytest.raises(ValueError, match="no connections, so there is nothing to export"):
        export_network(Network(empty, 1.0), "json", tmp_path / "net.json")


def test_an_activation_of_ones_own_can_only_go_where_names_are_kept(tmp_path, monkeypatch):
    from wann import activations

    for name in ("_by_name", "_by_id"):
        monkeypatch.setattr(activations, name, dict(getattr(activations, name)))
    network = chain(register_activation("halved", lambda x: x / 2).id)
    with pytest.raises(ValueError, match="'torch' has no form of 'halved', an activation of your"):
        export_network(network, "torch", tmp_path / "net")
    assert export_network(network, "json", tmp_path / "net.json") is not None


def test_a_library_that_is_missing_is_named_with_the_line_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        MissingDependency, match=r"needs onnx, onnxruntime, .*; pip install 'wann-search\[onnx\]'"
    ):
        export_network(every_activation(), "onnx", tmp_path / "net.onnx")


def test_a_file_is_read_by_what_its_name_ends_in(tmp_path):
    network = every_activation()
    for number, name in enumerate(("json", "masks", "safetensors")):
        path = tmp_path / f"{number}{FORMATS[name].suffix}"
        export_network(network, name, path, Options(dtype="float64"))
        read = read_network(path)
        assert_same_network(dataclasses.replace(read, made_by={}), network)
    (tmp_path / "0.json").rename(tmp_path / "net.xyz")
    assert read_network(tmp_path / "net.xyz").topology.key() == network.topology.key()


def test_a_file_that_no_reader_takes_is_refused_by_name(tmp_path):
    path = tmp_path / "net.safetensors"
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"net\.safetensors is not a usable"):
        read_network(path)


def test_each_format_says_what_it_is_for_and_has_its_functions():
    for name, form in FORMATS.items():
        assert form.name == name
        assert form.purpose
        assert form._function("write")
        if form.dtypes:
            assert form._function("run")
        if form.readable:
            assert form._function("read")
    assert json.dumps(list(FORMATS))
