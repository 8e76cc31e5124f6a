"""Tests of wann.records: the rows of metrics.csv."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from wann.coordinator import GenerationReport
from wann.records import METRICS_COLUMNS, MetricsFile, load_metrics
from wann.run_files import RunFolder


@pytest.fixture
def paths(tmp_path: Path) -> RunFolder:
    paths = RunFolder(tmp_path, "a-run")
    paths.create()
    return paths


def report(generation: int) -> GenerationReport:
    values = {each.name: 1 for each in dataclasses.fields(GenerationReport)}
    return GenerationReport(**{**values, "generation": generation})


def written(paths: RunFolder, num_rows: int) -> str:
    """Return the text of a file with this many rows."""
    metrics = MetricsFile(paths.file("metrics.csv"), 0)
    for generation in range(num_rows):
        metrics.append(report(generation), 0.5 * generation)
    return paths.file("metrics.csv").read_text()


def test_a_row_is_read_as_it_was_written(paths: RunFolder) -> None:
    written(paths, 3)
    metrics = load_metrics(paths)
    assert tuple(metrics) == METRICS_COLUMNS
    assert metrics["generation"] == [0.0, 1.0, 2.0]
    assert metrics["seconds"] == [0.0, 0.5, 1.0]


@pytest.mark.parametrize("generation", [0, 2, 5])
def test_rows_from_the_given_generation_on_are_cut(paths: RunFolder, generation: int) -> None:
    whole = written(paths, 5).splitlines()
    MetricsFile(paths.file("metrics.csv"), generation)
    assert paths.file("metrics.csv").read_text().splitlines() == whole[: generation + 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has not the columns of a run's metrics"),
        ("generation,best\n0,1\n", "has not the columns of a run's metrics"),
        (",".join(METRICS_COLUMNS) + "\n0,one\n", "metrics.csv: could not convert .* 'one'"),
    ],
)
def test_a_file_that_is_no_table_of_metrics_is_refused(
    paths: RunFolder, text: str, message: str
) -> None:
    paths.file("metrics.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        load_metrics(paths)
