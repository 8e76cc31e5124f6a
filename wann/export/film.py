"""A network at play: its episodes step by step, in a window, as a film or as pictures."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8

if TYPE_CHECKING:
    from wann.export.policy import Policy
    from wann.tasks import ControlTask

Frame = UInt8[np.ndarray, "height width 3"]

FILM_SUFFIXES = (".gif", ".mp4")
SHORTEST_GIF_STEP = 20  # ms; viewers slow down what is faster
DEFAULT_RATE = 30.0  # frames a second, of an environment that does not say


@dataclass
class Played:
    """An episode as it goes on. total: the sum of its rewards so far."""

    seed: int
    steps: int = 0
    total: float = 0.0
    done: bool = False


class Player:
    """Plays episodes of a task in the real Gymnasium environment and keeps count of them.

    render_mode: "human" for a window, "rgb_array" for frames, None for neither.
    Raises ValueError when the environment does not have the mode, or there is no display for a
    window; MissingDependency when a package is missing.
    """

    def __init__(self, task: ControlTask, policy: Policy, render_mode: str | None) -> None:
        if render_mode == "human":
            _check_display()
        _check_mode(task, render_mode)
        self.policy = policy
        self.task = task
        self.render_mode = render_mode
        self.environment = task.make(render_mode)
        self.rate = float(self.environment.metadata.get("render_fps") or DEFAULT_RATE)
        self.episodes: list[Played] = []

    def frames(self, seeds: Iterable[int]) -> Iterator[Frame]:
        """Play an episode for each seed and give a frame after each reset and each step."""
        for _ in self.steps(seeds):
            frame = self._call(self.environment.render)
            if not isinstance(frame, np.ndarray) or frame.ndim != 3 or frame.shape[2] != 3:
                raise RuntimeError(f"environment {self.task.id!r} renders no colour pictures")
            yield np.ascontiguousarray(frame, dtype=np.uint8)

    def steps(self, seeds: Iterable[int]) -> Iterator[Played]:
        """Play an episode for each seed and give it after its reset and after each step."""
        for seed in seeds:
            episode = Played(seed)
            self.episodes.append(episode)
            observation, _ = self._call(self.environment.reset, seed=seed)
            yield episode
            while not episode.done:
                action = self.policy(observation)
                observation, reward, terminated, truncated, _ = self._call(
                    self.environment.step, action
                )
                episode.steps += 1
                episode.total += float(reward)
                episode.done = bool(terminated or truncated)
                yield episode

    def _call(self, function: Any, *arguments: Any, **options: Any) -> Any:
        from gymnasium.error import DependencyNotInstalled

        from wann.tasks import MissingDependency

        try:
            return function(*arguments, **options)
        except (DependencyNotInstalled, ImportError) as error:
            raise MissingDependency(
                f"{self.task.id!r} cannot be shown without a package that is not installed; "
                "pip install 'wann-search[render]'"
            ) from error

    def close(self) -> None:
        """Close the environment and its window."""
        self.environment.close()


def _check_mode(task: ControlTask, render_mode: str | None) -> None:
    if render_mode is None:
        return
    environment = task.make()
    modes = environment.metadata.get("render_modes") or []
    environment.close()
    if render_mode not in modes:
        known = ", ".join(map(str, modes)) or "none"
        raise ValueError(
            f"environment {task.id!r} has no render mode {render_mode!r}; it has: {known}"
        )


def _check_display() -> None:
    if not sys.platform.startswith("linux"):
        return
    names = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")
    if not any(os.environ.get(name) for name in names):
        raise ValueError(
            "there is no display for a window here; --video FILE.gif makes a film instead"
        )


def check_film(name: str) -> None:
    """Raise ValueError unless a film has this name, MissingDependency when none can be written."""
    suffix = Path(name).suffix.lower()
    if suffix not in FILM_SUFFIXES:
        raise ValueError(f"--video must end in {' or '.join(FILM_SUFFIXES)}, not {name!r}")
    if suffix == ".mp4":
        from importlib.util import find_spec

        if find_spec("imageio_ffmpeg") is None:
            from wann.tasks import MissingDependency

            raise MissingDependency(
                ".mp4 needs imageio_ffmpeg, which is not installed; "
                "pip install 'wann-search[video]', or name a .gif"
            )


def save_film(path: Path, frames: Iterator[Frame], rate: float) -> int:
    """Write frames as a .gif or .mp4 and return how many there were.

    rate: frames a second; a .gif shows at most 50, leaves out what is more and keeps the speed.
    """
    return (_save_gif if path.suffix.lower() == ".gif" else _save_mp4)(path, frames, rate)


def save_pictures(folder: Path, frames: Iterator[Frame]) -> int:
    """Write each frame to a new folder, as 00001.png and so on, and return how many there were."""
    from PIL import Image

    folder.mkdir()
    number = 0
    for number, frame in enumerate(frames, 1):
        Image.fromarray(frame).save(folder / f"{number:05d}.png")
    return number


def _save_gif(path: Path, frames: Iterator[Frame], rate: float) -> int:
    from PIL import Image

    every = max(1, round(SHORTEST_GIF_STEP * rate / 1000.0))
    step = max(SHORTEST_GIF_STEP, 10 * round(100.0 * every / rate))  # ms, in tens as .gif counts
    count = 0

    def pictures() -> Iterator[Image.Image]:
        nonlocal count
        for number, frame in enumerate(frames):
            if number % every == 0:
                count += 1
                yield Image.fromarray(frame).quantize(64)

    rest = pictures()
    first = next(rest)
    first.save(path, format="GIF", save_all=True, append_images=rest, duration=step, loop=0)
    return count


def _save_mp4(path: Path, frames: Iterator[Frame], rate: float) -> int:
    import imageio_ffmpeg

    first = next(frames)
    height, width = (size - size % 2 for size in first.shape[:2])  # the codec wants even sizes
    writer = imageio_ffmpeg.write_frames(
        str(path), (width, height), fps=round(rate), macro_block_size=2, ffmpeg_log_level="error"
    )
    writer.send(None)
    count = 0
    try:
        for frame in _chained(first, frames):
            writer.send(np.ascontiguousarray(frame[:height, :width]))
            count += 1
    finally:
        writer.close()
    return count


def _chained(first: Frame, rest: Iterator[Frame]) -> Iterator[Frame]:
    yield first
    yield from rest
