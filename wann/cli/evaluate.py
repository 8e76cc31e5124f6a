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

if TYPE_CHECKING:
    from wann.cli.subjects import Subject
    from wann.settings import PaperRow, Setting, Sweep

SWEEP_PLAYED = 4  # episodes a weight of the sweep where they are not compiled
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
    """Test episodes in each setting"""
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

    subject = found_subject(options.network, options.task, options.out)
    for note in subject.task.notes:
        console.print(note, soft_wrap=True)
    with stoppable():
        _evaluate(subject, options, console)
    return 0


def _evaluate(subject: Subject, options: EvaluateOptions, console: Console) -> None:
    from wann.backend import open_evaluator
    from wann.cli.display import passing_line
    from wann.config import Backend
    from wann.export.sweep import draw_sweep, write_sweep
    from wann.kernel_build import build_kernels
    from wann.rollout.episodes import kernel_of
    from wann.settings import evaluate_settings, sweep, sweep_weights

    task, network = subject.task, subject.network
    has_kernel = kernel_of(task) is not None
    tuned, why_not = subject.tuned()
    if why_not:
        console.print(why_not, soft_wrap=True)
    found = tuned.scores.get("best_shared", {}).get("weight") if tuned else None
    also = tuple(each for each in (network.shared_weight, found) if isinstance(each, float))
    weights = sweep_weights(options.sweep, options.low, options.high, also)
    sweep_episodes = options.sweep_episodes or (100 if has_kernel else SWEEP_PLAYED)
    with passing_line(console) as show:
        build_kernels(("lanes", "policy") if has_kernel else ("policy",), show)
    with (
        open_evaluator(task, Backend(workers=options.workers)) as evaluator,
        passing_line(console) as show,
    ):
        show(f"trying {len(weights)} shared weights in {sweep_episodes} validation episodes each")
        swept = sweep(
            task, network.topology, evaluator,
            weights=weights, episodes=sweep_episodes, seed=options.seed,
        )  # fmt: skip
        show(f"playing {options.episodes} test episodes in each setting")
        settings = evaluate_settings(
            task, network, best_weight=swept.best_weight, tuned=tuned, episodes=options.episodes,
            seed=options.seed, low=options.low, high=options.high,
        )  # fmt: skip
    subject.folder.mkdir(parents=True, exist_ok=True)
    files = {"table": subject.file("sweep.csv"), "picture": subject.file("sweep.svg")}
    write_sweep(swept, files["table"])
    draw_sweep(swept, files["picture"])
    data = _data(subject, options, settings, swept)
    if options.json:
        data["files"] = {name: str(path) for name, path in files.items()}
        print(json.dumps(data, allow_nan=False), flush=True)
    else:
        output = Console(markup=False, highlight=False, emoji=False)
        _print(output, subject, options, data)
        where = f"{files['table']}, {files['picture'].name}"
        output.print(f"files  {where}", soft_wrap=True)


def _data(
    subject: Subject, options: EvaluateOptions, settings: Sequence[Setting], swept: Sweep
) -> dict[str, Any]:
    """Return what `--json` prints, the paper's figures apart from those measured."""
    from wann.settings import PAPER

    paper = PAPER.get(subject.task.id)
    means = swept.returns.mean(axis=1)
    return {
        "network": subject.name,
        "task": subject.task.id,
        "connections": subject.network.topology.num_connections,
        "seed": options.seed,
        "episodes": options.episodes,
        "random_weights_from": [options.low, options.high],
        "settings": {each.name: each.summary(options.seed) for each in settings},
        "sweep": {
            "episodes": swept.returns.shape[1],
            "best_weight": swept.best_weight,
            "weights": swept.weights.tolist(),
            "mean": means.tolist(),
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
    from wann.cli.tables import counted, size_of

    output.print(f"{subject.task.id}: {size_of(subject.network.topology)}", style="bold")
    output.print(f"{counted(options.episodes, 'test episode')} in each setting, in Gymnasium\n")
    output.print(settings_table(data))
    if paper := data["gaier_ha_2019"]:
        output.print(f"{PAPER_NAME}: theirs, with {counted(paper['connections'], 'connection')}")
    if "tuned" not in data["settings"]:
        output.print(
            f"\nno tuned weights yet: `wann tune {_call(subject, options)}` finds them",
            soft_wrap=True,
        )
    swept = data["sweep"]
    episodes = counted(swept["episodes"], "validation episode")
    output.print(
        f"\nsweep  {len(swept['weights'])} shared weights in {episodes} each: the best is "
        f"{swept['best_weight']:g}, with {max(swept['mean']):.1f}",
        soft_wrap=True,
    )


def settings_table(data: dict[str, Any]) -> Table:
    """Return a column a setting; below, what the paper reports, where it reports something.

    data: as `--json` prints it.
    """
    from wann.cli.tables import plain_table

    settings = data["settings"]
    table = plain_table("return", *(LABELS[name] for name in settings))
    weights = [each["weight"] for each in settings.values()]
    table.add_row("weight", *("" if each is None else f"{each:g}" for each in weights))
    for name in ("mean", "deviation", "median"):
        style = "bold" if name == "mean" else ""
        table.add_row(name, *(f"{each[name]:.1f}" for each in settings.values()), style=style)
    for name, label in (("quartiles", "quartiles"), ("interval", "95 % interval of mean")):
        table.add_row(label, *(_range(each[name]) for each in settings.values()))
    if data["gaier_ha_2019"]:
        theirs = data["gaier_ha_2019"]["settings"]
        cells = [f"{theirs[name]['mean']:g} ± {theirs[name]['deviation']:g}" for name in settings]
        table.add_row(f"{PAPER_NAME}", *cells, style="dim")
    return table


def _range(ends: Sequence[float] | None) -> str:
    return "" if ends is None else f"{ends[0]:.1f} to {ends[1]:.1f}"


def _call(subject: Subject, options: EvaluateOptions) -> str:
    """Return the arguments by which another command is about the same network."""
    words = [subject.name]
    words += ["--task", options.task] if options.task else []
    words += ["--out", options.out] if options.out else []
    return shlex.join(words)
