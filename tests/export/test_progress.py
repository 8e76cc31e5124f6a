from xml.etree import ElementTree

import numpy as np
import pytest

from wann.export.progress import draw_progress

METRICS = {
    "generation": [0, 1, 2, 3],
    "best": [10.0, 30.5, 28.0, 41.0],
    "median": [2.0, 5.0, 9.0, 8.5],
    "validated": [float("-inf"), 25.0, 25.0, 38.0],
    "connections": [4, 5, 5, 7],
}


def test_equal_metrics_give_equal_bytes_without_a_date(tmp_path):
    draw_progress(METRICS, tmp_path / "a.svg")
    draw_progress({name: np.array(each) for name, each in METRICS.items()}, tmp_path / "b.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert b"dc:date" not in (tmp_path / "a.svg").read_bytes()


@pytest.mark.parametrize("num_generations", [0, 1, 4])
def test_a_run_of_any_length_can_be_drawn(tmp_path, num_generations):
    metrics = {name: each[:num_generations] for name, each in METRICS.items()}
    draw_progress(metrics, tmp_path / "progress.svg")
    text = " ".join(ElementTree.parse(tmp_path / "progress.svg").getroot().itertext())
    for label in ("best of generation", "median genome", "held-out best", "generation"):
        assert label in text


def test_more_columns_are_no_matter_but_a_missing_one_is_named(tmp_path):
    draw_progress(METRICS | {"seconds": [1, 2, 3, 4]}, tmp_path / "progress.svg")
    metrics = {name: each for name, each in METRICS.items() if name != "median"}
    with pytest.raises(ValueError, match=r"needs the columns .*, but \['median'\] are missing"):
        draw_progress(metrics, tmp_path / "progress.svg")
