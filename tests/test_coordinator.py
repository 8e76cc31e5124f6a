import dataclasses
import math

import numpy as np
import pytest
from scipy import stats
from strategies import assert_same_arrays
from test_ranking import crowding_by_definition, fronts_by_peeling

from wann import coordinator as coordinator_module
from wann.archive import Archive
from wann.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from wann.config import SearchConfig
from wann.coordinator import VALIDATED_A_GENERATION, Coordinator, SearchState
from wann.forward import forward
from wann.objectives import OBJECTIVES
from wann.ranking import non_dominated
from wann.records import write_front
from wann.run_files import RunFolder
from wann.scores import Fault, Quarantined, Scores
from wann.seeding import Purpose
from wann.tasks import load_task
from wann.tasks.faults import EnvironmentFault
from wann.topology import compile_all

CONFIG = SearchConfig(population=24, generations=12, episodes=2, validation_episodes=5, seed=3)
XOR_INPUTS = np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
XOR_IS_TRUE = np.array([False, True, True, False])


class MadeUpEvaluator:
    """Returns that are a fixed function of a network's key, the weight and the episode's seed."""

    def __init__(self, fail_at=-1, is_faulty=lambda keys, seeds: np.zeros(len(keys), dtype=bool)):
        self.calls = []
        self.fail_at = fail_at
        self.is_faulty = is_faulty

    def evaluate(self, topologies, weights, seeds):
        self.calls.append((topologies, weights, seeds))
        if len(self.calls) == self.fail_at:
            raise RuntimeError("the environment fell over")
        quality = (topologies.keys % np.uint64(1009)).astype(np.float64)[:, None, None]
        noise = np.sin(seeds.astype(np.float64))[None, None, :]
        returns = quality + weights[None, :, None] + 30 * noise
        faulty = np.flatnonzero(self.is_faulty(topologies.keys, seeds)).tolist()
        returns[faulty] = -math.inf
        faults = tuple(Fault(each, f"network {each} broke") for each in faulty)
        return Scores(returns, returns.size * 7, faults)


def searching(config=CONFIG, fail_at=-1, state=None):
    return Coordinator(config, 3, 2, MadeUpEvaluator(fail_at), state)


def assert_same_state(one, other):
    assert one.population.generation == other.population.generation
    assert_same_arrays(one.population.genomes, other.population.genomes)
    assert one.archive.seen == other.archive.seen
    assert one.quarantined == other.quarantined
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


def test_where_weights_are_drawn_the_best_unseen_of_each_front_meets_held_out_episodes():
    search = searching(CONFIG.replace(weights="uniform:-2:2:4", population=40, elite_ratio=0.0))
    num_sent = 0
    for _ in range(30):
        asked, seen = search.ask(), search.archive.seen
        means = MadeUpEvaluator().evaluate(asked, search.weights, search.seeds).mean
        front = non_dominated(np.column_stack([means, -asked.num_connections.astype(float)]))
        unseen = [i for i in np.flatnonzero(front) if int(asked.keys[i]) not in seen]
        search.step()
        if unseen:
            best = max(unseen, key=lambda i: means[i])
            assert int(asked.keys[best]) in search.archive.seen
            num_sent += 1
    assert num_sent > 8


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


def broken_in(purpose, share):
    """Return an evaluator where one of `share` networks has a fault in episodes of this purpose."""

    def is_faulty(keys, seeds):
        return (keys % np.uint64(share) == 0) & (seeds[0] >> 29 == purpose)

    return MadeUpEvaluator(is_faulty=is_faulty)


def sent_for(evaluator, purpose):
    """Return the keys of each batch that was evaluated in episodes of this purpose."""
    return [each.keys.tolist() for each, _, seeds in evaluator.calls if seeds[0] >> 29 == purpose]


def test_a_network_with_a_fault_in_training_is_never_sent_again_and_ranks_last(caplog, monkeypatch):
    ranked = []
    real = coordinator_module.rank
    monkeypatch.setattr(coordinator_module, "rank", lambda o: ranked.append(o) or real(o))
    evaluator = broken_in(Purpose.TRAIN, share=5)
    search = Coordinator(CONFIG.replace(elite_ratio=0.5), 3, 2, evaluator)
    met = []
    for _ in range(CONFIG.generations):
        keys = compile_all(search.state.population.genomes).keys.tolist()
        met.append(keys)
        before = {each.key for each in search.state.quarantined}
        assert not before & set(search.ask().keys.tolist())
        report = search.step()
        for key, objectives in zip(keys, ranked[-1].tolist(), strict=True):
            assert (objectives == [-math.inf] * 2) == (key % 5 == 0)
        assert report.distinct == len(set(keys))
    sent = [key for keys in sent_for(evaluator, Purpose.TRAIN) for key in keys]
    faulty = [key for key in sent if key % 5 == 0]
    assert [each.key for each in search.state.quarantined] == faulty
    assert len(faulty) == len(set(faulty)) > 10
    assert {key for keys in met for key in keys if key % 5 == 0} == set(faulty)
    for each, record in zip(search.state.quarantined, caplog.records, strict=True):
        assert each.key in met[each.generation]
        assert each.reason.endswith("broke")
        assert (record.name, record.levelname) == ("wann", "WARNING")
        assert record.getMessage() == (
            f"generation {each.generation}: network {each.key:016x} is not scored again: "
            f"{each.reason}"
        )


def test_a_network_with_a_fault_in_held_out_episodes_is_quarantined_and_stays_out():
    evaluator = broken_in(Purpose.VALIDATION, share=3)
    search = Coordinator(CONFIG, 3, 2, evaluator)
    search.run()
    tried = [key for keys in sent_for(evaluator, Purpose.VALIDATION) for key in keys]
    faulty = [key for key in tried if key % 3 == 0]
    assert faulty
    assert [each.key for each in search.state.quarantined] == faulty
    assert search.archive.seen == set(tried)
    assert all(each.key % 3 for each in search.archive.entries)
    trained = sent_for(evaluator, Purpose.TRAIN)
    for each in search.state.quarantined:
        assert all(each.key not in keys for keys in trained[each.generation + 1 :])


@pytest.mark.parametrize("purpose", [Purpose.TRAIN, Purpose.VALIDATION])
@pytest.mark.parametrize("stop_at", [1, 6, 11])
def test_a_search_with_quarantined_networks_resumes_to_the_same_end(tmp_path, purpose, stop_at):
    config = CONFIG.replace(elite_ratio=0.5)
    task = load_task("CartPole-v1")
    whole = Coordinator(config, 4, 2, broken_in(purpose, share=4))
    whole.run()
    first = Coordinator(config, 4, 2, broken_in(purpose, share=4))
    first.run([lambda search, report: search.generation == stop_at])
    save_checkpoint(Checkpoint(first.state, "d", 1, 2.0), tmp_path / "x")
    state = load_checkpoint(tmp_path / "x").state
    resumed = Coordinator(config, 4, 2, broken_in(purpose, share=4), state)
    resumed.run()
    assert whole.state.quarantined
    assert_same_state(resumed.state, whole.state)
    folders = RunFolder(tmp_path, "whole"), RunFolder(tmp_path, "resumed")
    for search, folder in zip((whole, resumed), folders, strict=True):
        folder.create()
        write_front(search, task, folder)
    for name in ("front.csv", "front.jsonl"):
        assert folders[0].file(name).read_bytes() == folders[1].file(name).read_bytes()


def test_scores_with_faults_can_be_told():
    search = Coordinator(CONFIG, 3, 2)
    asked = search.ask()
    returns = np.zeros((len(asked), 6, 1))
    returns[2] = -math.inf
    search.tell(Scores(returns, faults=(Fault(2, "the simulator stopped"),)))
    key = int(asked.keys[2])
    assert search.state.quarantined == (Quarantined(key, 0, "the simulator stopped"),)
    assert key not in search.ask().keys.tolist()
    search.tell(Scores(np.zeros((len(search.ask()), 6, 1))))
    assert search.generation == 2


def test_a_generation_without_any_score_ends_with_the_evaluators_reason():
    search = Coordinator(CONFIG, 3, 2, broken_in(Purpose.TRAIN, share=1))
    before = search.state
    wanted = "no network of generation 0 has a score: network 0 broke"
    with pytest.raises(EnvironmentFault, match=wanted):
        search.run()
    assert search.state is before


def test_a_generation_of_quarantined_networks_only_ends_with_the_last_reason():
    state = searching().state
    keys = compile_all(state.population.genomes).keys.tolist()
    quarantined = tuple(Quarantined(key, 0, "broke") for key in dict.fromkeys(keys))
    evaluator = MadeUpEvaluator()
    state = dataclasses.replace(state, quarantined=quarantined)
    with pytest.raises(EnvironmentFault, match="no network of generation 0 has a score: broke"):
        Coordinator(CONFIG, 3, 2, evaluator, state).step()
    assert evaluator.calls == []


class FickleEvaluator:
    """Returns that differ in their order from weight to weight: a function of key and weight."""

    def evaluate(self, topologies, weights, seeds):
        primes = np.array([97, 89, 83, 79, 73, 71], dtype=np.uint64)
        by_weight = (topologies.keys[:, None] % primes).astype(np.float64)
        return Scores(np.repeat(by_weight[:, :, None], len(seeds), axis=2))


def order_by_definition(objectives):
    """Return the order that the docstring of `wann.ranking.Ranking` describes."""
    front = np.array(fronts_by_peeling(objectives))
    crowding = np.empty(len(front))
    for number in set(front.tolist()):
        crowding[front == number] = crowding_by_definition(objectives[front == number])
    rows = objectives.tolist()
    copies = [rows[:index].count(row) for index, row in enumerate(rows)]
    return sorted(range(len(rows)), key=lambda i: (front[i], copies[i], -round(crowding[i], 9), i))


@pytest.mark.parametrize(
    "names",
    [("worst", "best", "hidden"), ("connections", "mean", "worst"), ("mean",), tuple(OBJECTIVES)],
)
def test_every_generation_is_ranked_by_all_objectives_by_their_definition(monkeypatch, names):
    orders = []
    real = coordinator_module.next_generation
    monkeypatch.setattr(
        coordinator_module,
        "next_generation",
        lambda population, order, *rest: orders.append(order) or real(population, order, *rest),
    )
    config = CONFIG.replace(objectives=names, population=50, pareto_probability=0.5)
    search = Coordinator(config, 3, 2, FickleEvaluator())
    for _ in range(10):
        topologies = compile_all(search.state.population.genomes)
        by_weight = FickleEvaluator().evaluate(topologies, search.weights, np.zeros(1)).by_weight
        columns = {
            "mean": by_weight.mean(axis=1),
            "best": by_weight.max(axis=1),
            "worst": by_weight.min(axis=1),
            "connections": [-each.num_connections for each in topologies],
            "hidden": [3 + 2 + 1 - each.num_nodes for each in topologies],
        }
        search.step()
        points = np.column_stack([columns[name] for name in names])
        assert orders[-1].tolist() == order_by_definition(points)
    assert len(set(columns["hidden"])) > 2


@pytest.mark.parametrize(
    ("inputs", "outputs", "error", "wanted"),
    [
        (0, 1, ValueError, "num_inputs must be at least 1, but 0 was given"),
        (2, -1, ValueError, "num_outputs must be at least 1, but -1 was given"),
        (2.0, 1, TypeError, r"num_inputs must be a whole number, but 2\.0 was given"),
    ],
)
def test_numbers_of_inputs_and_outputs_that_cannot_be_are_refused(inputs, outputs, error, wanted):
    with pytest.raises(error, match=wanted):
        Coordinator(CONFIG, inputs, outputs)


@pytest.mark.parametrize("scores", [np.zeros((24, 6, 1)), [1.0, 2.0], None])
def test_what_is_told_must_be_scores(scores):
    search = Coordinator(CONFIG, 3, 2)
    wanted = rf"tell takes wann\.Scores, but {type(scores).__name__} was given; wrap the returns"
    with pytest.raises(TypeError, match=wanted):
        search.tell(scores)
    assert search.generation == 0
