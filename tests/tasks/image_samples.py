"""Small sets of images for tests, as arrays and as files."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np


def grey_images(count: int = 60, side: int = 6, classes: int = 3, seed: int = 0):
    """Return images of bytes [n, side, side] and labels [n], in which each class has its column."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    images = rng.integers(0, 100, (count, side, side)).astype(np.uint8)
    images[np.arange(count), :, labels] += 120
    return images, labels.astype(np.uint8)


def idx_bytes(array: np.ndarray, magic: int | None = None) -> bytes:
    """Return an array of bytes as an IDX file."""
    number = 0x800 + array.ndim if magic is None else magic
    return struct.pack(f">{1 + array.ndim}I", number, *array.shape) + array.tobytes()


def write_idx(folder: Path, images: np.ndarray, labels: np.ndarray, prefix: str = "train"):
    """Return the paths of an IDX pair, compressed."""
    paths = (folder / f"{prefix}-images.gz", folder / f"{prefix}-labels.gz")
    for path, array in zip(paths, (images, labels), strict=True):
        path.write_bytes(gzip.compress(idx_bytes(array)))
    return paths


def write_npz(folder: Path, **arrays: np.ndarray) -> Path:
    """Return the path of a `.npz` file of these arrays, by default of `grey_images`."""
    if not arrays:
        images, labels = grey_images()
        arrays = {"images": images, "labels": labels}
    path = folder / "own.npz"
    np.savez(path, **arrays)
    return path
