import dataclasses
import json
import warnings

import neat
import numpy as np
import pytest
from hypothesis import given, settings
from neat.export import export_network_json, validate_json

from tests.fuzzing import count_refusals, mutations
from tests.networks import random_network
from tests.strategies import networks
from wann.activations import LINEAR, TANH
from wann.export.formats import export_network, read_network
from wann.export.neat_json import read_neat_json, run_neat_json, write_neat_json
from wann.export.neat_python import to_neat
from wann.network import Network


def random_inputs(network, batch=20):
    return np.random.default_rng(0).normal(size=(batch, network.topology.num_inputs))


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(network=networks())
def test_a_network_comes_back_whole_from_json(network, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "neat.json"
    write_neat_json(network, path)
    assert read_neat_json(path).to_json() == network.to_json()
    inputs = random_inputs(network)
    close(run_neat_json(path, inputs), network(inputs))


def test_five_thousand_links_come_back_from_json(tmp_path):
    network = random_network(24, 4, 300, 5000, seed=1, shared=False)
    write_neat_json(network, tmp_path / "net.json")
    assert read_neat_json(tmp_path / "net.json").to_json() == network.to_json()
    ids = np.where(np.arange(network.topology.num_nodes) > 24, TANH, LINEAR).astype(np.uint8)
    calm = Network(dataclasses.replace(network.topology, activations=ids), 0.1)
    write_neat_json(calm, tmp_path / "net.json")
    inputs = random_inputs(network, 2)
    close(run_neat_json(tmp_path / "net.json", inputs), calm(inputs))


def exported(genome, config):
    """Return what neat-python itself writes for a genome."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it asks the clock in an old way
        net = neat.nn.FeedForwardNetwork.create(genome, config)
        return export_network_json(net)


@pytest.mark.parametrize("seed", range(10))
def test_json_is_what_neat_python_writes_itself(seed, tmp_path):
    network = random_network(3, 2, 6, 25, seed=seed, shared=False)
    write_neat_json(network, tmp_path / "net.json")
    ours = json.loads((tmp_path / "net.json").read_text())
    theirs = json.loads(exported(*to_neat(network)))
    assert validate_json(ours)
    assert set(ours) == set(theirs)
    for key in ("format_version", "network_type", "topology"):
        assert ours[key] == theirs[key]
    nodes = {node["id"]: node for node in ours["nodes"]}
    assert all(nodes[node["id"]] == node for node in theirs["nodes"])
    links = {(link["from"], link["to"]): link for link in ours["connections"]}
    assert all(links[link["from"], link["to"]] == link for link in theirs["connections"])


@pytest.mark.parametrize("seed", range(10))
def test_what_neat_python_writes_is_read(seed, tmp_path):
    network = random_network(3, 2, 6, 25, seed=seed, shared=False)
    (tmp_path / "net.json").write_text(exported(*to_neat(network)))
    inputs = random_inputs(network)
    with np.errstate(over="ignore", invalid="ignore"):
        close(read_neat_json(tmp_path / "net.json")(inputs), network(inputs))


def valid():
    return {
        "format_version": "1.0",
        "network_type": "feedforward",
        "metadata": {},
        "topology": {"num_inputs": 1, "num_outputs": 1, "input_keys": [-1], "output_keys": [0]},
        "nodes": [
            {
                "id": 0,
                "type": "output",
                "activation": {"name": "tanh", "custom": False},
                "aggregation": {"name": "sum", "custom": False},
                "bias": 0.5,
                "response": 2,
            }
        ],
        "connections": [{"from": -1, "to": 0, "weight": 0.4, "enabled": True}],
    }


def with_change(*path, value):
    content = valid()
    inner = content
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return json.dumps(content)


NODE, LINK = ("nodes", 0), ("connections", 0)
WRONG_JSON = [
    ("", "it is empty"),
    ("[]", "an object was wanted"),
    (with_change("format_version", value="2.0"), "format_version must be '1.0'"),
    (with_change("network_type", value="recurrent"), "network_type must be 'feedforward', but it"),
    (with_change("topology", "input_keys", value=["a"]), "input_keys must hold whole numbers"),
    (with_change("topology", "num_inputs", value=2), "num_inputs must be 1"),
    (with_change("topology", "output_keys", value=[-1]), "must be of type 'hidden', but"),
    (with_change("nodes", value=[]), "each output must be one of its nodes"),
    (with_change("nodes", value=[3]), r"nodes\[0\] must be an object"),
    (with_change("nodes", value=valid()["nodes"] * 2), "numbered from 0, none left out or given t"),
    (with_change(*NODE, "type", value="hidden"), "must be of type 'output', but it is 'hidden'"),
    (with_change(*NODE, "bias", value="1"), "'bias' must be a number"),
    (with_change(*NODE, "bias", value=10**350), "'bias' is too large"),
    (with_change(*NODE, "response", value=True), "'response' must be a number"),
    (with_change(*NODE, "activation", value="tanh"), "'activation' must be an object"),
    (with_change(*NODE, "activation", "custom", value=True), "'tanh' of the genome's own"),
    (with_change(*NODE, "activation", "custom", value=0), "'custom' must be true or false"),
    (with_change(*NODE, "activation", "name", value="inv"), "has activation 'inv'; only"),
    (with_change(*NODE, "aggregation", "name", value="max"), "aggregation 'sum', but it has 'max'"),
    (with_change(*LINK, "from", value=5), "a link names a node 5, which is not there"),
    (with_change(*LINK, "to", value=-1), "a link ends in node -1"),
    (with_change(*LINK, "from", value=0), "must not have a cycle"),
    (with_change(*LINK, "enabled", value=1), "'enabled' must be true or false"),
    (with_change("connections", value=valid()["connections"] * 2), "is there twice"),
    (with_change("metadata", value={"wann_search": 3}), "wann_search must be an object"),
    (with_change("metadata", value={"wann_search": {"bias_links": [9]}}), "bias_links must be key"),
    (with_change("metadata", value={"wann_search": {"shared_weight": 1}}), "shared_weight is 1, b"),
    (with_change("metadata", value={"wann_search": {"taks": ""}}), "did you mean 'task'"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), WRONG_JSON, ids=range(len(WRONG_JSON)))
def test_json_that_is_no_such_network_is_refused_in_one_line(text, message, tmp_path):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ValueError, match=f"not a usable neat-python JSON file: .*{message}") as e:
        read_neat_json(tmp_path / "x.json")
    assert "\n" not in str(e.value)


def test_disabled_connections_carry_nothing(tmp_path):
    (tmp_path / "x.json").write_text(with_change(*LINK, "enabled", value=False))
    found = read_neat_json(tmp_path / "x.json")(np.array([[3.0]]))
    np.testing.assert_allclose(found, [[np.tanh(2.5 * 0.5)]])


def originals(tmp_path):
    yield json.dumps(valid()).encode()
    for seed in range(3):
        network = random_network(2, 1, 3, 8, seed=seed, shared=seed == 0)
        write_neat_json(network, tmp_path / f"{seed}")
        yield (tmp_path / f"{seed}").read_bytes()


def test_damaged_files_are_refused_calmly(tmp_path):
    damaged = mutations(list(originals(tmp_path)), 300, 0)
    assert count_refusals(read_neat_json, damaged, tmp_path / "x") > 150


@pytest.mark.slow
def test_ten_thousand_damaged_files_are_refused_calmly(tmp_path):
    damaged = mutations(list(originals(tmp_path)), 10_000, 1)
    assert count_refusals(read_neat_json, damaged, tmp_path / "x") > 5_000


def test_an_export_is_checked_says_so_and_comes_back(tmp_path):
    network = random_network(4, 2, 12, 40, seed=1)
    check = export_network(network, "neat-json", tmp_path / "net.json")
    again = read_network(tmp_path / "net.json")
    assert check.worst < 1.0
    assert again.made_by["export"]["check"]["max_difference"] == check.max_difference
    assert dataclasses.replace(again, made_by={}).to_json() == network.to_json()
