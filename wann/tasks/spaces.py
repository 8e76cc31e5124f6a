"""Gymnasium spaces as a network's inputs and outputs: flattening, names and action rules."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Tuple
from jaxtyping import Float64, Int64

from wann.checks import unknown

Observe: TypeAlias = Callable[[Any], Float64[np.ndarray, "I"]]
Act: TypeAlias = Callable[[Float64[np.ndarray, "O"]], Any]

MAX_NETWORK_SIDE = 4096  # inputs, or outputs: a 64 x 64 grey image


def flat_size(space: Space[Any]) -> int:
    """Return how many numbers an observation of this space is, seen by a network.

    Box and MultiBinary count their elements, Discrete and MultiDiscrete their values (one-hot),
    Tuple and Dict the sum of their parts.
    Raises ValueError, naming the space and a wrapper that helps, for any other.
    """
    if isinstance(space, Box | MultiBinary):
        return math.prod(space.shape)
    if isinstance(space, Discrete):
        return int(space.n)
    if isinstance(space, MultiDiscrete):
        return int(space.nvec.sum())
    if isinstance(space, Tuple | Dict):
        return sum(flat_size(part) for part in _parts(space).values())
    raise ValueError(
        f"a network cannot read observations of {_named(space)}; wrap the environment in "
        "gymnasium.wrappers.TransformObservation so that it shows a Box"
    )


def check_observation_size(space: Space[Any]) -> int:
    """Return `flat_size` when a network can have so many inputs; raises ValueError otherwise."""
    size = flat_size(space)
    if 1 <= size <= MAX_NETWORK_SIDE:
        return size
    raise ValueError(
        f"a network has 1 to {MAX_NETWORK_SIDE:,} inputs, but {_named(space)} gives {size:,}; wrap "
        "the environment in something smaller, as wann_envs.grey_pixels:GreyPixels for images"
    )


def element_names(space: Space[Any], name: str = "x") -> tuple[str, ...]:
    """Return a name for each of the `flat_size` numbers, such as x[0] or x.goal[2] or action=1."""
    if isinstance(space, Box | MultiBinary):
        return tuple(f"{name}[{index}]" for index in range(flat_size(space)))
    if isinstance(space, Discrete):
        return tuple(f"{name}={space.start + value}" for value in range(space.n))
    if isinstance(space, MultiDiscrete):
        groups = zip(space.nvec.ravel().tolist(), space.start.ravel().tolist(), strict=True)
        return tuple(
            f"{name}[{index}]={start + value}"
            for index, (count, start) in enumerate(groups)
            for value in range(count)
        )
    return tuple(
        each
        for key, part in _parts(space).items()
        for each in element_names(
            part, f"{name}[{key}]" if isinstance(key, int) else f"{name}.{key}"
        )
    )


def observer(
    space: Space[Any], offset: Float64[np.ndarray, "I"], scale: Float64[np.ndarray, "I"]
) -> Observe:
    """Return the function that turns an observation into (flat observation - offset) / scale.

    It gives a new float64 array [I] each time and raises ValueError or TypeError when the
    observation does not have the space's shape.
    """
    flat = _flattener(space)
    if not offset.any() and (scale == 1.0).all():
        return flat
    return lambda observation: (flat(observation) - offset) / scale


def _flattener(space: Space[Any]) -> Observe:
    if isinstance(space, Box | MultiBinary):
        return _flat_array(space.shape)
    if isinstance(space, Discrete):
        return _one_hot(np.array([int(space.n)]), np.array([int(space.start)]), ())
    if isinstance(space, MultiDiscrete):
        counts, starts = space.nvec.astype(np.int64), space.start.astype(np.int64)
        return _one_hot(counts.ravel(), starts.ravel(), space.shape)
    parts = [(key, _flattener(part)) for key, part in _parts(space).items()]

    def flat(observation: Any) -> Float64[np.ndarray, "I"]:
        if len(observation) != len(parts):
            raise ValueError(f"it must have {len(parts)} parts, but it has {len(observation)}")
        return np.concatenate([part(observation[key]) for key, part in parts])

    return flat


def _flat_array(shape: tuple[int, ...]) -> Observe:
    def flat(observation: Any) -> Float64[np.ndarray, "I"]:
        values = np.array(observation, dtype=np.float64)
        if values.shape != shape:
            raise ValueError(f"its shape must be {shape}, but it is {values.shape}")
        return values.reshape(-1)

    return flat


def _one_hot(
    counts: Int64[np.ndarray, "K"], starts: Int64[np.ndarray, "K"], shape: tuple[int, ...]
) -> Observe:
    firsts = np.cumsum(counts) - counts
    size = int(counts.sum())

    def flat(observation: Any) -> Float64[np.ndarray, "I"]:
        values = np.asarray(observation)
        if values.shape != shape:
            raise ValueError(f"its shape must be {shape}, but it is {values.shape}")
        chosen = values.reshape(-1) - starts
        if (chosen < 0).any() or (chosen >= counts).any():
            raise ValueError(f"its value {values.tolist()} is not in the observation space")
        inputs = np.zeros(size)
        inputs[firsts + chosen] = 1.0
        return inputs

    return flat


def _parts(space: Space[Any]) -> dict[Any, Space[Any]]:
    """Return the parts of a Tuple or Dict space in the order in which they are flattened."""
    if isinstance(space, Dict):
        return dict(space.spaces.items())
    return dict(enumerate(space.spaces)) if isinstance(space, Tuple) else {}


def _named(space: Space[Any]) -> str:
    """Return the space as messages show it, cut when its bounds make it long."""
    text = " ".join(str(space).split())
    return text if len(text) <= 120 else f"a {type(space).__name__} of shape {space.shape}"


def action_rules(space: Space[Any]) -> tuple[str, ...]:
    """Return the rules that can turn outputs into an action of this space, its default first.

    Raises ValueError, naming the space and a wrapper that helps, when there is none.
    """
    if isinstance(space, Discrete):
        return ("argmax",)
    if isinstance(space, MultiDiscrete):
        return ("argmax-groups",)
    if isinstance(space, MultiBinary):
        return ("positive",)
    if isinstance(space, Box) and space.dtype is not None and space.dtype.kind in "fiu":
        return ("clip", "tanh", "identity") if space.is_bounded() else ("identity",)
    raise ValueError(
        f"a network cannot give actions of {_named(space)}; wrap the environment in "
        "gymnasium.wrappers.TransformAction so that it takes a Box or a MultiDiscrete"
    )


def check_action_size(space: Space[Any]) -> int:
    """Return how many outputs actions of this space need; raises ValueError when too many."""
    action_rules(space)
    size = flat_size(space)
    if 1 <= size <= MAX_NETWORK_SIDE:
        return size
    raise ValueError(
        f"a network has 1 to {MAX_NETWORK_SIDE:,} outputs, but {_named(space)} needs {size:,}; "
        "wrap the environment in gymnasium.wrappers.TransformAction"
    )


def actor(space: Space[Any], rule: str) -> Act:
    """Return the function that turns a network's outputs [O] into an action of this space.

    rule: one of `action_rules(space)`; an output that is NaN counts as 0 under every rule.
        argmax: the value with the largest output, the first of equal ones.
        argmax-groups: the same for each group of outputs of a MultiDiscrete.
        positive: 1 where an output is above 0.
        clip: outputs clipped to [-1, 1], then mapped onto the space's bounds. Gaier & Ha 2019.
        tanh: outputs squashed by tanh, then mapped onto the bounds.
        identity: outputs as they are, inside the bounds and what the space's dtype can hold.
    Raises ValueError when the rule is not for this space.
    """
    if rule not in action_rules(space):
        suited = ", ".join(action_rules(space))
        raise unknown(f"action rule for {_named(space)}", rule, action_rules(space), suited)
    if isinstance(space, Discrete):
        return _argmax(int(space.start), np.dtype(space.dtype or np.int64).type)
    if isinstance(space, MultiDiscrete):
        return _argmax_groups(space)
    if isinstance(space, MultiBinary):
        return lambda outputs: (outputs > 0.0).astype(np.int8).reshape(space.shape)
    if isinstance(space, Box):
        return _identity(space) if rule == "identity" else _bounded(space, rule)
    raise unknown("action rule", rule, action_rules(space))


def _argmax(start: int, as_type: Callable[[int], Any]) -> Act:
    def act(outputs: Float64[np.ndarray, "O"]) -> Any:
        values = [0.0 if math.isnan(value) else value for value in outputs.tolist()]
        return as_type(start + values.index(max(values)))

    return act


def _argmax_groups(space: MultiDiscrete) -> Act:
    ends = np.cumsum(space.nvec.ravel()).tolist()
    groups = list(zip([0, *ends[:-1]], ends, strict=True))

    def act(outputs: Float64[np.ndarray, "O"]) -> Any:
        values = np.where(np.isnan(outputs), 0.0, outputs)
        chosen = [int(values[first:end].argmax()) for first, end in groups]
        return np.array(chosen, dtype=space.dtype).reshape(space.shape) + space.start

    return act


def _bounded(space: Box, rule: str) -> Act:
    low, high = space.low.astype(np.float64).ravel(), space.high.astype(np.float64).ravel()
    centres = (0.5 * high + 0.5 * low).tolist()
    half_ranges = (0.5 * high - 0.5 * low).tolist()
    squash = math.tanh if rule == "tanh" else _clip
    finish = _caster(space)

    def act(outputs: Float64[np.ndarray, "O"]) -> Any:
        return finish(
            [
                centre + half_range * squash(0.0 if math.isnan(value) else value)
                for value, centre, half_range in zip(
                    outputs.tolist(), centres, half_ranges, strict=True
                )
            ]
        )

    return act


def _clip(value: float) -> float:
    return -1.0 if value < -1.0 else 1.0 if value > 1.0 else value


def _identity(space: Box) -> Act:
    lows, highs = (bounds.tolist() for bounds in _representable(space))
    finish = _caster(space)

    def act(outputs: Float64[np.ndarray, "O"]) -> Any:
        return finish(
            [
                min(max(0.0 if math.isnan(value) else value, low), high)
                for value, low, high in zip(outputs.tolist(), lows, highs, strict=True)
            ]
        )

    return act


def _representable(
    space: Box,
) -> tuple[Float64[np.ndarray, "O"], Float64[np.ndarray, "O"]]:
    """Return the least and the greatest float64 of each element that is a value of the space."""
    dtype: Any = space.dtype
    limits = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
    lowest, highest = float(limits.min), float(limits.max)
    if dtype.kind != "f" and dtype.itemsize == 8:  # 2^63 as a float is one too many
        lowest, highest = np.nextafter(lowest, 0.0), np.nextafter(highest, 0.0)
    lows = np.maximum(space.low.astype(np.float64), lowest)
    highs = np.minimum(space.high.astype(np.float64), highest)
    return lows.ravel(), highs.ravel()


def _caster(space: Box) -> Callable[[list[float]], Any]:
    """Return what makes an action of the space's dtype and shape from a list of its elements."""
    dtype: Any = space.dtype
    shape = space.shape
    if dtype.kind != "f":
        lows, highs = _representable(space)
        return lambda values: np.rint(np.clip(values, lows, highs)).astype(dtype).reshape(shape)
    if len(shape) == 1:
        return lambda values: np.array(values, dtype=dtype)
    return lambda values: np.array(values, dtype=dtype).reshape(shape)
