"""Tests of `wann data fetch` against a server on this machine, and of image tasks as typed."""

from __future__ import annotations

import builtins
import dataclasses
import functools
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.commands import Run
from tests.tasks.image_samples import grey_images, write_idx, write_npz
from wann.cli.show import _listed
from wann.cli.tables import is_of_images
from wann.tasks import image_files
from wann.tasks.image_files import KNOWN_SETS, KnownSet

IMAGES, LABELS = grey_images()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """Return a folder and the address at which a server offers it."""
    offered = tmp_path / "offered"
    offered.mkdir()
    handler = functools.partial(_Quiet, directory=str(offered))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield offered, f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()
    thread.join()


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def known(mirror: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> KnownSet:
    """Return the set that `mnist` names in here: four small files, at the second mirror only."""
    pytest.importorskip("pooch", reason="the extra data is not installed")
    offered, address = mirror
    paths = [*write_idx(offered, IMAGES, LABELS), *write_idx(offered, IMAGES, LABELS, "t10k")]
    files = {each.name: digest_of(each) for each in paths}
    known = KnownSet("mnist", "mnist", files, (f"{address}nothing/", address))
    monkeypatch.setitem(KNOWN_SETS, "mnist", known)
    monkeypatch.delenv(image_files.DATA_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return known


def small_card(folder: Path) -> str:
    """Return the path of a card for the set that `mnist` names in here."""
    path = folder / "small.toml"
    path.write_text('task = "small"\n[images]\nsource = "mnist"\n')
    return str(path)


def test_a_set_is_fetched_from_the_first_mirror_that_has_it(
    wann: Run, known: KnownSet, tmp_path: Path
) -> None:
    ended = wann("data", "fetch", "mnist", "--data-dir", "here")
    assert ended.code == 0
    for name, digest in known.files.items():
        assert digest_of(tmp_path / "here" / "mnist" / name) == digest
    assert sorted(each.name for each in (tmp_path / "here" / "mnist").iterdir()) == sorted(
        known.files
    )
    assert "mnist is in here/mnist" in ended.err
    assert wann("tasks", small_card(tmp_path), "--data-dir", "here").code == 0


def test_a_set_goes_into_the_cache_and_is_found_there(
    wann: Run, known: KnownSet, tmp_path: Path
) -> None:
    card = small_card(tmp_path)
    before = wann("tasks", card)
    assert before.code == 2
    assert "`wann data fetch mnist` downloads them" in before.err
    assert wann("data", "fetch", "mnist").code == 0
    assert (tmp_path / "cache" / "wann" / "data" / "mnist").is_dir()
    assert wann("tasks", card).code == 0


def test_only_files_that_are_missing_or_damaged_are_fetched(
    wann: Run, known: KnownSet, tmp_path: Path
) -> None:
    wann("data", "fetch", "mnist", "--data-dir", "here")
    damaged = tmp_path / "here" / "mnist" / "t10k-labels.gz"
    damaged.write_bytes(b"damaged")
    ended = wann("data", "fetch", "mnist", "--data-dir", "here")
    assert ended.err.count("downloading") == 2  # of one file, from the second mirror
    assert digest_of(damaged) == known.files["t10k-labels.gz"]
    assert "downloading" not in wann("data", "fetch", "mnist", "--data-dir", "here").err


def test_a_file_with_another_hash_is_not_kept(
    wann: Run, known: KnownSet, mirror: tuple[Path, str], tmp_path: Path
) -> None:
    (mirror[0] / "train-labels.gz").write_bytes(b"something else")
    ended = wann("data", "fetch", "mnist", "--data-dir", "here")
    assert ended.code == 1
    assert "train-labels.gz of 'mnist' could not be downloaded" in ended.err
    assert known.files["train-labels.gz"] in ended.err
    kept = sorted(each.name for each in (tmp_path / "here" / "mnist").iterdir())
    assert kept == ["train-images.gz"]


def test_a_set_in_an_archive_is_unpacked_and_checked(
    wann: Run, known: KnownSet, mirror: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"ten thousand images"
    packed = mirror[0] / "set.tar.gz"
    with tarfile.open(packed, "w:gz") as archive:
        for name in ("inner/a.bin", "inner/other.txt"):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    files = {"inner/a.bin": hashlib.sha256(content).hexdigest()}
    in_archive = dataclasses.replace(known, files=files, archive=("set.tar.gz", digest_of(packed)))
    monkeypatch.setitem(KNOWN_SETS, "mnist", in_archive)
    assert wann("data", "fetch", "mnist", "--data-dir", "here").code == 0
    there = [each for each in Path("here").rglob("*") if each.is_file()]
    assert there == [Path("here/mnist/inner/a.bin")]
    assert there[0].read_bytes() == content
    wrong = dataclasses.replace(in_archive, files={"inner/a.bin": "0" * 64})
    monkeypatch.setitem(KNOWN_SETS, "mnist", wrong)
    ended = wann("data", "fetch", "mnist", "--data-dir", "there")
    assert (ended.code, "inner/a.bin in" in ended.err) == (1, True)


def test_without_pooch_the_command_says_how_to_install_it(
    wann: Run, known: KnownSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without_pooch(name: str, *arguments: Any) -> Any:
        if name == "pooch":
            raise ImportError(name)
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without_pooch)
    ended = wann("data", "fetch", "mnist")
    assert ended.code == 3
    assert "pip install 'wann-search[data]'" in ended.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data"], "`wann data fetch NAME` is what there is; there are mnist"),
        (["data", "get", "mnist"], "is what there is, not 'get'"),
        (["data", "fetch"], "name the data set to fetch; there are mnist"),
        (["data", "fetch", "minst"], "no data set 'minst'; did you mean 'mnist'"),
        (["data", "fetch", "digits"], "comes with scikit-learn; there is nothing to download"),
        (["data", "fetch", "mnist", "--folder", "x"], "no option '--folder'"),
    ],
)
def test_a_wrong_call_is_refused_in_one_line(wann: Run, arguments: list[str], message: str) -> None:
    ended = wann(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err
    assert ended.err.count("\n") == 1


def written_card(folder: Path, **arrays: Any) -> None:
    path = write_npz(folder, **arrays)
    text = f'task = "own"\n[images]\nsource = "{path.name}"\n[search]\nvalidation_episodes = 2\n'
    (folder / "own.toml").write_text(text)


TINY_IMAGES = ("--population", "8", "--generations", "3", "--test-episodes", "2", "--workers", "1")


def test_a_search_on_images_of_a_users_own_tells_accuracy_and_is_shown(
    bare_search: Run, wann: Run, folder: Path
) -> None:
    written_card(folder)
    ended = bare_search("--task", "own.toml", *TINY_IMAGES, "--json")
    assert ended.code == 0
    assert "measured on 12 test images under each weight" in ended.err
    assert "images/s" in ended.err
    assert "images seen" in ended.err
    found = json.loads(ended.out)
    test = found["champion"]["scores"]["test"]
    assert test["images"] == found["champion"]["scores"]["validation"]["images"] == 12
    assert test["accuracy"] == pytest.approx(sum(test["accuracy_by_weight"]) / 6)
    assert f"{test['accuracy']:.1%}" in ended.err
    shown = wann("show", found["run"])
    assert "accuracy in test episodes" in shown.out
    assert f"{test['accuracy']:.1%}" in shown.out
    assert "softmax" in shown.out
    played = wann("play", found["run"])
    assert (played.code, "is of images" in played.err) == (2, True)


def test_many_names_are_shown_by_their_first_and_last() -> None:
    names = [f"pixel[{place}]" for place in range(40)]
    assert _listed(names) == "pixel[0], ..., pixel[39] (40)"
    assert _listed(names[:3]) == "pixel[0], pixel[1], pixel[2]"
    assert _listed([]) == "none"


def test_several_seeds_on_images_are_summarised_by_accuracy(bare_search: Run, folder: Path) -> None:
    written_card(folder)
    ended = bare_search("--task", "own.toml", *TINY_IMAGES, "--seeds", "1-2", "--json")
    assert ended.code == 0
    assert "test accuracy" in ended.err
    summary = json.loads(ended.out)["summary"]
    assert set(summary) == {"accuracy", "worst_weight_accuracy", "connections"}


def test_data_that_cannot_be_used_end_a_search_with_one_line(
    bare_search: Run, folder: Path
) -> None:
    written_card(folder, images=IMAGES, labels=LABELS[:-1])
    ended = bare_search("--task", "own.toml", *TINY_IMAGES)
    assert ended.code == 2
    assert "card 'own.toml': own.npz has 60 images, but 59 labels" in ended.err
    assert ended.err.count("\n") == 1
    written_card(folder)
    ended = bare_search("--task", "own.toml", *TINY_IMAGES[:-4], "--test-episodes", "13")
    assert ended.code == 2
    assert "test_episodes must be at most the number of test images of task 'own', 12" in ended.err
    assert not list(folder.glob("results"))


def test_the_list_of_tasks_names_image_tasks_without_their_data(
    wann: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(image_files.DATA_VARIABLE, "/nowhere")
    monkeypatch.setenv("COLUMNS", "160")
    ended = wann("tasks")
    assert ended.code == 0
    rows = {line.split()[0]: line.split() for line in ended.out.splitlines() if line.split()}
    assert rows["mnist"][1:4] == ["256", "10", "compiled"]
    assert rows["mnist-28"][1:4] == ["784", "10", "compiled"]
    assert rows["digits"][1:4] == ["64", "10", "compiled"]


def test_the_table_of_digits_tells_of_its_images(wann: Run) -> None:
    ended = wann("tasks", "digits")
    assert ended.code == 0
    assert "1,079 for training, 359 for validation, 359 for the test" in ended.out
    assert "a batch of 1,000 training images" in ended.out
    assert "softmax" in ended.out


@pytest.mark.parametrize(
    "scores",
    [
        {"weights": [1.0]},
        {"weights": [1.0], "accuracy": 0.5, "accuracy_by_weight": [0.5, 0.6]},
        {"weights": [1.0], "accuracy": 0.5, "accuracy_by_weight": ["much"]},
        {"weights": [1.0], "accuracy": None, "accuracy_by_weight": [0.5]},
    ],
)
def test_a_summary_without_usable_accuracy_is_shown_as_returns(scores: dict[str, Any]) -> None:
    assert not is_of_images(scores)
