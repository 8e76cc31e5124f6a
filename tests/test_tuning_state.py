"""The file that a tuning goes on from."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

from wann.tuning_state import (
    Climb,
    TuningState,
    load_tuning,
    new_optimizer,
    save_tuning,
    settled,
)

SIZES = (1, 5, 300)


def evolved(optimizer, generations: int, seed: int = 0):
    """Return what CMA-ES comes to on a bowl, settled after each generation as in a tuning."""
    for generation in range(generations):
        optimizer = settled(optimizer)
        optimizer.reseed_rng(1_000 * seed + generation)
        asked = [optimizer.ask() for _ in range(optimizer.population_size)]
        optimizer.tell([(each, float(((each - 1.0) ** 2).sum())) for each in asked])
        optimizer = settled(optimizer)
    return optimizer


def a_state(size: int = 5) -> TuningState:
    climbs = tuple(
        Climb(evolved(new_optimizer(np.zeros(size), 0.5, 8), length), mean)
        for length, mean in ((3, -0.7), (2, 0.1 + 0.2), (0, -math.inf))
    )
    return TuningState(5, climbs, np.arange(size, dtype=np.float64), 0.1 + 0.2, -0.3, 1234)


@pytest.mark.parametrize("size", SIZES)
def test_a_state_comes_back_to_the_last_bit(tmp_path: Path, size: int) -> None:
    state = a_state(size)
    save_tuning(state, "digest", tmp_path / "state")
    again = load_tuning(tmp_path / "state", "digest", new_optimizer(np.zeros(size), 0.5, 8))
    for name in ("generation", "best_mean", "shared_weight", "num_steps"):
        assert getattr(again, name) == getattr(state, name)
    np.testing.assert_array_equal(again.best, state.best)
    assert [each.best_mean for each in again.climbs] == [-0.7, 0.1 + 0.2, -math.inf]
    for here, there in zip(state.climbs, again.climbs, strict=True):
        one, other = evolved(here.optimizer, 4, seed=1), evolved(there.optimizer, 4, seed=1)
        np.testing.assert_array_equal(one.mean, other.mean)


def test_going_on_leaves_a_state_as_it_was() -> None:
    state = a_state()
    (first, *_) = state.climbs
    before = first.optimizer.mean.copy()
    evolved(first.optimizer, 2)
    np.testing.assert_array_equal(first.optimizer.mean, before)


def test_a_step_size_that_grew_without_end_is_given_back_to_the_variances() -> None:
    far = evolved(new_optimizer(np.zeros(5), 0.5, 8), 3)
    values = dict(far.__getstate__())
    scale = 2.0**40
    values |= {"_sigma": values["_sigma"] * scale, "_C": values["_C"] / scale**2}
    values |= {"_pc": values["_pc"] / scale}
    far.__setstate__(values)
    near = settled(far)
    assert 1.0 <= near.__getstate__()["_sigma"] < 2.0
    for each in (far, near):
        each.reseed_rng(7)
    np.testing.assert_array_equal([far.ask() for _ in range(5)], [near.ask() for _ in range(5)])
    one, other = evolved(far, 4, seed=1), evolved(near, 4, seed=1)
    np.testing.assert_allclose(one.mean, other.mean, rtol=1e-9)


def test_a_state_of_something_else_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "state"
    save_tuning(a_state(), "digest", path)
    fresh = new_optimizer(np.zeros(5), 0.5, 8)
    with pytest.raises(ValueError, match=f"{path}: no state of this tuning: it is of another net"):
        load_tuning(path, "another", fresh)
    with pytest.raises(ValueError, match="written with another release of cmaes"):
        load_tuning(path, "digest", new_optimizer(np.zeros(6), 0.5, 8))


def test_a_damaged_state_is_refused_and_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "state"
    save_tuning(a_state(), "digest", path)
    whole = path.read_bytes()
    fresh = new_optimizer(np.zeros(5), 0.5, 8)
    rng = np.random.default_rng(0)
    damaged = [whole[:length] for length in (0, 7, 100, len(whole) - 1)]
    for place in rng.integers(len(whole), size=60).tolist():
        changed = bytearray(whole)
        changed[place] ^= 1 << int(rng.integers(8))
        damaged.append(bytes(changed))
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"no state of this tuning: .*; remove the file to"):
            load_tuning(path, "digest", fresh)
    path.unlink()
    path.mkdir()
    with pytest.raises(ValueError, match="a file of at most 1,073,741,824 bytes was wanted"):
        load_tuning(path, "digest", fresh)


def test_a_state_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "state"
    state = a_state()
    save_tuning(state, "digest", path)
    save_tuning(dataclasses.replace(state, generation=4), "digest", path)
    fresh = new_optimizer(np.zeros(5), 0.5, 8)
    assert load_tuning(path, "digest", fresh).generation == 4
    assert [each.name for each in tmp_path.iterdir()] == ["state"]
