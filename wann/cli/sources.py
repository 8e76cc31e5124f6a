"""Networks by what a user calls them: a run, a network file, a reference `.out` file."""

from __future__ import annotations

import shlex
from pathlib import Path

from wann.checkpoint import load_checkpoint
from wann.files import read_bounded
from wann.network import Network, load_network, network_from_json
from wann.run_files import RunFolder, find_run, read_spec
from wann.tasks import AnyCard, AnyTask

MAX_FRONT_BYTES = 100_000_000


def is_file_name(name: str) -> bool:
    """Return whether `name` is that of a network file rather than that of a run."""
    return name.endswith((".json", ".jsonl", ".out")) or Path(name).is_file()


def found_network(name: str, root: Path, task: AnyTask | None = None) -> Network:
    """Return the network in a file, or the champion of a run.

    name: a run below `root` or its folder, a network's JSON, another file that
        `wann.export.formats.read_network` reads, or a reference `.out` file, whose numbers of
        inputs and outputs are those of `task`.
    Raises ValueError when there is none, when the file is damaged, or when `.out` comes without
    a task.
    """
    if not is_file_name(name):
        return champion_of(find_run(name, root))
    if not Path(name).is_file():
        raise ValueError(f"no network file {name!r}; give a run, a network's JSON or a .out file")
    if name.endswith(".jsonl"):
        raise ValueError(f"{name!r} holds several networks; only `wann export` takes them")
    if not name.endswith(".out"):
        from wann.export.formats import read_network

        return read_network(name)
    if task is None:
        raise ValueError(f"{name!r} holds no numbers of inputs and outputs; add --task ID")
    from wann.export.reference import load_out

    return load_out(
        name,
        task.num_inputs,
        task.num_outputs,
        task=task.id,
        input_names=task.input_names,
        output_names=task.output_names,
        action=task.action_rule,
    )


def front_of(name: str, root: Path = Path()) -> list[Network]:
    """Return the networks of a run's front, or those in a front.jsonl, the smallest first.

    Raises ValueError when there are none, or the file is damaged, naming its line.
    """
    path = Path(name) if is_file_name(name) else find_run(name, root).file("front.jsonl")
    if not path.is_file():
        raise ValueError(f"no front {str(path)!r}; a run writes it with its results")
    if path.suffix != ".jsonl":
        raise ValueError(f"{name!r} holds one network; --front is for runs and front.jsonl")
    networks: list[Network] = []
    lines = read_bounded(path, MAX_FRONT_BYTES).splitlines()
    for number, line in enumerate(lines, 1):
        try:
            networks.append(network_from_json(line.decode(errors="replace")))
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from None
    if not networks:
        raise ValueError(f"{path} holds no networks")
    return networks


def card_of_run(name: str, root: Path = Path()) -> AnyCard:
    """Return the card of a run's task, as its own configuration tells it."""
    return read_spec(find_run(name, root)).card


def champion_of(paths: RunFolder) -> Network:
    """Return a run's champion. Raises ValueError that says what there is when it has none yet."""
    path = paths.file("champion.json")
    if path.exists():
        return load_network(path)
    spec = read_spec(paths)
    if not paths.checkpoint.exists():
        raise ValueError(
            f"run {paths.name} has no champion and no checkpoint yet; the command that began it "
            "starts over"
        )
    done = load_checkpoint(paths.checkpoint).state.generation
    raise ValueError(
        f"run {paths.name} has no champion yet: {done} of {spec.config.generations} generations "
        f"are saved; `wann-search --resume {call_name(paths)}` goes on"
    )


def call_name(paths: RunFolder) -> str:
    """Return what commands call this run: its name, or its folder when that is elsewhere."""
    here = paths.root.resolve() == Path.cwd()
    return paths.name if here else shlex.quote(str(paths.folder))
