"""`wann show`: the table and the picture of a network."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.test_tables import small_topology
from tests.commands import Run
from wann.cli.show import formula, is_summary
from wann.export.graph import node_names
from wann.network import Network

OUT = """\
0,0,0,1,1
0,0,0,0,1
0,0,0,0,1
0,0,0,0,5
"""  # bias -> output; two inputs, one of them linked to nothing


def network(enabled: int = 3) -> Network:
    return Network(small_topology(enabled), 1.5, task="CartPole-v1", action="argmax")


def test_a_run_shows_its_champion_and_its_picture(folder: Path, search: Run, wann: Run) -> None:
    search("--quiet")
    (run,) = (folder / "results" / "runs").iterdir()
    (run / "champion.svg").unlink()
    ended = wann("show", run.name)
    assert (ended.code, ended.err) == (0, "")
    assert "network for CartPole-v1" in ended.out
    assert "mean return in test episodes" in ended.out
    assert str(Path("results") / "runs" / run.name / "champion.svg") in ended.out
    assert (run / "champion.svg").read_text().startswith("<")


def test_a_network_file_is_drawn_here_or_where_one_says(folder: Path, wann: Run) -> None:
    (folder / "theirs").mkdir()
    network().save(folder / "theirs" / "net.json")
    assert wann("show", "theirs/net.json").code == 0
    assert [each.name for each in (folder / "theirs").iterdir()] == ["net.json"]
    assert wann("show", "theirs/net.json", "--svg", "there.svg").code == 0
    assert (folder / "there.svg").read_text() == (folder / "net.svg").read_text()


def test_a_network_file_of_a_run_is_drawn_beside_it(folder: Path, search: Run, wann: Run) -> None:
    search("--quiet")
    (champion,) = folder.glob("results/runs/*/champion.json")
    champion.with_suffix(".svg").unlink()
    assert wann("show", str(champion)).code == 0
    assert champion.with_suffix(".svg").exists()


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (".", "--svg must be the name of a file that ends in .svg, not '.'"),
        ("x.png", "--svg must be the name of a file that ends in .svg, not 'x.png'"),
        ("folder.svg", "--svg must be the name of a file that ends in .svg, not 'folder.svg'"),
        ("none/x.svg", "--svg 'none/x.svg' cannot be written: there is no folder 'none'"),
        ("", "--svg: a value was wanted, but '' was given; leave it out for the default"),
    ],
)
def test_a_picture_without_a_place_is_refused(
    folder: Path, wann: Run, picture: str, message: str
) -> None:
    network().save(folder / "net.json")
    (folder / "folder.svg").mkdir()
    ended = wann("show", "net.json", "--svg", picture)
    assert (ended.code, ended.out, ended.err) == (2, "", f"wann show: error: {message}\n")


def test_a_picture_that_cannot_be_written_is_told_in_one_line(folder: Path, wann: Run) -> None:
    network().save(folder / "net.json")
    ended = wann("show", "net.json", "--svg", "/proc/x.svg")
    assert ended.code == 1
    assert ended.err.startswith(
        "wann show: error: the picture cannot be written to '/proc/x.svg': "
    )
    assert ended.err.endswith("; --svg chooses another place\n")


def test_a_picture_never_replaces_its_network(folder: Path, wann: Run) -> None:
    network().save(folder / "net.svg")
    before = (folder / "net.svg").read_bytes()
    ended = wann("show", "net.svg")
    assert ended.code == 2
    assert "the picture would replace 'net.svg'; --svg names another file" in ended.err
    assert (folder / "net.svg").read_bytes() == before


def test_the_task_of_a_json_cannot_be_another(folder: Path, wann: Run) -> None:
    network().save(folder / "net.json")
    assert wann("show", "net.json", "--task", "CartPole-v1").code == 0
    ended = wann("show", "net.json", "--task", "Acrobot-v1")
    assert (ended.code, ended.out) == (2, "")
    assert "'net.json' is for task 'CartPole-v1', not 'Acrobot-v1'; leave it out" in ended.err
    dataclasses.replace(network(), task="").save(folder / "net.json")
    assert "'net.json' names no task" in wann("show", "net.json", "--task", "CartPole-v1").err


def test_a_reference_file_is_refused_for_another_task(folder: Path, wann: Run) -> None:
    (folder / "net.out").write_text(OUT)
    ended = wann("show", "net.out", "--task", "BipedalWalker-v3")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.count("\n") == 1


def test_names_that_steer_a_terminal_are_refused(folder: Path, wann: Run) -> None:
    content = json.loads(network().to_json())
    (folder / "net.json").write_text(json.dumps(content | {"task": "\x1b]0;owned\x07"}))
    ended = wann("show", "net.json")
    assert (ended.code, ended.out) == (2, "")
    assert "task must be printable text, but it has '\\x1b'" in ended.err
    assert "\x1b" not in ended.err


def test_what_made_a_network_is_shown_only_as_a_number(folder: Path, wann: Run) -> None:
    made = dataclasses.replace(network(), made_by={"generation": "\x1b[2J"})
    made.save(folder / "net.json")
    ended = wann("show", "net.json")
    assert ended.code == 0
    assert "\x1b" not in ended.out


def test_an_out_file_needs_a_task(folder: Path, wann: Run) -> None:
    (folder / "net.out").write_text(OUT)
    ended = wann("show", "net.out")
    assert (ended.code, ended.out) == (2, "")
    assert "add --task ID" in ended.err
    ended = wann("show", "net.out", "--task", "MountainCarContinuous-v0")
    assert ended.code == 0
    assert "network for MountainCarContinuous-v0" in ended.out
    assert "tanh(w bias)" in ended.out


def test_a_large_network_is_left_to_the_picture(
    folder: Path, wann: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    network().save(folder / "net.json")
    assert "layer by layer" in wann("show", "net.json").out
    monkeypatch.setattr("wann.cli.show.MAX_SHOWN_NODES", 3)
    assert "layer by layer" not in wann("show", "net.json").out


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.json", None, "no network file 'none.json'"),
        ("none", None, "no run 'none'"),
        ("empty.json", "", "empty.json is not a usable network file"),
        ("text.json", "{", "text.json is not a usable network file"),
    ],
)
def test_what_is_no_network_is_refused_in_one_line(
    folder: Path, wann: Run, name: str, content: str | None, message: str
) -> None:
    if content is not None:
        (folder / name).write_text(content)
    ended = wann("show", name)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"wann show: error: {message}")
    assert ended.err.count("\n") == 1


def test_a_run_without_a_champion_says_what_there_is(folder: Path, search: Run, wann: Run) -> None:
    search("--quiet")
    (run,) = (folder / "results" / "runs").iterdir()
    (run / "champion.json").unlink()
    ended = wann("show", run.name)
    assert (ended.code, ended.out) == (2, "")
    assert f"run {run.name} has no champion yet: 3 of 3 generations are saved; " in ended.err
    assert f"`wann-search --resume {run.name}` goes on" in ended.err
    next((folder / "populations").iterdir()).unlink()
    ended = wann("show", run.name)
    assert ended.code == 2
    assert f"run {run.name} has no champion and no checkpoint yet" in ended.err
    (run / "config.toml").unlink()
    assert "holds no run: config.toml is missing" in wann("show", run.name).err


def test_show_needs_a_name(wann: Run) -> None:
    ended = wann("show")
    assert ended.code == 2
    assert ended.err.count("\n") == 1


def test_formulas_name_the_nodes_and_the_weights() -> None:
    shared = network(4)
    names = node_names(shared)
    nodes = shared.topology.outputs.tolist()
    assert [formula(shared, node, names) for node in nodes] == [
        "linear(w (bias + input 1))",
        "linear(w (bias + input 1))",
    ]
    own = dataclasses.replace(shared, weights=np.array([0.5, -1.0, 2.0, 0.0]))
    assert formula(own, nodes[0], names) == "linear(0.5 bias + -1 input 1)"


@pytest.mark.parametrize(
    "scores", [None, 3, {}, {"weights": [1.0]}, {"weights": ["a"], "mean_by_weight": [1.0]}]
)
def test_scores_of_another_kind_are_left_out(scores: object) -> None:
    assert not is_summary(scores)
