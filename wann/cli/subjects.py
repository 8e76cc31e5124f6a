"""What `wann evaluate` and `wann tune` are about: a network, its task, and where files go."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wann.cli.sources import champion_of, found_network, is_file_name
from wann.network import Network, load_network
from wann.run_files import RunFolder, find_run, read_spec
from wann.settings import check_fits, same_topology
from wann.tasks import AnyTask, load_task, task_of

TUNED = "tuned.json"


@dataclass(frozen=True, eq=False)
class Subject:
    """A network with the task it is for.

    folder, prefix: where files about it belong, and how their names begin.
    """

    name: str
    network: Network
    task: AnyTask
    folder: Path
    prefix: str

    def file(self, name: str) -> Path:
        """Return the path of one of the files about it."""
        return self.folder / f"{self.prefix}{name}"

    def tuned(self) -> tuple[Network | None, str]:
        """Return the tuned network, if there is one of this topology, and why there is none."""
        return tuned_network(self.file(TUNED), self.network)


def tuned_network(path: Path, network: Network) -> tuple[Network | None, str]:
    """Return the tuned network in a file, if it has the topology of `network`, and why not.

    Raises ValueError when it is damaged.
    """
    if not path.is_file():
        return None, ""
    tuned = load_network(path)
    if tuned.shared_weight is not None or not same_topology(tuned.topology, network.topology):
        return None, f"{path} is of another network, so it is left out; `wann tune` makes a new"
    return tuned, ""


def found_subject(name: str, task_name: str, out: str, data_dir: str = "") -> Subject:
    """Return the network that `name` stands for, and its task.

    name: a run's name or folder, a network's JSON or a `.out` file. task_name: what --task says;
        needed where the file names no task. out: a folder for the files about it; "" for the run's
        own or, for another file, the working folder. data_dir: where images are looked for first.
    Raises ValueError when there is no such network, it is damaged, or it is for another task.
    """
    asked = load_task(task_name, data_dir) if task_name else None
    run = _run_of(name)
    if run is not None:
        task = task_of(read_spec(run).card, data_dir)
        network = found_network(name, Path()) if is_file_name(name) else champion_of(run)
        stem, folder = run.name, run.folder
    else:
        network = found_network(name, Path(), asked)
        if not network.task and asked is None:
            raise ValueError(f"{name!r} names no task; add --task ID")
        stem, folder = Path(name).stem, Path()
        task = asked if asked is not None else load_task(network.task, data_dir)
    if asked is not None and network.task and network.task != asked.id:
        raise ValueError(
            f"{name!r} is a network for task {network.task!r}, not for {asked.id!r}; leave --task "
            "out"
        )
    check_fits(network.topology, task)
    prefix = f"{stem}-" if out or run is None else ""
    return Subject(name, network, task, Path(out) if out else folder, prefix)


def _run_of(name: str) -> RunFolder | None:
    """Return the run that a name stands for or whose folder a file lies in; None for no run."""
    if not is_file_name(name):
        return find_run(name)
    path = Path(name)
    is_of_run = path.is_file() and path.with_name("config.toml").exists()
    return find_run(str(path.resolve().parent)) if is_of_run else None
