"""The networks under populations/starters fit the tasks they are for."""

from pathlib import Path

import pytest

from wann.config import SearchConfig
from wann.network import load_network
from wann.reproduction import generation_from
from wann.seeding import Purpose, generator
from wann.tasks import load_task

STARTERS = sorted((Path(__file__).parent.parent / "populations" / "starters").glob("*.json"))


def test_there_are_starters():
    assert {path.stem for path in STARTERS} >= {"cartpole", "swing-up"}


@pytest.mark.parametrize("path", STARTERS, ids=lambda path: path.stem)
def test_a_starter_fills_a_first_generation_of_its_task(path):
    network = load_network(path)
    task = load_task(network.task)
    assert network.input_names == task.input_names
    assert network.action == task.action_rule
    config = SearchConfig(task=task.id, population=16)
    rng = generator(0, Purpose.REPRODUCTION, 0)
    population = generation_from(network.topology, config, rng)
    assert len(population) == 16
    assert population.genomes.num_outputs == task.num_outputs
