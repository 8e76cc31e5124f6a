"""Tests of wann.tasks.image_files: what is read is what is there, and what is wrong is named."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import lzma
import struct
from pathlib import Path

import numpy as np
import pytest

from tests.tasks.image_samples import grey_images, idx_bytes, write_idx, write_npz
from wann.tasks import image_files
from wann.tasks.image_files import (
    KNOWN_SETS,
    KnownSet,
    find_files,
    read_cifar,
    read_digits,
    read_idx,
    read_known,
    read_npz,
    read_packed_cifar,
)

IMAGES, LABELS = grey_images()


@pytest.fixture(autouse=True)
def no_other_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for data in no folder but those that a test names."""
    monkeypatch.delenv(image_files.DATA_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize("compressed", [True, False])
def test_an_idx_pair_is_read(tmp_path: Path, compressed: bool) -> None:
    paths = write_idx(tmp_path, IMAGES, LABELS)
    if not compressed:
        for path in paths:
            path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        paths = tuple(path.with_suffix("") for path in paths)
    found = read_idx(*paths)
    np.testing.assert_array_equal(found.images, IMAGES)
    np.testing.assert_array_equal(found.labels, LABELS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (idx_bytes(IMAGES)[:-1], r"must hold 60 x 6 x 6 = 2,160 bytes .* but it has 2,159"),
        (idx_bytes(IMAGES) + b"x", "but it has 2,161"),
        (idx_bytes(IMAGES)[:9], "its header has 16 bytes, it 9"),
        (idx_bytes(IMAGES, magic=2049), "magic number must be 2051, but it is 2049"),
        (struct.pack(">4I", 2051, 2**32 - 1, 2**32 - 1, 2**32 - 1), "must hold 4294967295 x"),
    ],
)
def test_a_damaged_idx_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    images, labels = write_idx(tmp_path, IMAGES, LABELS)
    images.write_bytes(gzip.compress(content))
    with pytest.raises(ValueError, match=rf"train-images.gz .*{message}"):
        read_idx(images, labels)


def test_a_gzip_file_that_is_cut_or_none_is_refused(tmp_path: Path) -> None:
    images, labels = write_idx(tmp_path, IMAGES, LABELS)
    whole = images.read_bytes()
    for content in (whole[:-20], b"not gzip at all"):
        images.write_bytes(content)
        with pytest.raises(ValueError, match=r"train-images.gz is no whole gzip file"):
            read_idx(images, labels)


def test_labels_of_another_length_and_missing_files_are_refused(tmp_path: Path) -> None:
    images, labels = write_idx(tmp_path, IMAGES, LABELS[:-1])
    with pytest.raises(ValueError, match=r"train-labels.gz has 59 labels, but .* has 60 images"):
        read_idx(images, labels)
    with pytest.raises(ValueError, match=r"nothing.gz is missing"):
        read_idx(images, tmp_path / "nothing.gz")


def test_an_npz_file_is_read_with_and_without_a_test_split(tmp_path: Path) -> None:
    train, test = read_npz(write_npz(tmp_path))
    assert test is None
    np.testing.assert_array_equal(train.images, IMAGES)
    arrays = {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES[:9], "y_test": LABELS[:9]}
    train, test = read_npz(write_npz(tmp_path, **arrays))
    assert test is not None
    np.testing.assert_array_equal(train.labels, LABELS)
    np.testing.assert_array_equal(test.images, IMAGES[:9])


def test_an_npz_file_without_what_is_wanted_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must hold images and labels, or .*but it has pictures"):
        read_npz(write_npz(tmp_path, pictures=IMAGES))
    arrays = {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES}
    with pytest.raises(ValueError, match="y_test is missing"):
        read_npz(write_npz(tmp_path, **arrays))
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(ValueError, match=r"text.npz is no .npz file of plain arrays"):
        read_npz(tmp_path / "text.npz")
    with pytest.raises(ValueError, match=r"own.npz is no .npz file of plain arrays"):
        read_npz(write_npz(tmp_path, images=np.array([None]), labels=LABELS))  # a pickle
    with pytest.raises(ValueError, match=r"none.npz is missing"):
        read_npz(tmp_path / "none.npz")


def test_the_digits_are_those_of_scikit_learn() -> None:
    found = read_digits()
    assert found.images.shape == (1797, 8, 8)
    assert (found.images.min(), found.images.max()) == (0.0, 1.0)
    np.testing.assert_array_equal(found.labels[:10], range(10))


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def small_set(folder: Path) -> KnownSet:
    """Return a set like MNIST, of sixty images, whose files lie in folder/tiny."""
    (folder / "tiny").mkdir(parents=True)
    paths = [*write_idx(folder / "tiny", IMAGES, LABELS)]
    paths += write_idx(folder / "tiny", IMAGES[:12], LABELS[:12], "t10k")
    return KnownSet("tiny", "tiny", {each.name: digest_of(each.read_bytes()) for each in paths}, ())


def test_a_known_set_is_read_in_its_two_splits(tmp_path: Path) -> None:
    train, test = read_known(small_set(tmp_path), str(tmp_path))
    np.testing.assert_array_equal(train.images, IMAGES)
    np.testing.assert_array_equal(test.labels, LABELS[:12])


def test_the_data_folder_comes_before_the_variable_and_that_before_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = small_set(tmp_path / "cache" / "wann" / "data")
    assert find_files(known)[0].is_relative_to(tmp_path / "cache")
    small_set(tmp_path / "variable")
    monkeypatch.setenv(image_files.DATA_VARIABLE, str(tmp_path / "variable"))
    assert find_files(known)[0].is_relative_to(tmp_path / "variable")
    small_set(tmp_path / "option")
    assert find_files(known, str(tmp_path / "option"))[0].is_relative_to(tmp_path / "option")


def test_a_missing_set_is_told_of_with_files_hashes_and_folders(tmp_path: Path) -> None:
    known = KNOWN_SETS["mnist"]
    with pytest.raises(ValueError, match="'mnist' was not found") as caught:
        find_files(known, str(tmp_path))
    text = str(caught.value)
    for part in (*known.files, *known.files.values(), f"{tmp_path}/mnist", "wann data fetch mnist"):
        assert part in text


def test_a_missing_file_and_another_content_are_refused(tmp_path: Path) -> None:
    known = small_set(tmp_path)
    path = tmp_path / "tiny" / "t10k-labels.gz"
    right = path.read_bytes()
    path.write_bytes(right[:-1] + b"x")
    with pytest.raises(ValueError, match=f"t10k-labels.gz is not the .*{digest_of(right)}"):
        find_files(known, str(tmp_path))
    path.unlink()
    with pytest.raises(ValueError, match=r"not whole: .*t10k-labels.gz is missing"):
        find_files(known, str(tmp_path))


def packed(images: np.ndarray, labels: np.ndarray) -> bytes:
    """Return a batch of CIFAR-10 as residuals of the median predictor, pixel by pixel."""
    values = images.astype(int).transpose(0, 3, 1, 2)
    parts = [labels.astype(np.uint8).tobytes()]
    for channel, base in ((1, None), (0, 1), (2, 1)):
        base_values = np.zeros_like(values[:, 0]) if base is None else values[:, base]
        plane = values[:, channel] - base_values
        coded = np.zeros(plane.shape, dtype=np.uint8)
        for row in range(32):
            for column in range(32):
                if row and column:
                    west, north = plane[:, row, column - 1], plane[:, row - 1, column]
                    north_west = plane[:, row - 1, column - 1]
                    guess = np.sort([west, north, west + north - north_west], axis=0)[1]
                elif row or column:
                    guess = plane[:, max(row - 1, 0), max(column - 1, 0)]
                else:
                    guess = np.zeros(len(plane), dtype=int)
                guess = np.clip(guess + base_values[:, row, column], 0, 255)
                residual = (values[:, channel, row, column] - guess + 128) % 256 - 128
                coded[:, row, column] = np.where(residual < 0, -2 * residual - 1, 2 * residual)
        parts.append(coded.tobytes())
    return lzma.compress(b"".join(parts), preset=0)


def test_both_forms_of_cifar_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_files, "CIFAR_RECORDS", 6)
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (6, 32, 32, 3)).astype(np.uint8)
    labels = np.arange(6, dtype=np.uint8)
    records = np.column_stack([labels, images.transpose(0, 3, 1, 2).reshape(6, -1)])
    plain, small = tmp_path / "test_batch.bin", tmp_path / "test_batch.xz"
    plain.write_bytes(records.tobytes())
    small.write_bytes(packed(images, labels))
    for found in (read_cifar(plain), read_packed_cifar(small)):
        np.testing.assert_array_equal(found.images, images)
        np.testing.assert_array_equal(found.labels, labels)
    plain.write_bytes(records.tobytes()[:-1])
    with pytest.raises(ValueError, match=r"must hold 18,438 bytes, but it has 18,437"):
        read_cifar(plain)
    small.write_bytes(small.read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"test_batch.xz is no whole xz file"):
        read_packed_cifar(small)


def test_a_set_is_read_from_its_other_files_where_only_those_are_there(tmp_path: Path) -> None:
    known = dataclasses.replace(
        small_set(tmp_path), files={"a.bin": "0" * 64}, alternative={"b.xz": digest_of(b"b")}
    )
    (tmp_path / "tiny" / "b.xz").write_bytes(b"b")
    assert find_files(known, str(tmp_path)) == [tmp_path / "tiny" / "b.xz"]
