"""`wann tasks`: the tasks there are, and what one of them gives a search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields

import numpy as np
from rich.columns import Columns
from rich.console import Console
from rich.table import Table

from wann.cli.parsing import parse_typed
from wann.cli.tables import plain_table
from wann.config import PRESETS, search_config
from wann.evaluation import has_kernel
from wann.tasks import (
    AnyTask,
    ImageCard,
    ImageTask,
    MissingDependency,
    available_tasks,
    load_task,
    shipped_cards,
)

DESCRIPTION = "List the tasks that have a card, or show one task: any Gymnasium id or card."


@dataclass(frozen=True)
class TasksOptions:
    """What `wann tasks` is asked for."""

    task: str = field(default="", metadata={"positional": True, "metavar": "ID"})
    """A task to show: its inputs, outputs and settings"""
    data_dir: str = field(default="", metadata={"metavar": "FOLDER"})
    """Where the files of image tasks are looked for first"""
    all: bool = field(default=False, metadata={"flag": True})
    """Name every task: those with a card, then all other Gymnasium ids"""
    debug: bool = field(default=False, metadata={"flag": True})
    """Show the traceback of an error"""


def run_tasks(argv: Sequence[str], prog: str, console: Console) -> int:
    """Return 0 after printing the tasks, or one of them, to standard output.

    Raises ValueError, with the nearest one, for an unknown task.
    """
    names = [each.name for each in fields(TasksOptions)]
    options = TasksOptions(**parse_typed(argv, prog, DESCRIPTION, {"tasks": (TasksOptions, names)}))
    output = Console(markup=False, highlight=False, emoji=False)
    if options.all and options.task:
        raise ValueError(f"--all names every task, but {options.task!r} was given; leave one out")
    if options.all:
        _print_names(output)
    elif options.task:
        _print_task(load_task(options.task, options.data_dir), output)
    else:
        _print_list(output)
    return 0


def _print_list(output: Console) -> None:
    table = plain_table("task", "inputs", "outputs", "engine", "note")
    table.columns[3].justify = table.columns[4].justify = "left"
    table.columns[0].no_wrap = table.columns[3].no_wrap = True
    for name, card in shipped_cards().items():
        if isinstance(card, ImageCard):  # its images may not be here
            images = card.images
            sizes = (str(images.size**2 or ""), str(len(images.classes) or ""))
            table.add_row(name, *sizes, "compiled", card.note)
            continue
        try:
            task = load_task(name)
        except MissingDependency as error:
            install = str(error).rpartition("; ")[2]
            table.add_row(name, "", "", "", install, style="dim")
            continue
        engine = "compiled" if has_kernel(task) else "Python"
        table.add_row(name, str(task.num_inputs), str(task.num_outputs), engine, card.note)
    output.print(table)
    others = len(available_tasks()) - len(shipped_cards())
    output.print(
        f"\n{others} other ids of Gymnasium work as well (`wann tasks --all` names them),"
        "\nand so do module:Id-v0 and paths of cards.\n`wann tasks ID` shows one."
    )


def _print_names(output: Console) -> None:
    """Print all names in columns on a terminal, else, for other programs, a line each."""
    names = available_tasks()
    if output.is_terminal:
        output.print(Columns(names, column_first=True, padding=(0, 2)))
    else:
        output.print("\n".join(names), soft_wrap=True)


def _print_task(task: AnyTask, output: Console) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    card = task.card
    if card.note:
        table.add_row("note", card.note)
    for name, text in _rows(task):
        table.add_row(name, text)
    table.add_row("engine", "compiled" if has_kernel(task) else "Python")
    output.print(task.id, style="bold")
    output.print(table)
    for note in task.notes:
        output.print(f"\n{note}", soft_wrap=True)
    output.print("\nsettings of a search", style="bold")
    output.print(_settings_table(task))


def _rows(task: AnyTask) -> list[tuple[str, str]]:
    """Return what the table of a task says, by name."""
    outputs = ("outputs", f"{task.num_outputs}: {', '.join(task.output_names)}")
    rule = ("action rule", task.action_rule)
    if isinstance(task, ImageTask):
        data, settings = task.data, task.card.images
        counts = np.bincount(np.concatenate([data.train.labels, data.validation.labels]))
        return [
            ("source", settings.source),
            ("inputs", f"{task.num_inputs}: {task.observation_space}"),
            ("deskewed", "yes" if settings.deskew else "no"),
            outputs,
            rule,
            ("images", f"{len(data.train):,} for training, {len(data.validation):,} for "
             f"validation, {len(data.test):,} for the test"),
            ("classes", f"{counts.min():,} to {counts.max():,} images each, without the test"),
            ("episode", f"a batch of {task.batch_size:,} training images"),
        ]  # fmt: skip
    return [
        ("environment", task.card.environment),
        ("inputs", f"{task.num_inputs}: {', '.join(task.input_names)}"),
        outputs,
        rule,
        ("episode", f"at most {task.max_steps:,} steps"),
        ("solved", "not stated" if task.solved is None else f"{task.solved:g}"),
    ]


def _settings_table(task: AnyTask) -> Table:
    """Return what a search of this task starts from, by default and under each preset."""
    own = ("the card", task.card.search)
    columns = {"default": search_config([own])}
    for name, values in PRESETS.items():
        of_card = task.card.presets.get(name, {})
        columns[name] = search_config([own, (name, values), (f"{name} of the card", of_card)])
    table = plain_table("setting", *columns)
    rows = [asdict(config) for config in columns.values()]
    for name in rows[0]:
        if name != "task":
            table.add_row(f"--{name.replace('_', '-')}", *[_shown(row[name]) for row in rows])
    return table


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(str(each) for each in value)
    return str(value).lower() if isinstance(value, bool) else f"{value}"
