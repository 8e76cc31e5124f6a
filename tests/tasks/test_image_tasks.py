"""Tests of wann.tasks.images and of how images are prepared and split."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from tests.tasks.image_samples import grey_images, write_idx, write_npz
from wann.seeding import EPISODE_BITS, Purpose, episode_seeds
from wann.tasks import ImageCard, ImageSettings, ImageTask, image_task, load_task
from wann.tasks.image_data import load_images

IMAGES, LABELS = grey_images()
DIGITS = load_task("digits")
HELD_OUT = (Purpose.VALIDATION, Purpose.TEST)


def task_of_file(path: Path, **settings) -> ImageTask:
    return image_task(ImageCard("own", ImageSettings(str(path), **settings)))


def test_the_digits_are_there_without_any_file() -> None:
    assert isinstance(DIGITS, ImageTask)
    assert (DIGITS.num_inputs, DIGITS.num_outputs) == (64, 10)
    assert DIGITS.action_rule == "softmax"
    assert DIGITS.output_names == tuple("0123456789")
    assert DIGITS.input_names[0] == "pixel[0,0]"
    assert DIGITS.input_names[63] == "pixel[7,7]"
    assert len(set(DIGITS.input_names)) == 64


def test_no_image_is_in_two_splits_and_none_is_lost() -> None:
    from sklearn.datasets import load_digits

    splits = (DIGITS.data.train, DIGITS.data.validation, DIGITS.data.test)
    found = np.concatenate([np.column_stack([each.images * 16, each.labels]) for each in splits])
    digits = load_digits()
    wanted = np.column_stack([digits.data, digits.target])
    np.testing.assert_array_equal(
        found[np.lexsort(found.T)], wanted[np.lexsort(wanted.T)].astype(found.dtype)
    )
    assert [len(each) for each in splits] == [1079, 359, 359]


def test_every_split_has_each_class_in_proportion() -> None:
    whole = sum(
        np.bincount(each.labels)
        for each in (DIGITS.data.train, DIGITS.data.validation, DIGITS.data.test)
    )
    for split, share in ((DIGITS.data.validation, 0.2), (DIGITS.data.test, 0.2)):
        assert np.abs(np.bincount(split.labels) - share * whole).max() <= 1.0


def test_images_are_always_split_in_the_same_way(tmp_path: Path) -> None:
    path = write_npz(tmp_path)
    first = task_of_file(path)
    os.utime(path, (1, 1))  # so that it is read again
    second = task_of_file(path)
    assert second.data is not first.data
    for name in ("train", "validation", "test"):
        np.testing.assert_array_equal(
            getattr(second.data, name).images, getattr(first.data, name).images
        )
    digits = DIGITS.data.test.labels[:12].tolist()
    assert digits == [1, 3, 0, 0, 4, 4, 6, 1, 2, 2, 4, 5]  # as in every version of ours


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = write_npz(tmp_path)
    assert task_of_file(path).data is task_of_file(path).data
    write_npz(tmp_path, images=IMAGES[:30], labels=LABELS[:30])
    assert len(task_of_file(path).data.train) == 18


def test_a_training_batch_is_drawn_without_replacement_by_its_seed_alone() -> None:
    seed = int(DIGITS.seeds(3, Purpose.TRAIN, 5, 1)[0])
    batch, again = DIGITS.batch(seed), DIGITS.batch(seed)
    np.testing.assert_array_equal(batch.images, again.images)
    assert len(batch) == DIGITS.batch_size == len(np.unique(batch.images, axis=0))
    other = DIGITS.batch(int(DIGITS.seeds(3, Purpose.TRAIN, 6, 1)[0]))
    assert not np.array_equal(batch.images, other.images)
    rows = {each.tobytes() for each in DIGITS.data.train.images}
    assert all(each.tobytes() in rows for each in batch.images)


def test_a_batch_of_all_images_is_the_training_split_itself(tmp_path: Path) -> None:
    task = task_of_file(write_npz(tmp_path), batch=36)
    batch = task.batch(5)
    np.testing.assert_array_equal(batch.images, task.data.train.images)
    np.testing.assert_array_equal(batch.labels, task.data.train.labels)


def test_training_seeds_are_those_of_all_tasks() -> None:
    np.testing.assert_array_equal(
        DIGITS.seeds(9, Purpose.TRAIN, 4, 3), episode_seeds(9, Purpose.TRAIN, 4, 3)
    )


@pytest.mark.parametrize("purpose", HELD_OUT)
@pytest.mark.parametrize("count", [1, 2, 7, 359])
def test_held_out_batches_are_together_the_whole_split(purpose: Purpose, count: int) -> None:
    seeds = DIGITS.seeds(123, purpose, 0, count)
    assert (seeds >> EPISODE_BITS == int(purpose)).all()
    batches = [DIGITS.batch(seed) for seed in seeds.tolist()]
    split = DIGITS.split(purpose)
    np.testing.assert_array_equal(np.concatenate([each.images for each in batches]), split.images)
    np.testing.assert_array_equal(np.concatenate([each.labels for each in batches]), split.labels)
    sizes = [len(each) for each in batches]
    assert max(sizes) - min(sizes) <= 1


def test_more_held_out_batches_than_images_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"test_episodes must be at most .* 359, but 360 was given"
    ):
        DIGITS.seeds(0, Purpose.TEST, 0, 360)


@pytest.mark.parametrize(
    "seed", [(1 << EPISODE_BITS) | (3 << 14) | 3, 2 << EPISODE_BITS, 3 << EPISODE_BITS]
)
def test_a_seed_that_names_no_batch_is_refused(seed: int) -> None:
    with pytest.raises(ValueError, match=f"seed {seed} names no batch of images"):
        DIGITS.batch(seed)


def test_a_batch_may_be_changed_but_the_data_not() -> None:
    batch = DIGITS.batch(int(DIGITS.seeds(0, Purpose.TEST, 0, 1)[0]))
    before = DIGITS.data.test.images.copy()
    batch.images[:] = 0.5
    np.testing.assert_array_equal(DIGITS.data.test.images, before)
    with pytest.raises(ValueError, match="read-only"):
        DIGITS.data.test.images[0] = 1.0


def test_a_task_survives_pickling() -> None:
    again = pickle.loads(pickle.dumps(DIGITS))
    np.testing.assert_array_equal(again.data.train.images, DIGITS.data.train.images)
    assert again.card.table() == DIGITS.card.table()


def test_bytes_become_numbers_from_0_to_1_row_by_row(tmp_path: Path) -> None:
    task = task_of_file(write_npz(tmp_path), batch=36)
    rows = {
        (each / np.float32(255)).astype(np.float32).tobytes() for each in IMAGES.reshape(60, 36)
    }
    assert task.data.train.images.dtype == np.float32
    assert all(each.tobytes() in rows for each in task.data.train.images)


def test_colour_images_are_seen_by_their_luminance_and_made_smaller(tmp_path: Path) -> None:
    colours = np.repeat(IMAGES[..., None], 3, axis=3)
    task = task_of_file(write_npz(tmp_path, images=colours, labels=LABELS), size=3)
    grey = IMAGES.reshape(60, 3, 2, 3, 2).mean(axis=(2, 4)).reshape(60, 9) / 255
    assert task.num_inputs == 9
    for image in task.data.test.images:
        assert np.abs(grey - image).max(axis=1).min() < 1e-6


def test_an_idx_pair_and_its_test_pair_are_a_task(tmp_path: Path) -> None:
    images, labels = write_idx(tmp_path, IMAGES, LABELS)
    more = write_idx(tmp_path, IMAGES[:15], LABELS[:15], "test")
    settings = {"labels": str(labels), "test_source": str(more[0]), "test_labels": str(more[1])}
    task = task_of_file(images, classes=("left", "middle", "right"), **settings)
    assert task.output_names == ("left", "middle", "right")
    np.testing.assert_array_equal(task.data.test.labels, LABELS[:15])
    assert (len(task.data.train), len(task.data.validation)) == (48, 12)
    alone = task_of_file(images, labels=str(labels), test=9)
    assert (len(alone.data.train), len(alone.data.test)) == (39, 9)


def test_a_small_set_is_trained_on_whole(tmp_path: Path) -> None:
    assert task_of_file(write_npz(tmp_path)).batch_size == 36


def with_value(value: float) -> np.ndarray:
    images = (IMAGES / 255).astype(np.float32)
    images[7, 2, 3] = value
    return images


@pytest.mark.parametrize(
    ("arrays", "settings", "message"),
    [
        ((with_value(np.nan), LABELS), {}, r"image 7 at \[2, 3\] is nan"),
        ((with_value(1.5), LABELS), {}, r"from 0 to 1 .* image 7 at \[2, 3\] is 1.5"),
        ((IMAGES.astype(np.int64), LABELS), {}, "must be bytes or numbers .* they are int64"),
        ((IMAGES.reshape(60, 36), LABELS), {}, r"must all have one size, .* is \[60, 36\]"),
        ((IMAGES[:0], LABELS[:0]), {}, "has no images"),
        ((IMAGES, LABELS[:-1]), {}, "has 60 images, but 59 labels"),
        ((IMAGES, LABELS + 0.5), {}, "must be whole numbers .* but they are float64"),
        ((IMAGES, LABELS * 0), {}, "images of one class only"),
        ((IMAGES, LABELS - np.int64(1)), {}, "must be from 0 to 1, but that of image 0 is -1"),
        ((IMAGES, LABELS), {"classes": ("a", "b")}, "from 0 to 1, but that of image 2 is 2"),
        ((IMAGES, LABELS), {"classes": ("a", "b", "c", "d")}, "has none of class 'd'"),
        ((IMAGES, LABELS * 2), {}, "the test split of 12 has none of class '1'"),
        ((IMAGES, LABELS), {"batch": 37}, "images.batch must be at most .* 36, but 37"),
        ((IMAGES, LABELS), {"test": 39, "validation": 21}, "leave none of 60 images"),
        ((IMAGES, LABELS), {"test": 70}, "leave none of 60 images"),
        ((IMAGES, LABELS), {"test": 2}, "the test split of 2 has none of class"),
        ((IMAGES, np.where(LABELS, LABELS * np.int64(5000), 0)), {}, "at most 4,096 outputs"),
        ((np.zeros((60, 80, 80), np.uint8), LABELS), {}, "at most 4,096 inputs, .* 6,400 pixels"),
    ],
)
def test_images_that_cannot_be_used_are_refused(
    tmp_path: Path, arrays: tuple[np.ndarray, np.ndarray], settings: dict, message: str
) -> None:
    path = write_npz(tmp_path, images=arrays[0], labels=arrays[1])
    with pytest.raises(ValueError, match=rf"task 'own': .*{message}") as caught:
        task_of_file(path, **settings)
    assert "\n" not in str(caught.value)


def test_test_images_of_another_size_are_refused(tmp_path: Path) -> None:
    images, labels = grey_images(30, 8)
    arrays = {"x_train": IMAGES, "y_train": LABELS, "x_test": images, "y_test": labels}
    path = write_npz(tmp_path, **arrays)
    with pytest.raises(ValueError, match="as many pixels as the others, 36, but they have 64"):
        task_of_file(path)
    assert task_of_file(path, size=6).num_inputs == 36


def test_an_unknown_source_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no data set 'digit'; did you mean 'digits'"):
        load_images(ImageSettings("digit"))


DATA = os.environ.get("WANN_DATA_DIR", "")


@pytest.mark.skipif(not DATA, reason="WANN_DATA_DIR names no folder with MNIST")
def test_mnist_is_seen_as_in_the_paper() -> None:
    task = load_task("mnist")
    assert isinstance(task, ImageTask)
    data = task.data
    assert [len(each) for each in (data.train, data.validation, data.test)] == [55000, 5000, 10000]
    assert (task.num_inputs, task.num_outputs, task.batch_size) == (256, 10, 1000)
    assert data.test.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert (
        np.abs(np.bincount(data.validation.labels) - np.bincount(data.train.labels) / 11).max() < 2
    )
