import dataclasses
import math

import numpy as np
import pytest
from scipy import stats
from strategies import assert_same_arrays

from wann import coordinator as coordinator_module
from wann.archive import Archive
from wann.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from wann.config import SearchConfig
from wann.coordinator import VALIDATED_A_GENERATION, Coordinator, SearchState
from wann.forward import forward
from wann.scores import Scores
from wann.seeding import Purpose
from wann.topology import compile_all

CONFIG = SearchConfig(population=24, generations=12, episodes=2, validation_episodes=5, seed=3)
XOR_INPUTS = np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
XOR_IS_TRUE = np.array([False, True, True, False])


class MadeUpEvaluator:
    """Returns that are a fixed function of a network's key, the weight and the episode's seed."""

    def __init__(self, fail_at=-1):
        self.calls = []
        self.fail_at = fail_at

    def evaluate(self, topologies, weights, seeds):
        self.calls.append((topologies, weights, seeds))
        if len(self.calls) == self.fail_at:
            raise RuntimeError("the environment fell over")
        quality = (topologies.keys % np.uint64(1009)).astype(np.float64)[:, None, None]
        noise = np.sin(seeds.astype(np.float64))[None, None, :]
        returns = quality + weights[None, :, None] + 30 * noise
        return Scores(returns, returns.size * 7)


def searching(config=CONFIG, fail_at=-1, state=None):
    return Coordinator(config, 3, 2, MadeUpEvaluator(fail_at), state)


def assert_same_state(one, other):
    assert one.population.generation == other.population.generation
    assert_same_arrays(one.population.genomes, other.population.genomes)
    assert one.archive.seen == other.archive.seen
    assert len(one.archive.entries) == len(other.archive.entries)
    for left, right in zip(one.archive.entries, other.archive.entries, strict=True):
        assert_same_arrays(left.topology, right.topology)
        np.testing.assert_array_equal(left.returns, right.returns)
        assert (left.generation, left.key) == (right.generation, right.key)


def xor_accuracy(topologies, weights):
    """Return the share of the four cases that each network gets right under each weight."""
    returns = [
        [
            [np.mean((forward(each, weight, XOR_INPUTS)[:, 0] > 0) == XOR_IS_TRUE)]
            for weight in weights
        ]
        for each in topologies
    ]
    return Scores(np.array(returns))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_ask_and_tell_find_the_smallest_network_that_computes_xor(seed):
    # By hand: x1 and x2 into a cosine, that into the output; two connections cannot do it.
    config = SearchConfig(population=300, generations=40, weights="0.5", seed=seed)
    search = Coordinator(config, num_inputs=2, num_outputs=1)
    while search.generation < config.generations:
        search.tell(xor_accuracy(search.ask(), search.weights.tolist()))
    champion = search.archive.champion()
    assert (champion.mean, champion.topology.num_connections) == (1.0, 3)


def test_equal_networks_are_asked_for_once_in_the_order_of_the_genomes():
    search = searching(CONFIG.replace(population=200, initial_enable=0.1))
    asked = search.ask()
    keys = compile_all(search.state.population.genomes).keys.tolist()
    assert len(keys) == 200
    assert asked.keys.tolist() == list(dict.fromkeys(keys))
    assert len(asked) < 150
    assert search.ask() is asked


def test_a_score_counts_for_every_genome_that_computes_the_same(monkeypatch):
    ranked = []
    real = coordinator_module.rank
    monkeypatch.setattr(coordinator_module, "rank", lambda o: ranked.append(o) or real(o))
    search = searching(CONFIG.replace(population=100, initial_enable=0.1))
    asked, genomes = search.ask(), search.state.population.genomes
    scores = search.evaluator.evaluate(asked, search.weights, search.seeds)
    search.tell(scores)
    mean_of = dict(zip(asked.keys.tolist(), scores.mean.tolist(), strict=True))
    keys = compile_all(genomes).keys.tolist()
    assert ranked[0][:, 0].tolist() == [mean_of[key] for key in keys]


@pytest.mark.parametrize("extra", [-1, 1])
def test_a_wrong_number_of_scores_is_refused_and_changes_nothing(extra):
    search = searching()
    count, before = len(search.ask()), search.state
    wanted = f"{count} networks were asked for, but {count + extra} were scored"
    with pytest.raises(ValueError, match=wanted):
        search.tell(Scores(np.zeros((count + extra, 1, 1))))
    assert search.state is before


@pytest.mark.parametrize("fail_at", [1, 2, 7, 8])
def test_a_failed_evaluation_leaves_the_search_where_it_was(fail_at):
    whole, broken = searching(), searching(fail_at=fail_at)
    whole.run()
    with pytest.raises(RuntimeError, match="the environment fell over"):
        broken.run()
    last_good = broken.state
    assert broken.generation < CONFIG.generations
    assert broken.state is last_good
    broken.run()  # the next calls succeed
    assert_same_state(broken.state, whole.state)


def test_a_callback_that_returns_true_ends_the_search_after_all_were_called():
    calls = []

    def first(search, report):
        calls.append(("first", report.generation, search.generation))
        return report.generation == 4

    def second(search, report):
        calls.append(("second", report.generation, search.generation))

    search = searching()
    archive = search.run([first, second])
    assert archive is search.archive
    assert calls == [(name, g, g + 1) for g in range(5) for name in ("first", "second")]
    assert search.generation == 5


def test_a_search_ends_after_its_generations_and_can_be_made_longer():
    search = searching()
    search.run()
    assert search.generation == 12
    before = search.state
    search.run()
    assert search.state is before
    longer = searching(CONFIG.replace(generations=20), state=before)
    longer.run()
    direct = searching(CONFIG.replace(generations=20))
    direct.run()
    assert_same_state(longer.state, direct.state)


@pytest.mark.parametrize("share", [0.0, 0.8, 1.0])
def test_one_coin_a_generation_chooses_between_size_and_best_weight(monkeypatch, share):
    ranked = []
    real = coordinator_module.rank
    monkeypatch.setattr(coordinator_module, "rank", lambda o: ranked.append(o) or real(o))
    search = searching(CONFIG.replace(population=6, generations=300, pareto_probability=share))
    by_size = []
    for _ in range(300):
        sizes = compile_all(search.state.population.genomes).num_connections
        search.step()
        by_size.append(bool((ranked[-1][:, 1] == -sizes).all()))
    assert stats.binomtest(sum(by_size), 300, share).pvalue > 1e-3


def test_the_same_seed_gives_the_same_search_and_another_one_another():
    searches = [searching(CONFIG.replace(seed=seed)) for seed in (3, 3, 4)]
    for search in searches:
        search.run()
    one, same, other = (search.state for search in searches)
    assert_same_state(one, same)
    assert one.archive.seen != other.archive.seen
    assert len(one.population.genomes.sources) != len(other.population.genomes.sources)


@pytest.mark.parametrize("weights", ["-2,-1,-0.5,0.5,1,2", "uniform:-2:2:4"])
@pytest.mark.parametrize("stop_at", [1, 6, 11])
def test_a_search_resumed_from_its_checkpoint_ends_like_one_never_interrupted(
    tmp_path, weights, stop_at
):
    config = CONFIG.replace(weights=weights)
    whole = searching(config)
    whole.run()
    first = searching(config)
    first.run([lambda search, report: search.generation == stop_at])
    save_checkpoint(Checkpoint(first.state, "d", 1, 2.0), tmp_path / "x")
    resumed = searching(config, state=load_checkpoint(tmp_path / "x").state)
    assert resumed.generation == stop_at
    resumed.run()
    assert_same_state(resumed.state, whole.state)


def test_all_genomes_of_a_generation_meet_the_same_weights_and_episodes():
    config = CONFIG.replace(weights="uniform:-2:2:4")
    search = searching(config)
    search.run()
    train = [call for call in search.evaluator.calls if len(call[2]) == config.episodes]
    assert len(train) == config.generations
    assert len({tuple(weights) for _, weights, _ in train}) == config.generations
    assert len({tuple(seeds) for _, _, seeds in train}) == config.generations
    assert all((seeds >> 29 == Purpose.TRAIN).all() for *_, seeds in train)


def test_held_out_episodes_are_the_same_all_run_long_and_never_trained_on():
    search = searching(CONFIG.replace(weights="uniform:-2:2:4"))
    held_out = search.held_out(Purpose.VALIDATION)
    search.run()
    validation = [call for call in search.evaluator.calls if len(call[2]) == 5]
    assert len(validation) > 2
    for topologies, weights, seeds in validation:
        assert len(topologies) <= VALIDATED_A_GENERATION
        np.testing.assert_array_equal(weights, held_out[0])
        np.testing.assert_array_equal(seeds, held_out[1])
    sent = np.concatenate([topologies.keys for topologies, *_ in validation]).tolist()
    assert len(sent) == len(set(sent))
    _, test_seeds = search.held_out(Purpose.TEST)
    assert len(test_seeds) == CONFIG.test_episodes
    assert not set(test_seeds.tolist()) & set(held_out[1].tolist())


def test_a_report_says_what_happened():
    search = searching()
    search.run([lambda search, report: search.generation == 5])
    asked, config = search.ask(), search.config
    places = compile_all(search.state.population.genomes).keys.tolist()
    scores = search.evaluator.evaluate(asked, search.weights, search.seeds)
    calls = len(search.evaluator.calls)
    report = search.tell(scores)
    held_out = search.evaluator.calls[calls:]
    mean_of = dict(zip(asked.keys.tolist(), scores.mean.tolist(), strict=True))
    size_of = dict(zip(asked.keys.tolist(), asked.num_connections.tolist(), strict=True))
    best = max(mean_of, key=mean_of.get)
    validated = sum(len(topologies) for topologies, *_ in held_out)
    assert dataclasses.asdict(report) == {
        "generation": 5,
        "best": mean_of[best],
        "median": float(np.median([mean_of[key] for key in places])),
        "peak": float(scores.returns.mean(axis=2).max()),
        "connections": size_of[best],
        "median_connections": float(np.median([size_of[key] for key in places])),
        "validated": search.archive.best_mean,
        "archive_size": len(search.archive.entries),
        "distinct": len(asked),
        "num_steps": 7 * (len(asked) * 6 * config.episodes + validated * 6 * 5),
    }


def test_without_an_evaluator_the_archive_keeps_the_scores_it_was_told():
    search = Coordinator(CONFIG, 3, 2)
    returns = np.arange(6.0 * len(search.ask())).reshape(-1, 6, 1)
    with pytest.raises(ValueError, match="scored under 6 weights, but they were under 2"):
        search.tell(Scores(returns[:, :2]))
    search.tell(Scores(returns))
    best = max(search.archive.entries, key=lambda each: each.mean)
    np.testing.assert_array_equal(best.returns, returns[-1])
    with pytest.raises(ValueError, match=r"without an evaluator needs ask\(\) and tell\(\)"):
        search.step()


def test_a_generation_where_every_rollout_failed_goes_on():
    search = Coordinator(CONFIG, 3, 2)
    for _ in range(3):
        search.tell(Scores(np.full((len(search.ask()), 6, 2), -math.inf)))
    assert search.generation == 3
    assert search.archive.entries == ()


def test_a_state_of_another_size_is_refused():
    state = searching().state
    wanted = "the population has 3 inputs and 2 outputs, but the task has 4 and 2"
    with pytest.raises(ValueError, match=wanted):
        Coordinator(CONFIG, 4, 2, state=SearchState(state.population, Archive()))
