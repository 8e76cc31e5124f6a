"""Options: what was typed, and one line for what is wrong with it."""

from __future__ import annotations

import io
from dataclasses import dataclass, field, fields
from typing import Any

import pytest

from wann.cli.parsing import field_help, parse_typed


@dataclass(frozen=True)
class Options:
    """Options of every kind."""

    place: str = field(default="", metadata={"positional": True})
    """Where"""
    words: str = "abc"
    """Words"""
    number: int = 3
    """A whole
    number"""
    share: float | None = None
    """A number"""
    names: tuple[str, ...] = ("a",)
    """Several names"""
    truth: bool = True
    """Whether it holds"""
    loud: bool = field(default=False, metadata={"flag": True})
    """A flag"""


def typed(*argv: str) -> dict[str, Any]:
    names = [each.name for each in fields(Options)]
    return parse_typed(argv, "program", "What it does.", {"some": (Options, names)})


def test_only_what_was_typed_comes_back() -> None:
    assert typed() == {}
    assert typed("--number", "3") == {"number": 3}
    assert typed("--loud") == {"loud": True}


def test_zero_and_false_count_as_typed() -> None:
    assert typed("--number", "0", "--truth", "no") == {"number": 0, "truth": False}


def test_every_kind_of_value_is_converted() -> None:
    argv = ("here", "--number=-4", "--share", "1e-3", "--truth", "TRUE", "--loud")
    wanted = {"place": "here", "number": -4, "share": 1e-3, "truth": True, "loud": True}
    assert typed(*argv) == wanted


def test_a_list_is_separated_by_commas_or_spaces() -> None:
    assert typed("--names", "a", "b")["names"] == ("a", "b")
    assert typed("--names", "a,b", "c")["names"] == ("a", "b", "c")
    assert typed("--names=a,b")["names"] == ("a", "b")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--numbr", "3"], r"no option '--numbr'; did you mean '--number'\? \(`program --help`"),
        (["--x"], r"no option '--x' \(`program --help` names all\)"),
        (["--xyz=4"], r"no option '--xyz'"),
        (["here", "there"], r"'there' is one argument too many"),
        (["--number", "many"], r"--number: a whole number was wanted, but 'many' was given"),
        (["--number", "1.5"], r"--number: a whole number was wanted, but '1.5' was given"),
        (["--number="], r"--number: a whole number was wanted, but '' was given"),
        (["--share", "half"], r"--share: a number was wanted, but 'half' was given"),
        (["--truth", "maybe"], r"--truth: true or false was wanted, but 'maybe' was given"),
        (["--number"], r"--number needs a value"),
        (["--words="], r"--words: a value was wanted, but '' was given; leave it out for the"),
        (["--words", ""], r"--words: a value was wanted, but '' was given"),
        ([""], r"--place: a value was wanted, but '' was given"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(argv: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        typed(*argv)
    assert "\n" not in str(caught.value)


def test_the_message_is_whole_on_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    with pytest.raises(ValueError, match="--number: a whole number was wanted, but 'x' was given"):
        typed("--number", "x")


def test_the_message_is_the_same_where_boxes_are_drawn_in_ascii(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), "ascii"))
    with pytest.raises(
        ValueError, match=r"^--number: a whole number was wanted, but 'x' was given$"
    ):
        typed("--number", "x")
    with pytest.raises(ValueError, match=r"^--number needs a value$"):
        typed("--number")


class Terminal(io.StringIO):
    """A stream that claims to be a terminal with colours."""

    def isatty(self) -> bool:
        return True


def test_the_message_is_free_of_colours_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", Terminal())
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    with pytest.raises(
        ValueError, match=r"^--number: a whole number was wanted, but 'x' was given$"
    ):
        typed("--number", "x")


def test_help_goes_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        typed("--help")
    text = capsys.readouterr()
    assert "A whole number (3)" in text.out
    assert text.err == ""


def test_the_text_under_a_field_is_its_help() -> None:
    assert field_help(Options)["number"] == "A whole number"
