"""`wann compare`: runs side by side, as a table, a CSV and a picture."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from wann.cli.display import duration, shortened
from wann.cli.parsing import parse_typed
from wann.cli.stopping import stoppable
from wann.cli.tables import plain_table
from wann.files import write_atomically

if TYPE_CHECKING:
    from wann.comparison import Comparison, Group

DESCRIPTION = (
    "Put runs of one task side by side. Runs that differ in their seeds only are one row: the "
    "median over them, and the quartiles."
)


@dataclass(frozen=True)
class CompareOptions:
    """What `wann compare` is asked for."""

    runs: tuple[str, ...] = field(default=(), metadata={"positional": True, "metavar": "RUN"})
    """Names or folders of runs of one task"""
    csv: str = field(default="", metadata={"metavar": "FILE"})
    """Write a row a run to this .csv file"""
    to: str = field(default="", metadata={"metavar": "FILE"})
    """Draw the learning curves to this .svg file"""
    json: bool = field(default=False, metadata={"flag": True})
    """Print one JSON object instead of the table"""
    debug: bool = field(default=False, metadata={"flag": True})
    """Show the traceback of an error"""


def run_compare(argv: Sequence[str], prog: str, console: Console) -> int:
    """Return 0 after printing the comparison to standard output and writing what was asked for.

    Raises ValueError when a name is that of no run, the runs are of several tasks, or a file has no
    place to go to.
    """
    from wann.comparison import compare_runs

    names = [each.name for each in fields(CompareOptions)]
    typed = parse_typed(argv, prog, DESCRIPTION, {"compare": (CompareOptions, names)})
    options = CompareOptions(**typed)
    _check_file("--csv", options.csv, ".csv")
    _check_file("--to", options.to, ".svg")
    comparison = compare_runs(options.runs)
    with stoppable():
        if options.csv:
            write_atomically(options.csv, csv_text(comparison))
        if options.to:
            draw_comparison(comparison, options.to)
    for note in comparison.notes():
        console.print(note, soft_wrap=True)
    if options.json:
        print(json.dumps(_data(comparison), allow_nan=False), flush=True)
        return 0
    output = Console(markup=False, highlight=False, emoji=False)
    output.print(f"runs of {comparison.task}: median over seeds (quartiles)", style="bold")
    output.print(comparison_table(comparison))
    for number, group in enumerate(comparison.groups, start=1):
        output.print(f"{number}  {group.label}", soft_wrap=True)
    for kind, name in (("figures", options.csv), ("picture", options.to)):
        if name:
            output.print(f"{kind}  {name}", soft_wrap=True)
    return 0


def _check_file(option: str, name: str, suffix: str) -> None:
    path = Path(name)
    if name and (path.suffix.lower() != suffix or path.is_dir()):
        raise ValueError(f"{option} must be the name of a file that ends in {suffix}, not {name!r}")
    if name and not path.parent.is_dir():
        raise ValueError(
            f"{option} {name!r} cannot be written: there is no folder {str(path.parent)!r}"
        )


def comparison_table(comparison: Comparison) -> Table:
    """Return a row a configuration, numbered in the order in which they were named."""
    table = plain_table("", "seeds", "test mean", "best weight", "links", "gens", "steps", "time")
    for number, group in enumerate(comparison.groups, start=1):
        table.add_row(
            str(number),
            str(len(group.runs)),
            _with_quartiles(group, "test_mean"),
            _with_quartiles(group, "best_weight_mean"),
            _median(group, "connections", "{:g}".format),
            _median(group, "generations", "{:g}".format),
            _median(group, "num_steps", shortened),
            _median(group, "seconds", duration),
        )
    return table


def _with_quartiles(group: Group, name: str) -> str:
    quartiles = group.quartiles(name)
    if quartiles is None:
        return "-"
    low, median, high = quartiles
    return f"{median:.1f}" + (f" ({low:.1f} to {high:.1f})" if len(group.runs) > 1 else "")


def _median(group: Group, name: str, spell: Any) -> str:
    quartiles = group.quartiles(name)
    return "-" if quartiles is None else spell(quartiles[1])


def csv_text(comparison: Comparison) -> str:
    """Return a row a run; a figure that a run has not is empty."""
    text = io.StringIO()
    rows = comparison.rows()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _data(comparison: Comparison) -> dict[str, Any]:
    """Return what `--json` prints."""
    names = ("test_mean", "best_weight_mean", "connections", "generations", "num_steps", "seconds")
    groups = []
    for group in comparison.groups:
        summary: dict[str, Any] = {}
        for name in names:
            quartiles = group.quartiles(name)
            keys = ("lower_quartile", "median", "upper_quartile")
            summary[name] = None if quartiles is None else dict(zip(keys, quartiles, strict=True))
        groups.append({"configuration": group.label, "summary": summary, "runs": group.rows()})
    return {"task": comparison.task, "groups": groups}


def draw_comparison(comparison: Comparison, path: str | Path) -> None:
    """Draw held-out means and connections over environment steps and over generations, as SVG."""
    from wann.export.curves import Band, Panel, draw_curves

    def panel(axis: str, across: str, column: str, up: str) -> Panel:
        bands = {each.label: Band(*each.curve(axis, column)) for each in comparison.groups}
        return Panel(across, up, bands, integers=column == "connections")

    axes = (("num_steps", "environment steps"), ("generation", "generations"))
    columns = (("validated", "held-out mean return"), ("connections", "connections\nof the best"))
    rows = [[panel(*axis, *column) for axis in axes] for column in columns]
    title = f"{comparison.task}: median over seeds and quartiles"
    draw_curves(rows, path, title, heights=(3, 1))
