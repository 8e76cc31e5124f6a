from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from wann.export.sweep import COLUMNS, draw_classes, draw_sweep, write_sweep
from wann.settings import Sweep

WEIGHTS = np.array([-2.0, -0.5, 0.0, 1.0])
SWEEP = Sweep(WEIGHTS, np.array([[1.0, 2.0], [5.0, 8.0], [0.0, 0.0], [3.0, 9.0]]))
CLASSES = {
    "names": ["cat", "dog & co"],
    "weights": WEIGHTS.tolist(),
    "accuracy": [[0.1, 0.2, 0.3, 0.4], [1.0, 0.9, 0.0, 0.5]],
}


def text_of(path: Path) -> str:
    return " ".join(ElementTree.parse(path).getroot().itertext())


def test_equal_sweeps_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        draw_sweep(SWEEP, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


@pytest.mark.parametrize(
    ("unit", "best"), [("return", "best: 6.5 at -0.5"), ("accuracy", "best: 650.0% at -0.5")]
)
def test_the_best_weight_is_named_in_its_unit(tmp_path: Path, unit: str, best: str) -> None:
    draw_sweep(SWEEP, tmp_path / "sweep.svg", unit)
    text = text_of(tmp_path / "sweep.svg")
    for words in (best, unit, "shared weight", "quartiles", "mean"):
        assert words in text


def test_one_episode_has_no_quartiles_to_draw(tmp_path: Path) -> None:
    draw_sweep(Sweep(WEIGHTS, SWEEP.returns[:, :1]), tmp_path / "sweep.svg")
    assert "quartiles" not in text_of(tmp_path / "sweep.svg")


def test_a_table_has_a_row_a_weight(tmp_path: Path) -> None:
    write_sweep(SWEEP, tmp_path / "sweep.csv")
    lines = (tmp_path / "sweep.csv").read_text().splitlines()
    assert lines[0] == ",".join(COLUMNS)
    assert lines[2] == "-0.5,6.5,1.5,5.75,6.5,7.25"
    assert len(lines) == 1 + len(WEIGHTS)


def test_classes_are_named_in_their_picture(tmp_path: Path) -> None:
    draw_classes(CLASSES, tmp_path / "classes.svg")
    text = text_of(tmp_path / "classes.svg")
    for words in ("cat", "dog & co", "shared weight", "accuracy", "class"):
        assert words in text
