"""The options of a search, and what they ask for together with files, presets and cards."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wann.checks import number_in
from wann.cli.parsing import parse_typed
from wann.config import (
    BACKENDS,
    PATIENCE,
    Backend,
    SearchConfig,
    check_fields_of_neat,
    check_keys,
    neat_defaults,
    preset_named,
    search_config,
)
from wann.files import read_bounded

if TYPE_CHECKING:
    from wann.run_files import RunSpec
    from wann.tasks import AnyCard

MAX_CONFIG_BYTES = 1 << 20
MAX_SEEDS = 1_000
FIRST_OPTIONS = (
    "task", "algorithm", "seed", "generations", "population", "episodes", "weights",
    "validation_episodes", "test_episodes",
)  # fmt: skip
DESCRIPTION = (
    "Find small networks whose shape solves a task for any shared weight.\n\n"
    "Defaults are in brackets; `wann tasks ID` shows those of a task."
)


@dataclass(frozen=True)
class RunOptions:
    """How a search is run and where it goes: nothing here changes what is found."""

    seeds: str = field(default="", metadata={"metavar": "LIST"})
    """Run several seeds, such as 1-5 or 1,3,7, and summarise them"""
    preset: str = field(default="", metadata={"metavar": "NAME"})
    """Published settings instead of the defaults: gaier2019"""
    config: str = field(default="", metadata={"metavar": "FILE"})
    """TOML file with a [search] table, such as a run's config.toml"""
    start: str = field(default="", metadata={"metavar": "RUN|FILE"})
    """Fill the first generation with a found network and its mutants"""
    resume: str = field(default="", metadata={"metavar": "RUN"})
    """Go on with a run; --generations may make it longer"""
    backend: str = field(default="auto", metadata={"metavar": "|".join(BACKENDS)})
    """Threads here, or Ray's actors; auto: local where the task is compiled"""
    workers: int = 0
    """Threads or actors; 0 for all cores"""
    ray_address: str = field(default="", metadata={"metavar": "auto|HOST:PORT"})
    """Join a Ray cluster instead of starting Ray here"""
    deadline: float = field(default=0.0, metadata={"metavar": "SECONDS"})
    """Longest that an actor may take over a piece of work; 0: by what others took"""
    patience: float = field(default=PATIENCE, metadata={"metavar": "SECONDS"})
    """Save and give up after so long without any actor"""
    time_limit: float | None = field(default=None, metadata={"metavar": "SECONDS"})
    """Start no further generation after so long"""
    target: float | None = field(default=None, metadata={"metavar": "SCORE"})
    """Stop at this held-out mean return; exit code 4 if it is missed"""
    data_dir: str = field(default="", metadata={"metavar": "FOLDER"})
    """Where the files of image tasks are looked for first"""
    out: str = field(default=".", metadata={"metavar": "FOLDER"})
    """Where populations/ and results/runs/ are"""
    json: bool = field(default=False, metadata={"flag": True})
    """Print one JSON object to standard output at the end"""
    quiet: bool = field(default=False, metadata={"flag": True})
    """Print errors only"""
    debug: bool = field(default=False, metadata={"flag": True})
    """Show the traceback of an error"""

    def __post_init__(self) -> None:
        _ = self.where
        for name, value in (("--time-limit", self.time_limit), ("--target", self.target)):
            if value is not None and not math.isfinite(value):
                raise ValueError(f"{name} must be a finite number, but {value} was given")
        if self.time_limit is not None:
            number_in("--time-limit", self.time_limit, 0)
        if Path(self.out).exists() and not Path(self.out).is_dir():
            raise ValueError(f"--out must be a folder, but {self.out!r} is a file")

    @property
    def where(self) -> Backend:
        """What evaluates the networks."""
        return Backend(self.backend, self.workers, self.ray_address, self.deadline, self.patience)


@dataclass(frozen=True, eq=False)
class Plan:
    """What a command line asks for: one run, or one for each of its seeds."""

    specs: tuple[RunSpec, ...]
    root: Path
    options: RunOptions


def plan(argv: Sequence[str], prog: str) -> Plan:
    """Return what the command line of a search asks for.

    A value on it goes over --config, that over the card's table for the preset, that over the
    preset, that over the card's [search], that over the default.
    Raises ValueError or TypeError of one line for anything that cannot be done; MissingDependency
    and EnvironmentFault as `wann.tasks.load_task`.
    """
    names = [each.name for each in fields(SearchConfig)]
    run_names = [each.name for each in fields(RunOptions)]
    rest = [name for name in names if name not in FIRST_OPTIONS]
    typed = parse_typed(
        argv,
        prog,
        DESCRIPTION,
        {
            "search": (SearchConfig, list(FIRST_OPTIONS)),
            "evolution": (SearchConfig, rest),
            "run": (RunOptions, run_names),
        },
        metavars={"task": "ID", "weights": "LIST"},
    )
    options = RunOptions(**{name: typed.pop(name) for name in run_names if name in typed})
    if options.resume:
        return _resumed(typed, options)
    if options.seeds and "seed" in typed:
        raise ValueError("--seed and --seeds exclude each other; leave one out")
    return _planned(typed, options)


def _planned(typed: Mapping[str, Any], options: RunOptions) -> Plan:
    from wann.cli.sources import found_network
    from wann.run_files import RunSpec
    from wann.tasks import task_of

    tables = _read_config(options.config) if options.config else {}
    card = _card(typed, tables, options.config)
    of_file = tables.get("search", {})
    algorithms = (each.get("algorithm") for each in (typed, of_file, card.search))
    if next(filter(None, algorithms), SearchConfig.algorithm) == "neat":
        config = _neat_config(card, of_file, typed, options)
    else:
        config = search_config(
            [
                (f"[search] of {card.where}", card.search),
                *_preset_layers(card, options.preset),
                (f"[search] of {options.config!r}", of_file),
                ("the command line", typed),
                ("the card", {"task": card.task}),
            ]
        )
    root = Path(options.out)
    task = task_of(card, options.data_dir) if options.start else None
    start = found_network(options.start, root, task) if options.start else None
    seeds = parse_seeds(options.seeds) if options.seeds else (config.seed,)
    specs = tuple(RunSpec(config.replace(seed=seed), card, start) for seed in seeds)
    return Plan(specs, root, options)


def _neat_config(
    card: AnyCard, of_file: Mapping[str, Any], typed: Mapping[str, Any], options: RunOptions
) -> SearchConfig:
    """Return the configuration of a run of neat-python: what a search of the task would play.

    Raises ValueError that names what was asked for and has no meaning for neat-python.
    """
    for name in ("preset", "start"):
        if getattr(options, name):
            raise ValueError(
                f"--{name} has no meaning for --algorithm neat, but {getattr(options, name)!r} was "
                "given; leave it out"
            )
    check_fields_of_neat(of_file, f"{options.config!r}")
    check_fields_of_neat(typed, "the command line")
    search = {key: value for key, value in card.search.items() if key != "algorithm"}
    like = search_config([(f"[search] of {card.where}", search)])
    return search_config(
        [
            ("the defaults of neat", neat_defaults(like)),
            (f"[search] of {options.config!r}", of_file),
            ("the command line", typed),
            ("the card", {"task": card.task, "algorithm": "neat"}),
        ]
    )


def _preset_layers(card: AnyCard, preset: str) -> list[tuple[str, Mapping[str, Any]]]:
    if not preset:
        return []
    return [
        (f"preset {preset!r}", preset_named(preset)),
        (f"[preset.{preset}] of {card.where}", card.presets.get(preset, {})),
    ]


def _card(typed: Mapping[str, Any], tables: Mapping[str, Any], path: str) -> AnyCard:
    """Return the card of the task typed, else of the one in the file, else of the default one."""
    from wann.tasks import card_of, card_of_table

    if "task" in typed:
        return card_of(typed["task"])
    if "card" in tables:
        return card_of_table(tables["card"], path)
    return card_of(tables.get("search", {}).get("task", SearchConfig.task))


def _read_config(path: str) -> dict[str, dict[str, Any]]:
    try:
        tables = tomllib.loads(read_bounded(path, MAX_CONFIG_BYTES).decode())
    except OSError as error:
        raise ValueError(f"--config {path!r} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"--config {path!r} is not a configuration: {error}") from None
    check_keys(tables, ("search", "card"), repr(path))
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise ValueError(f"{name!r} in {path!r} must be a table, but {table!r} was given")
    return tables


def _resumed(typed: Mapping[str, Any], options: RunOptions) -> Plan:
    """Return the plan to go on with a run, made longer if the command line says so."""
    from wann.run_files import find_run, read_spec

    beside = [name for name in ("seeds", "preset", "config", "start") if getattr(options, name)]
    beside += [name for name in typed if name != "generations"]
    if beside:
        raise ValueError(
            "--resume goes on with the run's own settings, of which only --generations can change, "
            f"but --{beside[0].replace('_', '-')} was given; leave it out, or start another run"
        )
    paths = find_run(options.resume, options.out)
    spec = read_spec(paths)
    generations = typed.get("generations", spec.config.generations)
    if generations < spec.config.generations:
        raise ValueError(
            f"--generations can only be raised: run {paths.name} is to have "
            f"{spec.config.generations}, but {generations} was given"
        )
    if not paths.checkpoint.exists():
        raise ValueError(
            f"run {paths.name} cannot go on: its checkpoint {paths.checkpoint} is missing; the "
            "command that began it starts over"
        )
    longer = spec.config.replace(generations=generations)
    return Plan((replace(spec, config=longer),), paths.root, options)


def parse_seeds(text: str) -> tuple[int, ...]:
    """Return the seeds that "1-5", "1,3,7" or "1-3,7" stands for, in that order.

    Raises ValueError for anything else, for a seed that comes twice and for too many.
    """
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        bounds = (first, last if dash else first)
        if not all(each.strip().isdecimal() and len(each) < 20 for each in bounds):
            raise ValueError(f"--seeds must be written 1-5 or 1,3,7, but {text!r} was given")
        low, high = int(bounds[0]), int(bounds[1])
        if high < low or high - low >= MAX_SEEDS:
            raise ValueError(
                f"a range of --seeds must rise and have at most {MAX_SEEDS:,}, not {part!r}"
            )
        seeds += range(low, high + 1)
    if len(set(seeds)) < len(seeds) or len(seeds) > MAX_SEEDS:
        raise ValueError(f"--seeds must be at most {MAX_SEEDS:,}, each once, not {text!r}")
    return tuple(seeds)
