"""Search with a score of your own: networks that compute exclusive or for any shared weight."""

import numpy as np

import wann

inputs = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
wanted = np.array([0.0, 1.0, 1.0, 0.0])


def score(network: wann.Topology, weight: float) -> float:
    """Return the share of the four cases that the network gets right; higher is better."""
    outputs = wann.forward(network, weight, inputs)[:, 0]
    return float(((outputs > 0.5) == wanted).mean())


config = wann.SearchConfig(generations=200, population=300)
search = wann.Coordinator(config, num_inputs=2, num_outputs=1)
while search.generation < search.config.generations:
    networks = search.ask()
    returns = [[[score(each, weight)] for weight in search.weights] for each in networks]
    search.tell(wann.Scores(np.array(returns)))
best = search.archive.champion()
print(f"{best.mean:.0%} right over all weights, with {best.topology.num_connections} connections")
