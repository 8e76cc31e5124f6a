"""Tests of wann.run_files: a run's name, its folder, and the files that say what it is."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import gymnasium
import pytest
from gymnasium.envs.classic_control.cartpole import CartPoleEnv
from networks import random_network

from wann.config import SearchConfig
from wann.run import Run
from wann.run_files import RunFolder, RunSpec, describe, find_run, read_meta, read_spec
from wann.tasks import Card, load_task

CONFIG = SearchConfig(
    task="CartPole-v1", seed=7, generations=1, population=8, weights="uniform:-2:2:3",
    activations=("tanh", "cos"),
)  # fmt: skip
TASK = load_task("CartPole-v1")
SPEC = RunSpec(CONFIG, TASK.card)


def described(root: Path, spec: RunSpec = SPEC) -> RunFolder:
    """Return the folder of a run that has only been described."""
    paths = RunFolder(root, spec.name)
    paths.create()
    describe(spec, TASK, paths, ["wann-search"])
    return paths


def test_a_name_tells_task_and_seed_and_is_a_folders() -> None:
    assert SPEC.name == f"CartPole-v1-s7-{SPEC.digest}"
    spec = RunSpec(CONFIG, Card("my_envs:mine/Cart-v3"))
    assert spec.name.startswith("my_envs-mine-Cart-v3-s7-")


def test_only_the_number_of_generations_leaves_the_digest_as_it_is() -> None:
    longer = dataclasses.replace(SPEC, config=CONFIG.replace(generations=500))
    assert longer.digest == SPEC.digest
    others = [
        dataclasses.replace(SPEC, config=CONFIG.replace(population=9)),
        dataclasses.replace(SPEC, card=dataclasses.replace(TASK.card, max_steps=9)),
        dataclasses.replace(SPEC, start=random_network(4, 2, 3, 8, seed=0)),
    ]
    assert len({each.digest for each in (SPEC, *others)}) == 4


@pytest.mark.parametrize("has_start", [False, True])
def test_a_spec_survives_its_file(tmp_path: Path, has_start: bool) -> None:
    start = random_network(4, 2, 3, 8, seed=0) if has_start else None
    spec = dataclasses.replace(SPEC, start=start)
    again = read_spec(described(tmp_path, spec))
    assert (again.name, again.config) == (spec.name, spec.config)
    assert again.card.table() == spec.card.table()
    assert (again.start is not None) == has_start


def test_a_run_is_found_by_its_name_and_by_its_folder(tmp_path: Path) -> None:
    paths = described(tmp_path)
    assert find_run(SPEC.name, tmp_path) == paths
    assert find_run(str(paths.folder)) == RunFolder(tmp_path.resolve(), SPEC.name)


@pytest.mark.parametrize("place", [".", "elsewhere", "results/runs", "results/runs/a/inner"])
def test_a_folder_that_is_no_runs_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="is not the folder of a run, which is results/runs/NAME"):
        find_run(f"./{place}")


def test_an_unknown_run_is_named_with_its_nearest_match(tmp_path: Path) -> None:
    described(tmp_path)
    with pytest.raises(ValueError, match=rf"did you mean '{SPEC.name}'"):
        find_run(SPEC.name[:-1], tmp_path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("seed = = 3", "config.toml: not a configuration"),
        ("\udcff", "config.toml: not a configuration"),
        ("[serach]", "did you mean 'search'"),
        ("", r"config.toml tells of no run: its table \[search\] is missing"),
        ("search = 3", r"config.toml tells of no run: its table \[search\] is missing"),
        ("[search]", r"config.toml tells of no run: its table \[card\] is missing"),
        ("[search]\n[card]", "config.toml: key 'task', the task's name, is missing"),
        ("[search]\nseed = 'x'\n[card]", "config.toml: seed must be a whole number, but 'x' was"),
        ("[search]\n[card]\ntask = 3", "config.toml: task must be one line of text, but 3 was"),
    ],
)
def test_a_damaged_configuration_is_refused(tmp_path: Path, damage: str, message: str) -> None:
    paths = described(tmp_path)
    paths.file("config.toml").write_bytes(damage.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match=message):
        read_spec(paths)


def test_a_folder_without_a_configuration_holds_no_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no run: config.toml is missing"):
        read_spec(RunFolder(tmp_path, SPEC.name))


def test_a_configuration_of_another_run_is_refused(tmp_path: Path) -> None:
    paths = described(tmp_path)
    other = RunFolder(tmp_path, "CartPole-v1-s8-00000000")
    other.create()
    other.file("config.toml").write_bytes(paths.file("config.toml").read_bytes())
    with pytest.raises(ValueError, match=f"tells of run {SPEC.name}, but its folder is that of"):
        read_spec(other)


def test_what_made_a_run_is_kept_and_a_damaged_record_of_it_is_nothing(tmp_path: Path) -> None:
    paths = described(tmp_path)
    meta = read_meta(paths)
    assert (meta["name"], meta["command"]) == (SPEC.name, ["wann-search"])
    assert {"python", "packages", "machine", "environment"} <= set(meta)
    for damaged in (b"", b"[1]", b"{", b"\xff"):
        paths.file("meta.json").write_bytes(damaged)
        assert read_meta(paths) == {}
    paths.file("meta.json").unlink()
    assert read_meta(paths) == {}


class OwnCartPole(CartPoleEnv):
    """An environment that is registered by its class, as users do."""


def test_an_environment_registered_by_its_class_can_be_run(tmp_path):
    gymnasium.register("OwnCartPole-v0", entry_point=OwnCartPole, max_episode_steps=20)
    card = load_task("OwnCartPole-v0").card
    config = SearchConfig(
        task="OwnCartPole-v0", generations=1, population=4, episodes=1, validation_episodes=2,
        test_episodes=2,
    )  # fmt: skip
    outcome = Run(RunSpec(config, card), tmp_path).execute()
    meta = json.loads((outcome.folder / "meta.json").read_text())
    assert meta["environment"]["entry_point"].endswith(":OwnCartPole")
