"""`wann-search` from the first keystroke to the files it leaves."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.commands import TINY, Run
from wann.cli import display
from wann.run_files import find_run

if TYPE_CHECKING:
    from wann.coordinator import Coordinator, GenerationReport

FINAL_FILES = ("front.csv", "front.jsonl", "champion.json")


def only_run(root: Path) -> Path:
    (run,) = (root / "results" / "runs").iterdir()
    return run


def final_bytes(root: Path) -> dict[str, bytes]:
    return {name: (only_run(root) / name).read_bytes() for name in FINAL_FILES}


def test_a_search_leaves_its_files_and_tells_what_to_type_next(folder: Path, search: Run) -> None:
    ended = search()
    assert ended.code == 0
    assert ended.out == ""
    name = only_run(folder).name
    for text in (
        f"run {name}",
        "champion of CartPole-v1: ",
        "measured in Gymnasium on 2 episodes for each weight, which selection never saw",
        "95 % interval of the mean over all weights: ",
        "a mean return of 475",
        f"wann show {name}",
        f"wann-search --resume {name} --generations 6",
    ):
        assert text in ended.err
    assert {each.name for each in only_run(folder).iterdir()} >= {*FINAL_FILES, "champion.svg"}


def test_the_same_command_again_says_that_the_run_is_finished(search: Run) -> None:
    first, second = search("--json", "--quiet"), search("--json")
    assert "is finished: it has 3 generations" in second.err
    assert json.loads(second.out) == json.loads(first.out) | {"resumed_at": 3}


def test_json_is_one_object_and_alone_on_standard_output(search: Run) -> None:
    ended = search("--json")
    data = json.loads(ended.out)
    assert ended.out.count("\n") == 1
    assert data["generations"] == 3
    assert data["reached"] is None  # there was no target
    assert data["champion"]["scores"]["test"]["episodes"] == 2
    front = [each["connections"] for each in data["front"]]
    assert front == sorted(set(front))
    assert "champion of" in ended.err


def test_quiet_says_nothing(search: Run) -> None:
    ended = search("--quiet")
    assert (ended.code, ended.out, ended.err) == (0, "", "")


def test_a_run_can_be_made_longer(folder: Path, search: Run, bare_search: Run) -> None:
    search("--quiet", "--out=long", "--generations=5")
    search("--quiet", "--out=resumed")
    name = only_run(folder / "resumed").name
    ended = bare_search("--resume", name, "--out=resumed", "--generations", "5", "--json")
    assert json.loads(ended.out)["resumed_at"] == 3
    assert f"going on with run {name}" in ended.err
    assert final_bytes(folder / "resumed") == final_bytes(folder / "long")


def test_resume_takes_a_folder_as_well(folder: Path, search: Run, bare_search: Run) -> None:
    search("--quiet", "--out=there")
    ended = bare_search("--resume", str(only_run(folder / "there")))
    assert ended.code == 0
    assert "is finished" in ended.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--population=9"], "of which only --generations can change, but --population was given"),
        (["--preset=gaier2019"], "but --preset was given"),
        (["--generations=2"], "can only be raised: run .* is to have 3, but 2 was given"),
    ],
)
def test_resume_changes_nothing_else(
    folder: Path, search: Run, bare_search: Run, options: list[str], message: str
) -> None:
    search("--quiet")
    ended = bare_search("--resume", only_run(folder).name, *options)
    assert ended.code == 2
    assert ended.err.startswith("wann-search: error: ")
    assert ended.err.count("\n") == 1
    with pytest.raises(ValueError, match=message):
        raise ValueError(ended.err)


def test_resume_offers_the_nearest_run(folder: Path, search: Run, bare_search: Run) -> None:
    search("--quiet")
    name = only_run(folder).name
    ended = bare_search("--resume", name[:-1])
    assert (ended.code, f"did you mean {name!r}?" in ended.err) == (2, True)


def test_the_configuration_of_a_run_repeats_it(folder: Path, search: Run, bare_search: Run) -> None:
    search("--quiet", "--out=a")
    config = only_run(folder / "a") / "config.toml"
    bare_search("--quiet", "--config", str(config), "--out=b")
    assert only_run(folder / "b").name == only_run(folder / "a").name
    assert final_bytes(folder / "a") == final_bytes(folder / "b")


@pytest.mark.parametrize("as_file", [False, True])
def test_a_search_starts_from_a_found_network(folder: Path, search: Run, as_file: bool) -> None:
    search("--quiet")
    first = only_run(folder)
    start = str(first / "champion.json" if as_file else first)
    ended = search("--start", start, "--json", "--out=next")
    assert ended.code == 0
    assert json.loads(ended.out)["run"] != first.name
    assert (only_run(folder / "next") / "start.json").exists()


def test_a_start_of_another_size_is_refused(folder: Path, search: Run) -> None:
    search("--quiet")
    ended = search("--start", only_run(folder).name, "--task=Pendulum-v1")
    assert ended.code == 2
    assert "the start network has 4 inputs and 2 outputs, but task 'Pendulum-v1'" in ended.err


def test_several_seeds_end_in_a_summary(folder: Path, search: Run) -> None:
    ended = search("--seeds=1-3", "--json")
    data = json.loads(ended.out)
    means = sorted(each["champion"]["scores"]["test"]["mean"] for each in data["runs"])
    assert [each["seed"] for each in data["runs"]] == [1, 2, 3]
    assert data["summary"]["mean"]["median"] == means[1]
    assert data["summary"]["mean"]["lower_quartile"] == pytest.approx((means[0] + means[1]) / 2)
    assert "champions of 3 seeds of CartPole-v1" in ended.err
    assert "upper quartile" in ended.err


def test_a_missed_target_is_exit_code_4(search: Run) -> None:
    ended = search("--target=501", "--json")
    assert ended.code == 4
    assert json.loads(ended.out)["reached"] is False


def test_a_target_that_one_seed_misses_is_exit_code_4(search: Run) -> None:
    means = [
        max(network["held_out_mean"] for network in run["front"])
        for run in json.loads(search("--seeds=1,2", "--json").out)["runs"]
    ]
    assert means[0] != means[1]
    assert search("--seeds=1,2", f"--target={max(means)}", "--quiet").code == 4
    assert search("--seeds=1,2", f"--target={min(means)}", "--quiet").code == 0


def test_a_reached_target_ends_the_search(search: Run) -> None:
    ended = search("--target=1", "--generations=50", "--json")
    data = json.loads(ended.out)
    assert (ended.code, data["generations"], data["reached"]) == (0, 1, True)
    assert "stopped at the target after 1 of 50 generations" in ended.err
    again = json.loads(search("--target=1", "--generations=50", "--json").out)
    assert again["search_seconds"] == data["search_seconds"]


def test_a_time_limit_ends_the_search(search: Run) -> None:
    ended = search("--time-limit=0", "--generations=50", "--json")
    assert (ended.code, json.loads(ended.out)["generations"]) == (0, 1)
    assert "stopped by the time limit after 1 of 50 generations" in ended.err


class Interrupting(display.Display):
    """Sends this process a signal once a generation is complete."""

    def __init__(self, signal_number: signal.Signals, generation: int) -> None:
        self.signal_number = signal_number
        self.generation = generation

    def __call__(self, coordinator: Coordinator, report: GenerationReport) -> None:
        if report.generation == self.generation:
            signal.raise_signal(self.signal_number)


@pytest.mark.parametrize(("signal_number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_is_saved_and_ends_with_the_same_bytes(
    folder: Path,
    search: Run,
    monkeypatch: pytest.MonkeyPatch,
    signal_number: signal.Signals,
    code: int,
) -> None:
    search("--quiet", "--out=whole")
    with monkeypatch.context() as patch:
        patch.setattr(display, "display_for", lambda *_: Interrupting(signal_number, 1))
        stopped = search("--out=stopped", "--json")
    run = find_run(only_run(folder / "stopped").name, "stopped")
    assert (stopped.code, stopped.out) == (code, "")
    assert f"stopped; what was found is saved: `wann-search --resume {run.folder}`" in stopped.err
    assert "Traceback" not in stopped.err
    ended = search("--out=stopped", "--json")
    assert 0 < json.loads(ended.out)["resumed_at"] < 3
    assert final_bytes(folder / "stopped") == final_bytes(folder / "whole")


def test_a_run_in_other_hands_is_left_alone(folder: Path, search: Run) -> None:
    search("--quiet")
    with find_run(only_run(folder).name).held():
        ended = search()
    assert ended.code == 1
    assert "is in the hands of another process" in ended.err


def test_a_file_as_the_folder_to_write_to_is_refused(folder: Path, search: Run) -> None:
    (folder / "out").write_text("in the way")
    ended = search("--out=out")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "wann-search: error: --out must be a folder, but 'out' is a file\n"
    assert (folder / "out").read_text() == "in the way"


@pytest.mark.parametrize("blocked", ["results", "populations"])
def test_a_file_in_the_way_is_told_in_one_line(folder: Path, search: Run, blocked: str) -> None:
    place = folder / "out" / blocked
    place.parent.mkdir()
    place.write_text("in the way")
    ended = search("--out=out", "--quiet")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("wann-search: error: ")
    assert ended.err.endswith("--out chooses another folder\n")
    assert ended.err.count("\n") == 1
    assert place.read_text() == "in the way"


def test_a_damaged_checkpoint_is_refused_and_kept(folder: Path, search: Run) -> None:
    search("--quiet")
    (checkpoint,) = (folder / "populations").glob("*.safetensors")
    checkpoint.write_bytes(b"damaged")
    ended = search("--generations=4")
    assert ended.code == 2
    assert "not a usable checkpoint" in ended.err
    assert checkpoint.read_bytes() == b"damaged"


def test_a_wrong_value_within_a_generation_is_a_fault_of_ours_not_of_the_input(
    search: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise ValueError("shapes do not fit")

    monkeypatch.setattr("wann.coordinator.next_generation", fail)
    ended = search()
    assert ended.code == 1
    assert ended.err.endswith("error: ValueError: shapes do not fit (--debug shows where)\n")


def test_notes_on_the_task_are_shown(search: Run) -> None:
    assert (
        "'Blackjack' has no version; the newest, 'Blackjack-v1'" in search("--task=Blackjack").err
    )


def test_what_was_typed_is_on_record(folder: Path, search: Run) -> None:
    search("--quiet")
    meta = json.loads((only_run(folder) / "meta.json").read_text())
    assert meta["command"] == ["wann-search", *TINY, "--quiet"]


def test_wann_search_is_wann_with_the_command_search(folder: Path, wann: Run, search: Run) -> None:
    assert wann("search", *TINY, "--quiet", "--out=a").code == 0
    search("--quiet", "--out=b")
    assert final_bytes(folder / "a") == final_bytes(folder / "b")
