import ast
import os
import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest

import wann_envs

PACKAGE = Path(wann_envs.__file__).parent


def in_a_fresh_process(program):
    """Return what the program prints, when every warning is an error."""
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()


def test_a_fresh_process_makes_the_swing_up_from_its_full_id():
    program = """
import gymnasium
env = gymnasium.make("wann_envs:wann/SwingUp-v0")
observation, _ = env.reset(seed=3)
print(env.spec.id, env.spec.max_episode_steps, type(env.unwrapped).__name__, observation.shape)
"""
    assert in_a_fresh_process(program) == "wann/SwingUp-v0 1000 SwingUpEnv (5,)"


def test_registering_again_neither_warns_nor_changes_anything():
    program = """
import importlib
import gymnasium
import wann_envs
before = gymnasium.spec("wann/SwingUp-v0")
importlib.reload(wann_envs)
gymnasium.make("wann_envs:wann/SwingUp-v0")
gymnasium.make("wann_envs:wann/SwingUp-v0")
print(gymnasium.spec("wann/SwingUp-v0") is before)
"""
    assert in_a_fresh_process(program) == "True"


def test_a_worker_makes_the_swing_up_from_a_spec_alone():
    spec = gymnasium.spec("wann/SwingUp-v0").to_json()
    program = f"""
import gymnasium
spec = gymnasium.envs.registration.EnvSpec.from_json({spec!r})
print(gymnasium.make(spec).reset(seed=3)[0].tolist())
"""
    expected, _ = gymnasium.make("wann/SwingUp-v0").reset(seed=3)
    assert in_a_fresh_process(program) == str(expected.tolist())


def test_importing_the_package_loads_neither_wann_nor_a_renderer():
    program = """
import sys
import wann_envs
print([name for name in ("wann", "pygame", "Box2D", "torch", "numba") if name in sys.modules])
"""
    assert in_a_fresh_process(program) == "[]"


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_the_package_imports_only_gymnasium_and_numpy(path):
    allowed = {"gymnasium", "numpy", "wann_envs", *sys.stdlib_module_names}
    imported = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert imported <= allowed


def test_several_swing_ups_step_side_by_side():
    envs = gymnasium.make_vec("wann_envs:wann/SwingUp-v0", num_envs=3, vectorization_mode="sync")
    observations, _ = envs.reset(seed=[5, 6, 7])
    alone, _ = gymnasium.make("wann/SwingUp-v0").reset(seed=6)
    np.testing.assert_array_equal(observations[1], alone)
    observations, *_ = envs.step(np.zeros((3, 1), dtype=np.float32))
    assert observations.shape == (3, 5)
    envs.close()
