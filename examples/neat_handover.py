"""Hand a champion to neat-python, go on evolving it there, and take the best one back."""

from pathlib import Path

import gymnasium
import neat
import numpy as np

import wann
from wann.export.neat_python import from_neat, neat_population, to_neat

champion = wann.load_network(Path(__file__).parent.parent / "results/pendulum/champion.json")
environment = gymnasium.make(champion.task)
highest = float(environment.action_space.high[0])


def fitness(genome: neat.DefaultGenome, config: neat.Config) -> float:
    """Return the mean return of three episodes that are the same for every genome."""
    network = neat.nn.FeedForwardNetwork.create(genome, config)
    total = 0.0
    for seed in range(3):
        observation, _ = environment.reset(seed=seed)
        done = False
        while not done:
            torque = highest * float(np.clip(network.activate(observation.tolist())[0], -1.0, 1.0))
            observation, reward, terminated, truncated, _ = environment.step(np.array([torque]))
            total += float(reward)
            done = terminated or truncated
    return total / 3


def evaluate(genomes: list[tuple[int, neat.DefaultGenome]], config: neat.Config) -> None:
    for _, genome in genomes:
        genome.fitness = fitness(genome, config)


genome, config = to_neat(champion, population=16)
start = fitness(genome, config)
best = neat_population(genome, config, seed=1).run(evaluate, 8)
assert best.fitness >= start

back = from_neat(best, config)
observations = np.random.default_rng(0).uniform(-1.0, 1.0, size=(100, 3))
theirs = neat.nn.FeedForwardNetwork.create(best, config)
np.testing.assert_allclose(back(observations), [theirs.activate(row) for row in observations])
print(f"mean return {start:.0f} at the start, {best.fitness:.0f} after 8 generations of NEAT")
print(f"back here it has {back.topology.num_connections} connections, one weight each")
