from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from tests.fuzzing import count_refusals, mutations
from wann.config import preset_named, search_config
from wann.network import CONTROL_RULES
from wann.tasks.card import Card, read_card, shipped_cards

FULL_CARD = """
task = "my/Reacher-v0"
environment = "my_envs:my/Reach-v0"
arguments = { length = 3, dense = true }
wrappers = ["gymnasium.wrappers:FlattenObservation", "my_envs.wrappers:Slow"]
action = "tanh"
inputs = ["x", "y"]
outputs = ["force"]
scale = [2, 0.5]
offset = [0.0, -1]
max_steps = 300
solved = -5
note = "reach the point"

[search]
population = 32
weights = "uniform:-2:2:6"

[preset.gaier2019]
population = 480
initial_enable = 0.25
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "card.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_key_of_a_card_is_read(tmp_path: Path) -> None:
    card = read_card(written(tmp_path, FULL_CARD))
    assert card.task == "my/Reacher-v0"
    assert card.environment == "my_envs:my/Reach-v0"
    assert card.arguments == {"length": 3, "dense": True}
    assert card.wrappers == ("gymnasium.wrappers:FlattenObservation", "my_envs.wrappers:Slow")
    assert (card.action, card.inputs, card.outputs) == ("tanh", ("x", "y"), ("force",))
    assert (card.scale, card.offset, card.max_steps, card.solved) == ((2, 0.5), (0.0, -1), 300, -5)
    assert card.note == "reach the point"
    assert card.search == {"population": 32, "weights": "uniform:-2:2:6"}
    assert card.presets == {"gaier2019": {"population": 480, "initial_enable": 0.25}}
    assert card.where == f"card {str(tmp_path / 'card.toml')!r}"


def test_the_environment_is_the_task_when_a_card_names_none(tmp_path: Path) -> None:
    assert read_card(written(tmp_path, 'task = "CartPole-v1"')).environment == "CartPole-v1"


BAD_CARDS = {
    "": "key 'task', the task's name, is missing",
    "task = 5": "task must be one line of text, but 5 was given",
    'task = ""': "task must be an id or 'module:Id-v0', but '' was given",
    'task = "a:b:c"': "task must be an id or 'module:Id-v0'",
    'task = ":CartPole-v1"': "task must be an id or 'module:Id-v0', but ':CartPole-v1' was given",
    'task = "a:"': "task must be an id or 'module:Id-v0', but 'a:' was given",
    'task = "-T"': "task must begin with a letter or a digit, but '-T' was given",
    'task = "../T"': "task must begin with a letter or a digit, but '../T' was given",
    'task = "a\\nb"': "task must be one line of text",
    'task = "T"\nenvironment = " T"': "environment must be an id",
    'task = "T"\nmax_step = 5': "unknown key 'max_step'; did you mean 'max_steps'",
    'task = "T"\npresets = {}': "unknown key 'presets'; did you mean 'preset'",
    'task = "T"\nsource = "x"': "unknown key 'source'",
    'task = "T"\narguments = 3': "arguments must be a table, but 3 was given",
    'task = "T"\narguments.render_mode = "human"': "environment's own, not 'render_mode'",
    'task = "T"\narguments.max_episode_steps = 5': "not 'max_episode_steps'; write max_steps",
    'task = "T"\nwrappers = "a:B"': "wrappers must be a list, but 'a:B' was given",
    'task = "T"\nwrappers = ["aB"]': "wrappers must be written 'module:Class', but 'aB'",
    'task = "T"\nwrappers = ["a:"]': "wrappers must be written 'module:Class', but 'a:'",
    'task = "T"\nwrappers = [1]': "wrappers must be a list of names, but holds 1",
    'task = "T"\naction = "agmax"': "no action rule 'agmax'; did you mean 'argmax'",
    'task = "T"\naction = ["argmax"]': "action must be one line of text",
    'task = "T"\ninputs = ["a", ""]': "inputs must be a list of names, but holds ''",
    'task = "T"\noutputs = {}': "outputs must be a list",
    'task = "T"\nscale = [1, 0]': r"scale\[1\] divides an observation and must not be 0",
    'task = "T"\nscale = [1, "2"]': r"scale\[1\] must be a number, but '2' was given",
    'task = "T"\nscale = [true]': r"scale\[0\] must be a number, but True was given",
    'task = "T"\noffset = [nan]': r"offset\[0\] must be between .* but nan was given",
    'task = "T"\noffset = [inf]': r"offset\[0\] must be between .* but inf was given",
    'task = "T"\noffset = 1': "offset must be a list, but 1 was given",
    'task = "T"\noffset = [1' + 400 * "0" + "]": r"offset\[0\] must be between",
    'task = "T"\nmax_steps = 0': "max_steps must be between 1 and 10,000,000, but 0 was given",
    'task = "T"\nmax_steps = 5.0': "max_steps must be a whole number, but 5.0 was given",
    'task = "T"\nsolved = "yes"': "solved must be a number, but 'yes' was given",
    'task = "T"\nnote = "a\\nb"': "note must be one line of text",
    'task = "T"\nsearch = 3': "search must be a table, but 3 was given",
    'task = "T"\n[search]\npopulaton = 8': "unknown key 'populaton' in .search.; did you mean 'pop",
    'task = "T"\n[search]\ntask = "U"': r"unknown key 'task' in \[search\]",
    'task = "T"\n[search]\npopulation = 1': "population must be between 2 and 100,000, but 1",
    'task = "T"\n[search]\npopulation = "8"': "population must be a whole number, but '8'",
    'task = "T"\n[search]\ninsert_node = 0.9': "must sum to 1, but they sum to 1.65",
    'task = "T"\n[search]\nactivations = 5': "activations must be a list of names, but 5 was given",
    'task = "T"\n[search]\nweights = "0,0"': "at least one shared weight must not be zero",
    'task = "T"\n[preset.gaier2018]\npopulation = 8': "no preset 'gaier2018'; did you mean 'gaier",
    'task = "T"\n[preset]\ngaier2019 = 4': r"\[preset.gaier2019\] must be a table, but 4",
    'task = "T"\n[preset.gaier2019]\nelite = 8': r"unknown key 'elite' in \[preset.gaier2019\]",
    'task = "T"\n[preset.gaier2019]\nepisodes = 0': "episodes must be between 1 and 10,000",
    'task = "T': "Illegal character|Expected|Unterminated",
    "task = " + 5000 * "[": "nested too deeply|Expected|Invalid",
    'task = "T"\ntask = "U"': "Cannot overwrite a value",
    'task = "T"\nmax_steps = 1' + 5000 * "0": "integer string conversion",
    "#" * (1 << 20) + "\n": "at most 1,048,576 bytes, but this has more",
}


@pytest.mark.parametrize("text", BAD_CARDS, ids=lambda text: repr(text[-30:]))
def test_a_bad_card_is_refused_in_one_line_that_names_the_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match=BAD_CARDS[text]) as refused:
        read_card(written(tmp_path, text))
    assert str(refused.value).startswith(f"card {str(tmp_path / 'card.toml')!r}: ")
    assert "\n" not in str(refused.value)


def test_a_file_that_is_no_text_or_not_there_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "card.toml").write_bytes(b"task = \xff\xfe")
    with pytest.raises(ValueError, match=r"card '.*card.toml': 'utf-8' codec can't decode"):
        read_card(tmp_path / "card.toml")
    with pytest.raises(ValueError, match=r"cannot be read: No such file or directory"):
        read_card(tmp_path / "none.toml")
    with pytest.raises(ValueError, match=r"cannot be read: Is a directory"):
        read_card(tmp_path)


@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_a_damaged_card_is_refused_calmly_or_read(tmp_path: Path, count: int) -> None:
    originals = [FULL_CARD.encode()]
    originals += [Path(each.source).read_bytes() for each in shipped_cards().values()]
    files = mutations(originals, count, seed=4)
    assert count_refusals(read_card, files, tmp_path / "card.toml") > count / 2


def test_a_card_made_in_python_is_checked_like_one_from_a_file() -> None:
    assert Card("T", wrappers=["a:B"]).wrappers == ("a:B",)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="max_steps must be between 1"):
        Card("T", max_steps=-1)


SHIPPED = (
    "Acrobot-v1", "BipedalWalker-v3", "CarRacing-v3", "CartPole-v1", "LunarLander-v3",
    "MountainCar-v0", "MountainCarContinuous-v0", "Pendulum-v1", "cifar-10", "digits",
    "fashion-mnist", "mnist", "mnist-28", "wann/SwingUp-v0",
)  # fmt: skip


def test_a_card_ships_for_every_task_we_name_in_a_file_of_its_name() -> None:
    assert set(shipped_cards()) == set(SHIPPED)
    for task, card in shipped_cards().items():
        assert Path(card.source).stem == task.replace("/", "-").replace(":", "-")


@pytest.mark.parametrize("task", SHIPPED)
def test_a_shipped_cards_tables_make_valid_configurations(task: str) -> None:
    card = shipped_cards()[task]
    assert card.note
    if isinstance(card, Card):  # those of images need other operators and activations
        sizes = {"generations", "population", "episodes", "tournament", "max_connections"}
        assert set(card.search) <= sizes
    assert search_config([("card", card.search)]).population == card.search["population"]
    for name, values in card.presets.items():
        config = search_config([("preset", preset_named(name)), ("card", values)])
        assert config.population == values["population"]


def test_presets_hold_the_papers_sizes() -> None:
    sizes = ("population", "generations", "episodes", "initial_enable", "tournament")
    papers = {
        task: tuple(card.presets["gaier2019"][key] for key in sizes)
        for task, card in shipped_cards().items()
        if card.presets
    }
    sets_of_images = ("cifar-10", "digits", "fashion-mnist", "mnist", "mnist-28")
    assert papers == {  # Gaier & Ha 2019: p/swingup.json, biped.json, vaeRacer.json, mnist256.json
        **dict.fromkeys(sets_of_images, (960, 4096, 1, 0.05, 32)),
        "wann/SwingUp-v0": (192, 1024, 3, 0.5, 8),
        "BipedalWalker-v3": (480, 2048, 4, 0.25, 16),
        "CarRacing-v3": (64, 1024, 2, 0.5, 8),
    }


def test_the_page_about_cards_names_every_key_and_rule() -> None:
    page = (Path(__file__).parents[2] / "docs" / "tasks.md").read_text(encoding="utf-8")
    keys = {each.name for each in fields(Card)} - {"source", "presets"} | {"[preset.NAME]"}
    for name in (*keys, *CONTROL_RULES):
        assert f"`{name}`" in page or f"`[{name}]`" in page, name


def test_the_pages_example_is_a_card(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "tasks.md").read_text(encoding="utf-8")
    example = page.split("```toml")[1].split("```")[0]
    assert read_card(written(tmp_path, example)).task == "my-reacher"
