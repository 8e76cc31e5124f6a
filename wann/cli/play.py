"""`wann play`: watch a network act."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from wann.checks import whole_number_in
from wann.cli.parsing import parse_typed
from wann.cli.stopping import stoppable

if TYPE_CHECKING:
    from wann.export.film import Player
    from wann.network import Network
    from wann.tasks import ControlTask

MAX_EPISODES = 10_000
MAX_SEED = 2**31 - 1
DESCRIPTION = "Play episodes with a network: in a window, or as a film or pictures."


@dataclass(frozen=True)
class PlayOptions:
    """What `wann play` is asked for."""

    network: str = field(default="", metadata={"positional": True, "metavar": "RUN|FILE"})
    """A run's name or folder, or a network's file"""
    task: str = field(default="", metadata={"metavar": "ID"})
    """Play this task instead of the one that the network was found for"""
    weight: float | None = None
    """Shared weight in place of the network's own"""
    episodes: int = 1
    """Number of episodes"""
    seed: int = 0
    """Seed of the first episode; each next one has the next number"""
    video: str = field(default="", metadata={"metavar": "FILE"})
    """Film them to a .gif or .mp4 instead of showing a window"""
    frames: str = field(default="", metadata={"metavar": "FOLDER"})
    """Save each frame as a .png in a new folder instead"""
    force: bool = field(default=False, metadata={"flag": True})
    """Replace the film or the folder"""
    debug: bool = field(default=False, metadata={"flag": True})
    """Show the traceback of an error"""


def run_play(argv: Sequence[str], prog: str, console: Console) -> int:
    """Return 0 after playing episodes and printing their returns to standard output.

    Raises ValueError when there is no such network or task, they do not fit each other, or there is
    no display; MissingDependency when showing them needs a package that is not installed.
    """
    from wann.export.film import Player, check_film
    from wann.export.policy import to_policy

    names = [each.name for each in fields(PlayOptions)]
    typed = parse_typed(argv, prog, DESCRIPTION, {"play": (PlayOptions, names)})
    options = PlayOptions(**typed)
    _check(options)
    if options.video:
        check_film(options.video)
    network, task = _found(options)
    policy = to_policy(network, task, weight=options.weight)
    mode = "rgb_array" if options.video or options.frames else "human"
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    if mode == "rgb_array":
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # it needs no display
    with stoppable():
        player = Player(task, policy, mode)
        try:
            written = _played(player, options)
        finally:
            player.close()
    output = Console(markup=False, highlight=False, emoji=False)
    for episode in player.episodes:
        steps = f"{episode.steps:,} steps"
        output.print(f"seed {episode.seed}: return {episode.total:.1f} in {steps}")
    if written:
        output.print(written, soft_wrap=True)
    return 0


def _check(options: PlayOptions) -> None:
    if not options.network:
        raise ValueError("name what to play: a run or a network's file")
    whole_number_in("--episodes", options.episodes, 1, MAX_EPISODES)
    whole_number_in("--seed", options.seed, 0, MAX_SEED - MAX_EPISODES)
    if options.weight is not None and not math.isfinite(options.weight):
        raise ValueError(f"--weight must be finite, but {options.weight} was given")
    if options.video and options.frames:
        raise ValueError("give --video or --frames, not both")


def _found(options: PlayOptions) -> tuple[Network, ControlTask]:
    from wann.cli.sources import card_of_run, found_network, is_file_name
    from wann.tasks import load_control_task, played_task

    task = load_control_task(options.task) if options.task else None
    network = found_network(options.network, Path(), task)
    if task is None and not is_file_name(options.network):
        task = played_task(card_of_run(options.network))
    if task is None:
        if not network.task:
            raise ValueError(f"{options.network!r} names no task; add --task ID")
        if ":" in network.task:
            raise ValueError(
                f"{options.network!r} is for task {network.task!r}, which runs a module's code; "
                f"add --task {network.task} if you trust it"
            )
        task = load_control_task(network.task)
    return network, task


def _played(player: Player, options: PlayOptions) -> str:
    """Play all episodes and return what to say of the film or the pictures."""
    from wann.export.film import save_film, save_pictures
    from wann.files import staged

    seeds = range(options.seed, options.seed + options.episodes)
    if options.video:
        with staged(options.video, force=options.force) as path:
            count = save_film(path, player.frames(seeds), player.rate)
        return f"film  {options.video}, {count:,} frames"
    if options.frames:
        with staged(options.frames, force=options.force) as folder:
            count = save_pictures(folder, player.frames(seeds))
        return f"pictures  {count:,} in {options.frames}"
    for _ in player.steps(seeds):
        pass
    return ""
