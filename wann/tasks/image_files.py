"""Files of images: where they are looked for, how they are checked, and how they are read."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wann.kernel_cache import user_cache
from wann.tasks.faults import text_of

DATA_VARIABLE = "WANN_DATA_DIR"
IDX_IMAGES, IDX_LABELS = 2051, 2049  # magic numbers: unsigned bytes in 3 dimensions, and in 1
MAX_FILE_BYTES = 2 * 2**30
CIFAR_RECORDS, CIFAR_SIDE = 10_000, 32  # images of a batch, and their side


@dataclass(frozen=True, eq=False)
class RawImages:
    """Images as a file holds them.

    images: [n, height, width] grey or [n, height, width, 3] red, green and blue; bytes from 0 to
        255, or numbers from 0 to 1. labels: [n] whole numbers.
    """

    images: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class KnownSet:
    """A public set of images.

    folder: its name below a data folder. files: SHA-256 by file name. alternative: the same set in
        other files. mirrors: addresses that a file's name is put behind.
    archive: name and SHA-256 of what the mirrors have instead of the files, if they do.
    """

    name: str
    folder: str
    files: Mapping[str, str]
    mirrors: tuple[str, ...]
    alternative: Mapping[str, str] | None = None
    archive: tuple[str, str] | None = None


_IDX_NAMES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
_CIFAR_NAMES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
KNOWN_SETS = {
    each.name: each
    for each in (
        KnownSet(
            "mnist",
            "mnist",
            dict(
                zip(
                    _IDX_NAMES,
                    (
                        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                    ),
                    strict=True,
                )
            ),
            (
                "https://ossci-datasets.s3.amazonaws.com/mnist/",
                "https://storage.googleapis.com/cvdf-datasets/mnist/",
            ),
        ),
        KnownSet(
            "fashion-mnist",
            "fashion-mnist",
            dict(
                zip(
                    _IDX_NAMES,
                    (
                        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
                    ),
                    strict=True,
                )
            ),
            (
                "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
                "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            ),
        ),
        KnownSet(
            "cifar-10",
            "cifar-10",
            dict(
                zip(
                    (f"cifar-10-batches-bin/{name}.bin" for name in _CIFAR_NAMES),
                    (
                        "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
                        "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
                        "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
                        "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
                        "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
                        "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
                    ),
                    strict=True,
                )
            ),
            ("https://www.cs.toronto.edu/~kriz/",),
            dict(
                zip(
                    (f"{name}.xz" for name in _CIFAR_NAMES),
                    (
                        "f3eb308526f0d265d60787b9d32be5aa16db82dc83a4d0aa228d060ce44b2aac",
                        "87f3cf9bb8107f85bb8598cabaf532545cfd389d6bfc71261eb7232c5f18e127",
                        "d8a29d5b0abcc7b78d6c9cff5ad102ecbcf5e65f8b888f4356798e349b0f2e1f",
                        "64f12a1c68358dd2384d52f0b892b33e90447775461b752f020b1e34abb6aa3f",
                        "d1f6cb7a807fa07f53bd9b04921c44076a2b4cb33ff8391acdd9bdb48bc69f54",
                        "c88e766319a4688eb35d4bf53178768d10fb327d63ca7a8ecad97dc5a8ace436",
                    ),
                    strict=True,
                )
            ),
            (
                "cifar-10-binary.tar.gz",
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            ),
        ),
    )
}


def data_cache() -> Path:
    """Return the cache folder that data sets are looked for last, and downloaded to."""
    return user_cache() / "wann" / "data"


def data_folders(data_dir: str = "") -> list[Path]:
    """Return where data sets are looked for, in order.

    data_dir: the user's --data-dir; then the variable WANN_DATA_DIR and the cache folder.
    """
    given = [data_dir, os.environ.get(DATA_VARIABLE, "")]
    return [*(Path(each) for each in given if each), data_cache()]


def find_files(known: KnownSet, data_dir: str = "") -> list[Path]:
    """Return the set's files, checked by their SHA-256, in the order in which it names them.

    Raises ValueError that names files, hashes and folders when they are missing or others; OSError
    when one cannot be read.
    """
    folders = [each / known.folder for each in data_folders(data_dir)]
    layouts = [known.files, *([known.alternative] if known.alternative else [])]
    for folder in folders:
        for files in layouts:
            there = [name for name in files if (folder / name).is_file()]
            if len(there) == len(files):
                return [_checked(folder / name, digest) for name, digest in files.items()]
            if there:
                missing = next(name for name in files if name not in there)
                raise ValueError(
                    f"data set {known.name!r} is not whole: {folder / missing} is missing "
                    f"(SHA-256 {files[missing]}); put it there, or `wann data fetch {known.name}` "
                    "downloads the set"
                )
    files = ", ".join(f"{name} (SHA-256 {digest})" for name, digest in known.files.items())
    looked = ", ".join(str(each) for each in folders)
    raise ValueError(
        f"data set {known.name!r} was not found in {looked}; put its files into one of these, or "
        f"into {known.folder}/ below --data-dir: {files}; `wann data fetch {known.name}` "
        "downloads them"
    )


def _checked(path: Path, digest: str) -> Path:
    with path.open("rb") as file:
        came = hashlib.file_digest(file, "sha256").hexdigest()
    if came != digest:
        raise ValueError(
            f"{path} is not the file it should be: its SHA-256 must be {digest}, but it is {came}; "
            "remove it and fetch it again"
        )
    return path


def read_known(known: KnownSet, data_dir: str = "") -> tuple[RawImages, RawImages]:
    """Return the training and the test images of a known set. Raises what `find_files` raises."""
    paths = find_files(known, data_dir)
    if known.archive is None:
        return read_idx(paths[0], paths[1]), read_idx(paths[2], paths[3])
    read = read_packed_cifar if paths[0].suffix == ".xz" else read_cifar
    *train, test = [read(path) for path in paths]
    images = np.concatenate([each.images for each in train])
    return RawImages(images, np.concatenate([each.labels for each in train])), test


def read_idx(images: str | Path, labels: str | Path) -> RawImages:
    """Return the images and labels of a pair of IDX files, compressed by gzip or plain.

    Raises ValueError that names the file that is missing, truncated, of another kind, or of another
    length than the other one.
    """
    count, height, width, pixels = _idx(Path(images), IDX_IMAGES, 3)
    number, values = _idx(Path(labels), IDX_LABELS, 1)
    if number != count:
        raise ValueError(f"{labels} has {number:,} labels, but {images} has {count:,} images")
    return RawImages(pixels.reshape(count, height, width), values)


def _idx(path: Path, magic: int, num_dimensions: int) -> tuple:
    """Return the dimensions of an IDX file, and its bytes."""
    data = _unpacked(path)
    length = 4 * (1 + num_dimensions)
    if len(data) < length:
        raise ValueError(f"{path} is no IDX file: its header has {length} bytes, it {len(data)}")
    came, *shape = struct.unpack(f">{1 + num_dimensions}I", data[:length])
    if came != magic:
        kind = "images" if magic == IDX_IMAGES else "labels"
        raise ValueError(
            f"{path} is no IDX file of {kind}: its magic number must be {magic}, but it is {came}"
        )
    values = np.frombuffer(data, np.uint8, offset=length)
    wanted = int(np.prod(shape, dtype=object))
    if len(values) != wanted:
        raise ValueError(
            f"{path} must hold {' x '.join(map(str, shape))} = {wanted:,} bytes after its header, "
            f"but it has {len(values):,}"
        )
    return *shape, values


def _unpacked(path: Path) -> bytes:
    """Return a file's content, uncompressed if its name ends in .gz."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ValueError(f"{path} is larger than the {MAX_FILE_BYTES:,} bytes that are read")
        data = path.read_bytes()
        if path.suffix != ".gz":
            return data
        decoder = zlib.decompressobj(wbits=31)  # gzip
        content = decoder.decompress(data, MAX_FILE_BYTES)
        if not decoder.eof:
            raise EOFError
        return content
    except FileNotFoundError:
        raise ValueError(f"{path} is missing") from None
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        why = text_of(error) or "it ends too early"
        raise ValueError(f"{path} is no whole gzip file: {why}") from None


def read_npz(path: str | Path) -> tuple[RawImages, RawImages | None]:
    """Return the training images of a `.npz` file, and its test images if it has any.

    It holds `images` and `labels`, or `x_train` and `y_train` with or without `x_test` and
    `y_test`. Raises ValueError that names what is missing or wrong.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise ValueError(f"{path} is missing") from None
    except (ValueError, zipfile.BadZipFile, EOFError, zlib.error, AttributeError) as error:
        raise ValueError(f"{path} is no .npz file of plain arrays: {text_of(error)}") from None
    names = ("x_train", "y_train") if "x_train" in arrays else ("images", "labels")
    for name in names:
        if name not in arrays:
            raise ValueError(
                f"{path} must hold images and labels, or x_train and y_train, but it has "
                f"{', '.join(arrays) or 'nothing'}"
            )
    train = RawImages(*(arrays[name] for name in names))
    if names[0] == "images" or ("x_test" not in arrays and "y_test" not in arrays):
        return train, None
    for name in ("x_test", "y_test"):
        if name not in arrays:
            raise ValueError(f"{path} must hold x_test and y_test, or neither; {name} is missing")
    return train, RawImages(arrays["x_test"], arrays["y_test"])


def read_digits() -> RawImages:
    """Return scikit-learn's 1,797 handwritten digits of 8 x 8 pixels, as numbers from 0 to 1."""
    from sklearn.datasets import load_digits

    found: Any = load_digits()
    return RawImages((found.images / 16.0).astype(np.float32), found.target)


def read_cifar(path: str | Path) -> RawImages:
    """Return the images of one of CIFAR-10's binary batches.

    Raises ValueError when the file has another length than such a batch.
    """
    records = _cifar_bytes(Path(path).read_bytes(), path).reshape(CIFAR_RECORDS, -1)
    planes = records[:, 1:].reshape(CIFAR_RECORDS, 3, CIFAR_SIDE, CIFAR_SIDE)
    return RawImages(planes.transpose(0, 2, 3, 1), records[:, 0])


def read_packed_cifar(path: str | Path) -> RawImages:
    """Return the images of a batch of CIFAR-10 that is kept as residuals of a predictor, in xz.

    Labels come first, then zigzag residuals of G, R - G and B - G under the median predictor of
    LOCO-I (Weinberger, Seroussi & Sapiro 2000). Raises ValueError when it is no such file.
    """
    try:
        with lzma.open(path) as file:
            content = file.read()
    except (lzma.LZMAError, EOFError) as error:
        raise ValueError(f"{path} is no whole xz file: {text_of(error)}") from None
    data = _cifar_bytes(content, path)
    labels, coded = data[:CIFAR_RECORDS], data[CIFAR_RECORDS:]
    zigzag = coded.reshape(3, CIFAR_RECORDS, CIFAR_SIDE, CIFAR_SIDE).transpose(0, 2, 3, 1)
    zigzag = zigzag.astype(np.int16)
    residuals = (zigzag >> 1) ^ -(zigzag & 1)
    green = _predicted(residuals[0], np.zeros_like(residuals[0]))
    red, blue = _predicted(residuals[1], green), _predicted(residuals[2], green)
    images = np.stack([red, green, blue]).astype(np.uint8)
    return RawImages(images.transpose(3, 1, 2, 0), labels)


def _predicted(residuals: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Return a channel [32, 32, n] from its residuals; it was coded as its difference to `base`."""
    values = np.zeros_like(residuals)
    for row in range(CIFAR_SIDE):
        for column in range(CIFAR_SIDE):
            if row == 0 or column == 0:
                near = values[max(row - 1, 0), 0] if column == 0 else values[0, column - 1]
                west = north = north_west = near
            else:
                west, north = values[row, column - 1], values[row - 1, column]
                north_west = values[row - 1, column - 1]
            low, high = np.minimum(west, north), np.maximum(west, north)
            median = np.clip(west + north - north_west, low, high)
            guess = np.clip(median + base[row, column], 0, 255)
            values[row, column] = ((residuals[row, column] + guess) & 255) - base[row, column]
    return values + base


def _cifar_bytes(content: bytes, path: str | Path) -> np.ndarray:
    size = CIFAR_RECORDS * (1 + 3 * CIFAR_SIDE**2)
    if len(content) != size:
        raise ValueError(f"{path} must hold {size:,} bytes, but it has {len(content):,}")
    return np.frombuffer(content, np.uint8)
