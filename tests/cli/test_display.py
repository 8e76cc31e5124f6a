"""Progress: live on a terminal, plain lines elsewhere, and cheap."""

from __future__ import annotations

import dataclasses
import io
import time
from typing import Any

import pytest
from rich.console import Console

from wann.cli import display
from wann.cli.display import (
    Display,
    Limits,
    Pace,
    display_for,
    duration,
    passing_line,
    shortened,
)
from wann.config import SearchConfig
from wann.coordinator import Coordinator, GenerationReport

REPORT = GenerationReport(0, 412.25, 80.0, 450.0, 6, 5.0, 400.0, 3, 10, 1_000)


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(display, "time", made)
    return made


@pytest.fixture
def coordinator() -> Coordinator:
    return Coordinator(SearchConfig(generations=1_000, population=4, tournament=2), 4, 2)


def console_on(is_terminal: bool, **options: Any) -> tuple[Console, io.StringIO]:
    text = io.StringIO()
    return Console(file=text, force_terminal=is_terminal, width=80, **options), text


def run(shown: Display, coordinator: Coordinator, generations: range) -> None:
    for generation in generations:
        shown(coordinator, dataclasses.replace(REPORT, generation=generation))


def test_elsewhere_a_line_comes_every_two_seconds_and_for_the_first_and_last(
    clock: Clock, coordinator: Coordinator
) -> None:
    console, text = console_on(False)
    with display_for(console, "task", False, Limits(start=clock.now)) as shown:
        for generation in range(1_000):
            clock.now += 0.01
            run(shown, coordinator, range(generation, generation + 1))
    lines = text.getvalue().splitlines()
    assert lines[0] == ("generation 1/1000  best 412.2  median 80.0  held-out 400.0  connections 6")
    assert lines[1].endswith("connections 6  100.0 k steps/s  8 s left")
    assert lines[-2].startswith("generation 1000/1000")
    assert lines[-1] == display.SCORING
    assert len(lines) == 7


def test_quiet_shows_nothing(coordinator: Coordinator) -> None:
    console, text = console_on(True)
    with display_for(console, "task", True, Limits()) as shown:
        run(shown, coordinator, range(5))
    assert text.getvalue() == ""


def test_on_a_terminal_two_lines_are_kept_up_to_date(coordinator: Coordinator) -> None:
    console, text = console_on(True)
    with display_for(console, "CartPole-v1", False, Limits()) as shown:
        run(shown, coordinator, range(3))
        time.sleep(1.5 / display.REFRESHES)
    assert "CartPole-v1" in text.getvalue()
    assert "generation 3/1000" in text.getvalue()
    assert "held-out 400.0" in text.getvalue()


@pytest.mark.parametrize("is_terminal", [True, False])
def test_what_takes_long_before_the_first_generation_is_said(is_terminal: bool) -> None:
    console, text = console_on(is_terminal)
    with display_for(console, "task", False, Limits(), "starting Ray"):
        time.sleep(1.5 / display.REFRESHES)
    assert "starting Ray" in text.getvalue()


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_passing_line_stays_where_there_is_no_terminal(is_terminal: bool) -> None:
    console, text = console_on(is_terminal)
    with passing_line(console) as show:
        show("compiling")
        time.sleep(0.2)
    assert ("\x1b[2K" in text.getvalue()) == is_terminal  # erases the line
    assert "compiling" in text.getvalue()


def test_a_passing_line_is_not_shown_if_quiet() -> None:
    console, text = console_on(True, quiet=True)
    with passing_line(console) as show:
        show("compiling")
    assert text.getvalue() == ""


def test_colours_are_left_out_where_the_user_wants_none(
    coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    console, text = console_on(True)
    with display_for(console, "task", False, Limits()) as shown:
        run(shown, coordinator, range(3))
        time.sleep(1.5 / display.REFRESHES)
    assert "\x1b[3" not in text.getvalue()


@pytest.mark.parametrize(
    ("limits", "is_last"),
    [
        (Limits(), False),
        (Limits(target=400.0), True),
        (Limits(target=400.1), False),
        (Limits(time_limit=0.0), True),
        (Limits(time_limit=1e6), False),
    ],
)
def test_the_last_generation_is_seen_coming(
    coordinator: Coordinator, limits: Limits, is_last: bool
) -> None:
    assert limits.are_met(coordinator, REPORT) == is_last
    assert limits.are_met(coordinator, dataclasses.replace(REPORT, generation=999))


def test_the_pace_leaves_out_the_first_generation_and_what_is_long_past(clock: Clock) -> None:
    pace = Pace()
    clock.now += 30.0  # kernels are compiled
    pace.note(5)
    assert pace.rates() == (0.0, 0.0)
    for _ in range(10):
        clock.now += 1.0
        pace.note(100)
    assert pace.rates() == pytest.approx((1.0, 100.0))
    for _ in range(100):
        clock.now += 0.5
        pace.note(100)
    assert pace.rates() == pytest.approx((2.0, 200.0))


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (187, "3:07"), (3723, "1:02:03")]
)
def test_times_are_written_as_people_read_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"), [(999, "999"), (1_500, "1.5 k"), (12_300_000, "12.3 M"), (4e9, "4.0 G")]
)
def test_large_numbers_are_shortened(number: float, text: str) -> None:
    assert shortened(number) == text
