import dataclasses
import itertools
import re
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.ft2font import FT2Font

from tests.networks import random_network
from wann.activations import activation_names
from wann.export.assembly import feeding
from wann.export.drawing import (
    FAMILIES,
    LEAST_WIDTH,
    MOST_WIDTH,
    NEGATIVE,
    POSITIVE,
    ZERO,
    draw_svg,
    save_svg,
)
from wann.export.formats import export_network
from wann.network import Network

SVG = "{http://www.w3.org/2000/svg}"
FONTS = {
    bold: FT2Font(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name))
    for bold, name in ((False, "DejaVuSans.ttf"), (True, "DejaVuSans-Bold.ttf"))
}
STRAIGHT = re.compile(r"M([0-9.]+) ([0-9.]+)L([0-9.]+) ([0-9.]+)")
LETTERS = re.compile(r"[ -~]*")


def drawn(network, **options):
    """Return the root of the picture, which must be well-formed, and its boxes."""
    root = ElementTree.fromstring(draw_svg(network, **options))
    return root, [(kind, box) for element in root.iter() for kind, box in boxes(element)]


def boxes(element):
    """Yield the kind and the box (left, top, right, bottom) of an element that takes room."""
    value = {name: number(text) for name, text in element.attrib.items()}
    if element.tag == f"{SVG}circle":
        x, y, r = value["cx"], value["cy"], value["r"]
        yield "node", (x - r, y - r, x + r, y + r)
    elif element.tag == f"{SVG}rect" and element.get("class") != "page":
        x, y = value["x"], value["y"]
        yield "node", (x, y, x + value["width"], y + value["height"])
    elif element.tag == f"{SVG}path" and STRAIGHT.fullmatch(element.get("d")):  # of the legend
        x_1, y_1, x_2, y_2 = map(float, STRAIGHT.fullmatch(element.get("d")).groups())
        half = value["stroke-width"] / 2
        yield "stroke", (x_1 - half, y_1 - half, x_2 + half, y_2 + half)
    elif element.tag == f"{SVG}text":
        text = element[0].tail if len(element) else element.text  # what follows the tooltip
        width = measured_width(text or "", value["font-size"], element)
        left = (
            value["x"]
            - {"start": 0, "middle": width / 2, "end": width}[element.get("text-anchor", "start")]
        )
        top, bottom = value["y"] - 0.8 * value["font-size"], value["y"] + 0.2 * value["font-size"]
        yield "text", (left, top, left + width, bottom)


def number(text):
    try:
        return float(text)
    except ValueError:
        return None


def measured_width(text, size, element):
    """Return the width in DejaVu Sans, the widest of the usual fonts; 1 em for other scripts."""
    font = FONTS[element.get("font-weight") is not None]
    font.set_size(size, 72)
    known = "".join(LETTERS.findall(text))
    font.set_text(known)
    return font.get_width_height()[0] / 64 + size * (len(text) - len(known))


def overlapping(found):
    """Return pairs of boxes that lie over one another, by a sweep from left to right."""
    waiting = []
    for kind, box in sorted(found, key=lambda each: each[1][0]):
        waiting = [each for each in waiting if each[1][2] > box[0]]
        yield from (
            ((kind, box), other)
            for other in waiting
            if other[1][1] < box[3] and box[1] < other[1][3]
        )
        waiting.append((kind, box))


def check_readable(network, **options):
    root, found = drawn(network, **options)
    assert next(overlapping(found), None) is None
    left, top, width, height = map(float, root.get("viewBox").split())
    assert (left, top) == (0, 0)
    for kind, box in found:
        assert min(box) >= 0, (kind, box)
        assert box[2] <= width, (kind, box)
        assert box[3] <= height, (kind, box)
    sizes = [float(element.get("font-size")) for element in root.iter(f"{SVG}text")]
    assert min(sizes) >= 8
    num_circles = sum(1 for kind, _ in found if kind == "node")
    assert num_circles >= network.topology.num_nodes
    return root


SIZES = st.tuples(st.integers(1, 8), st.integers(1, 5), st.integers(0, 20), st.integers(0, 60))
HOSTILE = (
    "<script>alert(1)</script>",
    "&amp;]]>",
    "\"'",
    "θ̇ 速度 🦆",
    "",
    " ",
    "W" * 3000,
    "</svg>",
)


@settings(max_examples=60, deadline=None)
@given(SIZES, st.integers(0, 2**32 - 1), st.booleans(), st.booleans(), st.booleans())
def test_nothing_lies_over_anything_in_small_networks(sizes, seed, shared, output_links, weights):
    network = random_network(*sizes, seed=seed, shared=shared, output_links=output_links)
    check_readable(network, show_weights=weights)


@pytest.mark.parametrize(
    "sizes", [(4, 2, 1, 5), (24, 4, 86, 200), (64, 10, 100, 300), (256, 10, 60, 400)]
)
def test_nothing_lies_over_anything_at_the_sizes_of_champions(sizes):
    check_readable(random_network(*sizes, seed=7))


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(64, 4, 300, 5000), (24, 4, 3000, 5000), (500, 200, 0, 5000)])
def test_nothing_lies_over_anything_at_five_thousand_links(sizes):
    check_readable(random_network(*sizes, seed=7))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.text().filter(str.isprintable) | st.sampled_from(HOSTILE), min_size=5, max_size=5)
)
def test_hostile_names_are_only_text(names):
    network = dataclasses.replace(
        random_network(3, 2, 4, 12, seed=3),
        input_names=tuple(names[:3]),
        output_names=tuple(names[3:]),
        task=names[0],
    )
    root = check_readable(network)
    known = {"svg", "title", "rect", "g", "path", "circle", "text"}
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= known


def texts(root):
    return ["".join(element.itertext()) for element in root.iter(f"{SVG}text")]


def test_the_picture_tells_what_the_network_is():
    network = dataclasses.replace(
        random_network(2, 1, 3, 6, seed=1),
        input_names=("cart position", "pole angle"),
        output_names=("force",),
        scores={"mean": 701.8},
    )
    shown = texts(drawn(network)[0])
    assert {"CartPole-v1", "cart position", "pole angle", "bias", "force"} <= set(shown)
    facts = f"{network.topology.num_connections} connections · 3 hidden nodes · shared weight 1.5"
    assert f"{facts} · mean return 701.8 over all weights" in [
        " ".join(each.split()) for each in shown
    ]


def test_a_long_name_is_cut_and_whole_in_its_tooltip():
    network = dataclasses.replace(random_network(1, 1, 0, 1, seed=1), input_names=("speed " * 20,))
    root, _ = drawn(network)
    tooltips = [element.text for element in root.iter(f"{SVG}title")]
    assert "speed " * 20 in tooltips
    assert any(
        each.endswith("…") for element in root.iter(f"{SVG}text") for each in element.itertext()
    )


def test_an_input_that_feeds_nothing_is_fainter_than_one_that_does():
    network = random_network(3, 1, 2, 4, seed=2)
    used = set(network.topology.sources.tolist())
    root, _ = drawn(network)
    colours = {each.text: each.get("fill") for each in root.iter(f"{SVG}text")}
    names = dict(enumerate(("bias", "input 1", "input 2", "input 3")))
    faint = {colours[name] for node, name in names.items() if node not in used}
    plain = {colours[name] for node, name in names.items() if node in used}
    assert len(faint) == len(plain) == 1
    assert faint != plain


def test_every_activation_of_the_paper_belongs_to_one_family():
    families = list(itertools.chain(*(each.activations for each in FAMILIES)))
    assert sorted(families) == sorted(activation_names()[:11])


def test_the_legend_names_only_what_occurs():
    network = random_network(1, 1, 0, 2, seed=0)
    activations = network.topology.activations.copy()
    activations[-1] = 3
    topology = dataclasses.replace(network.topology, activations=activations)
    shown = texts(drawn(dataclasses.replace(network, topology=topology))[0])
    assert [each.name for each in FAMILIES if each.name in shown] == ["periodic"]


def test_individual_weights_are_said_to_be():
    shown = texts(drawn(random_network(2, 1, 2, 5, seed=1, shared=False))[0])
    assert any("a weight for each link" in each for each in shown)


def test_a_network_without_links_or_names_can_be_drawn():
    topology = random_network(1, 1, 0, 0, seed=0).topology
    assert topology.num_connections == 0
    check_readable(Network(topology, np.zeros(0)))


def test_equal_networks_give_equal_pictures(tmp_path):
    network = random_network(5, 2, 9, 30, seed=4)
    save_svg(network, tmp_path / "net.svg")
    again = random_network(5, 2, 9, 30, seed=4)
    assert (tmp_path / "net.svg").read_text(encoding="utf-8") == draw_svg(again)


def looks(network, **options):
    """Return colour and width of each link that is drawn in the colour of its sign."""
    root, _ = drawn(network, **options)
    paths = [each for each in root.iter(f"{SVG}path") if "C" in each.get("d")]
    return [
        (each.get("stroke"), float(each.get("stroke-width")))
        for each in paths
        if each.get("stroke") in (POSITIVE, NEGATIVE, ZERO) and each.get("stroke-opacity") == "0.7"
    ]


@pytest.mark.parametrize("seed", range(10))
def test_each_link_has_the_colour_of_its_sign_and_a_width_by_its_size(seed):
    network = random_network(4, 2, 6, 30, seed=seed, shared=False, output_links=True)
    weights = np.asarray(network.weights).copy()
    weights[0] = 0.0
    found = looks(dataclasses.replace(network, weights=weights))
    by_size = sorted(weights.tolist(), key=abs)
    colours = [ZERO if each == 0 else POSITIVE if each > 0 else NEGATIVE for each in by_size]
    assert [colour for colour, _ in found] == colours
    widths = [width for _, width in found]
    shares = np.abs(by_size) / np.abs(weights).max()
    wanted = LEAST_WIDTH + (MOST_WIDTH - LEAST_WIDTH) * shares
    np.testing.assert_allclose(widths, wanted, atol=0.006)


def test_weights_are_drawn_where_links_have_their_own_or_it_is_asked_for():
    own, shared = (random_network(3, 1, 2, 8, seed=1, shared=each) for each in (False, True))
    assert len(looks(own)) == own.topology.num_connections
    assert not looks(own, show_weights=False)
    assert not looks(shared)
    assert set(looks(shared, show_weights=True)) == {(POSITIVE, MOST_WIDTH)}


def test_the_legend_tells_the_strongest_weight_of_each_sign():
    network = random_network(2, 1, 0, 20, seed=0, shared=False)
    assert network.topology.num_connections == 3
    shown = texts(drawn(dataclasses.replace(network, weights=np.array([0.5, -2.25, 0.0])))[0])
    assert {"positive weight, up to 0.5", "negative weight, up to -2.25", "weight 0"} <= set(shown)
    shown = texts(drawn(dataclasses.replace(network, weights=np.array([0.5, 2.25, 1.0])))[0])
    assert not [each for each in shown if "negative" in each or "weight 0" in each]


def test_the_curves_can_be_left_out():
    network = random_network(3, 2, 4, 12, seed=1)
    num_computed = network.topology.num_nodes - 4
    with_curves, without = (draw_svg(network, curves=each).count("<path") for each in (True, False))
    assert with_curves - without == num_computed


def test_each_output_gets_a_picture_of_what_feeds_it(tmp_path):
    network = random_network(6, 3, 8, 20, seed=2)
    network = dataclasses.replace(network, output_names=("zero", "Digit: 1", "../2"))
    assert export_network(network, "svg-outputs", tmp_path / "all") is None
    files = sorted(path.name for path in (tmp_path / "all").iterdir())
    assert files == ["0-zero.svg", "1-digit-1.svg", "2-2.svg"]
    for index, name in enumerate(files):
        text = (tmp_path / "all" / name).read_text(encoding="utf-8")
        assert text == draw_svg(feeding(network, [index]))
        assert network.output_names[index] in texts(ElementTree.fromstring(text))
