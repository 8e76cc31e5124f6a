"""The built wheel: it holds all that is needed, and works away from the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    subprocess.run([*build, str(ROOT)], check=True, capture_output=True, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True)
    return folder


def run(installed: Path, folder: Path, *command: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_both_packages_the_cards_and_the_type_marker(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "wann/py.typed" in names
    assert "wann_envs/py.typed" in names
    assert "wann_envs/cards/CartPole-v1.toml" in names
    shipped = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert shipped == {"wann", "wann_envs"}


def test_the_installed_wheel_searches_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    where = run(installed, tmp_path, "-c", "import wann; print(wann.__file__)")
    assert Path(where.strip()).is_relative_to(installed)
    output = run(
        installed, tmp_path, "-m", "wann", "search", "--task", "wann/SwingUp-v0", "--generations",
        "2", "--population", "8", "--episodes", "1", "--validation-episodes", "2",
        "--test-episodes", "2", "--json", "--quiet",
    )  # fmt: skip
    result = json.loads(output)
    folder = next((tmp_path / "results" / "runs").iterdir())
    assert (folder / "champion.svg").exists()
    assert result["generations"] == 2


def test_the_commands_are_installed(installed: Path) -> None:
    scripts = {path.name for path in (installed / "bin").iterdir()}
    assert {"wann", "wann-search"} <= scripts
