"""Runs side by side: grouped over their seeds, with their curves and their final scores."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from wann.network import Network, load_network
from wann.records import load_metrics
from wann.run_files import RunFolder, RunSpec, find_run, finished_generations, read_spec

NUM_POINTS = 200  # of a curve
QUARTILES = (25, 50, 75)  # percentiles
AXES = ("num_steps", "generation")  # what a curve may go over


@dataclass(frozen=True, eq=False)
class ComparedRun:
    """A run as far as it has come.

    metrics: the columns of metrics.csv, with `num_steps` summed up over the generations and
        `generation` counted from 1. champion: None until the run has chosen one.
    finished: whether its champion is that of all its generations.
    """

    paths: RunFolder
    spec: RunSpec
    metrics: dict[str, Float64[np.ndarray, "generations"]]
    champion: Network | None
    finished: bool

    @property
    def generations(self) -> int:
        """How many generations the run has."""
        return len(self.metrics["generation"])

    def row(self, label: str) -> dict[str, Any]:
        """Return the run's figures; None for those of a champion that it has not."""
        spec, metrics = self.spec, self.metrics
        row: dict[str, Any] = {
            "configuration": label,
            "run": self.paths.name,
            "task": spec.config.task,
            "algorithm": spec.config.algorithm,
            "seed": spec.config.seed,
            "finished": self.finished,
            "generations": self.generations,
            "num_steps": int(metrics["num_steps"][-1]) if self.generations else 0,
            "seconds": float(metrics["seconds"][-1]) if self.generations else 0.0,
            "held_out_mean": _last_finite(metrics["validated"]),
        }
        return row | _champion_figures(self.champion)


def _last_finite(values: Float64[np.ndarray, "generations"]) -> float | None:
    return float(values[-1]) if len(values) and np.isfinite(values[-1]) else None


def _champion_figures(champion: Network | None) -> dict[str, Any]:
    names = ("test_mean", "test_low", "test_high", "best_weight", "best_weight_mean")
    figures: dict[str, Any] = dict.fromkeys((*names, "connections", "hidden", "test_episodes"))
    if champion is None:
        return figures
    topology, test = champion.topology, champion.scores.get("test")
    figures["connections"] = topology.num_connections
    figures["hidden"] = topology.num_nodes - 1 - topology.num_inputs - topology.num_outputs
    if isinstance(test, dict):
        figures["test_mean"] = test["mean"]
        figures["test_low"], figures["test_high"] = test["interval"]
        figures["test_episodes"] = test["episodes"]
        weight = champion.shared_weight
        if weight is not None and weight in test["weights"]:
            figures["best_weight"] = weight
            figures["best_weight_mean"] = test["mean_by_weight"][test["weights"].index(weight)]
    return figures


@dataclass(frozen=True, eq=False)
class Group:
    """Runs of one configuration that differ in their seeds only, by rising seed.

    label: what tells it from the other groups.
    """

    label: str
    runs: tuple[ComparedRun, ...]

    def rows(self) -> list[dict[str, Any]]:
        """Return each run's figures."""
        return [each.row(self.label) for each in self.runs]

    def quartiles(self, name: str) -> tuple[float, float, float] | None:
        """Return lower quartile, median and upper quartile over the runs that have this figure."""
        values = [each[name] for each in self.rows() if each[name] is not None]
        if not values:
            return None
        low, median, high = np.percentile(values, QUARTILES).tolist()
        return low, median, high

    def curve(
        self, axis: str, name: str = "validated"
    ) -> tuple[Float64[np.ndarray, "points"], Float64[np.ndarray, "runs points"]]:
        """Return places on an axis, up to where the first of the runs ends, and each run's values.

        axis: one of AXES. name: a column of metrics.csv; a value holds until the next generation.
        A place before a run's first generation, or where its value is infinite, has NaN.
        """
        begun = [each.metrics for each in self.runs if each.generations]
        if not begun:
            return np.empty(0), np.empty((0, 0))
        end = min(each[axis][-1] for each in begun)
        start = min(each[axis][0] for each in begun)
        places = np.unique(np.linspace(start, end, NUM_POINTS))
        if axis == "generation":
            places = np.unique(places.round())
        values = np.stack([_held(each[axis], each[name], places) for each in begun])
        return places, np.where(np.isfinite(values), values, np.nan)


def _held(
    at: Float64[np.ndarray, "generations"],
    values: Float64[np.ndarray, "generations"],
    places: Float64[np.ndarray, "points"],
) -> Float64[np.ndarray, "points"]:
    """Return the last value at or before each place; NaN before the first."""
    index = np.searchsorted(at, places, side="right") - 1
    return np.where(index >= 0, values[np.maximum(index, 0)], np.nan)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Runs of one task side by side, in the order in which they were named."""

    task: str
    groups: tuple[Group, ...]

    def notes(self) -> list[str]:
        """Return a line for each run that is not finished, or has no champion."""
        lines = []
        for run in (each for group in self.groups for each in group.runs):
            wanted = run.spec.config.generations
            done = f"{run.generations} of {wanted} generations"
            if run.champion is None:
                lines.append(f"run {run.paths.name} has no champion yet: {done} are done")
            elif not run.finished:
                lines.append(f"run {run.paths.name} is not finished: {done} are done")
        return lines

    def rows(self) -> list[dict[str, Any]]:
        """Return each run's figures, group by group."""
        return [row for group in self.groups for row in group.rows()]


def compare_runs(names: Iterable[str | Path], root: Path | str = ".") -> Comparison:
    """Return these runs side by side.

    names: of runs below `root`, or their folders. Runs that differ in their seeds only are a group.
    Raises ValueError when there are none, one of them is no run or damaged, one is named twice, or
    they are of several tasks.
    """
    runs: list[ComparedRun] = []
    for name in names:
        run = _read(find_run(str(name), root))
        if any(run.paths.folder.resolve() == each.paths.folder.resolve() for each in runs):
            raise ValueError(f"run {run.paths.name} is named twice; name each run once")
        runs.append(run)
    if not runs:
        raise ValueError("name the runs to compare: `wann compare RUN...`")
    first = runs[0]
    for run in runs[1:]:
        if run.spec.card.task != first.spec.card.task:
            raise ValueError(
                f"only runs of one task can be compared, but {first.paths.name} is of "
                f"{first.spec.card.task!r} and {run.paths.name} of {run.spec.card.task!r}"
            )
    grouped: dict[str, list[ComparedRun]] = {}
    for run in runs:
        grouped.setdefault(_configuration(run.spec), []).append(run)
    parts = [sorted(each, key=lambda run: run.spec.config.seed) for each in grouped.values()]
    labels = _labels([each[0].spec for each in parts])
    groups = (Group(label, tuple(part)) for label, part in zip(labels, parts, strict=True))
    return Comparison(first.spec.card.task, tuple(groups))


def _read(paths: RunFolder) -> ComparedRun:
    spec = read_spec(paths)
    is_begun = paths.file("metrics.csv").exists()
    columns = load_metrics(paths) if is_begun else {name: [] for name in (*AXES, "validated")}
    metrics = {name: np.array(values, dtype=np.float64) for name, values in columns.items()}
    metrics["num_steps"] = metrics["num_steps"].cumsum()
    metrics["generation"] = metrics["generation"] + 1
    champion = paths.file("champion.json")
    return ComparedRun(
        paths,
        spec,
        metrics,
        load_network(champion) if champion.exists() else None,
        finished_generations(paths) >= spec.config.generations,
    )


def _configuration(spec: RunSpec) -> str:
    """Return a text that is equal for two runs that differ in their seeds only."""
    content = {
        "search": spec.config.table() | {"seed": 0},
        "card": spec.card.table(),
        "start": spec.start.topology.key() if spec.start else None,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _labels(specs: Sequence[RunSpec]) -> list[str]:
    """Return what each configuration is called: its algorithm, and what others have otherwise.

    A field is told of where two configurations of the same algorithm differ in it.
    """
    labels = []
    for spec in specs:
        algorithm = spec.config.algorithm
        tables = [each.config.table() for each in specs if each.config.algorithm == algorithm]
        own = spec.config.table()
        differing = [
            name
            for name, value in own.items()
            if name != "seed" and any(each.get(name, value) != value for each in tables)
        ]
        if spec.start is not None:
            differing.append("start")
            own["start"] = "a network"
        words = [f"{name} {_spelled(own[name])}" for name in differing]
        labels.append(", ".join([algorithm, *words]))
    for index, label in enumerate(labels):
        if labels.index(label) < index:  # cards or start networks differ
            labels[index] = f"{label} ({index + 1})"
    return labels


def _spelled(value: object) -> str:
    if isinstance(value, tuple | list):
        return "+".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
