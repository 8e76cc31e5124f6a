import dataclasses
import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzzing import count_refusals, mutations
from tests.networks import random_network
from tests.strategies import genomes, grown_genomes
from wann.export.formats import export_network, read_network
from wann.export.reference import load_out, read_out, run_out, write_out
from wann.forward import forward
from wann.network import Network
from wann.topology import compile

needs_reference = pytest.mark.skipif(
    "WANN_REFERENCE_DIR" not in os.environ,
    reason="WANN_REFERENCE_DIR must name the folder that holds nets/swing.out",
)
TINY = "0,0,1,0,0,1\n0,0,0.5,nan,0,1\n0,0,0,0,-2,5\n0,0,0,0,nan,1\n0,0,0,0,0,1\n"


def load(tmp_path, text, num_inputs=1, num_outputs=1, **options):
    path = tmp_path / "net.out"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_out(path, num_inputs, num_outputs, **options)


def as_out(network):
    """Return the text that the reference writes for a network whose outputs come last."""
    topology = network.topology
    matrix = np.zeros((topology.num_nodes, topology.num_nodes + 1))
    weights = np.broadcast_to(network.weights, topology.num_connections)
    for node in range(1 + topology.num_inputs, topology.num_nodes - topology.num_outputs):
        matrix[0, node] = matrix[node, -2] = np.nan  # evolution leaves disabled links everywhere
    matrix[topology.sources, topology.targets()] = weights
    matrix[:, -1] = topology.activations
    return "".join(",".join(f"{each:1.2e}" for each in row) + "\n" for row in matrix)


def test_dead_nodes_and_disabled_links_are_left_out(tmp_path):
    topology = load(tmp_path, TINY).topology.check()
    assert topology.sources.tolist() == [0, 1, 2]
    assert topology.targets().tolist() == [2, 2, 3]
    assert topology.activations.tolist() == [1, 1, 5, 1]
    assert topology.outputs.tolist() == [3]


def test_stored_weights_are_ignored_unless_asked_for(tmp_path):
    assert load(tmp_path, TINY).shared_weight == 1.0
    assert load(tmp_path, TINY, weights=-2).shared_weight == -2.0
    stored = load(tmp_path, TINY, weights="stored")
    assert np.asarray(stored.weights).tolist() == [1.0, 0.5, -2.0]


@pytest.mark.parametrize("seed", range(20))
def test_a_written_network_is_read_as_the_same_function(tmp_path, seed):
    network = random_network(3, 2, 6, 18, seed=seed, shared=False)
    rounded = np.array([float(f"{each:1.2e}") for each in np.asarray(network.weights)])
    again = load(tmp_path, as_out(network), 3, 2, weights="stored")
    inputs = np.random.default_rng(seed).normal(size=(5, 3))
    expected = forward(network.topology, rounded, inputs)
    in_order = np.argsort(network.topology.outputs)
    np.testing.assert_allclose(again(inputs), expected[:, in_order], rtol=1e-12)
    assert again.topology.check().num_connections <= network.topology.num_connections


def test_blank_lines_and_windows_line_ends_are_no_matter(tmp_path):
    text = TINY.replace("\n", "\r\n") + "\r\n\r\n"
    assert load(tmp_path, text).topology.num_connections == 3


def test_the_task_and_names_are_kept(tmp_path):
    network = load(tmp_path, TINY, task="T-v0", input_names=["x"], action="clip")
    assert (network.task, network.input_names, network.action) == ("T-v0", ("x",), "clip")


def calm(network):
    """Return a network whose values stay so small that rounding differs little."""
    weights = np.asarray(network.weights) * 0.3
    return dataclasses.replace(network, weights=weights if weights.ndim else float(weights))


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("seed", range(10))
def test_a_saved_network_is_read_with_the_same_weights(tmp_path, seed, shared):
    network = calm(random_network(3, 2, 6, 18, seed=seed, shared=shared))
    write_out(network, tmp_path / "net.out")
    again = load_out(tmp_path / "net.out", 3, 2, weights="stored")
    inputs = np.random.default_rng(seed).normal(size=(5, 3))
    np.testing.assert_allclose(again(inputs), network(inputs), rtol=1e-12, atol=1e-12)
    ran = run_out(tmp_path / "net.out", inputs)
    np.testing.assert_allclose(ran, network(inputs), rtol=1e-9, atol=1e-12)
    kept, written = (set(np.atleast_1d(each.weights).tolist()) for each in (again, network))
    assert kept <= written


@settings(max_examples=60, deadline=None)
@given(genome=genomes(), seed=st.integers(0, 2**32 - 1))
def test_a_compiled_network_comes_back_with_the_same_structure(genome, seed, tmp_path_factory):
    topology = compile(genome)
    weights = np.random.default_rng(seed).normal(size=topology.num_connections)
    network = Network(topology, weights)
    path = tmp_path_factory.getbasetemp() / "net.out"
    if set(topology.outputs.tolist()) & set(topology.sources.tolist()):
        with pytest.raises(ValueError, match=r"in a \.out file outputs feed nothing, but output"):
            write_out(network, path)
        return
    write_out(network, path)
    again = load_out(path, topology.num_inputs, topology.num_outputs, weights="stored")
    assert again.topology.key() == topology.key()
    assert read_out(path).to_json() == again.to_json()
    np.testing.assert_array_equal(np.sort(again.weights), np.sort(weights))


def test_a_file_of_the_reference_does_not_say_its_sizes(tmp_path):
    for text in (TINY, "", "# 5\n" + TINY, '# {"inputs": 1}\n' + TINY, "#" + "[" * 20_000):
        (tmp_path / "net.out").write_text(text)
        with pytest.raises(ValueError, match="does not say its numbers of inputs and outputs"):
            read_out(tmp_path / "net.out")


def test_a_link_of_weight_zero_cannot_be_saved(tmp_path):
    network = dataclasses.replace(random_network(2, 1, 1, 4, seed=0), weights=0.0)
    with pytest.raises(ValueError, match="0 stands for no link, but a link has weight 0"):
        write_out(network, tmp_path / "net.out")
    assert not list(tmp_path.iterdir())


def test_a_network_of_too_many_nodes_cannot_be_saved(tmp_path):
    with pytest.raises(ValueError, match="at most 2,000 nodes, but the network has 2,003"):
        write_out(random_network(2001, 1, 0, 4, seed=0), tmp_path / "net.out")


WRONG = [
    ("", "some rows were wanted, but it has 0"),
    ("\n\n", "some rows were wanted, but it has 0"),
    ("1\n", "it must have 1 to 2,000 nodes, but it has 0"),
    ("0," * 2001 + "1\n", "it must have 1 to 2,000 nodes, but it has 2,001"),
    ("0," * 10**6, "it must have 1 to 2,000 nodes, but it has 1,000,000"),
    (TINY[:34], "each row must have 6 columns, but row 2 has 4 columns"),
    (TINY[:28], "5 rows were wanted, but it has 2"),
    (TINY + TINY, "5 rows were wanted, but it has more"),
    (TINY.replace("0.5", "x"), "row 1 must hold numbers, but it has 'x'"),
    (TINY.replace("0.5", ""), "row 1 must hold numbers, but it has ''"),
    (TINY.encode("utf-16"), "row 0 must hold numbers"),
    (TINY.replace("0.5", "9" * 500), "row 1 has .* bytes, which is too long"),
    (TINY.replace("0.5", "inf"), "weights must be finite, but node 1 has one that is infinite"),
    (TINY.replace("0.5", "1e999"), "weights must be finite, but node 1"),
    (TINY.replace("-2,5", "-2,12"), "activation ids are 1 to 11, but node 2 has 12"),
    (TINY.replace("-2,5", "-2,0"), "activation ids are 1 to 11, but node 2 has 0"),
    (TINY.replace("-2,5", "-2,5.5"), r"activation ids are 1 to 11, but node 2 has 5\.5"),
    (TINY.replace("-2,5", "-2,nan"), "activation ids are 1 to 11, but node 2 has nan"),
    (TINY.replace("0,0,0,0,-2", "0,0,1,0,-2"), "link from node 2 to node 2 goes against the order"),
    (TINY.replace("0,0,0,0,-2", "0,1,0,0,-2"), "link from node 2 to node 1 goes against the order"),
    (TINY.replace("0,0,1,0,0", "0,3,1,0,0"), "link from node 0 to node 1 goes into the bias or an"),
]


@pytest.mark.parametrize(("text", "message"), WRONG, ids=range(len(WRONG)))
def test_a_malformed_file_is_refused_in_one_line(tmp_path, text, message):
    with pytest.raises(ValueError, match=rf"net\.out is not a usable \.out file: .*({message})"):
        load(tmp_path, text)


def test_a_file_too_small_for_the_task_is_refused(tmp_path):
    with pytest.raises(ValueError, match="3 inputs and 2 outputs need 6 nodes with the bias, but"):
        load(tmp_path, TINY, 3, 2)


UNFIT = [
    (2, 1, 1, 1, "node 2 would be hidden, but no link goes into it"),
    (1, 2, 1, 1, "node 3 would be hidden, but no link goes out of it"),
    (1, 1, 1, 2, "node 2 would be an output, but a link goes out of it"),
]


@pytest.mark.parametrize(("num_inputs", "num_outputs", "read_inputs", "read_outputs", "why"), UNFIT)
def test_a_file_is_refused_for_a_task_of_other_sizes(
    tmp_path, num_inputs, num_outputs, read_inputs, read_outputs, why
):
    text = as_out(random_network(num_inputs, num_outputs, 1, 8, seed=0))
    assert load(tmp_path, text, num_inputs, num_outputs).topology.num_inputs == num_inputs
    sizes = f"{read_inputs} inputs and {read_outputs} outputs"
    with pytest.raises(ValueError, match=f"is of another task than one of {sizes}: {why}"):
        load(tmp_path, text, read_inputs, read_outputs)


@needs_reference
@pytest.mark.parametrize("sizes", [(4, 2), (2, 1), (4, 1), (5, 2), (8, 4), (24, 4)])
def test_the_released_champion_is_refused_for_other_tasks(sizes):
    with pytest.raises(ValueError, match=r"swing\.out is not a usable \.out file: it"):
        load_out(Path(os.environ["WANN_REFERENCE_DIR"]) / "nets" / "swing.out", *sizes)


@pytest.mark.parametrize("sizes", [(0, 1), (1, 0)])
def test_a_task_without_inputs_or_outputs_is_refused(tmp_path, sizes):
    with pytest.raises(ValueError, match="puts must be at least 1, but 0 was given"):
        load(tmp_path, TINY, *sizes)


def test_weights_are_a_number_or_stored(tmp_path):
    with pytest.raises(ValueError, match="weights must be a number or 'stored', not 'best'"):
        load(tmp_path, TINY, weights="best")


def test_a_file_with_too_many_links_is_refused(tmp_path):
    first = [max(row, 1) + 1 for row in range(800)]  # column from which each row is full
    rows = [",".join(["0"] * each + ["1"] * (800 - each) + ["1"]) for each in first]
    with pytest.raises(ValueError, match="it has more than 250,000 links"):
        load(tmp_path, "\n".join(rows))


def damaged(count, seed):
    networks = [random_network(2, 1, 4, 12, seed=each, shared=False) for each in range(3)]
    files = [as_out(each).encode() for each in networks]
    files += [b'# {"inputs": 2, "outputs": 1}\n' + each for each in files]
    return mutations(files, count, seed)


def test_damaged_files_are_refused_calmly(tmp_path):
    refused = count_refusals(lambda path: load_out(path, 2, 1), damaged(400, 0), tmp_path / "x.out")
    assert refused > 200


@pytest.mark.slow
def test_ten_thousand_damaged_files_are_refused_calmly(tmp_path):
    files = damaged(10_000, 1)
    refused = count_refusals(lambda path: load_out(path, 2, 1), files, tmp_path / "x.out")
    assert refused > 5_000


@pytest.mark.slow
def test_the_largest_file_is_read_calmly(tmp_path):
    matrix = np.zeros((2000, 2001))
    matrix[0, 3:], matrix[3:-1, -2], matrix[:, -1] = 1.0, 1.0, 1.0
    text = b"".join(b",".join(b"%1.2e" % each for each in row) + b"\n" for row in matrix)
    refused = count_refusals(lambda path: load_out(path, 2, 1), [text], tmp_path / "x.out")
    assert refused == 0


# The paper's swing-up (Gaier & Ha 2019; WANN/domain/cartpole_swingup.py), all episodes at once.
GRAVITY, FORCE, STEP = 9.82, 10.0, 0.01  # m/s^2, N, s
CART, POLE, LENGTH, FRICTION = 0.5, 0.5, 0.6, 0.1  # kg, kg, m, N s/m
TRACK, MAX_STEPS = 2.4, 1000  # m


def swing_up_returns(network, num_episodes, seed):
    rng = np.random.default_rng(seed)
    start = rng.normal([0.0, 0.0, math.pi, 0.0], 0.2, size=(num_episodes, 4))
    x, speed, angle, spin = start.T.copy()
    running, returns = np.ones(num_episodes, dtype=bool), np.zeros(num_episodes)
    mass = CART + POLE
    for _ in range(MAX_STEPS):
        sine, cosine = np.sin(angle), np.cos(angle)
        outputs = network(np.column_stack([x, speed, cosine, sine, spin]))
        force = FORCE * np.clip(outputs[:, 0], -1.0, 1.0)
        acceleration = (
            -2 * POLE * LENGTH * spin**2 * sine
            + 3 * POLE * GRAVITY * sine * cosine
            + 4 * (force - FRICTION * speed)
        ) / (4 * mass - 3 * POLE * cosine**2)
        angular_acceleration = (
            -3 * POLE * LENGTH * spin**2 * sine * cosine
            + 6 * mass * GRAVITY * sine
            + 6 * (force - FRICTION * speed) * cosine
        ) / (4 * LENGTH * mass - 3 * POLE * LENGTH * cosine**2)
        x, angle = x + STEP * speed, angle + STEP * spin
        speed, spin = speed + STEP * acceleration, spin + STEP * angular_acceleration
        reward = (np.cos(angle) + 1) / 2 * np.cos(math.pi / 2 * x / TRACK)
        returns += np.where(running, reward, 0.0)
        running &= np.abs(x) <= TRACK
        x, speed = np.where(running, x, 0.0), np.where(running, speed, 0.0)
        angle, spin = np.where(running, angle, 0.0), np.where(running, spin, 0.0)
    return returns


# Weight, mean and standard deviation over 100 episodes, from an independent implementation.
KNOWN = [(-2, 558, 101), (-1, 687, 92), (-0.5, 521, 5), (0.5, 521, 5), (1, 702, 6), (2, 688, 8)]


def released_champion(weight):
    folder = Path(os.environ["WANN_REFERENCE_DIR"])
    return load_out(folder / "nets" / "swing.out", 5, 1, weights=weight, action="clip")


@needs_reference
def test_the_released_champion_has_its_published_size_and_all_of_it_lives():
    topology = released_champion(1.0).topology.check()
    assert (topology.num_nodes, topology.num_connections) == (29, 52)


@needs_reference
@pytest.mark.parametrize(("weight", "mean", "deviation"), KNOWN)
def test_the_released_champion_scores_what_is_known_of_it(weight, mean, deviation):
    returns = swing_up_returns(released_champion(weight), 100, seed=0)
    error = math.sqrt((deviation**2 + returns.std(ddof=1) ** 2) / 100)
    assert abs(returns.mean() - mean) <= 4 * error


def test_an_export_is_checked_says_so_and_comes_back(tmp_path):
    network = released_shape()
    check = export_network(network, "out", tmp_path / "net.out")
    assert check.worst < 1.0
    line = (tmp_path / "net.out").read_text().splitlines()[0]
    assert json.loads(line[1:])["check"]["max_difference"] == check.max_difference
    assert read_network(tmp_path / "net.out").topology.key() == network.topology.key()


def released_shape():
    """Return a compiled network of control size in which no output feeds a node."""
    grown = grown_genomes(3, 40, 30, num_inputs=4)
    topologies = [compile(each) for each in grown]
    free = [
        each
        for each in topologies
        if not set(each.outputs.tolist()) & set(each.sources.tolist()) and each.num_connections > 9
    ]
    return Network(free[0], 0.7)
