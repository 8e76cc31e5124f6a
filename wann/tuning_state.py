"""A tuning between two generations, and the file it goes on from, which never holds code."""

from __future__ import annotations

import copy
import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
from jaxtyping import Float64

from wann.files import write_atomically
from wann.network import Network

if TYPE_CHECKING:
    from cmaes import CMA, SepCMA

Optimizer: TypeAlias = "CMA | SepCMA"
State = TypeVar("State")
FORMAT = "wann-tuning"
VERSION = "2"
SAVE_INTERVAL = 5.0  # s between two states on disk, at least
MAX_BYTES = 1 << 30
FAR = 1e6  # a step size


@dataclass(frozen=True, eq=False)
class Climb:
    """One CMA-ES, and the highest mean return of its mean in validation episodes so far."""

    optimizer: Optimizer
    best_mean: float = -math.inf


@dataclass(frozen=True, eq=False)
class TuningState:
    """A tuning by CMA-ES after so many generations.

    climbs: those that are still in the race, at least one. An optimizer is not changed; whoever
        goes on works on a copy. best, best_mean: the weights that did best in validation episodes
        so far, and their mean return there. shared_weight: the best one that all links share.
    num_steps: environment steps so far.
    """

    generation: int
    climbs: tuple[Climb, ...]
    best: Float64[np.ndarray, "E"]
    best_mean: float
    shared_weight: float
    num_steps: int


def new_optimizer(mean: Float64[np.ndarray, "E"], sigma: float, population: int) -> Optimizer:
    """Return CMA-ES around `mean` that learns a scale for each weight alone (Ros & Hansen 2008).

    On the cart-pole swing-up the form with all covariances (Hansen & Ostermeier 2001) ended about
    10 points lower after as many episodes, with decay of the weights and without.
    """
    from cmaes import CMA, SepCMA

    kind = SepCMA if len(mean) > 1 else CMA  # of a single weight the two are one
    return kind(mean=mean.copy(), sigma=sigma, population_size=population)


def state_path(folder: Path | str | None, prefix: str, digest: str) -> Path | None:
    """Return where the state of a tuning of this digest is kept; None without a folder."""
    return None if folder is None else Path(folder) / f"{prefix}tuning-{digest[:8]}.safetensors"


def settled(optimizer: Optimizer) -> Optimizer:
    """Return a copy that is what a file of it would give back, to the last bit.

    Where weights decay, the step size of the separable form grows and its variances shrink without
    end, and it stops at a step size of 1e32: past FAR, a power of two goes back to the variances,
    which leaves the distribution of its candidates as it was.
    """
    from cmaes import SepCMA

    again = copy.deepcopy(optimizer)  # by __getstate__, which leaves its random numbers out
    values: dict[str, Any] = dict(again.__getstate__())
    if isinstance(again, SepCMA) and values["_sigma"] > FAR:
        scale = 2.0 ** math.floor(math.log2(values["_sigma"]))
        values["_sigma"] /= scale
        values["_C"] = values["_C"] * scale**2
        values["_pc"] = values["_pc"] * scale
        values["_D"] = None
        again.__setstate__(values)
    return again


def save_tuning(state: TuningState, digest: str, path: Path) -> None:
    """Write a state to `path` (safetensors); whoever reads it sees the old or the new one.

    digest: of all that the tuning depends on but its length.
    """
    arrays = {"best": state.best}
    climbs = []
    for place, climb in enumerate(state.climbs):
        values: dict[str, Any] = dict(climb.optimizer.__getstate__())
        arrays |= {f"{place}.{k}": v for k, v in values.items() if isinstance(v, np.ndarray)}
        numbers = {k: _plain(v) for k, v in values.items() if not isinstance(v, np.ndarray)}
        climbs.append({"best_mean": climb.best_mean, "optimizer": numbers})
    metadata = {
        "generation": str(state.generation),
        "best_mean": repr(state.best_mean),
        "shared_weight": repr(state.shared_weight),
        "num_steps": str(state.num_steps),
        "climbs": json.dumps(climbs),
    }
    write_state(path, digest, arrays, metadata)


def load_tuning(path: Path, digest: str, fresh: Optimizer) -> TuningState:
    """Return the state in `path`.

    fresh: an optimizer as new, of the same arguments as the one that was saved.
    Raises ValueError, naming the file, when it is damaged or is no state of this tuning.
    """

    def state_of(arrays: dict[str, np.ndarray], metadata: dict[str, str]) -> TuningState:
        best = arrays.pop("best")
        climbs = []
        for place, each in enumerate(json.loads(metadata["climbs"])):
            start = f"{place}."
            own = {k.removeprefix(start): v for k, v in arrays.items() if k.startswith(start)}
            values = each["optimizer"] | own
            _check_like(fresh, values)
            optimizer = settled(fresh)
            optimizer.__setstate__(values)
            climbs.append(Climb(optimizer, float(each["best_mean"])))
        return TuningState(
            int(metadata["generation"]),
            tuple(climbs),
            best,
            float(metadata["best_mean"]),
            float(metadata["shared_weight"]),
            int(metadata["num_steps"]),
        )

    return read_state(path, digest, state_of)


def state_digest(network: Network, card: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """Return what differs when the network, the task's card or a setting does."""
    own = None if network.shared_weight is not None else np.asarray(network.weights).tolist()
    topology = network.topology
    content = {
        "settings": dict(settings),
        "card": dict(card),
        "nodes": [topology.activations.tolist(), topology.outputs.tolist()],
        "links": [topology.offsets.tolist(), topology.sources.tolist()],
        "weights": own,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def write_state(
    path: Path, digest: str, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]
) -> None:
    """Write arrays and text to `path` (safetensors) so that `read_state` can tell them whole."""
    from safetensors.numpy import save

    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    whole = {"format": FORMAT, "version": VERSION, "digest": digest, **metadata}
    whole["checksum"] = _checksum(whole, contiguous)
    write_atomically(path, save(contiguous, metadata=whole))


def read_state(
    path: Path,
    digest: str,
    state_of: Callable[[dict[str, np.ndarray], dict[str, str]], State],
) -> State:
    """Return what `state_of` makes of the arrays and the text that `write_state` wrote.

    Raises ValueError, naming the file, when it is damaged or has another digest, or when `state_of`
    cannot use what is in it.
    """
    try:
        return state_of(*_read(path, digest))
    except (ValueError, KeyError, TypeError) as error:
        why = f"{error.args[0]} is missing" if isinstance(error, KeyError) else error
        raise ValueError(
            f"{path}: no state of this tuning: {why}; remove the file to begin anew"
        ) from error


def _read(path: Path, digest: str) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    if not path.is_file() or path.stat().st_size > MAX_BYTES:
        raise ValueError(f"a file of at most {MAX_BYTES:,} bytes was wanted")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, AttributeError) as error:  # the latter for a dtype that NumPy lacks
        raise ValueError(f"damaged or truncated ({error})") from error
    if (metadata.get("format"), metadata.get("version")) != (FORMAT, VERSION):
        raise ValueError(f"its format is {metadata.get('format')!r} {metadata.get('version')!r}")
    checksum = metadata.pop("checksum")
    if checksum != _checksum(metadata, arrays):
        raise ValueError("its content is not what was written (the checksum differs)")
    if metadata["digest"] != digest:
        raise ValueError("it is of another network or of other settings")
    return arrays, metadata


def _check_like(fresh: Optimizer, values: dict[str, Any]) -> None:
    """Raise ValueError when these are not values of such an optimizer, as of another release."""
    wanted: dict[str, Any] = dict(fresh.__getstate__())
    same_shapes = all(
        isinstance(each, np.ndarray) == isinstance(values.get(name), np.ndarray)
        and np.shape(each) == np.shape(values[name])
        for name, each in wanted.items()
        if name in values
    )
    if wanted.keys() != values.keys() or not same_shapes:
        raise ValueError("it was written with another release of cmaes")


def _plain(value: Any) -> Any:
    """Return a number as Python's own, which JSON keeps exactly."""
    return value.item() if isinstance(value, np.generic) else value


def _checksum(metadata: dict[str, str], arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype} {arrays[name].shape} ".encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()
