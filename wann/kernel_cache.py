"""Where Numba keeps compiled kernels: a folder named by everything that goes into them.

Numba itself only notices a change in the file that holds a cached function, not in the files it
calls, and would run the old code (`wann/rollout` has one cached function and twelve files).
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

# Inside the package: the kernels, and the files whose constants are frozen into them.
KERNEL_SOURCES = ("*_kernels.py", "rollout/*.py", "activations.py", "mutation.py")
VARIABLE = "NUMBA_CACHE_DIR"
PREFIX = "kernels-"
MARKER_SUFFIX = ".built"  # of the files that `wann.kernel_build` leaves: nothing is missing
SPACE_NEEDED = 32 * 2**20  # bytes; all kernels take about 2
ABANDONED_AFTER = 3600.0  # s; a temporary file as old as this belongs to a process that was killed
PICKLE_START, PICKLE_END = b"\x80", b"."  # of the files Numba writes


@functools.cache
def use_kernel_cache() -> Path:
    """Return the folder that Numba will use, after telling it so through NUMBA_CACHE_DIR.

    Call it before kernels are imported; a second call costs nothing. The folder stands in the
    one NUMBA_CACHE_DIR names, else in the user's cache folder (XDG_CACHE_HOME), else, when that
    cannot be written or is full, in the temporary folder. Files that are not whole are removed.
    """
    name = PREFIX + kernel_digest(Path(__file__).parent)
    folder = next((each for each in _places(name) if _is_usable(each)), None)
    if folder is None:
        folder = Path(tempfile.mkdtemp(prefix="wann-")) / name
        folder.mkdir()
    remove_broken(folder)
    os.environ[VARIABLE] = str(folder)
    if "numba" in sys.modules:  # it has read its environment already
        sys.modules["numba"].config.CACHE_DIR = str(folder)
    return folder


def kernel_digest(package: Path) -> str:
    """Return 16 hex digits that change with any kernel, compiler version and processor."""
    digest = hashlib.sha256()
    for path in kernel_sources(package):
        digest.update(f"{path.relative_to(package).as_posix()}\0".encode() + path.read_bytes())
    for name in ("numba", "llvmlite", "numpy"):
        digest.update(f"\0{name} {importlib.metadata.version(name)}".encode())
    digest.update(_processor())
    return digest.hexdigest()[:16]


def kernel_sources(package: Path) -> list[Path]:
    """Return the files that kernels are made of, in order."""
    return sorted(each for pattern in KERNEL_SOURCES for each in package.glob(pattern))


def remove_broken(folder: Path) -> None:
    """Remove cached files that a crash or a full disk cut short; Numba would fail on them.

    With one of them go the markers that say that nothing is missing.
    Numba writes under a temporary name and renames, so a killed process leaves only the temporary
    file; it goes too, once nobody can be writing it any more.
    """
    with contextlib.suppress(OSError):
        for path in folder.glob("*/*.nb[ic]"):
            if not _is_whole(path):
                for marker in folder.glob(f"*{MARKER_SUFFIX}"):
                    marker.unlink(missing_ok=True)
                path.unlink(missing_ok=True)
        for path in folder.glob("*/*.tmp.*"):
            if time.time() - path.stat().st_mtime > ABANDONED_AFTER:
                path.unlink(missing_ok=True)


def _is_whole(path: Path) -> bool:
    """Return whether the file begins and ends as a pickle does."""
    with path.open("rb") as file:
        start = file.read(1)
        if start != PICKLE_START:
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) == PICKLE_END


def _places(name: str) -> list[Path]:
    """Return the folders to try, best first."""
    user = os.getuid() if hasattr(os, "getuid") else "user"
    temporary = Path(tempfile.gettempdir()) / f"{name}-{user}"
    given = os.environ.get(VARIABLE)
    if not given:
        with contextlib.suppress(RuntimeError):  # no home
            return [user_cache() / "wann" / name, temporary]
        return [temporary]
    root = Path(given)
    if root.name.startswith(name):  # set by this function in a parent process
        return [root, temporary]
    if root.name.startswith(PREFIX):  # the same, with other kernels
        root = root.parent
    return [root / name, temporary]


def user_cache() -> Path:
    """Return the folder that this system keeps a user's caches in."""
    given = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    if given:
        return Path(given)
    return Path("~/Library/Caches" if sys.platform == "darwin" else "~/.cache").expanduser()


def _is_usable(folder: Path) -> bool:
    """Return whether the folder is there or can be made, nobody else can write it, and has room."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
        if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o022):
            return False  # cached kernels are pickles: whoever writes them runs code as this user
        tempfile.TemporaryFile(dir=folder).close()
        return shutil.disk_usage(folder).free > SPACE_NEEDED
    except OSError:
        return False


def _processor() -> bytes:
    """Return what tells this machine's processor type from others'."""
    try:
        with Path("/proc/cpuinfo").open("rb") as file:
            lines = file.read(8192).split(b"\n\n")[0].splitlines()
        wanted = (b"model name", b"flags", b"Features", b"CPU ")
        return b"\n".join(line for line in lines if line.startswith(wanted))
    except OSError:
        import platform

        return f"{platform.machine()} {platform.processor()}".encode()
