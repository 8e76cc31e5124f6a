"""The programs under examples/ and in the README run as they stand."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
SHORT_RUN = (
    "--task", "CartPole-v1", "--generations", "2", "--population", "8", "--workers", "1",
    "--validation-episodes", "2", "--test-episodes", "2", "--quiet",
)  # fmt: skip


def output_of(arguments: list[str], folder: Path) -> str:
    """Return what Python prints with these arguments in this folder, and be sure it succeeds."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_and_says_something(path: Path, tmp_path: Path) -> None:
    assert output_of([str(path)], tmp_path)


@pytest.mark.slow
def test_the_readmes_programs_run_one_after_the_other_beside_a_run(tmp_path: Path) -> None:
    output_of(["-m", "wann", "search", *SHORT_RUN], tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)
    assert len(blocks) == 4
    said = output_of(["-c", "\n".join(blocks)], tmp_path).splitlines()
    assert 0.75 < float(said[0]) <= 1.0  # of the cases of exclusive or; by chance, half
    assert [line.split()[0] for line in said[1:21]] == [str(number) for number in range(20)]
    assert len(said) == 25  # three rows of outputs, and their shape in PyTorch
    assert said[24] == "torch.Size([3, 2])"
