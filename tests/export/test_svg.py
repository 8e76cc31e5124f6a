from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.ft2font import FT2Font

from wann.export.svg import clean, cut, escaped, text_at, text_width

FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
WORDS = ["pole angular velocity", "WWWWWW", "iiiill", "MAXIMUM", "0.0123456789", "hip_1/knee@2%"]


@pytest.mark.parametrize("text", WORDS)
@pytest.mark.parametrize("bold", [False, True])
def test_a_text_is_not_wider_than_measured_in_a_wide_font(text, bold):
    font = FT2Font(str(FONTS / f"DejaVuSans{'-Bold' if bold else ''}.ttf"))
    font.set_size(100, 72)
    font.set_text(text)
    assert font.get_width_height()[0] / 64 <= text_width(text, 100, bold=bold)


@given(st.text())
def test_any_text_is_well_formed_xml_on_one_line(text):
    element = ElementTree.fromstring(text_at(1, 2, cut(text, 90, 12), 12, "#000", full=text))
    assert "\n" not in "".join(element.itertext())


@given(st.text(), st.sampled_from([60.0, 200.0]), st.booleans())
def test_a_cut_text_fits_and_keeps_its_beginning(text, width, bold):
    shown = cut(text, width, 12, bold=bold)
    assert text_width(shown, 12, bold=bold) <= width
    assert clean(text).startswith(shown.removesuffix("…"))


def test_a_text_that_fits_is_not_cut():
    assert cut("cart position", 190, 12) == "cart position"
    assert cut("x" * 10_000_000, 190, 12).startswith("xxxxx")


def test_markup_and_control_characters_are_harmless():
    assert escaped("<script>&\x00\ud800\n") == "&lt;script&gt;&amp;\ufffd\ufffd "
