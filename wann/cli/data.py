"""`wann data`: download the files of known data sets. Nothing else of ours downloads anything."""

from __future__ import annotations

import hashlib
import logging
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from rich.console import Console

from wann.checks import unknown
from wann.cli.parsing import parse_typed
from wann.cli.stopping import stoppable
from wann.files import write_atomically
from wann.tasks.faults import MissingDependency, describe
from wann.tasks.image_data import DIGITS
from wann.tasks.image_files import KNOWN_SETS, KnownSet, data_folders

DESCRIPTION = (
    "Download a data set's files and check them: wann data fetch NAME.\n\n"
    "They go below --data-dir, else below WANN_DATA_DIR, else into the cache folder."
)


@dataclass(frozen=True)
class DataOptions:
    """What `wann data` is asked for."""

    verb: str = field(default="", metadata={"positional": True, "metavar": "fetch"})
    """What to do: fetch"""
    name: str = field(default="", metadata={"positional": True, "metavar": "NAME"})
    """The data set: mnist, fashion-mnist or cifar-10"""
    data_dir: str = field(default="", metadata={"metavar": "FOLDER"})
    """Where to put it, in a folder of its name"""
    debug: bool = field(default=False, metadata={"flag": True})
    """Show the traceback of an error"""


def run_data(argv: Sequence[str], prog: str, console: Console) -> int:
    """Return 0 once all files of a data set are there and have the hashes they should have.

    Raises ValueError for an unknown set, MissingDependency without pooch, RuntimeError when no
    mirror has what is wanted, OSError when it cannot be written.
    """
    names = [each.name for each in fields(DataOptions)]
    options = DataOptions(**parse_typed(argv, prog, DESCRIPTION, {"data": (DataOptions, names)}))
    if options.verb != "fetch":
        came = f", not {options.verb!r}" if options.verb else ""
        raise ValueError(f"`{prog} fetch NAME` is what there is{came}; {_choice()}")
    if options.name == DIGITS:
        raise ValueError("'digits' comes with scikit-learn; there is nothing to download")
    if options.name not in KNOWN_SETS:
        if not options.name:
            raise ValueError(f"name the data set to fetch; {_choice()}")
        raise unknown("data set", options.name, KNOWN_SETS, _choice())
    known = KNOWN_SETS[options.name]
    folder = data_folders(options.data_dir)[0] / known.folder
    with stoppable():
        fetch(known, folder, console)
    console.print(f"{known.name} is in {folder}", soft_wrap=True)
    return 0


def _choice() -> str:
    return f"there are {', '.join(KNOWN_SETS)}"


def fetch(known: KnownSet, folder: Path, console: Console) -> None:
    """Put the files of a set into `folder`, those that are not there yet.

    A file appears there whole and with the right hash or not at all. Raises as `run_data`.
    """
    pooch = _pooch(known.name)
    missing = {
        name: each for name, each in known.files.items() if not _is_right(folder / name, each)
    }
    if not missing:
        return
    folder.mkdir(parents=True, exist_ok=True)
    if known.archive is None:
        for name, digest in missing.items():
            _download(pooch, known, name, digest, folder, console)
        return
    path = _download(pooch, known, *known.archive, folder, console)
    _unpack(path, missing, folder)
    path.unlink()


def _pooch(name: str) -> Any:
    try:
        import pooch
    except ImportError:
        raise MissingDependency(
            f"fetching {name!r} needs pooch, which is not installed; "
            "pip install 'wann-search[data]'"
        ) from None
    pooch.get_logger().setLevel(logging.ERROR)
    return pooch


def _is_right(path: Path, digest: str) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == digest


def _download(
    pooch: Any, known: KnownSet, name: str, digest: str, folder: Path, console: Console
) -> Path:
    """Return the path of a file that was downloaded from the first mirror that has it."""
    failures = []
    for mirror in known.mirrors:
        console.print(f"downloading {mirror}{name}", soft_wrap=True)
        try:
            return Path(pooch.retrieve(mirror + name, f"sha256:{digest}", name, folder))
        except PermissionError:
            raise
        except (ValueError, OSError) as error:  # of requests, too; ValueError: another hash
            failures.append(f"{mirror} ({describe(error)})")
    raise RuntimeError(
        f"{name} of {known.name!r} could not be downloaded: {'; '.join(failures)}; put it into "
        f"{folder} yourself (SHA-256 {digest})"
    )


def _unpack(path: Path, files: dict[str, str], folder: Path) -> None:
    """Write the files that are wanted of an archive, once each has the right hash."""
    with tarfile.open(path) as archive:
        for name, digest in files.items():
            member = archive.extractfile(name)
            content = member.read() if member else b""
            if hashlib.sha256(content).hexdigest() != digest:
                raise RuntimeError(f"{name} in {path} has not the SHA-256 it should have: {digest}")
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            write_atomically(folder / name, content)
