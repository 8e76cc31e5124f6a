"""Images as networks see them, in three splits: for training, for choosing and for the end."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64

from wann.tasks.image_card import ImageSettings
from wann.tasks.image_files import (
    KNOWN_SETS,
    RawImages,
    read_digits,
    read_idx,
    read_known,
    read_npz,
)
from wann.tasks.image_pixels import deskewed, luminance, resized
from wann.tasks.spaces import MAX_NETWORK_SIDE

DIGITS = "digits"
SPLIT_SEED = 20190612  # of every split, so that it is the same for all runs and users
CHUNK = 4096  # images that are worked on at once
SUFFIX = ".npz"


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Some images and their labels.

    images: pixels row by row, from 0 to 1. labels: from 0 to the number of classes - 1.
    """

    images: Float32[np.ndarray, "n I"]
    labels: Int64[np.ndarray, "n"]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Int64[np.ndarray, "k"] | slice) -> ImageSet:
        """Return a copy of these images, in this order."""
        return ImageSet(self.images[indices].copy(), self.labels[indices].copy())


@dataclass(frozen=True, eq=False)
class ImageData:
    """Images in splits of which none shares an image with another.

    train: what selection sees. validation: what chooses the champion. test: what scores it.
    classes: a name for each label. height, width: of an image, pixels.
    """

    train: ImageSet
    validation: ImageSet
    test: ImageSet
    classes: tuple[str, ...]
    height: int
    width: int

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.classes)


def load_images(settings: ImageSettings, data_dir: str = "") -> ImageData:
    """Return the images of a card, prepared and split, always in the same way.

    data_dir: where known sets are looked for first; see `image_files.data_folders`.
    They are kept in memory, so that a second call costs nothing; nobody may change them.
    Raises ValueError of one line for files that are missing or damaged, and for images or labels
    that cannot be used; OSError when a file cannot be read.
    """
    return _loaded(settings, data_dir, _version_of(settings))


def _version_of(settings: ImageSettings) -> tuple[tuple[int, int], ...]:
    """Return size and time of change of the user's own files."""
    names = (settings.source, settings.labels, settings.test_source, settings.test_labels)
    status = [Path(each).stat() for each in names if each and Path(each).is_file()]
    return tuple((each.st_size, each.st_mtime_ns) for each in status)


@functools.lru_cache(maxsize=2)
def _loaded(
    settings: ImageSettings, data_dir: str, version: tuple[tuple[int, int], ...]
) -> ImageData:
    first, second = _read(settings, data_dir)
    _check_images(first, settings.source)
    classes = _classes(settings, first.labels)
    _check_labels(first.labels, classes, settings.source)
    train = _prepared(first, settings)
    rng = np.random.default_rng(SPLIT_SEED)
    aside = [] if second is not None else [("test", settings.test)]
    parts = _split(train.labels, [*aside, ("validation", settings.validation)], rng)
    splits = {name: train.take(indices) for name, indices in parts.items()}
    if second is not None:
        _check_images(second, "the test images")
        _check_labels(second.labels, classes, "the test images")
        splits["test"] = _prepared(second, settings)
    if splits["test"].images.shape[1] != train.images.shape[1]:
        raise ValueError(
            f"test images must have as many pixels as the others, {train.images.shape[1]}, but "
            f"they have {splits['test'].images.shape[1]}; images.size makes them equal"
        )
    for name, split in splits.items():
        _check_classes(split.labels, classes, name)
        for array in (split.images, split.labels):
            array.flags.writeable = False
    height, width = (settings.size,) * 2 if settings.size else first.images.shape[1:3]
    return ImageData(splits["train"], splits["validation"], splits["test"], classes, height, width)


def _read(settings: ImageSettings, data_dir: str) -> tuple[RawImages, RawImages | None]:
    """Return the images to learn from, and those of the source's own test split."""
    source = settings.source
    if source == DIGITS:
        return read_digits(), None
    if source in KNOWN_SETS:
        return read_known(KNOWN_SETS[source], data_dir)
    if settings.labels:
        test = None
        if settings.test_source:
            test = read_idx(settings.test_source, settings.test_labels)
        return read_idx(source, settings.labels), test
    if source.endswith(SUFFIX):
        return read_npz(source)
    from wann.checks import unknown

    hint = "or the path of a .npz file, or of an IDX file with images.labels beside it"
    raise unknown("data set", source, [DIGITS, *KNOWN_SETS], hint)


def _check_images(raw: RawImages, where: str) -> None:
    """Raise ValueError for what are not images with a label each."""
    images, labels = raw.images, raw.labels
    is_grey = images.ndim == 3
    if not is_grey and not (images.ndim == 4 and images.shape[3] == 3):
        raise ValueError(
            f"images of {where} must all have one size, [n, height, width] or [n, height, width, "
            f"3], but their shape is {list(images.shape)}"
        )
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise ValueError(
            f"pixels of {where} must be bytes or numbers from 0 to 1, but they are {images.dtype}"
        )
    if 0 in images.shape:
        raise ValueError(f"{where} has no images: their shape is {list(images.shape)}")
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ValueError(
            f"labels of {where} must be whole numbers [n], but they are {labels.dtype} of shape "
            f"{list(labels.shape)}"
        )
    if len(labels) != len(images):
        raise ValueError(f"{where} has {len(images):,} images, but {len(labels):,} labels")
    if images.dtype == np.uint8:
        return
    wrong = ~((images >= 0) & (images <= 1))
    if wrong.any():
        place = tuple(int(each[0]) for each in np.nonzero(wrong))
        raise ValueError(
            f"pixels of {where} must be from 0 to 1 (or bytes), but that of image {place[0]} at "
            f"{list(place[1:])} is {images[place]}"
        )


def _classes(settings: ImageSettings, labels: np.ndarray) -> tuple[str, ...]:
    if settings.classes:
        return settings.classes
    largest = int(labels.max())
    if largest >= MAX_NETWORK_SIDE:
        raise ValueError(
            f"a network has at most {MAX_NETWORK_SIDE:,} outputs, but there is a label {largest:,}"
        )
    return tuple(str(each) for each in range(largest + 1))


def _check_labels(labels: np.ndarray, classes: tuple[str, ...], where: str) -> None:
    """Raise ValueError where a label is out of range or there are not two classes."""
    wrong = (labels < 0) | (labels >= len(classes))
    if wrong.any():
        index = int(wrong.argmax())
        raise ValueError(
            f"labels of {where} must be from 0 to {len(classes) - 1}, but that of image {index} "
            f"is {labels[index]}"
        )
    if len(classes) < 2 or len(np.unique(labels)) < 2:
        raise ValueError(f"{where} has images of one class only; there is nothing to tell apart")


def _check_classes(labels: np.ndarray, classes: tuple[str, ...], split: str) -> None:
    """Raise ValueError where a class has no image in a split."""
    counts = np.bincount(labels, minlength=len(classes))
    if not counts.all():
        empty = classes[int(counts.argmin())]
        raise ValueError(
            f"every class needs an image in every split, but the {split} split of {len(labels):,} "
            f"has none of class {empty!r}"
        )


def _prepared(raw: RawImages, settings: ImageSettings) -> ImageSet:
    """Return the images as a network sees them."""
    parts = []
    for first in range(0, len(raw.images), CHUNK):
        images = raw.images[first : first + CHUNK]
        scale = 255 if images.dtype == np.uint8 else 1
        images = images.astype(np.float32) / np.float32(scale)
        if images.ndim == 4:
            images = luminance(images)
        if settings.size:
            images = resized(images, settings.size, settings.resize)
        if settings.deskew:
            images = deskewed(images)
        parts.append(np.clip(images, 0.0, 1.0).reshape(len(images), -1))
    pixels = np.concatenate(parts)
    if pixels.shape[1] > MAX_NETWORK_SIDE:
        raise ValueError(
            f"a network has at most {MAX_NETWORK_SIDE:,} inputs, but these images have "
            f"{pixels.shape[1]:,} pixels; images.size makes them smaller"
        )
    return ImageSet(pixels, raw.labels.astype(np.int64))


def _split(
    labels: Int64[np.ndarray, "n"], aside: list[tuple[str, float]], rng: np.random.Generator
) -> dict[str, Int64[np.ndarray, "k"]]:
    """Return the indices of each split: of every class its share, and the rest for "train".

    aside: name and share, or number, of each split but "train", of all images. Those of "train"
    rise; the others are mixed, so that any part of them is much like the whole.
    Raises ValueError when nothing is left for "train".
    """
    counts = np.bincount(labels)
    queues = [rng.permutation(np.flatnonzero(labels == each)) for each in range(len(counts))]
    parts: dict[str, Int64[np.ndarray, "k"]] = {}
    for name, share in aside:
        number = round(share * len(labels)) if share < 1 else int(share)
        wanted = _apportioned(number, counts)
        taken = [queue[:size] for queue, size in zip(queues, wanted, strict=True)]
        queues = [queue[size:] for queue, size in zip(queues, wanted, strict=True)]
        parts[name] = rng.permutation(np.concatenate(taken))
    rest = np.sort(np.concatenate(queues))
    put_aside = sum(len(each) for each in parts.values())
    if put_aside + len(rest) != len(labels) or len(rest) == 0:
        raise ValueError(
            f"images.test and images.validation leave none of {len(labels):,} images to train on"
        )
    parts["train"] = rest
    return parts


def _apportioned(number: int, counts: np.ndarray) -> list[int]:
    """Return how many of `number` fall to each class, in proportion, by largest remainders."""
    exact = number * counts / counts.sum()
    whole = np.floor(exact).astype(int)
    missing = number - int(whole.sum())
    order = np.argsort(whole - exact, kind="stable")
    whole[order[:missing]] += 1
    return whole.tolist()
