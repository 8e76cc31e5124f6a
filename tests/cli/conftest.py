"""The commands as a user types them, in a folder of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.commands import TINY, Ended, Run
from wann.cli import main
from wann.export import progress


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the empty working folder of the commands; they write plain text of 100 columns.

    They draw no learning curve, which takes longer than a tiny run; its own tests do.
    """
    monkeypatch.setattr(progress, "draw_progress", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def wann(folder: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return what runs `wann` with these arguments."""
    return lambda *arguments: _ended(main.main, arguments, capsys)


@pytest.fixture
def search(folder: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return what runs `wann-search` with these arguments after those of a tiny CartPole run."""
    return lambda *arguments: _ended(main.search, [*TINY, *arguments], capsys)


@pytest.fixture
def bare_search(folder: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return what runs `wann-search` with these arguments and no others."""
    return lambda *arguments: _ended(main.search, arguments, capsys)


def _ended(
    command: Callable[[Sequence[str]], int],
    arguments: Sequence[str],
    capsys: pytest.CaptureFixture[str],
) -> Ended:
    capsys.readouterr()
    code = command(list(arguments))
    text = capsys.readouterr()
    return Ended(code, text.out, text.err)
