"""What a run leaves behind: a row a generation, the front, the champion, two pictures."""

from __future__ import annotations

import csv
import dataclasses
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64, Int64

from wann.archive import Entry
from wann.config import LABELS
from wann.coordinator import Coordinator, GenerationReport
from wann.files import write_atomically
from wann.neat import NeatSearch
from wann.network import Network, load_network, network_from_json
from wann.ray_session import run_tasks
from wann.rollout.episodes import rollout_episodes
from wann.rollout.image_scores import Graded, grade
from wann.run_files import RunFolder, RunSpec, find_run, read_spec
from wann.scores import summarise
from wann.seeding import Purpose
from wann.tasks import AnyTask, ControlTask, ImageTask
from wann.topology import Topologies, Topology
from wann.version import __version__
from wann.weight_evaluator import gymnasium_returns

if TYPE_CHECKING:
    import pandas as pd

METRICS_COLUMNS = (*(each.name for each in dataclasses.fields(GenerationReport)), "seconds")


class MetricsFile:
    """metrics.csv: a row for each generation, in order."""

    def __init__(self, path: Path, generation: int) -> None:
        """Keep the rows of the generations before `generation`, and cut what comes after them."""
        self.path = path
        lines = path.read_text().splitlines()[1:] if path.exists() else []
        whole = [line for line in lines if line.count(",") == len(METRICS_COLUMNS) - 1]
        kept = [line for line in whole if int(line.split(",")[0]) < generation]
        text = "".join(f"{line}\n" for line in (",".join(METRICS_COLUMNS), *kept))
        write_atomically(path, text)

    def append(self, report: GenerationReport, seconds: float) -> None:
        """Write a generation's row. seconds: since the run began, in all its processes."""
        row = [*dataclasses.astuple(report), round(seconds, 3)]
        with self.path.open("a", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow(row)


def network_of(
    entry: Entry,
    coordinator: Coordinator | NeatSearch,
    task: AnyTask,
    test: dict[str, Any] | None = None,
    accuracy: dict[str, Any] | None = None,
) -> Network:
    """Return an entry of the archive as a network, with its scores.

    Its weights are its own where it has such, else the best shared one.

    test: the summary of its test episodes, if it has been to them. accuracy: what the summary of
    its validation episodes also holds.
    made_by["config"] is `SearchConfig.digest`: of all that the search depends on but its length.
    """
    shared, _ = coordinator.held_out(Purpose.VALIDATION)
    if entry.weights is None:
        weights = float(np.asarray(shared)[entry.best_weight_index])
    else:
        weights = entry.weights
    validation = summarise(entry.returns, shared) | (accuracy or {})
    is_neat = coordinator.config.algorithm == "neat"
    scores = {"mean": (test or validation)["mean"], "validation": validation}
    if test is not None:
        scores["test"] = test
    return Network(
        topology=entry.topology,
        weights=weights,
        task=task.id,
        input_names=task.input_names,
        output_names=task.output_names,
        action=task.action_rule,
        observation_space=str(task.observation_space),
        offset=tuple(task.offset.tolist()),
        scale=tuple(task.scale.tolist()),
        scores=scores,
        made_by={
            "version": __version__,
            "config": coordinator.config.digest(),
            "seed": coordinator.config.seed,
            "generation": entry.generation,
        }
        | ({"algorithm": LABELS["neat"]} if is_neat else {}),
    )


FRONT_COLUMNS = (
    "connections",
    "hidden",
    "mean",
    "low",
    "high",
    "best",
    "best_weight",
    "generation",
)


def write_front(coordinator: Coordinator | NeatSearch, task: AnyTask, paths: RunFolder) -> None:
    """Write front.csv (a row a network) and front.jsonl (the networks, in the same order)."""
    networks = [network_of(each, coordinator, task) for each in coordinator.archive.entries]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(FRONT_COLUMNS)
    for network, entry in zip(networks, coordinator.archive.entries, strict=True):
        scores = network.scores["validation"]
        topology = entry.topology
        hidden = topology.num_nodes - 1 - topology.num_inputs - topology.num_outputs
        means = scores["mean_by_weight"]
        writer.writerow(
            [topology.num_connections, hidden, scores["mean"], *scores["interval"],
             max(means, default=scores["mean"]), network.shared_weight, entry.generation]
        )  # fmt: skip
    write_atomically(paths.file("front.csv"), text.getvalue())
    write_atomically(paths.file("front.jsonl"), "".join(each.to_json() for each in networks))


def score_champion(
    coordinator: Coordinator | NeatSearch, task: AnyTask, paths: RunFolder
) -> Network:
    """Return the champion, scored on episodes that selection never saw.

    Those are Gymnasium's own or, of an image task, the test images, by `wann.forward`; of images,
    the accuracy is in its scores too. It is written to champion.json.
    """
    entry = coordinator.archive.champion()
    shared, seeds = coordinator.held_out(Purpose.TEST)
    if isinstance(task, ImageTask):
        weights = np.asarray(shared)
        _, held_out = coordinator.held_out(Purpose.VALIDATION)
        graded = _graded(task, entry.topology, weights, seeds)
        test = summarise(graded.returns, weights) | _accuracy(graded)
        accuracy = _accuracy(_graded(task, entry.topology, weights, held_out))
        champion = network_of(entry, coordinator, task, test, accuracy)
    else:
        returns = _returns_in_gymnasium(task, entry, shared, seeds)
        champion = network_of(entry, coordinator, task, summarise(returns, shared))
    champion.save(paths.file("champion.json"))
    return champion


def _returns_in_gymnasium(
    task: ControlTask,
    entry: Entry,
    shared: Float64[np.ndarray, "W"] | None,
    seeds: Int64[np.ndarray, "R"],
) -> Float64[np.ndarray, "W R"]:
    """Return a network's returns under each shared weight; [1, R] under its own, if it has such."""
    if shared is None:
        own = [np.asarray(entry.weights)] * len(seeds)
        return gymnasium_returns(task, entry.topology, own, seeds)[0][np.newaxis]
    alone = Topologies.stack([entry.topology])
    calls = [(task, alone, shared[place : place + 1], seeds) for place in range(len(shared))]
    return np.concatenate([returns[0] for returns, _ in run_tasks(rollout_episodes, calls)])


def _graded(
    task: ImageTask,
    topology: Topology,
    weights: Float64[np.ndarray, "W"],
    seeds: Int64[np.ndarray, "R"],
) -> Graded:
    """Return how well a network does under each weight, each of them worked on by itself."""
    calls = [(task, topology, weights[place : place + 1], seeds) for place in range(len(weights))]
    parts = run_tasks(grade, calls)
    returns = np.concatenate([each.returns for each in parts])
    num_correct = np.concatenate([each.num_correct for each in parts])
    return Graded(returns, num_correct, parts[0].sizes)


def _accuracy(graded: Graded) -> dict[str, Any]:
    """Return how many images there were, and the share that was told rightly, for a file."""
    by_weight = graded.accuracy_by_weight
    return {
        "images": int(graded.sizes.sum()),
        "accuracy": float(by_weight.mean()),
        "accuracy_by_weight": by_weight.tolist(),
    }


def draw(paths: RunFolder, algorithm: str) -> None:
    """Draw champion.svg and progress.svg from the run's files."""
    from wann.export.drawing import save_svg
    from wann.export.progress import draw_progress

    save_svg(load_network(paths.file("champion.json")), paths.file("champion.svg"))
    score = "mean return over all weights" if algorithm == "wann" else "mean return\n(neat-python)"
    draw_progress(load_metrics(paths), paths.file("progress.svg"), score)


def load_metrics(paths: RunFolder) -> dict[str, list[float]]:
    """Return the columns of metrics.csv. Raises ValueError when a row is not of numbers."""
    with paths.file("metrics.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    if not rows or tuple(rows[0]) != METRICS_COLUMNS:
        raise ValueError(f"{paths.file('metrics.csv')} has not the columns of a run's metrics")
    try:
        values = [[float(cell) for cell in row] for row in rows[1:]]
    except ValueError as error:
        raise ValueError(f"{paths.file('metrics.csv')}: {error}") from None
    return {name: [row[place] for row in values] for place, name in enumerate(METRICS_COLUMNS)}


@dataclass(frozen=True, eq=False)
class LoadedRun:
    """A run as data.

    metrics: a row a generation. front: a row a network of the archive, `networks` in the same
    order. champion: None until the run has chosen one.
    """

    spec: RunSpec
    folder: Path
    metrics: pd.DataFrame
    front: pd.DataFrame
    networks: tuple[Network, ...]
    champion: Network | None


def load_run(name: str | Path, root: Path | str = ".") -> LoadedRun:
    """Return a run as pandas frames and networks.

    name: the run's name below `root`, or its folder. Raises ValueError when there is no such run or
    one of its files is damaged.
    """
    import pandas as pd

    paths = find_run(str(name), root)
    spec = read_spec(paths)
    champion = paths.file("champion.json")
    lines = paths.file("front.jsonl")
    texts = lines.read_text().splitlines() if lines.exists() else []
    front = paths.file("front.csv")
    return LoadedRun(
        spec,
        paths.folder,
        pd.DataFrame(load_metrics(paths)),
        pd.read_csv(front) if front.exists() else pd.DataFrame(columns=list(FRONT_COLUMNS)),
        tuple(network_from_json(text) for text in texts),
        load_network(champion) if champion.exists() else None,
    )
