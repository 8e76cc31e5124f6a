"""Time the C header beside ONNX Runtime and the NumPy pass, one observation at a time.

    python benchmarks/c_speed.py [--out results/c-speed]

The same network, in float32, on the same 1,000 inputs: C called from C, C called from Python
(ctypes), an ONNX Runtime session on one thread, and `wann.forward`. Best of several rounds.
Exits with 1 where C called from C is less than 5 times as fast as ONNX Runtime.
"""

from __future__ import annotations

import argparse
import ctypes
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnxruntime

from wann.export.assembly import Link, Part, assemble
from wann.export.c import compiled, find_compiler
from wann.export.formats import Options, export_network
from wann.network import Network, load_network

ROOT = Path(__file__).parent.parent
ROWS = 1000
ROUNDS = 20
LEAST_FACTOR = 5.0


def networks() -> dict[str, Network]:
    """Return the networks that are timed, by name."""
    champions = {
        name: load_network(ROOT / "results" / name / "champion.json")
        for name in ("cartpole", "swing-up")
    }
    return champions | {
        "random, 300 links": random_network(80, 300),
        "random, 5,000 links": random_network(300, 5000),
    }


def random_network(num_hidden: int, num_links: int) -> Network:
    """Return a network of 24 inputs and 4 outputs in which values neither grow nor vanish."""
    rng = np.random.default_rng(0)
    num_nodes = 25 + num_hidden + 4
    names = rng.choice(["tanh", "sigmoid", "gaussian", "relu"], size=num_nodes)
    roles = ["bias", *["input"] * 24, *["hidden"] * num_hidden, *["output"] * 4]
    parts = [
        Part(node, role, str(name) if node > 24 else "linear")
        for node, (role, name) in enumerate(zip(roles, names, strict=True))
    ]
    ends = {(int(node - 1 - rng.integers(min(node, 60))), node) for node in range(25, num_nodes)}
    while len(ends) < num_links:
        source, target = sorted(rng.integers(0, num_nodes, size=2).tolist())
        if source < min(target, num_nodes - 4) and target > 24:
            ends.add((source, target))
    sizes = np.bincount([target for _, target in ends], minlength=num_nodes)
    links = [
        Link(source, target, float(rng.normal() / np.sqrt(sizes[target])))
        for source, target in sorted(ends)
    ]
    return assemble(parts, links)


def microseconds(work: Callable[[], object], calls: int) -> float:
    """Return the time of one of the `calls` that `work` makes, in the fastest round."""
    best = np.inf
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best / calls * 1e6


def timed(network: Network, folder: Path) -> dict[str, float]:
    """Return the microseconds of one row, by what computes it."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(ROWS, network.topology.num_inputs)).astype(np.float32)
    settings = Options(force=True, dtype="float32")
    export_network(network, "c", folder / "network.h", settings)
    export_network(network, "onnx", folder / "network.onnx", settings)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        function, num_outputs, _ = compiled(folder / "network.h", Path(place))
    outputs = np.zeros((ROWS, num_outputs), dtype=np.float32)
    pointer = ctypes.POINTER(ctypes.c_float)
    from_array, to_array = (each.ctypes.data_as(pointer) for each in (inputs, outputs))
    all_rows, one = ctypes.c_long(ROWS), ctypes.c_long(1)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(folder / "network.onnx"), options, providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name
    rows = [inputs[place : place + 1] for place in range(ROWS)]
    some = [each.astype(np.float64) for each in rows[:100]]
    return {
        "C from C": microseconds(lambda: function(from_array, to_array, all_rows), ROWS),
        "C from Python": microseconds(
            lambda: [function(from_array, to_array, one) for _ in rows], ROWS
        ),
        "ONNX Runtime": microseconds(
            lambda: [session.run(None, {name: each}) for each in rows], ROWS
        ),
        "wann.forward": microseconds(lambda: [network(each) for each in some], len(some)),
    }


def main() -> int:
    """Return 0 after printing the table, 1 where C is not fast enough."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, help="folder to write table.md to")
    out: Path | None = parser.parse_args().out
    lines = [
        "| network | links | C from C | C from Python | ONNX Runtime | wann.forward | factor |"
    ]
    lines.append("|---|---|---|---|---|---|---|")
    slowest = np.inf
    with tempfile.TemporaryDirectory() as folder:
        for name, network in networks().items():
            times = timed(network, Path(folder))
            factor = times["ONNX Runtime"] / times["C from C"]
            slowest = min(slowest, factor)
            cells = " | ".join(f"{each:,.2f}" for each in times.values())
            links = network.topology.num_connections
            lines.append(f"| {name} | {links:,} | {cells} | {factor:,.0f} |")
    lines.append("")
    lines.append(
        "Microseconds of one row, batch 1, float32; factor: ONNX Runtime over C from C. "
        f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, "
        f"onnxruntime {version('onnxruntime')}, {find_compiler()[0]} -O2."
    )
    print("\n".join(lines))
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "table.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0 if slowest >= LEAST_FACTOR else 1


if __name__ == "__main__":
    sys.exit(main())
