import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wann.seeding import Purpose, episode_seeds, generator

EPISODES = (Purpose.TRAIN, Purpose.VALIDATION, Purpose.TEST)
# Written down once, with NumPy 2.4: a change would end every run's reproducibility.
GOLDEN_TRAIN = [284457150, 96009813, 127969544]
GOLDEN_VALIDATION = [906442904, 1037951222, 894480934]
GOLDEN_TEST = [1393236610, 1549957853]
GOLDEN_REPRODUCTION = [0.6916198486052162, 0.529496274995864, 0.47423196845981286]
run_seeds = st.integers(0, 2**63 - 1)


def test_seeds_are_the_same_everywhere():
    assert episode_seeds(0, Purpose.TRAIN, 0, 3).tolist() == GOLDEN_TRAIN
    assert episode_seeds(7, Purpose.VALIDATION, 0, 3).tolist() == GOLDEN_VALIDATION
    assert episode_seeds(2**63 - 1, Purpose.TEST, 10**6, 2).tolist() == GOLDEN_TEST
    drawn = generator(7, Purpose.REPRODUCTION, 3).random(3).tolist()
    assert drawn == GOLDEN_REPRODUCTION


@given(run_seeds, st.integers(0, 10**7), st.integers(1, 40))
def test_episodes_of_different_purposes_never_share_a_seed(run_seed, place, count):
    sets = [episode_seeds(run_seed, purpose, place, count) for purpose in EPISODES]
    for purpose, seeds in zip(EPISODES, sets, strict=True):
        assert seeds.dtype == np.int64
        assert seeds.shape == (count,)
        assert (seeds >> 29 == purpose).all()
        assert ((seeds >= 0) & (seeds < 2**31)).all()


@given(run_seeds, st.integers(0, 1000), st.integers(1, 20), st.integers(1, 20))
def test_more_episodes_keep_those_there_were(run_seed, place, few, more):
    longer = episode_seeds(run_seed, Purpose.TRAIN, place, few + more)
    assert longer[:few].tolist() == episode_seeds(run_seed, Purpose.TRAIN, place, few).tolist()


def test_seeds_differ_between_runs_generations_and_episodes():
    drawn = np.concatenate(
        [
            episode_seeds(run_seed, Purpose.TRAIN, place, 10)
            for run_seed in range(20)
            for place in range(20)
        ]
    )
    assert len(np.unique(drawn)) >= len(drawn) - 2  # 4,000 of 2^29: 0.015 repeats are expected


def test_generators_of_different_purposes_runs_and_generations_differ():
    places = [
        (run, purpose, place) for run in range(5) for purpose in Purpose for place in range(5)
    ]
    first = {generator(*place).random() for place in places}
    assert len(first) == len(places)


@pytest.mark.parametrize("purpose", Purpose)
def test_a_generator_starts_afresh_each_time(purpose):
    assert generator(3, purpose, 4).random() == generator(3, purpose, 4).random()
