"""Where each setting of a search comes from, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from wann.cli.options import Plan, RunOptions, parse_seeds, plan
from wann.config import PAPER_OPERATORS, SearchConfig
from wann.tasks import load_task

CARD = """
task = "mine"
environment = "CartPole-v1"
[search]
generations = 5
population = 50
episodes = 5
tournament = 5
test_episodes = 55
[preset.gaier2019]
generations = 7
population = 70
episodes = 7
"""
CONFIG = """
[search]
generations = 9
population = 90
"""


def planned(*argv: str) -> Plan:
    return plan(argv, "wann-search")


def config_of(*argv: str) -> SearchConfig:
    return planned(*argv).specs[0].config


@pytest.fixture
def card(tmp_path: Path) -> str:
    path = tmp_path / "mine.toml"
    path.write_text(CARD)
    return str(path)


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "config.toml"
    path.write_text(CONFIG)
    return str(path)


def test_each_layer_goes_over_the_one_below(card: str, config: str) -> None:
    found = config_of(
        "--task", card, "--preset", "gaier2019", "--config", config, "--generations", "11"
    )
    assert found.generations == 11  # the command line
    assert found.population == 90  # --config
    assert found.episodes == 7  # the card's table for the preset
    assert found.tournament == PAPER_OPERATORS["tournament"] == 8  # the preset
    assert found.test_episodes == 55  # the card
    assert found.validation_episodes == SearchConfig().validation_episodes  # the default


def test_without_a_preset_the_card_holds(card: str) -> None:
    found = config_of("--task", card)
    assert (found.generations, found.tournament) == (5, 5)


def test_a_default_that_is_typed_goes_over_every_layer(card: str, config: str) -> None:
    usual = SearchConfig()
    argv = ("--task", card, "--config", config, "--generations", str(usual.generations))
    assert config_of(*argv).generations == usual.generations


def test_the_task_is_called_by_its_name_wherever_its_card_lies(card: str) -> None:
    found = planned("--task", card).specs[0]
    assert found.config.task == found.card.task == "mine"


def test_the_default_task_is_cartpole() -> None:
    assert planned().specs[0].card.table() == load_task("CartPole-v1").card.table()


def test_a_configuration_names_the_task_unless_the_command_line_does(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('[search]\ntask = "Pendulum-v1"\n')
    assert config_of("--config", str(path)).task == "Pendulum-v1"
    assert config_of("--config", str(path), "--task", "Acrobot-v1").task == "Acrobot-v1"


def test_the_card_in_a_configuration_is_the_task(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('[card]\ntask = "mine"\nenvironment = "CartPole-v1"\nmax_steps = 9\n')
    assert planned("--config", str(path)).specs[0].card.max_steps == 9


@pytest.mark.parametrize("typed", [["--weights", "-2,-1"], ["--weights=-2,-1"]])
def test_weights_may_start_with_a_dash(typed: list[str]) -> None:
    assert config_of(*typed).weights == "-2,-1"


@pytest.mark.parametrize("typed", [["sin,cos"], ["sin", "cos"]])
def test_activations_come_with_commas_or_spaces(typed: list[str]) -> None:
    assert config_of("--activations", *typed).activations == ("sin", "cos")


def test_a_truth_of_the_card_can_be_turned_off(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("[search]\noutput_links = true\n")
    assert config_of("--config", str(path)).output_links
    assert not config_of("--config", str(path), "--output-links", "false").output_links


def test_operators_are_checked_together() -> None:
    found = config_of("--insert-node", "0.3", "--add-connection", "0.15")
    assert sum(found.operators) == pytest.approx(1.0)
    with pytest.raises(ValueError, match=r"must sum to 1, but they sum to 1\.05"):
        config_of("--insert-node", "0.3")


BAD = [
    (["--task", "Cartpole-v1"], "no task 'Cartpole-v1'; did you mean 'CartPole-v1'?"),
    (["--preset", "gaier2018"], "no preset 'gaier2018'; did you mean 'gaier2019'?"),
    (["--populatoin", "9"], "no option '--populatoin'; did you mean '--population'?"),
    (["--activations", "sine"], "no activation 'sine'; did you mean 'sin'?"),
    (["--activations"], "activations must name at least one"),
    (["--population", "0"], "population must be between 2 and 100,000, but 0 was given"),
    (["--population", "1"], "population must be between 2 and 100,000, but 1 was given"),
    (["--population", "1000000"], "population must be between 2 and 100,000, but 1000000"),
    (["--generations", "0"], "generations must be between 1 and .*, but 0 was given"),
    (["--weights", ","], "weights must be numbers with commas between"),
    (["--weights", ""], "--weights: a value was wanted, but '' was given"),
    (["--task", ""], "--task: a value was wanted, but '' was given"),
    (["--task", ":CartPole-v1"], "task must be an id or 'module:Id-v0', but ':CartPole-v1' was"),
    (["--seeds", ""], "--seeds: a value was wanted, but '' was given; leave it out for the"),
    (["--preset", ""], "--preset: a value was wanted, but '' was given"),
    (["--out="], "--out: a value was wanted, but '' was given"),
    (["--resume", ""], "--resume: a value was wanted, but '' was given"),
    (["--config", ""], "--config: a value was wanted, but '' was given"),
    (["--start", ""], "--start: a value was wanted, but '' was given"),
    (["--cull-ratio", "1"], "cull_ratio must be less than 1, but 1.0 was given"),
    (["--weights", "0,0"], "at least one shared weight must not be zero"),
    (["--weights", "1,nan"], r"shared weights must be finite, but weights\[1\] is nan"),
    (["--weights", "unifrom:0:1:3"], "no distribution of weights 'unifrom'; did you mean"),
    (["--seed", "-1"], "seed must be between 0 and"),
    (["--seed", "1", "--seeds", "1-3"], "--seed and --seeds exclude each other"),
    (["--workers", "-1"], "workers must be between 0 and 1,024, but -1 was given"),
    (["--time-limit", "nan"], "--time-limit must be a finite number, but nan was given"),
    (["--time-limit", "inf"], "--time-limit must be a finite number, but inf was given"),
    (["--time-limit", "-1"], "--time-limit must be at least 0, but -1.0 was given"),
    (["--target", "nan"], "--target must be a finite number, but nan was given"),
    (["--target", "-inf"], "--target must be a finite number, but -inf was given"),
    (["--config", "none.toml"], "--config 'none.toml' cannot be read: No such file"),
    (["--config", "."], "--config '.' is not a configuration"),
    (["--resume", "nothing"], "no run 'nothing'"),
    (["--resume", "."], "'.' is not the folder of a run, which is results/runs/NAME"),
    (["--resume", "/"], "'/' is not the folder of a run, which is results/runs/NAME"),
    (["--start", "nothing"], "no run 'nothing'"),
    (["--start", "nothing.json"], "no network file 'nothing.json'"),
]


@pytest.mark.parametrize(("argv", "message"), BAD)
def test_bad_input_is_refused_in_one_line(
    argv: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        planned(*argv)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", None),
        ("[search", "is not a configuration"),
        ("[serach]\n", "unknown key 'serach' in .*; did you mean 'search'?"),
        ("search = 3\n", "'search' in .* must be a table, but 3 was given"),
        ("[search]\npopulaton = 3\n", "unknown key 'populaton' .* did you mean 'population'?"),
        ("[search]\npopulation = 'many'\n", "population must be a whole number, but 'many'"),
        ("[search]\nactivations = 3\n", "activations"),
        ("[search]\nweights = []\n", "weights"),
        ("\x00", "is not a configuration"),
    ],
)
def test_a_damaged_configuration_is_refused(tmp_path: Path, text: str, message: str | None) -> None:
    path = tmp_path / "c.toml"
    path.write_text(text)
    if message is None:
        assert planned("--config", str(path)).specs
        return
    with pytest.raises((ValueError, TypeError), match=message):
        planned("--config", str(path))


@pytest.mark.parametrize(
    ("text", "seeds"), [("1-3", (1, 2, 3)), ("1,3,7", (1, 3, 7)), ("5", (5,)), ("1-2,9", (1, 2, 9))]
)
def test_seeds_are_ranges_and_lists(text: str, seeds: tuple[int, ...]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["a", "1-", "-1", "1--2", "3-1", "1,1", "1-9999999", "1,,2", "²"])
def test_seeds_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="--seeds"):
        parse_seeds(text)


def test_each_seed_is_a_run_of_its_own() -> None:
    specs = planned("--seeds", "4,2").specs
    assert [spec.config.seed for spec in specs] == [4, 2]
    assert len({spec.name for spec in specs}) == 2


def test_the_name_of_a_run_leaves_out_how_it_is_run() -> None:
    options = ("--workers", "1", "--out", "x", "--time-limit", "1", "--target", "9", "--quiet")
    assert planned(*options).specs[0].name == planned().specs[0].name


def test_run_options_have_safe_defaults() -> None:
    options = RunOptions()
    assert (options.workers, options.time_limit, options.target) == (0, None, None)
