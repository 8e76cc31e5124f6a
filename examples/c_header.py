"""Write a champion as a C header and run it on the observations of an episode, beside Python."""

import tempfile
from pathlib import Path

import numpy as np

import wann
from wann.export.c import run_c
from wann.export.formats import export_network
from wann.export.policy import to_policy

champion = wann.load_network(Path(__file__).parent.parent / "results/swing-up/champion.json")
task = wann.load_task(champion.task)
policy = to_policy(champion, task)
environment = task.make()
observation, _ = environment.reset(seed=1)
recorded = []
done = False
while not done:
    recorded.append(policy.inputs(observation))
    observation, _, terminated, truncated, _ = environment.step(policy(observation))
    done = terminated or truncated
inputs = np.array(recorded)

with tempfile.TemporaryDirectory() as folder:
    header = Path(folder) / "swing_up.h"
    export_network(champion, "c", header)  # which checks it, too
    size = header.stat().st_size
    difference = np.abs(run_c(header, inputs) - champion(inputs)).max()
assert difference < 1e-4
print(f"{size:,} bytes of C for {champion.topology.num_connections} connections")
print(f"outputs differ by at most {difference:.1e} on {len(inputs):,} observations")
