"""`wann tune`: weights for a network's links, from the best weight that they can share."""

from __future__ import annotations

import json
import math
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from wann.checks import number_in, unknown
from wann.cli.evaluate import check_folder
from wann.cli.parsing import parse_typed
from wann.cli.stopping import stoppable
from wann.tuning_config import METHODS, GradientConfig, TuningConfig

if TYPE_CHECKING:
    from wann.cli.subjects import Subject
    from wann.gradient_tuning import GradientReport, GradientTuning
    from wann.network import Network
    from wann.tasks import AnyTask
    from wann.tuning import Tuning, TuningReport

LINE_INTERVAL = 2.0  # s between two lines of progress, at least
DESCRIPTION = (
    "Find weights for the links of a network: first the best one that all share, then one for each "
    "link: by CMA-ES (cma) where an environment is played, by gradient (adam) where images are "
    "told apart. The same command goes on with a tuning that was stopped."
)


@dataclass(frozen=True)
class TuneOptions:
    """What `wann tune` is asked for, beside a `TuningConfig` or a `GradientConfig`."""

    network: str = field(default="", metadata={"positional": True, "metavar": "RUN|FILE"})
    """A run's name or folder, a network's JSON, or a reference .out file"""
    method: str = field(default="", metadata={"metavar": "|".join(METHODS)})
    """How weights are tuned; by default cma for environments and adam for images"""
    task: str = field(default="", metadata={"metavar": "ID"})
    """The task of a file that does not say it itself, as a .out file"""
    workers: int = 0
    """Threads or actors; 0 for all cores. adam has one thread, so that results never differ"""
    time_limit: float | None = field(default=None, metadata={"metavar": "SECONDS"})
    """Start no further generation or epoch after so long"""
    data_dir: str = field(default="", metadata={"metavar": "FOLDER"})
    """Where files of images are looked for first"""
    out: str = field(default="", metadata={"metavar": "FOLDER"})
    """Where tuned.json goes, instead of the run's folder or, for a file, here"""
    json: bool = field(default=False, metadata={"flag": True})
    """Print one JSON object to standard output at the end"""
    quiet: bool = field(default=False, metadata={"flag": True})
    """Do not say what is going on"""
    debug: bool = field(default=False, metadata={"flag": True})
    """Show the traceback of an error"""

    def __post_init__(self) -> None:
        if not self.network:
            raise ValueError("name what to tune: a run, a network's JSON or a .out file")
        if self.method and self.method not in METHODS:
            raise unknown("method", self.method, METHODS, f"there are {', '.join(METHODS)}")
        if self.time_limit is not None:
            number_in("--time-limit", self.time_limit, 0)
        check_folder(self.out)


def run_tune(argv: Sequence[str], prog: str, console: Console) -> int:
    """Return 0 after tuning a network's weights and writing it with them to tuned.json.

    Raises ValueError for anything that cannot be done, before episodes are played;
    EnvironmentFault when the environment misbehaves; OSError when a file cannot be written.
    """
    names = [each.name for each in fields(TuneOptions)]
    own = {
        method: [each.name for each in fields(config) if each.name != "seed"]
        for method, config in (("cma", TuningConfig), ("adam", GradientConfig))
    }
    groups = {
        "tune": (TuneOptions, names),
        "any_method": (TuningConfig, ["seed"]),
        "cma": (TuningConfig, own["cma"]),
        "adam": (GradientConfig, own["adam"]),
    }
    typed = parse_typed(argv, prog, DESCRIPTION, groups)
    options = TuneOptions(**{name: typed.pop(name) for name in names if name in typed})
    console.quiet = options.quiet
    if options.method:
        _check_options(options.method, typed, own)
    from wann.cli.subjects import TUNED, found_subject

    subject = found_subject(options.network, options.task, options.out, options.data_dir)
    target = subject.file(TUNED)
    if target.resolve() == subject_path(subject):
        raise ValueError(
            f"the result would replace {options.network!r}; --out names another folder"
        )
    for note in subject.task.notes:
        console.print(note, soft_wrap=True)
    _check_options(_method(options.method, subject.task), typed, own)
    tuning = _tuning(subject, typed)
    subject.folder.mkdir(parents=True, exist_ok=True)
    try:
        with stoppable():
            tuned = _tune(tuning, options, console)
    except KeyboardInterrupt:
        where = "the same command goes on" if tuning.state else "there was nothing to save yet"
        print(f"stopped; {where}", file=sys.stderr, flush=True)
        raise
    tuned.save(target)
    if options.json:
        data = {"network": options.network, "task": tuned.task, "file": str(target)}
        data |= {"scores": tuned.scores, "made_by": tuned.made_by}
        print(json.dumps(data, allow_nan=False), flush=True)
    else:
        _print(tuned, console)
        console.print(f"file   {target}\nnext   wann evaluate {_call(options)}", soft_wrap=True)
    return 0


def _method(asked: str, task: AnyTask) -> str:
    """Return the method to tune by. Raises ValueError when the one asked for cannot."""
    from wann.tasks import ImageTask

    if isinstance(task, ImageTask):
        if asked == "cma":
            raise ValueError(
                f"method 'cma' needs an environment to play in, but task {task.id!r} is of images; "
                "leave --method out to tune by gradient (adam)"
            )
        return "adam"
    if asked == "adam":
        raise ValueError(
            f"method 'adam' needs images to learn from, but task {task.id!r} is played in an "
            "environment; leave --method out to tune by CMA-ES (cma)"
        )
    return "cma"


def _check_options(method: str, typed: Mapping[str, Any], own: Mapping[str, Sequence[str]]) -> None:
    """Raise ValueError when an option was typed that only the other method has."""
    for other, names in own.items():
        wrong = [name for name in names if name in typed and other != method]
        if wrong:
            option = f"--{wrong[0].replace('_', '-')}"
            raise ValueError(
                f"{option} is for method {other!r}, but this tuning is by {method!r}; leave it out"
            )


def subject_path(subject: Subject) -> Path:
    """Return the resolved path of the file that the network came from, if it was a file."""
    return Path(subject.name).resolve()


def _tuning(subject: Subject, typed: Mapping[str, Any]) -> Tuning | GradientTuning:
    from wann.gradient_tuning import GradientTuning
    from wann.tasks import ImageTask
    from wann.tuning import Tuning

    task, place = subject.task, (subject.folder, subject.prefix)
    if isinstance(task, ImageTask):
        return GradientTuning(task, subject.network, GradientConfig(**typed), *place)
    return Tuning(task, subject.network, TuningConfig(**typed), *place)


def _tune(tuning: Tuning | GradientTuning, options: TuneOptions, console: Console) -> Network:
    from wann.backend import open_evaluator
    from wann.cli.display import passing_line
    from wann.config import Backend
    from wann.kernel_build import build_kernels
    from wann.rollout.episodes import kernel_of
    from wann.tuning import Tuning

    if isinstance(tuning, Tuning):
        kernels = ("lanes", "tuning", "policy") if kernel_of(tuning.task) else ("policy",)
    else:
        kernels = ("images",)
    with passing_line(console) as show:
        build_kernels(kernels, show)
    if not tuning.is_begun:
        console.print("looking for the best shared weight")
    watch = [Progress(console)]
    if not isinstance(tuning, Tuning):
        return tuning.run(options.time_limit, watch)
    with open_evaluator(tuning.task, Backend(workers=options.workers)) as evaluator:
        return tuning.run(evaluator, options.workers, options.time_limit, watch)


class Progress:
    """Writes a line for the first and the last step, and for one every few seconds."""

    def __init__(self, console: Console) -> None:
        """Start the clock."""
        self._console = console
        self._last = -math.inf
        self._start = time.monotonic()
        self._first = 0

    def __call__(self, report: TuningReport | GradientReport) -> None:
        """Take note of a generation or an epoch."""
        from wann.cli.display import duration

        number, total, text = _progress(report)
        now = time.monotonic()
        self._first = self._first or number
        is_last = number == total
        if not is_last and now - self._last < LINE_INTERVAL:
            return
        self._last = now
        done = number - self._first + 1
        left = (now - self._start) / done * (total - number)
        self._console.print(f"{text}  {duration(left)} left" if not is_last else text)


def _progress(report: TuningReport | GradientReport) -> tuple[int, int, str]:
    """Return which step this is, of how many, and what is said of it."""
    from wann.tuning import TuningReport

    if isinstance(report, TuningReport):
        return report.generation, report.generations, (
            f"generation {report.generation}/{report.generations}  best {report.best:.1f}  "
            f"mean {report.mean:.1f}  held-out {report.validated:.1f}"
        )  # fmt: skip
    return report.epoch, report.epochs, (
        f"epoch {report.epoch}/{report.epochs}  cross-entropy {report.loss:.3f}  held-out "
        f"{report.validation:.3f}, {report.accuracy:.1%} right"
    )  # fmt: skip


def _print(tuned: Network, console: Console) -> None:
    from wann.cli.tables import counted

    made_by = tuned.made_by["tuning"]
    title = f"\n{tuned.task}: {counted(tuned.topology.num_connections, 'weight')} tuned, "
    if made_by["method"] == "adam":
        title += f"{counted(made_by['epochs'], 'epoch')}, best after {made_by['kept_epoch']}"
        console.print(title, style="bold")
        _print_accuracies(tuned.scores, console)
    else:
        console.print(title + f"{made_by['generations']} generations", style="bold")
        _print_returns(tuned.scores, console)
    console.print("")


def _print_accuracies(scores: Mapping[str, Any], console: Console) -> None:
    from wann.cli.tables import counted, plain_table

    images = counted(scores["test"]["images"], "test image")
    console.print(f"accuracy, in the end on {images}, which tuning never saw\n")
    splits = ("train", "validation", "test")
    table = plain_table("accuracy", *splits, "cross-entropy in test")
    best = scores["best_shared"]
    for label, row in ((_best_label(best), best), ("tuned weights", scores)):
        accuracies = (f"{row[split]['accuracy']:.1%}" for split in splits)
        table.add_row(label, *accuracies, f"{-row['test']['mean']:.3f}")
    console.print(table)


def _print_returns(scores: Mapping[str, Any], console: Console) -> None:
    from wann.cli.tables import counted, plain_table

    episodes = counted(scores["test"]["episodes"], "test episode")
    console.print(f"measured in Gymnasium in {episodes}, which tuning never saw\n")
    table = plain_table("return", "mean", "deviation", "95 % interval")
    best = scores["best_shared"]
    for label, row in ((_best_label(best), best["test"]), ("tuned weights", scores["test"])):
        interval = row["interval"]
        shown = "" if interval is None else f"{interval[0]:.1f} to {interval[1]:.1f}"
        table.add_row(label, f"{row['mean']:.1f}", f"{row['deviation']:.1f}", shown)
    console.print(table)


def _best_label(best: Mapping[str, Any]) -> str:
    return f"best shared weight {best['weight']:g}"


def _call(options: TuneOptions) -> str:
    words = [options.network]
    words += ["--task", options.task] if options.task else []
    words += ["--data-dir", options.data_dir] if options.data_dir else []
    words += ["--out", options.out] if options.out else []
    return shlex.join(words)
