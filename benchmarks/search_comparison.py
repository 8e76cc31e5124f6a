"""Compare settings of the search on one task: several seeds, the same budget of environment steps.

    python benchmarks/search_comparison.py --group sizes --seeds 5 --steps 1e10 \
        --processes 2 --out results/swing-up-sizes [--task ID] [--only NAME ...]

GROUPS names the settings. The score of a run is the mean return over the six shared weights, in 100
test episodes for each that selection never saw, of the champion that the run would report among
networks with at most --connections links. After each run it writes table.md, runs.csv (a row a
run), curves.csv and curves.svg anew; the same command again makes the runs that are missing.
"""

from __future__ import annotations

import argparse
import platform
import shlex
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64

from wann.archive import Archive, Entry
from wann.config import SHARED_WEIGHTS, SearchConfig, preset_named, search_config
from wann.coordinator import Coordinator, GenerationReport
from wann.evaluation import LocalEvaluator
from wann.seeding import Purpose, episode_seeds
from wann.tasks import ControlTask, load_task
from wann.topology import Topologies

if TYPE_CHECKING:
    from pandas import DataFrame

PACKAGES = ("numpy", "numba")
TEST_EPISODES = 100
NUM_POINTS = 60  # of a curve
SEED_STRIDE = 1000  # between the searches of one run, so that no two runs share a search


@dataclass(frozen=True)
class Setting:
    """What a run takes instead of the card's values, and how it divides its budget.

    preset: goes over the card and the group; changes: fields of `SearchConfig`, over all others.
    searches: independent ones that the run starts; its champion is the one with the highest
        validation mean. rounds: of equal shares of the budget; after each but the last, the half of
        the searches whose champions have the higher validation means goes on.
    """

    changes: Mapping[str, Any] = field(default_factory=dict)
    preset: str = ""
    searches: int = 1
    rounds: int = 1


@dataclass(frozen=True)
class Group:
    """Settings that are compared with the first of them; base: what all change in the card."""

    base: Mapping[str, Any]
    settings: Mapping[str, Setting]


GROUPS = {
    "operators": Group(
        {"population": 960, "tournament": 3},
        {
            "default": Setting(),
            "paper (gaier2019), its population": Setting(preset="gaier2019"),
            "paper's operators, default population": Setting(
                {"population": 960}, preset="gaier2019"
            ),
            "paper's tournament of 8": Setting({"tournament": 8}),
            "paper's ranking, by size in 8 of 10": Setting({"pareto_probability": 0.8}),
            "paper's 3 episodes": Setting({"episodes": 3}),
            "no limit of connections": Setting({"max_connections": 0}),
            "with removals": Setting(
                {
                    "insert_node": 0.25,
                    "add_connection": 0.20,
                    "enable_connection": 0.05,
                    "change_activation": 0.35,
                    "remove_connection": 0.10,
                    "remove_node": 0.05,
                }
            ),
        },
    ),
    "sizes": Group(
        {"tournament": 3},  # the default; what came of this comparison is why the card asks for 8
        {
            "tournament of 3": Setting(),
            "3 episodes": Setting({"episodes": 3}),
            "population 960": Setting({"population": 960}),
            "population 192": Setting({"population": 192}),
            "population 960, no limit of connections": Setting(
                {"population": 960, "max_connections": 0}
            ),
            "population 960, halving 4 searches": Setting(
                {"population": 960}, searches=4, rounds=3
            ),
            "population 192, best of 5 searches": Setting({"population": 192}, searches=5),
            "tournament of 8, the card": Setting({"tournament": 8}),
        },
    ),
}


@dataclass(frozen=True)
class Job:
    """One run: a setting of a group, a seed and a budget in environment steps."""

    task: str
    group: str
    setting: str
    seed: int
    steps: float
    connections: int


@dataclass(frozen=True, eq=False)
class Played:
    """A finished run.

    row: its line of runs.csv. curve: the test score after each equal part of the budget.
    """

    row: dict[str, Any]
    curve: Float64[np.ndarray, "points"]


class Contest:
    """The searches of one run while they spend its budget."""

    def __init__(self, job: Job, task: ControlTask, evaluator: LocalEvaluator) -> None:
        self.job = job
        self.evaluator = evaluator
        self.used = 0  # environment steps so far
        self.curve = np.full(NUM_POINTS, np.nan)
        self._drawn = 0  # points of the curve so far
        self._test_means: dict[int, float] = {}  # by a topology's key
        self.searches = [
            Coordinator(config, task.num_inputs, task.num_outputs, evaluator)
            for config in configs(job, task)
        ]

    def run(self) -> None:
        """Spend the budget."""
        setting = GROUPS[self.job.group].settings[self.job.setting]
        going = list(self.searches)
        for turn in range(setting.rounds):
            for place, search in enumerate(going, start=1):
                share = (turn + place / len(going)) / setting.rounds
                self._advance(search, share * self.job.steps)
            going.sort(key=lambda each: self._champion_of(each).mean, reverse=True)
            going = going[: (len(going) + 1) // 2]
        self.curve[self._drawn :] = self.score()

    def _advance(self, search: Coordinator, limit: float) -> None:
        """Go on with one search until the whole contest has used `limit` steps."""

        def watch(search: Coordinator, report: GenerationReport) -> bool:
            self.used += report.num_steps
            passed = min(int(self.used / self.job.steps * NUM_POINTS), NUM_POINTS)
            if passed > self._drawn:
                self.curve[self._drawn : passed] = self.score()
                self._drawn = passed
            return self.used >= limit

        search.run([watch])

    @property
    def champion(self) -> Entry:
        """The champion of the search whose champion has the highest validation mean."""
        begun = [each for each in self.searches if each.generation > 0]
        return max(map(self._champion_of, begun), key=lambda each: each.mean)

    def _champion_of(self, search: Coordinator) -> Entry:
        small = [
            each
            for each in search.archive.entries
            if each.topology.num_connections <= self.job.connections
        ]
        return Archive(tuple(small)).champion()

    def score(self) -> float:
        """Return the champion's mean over the six weights in the test episodes."""
        topology, key = self.champion.topology, self.champion.key
        if key not in self._test_means:
            seeds = episode_seeds(self.job.seed, Purpose.TEST, 0, TEST_EPISODES)
            weights = np.array(SHARED_WEIGHTS)
            scores = self.evaluator.evaluate(Topologies.stack([topology]), weights, seeds)
            self._test_means[key] = float(scores.mean[0])
        return self._test_means[key]


def configs(job: Job, task: ControlTask) -> list[SearchConfig]:
    """Return the configuration of each search of a run."""
    group = GROUPS[job.group]
    setting = group.settings[job.setting]
    layers = [("the card", task.card.search), (job.group, group.base)]
    if setting.preset:
        of_card = task.card.presets.get(setting.preset, {})
        layers += [(setting.preset, preset_named(setting.preset)), (setting.preset, of_card)]
    layers.append((job.setting, setting.changes))
    config = search_config([*layers, ("here", {"task": job.task, "generations": 10_000_000})])
    return [
        config.replace(seed=job.seed + SEED_STRIDE * index) for index in range(setting.searches)
    ]


def play(job: Job) -> Played:
    """Return the finished run."""
    task = load_task(job.task)
    started = time.process_time()
    with LocalEvaluator(task, workers=1) as evaluator:
        contest = Contest(job, task, evaluator)
        contest.run()
        row = {
            "setting": job.setting,
            "seed": job.seed,
            "score": contest.score(),
            "validation": contest.champion.mean,
            "connections": contest.champion.topology.num_connections,
            "generations": sum(each.generation for each in contest.searches),
            "steps": contest.used,
            "core_seconds": round(time.process_time() - started, 1),
        }
    return Played(row, contest.curve)


class Publication:
    """The folder of a comparison: the runs that are finished, and what is written of them."""

    def __init__(self, folder: Path, job: Job, command: str) -> None:
        """Take over what the folder holds.

        job: any of the comparison. Raises ValueError when the runs there had another budget.
        """
        import pandas

        self.folder = folder
        self.job = job
        self.command = command
        self.runs = self.curves = pandas.DataFrame()
        if (folder / "runs.csv").exists():
            self.runs = pandas.read_csv(folder / "runs.csv")
            self.curves = pandas.read_csv(folder / "curves.csv")
            budget = self.curves["steps"].max()
            if not np.isclose(budget, job.steps):
                raise ValueError(
                    f"runs of {job.steps:g} steps were asked for, but those in {folder} have "
                    f"{budget:g}; name another --out"
                )

    def holds(self, job: Job) -> bool:
        """Return whether this run is finished."""
        if self.runs.empty:
            return False
        return bool(((self.runs["setting"] == job.setting) & (self.runs["seed"] == job.seed)).any())

    def add(self, played: Played) -> None:
        """Take one more run and write everything anew."""
        import pandas

        steps = self.job.steps * np.arange(1, NUM_POINTS + 1) / NUM_POINTS
        named = {name: played.row[name] for name in ("setting", "seed")}
        curve = pandas.DataFrame({**named, "steps": steps, "score": played.curve})
        self.runs = self._ordered([self.runs, pandas.DataFrame([played.row])])
        self.curves = self._ordered([self.curves, curve])
        self.folder.mkdir(parents=True, exist_ok=True)
        self.runs.to_csv(self.folder / "runs.csv", index=False)
        self.curves.to_csv(self.folder / "curves.csv", index=False, float_format="%.6g")
        self.write()

    def _ordered(self, frames: list[DataFrame]) -> DataFrame:
        """Return the rows of all frames, by the group's order of settings, seed and steps."""
        import pandas

        order = list(GROUPS[self.job.group].settings)
        whole = pandas.concat([each for each in frames if not each.empty])
        return whole.sort_values(
            ["setting", "seed", "steps"],
            key=lambda column: column.map(order.index) if column.name == "setting" else column,
        )

    def write(self) -> None:
        """Write table.md and curves.svg."""
        made = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
        text = (
            f"{table(self.runs, self.job)}\nMade by `{self.command}`: Python "
            f"{platform.python_version()}, {made}, {platform.machine()}.\n\n"
            "![scores over the budget](curves.svg)\n"
        )
        (self.folder / "table.md").write_text(text)
        draw(self.curves, self.job, self.folder / "curves.svg")


def table(runs: DataFrame, job: Job) -> str:
    """Return the comparison as a Markdown table, best median first."""
    first = next(iter(GROUPS[job.group].settings))
    scores = runs.pivot(index="seed", columns="setting", values="score")
    rows = []
    for setting, of in runs.groupby("setting"):
        low, median, high = np.percentile(of["score"], [25, 50, 75])
        rows.append(
            (median, f"| {setting} | {median:.0f} | {low:.0f} to {high:.0f} | "
             f"{of['score'].min():.0f} | {of['score'].mean():.0f} | "
             f"{difference(scores, str(setting), first)} | {of['connections'].median():.0f} | "
             f"{of['generations'].median():.0f} | {of['core_seconds'].median() / 60:.1f} | "
             f"{len(of)} |")
        )  # fmt: skip
    head = (
        f"Task {job.task}, {job.steps:.3g} environment steps a run. The score of a run is its "
        f"champion's mean return over the six shared weights in {TEST_EPISODES} test episodes for "
        f"each, which selection never saw; a champion has at most {job.connections} connections. "
        f'Differences are of means, over the seeds that a setting shares with "{first}", with '
        "Student's 95 % interval; connections, generations and core minutes are medians.\n\n"
        f"| setting | median | quartiles | worst | mean | less {first} | connections | "
        "generations | core minutes | seeds |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
    )
    return head + "\n".join(row for _, row in sorted(rows, reverse=True)) + "\n"


def difference(scores: DataFrame, setting: str, first: str) -> str:
    """Return the mean difference between two settings over common seeds, with its interval.

    scores: a row a seed, a column a setting. Empty without two common seeds.
    """
    from scipy import stats

    if setting == first or first not in scores:
        return ""
    pairs = (scores[setting] - scores[first]).dropna()
    if len(pairs) < 2:
        return ""
    interval = stats.ttest_1samp(pairs, 0.0).confidence_interval()
    return f"{pairs.mean():+.0f} ({interval.low:+.0f} to {interval.high:+.0f})"


def draw(curves: DataFrame, job: Job, path: Path) -> None:
    """Draw the median curve of each setting with its quartiles."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "wann"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 5.5), layout="constrained")
    for place, (setting, of) in enumerate(curves.groupby("setting", sort=False)):
        scores = of.pivot(index="seed", columns="steps", values="score")
        low, median, high = np.percentile(scores, [25, 50, 75], axis=0)
        steps = scores.columns
        (line,) = axes.plot(
            steps, median, label=f"{setting} (n = {len(scores)})", lw=1.2 if place else 2.4
        )
        axes.fill_between(steps, low, high, color=line.get_color(), alpha=0.08, lw=0)
    axes.set_xlabel("environment steps")
    axes.set_ylabel(f"test mean return, at most {job.connections} connections")
    axes.set_title(f"{job.task}: median and quartiles over seeds")
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, loc="lower right")
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def main() -> None:
    """Make the runs that the command line asks for, and write the comparison."""
    parser = argparse.ArgumentParser(description="compare settings of the search on one task")
    parser.add_argument("--task", default="wann/SwingUp-v0")
    parser.add_argument("--group", choices=list(GROUPS), required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=float, default=1e10)
    parser.add_argument("--connections", type=int, default=52)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="settings of the group")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    names = list(GROUPS[asked.group].settings)
    unknown = [each for each in asked.only or [] if each not in names]
    if unknown:
        parser.error(f"--only must name settings of {asked.group}, {names}, not {unknown}")
    jobs = [
        Job(asked.task, asked.group, setting, seed, asked.steps, asked.connections)
        for seed in range(1, asked.seeds + 1)  # the outer loop: seeds are compared in pairs
        for setting in asked.only or names
    ]
    publication = Publication(asked.out, jobs[0], "python " + shlex.join(sys.argv))
    with ProcessPoolExecutor(asked.processes) as pool:
        missing = [pool.submit(play, job) for job in jobs if not publication.holds(job)]
        for each in as_completed(missing):
            publication.add(each.result())
            print(each.result().row, file=sys.stderr, flush=True)
    publication.write()
    print((asked.out / "table.md").read_text())


if __name__ == "__main__":
    main()
