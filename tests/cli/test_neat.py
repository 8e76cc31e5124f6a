"""`wann-search --algorithm neat` and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands import TINY, Run

NEAT = ("--algorithm=neat", *(each for each in TINY if not each.startswith("--tournament")))


def test_a_run_of_neat_python_says_what_it_is(folder: Path, bare_search: Run, wann: Run) -> None:
    ended = bare_search(*NEAT, "--json")
    assert ended.code == 0
    data = json.loads(ended.out)
    assert data["run"].startswith("CartPole-v1-neat-s0-")
    assert data["champion"]["weight"] is None
    assert data["champion"]["scores"]["test"]["episodes"] == 2
    assert ended.err.count("NEAT by neat-python: weights evolved, no shared weight") == 2
    assert "2 episodes, with weights of its own, which selection never saw" in ended.err
    shown = wann("show", data["run"])
    assert "NEAT by neat-python" in shown.out
    assert "one a link" in shown.out
    again = bare_search(*NEAT)
    assert "is finished: it has 3 generations" in again.err


def test_a_run_of_neat_python_goes_on(folder: Path, bare_search: Run) -> None:
    name = json.loads(bare_search(*NEAT, "--json", "--quiet").out)["run"]
    longer = bare_search("--resume", name, "--generations=5", "--json")
    assert json.loads(longer.out)["resumed_at"] == 3


def test_its_budget_of_episodes_is_that_of_a_search_of_ours(folder: Path, bare_search: Run) -> None:
    bare_search("--algorithm=neat", "--generations=1", "--population=3", "--test-episodes=2",
                "--quiet")  # fmt: skip
    (config,) = folder.glob("results/runs/*/config.toml")
    text = config.read_text()
    assert "episodes = 24\n" in text  # the card's 4 under 6 weights each
    assert "validation_episodes = 192\n" in text


def test_seeds_of_neat_python_are_summarised(folder: Path, bare_search: Run) -> None:
    ended = bare_search(*NEAT, "--seeds=1-2")
    assert ended.code == 0
    assert "lower quartile" in ended.err


def test_a_run_of_neat_python_starts_from_its_own_config_file(
    folder: Path, bare_search: Run
) -> None:
    name = json.loads(bare_search(*NEAT, "--json", "--quiet").out)["run"]
    ended = bare_search(f"--config=results/runs/{name}/config.toml", "--json")
    assert json.loads(ended.out)["run"] == name
    assert "is finished" in ended.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--algorithm=neet"], "no algorithm 'neet'; did you mean 'neat'? (wann or neat)"),
        (["--preset=gaier2019"], "--preset has no meaning for --algorithm neat, but 'gaier2019'"),
        (["--start=x.json"], "--start has no meaning for --algorithm neat, but 'x.json' was given"),
        (["--objectives=mean"], "objectives has no meaning for algorithm 'neat', but the command"),
        (["--weights=1"], "weights has no meaning for algorithm 'neat', but the command line"),
        (["--tournament=3"], "tournament has no meaning for algorithm 'neat', but the command"),
    ],
)
def test_what_has_no_meaning_for_neat_python_is_refused_by_name(
    folder: Path, bare_search: Run, options: list[str], message: str
) -> None:
    first = [] if options[0].startswith("--algorithm") else ["--algorithm=neat"]
    ended = bare_search(*first, *options)
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err
    assert ended.err.count("\n") == 1
    assert not (folder / "results").exists()
