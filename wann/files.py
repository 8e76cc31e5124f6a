"""Files that are whole: written at once or not at all, read within bounds."""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
from pathlib import Path

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


def sweep_temporary(folder: str | Path, prefix: str = "") -> None:
    """Remove what writers left in `folder` that were killed before they could rename.

    prefix: how the names of the swept files begin. Leave it out only where no one else writes:
        the temporary file of a writer at work is removed as well.
    """
    for each in Path(folder).iterdir():
        if each.name.startswith(f".{prefix}") and each.name.endswith(TEMPORARY_SUFFIX):
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
