"""What a run is called, where its files lie, and what they say of how it was made."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wann.checks import unknown
from wann.config import LABELS, SearchConfig, check_keys, search_config
from wann.files import write_atomically
from wann.network import Network, load_network
from wann.tasks import AnyCard, AnyTask, ImageTask, card_of_table

RUNS = ("results", "runs")  # the folders below a root that hold the runs
RECORDED_PACKAGES = ("wann-search", "numpy", "numba", "gymnasium", "scipy")
RECORDED_OF_NEAT = ("neat-python",)


@dataclass(frozen=True, eq=False)
class RunSpec:
    """What a run is: its configuration, its task's card and where it starts.

    start: the network that fills the first generation with itself and its mutants, or None.
    """

    config: SearchConfig
    card: AnyCard
    start: Network | None = None

    @property
    def digest(self) -> str:
        """Eight characters that differ when anything but the number of generations differs."""
        content = {
            "search": self.config.digest(),
            "card": self.card.table(),
            "start": self.start.topology.key() if self.start else None,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]

    @property
    def name(self) -> str:
        """The run's name: task, algorithm where it is not "wann", seed and digest."""
        task = self.card.task.replace("/", "-").replace(":", "-")
        algorithm = "" if self.config.algorithm == "wann" else f"-{self.config.algorithm}"
        return f"{task}{algorithm}-s{self.config.seed}-{self.digest}"


@dataclass(frozen=True)
class RunFolder:
    """Where the files of one run lie, below a root folder."""

    root: Path
    name: str

    @property
    def folder(self) -> Path:
        """The folder of everything that came out of the run."""
        return self.root.joinpath(*RUNS, self.name)

    @property
    def checkpoint(self) -> Path:
        """The file that the run goes on from."""
        return self.root / "populations" / f"{self.name}.safetensors"

    def file(self, name: str) -> Path:
        """Return the path of one of the run's files."""
        return self.folder / name

    def create(self) -> None:
        """Make the folders. Raises OSError where that is not possible."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the run for this process; the system lets go of it even after SIGKILL.

        Raises RunBusy when another process holds it.
        """
        from filelock import FileLock, Timeout

        try:
            with FileLock(self.file(".lock"), timeout=0):
                yield
        except Timeout:
            raise RunBusy(
                f"run {self.name} is in the hands of another process; wait for it, or use --out "
                "or --seed for a run of its own"
            ) from None


class RunBusy(RuntimeError):
    """Another process works on the run."""


def describe(
    spec: RunSpec, task: AnyTask, paths: RunFolder, command: Iterable[str], finished: int = 0
) -> None:
    """Write what the run is (config.toml) and how it was made (meta.json).

    Of neat-python also neat.ini, the configuration that it is given.

    finished: the number of generations after which the results were written; 0 before that.
    """
    import tomli_w

    content = {"search": spec.config.table(), "card": spec.card.table()}
    write_atomically(paths.file("config.toml"), tomli_w.dumps(content))
    if spec.start is not None:
        spec.start.save(paths.file("start.json"))
    packages = RECORDED_PACKAGES
    if spec.config.algorithm == "neat":
        from wann.neat.genomes import neat_settings

        packages += RECORDED_OF_NEAT
        settings = neat_settings(spec.config, task.num_inputs, task.num_outputs)
        write_atomically(paths.file("neat.ini"), settings)
    meta = {
        "format": "wann-run",
        "version": 1,
        "name": spec.name,
        "algorithm": LABELS[spec.config.algorithm],
        "command": list(command),
        "finished_generations": finished,
        "environment": _environment(task),
        "packages": {name: _version(name) for name in packages},
        "python": platform.python_version(),
        "machine": {
            "system": platform.system(),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
        },
    }
    write_atomically(paths.file("meta.json"), json.dumps(meta, indent=2) + "\n")


def _environment(task: AnyTask) -> dict[str, Any]:
    """Return what the task's networks meet, as plain data.

    That is the resolved environment (of what Gymnasium cannot write, its name), or how many images
    there are.
    """
    if isinstance(task, ImageTask):
        splits = {name: len(getattr(task.data, name)) for name in ("train", "validation", "test")}
        return {"source": task.card.images.source, "images": splits}
    spec = task.spec
    try:
        return json.loads(spec.to_json())
    except (ValueError, TypeError):
        entry = spec.entry_point
        place = f"{getattr(entry, '__module__', '')}:{getattr(entry, '__qualname__', entry)}"
        return {"id": spec.id, "entry_point": place}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def read_meta(paths: RunFolder) -> dict[str, Any]:
    """Return what meta.json holds; nothing where it is missing or damaged."""
    try:
        meta = json.loads(paths.file("meta.json").read_text())
    except (OSError, ValueError):
        return {}
    return meta if isinstance(meta, dict) else {}


def finished_generations(paths: RunFolder) -> int:
    """Return after how many generations the run's results were last written; 0 for none."""
    finished = read_meta(paths).get("finished_generations")
    return finished if isinstance(finished, int) else 0


def read_spec(paths: RunFolder) -> RunSpec:
    """Return what the run in a folder is, from its config.toml.

    Raises ValueError when that file is missing, damaged, or tells of another run than the folder's.
    """
    path = paths.file("config.toml")
    try:
        tables = tomllib.loads(path.read_text())
    except FileNotFoundError:
        raise ValueError(f"{paths.folder} holds no run: config.toml is missing") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{path}: not a configuration: {error}") from error
    check_keys(tables, ("search", "card"), str(path))
    for name in ("search", "card"):
        if not isinstance(tables.get(name), dict):
            raise ValueError(f"{path} tells of no run: its table [{name}] is missing")
    try:
        config = search_config([("[search]", tables["search"])])
        card = card_of_table(tables["card"], str(path))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from None
    start = paths.file("start.json")
    spec = RunSpec(config, card, load_network(start) if start.exists() else None)
    if spec.name != paths.name:
        raise ValueError(f"{path} tells of run {spec.name}, but its folder is that of {paths.name}")
    return spec


def find_run(name: str, root: Path | str = ".") -> RunFolder:
    """Return the folder of the run of this name below `root`, or at this path.

    Raises ValueError, with the nearest match, when there is none.
    """
    root = Path(root)
    path = Path(name)
    runs = root.joinpath(*RUNS)
    if path.name != name and path.is_dir():
        resolved = path.resolve()
        if resolved.parts[-3:-1] != RUNS:
            raise ValueError(
                f"{name!r} is not the folder of a run, which is results/runs/NAME below some "
                "folder; a run keeps its name and its place there"
            )
        return RunFolder(resolved.parents[2], resolved.name)
    known = sorted(each.name for each in runs.iterdir()) if runs.is_dir() else []
    if name not in known:
        raise unknown("run", name, known, f"looked in {runs}")
    return RunFolder(root, name)
