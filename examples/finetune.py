"""Fine-tune an exported network with an ordinary PyTorch loop.

A network that a search found has one weight for all its links. Exported, it is a module like any
other: here each link gets a weight of its own, and gradients fit them to noisy data.
"""

import importlib
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

import wann
from wann.export.formats import Options, export_network

# A short search finds a shape for a wave.
places = np.linspace(-1.0, 1.0, 32)[:, None]
wave = np.sin(3.0 * places[:, 0]) * np.exp(-places[:, 0])


def score(network: wann.Topology, weight: float) -> float:
    """Return minus the mean squared error; higher is better."""
    outputs = wann.forward(network, weight, places)[:, 0]
    return float(np.clip(-np.mean((outputs - wave) ** 2), -100.0, 0.0))


search = wann.Coordinator(wann.SearchConfig(generations=40, population=48, weights="1.5"), 1, 1)
while search.generation < search.config.generations:
    networks = search.ask()
    returns = [[[score(each, weight)] for weight in search.weights] for each in networks]
    search.tell(wann.Scores(np.array(returns)))
topologies = [each.topology for each in search.archive.entries]
loss, topology, weight = min(
    ((-score(each, weight), each, weight) for each in topologies for weight in search.weights),
    key=lambda found: found[0],
)
weights = np.full(topology.num_connections, weight)  # one a link, so that each can move
network = wann.Network(topology, weights)

with tempfile.TemporaryDirectory() as folder:
    export_network(network, "torch", Path(folder) / "found", Options(dtype="float32"))
    sys.path.insert(0, str(Path(folder) / "found"))
    module = importlib.import_module("model").load(Path(folder) / "found")
# From here on there is only PyTorch, and what the export wrote.


def data(seed: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return inputs and noisy values of the wave."""
    generator = torch.Generator().manual_seed(seed)
    inputs = 2.0 * torch.rand((count, 1), generator=generator) - 1.0
    targets = torch.sin(3.0 * inputs) * torch.exp(-inputs)
    return inputs, targets + 0.05 * torch.randn((count, 1), generator=generator)


def held_out_loss() -> float:
    """Return the mean squared error on data that training never sees."""
    with torch.no_grad():
        return torch.nn.functional.mse_loss(module(held_out[0]), held_out[1]).item()


training, held_out = data(0, 512), data(1, 512)
before = held_out_loss()
optimizer = torch.optim.Adam(module.parameters(), lr=0.02)
for _ in range(200):
    optimizer.zero_grad()
    loss = torch.nn.functional.mse_loss(module(training[0]), training[1])
    loss.backward()
    optimizer.step()
after = held_out_loss()

if not after < 0.9 * before:
    raise SystemExit(f"fine-tuning was to help, but the loss went from {before:.3f} to {after:.3f}")
links = f"{module.weight.numel()} links"
print(f"held-out loss {before:.3f} with one weight, {after:.3f} with {links} fine-tuned")
