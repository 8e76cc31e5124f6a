import dataclasses
import json
import re
import shutil
import subprocess

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzzing import count_refusals, mutations
from tests.networks import random_network
from tests.strategies import genomes
from wann.activations import PAPER_ACTIVATIONS
from wann.export.formats import FORMATS, export_network, read_network
from wann.export.graph import (
    evaluate_graph,
    from_networkx,
    read_graphml,
    read_networkx,
    run_graphml,
    run_networkx,
    to_dot,
    to_networkx,
    write_dot,
    write_graphml,
    write_networkx,
)
from wann.network import Network
from wann.topology import compile

WEIGHTS = st.floats(-1e6, 1e6)
FILES = {
    "graphml": (write_graphml, read_graphml, run_graphml),
    "node-link": (write_networkx, read_networkx, run_networkx),
}
files = pytest.mark.parametrize(("write", "read", "run"), FILES.values(), ids=FILES)


def named(network):
    """Return a network with everything that a file of it can hold."""
    topology = network.topology
    inputs = ("x <&> \"'", *(f"θ̇ {each}" for each in range(1, topology.num_inputs)))
    return dataclasses.replace(
        network,
        input_names=inputs,
        output_names=("", *(f" {each} " for each in range(1, topology.num_outputs))),
        observation_space="Box(\n1, 速度)",
        offset=tuple(0.1 * each for each in range(topology.num_inputs)),
        scale=(1 / 3,) * topology.num_inputs,
        scores={"mean": 1e300, "by": [1, None, {"x": "</graphml>"}]},
        made_by={"version": "1", "generation": 3},
    )


@st.composite
def networks(draw):
    """Return a strategy of networks, of a genome or of any topology, with either kind of weight."""
    if draw(st.booleans()):
        topology = compile(draw(genomes()))
    else:
        sizes = draw(st.tuples(*(st.integers(*ends) for ends in ((1, 5), (1, 4), (0, 9), (0, 40)))))
        seed, mixed = draw(st.integers(0, 2**32 - 1)), draw(st.booleans())
        topology = random_network(*sizes, seed=seed, output_links=mixed).topology
    num_links = topology.num_connections
    own = st.lists(WEIGHTS, min_size=num_links, max_size=num_links)
    weights = draw(WEIGHTS | own.map(np.array).map(lambda each: each.astype(np.float64)))
    return named(Network(topology, weights, task="T-v0", action="clip"))


def assert_same_outputs(found, network, inputs):
    with np.errstate(over="ignore", invalid="ignore"):
        expected = network(inputs)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(networks())
def test_a_network_comes_back_whole_from_its_graph(network):
    assert from_networkx(to_networkx(network)).to_json() == network.to_json()


@files
@settings(max_examples=40, deadline=None)
@given(network=networks())
def test_a_network_comes_back_whole_from_its_file(write, read, run, network, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "network.file"
    write(network, path)
    assert read(path).to_json() == network.to_json()


@files
@pytest.mark.parametrize("batch", [1, 7])
@pytest.mark.parametrize("shared", [True, False])
def test_a_written_graph_computes_what_the_network_does(write, read, run, shared, batch, tmp_path):
    network = random_network(4, 3, 12, 50, seed=batch, shared=shared, output_links=True)
    inputs = np.random.default_rng(0).normal(size=(batch, 4))
    write(network, tmp_path / "net")
    assert_same_outputs(run(tmp_path / "net", inputs), network, inputs)


@pytest.mark.parametrize("activation", PAPER_ACTIVATIONS, ids=lambda each: each.name)
def test_every_activation_computes_the_same_in_a_graph(activation):
    network = random_network(2, 2, 2, 9, seed=3)
    computed = np.full(4, activation.id, dtype=np.uint8)
    activations = np.concatenate([network.topology.activations[:3], computed])
    topology = dataclasses.replace(network.topology, activations=activations)
    network = dataclasses.replace(network, topology=topology)
    inputs = np.random.default_rng(1).normal(size=(50, 2))
    assert_same_outputs(evaluate_graph(to_networkx(network), inputs), network, inputs)


@files
def test_five_thousand_links_come_back(write, read, run, tmp_path):
    network = random_network(24, 4, 300, 5000, seed=1, shared=False)
    write(network, tmp_path / "net")
    assert read(tmp_path / "net").to_json() == network.to_json()


def test_levels_are_the_longest_paths():
    network = random_network(3, 2, 8, 25, seed=5)
    graph = to_networkx(network)
    reached = nx.DiGraph(graph.edges)
    for node, level in graph.nodes(data="level"):
        if node > 3:
            ends = [other for other in range(4) if other in reached and node in reached]
            paths = [
                len(path) - 1
                for other in ends
                for path in nx.all_simple_paths(reached, other, node)
            ]
            if paths and not any(graph.in_degree(each) == 0 for each in range(4, len(graph))):
                assert level == max(paths)


def other_peoples_graph():
    graph = nx.DiGraph()
    graph.add_node("y", role="output", activation="tanh")
    graph.add_node("h", role="hidden", activation="relu")
    graph.add_node("b", role="input")
    graph.add_node("a", role="input")
    graph.add_edge("h", "y", weight=2)
    graph.add_edge("a", "h", weight=np.float32(0.5))
    graph.add_edge("b", "h", weight=-1.0)
    graph.add_edge("b", "y", weight=0)
    return graph


def test_a_graph_in_any_order_and_without_a_bias_is_read():
    network = from_networkx(other_peoples_graph())
    b, a = np.array([0.3, -2.0]), np.array([1.5, 4.0])
    expected = np.tanh(2 * np.maximum(0.5 * a - b, 0.0))
    np.testing.assert_allclose(network(np.column_stack([b, a]))[:, 0], expected)
    assert network.topology.check().num_connections == 4
    assert network.input_names == ("input 1", "input 2")


def test_outputs_are_taken_by_their_number():
    graph = other_peoples_graph()
    graph.add_node("z", role="output", activation="step", output=0, name="first")
    graph.nodes["y"]["output"] = 1
    network = from_networkx(graph)
    assert network.output_names == ("first", "")
    ids = network.topology.activations[network.topology.outputs]
    assert ids.tolist() == [2, 5]


def changed(change):
    graph = other_peoples_graph()
    result = change(graph)
    return result if isinstance(result, nx.Graph) else graph


WRONG_GRAPHS = [
    (lambda graph: graph.to_undirected(), "a directed graph"),
    (nx.MultiDiGraph, "a multigraph"),
    (lambda graph: graph.add_edge("y", "h", weight=1.0), "not have a cycle"),
    (lambda graph: graph.add_edge("h", "h", weight=1.0), "not have a cycle"),
    (lambda graph: graph.add_edge("h", "a", weight=1.0), "'a', which is the bias or an input"),
    (lambda graph: graph.add_node("new"), "node 'new': role must be text, but it is None"),
    (lambda graph: graph.nodes["h"].update(role="hiden"), "no role 'hiden'; did you mean 'hidden'"),
    (lambda graph: graph.nodes["h"].update(activation="Relu"), "no activation 'Relu'; did you"),
    (lambda graph: graph.nodes["h"].update(activation=9), "activation must be text, but it is 9"),
    (lambda graph: graph.nodes["h"].pop("activation"), "no activation ''"),
    (lambda graph: graph.nodes["a"].update(activation="tanh"), "whose activation must be 'linear'"),
    (lambda graph: graph.nodes["a"].update(name="\x1b"), "must be printable text"),
    (lambda graph: graph.nodes["y"].update(output=1), "numbered from 0, none left out"),
    (lambda graph: graph.nodes["y"].update(output=True), "output must be a whole number"),
    (lambda graph: graph.nodes["h"].update(role="bias"), "into|ends in 'h', which is the bias"),
    (lambda graph: graph.edges["h", "y"].pop("weight"), "'h' -> 'y' has no weight"),
    (lambda graph: graph.edges["h", "y"].update(weight="2"), "weight must be a number"),
    (lambda graph: graph.edges["h", "y"].update(weight=True), "weight must be a number"),
    (lambda graph: graph.edges["h", "y"].update(weight=np.nan), "weight must be finite"),
    (lambda graph: graph.edges["h", "y"].update(weight=10**400), "weight must be finite"),
    (lambda graph: graph.graph.update(shared_weight=1.5), "weight 2, but the graph's shared_weigh"),
    (lambda graph: graph.graph.update(format="x"), "format must be 'wann-network'"),
    (lambda graph: graph.graph.update(version=2), "version must be 1, but it is 2"),
    (lambda graph: graph.graph.update(action="jump"), "no action rule 'jump'"),
    (lambda graph: graph.graph.update(scores="[1]"), "'scores' must be an object"),
    (lambda graph: graph.graph.update(scores="[" * 90_000), "nested too deeply"),
    (lambda graph: graph.remove_nodes_from(["a", "b"]), "at least one input and one output"),
    (lambda graph: nx.DiGraph(), "at least one input and one output"),
    (lambda graph: graph.add_nodes_from(range(50_001)), "at most 50,000 nodes"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), WRONG_GRAPHS, ids=range(len(WRONG_GRAPHS)))
def test_a_graph_that_is_no_network_is_refused(change, message):
    with pytest.raises(ValueError, match=message) as caught:
        from_networkx(changed(change))
    assert "\n" not in str(caught.value)


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY a{each} "{f"&a{each - 1 or str()};" * 10}">' for each in range(1, 9))
    + "]><graphml>&a8;</graphml>"
)
EXTERNAL = '<!DOCTYPE b [<!ENTITY a SYSTEM "file:///etc/passwd">]><graphml>&a;</graphml>'
GRAPHML = '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">'
WRONG_GRAPHML = [
    ("", "it is not XML"),
    ("{}", "it is not XML"),
    (BOMB, "a document type declaration is not read"),
    (BOMB.encode("utf-16"), "a document type declaration is not read|it is not XML"),
    (EXTERNAL, "a document type declaration is not read"),
    ('<?xml version="1.0" encoding="none"?><a/>', "it is not XML"),
    ("<graphml/>", "one graph was wanted, but it has 0"),
    (f"{GRAPHML}<graph/><graph/></graphml>", "one graph was wanted, but it has 2"),
    (f"{GRAPHML}<graph/></graphml>", "a directed graph"),
    ("<a>" * 200_000, "nested deeper than 16"),
    (f'{GRAPHML}<graph edgedefault="directed"/></graphml>', "at least one input"),
    (
        f'{GRAPHML}<graph edgedefault="directed"><node id="1"/><node id="1"/></graph></graphml>',
        "2 nodes with ids of their own were wanted, not 1",
    ),
    (
        f'{GRAPHML}<graph edgedefault="directed"><node><data key="q"/></node></graph></graphml>',
        "networkx cannot read it",
    ),
    (f"{GRAPHML}{'<a/>' * 120_000}</graphml>", "may have 120,000 elements at most"),
    ("<a " + " ".join(f"b{each}=''" for each in range(17)) + "/>", "16 attributes at most"),
    (" " * 4_000_001, "at most 4,000,000 bytes can be read"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), WRONG_GRAPHML, ids=range(len(WRONG_GRAPHML)))
def test_a_hostile_graphml_file_is_refused_in_one_line(text, message, tmp_path):
    path = tmp_path / "x.graphml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=message) as caught:
        read_graphml(path)
    assert "\n" not in str(caught.value)


def node_link(**changes):
    content = nx.node_link_data(other_peoples_graph(), edges="edges")
    for edge in content["edges"]:
        edge["weight"] = float(edge["weight"])
    return json.dumps(content | changes)


WRONG_NODE_LINK = [
    ("", "it is empty"),
    ("[]", "an object was wanted"),
    ("{}", "'nodes' is missing"),
    (node_link(nodes={}), "'nodes' must be a list"),
    (node_link(nodes=[{}] * 50_001), "at most 50,000 nodes fit, not 50,001"),
    (node_link(nodes=[1]), r"nodes\[0\] must be an object"),
    (node_link(nodes=[{"id": [1]}]), r"nodes\[0\]: id must be a number or text"),
    (node_link(nodes=[{"id": 1}, {"id": 1}]), "two of its nodes have the same id"),
    (node_link(edges=[{"source": "h", "target": "y"}] * 2), "two of its edges join the same"),
    (node_link(edges=[{"source": "h"}]), r"edges\[0\]: target must be a number or text"),
    (node_link(edges=[{"source": "h", "target": "new"}]), "node 'new': role must be text"),
    (node_link(directed=False), "'directed' must be true"),
    (node_link(multigraph=1), "'multigraph' must be false"),
    (node_link(graph=[]), "'graph' must be an object"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), WRONG_NODE_LINK, ids=range(len(WRONG_NODE_LINK)))
def test_a_hostile_node_link_file_is_refused_in_one_line(text, message, tmp_path):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ValueError, match=f"is not a usable node-link file: .*{message}") as caught:
        read_networkx(tmp_path / "x.json")
    assert "\n" not in str(caught.value)


def test_a_node_link_file_from_before_networkx_3_4_is_read(tmp_path):
    content = json.loads(node_link())
    content["links"] = content.pop("edges")
    (tmp_path / "x.json").write_text(json.dumps(content))
    assert read_networkx(tmp_path / "x.json").topology.num_connections == 4


def originals(write, tmp_path):
    for seed in range(3):
        write(random_network(2, 1, 3, 8, seed=seed, shared=seed == 0), tmp_path / f"{seed}")
        yield (tmp_path / f"{seed}").read_bytes()


@files
def test_damaged_files_are_refused_calmly(write, read, run, tmp_path):
    damaged = mutations(list(originals(write, tmp_path)), 300, 0)
    assert count_refusals(read, damaged, tmp_path / "x") > 150


@pytest.mark.slow
@files
def test_ten_thousand_damaged_files_are_refused_calmly(write, read, run, tmp_path):
    damaged = mutations(list(originals(write, tmp_path)), 10_000, 1)
    assert count_refusals(read, damaged, tmp_path / "x") > 5_000


def test_dot_text_names_every_node_and_link_and_escapes_names(tmp_path):
    network = named(random_network(3, 2, 4, 14, seed=2, shared=False))
    write_dot(network, tmp_path / "net.dot")
    text = (tmp_path / "net.dot").read_text(encoding="utf-8")
    assert text == to_dot(network)
    edges = re.findall(r'^  n(\d+) -> n(\d+) \[weight_value="([^"]+)"', text, re.M)
    found = [(int(source), int(target)) for source, target, _ in edges]
    assert sorted(found) == sorted(to_networkx(network).edges)
    assert [float(weight) for *_, weight in edges] == np.asarray(network.weights).tolist()
    assert len(re.findall(r"^  n\d+ \[", text, re.M)) == network.topology.num_nodes
    assert 'label="x <&> \\"\'"' in text


@pytest.mark.skipif(shutil.which("dot") is None, reason="needs Graphviz")
def test_graphviz_reads_the_dot_text(tmp_path):
    network = named(random_network(3, 2, 4, 14, seed=2, shared=False))
    command = ["dot", "-Tplain"]
    done = subprocess.run(
        command, input=to_dot(network), capture_output=True, text=True, check=True
    )
    assert done.stdout.count("\nnode ") == network.topology.num_nodes
    assert not done.stderr


@pytest.mark.parametrize("name", ["networkx", "graphml"])
def test_an_export_is_checked_says_so_and_comes_back(name, tmp_path):
    network = random_network(4, 2, 12, 40, seed=1)
    path = tmp_path / f"net{FORMATS[name].suffix}"
    check = export_network(network, name, path)
    again = read_network(path)
    assert check.worst < 1.0
    assert again.made_by["export"]["check"]["max_difference"] == check.max_difference
    assert dataclasses.replace(again, made_by={}).to_json() == network.to_json()
