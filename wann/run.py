"""Runs: a search with a name and a folder, of which nothing is lost when it is stopped."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from wann.archive import Archive
from wann.backend import open_evaluator
from wann.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from wann.config import Backend
from wann.coordinator import Callback, Coordinator, GenerationReport, SearchState
from wann.files import sweep_temporary
from wann.kernel_build import build_kernels, groups_for
from wann.neat import NeatSearch, NeatState
from wann.network import Network, load_network
from wann.network_evaluator import open_network_evaluator
from wann.records import MetricsFile, draw, score_champion, write_front
from wann.reproduction import generation_from
from wann.run_files import RunFolder, RunSpec, describe, finished_generations
from wann.seeding import Purpose, generator
from wann.tasks import AnyTask, ControlTask, task_of

CHECKPOINT_INTERVAL = 5.0  # s between two checkpoints, at least
CHECKPOINT_SHARE = 0.02  # of the run's time that checkpoints may cost


@dataclass(frozen=True, eq=False)
class Outcome:
    """How a run ended.

    champion: with its scores in held-out and in test episodes. archive: the whole front.
    generations: how many are complete; resumed_at: where this process took over, 0 for a new run,
        equal to generations for one that was finished already.
    reached: whether the held-out mean reached the target (True without one).
    num_steps, seconds: environment steps and time of the search up to its last generation, in all
        its processes; starting, and scoring the champion at the end, are not in them.
    """

    folder: Path
    champion: Network
    archive: Archive
    generations: int
    resumed_at: int
    reached: bool
    num_steps: int
    seconds: float


class Run:
    """A search in a folder: it goes on where it was, and ends with the same bytes all the same."""

    def __init__(
        self,
        spec: RunSpec,
        root: Path | str = ".",
        backend: Backend | None = None,
        command: Iterable[str] = (),
        data_dir: str = "",
    ) -> None:
        """Prepare a run below the folder `root`; nothing is written yet.

        backend: what evaluates; by default what suits the task, on all cores of this machine.
        command: what the user typed, for the record. data_dir: where the files of an image task
            are looked for first.
        Raises what `wann.tasks.load_task` raises, and ValueError when the start network does not
        fit the task, there are fewer held-out images than held-out episodes, or algorithm "neat" is
        given a start network or an image task.
        """
        self.spec = spec
        self.paths = RunFolder(Path(root), spec.name)
        self.task = task_of(spec.card, data_dir)
        _check_episodes(spec, self.task)
        self.backend = backend or Backend()
        self.command = tuple(command)
        if spec.config.algorithm == "neat":
            _check_for_neat(spec, self.task)
        if spec.start is not None:
            _check_start(spec.start, self.task)

    def execute(
        self,
        callbacks: Iterable[Callback] = (),
        time_limit: float | None = None,
        target: float | None = None,
    ) -> Outcome:
        """Run what is left of the search and write its results.

        time_limit: seconds after which no further generation starts. target: held-out mean return
        at which the search ends. Any exception, Ctrl+C included, saves the search before it goes on
        its way. Raises RunBusy, EnvironmentFault, ClusterFault, OSError, and ValueError for a
        damaged checkpoint or more workers than the cluster has.
        """
        self.paths.create()
        with self.paths.held():
            sweep_temporary(self.paths.folder)
            sweep_temporary(self.paths.checkpoint.parent, self.paths.checkpoint.name)
            saved = self._load()
            if (
                saved is not None
                and finished_generations(self.paths) >= self.spec.config.generations
            ):
                return self._outcome(saved, saved.state.generation, target)
            _check_length(saved, self.spec)
            describe(self.spec, self.task, self.paths, self.command)
            build_kernels(groups_for(self.task, self.spec.config.algorithm))
            with self._opened(saved.state if saved else None) as search:
                return self._search(search, saved, tuple(callbacks), time_limit, target)

    @contextlib.contextmanager
    def _opened(self, state: SearchState | NeatState | None) -> Iterator[Coordinator | NeatSearch]:
        """Have the search in here, with what evaluates its networks."""
        task, config = self.task, self.spec.config
        sizes = task.num_inputs, task.num_outputs
        if config.algorithm == "neat" and isinstance(task, ControlTask):
            if isinstance(state, SearchState):
                raise ValueError(f"{self.paths.checkpoint} is not that of a run of neat-python")
            with open_network_evaluator(task, self.backend) as networks:
                yield NeatSearch(config, *sizes, networks, state)
            return
        if isinstance(state, NeatState):
            raise ValueError(f"{self.paths.checkpoint} is that of a run of neat-python")
        with open_evaluator(task, self.backend) as evaluator:
            yield Coordinator(config, *sizes, evaluator, state or self._first_state())

    def _search(
        self,
        coordinator: Coordinator | NeatSearch,
        saved: Checkpoint | None,
        callbacks: tuple[Callback, ...],
        time_limit: float | None,
        target: float | None,
    ) -> Outcome:
        task, config = self.task, self.spec.config
        resumed_at = coordinator.generation
        keeper = Keeper(self.paths, coordinator, self.spec.digest, saved)
        deadline = time.monotonic() + time_limit if time_limit is not None else None

        def is_over(coordinator: Coordinator | NeatSearch, report: GenerationReport) -> bool:
            late = deadline is not None and time.monotonic() >= deadline
            return late or (target is not None and coordinator.archive.best_mean >= target)

        try:
            if target is None or coordinator.archive.best_mean < target:
                coordinator.run((keeper.record, *callbacks, is_over))
        finally:  # whatever ended the search, Ctrl+C and a faulty environment included
            keeper.save()
            write_front(coordinator, task, self.paths)
        score_champion(coordinator, task, self.paths)
        draw(self.paths, config.algorithm)
        if coordinator.generation == config.generations:
            describe(self.spec, task, self.paths, self.command, config.generations)
        return self._outcome(keeper.checkpoint, resumed_at, target)

    def _outcome(self, saved: Checkpoint, resumed_at: int, target: float | None) -> Outcome:
        archive = saved.state.archive
        return Outcome(
            self.paths.folder,
            load_network(self.paths.file("champion.json")),
            archive,
            saved.state.generation,
            resumed_at,
            target is None or archive.best_mean >= target,
            saved.num_steps,
            saved.seconds,
        )

    def _load(self) -> Checkpoint | None:
        if not self.paths.checkpoint.exists():
            return None
        saved = load_checkpoint(self.paths.checkpoint)
        if saved.digest != self.spec.digest:
            path = self.paths.checkpoint
            raise ValueError(f"{path} belongs to another run than {self.spec.name}")
        return saved

    def _first_state(self) -> SearchState | None:
        if self.spec.start is None:
            return None
        config = self.spec.config
        rng = generator(config.seed, Purpose.REPRODUCTION, 0)
        return SearchState(generation_from(self.spec.start.topology, config, rng), Archive())


class Keeper:
    """Writes a row of metrics for each generation, and a checkpoint every few seconds.

    checkpoint: the search after the last generation whose row is written.
    """

    def __init__(
        self,
        paths: RunFolder,
        coordinator: Coordinator | NeatSearch,
        digest: str,
        saved: Checkpoint | None,
    ) -> None:
        """Take over from a checkpoint, or start afresh; rows that come after it are cut."""
        self.paths = paths
        self.checkpoint = saved or Checkpoint(coordinator.state, digest, 0, 0.0)
        self._saved_at = time.monotonic()
        self._started = self._saved_at - self.checkpoint.seconds
        self._cost = 0.0  # seconds that the last checkpoint took
        self._metrics = MetricsFile(paths.file("metrics.csv"), coordinator.generation)

    def record(self, coordinator: Coordinator | NeatSearch, report: GenerationReport) -> None:
        """Write the generation's row, and a checkpoint where one is due."""
        seconds = time.monotonic() - self._started
        self._metrics.append(report, seconds)
        num_steps = self.checkpoint.num_steps + report.num_steps
        self.checkpoint = Checkpoint(coordinator.state, self.checkpoint.digest, num_steps, seconds)
        waited = time.monotonic() - self._saved_at
        if waited > max(CHECKPOINT_INTERVAL, self._cost / CHECKPOINT_SHARE):
            self.save()

    def save(self) -> None:
        """Write a checkpoint."""
        started = time.monotonic()
        save_checkpoint(self.checkpoint, self.paths.checkpoint)
        self._saved_at = time.monotonic()
        self._cost = self._saved_at - started


def _check_length(saved: Checkpoint | None, spec: RunSpec) -> None:
    done = saved.state.generation if saved else 0
    if done > spec.config.generations:
        raise ValueError(
            f"run {spec.name} has {done} generations already, so --generations must be at least "
            f"that, but {spec.config.generations} was given"
        )


def _check_episodes(spec: RunSpec, task: AnyTask) -> None:
    """Raise ValueError when the task has not as many held-out episodes as are wanted."""
    config = spec.config
    task.seeds(config.seed, Purpose.VALIDATION, 0, config.validation_episodes)
    task.seeds(config.seed, Purpose.TEST, 0, config.test_episodes)


def _check_for_neat(spec: RunSpec, task: AnyTask) -> None:
    if not isinstance(task, ControlTask):
        raise ValueError(
            f"algorithm 'neat' is for Gymnasium environments, but {task.id!r} is a task of images; "
            "choose another task, or algorithm 'wann'"
        )
    if spec.start is not None:
        raise ValueError("a run of neat-python has no start network; leave it out")


def _check_start(start: Network, task: AnyTask) -> None:
    sizes = (start.topology.num_inputs, start.topology.num_outputs)
    if sizes != (task.num_inputs, task.num_outputs):
        raise ValueError(
            f"the start network has {sizes[0]} inputs and {sizes[1]} outputs, "
            f"but task {task.id!r} has {task.num_inputs} and {task.num_outputs}"
        )
