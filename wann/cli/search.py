"""`wann search`: run what the command line asks for, show it, and say how it ended."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from wann.cli.options import Plan, RunOptions, plan
from wann.kernel_cache import use_kernel_cache

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
    from wann.run import Run

    options = asked.options
    run = Run(spec, asked.root, options.workers, command)
    for note in run.task.notes:
        console.print(note, soft_wrap=True)
    name = call_name(run)
    _announce(run, console)
    try:
        outcome = _execute(run, options, console)
    except KeyboardInterrupt:
        _say_how_to_go_on(run, name)
        raise
    if not options.seeds:
        _print_end(run, outcome, options.target, console)
    return outcome


def _execute(run: Run, options: RunOptions, console: Console) -> Outcome:
    from wann.cli.display import Limits, display_for

    limits = Limits(options.target, options.time_limit)
    title = f"{run.task.id} seed {run.spec.config.seed}"
    with display_for(console, title, options.quiet, limits) as display:
        return run.execute([display], options.time_limit, options.target)


def call_name(run: Run) -> str:
    """Return what commands call this run: its name, or its folder when that is elsewhere."""
    here = run.paths.root.resolve() == Path.cwd()
    return run.paths.name if here else shlex.quote(str(run.paths.folder))


def _announce(run: Run, console: Console) -> None:
    from wann.run_files import finished_generations

    config = run.spec.config
    finished = finished_generations(run.paths)
    is_begun = run.paths.checkpoint.exists()
    if is_begun and finished >= config.generations:
        return
    console.print(f"{'going on with ' if is_begun else ''}run {run.paths.name}", soft_wrap=True)
    if is_cold(use_kernel_cache()):
        console.print("compiling kernels for the first time, which takes up to a minute")


def is_cold(folder: Path) -> bool:
    """Return whether no kernel has been compiled into this cache folder yet."""
    return not any(folder.rglob("*.nbc"))


def _print_end(run: Run, outcome: Outcome, target: float | None, console: Console) -> None:
    from wann.cli.tables import counted, print_outcome

    total = run.spec.config.generations
    if outcome.resumed_at >= total:
        done = counted(outcome.generations, "generation")
        console.print(f"run {run.paths.name} is finished: it has {done}", soft_wrap=True)
    elif outcome.generations < total:
        why = "at the target" if target is not None and outcome.reached else "by the time limit"
        console.print(f"stopped {why} after {outcome.generations} of {total} generations")
    print_outcome(console, outcome, run.task.solved, total, call_name(run))


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
        {"seed": spec.config.seed} | outcome_data(outcome)
        for spec, outcome in zip(asked.specs, outcomes, strict=True)
    ]
    whole = {"runs": runs, "summary": seeds_summary(outcomes)} if asked.options.seeds else runs[0]
    return finite(whole)
