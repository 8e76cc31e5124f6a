"""`wann export`: a network, or a run's front, in a format for somewhere else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from wann.cli.parsing import parse_typed
from wann.cli.stopping import stoppable

if TYPE_CHECKING:
    from wann.export.formats import Check, Format
    from wann.network import Network
    from wann.tasks import ControlTask


@dataclass(frozen=True)
class ExportOptions:
    """What `wann export` is asked for."""

    network: str = field(default="", metadata={"positional": True, "metavar": "RUN|FILE"})
    """A run's name or folder, a network's file, or a front.jsonl"""
    format: str = field(default="", metadata={"metavar": "FORMAT"})
    """One of the formats above"""
    to: str = field(default="", metadata={"metavar": "PATH"})
    """The file to write; for torch, for --front and for a front.jsonl the folder"""
    front: bool = field(default=False, metadata={"flag": True})
    """All networks of a run's front, each to a file in the folder"""
    task: str = field(default="", metadata={"metavar": "ID"})
    """Task of a .out file, and whose episodes are replayed to check what was written"""
    weight: float | None = None
    """Shared weight in place of the network's own"""
    dtype: str = field(default="", metadata={"metavar": "float32|float64"})
    """Arithmetic of the exported network, where the format leaves a choice"""
    opset: int = 0
    """ONNX operator set; 0 is 17"""
    force: bool = field(default=False, metadata={"flag": True})
    """Replace what PATH is now"""
    debug: bool = field(default=False, metadata={"flag": True})
    """Show the traceback of an error"""


def run_export(argv: Sequence[str], prog: str, console: Console) -> int:
    """Return 0 after writing a network in another format and saying how well that computes it.

    Raises what `wann.export.formats.export_network` raises.
    """
    from wann.export.formats import Options, export_front, export_network, format_named

    names = [each.name for each in fields(ExportOptions)]
    typed = parse_typed(argv, prog, _description(), {"export": (ExportOptions, names)})
    options = ExportOptions(**typed)
    if not options.network:
        raise ValueError("name what to export: a run, a network's file or a front.jsonl")
    if not options.format:
        raise ValueError(f"add --format, one of {', '.join(_formats())}")
    form = format_named(options.format)
    if not options.to:
        raise ValueError("add --to PATH, the file or folder to write")
    is_front = options.front or options.network.endswith(".jsonl")
    if not is_front and form.suffix and Path(options.to).suffix.lower() != form.suffix:
        raise ValueError(f"--to must end in {form.suffix} for {form.name!r}, not {options.to!r}")
    networks, task = _found(options, is_front)
    settings = Options(options.weight, options.dtype, options.force, options.opset, task)
    with stoppable():
        if is_front:
            checks = export_front(networks, form.name, options.to, settings)
        else:
            checks = [export_network(networks[0], form.name, options.to, settings)]
    output = Console(markup=False, highlight=False, emoji=False)
    count = f"{len(networks)} networks in " if is_front else ""
    output.print(f"{form.name}  {count}{options.to}", soft_wrap=True)
    _print_checks(output, form, [each for each in checks if each is not None])
    return 0


def _formats() -> dict[str, Format]:
    from wann.export.formats import FORMATS

    return FORMATS


def _description() -> str:
    rows = [f"  {each.name:<12} {each.purpose}" for each in _formats().values()]
    return "\n".join(
        [
            "Write a network in a format for somewhere else. What was written is executed and "
            "compared with the network before it gets its name.",
            "",
            "formats",
            *rows,
        ]
    )


def _found(options: ExportOptions, is_front: bool) -> tuple[list[Network], ControlTask | None]:
    """Return the networks to export, and the task whose episodes are to be replayed."""
    from wann.cli.sources import card_of_run, found_network, front_of, is_file_name
    from wann.tasks import Card, ControlTask, control_task, load_task

    task = load_task(options.task) if options.task else None
    if is_front:
        networks = front_of(options.network)
    else:
        networks = [found_network(options.network, Path(), task)]
    if task is None and not is_file_name(options.network):
        card = card_of_run(options.network)
        task = control_task(card) if isinstance(card, Card) else None
    return networks, task if isinstance(task, ControlTask) else None


def _print_checks(output: Console, form: Format, checks: list[Check]) -> None:
    if not checks:
        return
    rows, excluded = sum(each.rows for each in checks), sum(each.excluded for each in checks)
    episodes = sum(each.episodes for each in checks)
    difference, share = max(each.max_difference for each in checks), max(c.worst for c in checks)
    replayed = f", among them {episodes} episodes" if episodes else "; no episode was replayed"
    output.print(
        f"executed on {rows:,} inputs{replayed}\noutputs differ by at most {difference:.1e}, "
        f"{share:.2%} of what is allowed in {checks[0].dtype}",
        soft_wrap=True,
    )
    if excluded:
        output.print(
            f"left out {excluded:,} inputs, with a step's sum too near 0 or a value too large",
            soft_wrap=True,
        )
    if differing := sum(each.differing_actions for each in checks):
        output.print(f"{differing:,} actions would differ, where outputs are as good as equal")
