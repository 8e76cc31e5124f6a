"""`wann tune`: weights for a network's links, from the best weight that they can share."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from rich.console import Console

from wann.checks import number_in
from wann.cli.evaluate import check_folder
from wann.cli.parsing import parse_typed
from wann.cli.stopping import stoppable
from wann.tuning_config import TuningConfig

if TYPE_CHECKING:
    from wann.cli.subjects import Subject
    from wann.network import Network
    from wann.tuning import Tuning, TuningReport

LINE_INTERVAL = 2.0  # s between two lines of progress, at least
DESCRIPTION = (
    "Find weights for the links of a network: first the best one that all share, then one for each "
    "link by CMA-ES. The same command goes on with a tuning that was stopped."
)


@dataclass(frozen=True)
class TuneOptions:
    """What `wann tune` is asked for, beside a `TuningConfig`."""

    network: str = field(default="", metadata={"positional": True, "metavar": "RUN|FILE"})
    """A run's name or folder, a network's JSON, or a reference .out file"""
    task: str = field(default="", metadata={"metavar": "ID"})
    """The task of a file that does not say it itself, as a .out file"""
    workers: int = 0
    """Threads or actors; 0 for all cores"""
    time_limit: float | None = field(default=None, metadata={"metavar": "SECONDS"})
    """Start no further generation after so long"""
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
        if self.time_limit is not None:
            number_in("--time-limit", self.time_limit, 0)
        check_folder(self.out)


def run_tune(argv: Sequence[str], prog: str, console: Console) -> int:
    """Return 0 after tuning a network's weights and writing it with them to tuned.json.

    Raises ValueError for anything that cannot be done, before episodes are played;
    EnvironmentFault when the environment misbehaves; OSError when a file cannot be written.
    """
    names = [each.name for each in fields(TuneOptions)]
    settings = [each.name for each in fields(TuningConfig)]
    groups = {"tune": (TuneOptions, names), "tuning": (TuningConfig, settings)}
    typed = parse_typed(argv, prog, DESCRIPTION, groups)
    options = TuneOptions(**{name: typed.pop(name) for name in names if name in typed})
    config = TuningConfig(**typed)
    console.quiet = options.quiet
    from wann.cli.subjects import TUNED, found_subject
    from wann.tasks import ControlTask
    from wann.tuning import Tuning

    subject = found_subject(options.network, options.task, options.out)
    target = subject.file(TUNED)
    if target.resolve() == subject_path(subject):
        raise ValueError(
            f"the result would replace {options.network!r}; --out names another folder"
        )
    for note in subject.task.notes:
        console.print(note, soft_wrap=True)
    if not isinstance(subject.task, ControlTask):
        raise ValueError(
            f"method {config.method!r} needs an environment to play in, but task "
            f"{subject.task.id!r} is of images; `wann evaluate` finds their best shared weight"
        )
    tuning = Tuning(subject.task, subject.network, config, subject.folder, subject.prefix)
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
        _print(tuned, tuning, console)
        console.print(f"file   {target}\nnext   wann evaluate {_call(options)}", soft_wrap=True)
    return 0


def subject_path(subject: Subject) -> Any:
    """Return the resolved path of the file that the network came from, if it was a file."""
    from pathlib import Path

    return Path(subject.name).resolve()


def _tune(tuning: Tuning, options: TuneOptions, console: Console) -> Network:
    from wann.backend import open_evaluator
    from wann.cli.display import passing_line
    from wann.config import Backend
    from wann.kernel_build import build_kernels
    from wann.rollout.episodes import kernel_of

    has_kernel = kernel_of(tuning.task) is not None
    with passing_line(console) as show:
        build_kernels(("lanes", "tuning", "policy") if has_kernel else ("policy",), show)
    with open_evaluator(tuning.task, Backend(workers=options.workers)) as evaluator:
        if not tuning.is_begun:
            console.print("looking for the best shared weight")
        progress = Progress(console)
        return tuning.run(evaluator, options.workers, options.time_limit, [progress])


class Progress:
    """Writes a line for the first and the last generation, and for one every few seconds."""

    def __init__(self, console: Console) -> None:
        """Start the clock."""
        self._console = console
        self._last = -math.inf
        self._start = time.monotonic()
        self._first = 0

    def __call__(self, report: TuningReport) -> None:
        """Take note of a generation."""
        from wann.cli.display import duration

        now = time.monotonic()
        self._first = self._first or report.generation
        is_last = report.generation == report.generations
        if not is_last and now - self._last < LINE_INTERVAL:
            return
        self._last = now
        text = (
            f"generation {report.generation}/{report.generations}  best {report.best:.1f}  "
            f"mean {report.mean:.1f}  held-out {report.validated:.1f}"
        )
        done = report.generation - self._first + 1
        left = (now - self._start) / done * (report.generations - report.generation)
        self._console.print(f"{text}  {duration(left)} left" if not is_last else text)


def _print(tuned: Network, tuning: Tuning, console: Console) -> None:
    from wann.cli.tables import counted, plain_table

    scores = tuned.scores
    best = scores["best_shared"]
    console.print(
        f"\n{tuned.task}: {counted(tuned.topology.num_connections, 'weight')} tuned, "
        f"{tuned.made_by['tuning']['generations']} generations",
        style="bold",
    )
    episodes = counted(scores["test"]["episodes"], "test episode")
    console.print(f"measured in Gymnasium in {episodes}, which tuning never saw\n")
    table = plain_table("return", "mean", "deviation", "95 % interval")
    for label, row in (
        (f"best shared weight {best['weight']:g}", best["test"]),
        ("tuned weights", scores["test"]),
    ):
        interval = row["interval"]
        shown = "" if interval is None else f"{interval[0]:.1f} to {interval[1]:.1f}"
        table.add_row(label, f"{row['mean']:.1f}", f"{row['deviation']:.1f}", shown)
    console.print(table)
    console.print("")


def _call(options: TuneOptions) -> str:
    import shlex

    words = [options.network]
    words += ["--task", options.task] if options.task else []
    words += ["--out", options.out] if options.out else []
    return shlex.join(words)
