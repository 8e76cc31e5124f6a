import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import grown_genomes

from wann.archive import Archive
from wann.genome import Genomes
from wann.scores import Fault, Scores
from wann.topology import Topologies, compile, compile_all

POOL = compile_all(Genomes.stack(grown_genomes(71, 60, 14) + grown_genomes(72, 30, 3)))
SIZES = POOL.num_connections.tolist()
assert len(set(POOL.keys.tolist())) > 80

some_means = st.sampled_from([-math.inf, -1.0, 0.0, 0.5, 1.0, 2.0])
batches = st.lists(
    st.lists(st.tuples(st.integers(0, 89), some_means), min_size=1, max_size=8), max_size=6
)


def scores_of(means):
    """Return scores of two weights and three episodes with these means."""
    both = np.stack([np.asarray(means, dtype=float)] * 2, axis=1)[:, :, None]
    return Scores(both + np.zeros(3))


def filled(rows, archive=None):
    """Return an archive after one `add` of these (index in POOL, mean)."""
    archive = archive or Archive()
    indices = np.array([index for index, _ in rows])
    return archive.add(POOL.take(indices), scores_of([mean for _, mean in rows]))


def points(archive):
    return [(each.topology.num_connections, each.mean) for each in archive.entries]


def is_dominated(point, others):
    size, mean = point
    return any(
        other[0] <= size and other[1] >= mean and (other[0] < size or other[1] > mean)
        for other in others
    )


@given(batches)
def test_the_archive_is_the_front_of_all_that_was_ever_added(rows_of_each):
    archive, found = Archive(), {}
    for generation, rows in enumerate(rows_of_each):
        archive = archive.add(
            POOL.take(np.array([index for index, _ in rows])),
            scores_of([mean for _, mean in rows]),
            generation,
        )
        old = set(found)
        for index, mean in rows:  # what was scored once keeps its score
            if int(POOL.keys[index]) not in old:
                found.setdefault(int(POOL.keys[index]), []).append((SIZES[index], mean, generation))
    everything = [each for several in found.values() for each in several]
    front = {each[:2] for each in everything if not is_dominated(each[:2], everything)}
    assert points(archive) == sorted(front)
    assert archive.seen == frozenset(found)
    for entry in archive.entries:
        same = [
            each for each in everything if each[:2] == (entry.topology.num_connections, entry.mean)
        ]
        assert entry.generation == min(generation for *_, generation in same)
        assert entry.topology.key() == entry.key


@given(st.lists(st.tuples(st.integers(0, 89), some_means), max_size=12), st.randoms())
def test_the_front_does_not_depend_on_the_order_of_arrival(rows, random):
    rows = list(dict(rows).items())
    shuffled = random.sample(rows, len(rows))
    one, other = Archive(), Archive()
    for row in rows:
        one = filled([row], one)
    for row in shuffled:
        other = filled([row], other)
    if len({int(POOL.keys[index]) for index, _ in rows}) == len(rows):
        assert points(one) == points(other)


def test_an_archive_never_changes():
    first = filled([(0, 1.0)])
    second = filled([(1, 2.0), (2, 3.0)], first)
    assert len(first.entries) == 1
    assert len(first.seen) < len(second.seen)


@given(
    st.lists(st.integers(0, 89), min_size=1, max_size=12, unique=True),
    st.sampled_from([0.01, 0.3, 3.0]),
    st.integers(0, 2**32 - 1),
)
def test_the_champion_is_the_smallest_that_chance_may_make_worse_than_the_best(
    indices, spread, seed
):
    rng = np.random.default_rng(seed)
    quality = rng.normal(size=(len(indices), 1, 1))
    returns = quality + spread * rng.normal(size=(len(indices), 2, 5)) + rng.normal(size=(1, 1, 5))
    archive = Archive().add(POOL.take(np.array(indices)), Scores(returns))
    best = max(archive.entries, key=lambda each: each.mean)
    as_good = []
    for each in archive.entries:
        shortfall = (best.returns - each.returns).mean(axis=0)  # an episode
        if shortfall.mean() <= shortfall.std(ddof=1) / math.sqrt(5):
            as_good.append(each)
    smallest = min(as_good, key=lambda each: each.topology.num_connections)
    assert archive.champion() is smallest
    assert archive.best_mean == best.mean


def test_an_episode_that_is_hard_for_all_does_not_excuse_a_smaller_network():
    hard = np.array([0.0, 100.0, 200.0])
    by_size = sorted(range(90), key=SIZES.__getitem__)
    pair = POOL.take(np.array([by_size[0], by_size[-1]]))
    worse = hard + np.array([0.0, 1.0, 2.0])
    better = hard + np.array([5.0, 7.0, 6.0])
    archive = Archive().add(pair, Scores(np.array([[worse], [better]])))
    assert archive.champion().mean == better.mean()


def test_an_empty_archive_has_no_champion():
    assert Archive().best_mean == -math.inf
    with pytest.raises(ValueError, match="the archive is empty: no network was scored"):
        Archive().champion()


def test_where_all_failed_the_smallest_is_the_champion():
    archive = filled([(index, -math.inf) for index in range(20)])
    assert archive.champion().topology.num_connections == min(SIZES[:20])


def test_the_best_weight_is_the_first_of_equals():
    returns = np.array([[[1.0, 1.0], [3.0, 2.0], [2.0, 3.0]]])
    entry = Archive().add(POOL.take(np.array([0])), Scores(returns)).entries[0]
    assert entry.best_weight_index == 1
    assert entry.mean == 2.0


@given(
    batches,
    st.lists(some_means, min_size=90, max_size=90),
    st.integers(1, 6),
)
def test_candidates_are_new_non_dominated_and_better_than_what_is_as_small(
    rows_of_each, means, limit
):
    archive = Archive()
    for rows in rows_of_each:
        archive = filled(rows, archive)
    chosen = archive.candidates(POOL, scores_of(means), limit).tolist()
    everything = list(zip(SIZES, means, strict=True))
    worth = {}
    for index, point in enumerate(everything):
        size, mean = point
        known = [each.mean for each in archive.entries if each.topology.num_connections <= size]
        gain = mean - max(known, default=-math.inf) if mean > -math.inf else -1.0
        is_new = int(POOL.keys[index]) not in archive.seen
        if gain > 0 and is_new and not is_dominated(point, everything):
            worth[index] = (-gain, -mean, index)
    assert chosen == sorted(worth, key=worth.get)[:limit]


@given(
    batches,
    st.lists(some_means, min_size=90, max_size=90),
    st.integers(1, 6),
)
def test_where_scores_cannot_be_compared_the_best_unseen_of_the_front_comes_first(
    rows_of_each, means, limit
):
    archive = Archive()
    for rows in rows_of_each:
        archive = filled(rows, archive)
    everything = list(zip(SIZES, means, strict=True))
    unseen = [
        index
        for index, point in enumerate(everything)
        if point[1] > -math.inf
        and int(POOL.keys[index]) not in archive.seen
        and not is_dominated(point, everything)
    ]
    chosen = archive.candidates(POOL, scores_of(means), limit, comparable=False).tolist()
    usual = archive.candidates(POOL, scores_of(means), 90).tolist()
    first = sorted(unseen, key=lambda index: (-means[index], index))[:1]
    assert chosen == (first + [index for index in usual if index not in first])[:limit]


def test_a_network_with_a_fault_stays_out_and_counts_as_seen():
    returns = np.array([[[1.0]], [[-math.inf]]])
    scores = Scores(returns, faults=(Fault(1, "broke"),))
    archive = Archive().add(POOL.take(np.array([3, 4])), scores)
    assert [each.key for each in archive.entries] == [int(POOL.keys[3])]
    assert archive.seen == {int(POOL.keys[3]), int(POOL.keys[4])}


def test_no_network_is_ever_scored_twice_on_held_out_episodes():
    rng = np.random.default_rng(4)
    archive, sent = Archive(), []
    for generation in range(40):
        topologies = POOL.take(rng.permutation(90)[:30])
        chosen = archive.candidates(topologies, scores_of(rng.normal(size=30)), 4)
        assert len(chosen) <= 4
        sent += topologies.keys[chosen].tolist()
        held_out = scores_of(rng.normal(size=len(chosen)))
        if len(chosen):
            archive = archive.add(topologies.take(chosen), held_out, generation)
    assert len(sent) == len(set(sent)) > 20


def test_a_network_that_failed_everywhere_is_no_candidate():
    assert Archive().candidates(POOL, scores_of([-math.inf] * 90), 4).tolist() == []


def test_a_single_network_can_be_added():
    genome = grown_genomes(71, 1, 14)[0]
    archive = Archive().add(Topologies.stack([compile(genome)]), scores_of([1.0]))
    assert len(archive.entries) == 1


def test_scores_of_another_number_of_episodes_are_refused():
    archive = Archive().add(POOL.take(np.array([0, 1])), Scores(np.ones((2, 6, 4))))
    with pytest.raises(ValueError, match=r"scores must be \[networks, 6, 4\], as before"):
        archive.add(POOL.take(np.array([2])), Scores(np.ones((1, 6, 5))))
