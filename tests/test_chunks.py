from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wann.chunks import (
    CALLS_A_CHUNK,
    DRIVER_LOAD,
    LAST_CHUNKS,
    MAX_SECONDS,
    SHARES,
    Chunk,
    Costs,
    Schedule,
)


def taken(schedule: Schedule) -> list[Chunk]:
    chunks = []
    while (chunk := schedule.take()) is not None:
        chunks.append(chunk)
    return chunks


def counts(chunks: list[Chunk], shape: tuple[int, int, int]) -> np.ndarray:
    """Return how often each episode [G, W, R] was handed out."""
    times = np.zeros(shape, dtype=int)
    for chunk in chunks:
        times[chunk.place] += 1
    return times


@given(
    seconds=st.lists(st.floats(0.0, 10.0), min_size=1, max_size=40),
    num_weights=st.integers(1, 7),
    num_seeds=st.integers(1, 9),
    num_workers=st.integers(0, 50),
    call_seconds=st.floats(0.0, 0.1),
    is_known=st.booleans(),
    learnt_after=st.integers(0, 20),
)
def test_every_episode_is_handed_out_once(
    seconds: list[float],
    num_weights: int,
    num_seeds: int,
    num_workers: int,
    call_seconds: float,
    is_known: bool,
    learnt_after: int,
) -> None:
    expected = np.array(seconds) if is_known else np.full(len(seconds), np.nan)
    schedule = Schedule(expected, num_weights, num_seeds, num_workers, call_seconds)
    chunks = []
    while (chunk := schedule.take()) is not None:
        chunks.append(chunk)
        if not is_known and len(chunks) == learnt_after:
            schedule.learn(0.3)
    assert (counts(chunks, (len(seconds), num_weights, num_seeds)) == 1).all()


def test_the_longest_expected_come_first() -> None:
    seconds = np.array([0.1, 3.0, 0.5, 2.0])
    schedule = Schedule(seconds, 2, 2, 2, 0.001)
    chunks = taken(schedule)
    assert schedule.order.tolist() == [1, 3, 2, 0]
    places = [place for chunk in chunks for place in range(*chunk.networks)]
    assert list(dict.fromkeys(places)) == [0, 1, 2, 3]


def test_a_chunk_is_a_share_of_what_is_left_but_worth_its_call() -> None:
    seconds, call = np.full(500, 0.01), 0.002
    chunks = taken(Schedule(seconds, 6, 4, 2, call))
    left = seconds.sum() * 24
    for chunk in chunks:
        cost = 0.01 * chunk.num_episodes
        bound = max(min(left / (SHARES * 2), MAX_SECONDS), CALLS_A_CHUNK * call)
        assert cost <= bound + 1e-9 or chunk.num_episodes == 1
        left -= cost
    sizes = [chunk.num_episodes for chunk in chunks]
    assert sizes[0] > 10 * sizes[-1]
    assert sizes[-2] * 0.01 >= 0.5 * CALLS_A_CHUNK * call


def test_one_long_network_is_divided_by_its_episodes() -> None:
    chunks = taken(Schedule(np.array([4.0]), 6, 4, 1000, 0.001))
    assert len(chunks) == 24
    assert {chunk.num_episodes for chunk in chunks} == {1}


def test_nothing_known_means_one_episode_a_chunk_until_something_is() -> None:
    schedule = Schedule(np.full(10, np.nan), 6, 4, 2, 0.001)
    first = schedule.take()
    assert first is not None
    assert (first.num_episodes, schedule.is_measured) == (1, False)
    assert np.isnan(schedule.expected(first))
    schedule.learn(0.001)
    chunks = [first, *taken(schedule)]
    assert len(chunks) < 15
    assert (counts(chunks, (10, 6, 4)) == 1).all()
    assert schedule.expected(chunks[-1]) == pytest.approx(0.001 * chunks[-1].num_episodes)


def test_what_is_given_back_comes_next() -> None:
    schedule = Schedule(np.ones(5), 1, 1, 1, 0.0)
    chunk = schedule.take()
    assert chunk is not None
    schedule.give_back(chunk)
    assert schedule.take() == chunk


def test_a_chunk_can_be_had_network_by_network() -> None:
    chunk = Chunk((4, 6), (1, 3), (0, 5))
    assert chunk.alone() == [Chunk((4, 5), (1, 3), (0, 5)), Chunk((5, 6), (1, 3), (0, 5))]
    assert (chunk.num_networks, chunk.num_episodes) == (2, 20)


@given(
    sizes=st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4)),
    share=st.floats(0.0, 1.0),
)
def test_the_rest_of_a_chunk_is_what_comes_after_the_episodes_that_were_played(
    sizes: tuple[int, int, int], share: float
) -> None:
    chunk = Chunk((5, 5 + sizes[0]), (2, 2 + sizes[1]), (1, 1 + sizes[2]))
    episodes = [
        (network, weight, seed)
        for network in range(*chunk.networks)
        for seed in range(*chunk.seeds)
        for weight in range(*chunk.weights)
    ]
    num_played = round(share * len(episodes))
    left = [
        (network, weight, seed)
        for part in chunk.rest(num_played)
        for network in range(*part.networks)
        for seed in range(*part.seeds)
        for weight in range(*part.weights)
    ]
    assert left == episodes[num_played:]


@given(
    sizes=st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4)),
    num_episodes=st.integers(0, 60),
)
def test_the_front_and_the_rest_are_the_whole_chunk(
    sizes: tuple[int, int, int], num_episodes: int
) -> None:
    chunk = Chunk((5, 5 + sizes[0]), (2, 2 + sizes[1]), (1, 1 + sizes[2]))
    front = chunk.front(num_episodes)
    parts = [front, *chunk.rest(front.num_episodes)]
    assert (counts(parts, (9, 7, 6)) == counts([chunk], (9, 7, 6))).all()
    assert 1 <= front.num_episodes <= max(num_episodes, 1)
    wanted = min(num_episodes, chunk.num_episodes)
    assert front.num_episodes > wanted / 2 or front.num_episodes == sizes[1] * sizes[2]


def test_a_network_that_took_too_long_is_divided_more_finely() -> None:
    schedule = Schedule(np.full(40, 0.1), 6, 4, 13, 0.0)
    chunk = schedule.take()
    assert chunk == Chunk((0, 1), (0, 6), (0, 4))
    schedule.cut_short(chunk, 2, np.array([4.0]))
    assert schedule.expected(Chunk((0, 1), (2, 6), (0, 1))) == pytest.approx(8.0)
    assert schedule.budget == pytest.approx((39 * 2.4 + 22 * 2.0) / (SHARES * 13))
    following = [schedule.take() for _ in range(4)]
    assert following == [Chunk((0, 1), (each, each + 1), (0, 1)) for each in (2, 3, 4, 5)]
    everything = [Chunk((0, 1), (0, 2), (0, 1)), *following, *taken(schedule)]
    assert (counts(everything, (40, 6, 4)) == 1).all()
    assert schedule.budget == pytest.approx(0.0, abs=1e-9)


def test_a_chunk_that_was_played_whole_teaches_nothing() -> None:
    schedule = Schedule(np.full(4, 0.1), 6, 4, 1, 0.0)
    chunk = schedule.take()
    assert chunk is not None
    schedule.cut_short(chunk, chunk.num_episodes, np.array([100.0]))
    assert schedule.expected(Chunk((0, 1), (0, 6), (0, 4))) == pytest.approx(2.4)


def test_the_last_chunks_are_for_idle_workers() -> None:
    schedule = Schedule(np.full(1000, 0.01), 1, 1, 2, 0.01 / CALLS_A_CHUNK)
    assert not schedule.is_ending
    num_left = 1000
    while not schedule.is_ending:
        chunk = schedule.take()
        assert chunk is not None
        num_left -= chunk.num_episodes
    assert 0 < num_left <= LAST_CHUNKS * 2


def test_a_chunk_takes_so_long_that_the_driver_keeps_up_with_all_workers() -> None:
    seconds, driver = np.full(2000, 0.001), 0.0005
    chunks = taken(Schedule(seconds, 6, 4, 500, 0.0, driver))
    least = 500 * driver / DRIVER_LOAD
    whole = [chunk.num_episodes * 0.001 for chunk in chunks[:-1]]
    assert min(whole) >= 0.9 * least
    assert len(taken(Schedule(seconds, 6, 4, 500, 0.0, 0.0))) > 5 * len(chunks)


def test_the_budget_follows_what_is_left_and_knows_what_came_back() -> None:
    schedule = Schedule(np.full(100, 0.1), 1, 1, 1, 0.0)
    assert schedule.budget == pytest.approx(10.0 / SHARES)
    chunk = schedule.take()
    assert chunk is not None
    left = 10.0 - schedule.expected(chunk)
    assert schedule.budget == pytest.approx(left / SHARES)
    schedule.give_back(chunk)
    assert schedule.budget == pytest.approx(10.0 / SHARES)
    assert Schedule(np.full(3, np.nan), 1, 1, 1, 0.0).budget == np.inf


def test_costs_are_those_of_the_latest_batch_and_its_mean_for_strangers() -> None:
    costs = Costs()
    keys = np.array([7, 2**63 + 5, 9], dtype=np.uint64)
    assert np.isnan(costs.expected(keys)).all()
    costs.learn(keys, np.array([1.0, 3.0, np.nan]))
    assert costs.expected(keys).tolist() == [1.0, 3.0, 2.0]
    costs.learn(keys[2:], np.array([5.0]))
    assert costs.expected(keys).tolist() == [5.0, 5.0, 5.0]
    costs.learn(keys, np.full(3, np.nan))
    assert costs.expected(keys).tolist() == [5.0, 5.0, 5.0]
