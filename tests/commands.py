"""Commands as a user types them, and how they end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

TINY = (
    "--generations=3", "--population=12", "--episodes=1", "--tournament=2",
    "--validation-episodes=2", "--test-episodes=2", "--workers=1",
)  # fmt: skip


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]
