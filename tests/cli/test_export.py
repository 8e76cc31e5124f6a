"""`wann export`: networks and fronts, written and checked."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tests.commands import Run
from tests.networks import random_network
from wann.export.formats import FORMATS
from wann.export.masks import load_masks
from wann.network import load_network


@pytest.fixture
def file(folder: Path) -> Path:
    """Return the file of a network for CartPole-v1."""
    random_network(4, 2, 10, 30, seed=1).save(folder / "net.json")
    return folder / "net.json"


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_the_help_names_every_format_with_its_purpose(wann: Run) -> None:
    said = " ".join(wann("export", "--help").out.split())
    for each in FORMATS.values():
        assert f"{each.name} {each.purpose}" in said


def test_a_file_is_exported_and_the_check_is_told(file: Path, wann: Run) -> None:
    ended = wann("export", "net.json", "--format", "masks", "--to", "net.safetensors")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("masks  net.safetensors\nexecuted on ")
    assert "among them 2 episodes" in ended.out
    assert "of what is allowed in float64" in ended.out
    masks = load_masks("net.safetensors")
    assert masks.topology.key() == load_network(file).topology.key()
    assert wann("export", "net.safetensors", "--format", "json", "--to", "again.json").code == 0
    again = load_network("again.json")
    assert (
        again.to_json() == dataclasses.replace(load_network(file), made_by=again.made_by).to_json()
    )


def test_a_run_is_exported_by_its_name_and_its_front_to_a_folder(
    folder: Path, search: Run, wann: Run
) -> None:
    search("--quiet", "--task", "CartPole-v1")
    (run,) = (folder / "results" / "runs").iterdir()
    assert wann("export", run.name, "--format", "masks", "--to", "a.safetensors").code == 0
    count = len((run / "front.jsonl").read_text().splitlines())
    ended = wann("export", run.name, "--front", "--format", "json", "--to", "front")
    assert ended.out.startswith(f"json  {count} networks in front\n")
    assert len(names(folder / "front")) == count
    again = wann("export", str(run / "front.jsonl"), "--format", "json", "--to", "again")
    assert again.code == 0
    assert names(folder / "again") == names(folder / "front")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name what to export: a run, a network's file or a front.jsonl"),
        (["net.json"], "add --format, one of json, masks, "),
        (["net.json", "--format", "mask"], "no format 'mask'; did you mean 'masks'?"),
        (["net.json", "--format", "json"], "add --to PATH, the file or folder to write"),
        (
            ["net.json", "--format", "json", "--to", "x.onnx"],
            "--to must end in .json for 'json', not 'x.onnx'",
        ),
        (["net.json", "--format", "json", "--to", "net.json"], "'net.json' exists already"),
        (["net.json", "--format", "json", "--to", "a/x.json"], "there is no folder 'a' for"),
        (["nets.json", "--format", "json", "--to", "x.json"], "no network file 'nets.json'"),
        (["net.json", "--format", "json", "--to", "x.json", "--weight", "nan"], "must be finite"),
        (["net.json", "--front", "--format", "json", "--to", "x"], "'net.json' holds one network"),
        (["no.jsonl", "--format", "json", "--to", "x"], "no front 'no.jsonl'"),
        (["bad.jsonl", "--format", "json", "--to", "x"], "bad.jsonl, line 2: this is not a usable"),
        (["net.json", "--format", "json", "--to", "x.json", "--task", "CartPol-v1"], "no task"),
        (
            ["net.json", "--format", "masks", "--to", "x.safetensors", "--dtype", "float32"],
            "format 'masks' computes in float64, but 'float32' was given",
        ),
    ],
)
def test_wrong_input_is_told_in_one_line_and_writes_nothing(
    file: Path, wann: Run, arguments: list[str], message: str
) -> None:
    (file.parent / "bad.jsonl").write_text(file.read_text() + "{}\n")
    before = names(file.parent)
    ended = wann("export", *arguments)
    assert ended.code == 2
    assert ended.err.startswith("wann export: error: ")
    assert message in ended.err
    assert ended.err.count("\n") == 1
    assert names(file.parent) == before


def test_a_missing_library_ends_with_3(
    file: Path, wann: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    ended = wann("export", "net.json", "--format", "onnx", "--to", "net.onnx")
    assert ended.code == 3
    assert "pip install 'wann-search[onnx]'" in ended.err
    assert names(file.parent) == ["net.json"]


def test_a_folder_that_takes_no_files_ends_with_1(file: Path, wann: Run) -> None:
    if not Path("/proc/self").exists():
        pytest.skip("there is no /proc")
    ended = wann("export", "net.json", "--format", "json", "--to", "/proc/x.json")
    assert ended.code == 1
    assert "'/proc/x.json'" in ended.err


def test_force_replaces_a_file(file: Path, wann: Run) -> None:
    arguments = ("export", "net.json", "--format", "json", "--to", "net.json", "--weight", "-1")
    assert wann(*arguments, "--force").code == 0
    assert load_network(file).shared_weight == -1.0


def test_several_networks_are_shown_by_nothing_but_export(file: Path, wann: Run) -> None:
    file.rename(file.with_suffix(".jsonl"))
    ended = wann("show", "net.jsonl")
    assert ended.code == 2
    assert "holds several networks; only `wann export` takes them" in ended.err


def test_show_draws_what_came_back_from_another_format(file: Path, wann: Run) -> None:
    wann("export", "net.json", "--format", "masks", "--to", "other.safetensors")
    assert wann("show", "other.safetensors").code == 0
    assert (file.parent / "other.svg").exists()
