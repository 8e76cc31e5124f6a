"""Progress of a search on standard error: live on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from wann.coordinator import Coordinator, GenerationReport

REFRESHES = 4  # a second; each costs about a millisecond
LINE_INTERVAL = 2.0  # s between two plain lines, at least
SCORING = "scoring the champion in test episodes"
WINDOW = 10.0  # s of the past that speed and the time left are computed from


@dataclass(frozen=True)
class Limits:
    """Where a search ends before its last generation. start: of the clock, s."""

    target: float | None = None
    time_limit: float | None = None
    start: float = field(default_factory=time.monotonic)

    def are_met(self, coordinator: Coordinator, report: GenerationReport) -> bool:
        """Return whether this generation seems to be the last."""
        if report.generation + 1 >= coordinator.config.generations:
            return True
        if self.target is not None and report.validated >= self.target:
            return True
        return self.time_limit is not None and time.monotonic() - self.start >= self.time_limit


class Pace:
    """How fast a search goes: generations and environment steps a second, of late."""

    def __init__(self) -> None:
        """Start the clock."""
        self._marks: deque[tuple[float, int, int]] = deque([(time.monotonic(), 0, 0)])

    def note(self, num_steps: int) -> None:
        """Take note of a generation that has just ended and the steps it took."""
        now = time.monotonic()
        _, generations, steps = self._marks[-1]
        self._marks.append((now, generations + 1, steps + num_steps))
        while len(self._marks) > 2 and self._marks[1][0] < now - WINDOW:
            self._marks.popleft()

    def rates(self) -> tuple[float, float]:
        """Return generations and steps a second; 0 as long as they are not known."""
        marks = self._marks
        first, last = marks[0], marks[-1]
        if first[1] == 0 and len(marks) > 1:
            first = marks[1]  # the first generation also loads the kernels
        seconds = last[0] - first[0]
        if seconds <= 0.0:
            return 0.0, 0.0
        return (last[1] - first[1]) / seconds, (last[2] - first[2]) / seconds


@dataclass(frozen=True)
class Units:
    """How the numbers of a task are shown. steps: what it counts. decimals: of its returns."""

    steps: str = "steps"
    decimals: int = 1

    def speed(self, steps: float) -> str:
        """Return how many steps a second there are."""
        return f"{shortened(steps)} {self.steps}/s"


IMAGES = Units("images", 3)


def numbers(report: GenerationReport, units: Units) -> str:
    """Return a generation's returns and size as people read them."""
    best, median, validated = (
        f"{each:.{units.decimals}f}" for each in (report.best, report.median, report.validated)
    )
    return f"best {best}  median {median}  held-out {validated}  connections {report.connections}"


def shortened(number: float) -> str:
    """Return a large number in thousands, millions or thousands of millions: 12.3 M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.1f} {letter}"
    return f"{number:.0f}"


def duration(seconds: float) -> str:
    """Return a time as 12 s, 3:07 or 1:02:03."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Display:
    """Shows a search, as a context manager and a callback of the coordinator; this one nothing."""

    def __enter__(self) -> Display:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __call__(self, coordinator: Coordinator, report: GenerationReport) -> None:
        """Take note of a generation."""


class _Plain(Display):
    """Writes a line for the first and the last generation, and for one every few seconds."""

    def __init__(self, console: Console, limits: Limits, beginning: str, units: Units) -> None:
        self._console = console
        self._units = units
        self._limits = limits
        self._beginning = beginning
        self._pace = Pace()
        self._last = 0.0

    def __enter__(self) -> _Plain:
        if self._beginning:
            self._console.print(self._beginning, soft_wrap=True)
        return self

    def __call__(self, coordinator: Coordinator, report: GenerationReport) -> None:
        self._pace.note(report.num_steps)
        now = time.monotonic()
        done, total = report.generation + 1, coordinator.config.generations
        is_last = self._limits.are_met(coordinator, report)
        if not is_last and now - self._last < LINE_INTERVAL:
            return
        self._last = now
        rate, steps = self._pace.rates()
        parts = [f"generation {done}/{total}", numbers(report, self._units)]
        if rate:
            parts.append(self._units.speed(steps))
        if rate and not is_last:
            parts.append(f"{duration((total - done) / rate)} left")
        self._console.print("  ".join(parts), soft_wrap=True)
        if is_last:
            self._console.print(SCORING)


class _Live(Display):
    """Keeps two lines up to date; a thread draws them, a generation costs a few microseconds."""

    def __init__(
        self, console: Console, title: str, limits: Limits, beginning: str, units: Units
    ) -> None:
        self._title = title
        self._units = units
        self._beginning = beginning or "starting"
        self._limits = limits
        self._is_last = False
        self._pace = Pace()
        self._report: GenerationReport | None = None
        self._total = 1
        self._live = Live(
            console=console,
            get_renderable=self._picture,
            refresh_per_second=REFRESHES,
            transient=True,
        )

    def __enter__(self) -> _Live:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def __call__(self, coordinator: Coordinator, report: GenerationReport) -> None:
        self._pace.note(report.num_steps)
        self._total = coordinator.config.generations
        self._is_last = self._limits.are_met(coordinator, report)
        self._report = report

    def _picture(self) -> Group:
        report = self._report
        done = report.generation + 1 if report else 0
        top = Table.grid(expand=True, padding=(0, 2))
        top.add_column(no_wrap=True)
        top.add_column(ratio=1)
        top.add_column(no_wrap=True, justify="right")
        bar = ProgressBar(total=self._total, completed=done, width=None)
        top.add_row(self._title, bar, self._state(done))
        if report is None:
            return Group(top)
        _, steps = self._pace.rates()
        tail = f"  {self._units.speed(steps)}" if steps else ""
        line = numbers(report, self._units) + tail
        return Group(top, Text(line, no_wrap=True, overflow="ellipsis"))

    def _state(self, done: int) -> str:
        if self._is_last:
            return SCORING
        rate, _ = self._pace.rates()
        left = f"  {duration((self._total - done) / rate)} left" if rate else ""
        return f"generation {done}/{self._total}{left}" if done else self._beginning


def display_for(
    console: Console,
    title: str,
    quiet: bool,
    limits: Limits,
    beginning: str = "",
    units: Units | None = None,
) -> Display:
    """Return what shows a search on this console: nothing if quiet, live lines on a terminal.

    beginning: what is shown until the first generation is done, if there is something to wait for.
    """
    units = units or Units()
    if quiet:
        return Display()
    if _is_live(console):
        return _Live(console, title, limits, beginning, units)
    return _Plain(console, limits, beginning, units)


@contextmanager
def passing_line(console: Console) -> Iterator[Callable[[str], None]]:
    """Give what shows a line: on a terminal until the end of this context, elsewhere for good."""
    with ExitStack() as until_end:

        def show(line: str) -> None:
            if _is_live(console) and not console.quiet:
                until_end.enter_context(console.status(line))
            else:
                console.print(line)

        yield show


def _is_live(console: Console) -> bool:
    return console.is_terminal and not console.is_dumb_terminal
