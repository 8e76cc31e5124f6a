"""Register an activation of your own and search with it; networks that use it run in NumPy."""

import numpy as np

import wann

wann.register_activation("softsign", lambda x: x / (1.0 + np.abs(x)), formula="x / (1 + |x|)")

task = wann.load_task("CartPole-v1")
config = wann.SearchConfig(
    task="CartPole-v1", generations=2, population=12, episodes=1, validation_episodes=2,
    activations=("tanh", "relu", "softsign"),
)  # fmt: skip
with wann.LocalEvaluator(task) as evaluator:
    search = wann.Coordinator(config, task.num_inputs, task.num_outputs, evaluator)
    archive = search.run([lambda search, report: print(report.generation, report.best)])
print(f"held-out mean return {archive.champion().mean:.1f}")
