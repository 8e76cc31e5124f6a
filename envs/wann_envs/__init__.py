"""The environments and wrappers of wann-search, for Gymnasium.

Importing this package registers `wann/SwingUp-v0`, so that a fresh process needs no more than
`gymnasium.make("wann_envs:wann/SwingUp-v0")`.
"""

from __future__ import annotations

import gymnasium

from wann_envs.grey_pixels import GreyPixels
from wann_envs.swing_up import SwingUpEnv

__all__ = ["GreyPixels", "SwingUpEnv"]

if "wann/SwingUp-v0" not in gymnasium.registry:
    gymnasium.register(
        id="wann/SwingUp-v0",
        entry_point="wann_envs.swing_up:SwingUpEnv",
        max_episode_steps=1000,  # 10 s, Gaier & Ha 2019
    )
