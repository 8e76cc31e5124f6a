"""Score a generation on MNIST: the image kernel against NumPy and PyTorch, in one run.

    python benchmarks/image_speed.py [--data-dir FOLDER] [--out results/image-speed] [--repeats 3]

960 genomes of about 500 connections, 6 shared weights, 1,000 images of 16x16 pixels. The genomes
grow by the project's own mutations, without selection, from starts that have each of the 257 x 10
links with probability 0.05. All ways use all cores, take turns and are checked to compute the same.

NumPy: node by node over all images as in `wann.forward`, but in float32, and what does not depend
on the weight is summed once; networks are shared out among threads where that is faster.
PyTorch, three formulations, each with 1 and with all threads, of which the fastest counts:
a network at a time with a dense matrix for each level of depth; many networks at a time with a
sparse matrix for each level; the same with one dense product for all links from the inputs.
In all of them the six weights are one batch, the part of each sum that comes from the inputs is
computed once, nodes of one activation are next to each other, and building the matrices is not
counted (a search would build them anew for each generation; torch.compile would compile anew).

NumPy and PyTorch score a part of the networks; their seconds are multiplied up to all of them. What
is three times as slow in its first turn as another way of its library takes no further turn.
Exits with 1 where a target is missed. Without MNIST's files (`--data-dir` or WANN_DATA_DIR) it ends
with an error.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import os
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from wann.activations import PAPER_ACTIVATIONS
from wann.config import SHARED_WEIGHTS, SearchConfig
from wann.evaluation import CHUNKS_A_WORKER, available_cores
from wann.forward import forward
from wann.reproduction import first_generation, next_generation
from wann.rollout.images import score_images
from wann.topology import Topologies, Topology, compile_all

WEIGHTS = np.array(SHARED_WEIGHTS)
GENOMES, IMAGES, CONNECTIONS = 960, 1000, 500
SIZES = (125, 250, 375, 500)  # median connections to stop the growth at
NUMPY_GENOMES, TORCH_GENOMES = 24, 64
NETWORKS_AT_ONCE = (4, 16)  # of PyTorch's formulations that take many
HOPELESS = 3.0  # times as slow as the fastest of its library: timed once
MOST_SECONDS, LEAST_NUMPY, LEAST_TORCH = 2.0, 10.0, 5.0

Scores = np.ndarray  # [G, W]


def load_mnist(folder: Path, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first training images, 16x16 by averages of 2x2 after a border, and labels."""
    try:
        pixels = gzip.decompress((folder / "train-images-idx3-ubyte.gz").read_bytes())
        labels = gzip.decompress((folder / "train-labels-idx1-ubyte.gz").read_bytes())
    except OSError as error:
        raise SystemExit(f"MNIST's files are needed in {folder}: {error}") from None
    images = np.frombuffer(pixels, np.uint8, offset=16).reshape(-1, 28, 28)[:count]
    framed = np.pad(images, ((0, 0), (2, 2), (2, 2))).astype(np.float32) / 255.0
    small = framed.reshape(count, 16, 2, 16, 2).mean(axis=(2, 4)).reshape(count, 256)
    return small, np.frombuffer(labels, np.uint8, offset=8)[:count].astype(np.int64)


def grown(sizes: tuple[int, ...], population: int) -> dict[int, Topologies]:
    """Return populations of these median numbers of connections.

    The operators that add a link keep their proportions; those that do not are left out, which
    makes it quicker.
    """
    config = SearchConfig(
        population=population, tournament=1, elite_ratio=0.0, cull_ratio=0.0, initial_enable=0.05,
        insert_node=0.5, add_connection=0.4, enable_connection=0.1, change_activation=0.0,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    genomes = first_generation(256, 10, config, rng)
    found = {}
    generation = 0
    for size in sizes:
        while True:
            topologies = compile_all(genomes.genomes)
            missing = size - int(np.median(topologies.num_connections))
            if missing <= 0:
                break
            for _ in range(missing):
                genomes = next_generation(genomes, rng.permutation(population), config, rng)
                generation += 1
        found[size] = topologies
        hidden = np.median(topologies.num_hidden)
        print(f"{size} connections, {hidden:.0f} hidden, generation {generation}", file=sys.stderr)
    return found


def kernel_scores(topologies: Topologies, images: np.ndarray, labels: np.ndarray) -> Scores:
    """Return the scores from the kernel, networks shared out as `LocalEvaluator` does it."""
    cores = available_cores()
    chunks = min(len(topologies), cores * CHUNKS_A_WORKER)
    edges = np.linspace(0, len(topologies), chunks + 1).astype(int).tolist()

    def part(first: int, last: int) -> Scores:
        return score_images(topologies, WEIGHTS, images, labels, first, last)[0]

    with ThreadPoolExecutor(cores) as pool:
        return np.concatenate(list(pool.map(part, edges[:-1], edges[1:])))


def log_likelihood(outputs: np.ndarray, labels: np.ndarray) -> float:
    """Return minus the mean cross-entropy of the outputs [O, B]."""
    shifted = outputs - outputs.max(axis=0)
    entropy = np.log(np.exp(shifted).sum(axis=0)) - shifted[labels, np.arange(len(labels))]
    return -float(entropy.mean())


def numpy_score(topology: Topology, inputs: np.ndarray, labels: np.ndarray) -> list[float]:
    """Return one network's score under each weight, node by node; inputs: [1 + I, B]."""
    first = 1 + topology.num_inputs
    values = np.zeros((topology.num_nodes, inputs.shape[1]), np.float32)
    values[:first] = inputs
    sums, others = [], []
    for node in range(first, topology.num_nodes):
        sources = topology.sources[topology.offsets[node] : topology.offsets[node + 1]]
        sums.append(values[sources[sources < first]].sum(axis=0))
        others.append(sources[sources >= first])
    scores = []
    for weight in WEIGHTS.astype(np.float32):
        for row, rest in enumerate(others):
            total = sums[row] + values[rest].sum(axis=0) if len(rest) else sums[row]
            function = PAPER_ACTIVATIONS[topology.activations[first + row] - 1].function
            values[first + row] = function(weight * total)
        scores.append(log_likelihood(values[topology.outputs], labels))
    return scores


def numpy_way(
    topologies: Topologies, images: np.ndarray, labels: np.ndarray, threads: int
) -> Callable[[], Scores]:
    """Return what scores these networks with NumPy."""
    inputs = np.concatenate([np.ones((1, len(images)), np.float32), images.T])
    networks = list(topologies)

    def run() -> Scores:
        with ThreadPoolExecutor(threads) as pool:
            return np.array(
                list(pool.map(lambda each: numpy_score(each, inputs, labels), networks))
            )

    return run


class Levels:
    """Several networks as one, level by level: PyTorch's matrices for them.

    Rows are the computed nodes of all the networks, by level and then activation.
    """

    def __init__(self, networks: list[Topology], dense_inputs: bool, dense: bool) -> None:
        import torch

        first = 1 + networks[0].num_inputs
        depth_of: list[np.ndarray] = []
        for each in networks:
            depth = np.zeros(each.num_nodes, int)
            for node in range(first, each.num_nodes):
                sources = each.sources[each.offsets[node] : each.offsets[node + 1]]
                depth[node] = 1 + depth[sources[sources >= first]].max(initial=0)
            depth_of.append(depth)
        keys = [
            (int(depth_of[k][node]), int(each.activations[node]), k, node)
            for k, each in enumerate(networks)
            for node in range(first, each.num_nodes)
        ]
        keys.sort()
        row_of = {(k, node): row for row, (_, _, k, node) in enumerate(keys)}
        from_inputs: list[tuple[int, int]] = []
        from_nodes: list[tuple[int, int]] = []
        for k, each in enumerate(networks):
            pairs = zip(each.targets().tolist(), each.sources.tolist(), strict=True)
            for target, source in pairs:
                if source < first:
                    from_inputs.append((row_of[k, target], source))
                else:
                    from_nodes.append((row_of[k, target], row_of[k, source]))

        def matrix(pairs: list[tuple[int, int]], shape: tuple[int, int], is_dense: bool):
            index = torch.tensor(sorted(pairs), dtype=torch.int64).reshape(-1, 2).T
            made = torch.sparse_coo_tensor(index, torch.ones(index.shape[1]), shape)
            return made.to_dense() if is_dense else made.coalesce().to_sparse_csr()

        self.num_rows = len(keys)
        self.num_networks = len(networks)
        self.inputs = matrix(from_inputs, (len(keys), first), dense_inputs)
        self.outputs = torch.tensor(
            [row_of[k, node] for k, each in enumerate(networks) for node in each.outputs.tolist()]
        )
        self.steps = []  # of each level: first row, last row, matrix or None, its activations
        levels = np.array([key[0] for key in keys])
        activations = np.array([key[1] for key in keys])
        for level in range(1, levels.max() + 1):
            low, high = np.searchsorted(levels, [level, level + 1]).tolist()
            links = [(row - low, source) for row, source in from_nodes if low <= row < high]
            deep = matrix(links, (high - low, low), dense) if links else None
            groups = []
            for activation in np.unique(activations[low:high]).tolist():
                rows = low + np.flatnonzero(activations[low:high] == activation)
                groups.append((activation, int(rows[0]), int(rows[-1]) + 1))
            self.steps.append((low, high, deep, groups))

    def score(self, inputs, labels, weights) -> Scores:
        """Return [networks, W]; inputs: [1 + I, B], weights: [W], all tensors."""
        import torch

        num_images = inputs.shape[1]
        sums = self.inputs @ inputs
        values = torch.empty(self.num_rows, len(weights), num_images)
        flat = values.view(self.num_rows, -1)
        for low, high, deep, groups in self.steps:
            if deep is None:
                torch.mul(sums[low:high, None], weights[:, None], out=values[low:high])
            else:
                total = (deep @ flat[:low]).view(high - low, len(weights), num_images)
                total += sums[low:high, None]
                torch.mul(total, weights[:, None], out=values[low:high])
            for activation, first, last in groups:
                _torch_activate(activation, values[first:last])
        logits = values[self.outputs].view(self.num_networks, -1, len(weights), num_images)
        chosen = labels.expand(self.num_networks, 1, len(weights), num_images)
        picked = torch.log_softmax(logits, dim=1).gather(1, chosen)
        return picked.mean(dim=(1, 3)).numpy()


def _torch_activate(activation: int, x) -> None:
    """Replace x by an activation of it, in place where PyTorch can."""
    import torch

    if activation == 2:
        x.copy_(x > 0.0)
    elif activation == 3:
        x.mul_(torch.pi).sin_()
    elif activation == 4:
        x.square_().mul_(-0.5).exp_()
    elif activation == 5:
        x.tanh_()
    elif activation == 6:
        x.sigmoid_()
    elif activation == 7:
        x.neg_()
    elif activation == 8:
        x.abs_()
    elif activation == 9:
        x.relu_()
    elif activation == 10:
        x.mul_(torch.pi).cos_()
    elif activation == 11:
        x.square_()


def torch_way(
    topologies: Topologies,
    images: np.ndarray,
    labels: np.ndarray,
    at_once: int,
    dense_inputs: bool,
    dense: bool,
    threads: int,
) -> Callable[[], Scores]:
    """Return what scores these networks with PyTorch; with one thread, of as many as cores."""
    import torch

    networks = list(topologies)
    batches = [
        Levels(networks[k : k + at_once], dense_inputs, dense)
        for k in range(0, len(networks), at_once)
    ]
    inputs = torch.cat([torch.ones(1, len(images)), torch.tensor(images).T]).contiguous()
    targets, weights = torch.tensor(labels), torch.tensor(WEIGHTS, dtype=torch.float32)

    def run() -> Scores:
        torch.set_num_threads(threads)
        with torch.inference_mode():
            if threads > 1:
                return np.concatenate([each.score(inputs, targets, weights) for each in batches])
        with ThreadPoolExecutor(available_cores()) as pool:

            def part(batch: Levels) -> Scores:
                torch.set_num_threads(1)
                with torch.inference_mode():
                    return batch.score(inputs, targets, weights)

            return np.concatenate(list(pool.map(part, batches)))

    return run


def check(topologies: Topologies, images: np.ndarray, labels: np.ndarray, ways: dict) -> None:
    """Fail unless all ways give the kernel's scores, and the kernel `wann.forward`'s."""
    ours = kernel_scores(topologies, images, labels)
    for column, weight in enumerate(WEIGHTS.tolist()):
        outputs = forward(topologies[0], weight, images.astype(np.float64))
        exact = log_likelihood(outputs.T, labels)
        np.testing.assert_allclose(ours[0, column], exact, rtol=1e-2, atol=1e-2)
    for name, way in ways.items():
        theirs = way()
        near = np.isclose(theirs, ours[: len(theirs)], rtol=1e-2, atol=1e-2)
        if near.mean() < 0.95:  # a step, or a wave of a large sum, shows the last place of float32
            raise SystemExit(f"{name} computes something else: {near.mean():.0%} of scores agree")


def timed(way: Callable[[], Scores]) -> float:
    """Return the seconds that a way takes."""
    start = time.perf_counter()
    way()
    return time.perf_counter() - start


def compared(
    topologies: Topologies, images: np.ndarray, labels: np.ndarray, repeats: int
) -> list[dict[str, str]]:
    """Return the rows of the comparison; fails when a target is missed."""
    cores = available_cores()
    few = topologies.take(np.arange(min(NUMPY_GENOMES, len(topologies))))
    some = topologies.take(np.arange(min(TORCH_GENOMES, len(topologies))))
    thread_counts = sorted({1, cores})
    ways: dict[str, tuple[int, Callable[[], Scores]]] = {}
    for threads in thread_counts:
        name = f"NumPy by node, {threads} thread{'s' if threads > 1 else ''}"
        ways[name] = len(few), numpy_way(few, images, labels, threads)
        shared_out = f"set_num_threads({threads})"
        what = f"PyTorch, dense by level, 1 network at a time, {shared_out}"
        ways[what] = len(some), torch_way(some, images, labels, 1, True, True, threads)
        for at_once in NETWORKS_AT_ONCE:
            for dense in (False, True):
                kind = "dense from the inputs, sparse by level" if dense else "sparse by level"
                what = f"PyTorch, {kind}, {at_once} networks at a time, {shared_out}"
                way = torch_way(some, images, labels, at_once, dense, False, threads)
                ways[what] = len(some), way
    check(topologies, images, labels, {name: way for name, (_, way) in ways.items()})
    kernel_seconds: list[float] = []
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        kernel_seconds.append(timed(lambda: kernel_scores(topologies, images, labels)))
        for name, (count, way) in ways.items():
            if is_hopeless(name, seconds):
                continue
            seconds[name].append(timed(way) * len(topologies) / count)
    ours = statistics.median(kernel_seconds)
    rows = [{"way": "compiled kernel", "networks timed": f"{len(topologies)}",
             "seconds": f"{ours:.3f}", "times the kernel": "1.0"}]  # fmt: skip
    for name, each in seconds.items():
        median = statistics.median(each)
        rows.append(
            {"way": name, "networks timed": f"{ways[name][0]}",
             "seconds": f"{median:.2f}", "times the kernel": f"{median / ours:.1f}"}
        )  # fmt: skip
    return rows


def is_hopeless(name: str, seconds: dict[str, list[float]]) -> bool:
    """Return whether a way was much slower, in its first turn, than another of its library."""
    library = name.split(maxsplit=1)[0]
    rivals = [each[0] for other, each in seconds.items() if other.startswith(library) and each]
    return bool(seconds[name]) and seconds[name][0] > HOPELESS * min(rivals)


def scaling(
    populations: dict[int, Topologies], images: np.ndarray, labels: np.ndarray, repeats: int
) -> list[dict[str, str]]:
    """Return the rows of the kernel's own table: more genomes, images and connections."""
    cases = [(genomes, IMAGES, CONNECTIONS) for genomes in (120, 240, 480, 960)]
    cases += [(GENOMES, count, CONNECTIONS) for count in (250, 500, 1000, 2000, 4000)]
    cases += [(GENOMES, IMAGES, size) for size in SIZES]
    rows = []
    for genomes, num_images, size in cases:
        if genomes > len(populations[size]):
            continue
        topologies = populations[size].take(np.arange(genomes))
        connections = int(topologies.num_connections.sum())
        each = [
            timed(lambda t=topologies, n=num_images: kernel_scores(t, images[:n], labels[:n]))
            for _ in range(repeats)
        ]
        seconds = statistics.median(each)
        work = connections * num_images * len(WEIGHTS)
        rows.append(
            {"genomes": f"{genomes}", "images": f"{num_images}",
             "mean connections": f"{connections / genomes:.0f}", "seconds": f"{seconds:.3f}",
             "ps a genome, weight, image and connection": f"{1e12 * seconds / work:.0f}"}
        )  # fmt: skip
    return rows


def table(rows: list[dict[str, str]]) -> str:
    """Return rows as a Markdown table."""
    lines = [f"| {' | '.join(rows[0])} |", f"|{' --- |' * len(rows[0])}"]
    return "\n".join([*lines, *(f"| {' | '.join(row.values())} |" for row in rows)])


def write(folder: Path, text: str, rows: list[dict[str, str]]) -> None:
    """Write table.md and figures.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.md").write_text(text)
    with (folder / "figures.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def processor() -> str:
    """Return the processor's name."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def missed(rows: list[dict[str, str]]) -> list[str]:
    """Return a line for each target that is missed."""
    seconds = float(rows[0]["seconds"])
    found = []
    if seconds > MOST_SECONDS:
        found.append(f"a generation must take at most {MOST_SECONDS} s, but takes {seconds}")
    for name, least in (("NumPy", LEAST_NUMPY), ("PyTorch", LEAST_TORCH)):
        fastest = min(float(r["times the kernel"]) for r in rows if r["way"].startswith(name))
        if fastest < least:
            found.append(f"must be {least} times as fast as {name}, but is {fastest}")
    return found


def main() -> None:
    """Measure, print and, if asked to, write the tables."""
    parser = argparse.ArgumentParser(description="the image kernel against NumPy and PyTorch")
    parser.add_argument("--data-dir", default=os.environ.get("WANN_DATA_DIR"))
    parser.add_argument("--out", type=Path, help="folder for table.md and figures.csv")
    parser.add_argument("--repeats", type=int, default=3, help="turns of each way")
    parser.add_argument("--genomes", type=int, default=GENOMES)
    asked = parser.parse_args()
    if asked.data_dir is None:
        raise SystemExit("MNIST's files are needed: give --data-dir or set WANN_DATA_DIR")
    import torch

    warnings.filterwarnings("ignore", message="Sparse")  # that they are new in PyTorch
    images, labels = load_mnist(Path(asked.data_dir) / "mnist", 4 * IMAGES)
    populations = grown(SIZES, asked.genomes)
    rows = compared(populations[CONNECTIONS], images[:IMAGES], labels[:IMAGES], asked.repeats)
    sizes = scaling(populations, images, labels, asked.repeats)
    cores = available_cores()
    text = f"""# A generation on images, on {cores} cores

{asked.genomes} genomes, {len(WEIGHTS)} shared weights, {IMAGES:,} images of MNIST, 16x16.
Where fewer networks were timed, the seconds are multiplied up to all.

{table(rows)}

## How the kernel's time grows

{table(sizes)}

Made by `python {" ".join(sys.argv)}`; what is measured stands in that file. {processor()},
Python {platform.python_version()}, NumPy {np.__version__}, PyTorch {torch.__version__}.
"""
    print(text)
    if asked.out:
        write(asked.out, text, rows)
    if found := missed(rows):
        raise SystemExit("; ".join(found))


if __name__ == "__main__":
    main()
