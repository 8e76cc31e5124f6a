"""Files that are whole: written at once or not at all, read within bounds."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

TEMPORARY_SUFFIX = ".wann-tmp"
_counter = itertools.count()


def write_atomically(path: str | Path, data: bytes | str) -> None:
    """Write `data` to `path` so that anyone who reads it sees the old content or all of the new.

    data: text is written as UTF-8, line ends as they are. It goes to a temporary name in the same
        folder and to the disk before it is renamed, and the folder to the disk after that.
    Raises OSError that names `path` when it cannot be written; what was there then still is.
    """
    path = Path(path)
    content = data.encode() if isinstance(data, str) else data
    unique = f"{os.getpid()}-{next(_counter)}"
    temporary = path.with_name(f".{path.name}.{unique}{TEMPORARY_SUFFIX}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def _sync_folder(folder: Path) -> None:
    """Write a folder's names to the disk, so that a renamed file outlives a loss of power."""
    with contextlib.suppress(OSError):  # not every system or file system can
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def staged(path: str | Path, *, force: bool = False) -> Iterator[Path]:
    """Give a place beside `path` to write a file or a folder to; at the end it becomes `path`.

    force: replace what is there: a file, or a folder in which nothing else lies than the new one
        has too.
    After an error inside, or when nothing was written, `path` is as it was.
    Raises ValueError when `path` exists and may not be replaced, or has no folder to stand in;
    OSError that names `path` when it cannot be written.
    """
    path = Path(path)
    if not path.name:
        raise ValueError(f"a file's name was wanted, but {str(path)!r} was given")
    _check_free(path, force)
    if not path.parent.is_dir():
        raise ValueError(
            f"there is no folder {str(path.parent)!r} for {path.name!r}; make it first"
        )
    with _blaming(path):
        room = Path(mkdtemp(TEMPORARY_SUFFIX, f".{path.name}.", path.parent))
    try:
        staging = room / path.name
        yield staging
        _check_contained(path, staging)
        _check_free(path, force)
        with _blaming(path):
            if path.is_dir():
                path.rename(room / "old")
            staging.replace(path)
            _sync_folder(path.parent)
    finally:
        if (room / "old").is_dir() and not path.exists():
            (room / "old").rename(path)
        shutil.rmtree(room, ignore_errors=True)


def _check_free(path: Path, force: bool) -> None:
    if path.is_symlink() or path.exists():
        if not force:
            raise ValueError(f"{str(path)!r} exists already; --force replaces it")
        if not path.is_dir() and not path.is_file():
            raise ValueError(f"{str(path)!r} is no file that could be replaced; choose another")


def _check_contained(path: Path, staging: Path) -> None:
    """Raise ValueError when a folder that is to be replaced holds what the new one does not."""
    if path.exists() and path.is_dir() != staging.is_dir():
        there, wanted = ("folder", "file") if path.is_dir() else ("file", "folder")
        raise ValueError(f"{str(path)!r} is a {there}, not a {wanted}; choose another name")
    if not path.is_dir():
        return
    new = {each.relative_to(staging) for each in staging.rglob("*")}
    others = sorted({each.relative_to(path) for each in path.rglob("*")} - new)
    if others:
        raise ValueError(f"{str(path)!r} holds {str(others[0])!r} too; choose another folder")


@contextlib.contextmanager
def _blaming(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def sweep_temporary(folder: str | Path, prefix: str = "") -> None:
    """Remove what writers left in `folder` that were killed before they could rename.

    prefix: how the names of the swept files begin. Leave it out only where no one else writes:
        the temporary file of a writer at work is removed as well.
    """
    for each in Path(folder).iterdir():
        if each.name.startswith(f".{prefix}") and each.name.endswith(TEMPORARY_SUFFIX):
            if each.is_dir() and not each.is_symlink():
                shutil.rmtree(each, ignore_errors=True)
            else:
                each.unlink(missing_ok=True)


def read_bounded(path: str | Path, max_bytes: int) -> bytes:
    """Return the content of a file of at most `max_bytes`.

    Raises ValueError for a larger one and for what is no regular file, before anything is read;
    OSError when it is missing or may not be read.
    """
    path = Path(path)
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{path}: a file was wanted, but this is a folder or a device")
    if status.st_size > max_bytes:
        size = f"{status.st_size:,} bytes"
        raise ValueError(f"{path}: at most {max_bytes:,} bytes can be read, but it has {size}")
    with path.open("rb") as file:
        return file.read(max_bytes)
