"""Environments that only tests know, and Gymnasium's registry put back after them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import pytest

MODULE = """
import gymnasium
import numpy as np

class Still(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (3,))
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, size=3):
        self.observation_space = gymnasium.spaces.Box(-1.0, 1.0, (size,))

    def reset(self, seed=None, options=None):
        return np.zeros(self.observation_space.shape, np.float32), {}

    def step(self, action):
        return np.zeros(self.observation_space.shape, np.float32), 1.0, False, False, {}

class Doubled(gymnasium.ObservationWrapper):
    def __init__(self, env):
        super().__init__(env)
        self.observation_space = gymnasium.spaces.Box(-2.0, 2.0, (6,))

    def observation(self, observation):
        return np.concatenate([observation, observation])

not_callable = 3
gymnasium.register("Still-v0", entry_point=Still)
gymnasium.register("Still-v2", entry_point="still_envs:Still", max_episode_steps=7)
gymnasium.register("Gone-v0", entry_point="no_such_module_here:Env")
"""


@pytest.fixture
def registry() -> Iterator[None]:
    before = dict(gymnasium.registry)
    yield
    gymnasium.registry.clear()
    gymnasium.registry.update(before)


@pytest.fixture
def still_envs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: None) -> Iterator[Path]:
    """Return the folder, on sys.path, of a module that registers environments."""
    (tmp_path / "still_envs.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("still_envs", None)
