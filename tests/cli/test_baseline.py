"""`wann baseline`: the network file it writes, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands import Run
from wann.network import load_network


def test_the_network_of_the_paper_is_written_for_its_task(folder: Path, wann: Run) -> None:
    ended = wann("baseline", "fixed", "--task=wann/SwingUp-v0", "--to=fixed.json")
    assert (ended.code, ended.out) == (0, "")
    assert "fixed topology 5-10-1 for wann/SwingUp-v0: 71 connections" in ended.err
    network = load_network(folder / "fixed.json")
    assert (network.task, network.action, network.shared_weight) == ("wann/SwingUp-v0", "clip", 1.0)
    assert wann("show", "fixed.json").code == 0


def test_layers_and_activations_can_be_given(folder: Path, wann: Run) -> None:
    ended = wann(
        "baseline", "fixed", "--task=CartPole-v1", "--hidden=3,2", "--activation=relu",
        "--output-activation=linear", "--to=x.json",
    )  # fmt: skip
    assert ended.code == 0
    network = load_network(folder / "x.json")
    assert network.topology.num_connections == 5 * 3 + 4 * 2 + 3 * 2
    assert network.topology.activations.tolist() == [1] * 5 + [9] * 5 + [1, 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "name the baseline: `wann baseline fixed --task ID --to FILE`"),
        (["fixd"], "no baseline 'fixd'; did you mean 'fixed'?"),
        (["fixed"], "name the task that the network is for: --task ID"),
        (["fixed", "--task=CartPole-v1"], "--to must be the name of a file that ends in .json"),
        (["fixed", "--task=CartPole-v1", "--to=no/x.json"], "there is no folder 'no'"),
        (["fixed", "--task=CartPole-v1", "--to=x.json"], "--hidden must give the hidden layers'"),
        (["fixed", "--task=CartPol-v1", "--to=x.json"], "did you mean 'CartPole-v1'?"),
        (
            ["fixed", "--task=CartPole-v1", "--hidden=4,x", "--to=x.json"],
            "--hidden must be whole numbers of nodes, such as 10 or 40,40, not 'x'",
        ),
        (
            ["fixed", "--task=CartPole-v1", "--hidden=4", "--activation=tan", "--to=x.json"],
            "no activation 'tan'; did you mean 'tanh'?",
        ),
    ],
)
def test_what_cannot_be_written_is_refused_in_one_line(
    folder: Path, wann: Run, options: list[str], message: str
) -> None:
    ended = wann("baseline", *options)
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err
    assert ended.err.count("\n") == 1
    assert list(folder.iterdir()) == []
