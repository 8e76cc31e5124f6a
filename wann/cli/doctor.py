"""`wann doctor`: whether everything that a search needs is in place."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from rich.console import Console
from rich.table import Table

from wann.cli.parsing import parse_typed
from wann.evaluation import available_cores
from wann.kernel_cache import use_kernel_cache
from wann.version import __version__

DESCRIPTION = "Show versions, processor and folders, and whether everything is in place."
OLDEST_PYTHON = (3, 11)
ESSENTIAL = (
    "numpy", "numba", "scipy", "gymnasium", "safetensors", "filelock", "tomli-w", "tyro", "rich",
    "jaxtyping", "matplotlib",
)  # fmt: skip
OTHERS = ("torch", "ray", "pandas", "networkx", "neat-python", "cmaes", "scikit-learn")
EXTRAS = {"box2d": "box2d", "mujoco": "mujoco", "render": "pygame"}  # what each one installs
GPU_TIMEOUT = 2.0  # s
CLUSTER_TIMEOUT = 1.0  # s


@dataclass(frozen=True)
class DoctorOptions:
    """What `wann doctor` is asked for."""

    debug: bool = field(default=False, metadata={"flag": True})
    """Show the traceback of an error"""


@dataclass(frozen=True)
class Finding:
    """Something that was looked at. is_good: None where it is not essential."""

    name: str
    text: str
    is_good: bool | None = None


def run_doctor(argv: Sequence[str], prog: str, console: Console) -> int:
    """Return 0 after printing what was looked at to standard output; 1 when something is broken."""
    names = [each.name for each in fields(DoctorOptions)]
    parse_typed(argv, prog, DESCRIPTION, {"doctor": (DoctorOptions, names)})
    found = [*_machine(), *_packages(), *_extras(), *_folders(), _environment()]
    table = Table(box=None, show_header=False, pad_edge=False)
    for each in found:
        word = {True: "ok", False: "BROKEN", None: ""}[each.is_good]
        table.add_row(each.name, each.text, word, style="bold red" if word == "BROKEN" else "")
    Console(markup=False, highlight=False, emoji=False).print(table)
    broken = [each.name for each in found if each.is_good is False]
    if broken:
        console.print(f"\na search cannot run here: see {', '.join(broken)}")
    return 1 if broken else 0


def _machine() -> list[Finding]:
    python = platform.python_version()
    wanted = ".".join(str(each) for each in OLDEST_PYTHON)
    is_new = sys.version_info >= OLDEST_PYTHON
    return [
        Finding("wann-search", __version__),
        Finding("Python", python if is_new else f"{python}; {wanted} is needed", is_new),
        Finding("system", f"{platform.system()} {platform.machine()}"),
        Finding("cores", f"{available_cores()} of {os.cpu_count()} may be used"),
        Finding("GPU", _gpu()),
        Finding("Ray cluster", _cluster()),
    ]


def _gpu() -> str:
    """Return the NVIDIA GPUs that the driver names; Torch, which takes seconds, is not asked."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return "none (a search needs none)"
    try:
        listed = subprocess.run(
            [program, "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True, text=True, timeout=GPU_TIMEOUT, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return "the driver does not answer"
    return ", ".join(listed.stdout.split("\n")).strip(", ") or "none"


def _cluster() -> str:
    """Return the cluster that a search can join; Ray, which takes seconds, is not asked."""
    given = os.environ.get("RAY_ADDRESS", "")
    address = _started_here() if given in ("", "auto") else given
    if not address:
        return "none here; a search that uses Ray starts its own"
    why = "from RAY_ADDRESS" if given else "for --ray-address auto"
    return f"{address}, {why}: {'answers' if _answers(address) else 'nobody answers'}"


def _started_here() -> str:
    """Return the address of the cluster that `ray start` has noted on this machine, "" for none."""
    try:
        folder = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir())
        return (folder / "ray" / "ray_current_cluster").read_text().strip()
    except (OSError, ValueError):
        return ""


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CLUSTER_TIMEOUT).close()
    except (OSError, ValueError, OverflowError):
        return False
    return True


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _packages() -> list[Finding]:
    found = []
    for name in (*ESSENTIAL, *OTHERS):
        version = _version(name)
        is_good = bool(version) if name in ESSENTIAL else None
        found.append(Finding(name, version or "not installed", is_good))
    return found


def _extras() -> list[Finding]:
    return [
        Finding(
            f"extra {extra}",
            "installed" if _version(package) else f"pip install 'wann-search[{extra}]'",
        )
        for extra, package in EXTRAS.items()
    ]


def _folders() -> list[Finding]:
    cache = use_kernel_cache()
    kernels = sum(1 for _ in cache.rglob("*.nbc"))
    state = f"{kernels} kernels" if kernels else "empty: the first search compiles its kernels"
    is_open = _is_writable(Path.cwd())
    here = "can be written" if is_open else "cannot be written; --out chooses another folder"
    return [
        Finding("kernel cache", f"{cache}: {state}", _is_writable(cache)),
        Finding("working folder", here),
    ]


def _is_writable(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _environment() -> Finding:
    """Return whether Gymnasium plays and the cards that ship can be read."""

    def play() -> str:
        from wann.tasks import Card, control_task, shipped_cards

        environment = control_task(Card("CartPole-v1")).make()
        environment.reset(seed=0)
        environment.step(0)
        environment.close()
        return f"plays CartPole-v1; {len(shipped_cards())} cards"

    return _tried("tasks", play)


def _tried(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name, check(), True)
    except Exception as error:  # a broken installation can raise anything
        return Finding(name, f"{type(error).__name__}: {error}", False)
