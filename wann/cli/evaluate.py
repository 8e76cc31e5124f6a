"""`wann evaluate`: a network in the paper's four settings, and under many shared weights."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from wann.checks import whole_number_in
from wann.cli.parsing import parse_typed
from wann.cli.stopping import stoppable
from wann.cli.tables import counted

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float64

    from wann.cli.subjects import Subject
    from wann.image_settings import ImageSetting
    from wann.network import Network
    from wann.settings import PaperRow, Setting, Sweep
    from wann.tasks import ControlTask, ImageTask

SWEEP_COMPILED, SWEEP_PLAYED = 100, 4  # episodes a weight, with a kernel and without
PAPER_NAME = "Gaier & Ha 2019"
LABELS = {
    "random": "random",
    "random_shared": "random shared",
    "best_shared": "best shared",
    "tuned": "tuned",
}
DESCRIPTION = (
    "Judge a network in the four settings of Gaier & Ha 2019, in test episodes: random weights, a "
    "random shared weight, the best shared weight, and tuned weights where `wann tune` made them."
)


@dataclass(frozen=True)
class EvaluateOptions:
    """What `wann evaluate` is asked for."""

    network: str = field(default="", metadata={"positional": True, "metavar": "RUN|FILE"})
    """A run's name or folder, a network's JSON, or a reference .out file"""
    task: str = field(default="", metadata={"metavar": "ID"})
    """The task of a file that does not say it itself, as a .out file"""
    episodes: int = 100
    """Test episodes in each setting; of images, draws of random weights"""
    seed: int = 0
    """Of the episodes and of the random weights"""
    sweep: int = 41
    """How many shared weights to try, evenly from --low to --high"""
    sweep_episodes: int = 0
    """Validation episodes of each; 0: 100 where the task is compiled, 4 elsewhere"""
    low: float = -2.0
    """Lowest weight of the sweep and of the random weights"""
    high: float = 2.0
    """Highest weight of the sweep and of the random weights"""
    workers: int = 0
    """Threads or actors; 0 for all cores"""
    data_dir: str = field(default="", metadata={"metavar": "FOLDER"})
    """Where files of images are looked for first"""
    out: str = field(default="", metadata={"metavar": "FOLDER"})
    """Where sweep.csv and sweep.svg go, instead of the run's folder or, for a file, here"""
    json: bool = field(default=False, metadata={"flag": True})
    """Print one JSON object to standard output instead of tables"""
    quiet: bool = field(default=False, metadata={"flag": True})
    """Do not say what is going on"""
    debug: bool = field(default=False, metadata={"flag": True})
    """Show the traceback of an error"""

    def __post_init__(self) -> None:
        if not self.network:
            raise ValueError("name what to evaluate: a run, a network's JSON or a .out file")
        whole_number_in("--episodes", self.episodes, 1, 1_000_000)
        whole_number_in("--seed", self.seed, 0, 2**63 - 1)
        whole_number_in("--sweep", self.sweep, 2, 10_001)
        whole_number_in("--sweep-episodes", self.sweep_episodes, 0, 1_000_000)
        if not -1e6 <= self.low < self.high <= 1e6:
            raise ValueError(
                f"--low must be below --high, but they are {self.low:g} and {self.high:g}"
            )
        check_folder(self.out)


def check_folder(out: str) -> None:
    """Raise ValueError when --out is there and no folder."""
    if out and Path(out).exists() and not Path(out).is_dir():
        raise ValueError(f"--out must be a folder, but {out!r} is a file")


def run_evaluate(argv: Sequence[str], prog: str, console: Console) -> int:
    """Return 0 after printing how a network does in the four settings, and drawing its sweep.

    Raises ValueError for anything that cannot be done, before episodes are played;
    EnvironmentFault when the environment misbehaves; OSError when a file cannot be written.
    """
    names = [each.name for each in fields(EvaluateOptions)]
    typed = parse_typed(argv, prog, DESCRIPTION, {"evaluate": (EvaluateOptions, names)})
    options = EvaluateOptions(**typed)
    console.quiet = options.quiet
    from wann.cli.subjects import found_subject

    subject = found_subject(options.network, options.task, options.out, options.data_dir)
    for note in subject.task.notes:
        console.print(note, soft_wrap=True)
    with stoppable():
        _evaluate(subject, options, console)
    return 0


def _evaluate(subject: Subject, options: EvaluateOptions, console: Console) -> None:
    from wann.export.sweep import draw_classes, draw_sweep, write_sweep
    from wann.settings import sweep_weights
    from wann.tasks import ImageTask

    tuned, why_not = subject.tuned()
    if why_not:
        console.print(why_not, soft_wrap=True)
    found = tuned.scores.get("best_shared", {}).get("weight") if tuned else None
    also = tuple(each for each in (subject.network.shared_weight, found) if isinstance(each, float))
    weights = sweep_weights(options.sweep, options.low, options.high, also)
    task = subject.task
    files = {"table": subject.file("sweep.csv"), "picture": subject.file("sweep.svg")}
    if isinstance(task, ImageTask):
        swept, data = _with_images(subject, task, weights, tuned, options, console)
        files["classes"] = subject.file("classes.svg")
    else:
        swept, data = _with_episodes(subject, task, weights, tuned, options, console)
    subject.folder.mkdir(parents=True, exist_ok=True)
    write_sweep(swept, files["table"])
    draw_sweep(swept, files["picture"], data["unit"])
    if "classes" in files:
        draw_classes(data["classes"], files["classes"])
    if options.json:
        data["files"] = {name: str(path) for name, path in files.items()}
        print(json.dumps(data, allow_nan=False), flush=True)
    else:
        output = Console(markup=False, highlight=False, emoji=False)
        _print(output, subject, options, data)
        first, *others = files.values()
        names = [str(first), *(each.name for each in others)]
        output.print(f"files  {', '.join(names)}", soft_wrap=True)


def _with_episodes(
    subject: Subject,
    task: ControlTask,
    weights: Float64[np.ndarray, "W"],
    tuned: Network | None,
    options: EvaluateOptions,
    console: Console,
) -> tuple[Sweep, dict[str, Any]]:
    from wann.backend import open_evaluator
    from wann.cli.display import passing_line
    from wann.config import Backend
    from wann.evaluation import has_kernel
    from wann.kernel_build import build_kernels
    from wann.settings import evaluate_settings, sweep

    network, is_compiled = subject.network, has_kernel(task)
    episodes = options.sweep_episodes or (SWEEP_COMPILED if is_compiled else SWEEP_PLAYED)
    with passing_line(console) as show:
        build_kernels(("lanes", "policy") if is_compiled else ("policy",), show)
    with (
        open_evaluator(task, Backend(workers=options.workers)) as evaluator,
        passing_line(console) as show,
    ):
        show(f"trying shared weights in {counted(episodes, 'validation episode')} each")
        swept = sweep(
            task, network.topology, evaluator,
            weights=weights, episodes=episodes, seed=options.seed,
        )  # fmt: skip
        show(f"playing {counted(options.episodes, 'test episode')} in each setting")
        settings = evaluate_settings(
            task, network, best_weight=swept.best_weight, tuned=tuned, episodes=options.episodes,
            seed=options.seed, low=options.low, high=options.high,
        )  # fmt: skip
    data = _data(subject, options, settings, swept, "return")
    data["sweep"]["episodes"] = episodes
    return swept, data


def _with_images(
    subject: Subject,
    task: ImageTask,
    weights: Float64[np.ndarray, "W"],
    tuned: Network | None,
    options: EvaluateOptions,
    console: Console,
) -> tuple[Sweep, dict[str, Any]]:
    from wann.cli.display import passing_line
    from wann.image_settings import accuracy_by_class, ensemble, image_settings, sweep_images
    from wann.kernel_build import build_kernels

    network, data_sets = subject.network, task.data
    with passing_line(console) as show:
        build_kernels(("images",), show)
        show(f"trying shared weights on {counted(len(data_sets.validation), 'validation image')}")
        swept = sweep_images(task, network.topology, weights)
        show(f"telling {counted(len(data_sets.test), 'test image')} apart in each setting")
        settings = image_settings(
            task, network, best_weight=swept.best_weight, tuned=tuned, draws=options.episodes,
            seed=options.seed, low=options.low, high=options.high,
        )  # fmt: skip
        together = ensemble(task, network.topology)
        by_class = accuracy_by_class(task, network.topology, weights)
    data = _data(subject, options, settings, swept, "accuracy")
    data["sweep"]["images"] = len(data_sets.validation)
    data["images"] = len(data_sets.test)
    data["ensemble"] = {
        "weights": together.weights.tolist(),
        "majority": together.majority,
        "mean_logit": together.mean_logit,
    }
    data["classes"] = {
        "names": list(task.output_names),
        "weights": weights.tolist(),
        "accuracy": by_class.tolist(),
    }
    return swept, data


def _data(
    subject: Subject,
    options: EvaluateOptions,
    settings: Sequence[Setting | ImageSetting],
    swept: Sweep,
    unit: str,
) -> dict[str, Any]:
    """Return what `--json` prints, the paper's figures apart from those measured."""
    from wann.settings import PAPER

    paper = PAPER.get(subject.task.id)
    return {
        "network": subject.name,
        "task": subject.task.id,
        "connections": subject.network.topology.num_connections,
        "seed": options.seed,
        "episodes": options.episodes,
        "random_weights_from": [options.low, options.high],
        "unit": unit,
        "settings": {each.name: each.summary(options.seed) for each in settings},
        "sweep": {
            "best_weight": swept.best_weight,
            "weights": swept.weights.tolist(),
            "mean": swept.returns.mean(axis=1).tolist(),
            "deviation": swept.returns.std(axis=1).tolist(),
        },
        "gaier_ha_2019": None if paper is None else _paper_data(paper),
    }


def _paper_data(paper: PaperRow) -> dict[str, Any]:
    rows = {
        name: {"mean": mean, "deviation": deviation}
        for name, (mean, deviation) in paper.settings.items()
    }
    return {"connections": paper.connections, "settings": rows}


def _print(
    output: Console, subject: Subject, options: EvaluateOptions, data: dict[str, Any]
) -> None:
    from wann.cli.tables import size_of

    is_images = data["unit"] == "accuracy"
    output.print(f"{subject.task.id}: {size_of(subject.network.topology)}", style="bold")
    if is_images:
        draws = counted(options.episodes, "draw")
        judged = f"{counted(data['images'], 'test image')}; {draws} of random weights"
    else:
        judged = f"{counted(options.episodes, 'test episode')} in each setting, in Gymnasium"
    output.print(f"{judged}\n")
    output.print(settings_table(data))
    paper = data["gaier_ha_2019"]
    if is_images:
        both = data["ensemble"]
        output.print(
            f"\nensemble of {len(both['weights'])} shared weights: {both['majority']:.1%} by "
            f"majority, {both['mean_logit']:.1%} by mean output"
        )
    if paper:
        together = paper["settings"].get("majority")
        theirs = f"; ensemble by majority {together['mean']:.1%}" if together else ""
        output.print(
            f"{PAPER_NAME}: theirs, with {counted(paper['connections'], 'connection')}{theirs}"
        )
    if "tuned" not in data["settings"]:
        output.print(
            f"\nno tuned weights yet: `wann tune {_call(subject, options)}` finds them",
            soft_wrap=True,
        )
    swept = data["sweep"]
    if is_images:
        where = f"on {counted(swept['images'], 'validation image')}"
    else:
        where = f"in {counted(swept['episodes'], 'validation episode')} each"
    output.print(
        f"\nsweep  {len(swept['weights'])} shared weights {where}: the best is "
        f"{swept['best_weight']:g}, with {_number(max(swept['mean']), data['unit'])}",
        soft_wrap=True,
    )


def settings_table(data: dict[str, Any]) -> Table:
    """Return a column a setting; below, what the paper reports, where it reports something.

    data: as `--json` prints it.
    """
    from wann.cli.tables import plain_table

    settings, unit = data["settings"], data["unit"]
    table = plain_table(unit, *(LABELS[name] for name in settings))
    weights = [each["weight"] for each in settings.values()]
    table.add_row("weight", *("" if each is None else f"{each:g}" for each in weights))
    for name in ("mean", "deviation", "median"):
        style = "bold" if name == "mean" else ""
        table.add_row(name, *(_number(each[name], unit) for each in settings.values()), style=style)
    for name, label in (("quartiles", "quartiles"), ("interval", "95 % interval of mean")):
        table.add_row(label, *(_range(each[name], unit) for each in settings.values()))
    if data["gaier_ha_2019"]:
        theirs = data["gaier_ha_2019"]["settings"]
        table.add_row(PAPER_NAME, *(_theirs(theirs.get(name), unit) for name in settings))
    return table


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    return f"{value:.1%}" if unit == "accuracy" else f"{value:.1f}"


def _range(ends: Sequence[float] | None, unit: str) -> str:
    return "" if ends is None else f"{_number(ends[0], unit)} to {_number(ends[1], unit)}"


def _theirs(row: dict[str, Any] | None, unit: str) -> str:
    if row is None:
        return "-"
    if unit == "accuracy":
        return _number(row["mean"], unit) + (
            "" if row["deviation"] is None else f" ± {row['deviation']:.1%}"
        )
    return f"{row['mean']:g} ± {row['deviation']:g}"


def _call(subject: Subject, options: EvaluateOptions) -> str:
    """Return the arguments by which another command is about the same network."""
    words = [subject.name]
    words += ["--task", options.task] if options.task else []
    words += ["--data-dir", options.data_dir] if options.data_dir else []
    words += ["--out", options.out] if options.out else []
    return shlex.join(words)
