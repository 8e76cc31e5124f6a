import dataclasses
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from tests.networks import random_network
from wann.export import raster
from wann.export.drawing import POSITIVE, draw_svg
from wann.export.formats import export_network
from wann.export.raster import to_png

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20">{}</svg>'


def pixels(svg):
    """Return a picture's colours [height, width, 3]."""
    return np.asarray(Image.open(BytesIO(to_png(svg))).convert("RGB"))


def drawn(*elements):
    return pixels(SVG.format("".join(elements)))


def inked(picture):
    """Return the box (left, top, right, bottom) of what is not white, in px of the SVG."""
    rows, columns = np.nonzero((picture != 255).any(axis=2))
    return tuple(each / 2 for each in (columns.min(), rows.min(), columns.max(), rows.max()))


def test_a_picture_has_two_pixels_for_each_px():
    svg = draw_svg(random_network(3, 2, 4, 12, seed=1))
    width, height = (float(svg.split(f'{each}="')[1].split('"')[0]) for each in ("width", "height"))
    assert pixels(svg).shape == (2 * height, 2 * width, 3)


def test_circles_rectangles_and_paths_stand_where_the_svg_says():
    circle = drawn('<circle cx="10" cy="8" r="4" fill="#ff0000" stroke="none"/>')
    assert circle[16, 20].tolist() == [255, 0, 0]
    np.testing.assert_allclose(inked(circle), (6, 4, 14, 12), atol=1)
    rect = drawn('<rect x="5" y="3" width="20" height="10" rx="2" fill="#00ff00" stroke="none"/>')
    assert rect[16, 20].tolist() == [0, 255, 0]
    np.testing.assert_allclose(inked(rect), (5, 3, 25, 13), atol=1)
    line = drawn('<g fill="none" stroke-width="2"><path d="M5 4L30 4" stroke="#0000ff"/></g>')
    assert line[8, 40].tolist() == [0, 0, 255]
    np.testing.assert_allclose(inked(line), (4, 3, 31, 5), atol=1)


def test_a_cubic_path_passes_through_its_middle():
    picture = drawn(
        '<path d="M0 0C20 0 20 20 40 20" fill="none" stroke="#000000" stroke-width="2"/>'
    )
    assert picture[20, 40].tolist() == [0, 0, 0]  # (20, 10) is the curve's point at t = 1/2
    assert picture[20, 10].tolist() == [255, 255, 255]


def test_opacity_and_dashes_are_kept():
    half = drawn('<path d="M0 10L40 10" stroke="#000000" stroke-opacity="0.5" stroke-width="4"/>')
    assert abs(int(half[20, 40, 0]) - 127) <= 2
    dashed = drawn(
        '<path d="M0 10L40 10" stroke="#000000" stroke-width="1" stroke-dasharray="4 3"/>'
    )
    assert 0.2 < (dashed[20, :, 0] > 200).mean() < 0.6


@pytest.mark.parametrize(("anchor", "left"), [("start", 20), ("middle", 11.4), ("end", 2.7)])
def test_text_begins_is_centred_or_ends_at_its_place(anchor, left):
    text = f'<text x="20" y="12" font-size="10" fill="#000" text-anchor="{anchor}">MM</text>'
    box = inked(drawn(text.replace("#000", "#000000")))
    assert abs(box[0] - left) <= 2
    assert abs(box[3] - 12) <= 1


def test_a_tooltip_is_not_drawn_and_mathematics_is_only_text():
    text = '<text x="2" y="12" font-size="6" fill="#000000"><title>WWWWWWWWWW</title>$x$</text>'
    assert inked(drawn(text))[2] < 20


def test_equal_networks_give_equal_pictures_and_others_do_not():
    first, again, other = (random_network(5, 2, 9, 30, seed=each) for each in (4, 4, 5))
    assert to_png(draw_svg(first)) == to_png(draw_svg(again))
    assert to_png(draw_svg(first)) != to_png(draw_svg(other))


def test_letters_of_other_scripts_are_no_fault():
    network = dataclasses.replace(random_network(1, 1, 0, 2, seed=1), input_names=("速度 🦆",))
    assert to_png(draw_svg(network)).startswith(b"\x89PNG")


def test_a_very_large_picture_is_scaled_down(monkeypatch):
    monkeypatch.setattr(raster, "MAX_PIXELS", 200)
    monkeypatch.setattr(raster, "MAX_SIDE", 19)
    assert drawn().shape[:2] == (9, 19)


def test_weights_are_drawn_in_the_png_too(tmp_path):
    network = random_network(2, 1, 0, 20, seed=0, shared=False)
    network = dataclasses.replace(network, weights=np.ones(network.topology.num_connections))
    export_network(network, "png", tmp_path / "net.png")
    picture = np.asarray(Image.open(tmp_path / "net.png").convert("RGB")).astype(int)
    blue = np.array([int(POSITIVE[place : place + 2], 16) for place in (1, 3, 5)])
    page = np.array([252, 252, 253])
    seen = np.abs(picture - (0.7 * blue + 0.3 * page)).max(axis=2) < 4
    assert seen.sum() > 100
