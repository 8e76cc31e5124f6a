"""What a search found, for people and for programs."""

from __future__ import annotations

import json

import numpy as np
import pytest
from rich.console import Console

from wann.archive import Entry
from wann.cli import tables
from wann.cli.tables import (
    counted,
    finite,
    front_table,
    print_scores,
    size_of,
    solved_line,
    tuned_line,
)
from wann.genome import Genome
from wann.scores import summarise
from wann.topology import Topology, compile


def small_topology(enabled: int) -> Topology:
    """Return a network of 4 inputs and 2 outputs whose first `enabled` links are there."""
    sources, targets = np.divmod(np.arange(10), 2)
    genome = Genome(
        4, 2, np.ones(7, dtype=np.uint8), sources.astype(np.int32), (5 + targets).astype(np.int32),
        np.arange(10) < enabled,
    )  # fmt: skip
    return compile(genome)


def entries(count: int) -> list[Entry]:
    topologies = [small_topology(1 + each) for each in range(count)]
    return [Entry(each, np.full((2, 2), 5.0), 0, each.key()) for each in topologies]


@pytest.mark.parametrize(
    ("means", "line"),
    [
        ([475.0, 500.0], "solved with every weight: each reaches a mean return of 475"),
        ([474.9, 500.0], "solved with 1 of 2 weights, which reach a mean return of 475"),
        ([1.0, 2.0], "not solved: no weight reaches a mean return of 475"),
    ],
)
def test_solved_means_every_weight(means: list[float], line: str) -> None:
    assert solved_line({"mean_by_weight": means}, 475.0) == line
    assert solved_line({"mean_by_weight": means}, None) == ""


def test_a_network_with_weights_of_its_own_has_one_mean(capsys: pytest.CaptureFixture[str]) -> None:
    scores = summarise(np.array([[1.0, 3.0]]), None)
    print_scores(Console(), scores)
    assert "its own          2.0        1.0" in capsys.readouterr().out
    assert solved_line(scores, 2.0) == "solved: it reaches a mean return of 2"
    assert solved_line(scores, 2.5) == "not solved: below a mean return of 2.5"


def test_one_is_singular() -> None:
    assert counted(1, "episode") == "1 episode"
    assert counted(1200, "episode") == "1,200 episodes"
    assert size_of(small_topology(3)) == "3 connections, 0 hidden nodes"


def test_a_long_front_is_cut_to_a_few_rows_with_both_ends_and_the_champion() -> None:
    front = entries(10)
    shown = [str(each) for each in front_table(front, front[6].key).columns[0].cells]
    assert (shown[0], shown[-1]) == ("1", "10")
    assert "7 *" in shown
    assert len(shown) <= tables.MAX_FRONT_ROWS


def test_a_short_front_is_shown_whole() -> None:
    front = entries(4)
    shown = front_table(front, front[0].key)
    assert list(shown.columns[0].cells) == ["1 *", "2", "3", "4"]


def test_numbers_that_json_cannot_write_become_null() -> None:
    data = finite({"a": [float("-inf"), 1.5, (float("nan"),)], "b": None, "c": True})
    assert json.dumps(data, allow_nan=False) == '{"a": [null, 1.5, [null]], "b": null, "c": true}'


@pytest.mark.parametrize(
    "scores",
    [
        {},
        {"test": {"mean": 1.0, "episodes": 3}},
        {"test": {"mean": 1.0, "episodes": 3}, "best_shared": {"weight": 1.0, "test": [2.0]}},
        {"test": {"mean": "1", "episodes": 3}, "best_shared": {"weight": 1, "test": {"mean": 2}}},
        {"test": {"mean": 1.0}, "best_shared": {"weight": 1.0, "test": {"mean": 2.0}}},
    ],
)
def test_only_scores_of_a_tuning_are_told_as_such(scores: dict) -> None:
    whole = {
        "test": {"mean": 1.0, "episodes": 3},
        "best_shared": {"weight": 0.5, "test": {"mean": 2.0}},
    }
    line = "tuned weights: mean return 1.0 in 3 test episodes (best shared weight 0.5: 2.0)"
    assert tuned_line(whole) == line
    assert tuned_line(scores) == ""
