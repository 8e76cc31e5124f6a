"""A program that runs a small search and is killed (SIGKILL) at a moment named on its command line.

    python killed_run.py FOLDER MOMENT COUNT

MOMENT: before-rename, after-rename (of an atomic write), evaluation, row (of metrics.csv), test (an
episode in Gymnasium while the champion is scored), compile (a process that compiles has started).
COUNT: at which occurrence, from 1. The process ends by itself when there are fewer.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wann.config import Backend, SearchConfig
from wann.run_files import RunSpec

CONFIG = SearchConfig(
    task="CartPole-v1", seed=5, generations=12, population=24, episodes=2, tournament=3,
    validation_episodes=4, test_episodes=4,
)  # fmt: skip


def spec() -> RunSpec:
    """Return the run that is killed."""
    from wann.tasks import load_task

    return RunSpec(CONFIG, load_task(CONFIG.task).card)


def kill_around(owner: Any, name: str, count: int, after: bool = False) -> None:
    """Make the count-th call of `owner.name` kill this process, before or after it."""
    original: Callable[..., Any] = getattr(owner, name)
    left = count

    def counted(*arguments: Any, **named: Any) -> Any:
        nonlocal left
        left -= 1
        if left == 0 and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **named)
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, counted)


def prepare(moment: str, count: int) -> None:
    """Arrange for the kill."""
    from wann import kernel_build, run
    from wann.evaluation import LocalEvaluator
    from wann.records import MetricsFile
    from wann.rollout import episodes

    if moment == "before-rename":
        kill_around(os, "replace", count)
    elif moment == "after-rename":
        kill_around(os, "replace", count, after=True)
    elif moment == "evaluation":
        kill_around(LocalEvaluator, "evaluate", count)
    elif moment == "row":
        kill_around(MetricsFile, "append", count, after=True)
    elif moment == "test":
        kill_around(episodes, "play", count)
    elif moment == "compile":
        kill_around(kernel_build, "_start", count, after=True)
    else:
        raise ValueError(f"no moment {moment!r}")
    run.CHECKPOINT_INTERVAL = 0.0  # a checkpoint after each generation
    run.CHECKPOINT_SHARE = 1e9


def main() -> None:
    """Run until killed."""
    from wann.kernel_cache import use_kernel_cache

    use_kernel_cache()
    folder, moment, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    prepare(moment, count)
    from wann.run import Run

    Run(spec(), Path(folder), backend=Backend(workers=2)).execute()


if __name__ == "__main__":
    main()
