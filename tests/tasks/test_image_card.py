"""Tests of wann.tasks.image_card: every key is read, and a wrong one is named."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from tests.fuzzing import count_refusals, mutations
from wann.tasks import ImageCard, ImageSettings, card_of_table, read_card, shipped_cards

FULL_CARD = """
task = "letters"
note = "tell letters apart"

[images]
source = "letters-images-idx3-ubyte.gz"
labels = "letters-labels-idx1-ubyte.gz"
test_source = "more-images.gz"
test_labels = "more-labels.gz"
size = 12
resize = "linear"
deskew = true
batch = 500
validation = 0.1
test = 200
classes = ["a", "b", "c"]

[search]
population = 32

[preset.gaier2019]
population = 960
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "card.toml"
    path.write_text(text)
    return path


def test_every_key_of_an_image_card_is_read(tmp_path: Path) -> None:
    card = read_card(written(tmp_path, FULL_CARD))
    assert isinstance(card, ImageCard)
    assert (card.task, card.note) == ("letters", "tell letters apart")
    assert card.images == ImageSettings(
        "letters-images-idx3-ubyte.gz",
        "letters-labels-idx1-ubyte.gz",
        "more-images.gz",
        "more-labels.gz",
        12,
        "linear",
        True,
        500,
        0.1,
        200,
        ("a", "b", "c"),
    )
    assert card.search == {"population": 32}
    assert card.presets == {"gaier2019": {"population": 960}}


def test_a_card_is_made_again_from_its_table(tmp_path: Path) -> None:
    for card in (read_card(written(tmp_path, FULL_CARD)), shipped_cards()["digits"]):
        again = card_of_table(card.table(), "a file")
        assert again.table() == card.table()
        assert isinstance(again, ImageCard)


def test_what_a_card_leaves_out_is_not_in_its_table() -> None:
    card = ImageCard("own", ImageSettings("own.npz"))
    assert card.table() == {"task": "own", "images": {"source": "own.npz"}}


def test_each_shipped_image_card_names_its_classes_and_its_size() -> None:
    cards = [each for each in shipped_cards().values() if isinstance(each, ImageCard)]
    assert [each.task for each in cards] == [
        "cifar-10",
        "digits",
        "fashion-mnist",
        "mnist-28",
        "mnist",
    ]
    for card in cards:
        assert len(card.images.classes) == 10
        assert card.images.size > 0
        preset = card.presets["gaier2019"]
        assert "step" not in preset["activations"]  # Gaier & Ha 2019: ids 1 and 3 to 10
        assert len(preset["activations"]) == 9


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("size = 12", "sice = 12", r"unknown key 'sice' in \[images\]; did you mean 'size'"),
        ("size = 12", "size = 65", "images.size must be between 0 and 64, but 65"),
        ("size = 12", "size = 1.5", "images.size must be a whole number, but 1.5"),
        ('"linear"', '"linaer"', "no way to resize 'linaer'; did you mean 'linear'"),
        ("deskew = true", "deskew = 1", "images.deskew must be true or false, but 1"),
        ("batch = 500", "batch = 0", "images.batch must be between 1 and .*, but 0"),
        ("validation = 0.1", "validation = 0", "images.validation must be a share .* but 0"),
        ("validation = 0.1", "validation = 1.5", "images.validation must be a share .* 1.5"),
        ("test = 200", "test = -1", "images.test must be between 0 and .*, but -1"),
        ("test = 200", 'test = "all"', "images.test must be a number, but 'all'"),
        ('["a", "b", "c"]', '["a", 2]', "classes must be a list of names, but holds 2"),
        ('["a", "b", "c"]', '"abc"', "classes must be a list, but 'abc'"),
        ('test_labels = "more-labels.gz"', "", "test_source and images.test_labels go together"),
        ('labels = "letters-labels-idx1-ubyte.gz"', "", "so images.labels is needed too"),
        ('source = "letters-images-idx3-ubyte.gz"', "", r"key 'source' of \[images\]"),
        ('source = "letters-images-idx3-ubyte.gz"', 'source = ""', "images.source must name"),
        ('task = "letters"', "", "key 'task', the task's name, is missing"),
        ('task = "letters"', 'task = "-l"', "task must begin with a letter or a digit"),
        ('note = "tell', 'max_steps = 3\nnote = "tell', "'max_steps' is for Gymnasium tasks"),
        ('note = "tell', 'nota = "tell', "unknown key 'nota'; did you mean 'note'"),
        ("population = 32", "popluation = 32", r"'popluation' in \[search\]; did you mean"),
        ("preset.gaier2019", "preset.gaier2018", "no preset 'gaier2018'; did you mean"),
    ],
)
def test_a_wrong_key_or_value_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert FULL_CARD.count(old) >= 1
    path = written(tmp_path, FULL_CARD.replace(old, new, 1))
    with pytest.raises(ValueError, match=rf"card .*card.toml': .*{message}") as caught:
        read_card(path)
    assert "\n" not in str(caught.value)


def test_a_card_whose_images_are_no_table_is_refused() -> None:
    with pytest.raises(TypeError, match="images must be a table, but 'digits' was given"):
        card_of_table({"task": "own", "images": "digits"}, "a file")


def test_any_mangled_card_is_read_or_refused_in_one_line(tmp_path: Path) -> None:
    files = mutations([FULL_CARD.encode()], 300, seed=11)
    assert count_refusals(read_card, files, tmp_path / "card.toml") > 150


def test_the_page_about_tasks_names_every_key_of_images() -> None:
    page = (Path(__file__).parents[2] / "docs" / "tasks.md").read_text(encoding="utf-8")
    for each in fields(ImageSettings):
        assert f"`{each.name}`" in page, each.name
