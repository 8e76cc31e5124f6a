"""`wann search`: run what the command line asks for, show it, and say how it ended."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console

from wann.cli.options import Plan, RunOptions, plan
from wann.cli.stopping import stoppable
from wann.config import LABELS

if TYPE_CHECKING:
    from wann.run import Outcome, Run
    from wann.run_files import RunSpec

MISSED = 4  # exit code when --target was not reached


def run_search(argv: Sequence[str], prog: str, console: Console) -> int:
    """Return the exit code after carrying out the search that `argv` asks for.

    Raises what `plan` and `wann.run.Run` raise.
    """
    asked = plan(argv, prog)
    console.quiet = asked.options.quiet
    command = [prog, *argv]
    outcomes = [_run_one(spec, asked, command, console) for spec in asked.specs]
    if asked.options.seeds:
        _print_summary(asked, outcomes, console)
    if asked.options.json:
        print(json.dumps(_data(asked, outcomes), allow_nan=False), flush=True)
    return 0 if all(outcome.reached for outcome in outcomes) else MISSED


def _run_one(spec: RunSpec, asked: Plan, command: list[str], console: Console) -> Outcome:
    from wann.cli.sources import call_name
    from wann.run import Run

    options = asked.options
    run = Run(spec, asked.root, options.where, command, options.data_dir)
    for note in run.task.notes:
        console.print(note, soft_wrap=True)
    name = call_name(run.paths)
    _announce(run, console)
    try:
        with stoppable():
            outcome = _execute(run, options, console)
    except KeyboardInterrupt:
        _say_how_to_go_on(run, name)
        raise
    if not options.seeds:
        _print_end(run, outcome, options.target, console)
    return outcome


def _execute(run: Run, options: RunOptions, console: Console) -> Outcome:
    from wann.cli.display import IMAGES, Limits, Units, display_for, passing_line
    from wann.kernel_build import build_kernels, groups_for
    from wann.tasks import ImageTask

    if not _is_finished(run):
        with passing_line(console) as show:
            build_kernels(groups_for(run.task, run.spec.config.algorithm), show)
    limits = Limits(options.target, options.time_limit)
    config = run.spec.config
    algorithm = "" if config.algorithm == "wann" else f"{config.algorithm} "
    title = f"{run.task.id} {algorithm}seed {config.seed}"
    units = IMAGES if isinstance(run.task, ImageTask) else Units()
    with display_for(console, title, options.quiet, limits, _beginning(run), units) as display:
        return run.execute([display], options.time_limit, options.target)


def _beginning(run: Run) -> str:
    """Return what takes seconds before the first generation, or "" when nothing does."""
    from wann.backend import uses_ray

    if _is_finished(run) or not uses_ray(run.backend, run.task):
        return ""
    address = run.backend.cluster
    return f"joining the Ray cluster ({address})" if address else "starting Ray"


def _announce(run: Run, console: Console) -> None:
    if not _is_finished(run):
        begun = "going on with " if run.paths.checkpoint.exists() else ""
        console.print(f"{begun}run {run.paths.name}", soft_wrap=True)
        if run.spec.config.algorithm != "wann":
            console.print(LABELS[run.spec.config.algorithm], soft_wrap=True)


def _is_finished(run: Run) -> bool:
    from wann.run_files import finished_generations

    is_begun = run.paths.checkpoint.exists()
    return is_begun and finished_generations(run.paths) >= run.spec.config.generations


def _print_end(run: Run, outcome: Outcome, target: float | None, console: Console) -> None:
    from wann.cli.sources import call_name
    from wann.cli.tables import counted, print_outcome

    total = run.spec.config.generations
    if outcome.resumed_at >= total:
        done = counted(outcome.generations, "generation")
        console.print(f"run {run.paths.name} is finished: it has {done}", soft_wrap=True)
    elif outcome.generations < total:
        why = "at the target" if target is not None and outcome.reached else "by the time limit"
        console.print(f"stopped {why} after {outcome.generations} of {total} generations")
    print_outcome(console, outcome, run.task.solved, total, call_name(run.paths))


def _say_how_to_go_on(run: Run, name: str) -> None:
    if run.paths.checkpoint.exists():
        message = f"stopped; what was found is saved: `wann-search --resume {name}` goes on"
    else:
        message = f"stopped before there was anything to save in {run.paths.folder}"
    print(message, file=sys.stderr, flush=True)


def _print_summary(asked: Plan, outcomes: Sequence[Outcome], console: Console) -> None:
    from wann.cli.tables import seeds_table

    task = outcomes[0].champion.task
    console.print(f"\nchampions of {len(outcomes)} seeds of {task}, in test episodes", style="bold")
    console.print(seeds_table([spec.config.seed for spec in asked.specs], outcomes))
    console.print(f"\nfiles  {outcomes[0].folder.parent}", soft_wrap=True)


def _data(asked: Plan, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return what `--json` prints: a run or, for --seeds, all runs and their summary."""
    from wann.cli.tables import finite, outcome_data, seeds_summary

    runs = [
        {"seed": spec.config.seed} | outcome_data(outcome, asked.options.target)
        for spec, outcome in zip(asked.specs, outcomes, strict=True)
    ]
    whole = {"runs": runs, "summary": seeds_summary(outcomes)} if asked.options.seeds else runs[0]
    return finite(whole)
