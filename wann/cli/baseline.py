"""`wann baseline`: write a network that found shapes are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from rich.console import Console

from wann.checks import unknown
from wann.cli.parsing import parse_typed
from wann.cli.tables import size_of

KINDS = ("fixed",)
DESCRIPTION = (
    "Write a fixed topology as a network file: layers that are all linked, with a shared weight of "
    "1. `wann evaluate` and `wann tune` take it as they take a champion. (The other baseline, "
    "neat-python, is `wann-search --algorithm neat`.)"
)


@dataclass(frozen=True)
class BaselineOptions:
    """What `wann baseline` is asked for."""

    kind: str = field(default="", metadata={"positional": True, "metavar": "fixed"})
    """Which baseline: fixed, for a layered network"""
    task: str = field(default="", metadata={"metavar": "ID"})
    """The task that the network is for"""
    hidden: tuple[str, ...] = field(default=(), metadata={"metavar": "SIZES"})
    """Nodes in each hidden layer, such as 10 or 40,40; those of Gaier & Ha 2019 where known"""
    activation: str = field(default="tanh", metadata={"metavar": "NAME"})
    """Of the hidden nodes"""
    output_activation: str = field(default="", metadata={"metavar": "NAME"})
    """Of the outputs; that of the hidden nodes by default, linear for images"""
    to: str = field(default="", metadata={"metavar": "FILE"})
    """The .json file to write"""
    data_dir: str = field(default="", metadata={"metavar": "FOLDER"})
    """Where the files of an image task are looked for first"""
    debug: bool = field(default=False, metadata={"flag": True})
    """Show the traceback of an error"""


def run_baseline(argv: Sequence[str], prog: str, console: Console) -> int:
    """Return 0 after writing the network. Raises ValueError for what cannot be made or written."""
    from wann.fixed_topology import PAPER_HIDDEN, fixed_topology
    from wann.network import Network
    from wann.tasks import load_task
    from wann.version import __version__

    names = [each.name for each in fields(BaselineOptions)]
    typed = parse_typed(argv, prog, DESCRIPTION, {"baseline": (BaselineOptions, names)})
    options = BaselineOptions(**typed)
    _check(options, prog)
    task = load_task(options.task, options.data_dir)
    if not options.hidden and task.id not in PAPER_HIDDEN:
        raise ValueError(
            f"--hidden must give the hidden layers' nodes, such as 10 or 40,40: the paper has none "
            f"for {task.id!r}"
        )
    hidden = _sizes(options.hidden) if options.hidden else PAPER_HIDDEN[task.id]
    last = options.output_activation or ("linear" if task.action_rule == "softmax" else "")
    topology = fixed_topology(
        [task.num_inputs, *hidden, task.num_outputs], options.activation, last
    )
    network = Network(
        topology,
        1.0,
        task=task.id,
        input_names=task.input_names,
        output_names=task.output_names,
        action=task.action_rule,
        observation_space=str(task.observation_space),
        offset=tuple(task.offset.tolist()),
        scale=tuple(task.scale.tolist()),
        made_by={"version": __version__, "algorithm": "fixed topology"},
    )
    network.save(options.to)
    layers = "-".join(map(str, [task.num_inputs, *hidden, task.num_outputs]))
    console.print(f"fixed topology {layers} for {task.id}: {size_of(topology)}", soft_wrap=True)
    console.print(
        f"file   {options.to}\nnext   wann evaluate {options.to}\n       wann tune {options.to}",
        soft_wrap=True,
    )
    return 0


def _check(options: BaselineOptions, prog: str) -> None:
    if options.kind not in KINDS:
        if not options.kind:
            raise ValueError(f"name the baseline: `{prog} fixed --task ID --to FILE`")
        raise unknown("baseline", options.kind, KINDS, "there is fixed")
    if not options.task:
        raise ValueError("name the task that the network is for: --task ID")
    path = Path(options.to)
    if not options.to or path.suffix.lower() != ".json" or path.is_dir():
        raise ValueError(f"--to must be the name of a file that ends in .json, not {options.to!r}")
    if not path.parent.is_dir():
        raise ValueError(
            f"--to {options.to!r} cannot be written: there is no folder {str(path.parent)!r}"
        )


def _sizes(texts: tuple[str, ...]) -> list[int]:
    """Return the layers' numbers of nodes."""
    for each in texts:
        if not each.isdecimal() or len(each) > 9 or int(each) < 1:
            raise ValueError(
                f"--hidden must be whole numbers of nodes, such as 10 or 40,40, not {each!r}"
            )
    return [int(each) for each in texts]
