import json

import pytest

from tests.fuzzing import count_refusals, mutations
from tests.networks import random_network
from wann.network import load_network, network_from_json

TEXT = random_network(2, 1, 2, 6, seed=5).to_json()


def changed(*path, to):
    """Return the text of a good network file in which one value is another, or left out."""
    content = json.loads(TEXT)
    inner = content
    for key in path[:-1]:
        inner = inner[key]
    if to is None:
        del inner[path[-1]]
    else:
        inner[path[-1]] = to
    return json.dumps(content)


NODE = {"id": 3, "role": "hidden", "activation": "linear"}
WRONG = [
    ("[]", "an object was wanted, but it is a list"),
    ("{}", "'format' is missing"),
    (TEXT[: len(TEXT) // 2], "it is not JSON"),
    (changed("format", to="other"), "its format must be 'wann-network', but it is 'other'"),
    (changed("format", to=1), "'format' must be a string, but it is 1"),
    (changed("version", to=2), "its version must be 1, but it is 2"),
    (changed("version", to=True), "'version' must be a whole number, but it is True"),
    (changed("version", to=10**30), "its version must be 1, but it is 1000"),
    (changed("wieght", to=1.0), "unknown key 'wieght' in a network file; did you mean 'weight'?"),
    (changed("x" * 10_000, to=1.0), "unknown key 'xxxxx"),
    (changed("task", to=None), "'task' is missing"),
    (changed("task", to=7), "'task' must be a string, but it is 7"),
    (changed("task", to="a\x1b[2J"), r"task must be printable text, but it has '\\x1b'"),
    (changed("task", to="\ud800"), r"task must be printable text, but it has '\\ud800'"),
    (changed("task", to="a\nb"), r"task must be printable text, but it has '\\n'"),
    (changed("action", to="\x07"), r"no action rule '\\x07'"),
    (changed("inputs", to=["x", "\u202e"]), r"inputs\[1\] must be printable text, but it has '\\u"),
    (changed("outputs", to=["\r"]), r"outputs\[0\] must be printable text, but it has '\\r'"),
    (changed("observation", "space", to="\x1b"), r"space must be printable text, but it has '\\x1"),
    (changed("action", to="x" * 10_000), "no action rule 'x"),
    (changed("inputs", to=["x"]), "'inputs' must name its 2 nodes, but it has 1 names"),
    (changed("inputs", to=["x", 1]), r"inputs\[1\] must be a string, but it is 1"),
    (changed("observation", "scale", to=[1.0]), "scale needs 2 numbers, one an input, but there"),
    (changed("observation", "scale", to=[True, 1]), "'scale' must hold numbers, but it has True"),
    (changed("observation", "offset", to=[10**320, 1]), "'offset' has a number that is too large"),
    (changed("observation", "sacle", to=[]), "unknown key 'sacle' in 'observation'; did you mean"),
    (changed("weight", to=None), "it must have either 'weight' or 'weights'"),
    (changed("weights", to=[1.0]), "it must have either 'weight' or 'weights'"),
    (changed("weight", to=True), "'weight' must hold numbers, but it has True"),
    (changed("weight", to="1"), "'weight' must hold numbers, but it has '1'"),
    (changed("weight", to=float("nan")), "numbers must be finite, but it holds NaN"),
    (changed("scores", to=[]), "'scores' must be an object, but it is a list"),
    (
        changed("scores", to={"a": [[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]}),
        "not be nested deeper than 16",
    ),
    (changed("nodes", to=[]), "must hold at least one input and one output"),
    (changed("nodes", to=[1]), r"nodes\[0\] must be an object, but it is 1"),
    (changed("nodes", 1, "id", to=0), r"nodes\[1\] must have id 1, but it has 0"),
    (changed("nodes", 1, "id", to=1.0), r"nodes\[1\] 'id' must be a whole number, but"),
    (changed("nodes", 1, "role", to="inptu"), r"nodes\[1\]: no role 'inptu'; did you mean 'input'"),
    (changed("nodes", 1, "role", to="bias"), r"the bias, the inputs, then others; nodes\[1\] is"),
    (changed("nodes", 0, "role", to="input"), r"the bias, the inputs, then others; nodes\[0\] is"),
    (changed("nodes", 4, "role", to="input"), r"the bias, the inputs, then others; nodes\[4\] is"),
    (changed("nodes", 1, "activation", to="tanh"), "is its input, whose activation must be"),
    (changed("nodes", 3, "activation", to="thanh"), r"nodes\[3\]: no activation 'thanh'; did you"),
    (changed("nodes", 3, "activation", to="x" * 10**6), r"nodes\[3\]: no activation 'xxxx"),
    (changed("nodes", 3, "output", to=0), r"unknown key 'output' in nodes\[3\]"),
    (changed("nodes", 5, "output", to=None), r"nodes\[5\] 'output' is missing"),
    (changed("nodes", 5, "output", to=1), "its outputs must be numbered from 0, none left out"),
    (
        changed("nodes", 4, to={"id": 4, "role": "output", "activation": "sin", "output": 0}),
        r"nodes\[5\] is output 0, which another is too",
    ),
    (changed("nodes", to=[NODE] * 50_001), "50,000 nodes and 250,000 edges fit, not 50,001"),
    (changed("edges", to=[[0, 5]] * 250_001), "50,000 nodes and 250,000 edges fit, not 6"),
    (changed("edges", 0, to=7), r"edges\[0\] must be \[source, target\], but it is not"),
    (changed("edges", 1, to=[0]), r"edges\[1\] must be \[source, target\], but it is not"),
    (changed("edges", 1, to=[0, True]), r"edges\[1\] must join nodes 0 to 5, not True"),
    (changed("edges", 1, to=[0, 3.0]), r"edges\[1\] must join nodes 0 to 5, not 3\.0"),
    (changed("edges", 1, to=[0, 6]), r"edges\[1\] must join nodes 0 to 5, not 6"),
    (changed("edges", 1, to=[-1, 3]), r"edges\[1\] must join nodes 0 to 5, not -1"),
    (changed("edges", 1, to=[10**40, 3]), r"edges\[1\] must join nodes 0 to 5, not 1000"),
    (changed("edges", to=[[0, 2]]), r"edges\[0\], \[0, 2\], ends in the bias or an input"),
    (changed("edges", to=[[3, 4], [4, 3]]), r"edges\[1\], \[4, 3\], does not go forward"),
    (changed("edges", to=[[4, 4]]), r"edges\[0\], \[4, 4\], does not go forward"),
    (changed("edges", to=[[0, 3], [0, 3]]), r"edges\[1\], \[0, 3\], is there twice"),
    (changed("edges", to=[[1, 3], [0, 3]]), r"edges\[1\], \[0, 3\], is not in the order of"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), WRONG, ids=range(len(WRONG)))
def test_a_malformed_file_is_refused_in_one_line(text, message):
    with pytest.raises(ValueError, match=message) as raised:
        network_from_json(text)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 300


def test_a_space_may_be_written_in_several_lines_and_in_any_language():
    network = network_from_json(changed("observation", "space", to="Box([0.\n 1.])"))
    assert network.observation_space == "Box([0.\n 1.])"
    assert network_from_json(changed("inputs", to=["höhe", "速度"])).input_names[1] == "速度"


def test_whole_numbers_are_numbers():
    network = network_from_json(changed("observation", "scale", to=[10**300, 1]))
    assert network.scale == (1e300, 1.0)


def test_weights_must_be_as_many_as_edges():
    content = json.loads(TEXT)
    del content["weight"]
    content["weights"] = [1.0, 2.0]
    with pytest.raises(ValueError, match="weights are needed, one an edge, not 2"):
        network_from_json(json.dumps(content))


def originals():
    return [
        random_network(num_inputs, 2, 6, 20, seed=seed, shared=bool(seed % 2)).to_json().encode()
        for seed, num_inputs in enumerate((1, 4, 24))
    ]


def test_damaged_files_are_refused_calmly(tmp_path):
    files = mutations(originals(), 400, seed=0)
    assert count_refusals(load_network, files, tmp_path / "network.json") > 300


@pytest.mark.slow
def test_ten_thousand_damaged_files_are_refused_calmly(tmp_path):
    files = mutations(originals(), 10_000, seed=1)
    assert count_refusals(load_network, files, tmp_path / "network.json") > 8_000


@pytest.mark.slow
def test_the_largest_files_are_read_calmly(tmp_path):
    largest = random_network(64, 4, 30_000, 100_000, seed=0).to_json().encode()
    densest = random_network(64, 4, 2_000, 250_000, seed=0).to_json().encode()
    refused = count_refusals(load_network, [largest, densest], tmp_path / "network.json")
    assert refused == 0
