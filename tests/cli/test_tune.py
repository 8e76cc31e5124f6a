"""`wann tune`: from a network to its tuned weights, as a user sees it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from networks import random_network

from tests.cli.test_evaluate import network
from tests.commands import Run
from wann.gradient_tuning import GradientTuning
from wann.network import Network, load_network
from wann.tuning import Tuning

FEW = (
    "--generations=2", "--population=4", "--episodes=1", "--validation-episodes=2",
    "--test-episodes=2", "--workers=1",
)  # fmt: skip


def test_a_tuned_network_is_saved_and_evaluated(folder: Path, wann: Run) -> None:
    network().save(folder / "net.json")
    ended = wann("tune", "net.json", *FEW)
    assert (ended.code, ended.out) == (0, "")
    for words in (
        "looking for the best shared weight",
        "generation 2/2  best ",
        "CartPole-v1: 6 weights tuned, 2 generations",
        "measured in Gymnasium in 2 test episodes, which tuning never saw",
        "file   net-tuned.json",
        "next   wann evaluate net.json",
    ):
        assert words in ended.err
    tuned = load_network(folder / "net-tuned.json")
    assert np.asarray(tuned.weights).shape == (6,)
    data = json.loads(wann("evaluate", "net.json", "--episodes=2", "--sweep=2", "--json").out)
    assert data["settings"]["tuned"]["mean"] == tuned.scores["test"]["mean"]
    assert tuned.scores["best_shared"]["weight"] in data["sweep"]["weights"]
    assert "tuned weights: mean return " in wann("show", "net-tuned.json").out


def test_a_run_keeps_its_tuned_network(folder: Path, search: Run, wann: Run) -> None:
    search("--quiet")
    (run,) = (folder / "results" / "runs").iterdir()
    before = (run / "champion.json").read_bytes()
    ended = wann("tune", run.name, *FEW, "--json", "--quiet")
    assert (ended.code, ended.err) == (0, "")
    data = json.loads(ended.out)
    assert data["scores"] == load_network(run / "tuned.json").scores
    assert data["made_by"]["from"]["seed"] == 0
    assert (run / "champion.json").read_bytes() == before
    shown = wann("show", run.name).out
    mean = data["scores"]["test"]["mean"]
    assert f"tuned weights: mean return {mean:.1f} in 2 test episodes (best shared weight" in shown
    network().save(run / "tuned.json")  # of another network
    assert "tuned weights" not in wann("show", run.name).out


def test_a_tuning_that_is_stopped_says_so_and_goes_on(
    folder: Path, wann: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    network().save(folder / "net.json")
    wann("tune", "net.json", *FEW)
    whole = (folder / "net-tuned.json").read_bytes()
    for each in folder.glob("net-*"):
        each.unlink()
    real = Tuning._next

    def stops(self, state, player):
        if state.generation == 1:
            raise KeyboardInterrupt
        return real(self, state, player)

    monkeypatch.setattr(Tuning, "_next", stops)
    ended = wann("tune", "net.json", *FEW)
    assert ended.code == 130
    assert ended.err.endswith("stopped; the same command goes on\n")
    assert not (folder / "net-tuned.json").exists()
    monkeypatch.setattr(Tuning, "_next", real)
    ended = wann("tune", "net.json", *FEW)
    assert "looking for the best shared weight" not in ended.err
    assert (folder / "net-tuned.json").read_bytes() == whole


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name what to tune: a run, a network's JSON or a .out file"),
        (
            ("net.json", "--method=cmaes"),
            "no method 'cmaes'; did you mean 'cma'? (there are cma, adam)",
        ),
        (("net.json", "--generations=-1"), "generations must be between 0 and 1,000,000, but -1"),
        (("net.json", "--time-limit=-1"), "--time-limit must be at least 0, but -1.0 was given"),
        (("net.json", "--task=Acrobot-v1"), "'net.json' is a network for task 'CartPole-v1', not"),
        (("empty.json",), "the network has no connections, so there are no weights to tune"),
        (
            ("digits.json", "--method=cma"),
            "method 'cma' needs an environment to play in, but task ",
        ),
        (
            ("net.json", "--method=adam"),
            "method 'adam' needs images to learn from, but task 'CartP",
        ),
        (("net.json", "--epochs=3"), "--epochs is for method 'adam', but this tuning is by 'cma'"),
        (("digits.json", "--episodes=3"), "--episodes is for method 'cma', but this tuning is by"),
        (("digits.json", "--batch=2000"), "batch must be at most the number of training images, "),
    ],
)
def test_what_cannot_be_tuned_is_refused_in_one_line(
    folder: Path, wann: Run, arguments: tuple[str, ...], message: str
) -> None:
    from tests.cli.test_tables import small_topology
    from wann.genome import minimal_genome
    from wann.topology import compile

    network().save(folder / "net.json")
    dataclasses.replace(network(), topology=small_topology(0)).save(folder / "empty.json")
    topology = compile(minimal_genome(64, 10, np.ones(650, dtype=bool)))
    Network(topology, 1.0, task="digits", action="softmax").save(folder / "digits.json")
    ended = wann("tune", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"wann tune: error: {message}")
    assert ended.err.count("\n") == 1


def test_the_result_never_replaces_what_it_came_from(folder: Path, search: Run, wann: Run) -> None:
    search("--quiet")
    (run,) = (folder / "results" / "runs").iterdir()
    wann("tune", run.name, *FEW)
    before = (run / "tuned.json").read_bytes()
    ended = wann("tune", str(run / "tuned.json"), *FEW)
    assert ended.code == 2
    assert "the result would replace" in ended.err
    assert (run / "tuned.json").read_bytes() == before


def test_a_damaged_state_is_told_in_one_line(folder: Path, wann: Run) -> None:
    network().save(folder / "net.json")
    wann("tune", "net.json", *FEW)
    (state,) = folder.glob("net-tuning-*.safetensors")
    state.write_bytes(state.read_bytes()[:200])
    ended = wann("tune", "net.json", *FEW)
    assert ended.code == 2
    assert f"{state.name}: no state of this tuning: damaged or truncated" in ended.err
    assert ended.err.endswith("; remove the file to begin anew\n")
    assert ended.err.count("\n") == 1


def digits_network() -> Network:
    return Network(random_network(64, 10, 8, 120, seed=3).topology, 1.0, "digits", action="softmax")


def test_a_network_for_images_is_tuned_by_gradient_and_evaluated(folder: Path, wann: Run) -> None:
    digits_network().save(folder / "net.json")
    ended = wann("tune", "net.json", "--epochs=2")
    assert (ended.code, ended.out) == (0, "")
    for words in (
        "looking for the best shared weight",
        "epoch 2/2  cross-entropy ",
        "weights tuned, 2 epochs, best after ",
        "on 359 test images, which tuning never saw",
        "file   net-tuned.json",
    ):
        assert words in ended.err
    tuned = load_network(folder / "net-tuned.json")
    data = json.loads(wann("evaluate", "net.json", "--episodes=2", "--sweep=2", "--json").out)
    assert data["settings"]["tuned"]["mean"] == tuned.scores["test"]["accuracy"]
    best = tuned.scores["best_shared"]
    assert best["weight"] in data["sweep"]["weights"]
    shown = wann("show", "net-tuned.json").out
    wanted = f"{tuned.scores['test']['accuracy']:.1%} on 359 test images"
    assert f"tuned weights: accuracy {wanted} (best shared weight {best['weight']:g}: " in shown
    assert wann("export", "net-tuned.json", "--format=torch", "--to=model").code == 0


def test_images_are_looked_for_where_the_user_says(folder: Path, wann: Run) -> None:
    Network(random_network(256, 10, 8, 120, seed=3).topology, 1.0, "mnist", action="softmax").save(
        folder / "net.json"
    )
    (folder / "there" / "mnist").mkdir(parents=True)
    (folder / "there" / "mnist" / "train-images-idx3-ubyte.gz").touch()
    ended = wann("tune", "net.json", "--data-dir=there", "--epochs=1")
    assert ended.code == 2
    assert "there/mnist" in ended.err
    assert ended.err.count("\n") == 1


def test_a_gradient_tuning_that_is_stopped_goes_on(
    folder: Path, wann: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    digits_network().save(folder / "net.json")
    wann("tune", "net.json", "--epochs=3")
    whole = (folder / "net-tuned.json").read_bytes()
    for each in folder.glob("net-*"):
        each.unlink()
    real = GradientTuning._next

    def stops(self, state, epochs):
        if state.epoch == 2:
            raise KeyboardInterrupt
        return real(self, state, epochs)

    monkeypatch.setattr(GradientTuning, "_next", stops)
    ended = wann("tune", "net.json", "--epochs=3")
    assert ended.code == 130
    assert ended.err.endswith("stopped; the same command goes on\n")
    monkeypatch.setattr(GradientTuning, "_next", real)
    ended = wann("tune", "net.json", "--epochs=3")
    assert "looking for the best shared weight" not in ended.err
    assert (folder / "net-tuned.json").read_bytes() == whole
