import dataclasses
import shutil
import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.networks import random_network
from tests.strategies import genomes
from wann.activations import LINEAR, PAPER_ACTIVATIONS, TANH
from wann.export.c import WARNINGS, find_compiler, run_c, to_c, write_c
from wann.export.formats import Options, export_network
from wann.network import Network
from wann.tasks import MissingDependency
from wann.topology import compile

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="needs a C compiler"
)
STRICT = (*WARNINGS, "-Werror", "-Wconversion", "-Wdouble-promotion", "-Wshadow", "-Wundef")


def random_inputs(network, batch=30, seed=0):
    return np.random.default_rng(seed).normal(size=(batch, network.topology.num_inputs))


def calm(network, weight=0.3):
    """Return the network with tanh everywhere, in which rounding errors do not grow."""
    topology = network.topology
    places = np.arange(topology.num_nodes)
    ids = np.where(places > topology.num_inputs, TANH, LINEAR).astype(np.uint8)
    weights = weight * np.asarray(network.weights)
    weights = weights if weights.ndim else float(weights)
    topology = dataclasses.replace(topology, activations=ids)
    return dataclasses.replace(network, topology=topology, weights=weights)


def compile_strictly(text, folder, *options, program="int main(void) { return 0; }\n"):
    """Compile a program that includes the header; any warning is an error."""
    (folder / "network.h").write_text(text, encoding="ascii")
    (folder / "main.c").write_text(f'#include "network.h"\n{program}', encoding="ascii")
    command = [*find_compiler(), "-O1", "-std=c99", *STRICT, *options]
    command += ["-o", str(folder / "main"), str(folder / "main.c"), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@needs_compiler
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("float64", 1e-11)])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("activation", PAPER_ACTIVATIONS, ids=lambda each: each.name)
def test_a_header_computes_what_the_network_does(activation, shared, dtype, tolerance, tmp_path):
    network = random_network(3, 2, 4, 16, seed=5, shared=shared, output_links=True)
    ids = network.topology.activations.copy()
    ids[4::2] = activation.id
    ids[5::2] = LINEAR
    topology = dataclasses.replace(network.topology, activations=ids)
    network = dataclasses.replace(network, topology=topology)
    write_c(network, tmp_path / "net.h", options=Options(dtype=dtype))
    inputs = random_inputs(network, 64).astype(np.float32).astype(np.float64)
    found = run_c(tmp_path / "net.h", inputs)
    np.testing.assert_allclose(found, network(inputs), rtol=tolerance, atol=tolerance)


@needs_compiler
def test_one_row_is_computed_as_many_are(tmp_path):
    network = calm(random_network(3, 2, 4, 16, seed=5))
    write_c(network, tmp_path / "net.h")
    inputs = random_inputs(network, 4)
    rows = [run_c(tmp_path / "net.h", inputs[place : place + 1]) for place in range(4)]
    np.testing.assert_array_equal(np.concatenate(rows), run_c(tmp_path / "net.h", inputs))


@needs_compiler
@settings(max_examples=15, deadline=None)
@given(genome=genomes(), seed=st.integers(0, 2**32 - 1), shared=st.booleans())
def test_any_compiled_genome_is_the_same_in_double(genome, seed, shared, tmp_path_factory):
    topology = compile(genome)
    own = np.random.default_rng(seed).normal(size=topology.num_connections)
    network = Network(topology, 1.5 if shared else own)
    path = tmp_path_factory.getbasetemp() / "net.h"
    write_c(network, path, options=Options(dtype="float64"))
    inputs = random_inputs(network)
    np.testing.assert_allclose(run_c(path, inputs), network(inputs), rtol=1e-9, atol=1e-9)


@needs_compiler
@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("sizes", [(1, 1, 0, 0), (1, 1, 0, 1), (3, 2, 9, 30), (24, 4, 80, 300)])
def test_a_header_compiles_without_a_warning(sizes, shared, double, tmp_path):
    network = random_network(*sizes, seed=1, shared=shared)
    name = "cartpole_v1"
    program = (
        "int main(void) {\n"
        f"    {name}_real in[CARTPOLE_V1_NUM_INPUTS] = {{0}}, out[CARTPOLE_V1_NUM_OUTPUTS];\n"
        f"    {name}_forward(in, out);\n    return out[0] > 1;\n}}\n"
    )
    options = ("-DCARTPOLE_V1_REAL=double",) if double else ()
    compile_strictly(to_c(network), tmp_path, *options)
    compile_strictly(to_c(network), tmp_path, *options, program=program)


@needs_compiler
@pytest.mark.parametrize("shared", [False, True])
def test_five_thousand_links_compile(shared, tmp_path):
    network = calm(random_network(24, 4, 300, 5000, seed=1, shared=shared), 0.05)
    write_c(network, tmp_path / "net.h", options=Options(dtype="float64"))
    inputs = random_inputs(network, 3)
    found = run_c(tmp_path / "net.h", inputs)
    np.testing.assert_allclose(found, network(inputs), rtol=1e-11, atol=1e-11)


@needs_compiler
def test_outputs_may_be_written_over_the_inputs_and_the_weight_is_an_argument(tmp_path):
    network = calm(random_network(2, 2, 4, 14, seed=3))
    inputs = random_inputs(network, 1)
    program = (
        "#include <stdio.h>\nint main(void) {\n"
        f"    two_real x[2] = {{{inputs[0, 0]!r}, {inputs[0, 1]!r}}};\n"
        "    two_forward_with(-0.75, x, x);\n"
        '    printf("%.17g %.17g\\n", x[0], x[1]);\n    return 0;\n}\n'
    ).replace("np.float64", "")
    compile_strictly(to_c(network, "two"), tmp_path, "-DTWO_REAL=double", program=program)
    done = subprocess.run([str(tmp_path / "main")], capture_output=True, text=True, check=True)
    expected = dataclasses.replace(network, weights=-0.75)(inputs)[0]
    np.testing.assert_allclose([float(each) for each in done.stdout.split()], expected, rtol=1e-12)


@needs_compiler
def test_two_headers_can_be_included_together(tmp_path):
    first, second = (to_c(random_network(2, 1, 3, 9, seed=each), f"n{each}") for each in (1, 2))
    compile_strictly(first + second, tmp_path)


NAMES = ("*/ int x; /*", "??/", "\\", "// \\", "a\\", "速度 θ̇", '"quoted"', "")


@needs_compiler
@pytest.mark.parametrize("name", NAMES)
def test_hostile_names_stay_in_the_comment(name, tmp_path):
    network = random_network(2, 1, 2, 6, seed=0)
    network = dataclasses.replace(
        network, task=name, input_names=(name, name), output_names=(name,), scale=(2.0, 1 / 3)
    )
    compile_strictly(to_c(network, "net", notes=[name]), tmp_path)


def test_the_name_comes_from_the_task_or_the_caller():
    network = random_network(2, 1, 2, 6, seed=0)
    assert "cartpole_v1_forward(" in to_c(network)
    assert "void network_1_2_forward(" in to_c(dataclasses.replace(network, task="1:2"))
    assert "void network_forward(" in to_c(dataclasses.replace(network, task=""))
    assert "void champion_forward(" in to_c(network, "champion")


@pytest.mark.parametrize("name", ["1net", "a b", "_net", "n" * 64, "net;"])
def test_a_name_that_is_no_identifier_is_refused(name):
    with pytest.raises(ValueError, match="a C name must be letters, digits and _, from a letter"):
        to_c(random_network(2, 1, 2, 6, seed=0), name)


def test_a_file_names_its_functions(tmp_path):
    write_c(random_network(2, 1, 2, 6, seed=0), tmp_path / "My champion-2.h")
    assert "void my_champion_2_forward(" in (tmp_path / "My champion-2.h").read_text()


@pytest.mark.parametrize("shared", [False, True])
def test_a_weight_that_no_float_holds_is_refused(shared):
    network = random_network(2, 1, 2, 6, seed=0)
    weights = 1e39 if shared else np.full(network.topology.num_connections, -1e39)
    with pytest.raises(ValueError, match=r"must fit into a float of C, but -?1e\+39 does not"):
        to_c(dataclasses.replace(network, weights=weights))


@needs_compiler
@pytest.mark.parametrize("weight", [1e-300, 1e-44, 3.3e38, -0.0])
def test_extreme_weights_compile_without_a_warning(weight, tmp_path):
    network = dataclasses.replace(random_network(2, 1, 2, 6, seed=0), weights=weight)
    compile_strictly(to_c(network), tmp_path)


def test_notes_stand_in_the_comment():
    text = to_c(random_network(2, 1, 2, 6, seed=0), notes=["differs by 1e-7 at most"])
    assert " * differs by 1e-7 at most\n" in text


def test_what_is_said_of_the_export_stands_in_the_comment(tmp_path):
    about = {"made_by": "wann-search 1", "check": {"max_difference": 1e-7}}
    write_c(random_network(2, 1, 2, 6, seed=0), tmp_path / "net.h", about)
    text = (tmp_path / "net.h").read_text()
    assert " * made_by: wann-search 1\n * max_difference: 1e-07\n */" in text


def test_without_a_compiler_the_check_says_what_to_install(tmp_path, monkeypatch):
    write_c(random_network(2, 1, 2, 6, seed=0), tmp_path / "net.h")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(MissingDependency, match="there is no cc or gcc or clang; install one"):
        run_c(tmp_path / "net.h", np.zeros((1, 2)))
    monkeypatch.setenv("CC", "nocc -O3")
    with pytest.raises(MissingDependency, match="there is no nocc; install one"):
        run_c(tmp_path / "net.h", np.zeros((1, 2)))


def test_a_file_that_is_no_such_header_is_not_compiled(tmp_path):
    (tmp_path / "net.h").write_text("int x;\n")
    with pytest.raises(ValueError, match="is no header that `to_c` writes"):
        run_c(tmp_path / "net.h", np.zeros((1, 2)))


@needs_compiler
def test_what_the_compiler_refuses_is_told_in_one_line(tmp_path):
    text = to_c(random_network(2, 1, 2, 6, seed=0))
    (tmp_path / "net.h").write_text(text.replace("return", "retrun"))
    with pytest.raises(RuntimeError, match=r"cannot compile .*net\.h: ") as caught:
        run_c(tmp_path / "net.h", np.zeros((1, 2)))
    assert "\n" not in str(caught.value)


@needs_compiler
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_export_is_checked_and_says_so(dtype, tmp_path):
    network = random_network(4, 2, 12, 40, seed=1, shared=False)
    check = export_network(network, "c", tmp_path / "net.h", Options(dtype=dtype))
    assert check.worst < 1.0
    text = (tmp_path / "net.h").read_text()
    assert f" * max_difference: {check.max_difference}\n" in text


def test_without_a_compiler_nothing_is_exported(tmp_path, monkeypatch):
    monkeypatch.setenv("CC", "nocc")
    with pytest.raises(MissingDependency, match="there is no nocc; install one"):
        export_network(random_network(4, 2, 12, 40, seed=1), "c", tmp_path / "net.h")
    assert not list(tmp_path.iterdir())
