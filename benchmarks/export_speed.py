"""How fast a network becomes a PyTorch module, how fast that is, and how large files are.

    python benchmarks/export_speed.py

Prints, for a network of 500 links: milliseconds to make the module (PyTorch already imported);
milliseconds of a batch of 1,024 in both its forms and in four straightforward formulations with a
dense mask; bytes of the edge form beside those of the edge list; and bytes of a file of 300 links.
Every formulation is first compared with the NumPy pass.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from wann.activations import PAPER_ACTIVATIONS, activation_of
from wann.export.formats import FORMATS, Options, comparable
from wann.export.masks import Block, to_masks
from wann.export.pytorch import to_torch
from wann.export.torch_model import ACTIVATIONS
from wann.forward import forward
from wann.network import Network
from wann.topology import Topology

BATCH = 1024
SIZES = (24, 4, 120)  # inputs, outputs, hidden nodes
NUM_LINKS = 500
WEIGHT = 0.1
MOST_MILLISECONDS = 50.0  # to make a module
MOST_BYTES = 20_000  # of a file of 300 links

Forward = Callable[[torch.Tensor], torch.Tensor]


def random_network(num_links: int, seed: int = 1) -> Network:
    """Return a network of exactly so many links, from any node to any later one."""
    num_inputs, num_outputs, num_hidden = SIZES
    rng = np.random.default_rng(seed)
    first, num_nodes = 1 + num_inputs, 1 + num_inputs + num_hidden + num_outputs
    pairs = np.array(
        [(a, b) for b in range(first, num_nodes) for a in range(min(b, num_nodes - 4))]
    )
    chosen = pairs[np.sort(rng.choice(len(pairs), num_links, replace=False))]
    activations = np.ones(num_nodes, dtype=np.uint8)
    activations[first:] = rng.integers(1, 1 + len(PAPER_ACTIVATIONS), num_nodes - first)
    topology = Topology(
        num_inputs,
        np.searchsorted(chosen[:, 1], np.arange(num_nodes + 1)).astype(np.int32),
        chosen[:, 0].astype(np.int32),
        activations,
        np.arange(num_nodes - num_outputs, num_nodes, dtype=np.int32),
    )
    return Network(topology.check(), WEIGHT)


def formulations(network: Network) -> dict[str, Forward]:
    """Return the module's two forms, and four ways to write the network with dense masks."""
    topology, blocks = network.topology, to_masks(network).blocks()
    num_nodes, first = topology.num_nodes, 1 + topology.num_inputs
    triangle = torch.tensor(to_masks(network).triangular(), dtype=torch.float32) * WEIGHT
    outputs = torch.tensor(topology.outputs.tolist())
    masks = [torch.tensor(each.mask, dtype=torch.float32) for each in blocks]
    order = [*range(first), *(int(node) for each in blocks for node in each.nodes)]
    place = torch.tensor([order.index(node) for node in topology.outputs.tolist()])

    def groups(block: Block) -> list[tuple[str, list[int]]]:
        ids = block.activations.tolist()
        return [
            (activation_of(each).name, [row for row, other in enumerate(ids) if other == each])
            for each in sorted(set(ids))
        ]

    rows = [[(name, torch.tensor(found)) for name, found in groups(each)] for each in blocks]
    spans = [  # a level is sorted by activation
        [(name, found[0], found[-1] + 1) for name, found in groups(each)] for each in blocks
    ]
    nodes = [
        [(name, torch.tensor(each.nodes[found].tolist())) for name, found in groups(each)]
        for each in blocks
    ]

    def start(x: torch.Tensor) -> torch.Tensor:
        values = x.new_zeros(len(x), num_nodes)
        values[:, 0] = 1.0
        values[:, 1:first] = x
        return values

    def whole_matrix(x: torch.Tensor) -> torch.Tensor:
        values = start(x)
        for level in nodes:
            sums = values @ triangle
            for name, found in level:
                values[:, found] = ACTIVATIONS[name](sums[:, found])
        return values[:, outputs]

    def joined_levels(x: torch.Tensor) -> torch.Tensor:
        values = torch.cat([x.new_ones(len(x), 1), x], dim=1)
        for mask, level in zip(masks, rows, strict=True):
            sums = torch.nn.functional.linear(values, WEIGHT * mask)
            new = torch.empty_like(sums)
            for name, found in level:
                new[:, found] = ACTIVATIONS[name](sums[:, found])
            values = torch.cat([values, new], dim=1)
        return values[:, place]

    def levels_in_place(x: torch.Tensor) -> torch.Tensor:
        values = start(x)
        begin = first
        for mask, level in zip(masks, spans, strict=True):
            sums = torch.nn.functional.linear(values[:, :begin], WEIGHT * mask)
            for name, low, high in level:
                values[:, begin + low : begin + high] = ACTIVATIONS[name](sums[:, low:high])
            begin += len(mask)
        return values[:, place]

    def features_first(x: torch.Tensor) -> torch.Tensor:
        values = torch.cat([x.new_ones(1, len(x)), x.T])
        for mask, level in zip(masks, spans, strict=True):
            sums = (WEIGHT * mask) @ values
            new = [ACTIVATIONS[name](sums[low:high]) for name, low, high in level]
            values = torch.cat([values, *new])
        return values[place].T

    return {
        "blocks": to_torch(network, trainable=False),
        "edges": to_torch(network, trainable=False, form="edges"),
        "dense: one matrix": whole_matrix,
        "dense: levels joined": joined_levels,
        "dense: levels in place": levels_in_place,
        "dense: levels, features first": features_first,
    }


def milliseconds(call: Callable[[], object], repeats: int) -> float:
    """Return the median time of a call, after one to warm up."""
    call()
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return 1e3 * float(np.median(times))


def main() -> int:
    """Print the table, and return 1 when something is slower or larger than it may be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="folder for table.md")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    network = random_network(NUM_LINKS)
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(BATCH, SIZES[0])).astype(np.float32).astype(np.float64)
    wanted = forward(network.topology, network.weights, inputs)
    kept, allowed = comparable(network, inputs, "float32")
    x = torch.tensor(inputs, dtype=torch.float32)

    making = milliseconds(lambda: to_torch(network), arguments.repeats)
    times: dict[str, float] = {}
    with torch.no_grad():
        for name, function in formulations(network).items():
            differences = np.abs(function(x).numpy() - wanted)
            assert (differences <= allowed[:, None])[kept].all(), name
            times[name] = milliseconds(lambda call=function: call(x), arguments.repeats)
    dense = min(value for name, value in times.items() if name.startswith("dense"))
    module = to_torch(network, form="edges")
    held = sum(each.nbytes for each in [*module.parameters(), *module.buffers()])
    listed = NUM_LINKS * (4 + 4)  # source and target; the weight is one number
    sizes = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("masks", "safetensors"):
            path = Path(folder) / name
            FORMATS[name].write(random_network(300), path, {}, Options(dtype="float32"))
            sizes[name] = path.stat().st_size
    lines = ["| what | figure |", "| --- | ---: |", f"| make the module (ms) | {making:.2f} |"]
    lines += [f"| batch of {BATCH:,}, {name} (ms) | {value:.2f} |" for name, value in times.items()]
    lines += [f"| edge form, bytes a link | {held / NUM_LINKS:.1f} |"]
    lines += [f"| edge list, bytes a link | {listed / NUM_LINKS:.1f} |"]
    lines += [f"| 300 links as {name} (bytes) | {value:,} |" for name, value in sizes.items()]
    table = "\n".join(lines)
    print(table)
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        note = (
            f"\n\n{NUM_LINKS} links, PyTorch {torch.__version__}, {arguments.threads} thread(s).\n"
        )
        command = f"Made by `python benchmarks/export_speed.py --out {arguments.out}`.\n"
        (arguments.out / "table.md").write_text(table + note + command)
    is_good = (
        making < MOST_MILLISECONDS
        and times["blocks"] <= dense
        and held <= 2 * listed
        and max(sizes.values()) < MOST_BYTES
    )
    print("all within what is promised" if is_good else "NOT all within what is promised")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
