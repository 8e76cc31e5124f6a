"""What misbehaves: an environment on order, and functions.

Orders are files of a folder that all processes see.

An order's name is MOMENT-DEED, such as "step-exit". What is in the file says when it holds: nothing
for always, "once" for the first that finds it, a number for episodes that begin with this action.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import gymnasium
import numpy as np
from gymnasium.envs.registration import register

from wann.rollout.single import policy
from wann.tasks.card import Card
from wann.tasks.control import ControlTask, control_task
from wann.topology import Topologies

NUM_INPUTS = 6
Conditions: TypeAlias = tuple[np.ndarray, np.ndarray]  # weights and seeds
TASK = "tests.misbehaving:Misbehaving-v0"


class Misbehaving(gymnasium.Env[Any, Any]):
    """Five steps of smooth sums, as long as there is no order to do something else."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (NUM_INPUTS,), np.float64)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float64)

    def __init__(self, folder: str, pause: float = 0.0) -> None:
        """Obey the orders in a folder. pause: s that each step takes."""
        self._folder = Path(folder)
        self._pause = pause
        self._state = np.zeros(NUM_INPUTS)
        self._first = np.nan  # the episode's first action
        (self._folder / f"process-{os.getpid()}").touch()
        self._obey("make")

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        super().reset(seed=seed)
        self._state = self.np_random.uniform(-1.0, 1.0, NUM_INPUTS)
        self._first = np.nan
        self._obey("reset")
        return self._state, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Reward actions near the mean of the state."""
        if np.isnan(self._first):
            self._first = float(action[0])
        time.sleep(self._pause)
        self._obey("step")
        reward = -((float(action[0]) - self._state.mean()) ** 2)
        self._state = np.sin(2.0 * np.roll(self._state, 1) + action)
        return self._state, reward, False, False, {}

    def _obey(self, moment: str) -> None:
        for order in self._folder.glob(f"{moment}-*"):
            try:
                when = order.read_text()
                if when == "once":
                    order.unlink()
            except FileNotFoundError:  # another process has obeyed it
                continue
            if when in ("", "once") or abs(float(when) - self._first) < 1e-7:
                _do(order.name.partition("-")[2])


def _do(deed: str) -> None:
    if deed == "exit":
        os._exit(3)
    if deed == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if deed == "hang":
        time.sleep(3600.0)
    if deed == "leak":
        hoard = []
        while True:
            hoard.append(np.ones(2**22))
    raise ArithmeticError("as ordered")


register("Misbehaving-v0", "tests.misbehaving:Misbehaving", max_episode_steps=5)


def misbehaving_task(folder: Path, pause: float = 0.0) -> ControlTask:
    """Return the task whose orders are in this folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    arguments = {"folder": str(folder), "pause": pause}
    return control_task(Card("Misbehaving", environment=TASK, arguments=arguments))


@contextmanager
def order(folder: Path, deed: str, when: str | float = "") -> Iterator[Path]:
    """Have an order in force in here. when: "once", an action, or "" for always."""
    path = folder / deed
    path.write_text(str(when))
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def processes(folder: Path) -> list[int]:
    """Return the ids of the processes that have made the environment, and forget them."""
    files = list(folder.glob("process-*"))
    for each in files:
        each.unlink()
    return [int(each.name.partition("-")[2]) for each in files]


def own_action(task: ControlTask, topologies: Topologies, index: int, how: Conditions) -> float:
    """Return an action with which episodes of this network begin, and none of another one."""
    weights, seeds = how
    env = task.make()
    inputs = [task.observe(env.reset(seed=seed)[0]) for seed in seeds.tolist()]
    first: dict[float, set[int]] = {}
    for genome in range(len(topologies)):
        for weight in weights.tolist():
            network = policy(topologies[genome], weight)
            for each in inputs:
                first.setdefault(round(float(task.act(network(each))[0]), 8), set()).add(genome)
    return next(action for action, genomes in first.items() if genomes == {index})


def fail(text: str) -> None:
    """Raise LookupError."""
    raise LookupError(text)


def is_writable(topologies: Topologies) -> bool:
    """Return whether a network's arrays can be written."""
    return topologies.sources.flags.writeable


def die(folder: Path, times: int) -> int:
    """Return how many processes have died here, once it is `times`; die until then."""
    deaths = len(list(folder.glob("*")))
    if deaths < times:
        (folder / str(os.getpid())).touch()
        _do("kill")
    return deaths


def count_running(folder: Path, name: str) -> int:
    """Return how many calls are in this function at the same time."""
    (folder / name).touch()
    time.sleep(0.2)
    count = len(list(folder.glob("*")))
    (folder / name).unlink()
    return count
