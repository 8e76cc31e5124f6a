"""`wann evaluate`: the four settings and the sweep, as a user sees them."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.test_tables import small_topology
from tests.commands import Run
from wann.evaluation import LocalEvaluator
from wann.network import Network, load_network
from wann.rollout.episodes import rollout_episodes
from wann.seeding import Purpose, episode_seeds
from wann.tasks import load_task
from wann.topology import Topologies

FEW = ("--episodes=3", "--sweep=3", "--sweep-episodes=2", "--workers=1")


def network(**changes) -> Network:
    found = Network(small_topology(6), 1.5, task="CartPole-v1", action="argmax")
    return dataclasses.replace(found, **changes)


def test_the_settings_are_printed_with_their_numbers(folder: Path, wann: Run) -> None:
    network().save(folder / "net.json")
    ended = wann("evaluate", "net.json", *FEW)
    assert ended.code == 0
    for words in (
        "CartPole-v1: 6 connections, 0 hidden nodes",
        "3 test episodes in each setting, in Gymnasium",
        "random shared",
        "best shared",
        "95 % interval of mean",
        "no tuned weights yet: `wann tune net.json` finds them",
        "in 2 validation episodes each: the best is",
        "files  net-sweep.csv, net-sweep.svg",
    ):
        assert words in ended.out
    assert "Gaier" not in ended.out  # who report nothing of this task
    assert (folder / "net-sweep.svg").read_text().startswith("<?xml")


def test_json_holds_all_numbers_and_nothing_else(folder: Path, wann: Run) -> None:
    network().save(folder / "net.json")
    ended = wann("evaluate", "net.json", *FEW, "--json", "--seed=5")
    data = json.loads(ended.out)
    best = data["settings"]["best_shared"]
    assert data["sweep"]["best_weight"] == best["weight"]
    seeds = episode_seeds(5, Purpose.TEST, 0, 3)
    alone = Topologies.stack([network().topology])
    returns, _ = rollout_episodes(
        load_task("CartPole-v1"), alone, np.array([best["weight"]]), seeds
    )
    assert best["mean"] == returns.mean()
    assert best["deviation"] == returns.std()
    with (folder / "net-sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["weight"]) for row in rows] == data["sweep"]["weights"]
    assert [float(row["mean"]) for row in rows] == data["sweep"]["mean"]
    validation = episode_seeds(5, Purpose.VALIDATION, 0, 2)
    with LocalEvaluator(load_task("CartPole-v1"), 1) as evaluator:
        scores = evaluator.evaluate(alone, np.array(data["sweep"]["weights"]), validation)
    assert scores.by_weight[0].tolist() == data["sweep"]["mean"]


def test_the_paper_stands_apart_from_what_was_measured(folder: Path, wann: Run) -> None:
    weights = np.zeros(2)
    found = Network(_one_output(), weights, task="wann/SwingUp-v0", action="clip")
    found.save(folder / "net.json")
    ended = wann("evaluate", "net.json", *FEW)
    assert "Gaier & Ha 2019" in ended.out
    assert "932 ± 6" in ended.out
    data = json.loads(wann("evaluate", "net.json", *FEW, "--json").out)
    assert data["gaier_ha_2019"]["settings"]["tuned"] == {"mean": 932.0, "deviation": 6.0}
    assert list(data["settings"]) == ["random", "random_shared", "best_shared", "tuned"]


def _one_output():
    from wann.genome import minimal_genome
    from wann.topology import compile

    return compile(minimal_genome(5, 1, np.array([True, True, False, False, False, False])))


def test_a_run_is_evaluated_in_its_folder_with_its_tuned_weights(
    folder: Path, search: Run, wann: Run
) -> None:
    search("--quiet")
    (run,) = (folder / "results" / "runs").iterdir()
    champion = load_network(run / "champion.json")
    own = dataclasses.replace(champion, weights=np.ones(champion.topology.num_connections))
    own.save(run / "tuned.json")
    data = json.loads(wann("evaluate", run.name, *FEW, "--json").out)
    assert "tuned" in data["settings"]
    assert (run / "sweep.csv").exists()
    assert champion.shared_weight in data["sweep"]["weights"]
    network(task="CartPole-v1").save(run / "tuned.json")
    ended = wann("evaluate", run.name, *FEW, "--json", "--out=elsewhere")
    assert "tuned" not in json.loads(ended.out)["settings"]
    assert (folder / "elsewhere" / f"{run.name}-sweep.csv").exists()
    network().save(run / "tuned.json")
    ended = wann("evaluate", run.name, *FEW)
    assert "is of another network, so it is left out" in ended.err


def test_one_episode_has_no_interval(folder: Path, wann: Run) -> None:
    network().save(folder / "net.json")
    data = json.loads(wann("evaluate", "net.json", *FEW, "--episodes=1", "--json").out)
    assert [each["interval"] for each in data["settings"].values()] == [None] * 3


def test_images_are_judged_by_accuracy(folder: Path, wann: Run) -> None:
    from wann.genome import minimal_genome
    from wann.topology import compile

    topology = compile(minimal_genome(64, 10, np.ones(650, dtype=bool)))
    weights = np.random.default_rng(0).normal(size=650)
    Network(topology, weights, task="digits", action="softmax").save(folder / "net.json")
    few = ("--episodes=2", "--sweep=3")
    data = json.loads(wann("evaluate", "net.json", *few, "--json").out)
    test = load_task("digits").data.test
    right = (
        Network(topology, weights)(test.images.astype(np.float64)).argmax(axis=1) == test.labels
    ).mean()
    assert data["settings"]["tuned"]["mean"] == pytest.approx(right, abs=0.01)
    assert np.shape(data["classes"]["accuracy"]) == (10, 3)
    # all outputs are equal under a shared weight, so that the answer is always the first class
    assert data["ensemble"]["majority"] == (test.labels == 0).mean()
    ended = wann("evaluate", "net.json", *few)
    assert "ensemble of 6 shared weights" in ended.out
    assert "net-sweep.csv, net-sweep.svg, net-classes.svg" in ended.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name what to evaluate: a run, a network's JSON or a .out file"),
        (("none",), "no run 'none' (looked in results/runs)"),
        (("none.json",), "no network file 'none.json'"),
        (("net.json", "--episodes=0"), "--episodes must be between 1 and 1,000,000, but 0 was"),
        (("net.json", "--sweep=1"), "--sweep must be between 2 and 10,001, but 1 was given"),
        (("net.json", "--low=2"), "--low must be below --high, but they are 2 and 2"),
        (("net.json", "--low=nan"), "--low must be below --high, but they are nan and 2"),
        (("net.json", "--task=Acrobot-v1"), "'net.json' is a network for task 'CartPole-v1', not"),
        (("net.json", "--out=net.json"), "--out must be a folder, but 'net.json' is a file"),
        (("net.json", "--sweeps=3"), "no option '--sweeps'; did you mean '--sweep'?"),
        (("nameless.json",), "'nameless.json' names no task; add --task ID"),
        (
            ("nameless.json", "--task=Pendulum-v1"),
            "task 'Pendulum-v1' needs networks of 3 inputs and 1 outputs, but this one has 4 and 2",
        ),
    ],
)
def test_what_cannot_be_evaluated_is_refused_in_one_line(
    folder: Path, wann: Run, arguments: tuple[str, ...], message: str
) -> None:
    network().save(folder / "net.json")
    network(task="").save(folder / "nameless.json")
    ended = wann("evaluate", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"wann evaluate: error: {message}")
    assert ended.err.count("\n") == 1
