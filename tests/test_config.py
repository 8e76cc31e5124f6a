import dataclasses
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wann.cli.parsing import field_help
from wann.config import (
    NEAT_FIELDS,
    OPERATORS,
    PAPER_OPERATORS,
    PRESETS,
    SHARED_WEIGHTS,
    SearchConfig,
    check_fields_of_neat,
    check_keys,
    neat_defaults,
    parse_weights,
    preset_named,
    search_config,
)
from wann.objectives import OBJECTIVES

RANGES = {
    "seed": (0, 2**63 - 1),
    "generations": (1, 10_000_000),
    "population": (2, 100_000),
    "episodes": (1, 10_000),
    "tournament": (1, 100_000),
    "max_connections": (0, 1_000_000),
    "validation_episodes": (2, 10_000),
    "test_episodes": (2, 10_000),
}
PROBABILITIES = [*OPERATORS, "initial_enable", "cull_ratio", "elite_ratio", "pareto_probability"]
OTHER_VALUES = {
    "algorithm": {"algorithm": "neat", "remove_connection": 0.0, "change_activation": 0.5},
    "task": "Acrobot-v1",
    "weights": "1,2",
    "activations": ("tanh",),
    "objectives": ("mean",),
    "insert_node": {"insert_node": 0.35, "add_connection": 0.10},
    "add_connection": {"add_connection": 0.1, "enable_connection": 0.15},
    "enable_connection": {"enable_connection": 0.1, "add_connection": 0.15},
    "change_activation": {"change_activation": 0.4, "remove_connection": 0.1},
    "remove_connection": {"remove_connection": 0.1, "change_activation": 0.4},
    "remove_node": {"remove_node": 0.1, "change_activation": 0.35},
    "output_links": True,
}


@pytest.mark.parametrize("name", RANGES)
def test_a_whole_number_is_accepted_exactly_within_its_range(name):
    low, high = RANGES[name]
    for value in (low, high):
        assert getattr(SearchConfig(**{name: value}), name) == value
    for value in (low - 1, high + 1):
        wanted = rf"{name} must be between {low:,} and {high:,}, but {value} was given"
        with pytest.raises(ValueError, match=wanted):
            SearchConfig(**{name: value})
    for value in (str(low), float(low), None, True):
        with pytest.raises(TypeError, match=f"{name} must be a whole number, but {value!r}"):
            SearchConfig(**{name: value})


@pytest.mark.parametrize("name", PROBABILITIES)
def test_a_probability_lies_between_zero_and_one(name):
    for value in (-0.01, 1.01, math.nan, math.inf):
        with pytest.raises(ValueError, match=f"{name} must be between 0.0 and 1.0, but {value}"):
            SearchConfig(**{name: value})
    with pytest.raises(TypeError, match=f"{name} must be a number, but '0.5' was given"):
        SearchConfig(**{name: "0.5"})


@pytest.mark.parametrize("name", ["cull_ratio", "elite_ratio"])
def test_not_all_can_be_culled_or_elites(name):
    with pytest.raises(ValueError, match=rf"{name} must be less than 1, but 1\.0 was given"):
        SearchConfig(**{name: 1.0})
    assert getattr(SearchConfig(**{name: 0.999}), name) == 0.999


def test_the_probabilities_of_the_mutations_must_sum_to_one():
    with pytest.raises(ValueError, match=r"must sum to 1, but they sum to 1\.1"):
        SearchConfig(remove_node=0.1)
    thirds = dict.fromkeys(OPERATORS, 0.0) | dict.fromkeys(OPERATORS[:3], 1 / 3)
    assert sum(SearchConfig(**thirds).operators) == pytest.approx(1.0)


@pytest.mark.parametrize("task", ["", None, 3])
def test_a_task_must_be_a_name(task):
    with pytest.raises(ValueError, match="task must be a name, but"):
        SearchConfig(task=task)


@pytest.mark.parametrize(
    ("activations", "wanted"),
    [
        ((), "activations must name at least one"),
        (("tanh", "tahn"), "no activation 'tahn'; did you mean 'tanh'"),
        (("tanh", "sin", "tanh"), "activations must differ"),
    ],
)
def test_activations_must_be_known_and_differ(activations, wanted):
    with pytest.raises(ValueError, match=wanted):
        SearchConfig(activations=activations)


@pytest.mark.parametrize("field", ["activations", "objectives"])
@pytest.mark.parametrize("names", ["tanh", 5, [1, 2], None])
def test_what_is_no_list_of_names_is_refused(field, names):
    wanted = re.escape(f"{field} must be a list of names, but {names!r} was given")
    with pytest.raises(TypeError, match=wanted):
        SearchConfig(**{field: names})


@pytest.mark.parametrize(
    ("objectives", "wanted"),
    [
        (("mean", "conections"), "no objective 'conections'; did you mean 'connections'"),
        (("mean", "worst", "mean"), r"objectives must differ, but \['mean', 'worst', 'mean'\]"),
    ],
)
def test_objectives_must_be_known_and_differ(objectives, wanted):
    with pytest.raises(ValueError, match=wanted):
        SearchConfig(objectives=objectives)


def test_a_search_without_objectives_is_called_what_it_was_before_there_were_any():
    assert SearchConfig().digest() == "b2b583c130"
    assert "objectives" not in SearchConfig().table()
    named = SearchConfig(objectives=["worst", "hidden"])
    assert SearchConfig(**named.table()) == named
    assert SearchConfig(**SearchConfig().table()) == SearchConfig()


def test_the_help_names_every_objective():
    for name in OBJECTIVES:
        assert name in field_help(SearchConfig)["objectives"]


@pytest.mark.parametrize("weights", [5, None, [[1.0]], ["heavy"], 0.5])
def test_weights_that_are_neither_text_nor_numbers_are_refused(weights):
    wanted = re.escape(f"weights must be numbers or text, but {weights!r} was given")
    with pytest.raises(TypeError, match=wanted):
        SearchConfig(weights=weights)


def test_whether_outputs_feed_nodes_must_be_true_or_false():
    with pytest.raises(TypeError, match="output_links must be true or false, not 1"):
        SearchConfig(output_links=1)


@pytest.mark.parametrize("text", ["-2,-1,-0.5,0.5,1,2", " -2, -1 ,-0.5,0.5, 1,2", "1e0", "0,1"])
def test_a_list_of_weights_is_read_as_its_numbers(text):
    weights = parse_weights(text)
    assert weights.draw(np.random.default_rng(0)).tolist() == [float(x) for x in text.split(",")]
    assert len(weights) == len(text.split(","))


def test_a_fixed_list_consumes_no_random_numbers():
    rng = np.random.default_rng(3)
    before = rng.bit_generator.state
    parse_weights("1,2").draw(rng)
    assert rng.bit_generator.state == before


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", "weights must be numbers with commas between"),
        ("1,,2", "weights must be numbers with commas between"),
        ("1;2", "weights must be numbers with commas between"),
        ("1,nan", r"shared weights must be finite, but weights\[1\] is nan"),
        ("inf,1", r"shared weights must be finite, but weights\[0\] is inf"),
        ("0,0.0,-0", "at least one shared weight must not be zero"),
        ("uniformly:-2:2:6", "no distribution of weights 'uniformly'; did you mean 'uniform'"),
        ("uniform:-2:2", "is written uniform:A:B:COUNT"),
        ("uniform:-2:2:six", "is written uniform:A:B:COUNT"),
        ("uniform:-2:2:6.0", "is written uniform:A:B:COUNT"),
        ("uniform:-2:2:6:7", "uniform"),
        ("uniform:2:-2:6", "LOW < HIGH"),
        ("uniform:1:1:6", "LOW < HIGH"),
        ("uniform:-inf:2:6", "finite"),
        ("uniform:-1e308:1e308:6", "finite"),
        ("normal:0:0:6", "a positive deviation"),
        ("normal:0:-1:6", "a positive deviation"),
        ("normal:0:nan:6", "finite"),
        ("uniform:-2:2:0", "the number of weights must be between 1 and 1,000, but 0"),
        ("uniform:-2:2:1001", "the number of weights must be between 1 and 1,000, but 1001"),
        (",".join(["1"] * 1001), "the number of weights must be between 1 and 1,000, but 1001"),
    ],
)
def test_weights_of_another_grammar_are_refused(text, wanted):
    with pytest.raises(ValueError, match=wanted) as caught:
        SearchConfig(weights=text)
    assert "\n" not in str(caught.value)


@given(st.integers(1, 1000), st.floats(-10, 10), st.floats(0.001, 10), st.integers(0, 2**32))
def test_drawn_weights_follow_their_distribution(count, low, width, seed):
    uniform = parse_weights(f"uniform:{low!r}:{low + width!r}:{count}")
    drawn = uniform.draw(np.random.default_rng(seed))
    assert drawn.shape == (count,) == (len(uniform),)
    assert low <= drawn.min()
    assert drawn.max() <= low + width
    normal = parse_weights(f"normal:{low!r}:{width!r}:{count}").draw(np.random.default_rng(seed))
    expected = low + width * np.random.default_rng(seed).standard_normal(count)
    np.testing.assert_allclose(normal, expected, rtol=1e-12, atol=1e-12)


def test_numbers_and_text_of_the_same_weights_are_one_configuration():
    assert SearchConfig(weights=SHARED_WEIGHTS) == SearchConfig()
    assert SearchConfig(weights=" -2.0,-1, -.5,0.50,1e0,2") == SearchConfig()
    third = SearchConfig(weights=[1 / 3])
    assert third.shared_weights.values == (1 / 3,)


def test_whole_and_broken_spellings_of_a_probability_are_one_configuration():
    whole = SearchConfig(cull_ratio=0, initial_enable=1)
    assert whole.digest() == SearchConfig(cull_ratio=0.0, initial_enable=1.0).digest()
    assert all(type(each) is float for each in SearchConfig(**_only("insert_node")).operators)


def _only(name):
    return dict.fromkeys(OPERATORS, 0) | {name: 1}


@pytest.mark.parametrize("name", [each.name for each in dataclasses.fields(SearchConfig)])
def test_every_field_but_the_generations_changes_the_digest(name):
    config = SearchConfig(remove_connection=0.05, change_activation=0.45)
    value = OTHER_VALUES.get(name)
    if value is None:
        current = getattr(config, name)
        value = current + 1 if isinstance(current, int) else current / 2
    changed = config.replace(**(value if isinstance(value, dict) else {name: value}))
    assert getattr(changed, name) != getattr(config, name)
    assert (changed.digest() == config.digest()) == (name == "generations")
    assert re.fullmatch("[0-9a-f]{10}", changed.digest())


def test_the_operators_come_in_their_order():
    config = SearchConfig()
    assert config.operators == (0.25, 0.20, 0.05, 0.50, 0.0, 0.0)


def test_the_papers_preset_is_the_papers():
    config = SearchConfig(**preset_named("gaier2019"))
    assert config.operators == (0.25, 0.20, 0.05, 0.50, 0.0, 0.0)
    assert (config.cull_ratio, config.elite_ratio, config.pareto_probability) == (0.2, 0.2, 0.8)
    assert config.shared_weights.values == (-2.0, -1.0, -0.5, 0.5, 1.0, 2.0)
    assert PRESETS["gaier2019"] is PAPER_OPERATORS


def test_an_unknown_preset_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="no preset 'gaier2018'; did you mean 'gaier2019'"):
        preset_named("gaier2018")


def test_a_later_layer_wins_and_leaves_the_rest():
    layers = [
        ("the preset", {"population": 10, "episodes": 4}),
        ("the card", {"population": 20, "seed": 3}),
        ("the command line", {"population": 30}),
    ]
    assert search_config(layers) == SearchConfig(population=30, episodes=4, seed=3)
    assert search_config([]) == SearchConfig()


def test_an_unknown_key_is_refused_with_its_place_and_the_nearest():
    layers = [("preset gaier2019", {}), ("card my.toml [search]", {"poplation": 3})]
    wanted = r"'poplation' in card my\.toml \[search\]; did you mean 'population'"
    with pytest.raises(ValueError, match=wanted):
        search_config(layers)
    with pytest.raises(ValueError, match="unknown key 'x' in here"):
        check_keys({"x": 1}, ["y"], "here")


@pytest.mark.parametrize("value", [0, "many"])
def test_a_wrong_value_of_a_layer_is_refused_by_its_field(value):
    layers = [("preset gaier2019", {"episodes": 2}), ("card my.toml", {"population": value})]
    with pytest.raises((ValueError, TypeError), match=r"population must be .* was given"):
        search_config(layers)


def test_an_unknown_algorithm_is_refused_with_the_nearest():
    with pytest.raises(
        ValueError, match=r"no algorithm 'neet'; did you mean 'neat'\? \(wann or neat"
    ):
        SearchConfig(algorithm="neet")


@pytest.mark.parametrize("name", [each.name for each in dataclasses.fields(SearchConfig)])
def test_neat_takes_only_fields_that_have_a_meaning_for_it(name):
    other = {"weights": "1", "objectives": ("mean",), "output_links": True}
    if name in NEAT_FIELDS:
        assert name in SearchConfig(algorithm="neat").table()
        return
    with pytest.raises(ValueError, match=f"{name} has no meaning for algorithm 'neat'"):
        check_fields_of_neat({name: 1}, "the command line")
    if name in other:
        with pytest.raises(ValueError, match=f"{name} has no meaning for algorithm 'neat'"):
            SearchConfig(algorithm="neat", **{name: other[name]})


def test_neat_plays_as_many_episodes_as_the_search_that_it_is_compared_with():
    search = SearchConfig(weights="-1,1,2", episodes=4, validation_episodes=10, population=50)
    neat = SearchConfig(algorithm="neat", **neat_defaults(search))
    assert (neat.episodes, neat.validation_episodes) == (12, 30)
    assert (neat.population, neat.generations) == (50, search.generations)
    assert neat.activations == ("tanh",)


def test_the_digest_of_a_search_of_ours_is_what_it_was_before_it_could_be_named():
    assert "algorithm" not in SearchConfig().table()
    assert SearchConfig(algorithm="wann").digest() == SearchConfig().digest()
