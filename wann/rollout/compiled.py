"""Tasks with a compiled kernel, and the checked calls of that kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Float64, UInt8

from wann.activations import is_compiled
from wann.checks import whole_number_in
from wann.kernel_cache import use_kernel_cache
from wann.rollout import task_numbers

if TYPE_CHECKING:
    import gymnasium

    from wann.topology import Topologies, Topology

LANES_PER_CHUNK = 8  # WIDTH of wann.rollout.vector, which loads Numba
MAX_LANES = 96  # more lanes push a network's node values out of the fastest cache


@dataclass(frozen=True)
class CompiledTask:
    """An environment whose physics are compiled.

    environment_id: what gymnasium.make calls it. number: what the kernel calls it.
    num_state: numbers a state holds; see the task's file. derived: of these, the last ones are
        sine and cosine of the angle at this index (None: no such numbers).
    action: name of the action rule. action_low, action_high: bounds of the Box that `clip` maps to;
        0 and num_outputs - 1 where the rule is `argmax`.
    max_steps: where Gymnasium cuts an episode off.
    """

    environment_id: str
    number: int
    num_state: int
    num_inputs: int
    num_outputs: int
    action: str
    action_low: float
    action_high: float
    max_steps: int
    angle_index: int | None = None

    def read_state(self, env: gymnasium.Env[Any, Any]) -> Float64[np.ndarray, "S"]:
        """Return the state that `env`, once reset, starts from."""
        unwrapped: Any = env.unwrapped
        return self.complete_state(np.array(unwrapped.state, dtype=np.float64))

    def complete_state(self, state: Float64[np.ndarray, "K"]) -> Float64[np.ndarray, "S"]:
        """Return an environment's own state variables with those the kernel derives from them."""
        if self.angle_index is None:
            return state
        angle = state[self.angle_index]
        return np.concatenate([state, [np.sin(angle), np.cos(angle)]])


COMPILED_TASKS = (
    CompiledTask("CartPole-v1", task_numbers.CARTPOLE, 4, 4, 2, "argmax", 0.0, 1.0, 500),
    CompiledTask("MountainCar-v0", task_numbers.MOUNTAIN_CAR, 2, 2, 3, "argmax", 0.0, 2.0, 200),
    CompiledTask(
        "MountainCarContinuous-v0", task_numbers.MOUNTAIN_CAR_CONTINUOUS,
        2, 2, 1, "clip", -1.0, 1.0, 999,
    ),
    CompiledTask("Acrobot-v1", task_numbers.ACROBOT, 4, 6, 3, "argmax", 0.0, 2.0, 500),
    CompiledTask(
        "Pendulum-v1", task_numbers.PENDULUM, 4, 3, 1, "clip", -2.0, 2.0, 200, angle_index=0
    ),
    CompiledTask(
        "wann/SwingUp-v0", task_numbers.SWING_UP, 6, 5, 1, "clip", -1.0, 1.0, 1000, angle_index=2
    ),
)  # fmt: skip
_by_id = {each.environment_id: each for each in COMPILED_TASKS}


def compiled_task(environment_id: str) -> CompiledTask | None:
    """Return the compiled task for this Gymnasium id, or None when there is none.

    A module in front of the id, as in "wann_envs:wann/SwingUp-v0", makes no difference.
    """
    return _by_id.get(environment_id.rpartition(":")[2])


def rollout(
    task: CompiledTask,
    topologies: Topologies,
    weights: Float64[np.ndarray, "W"],
    states: Float64[np.ndarray, "R S"],
    observations: Float64[np.ndarray, "R I"],
    *,
    max_steps: int,
    offset: Float64[np.ndarray, "I"] | None = None,
    scale: Float64[np.ndarray, "I"] | None = None,
    start: int = 0,
    stop: int | None = None,
) -> tuple[Float64[np.ndarray, "G W R"], int]:
    """Return the returns of topologies start..stop-1 and the environment steps they took.

    states, observations: where each rollout starts, as `CompiledTask.read_state` and Gymnasium's
        reset give them. max_steps: episodes are cut there.
    offset, scale: the networks see (observation - offset) / scale; by default the observation.
    A network's output that is NaN counts as 0. Releases the GIL, so threads can share the
    topologies of a batch. A return does not depend on what else is in the call.
    Raises ValueError for sizes that do not fit, values that are not finite and activations that are
    not among the paper's.
    """
    stop = check_range(topologies, start, stop)
    check_topologies(task, topologies)
    whole_number_in("max_steps", max_steps, 1)
    num_rollouts = len(states)
    weights = checked("weights", weights, (len(weights),))
    states = checked("states", states, (num_rollouts, task.num_state))
    observations = checked("observations", observations, (num_rollouts, task.num_inputs))
    input_map = _input_map(task, offset, scale)
    returns = np.zeros((stop - start, len(weights) * num_rollouts))
    num_steps = 0
    if returns.size:
        use_kernel_cache()
        from wann.rollout import lanes

        num_steps = lanes.rollout_lanes(
            *kernel_arrays(topologies),
            start,
            lanes.Rules(*kernel_rules(task, float(max_steps))),
            lanes.Jobs(weights, None, num_rollouts, states, observations, *input_map),
            num_lanes_for(returns.shape[1]),
            returns,
        )
    return returns.reshape(stop - start, len(weights), num_rollouts), num_steps


def rollout_weights(
    task: CompiledTask,
    topology: Topology,
    weights: Float64[np.ndarray, "K E"],
    states: Float64[np.ndarray, "R S"],
    observations: Float64[np.ndarray, "R I"],
    *,
    max_steps: int,
    offset: Float64[np.ndarray, "I"] | None = None,
    scale: Float64[np.ndarray, "I"] | None = None,
    start: int = 0,
    stop: int | None = None,
) -> tuple[Float64[np.ndarray, "k R"], int]:
    """Return one topology's returns with weights start..stop-1, and the steps they took.

    weights: K candidates, each a weight for every link, in the order of `topology.sources`.
    All else as in `rollout`; k = stop - start. A candidate whose weights are all equal has the
    returns, to the last bit, that `rollout` gives with this shared weight.
    """
    stop = len(weights) if stop is None else stop
    if not 0 <= start <= stop <= len(weights):
        raise ValueError(f"no weights {start} to {stop} among {len(weights)}")
    weights = checked("weights", weights, (len(weights), topology.num_connections))[start:stop]
    returns, num_steps = _rollout_links(
        task, topology, weights, states, observations, len(states), max_steps, offset, scale
    )
    return returns.reshape(stop - start, len(states)), num_steps


def rollout_pairs(
    task: CompiledTask,
    topology: Topology,
    weights: Float64[np.ndarray, "R E"],
    states: Float64[np.ndarray, "R S"],
    observations: Float64[np.ndarray, "R I"],
    *,
    max_steps: int,
    offset: Float64[np.ndarray, "I"] | None = None,
    scale: Float64[np.ndarray, "I"] | None = None,
) -> tuple[Float64[np.ndarray, "R"], int]:
    """Return one topology's return in each episode with weights of its own, and the steps taken.

    weights: of each episode a weight for every link. All else as in `rollout_weights`.
    """
    weights = checked("weights", weights, (len(states), topology.num_connections))
    return _rollout_links(
        task, topology, weights, states, observations, 1, max_steps, offset, scale
    )


def _rollout_links(
    task: CompiledTask,
    topology: Topology,
    weights: Float64[np.ndarray, "K E"],
    states: Float64[np.ndarray, "R S"],
    observations: Float64[np.ndarray, "R I"],
    rollouts_a_weight: int,
    max_steps: int,
    offset: Float64[np.ndarray, "I"] | None,
    scale: Float64[np.ndarray, "I"] | None,
) -> tuple[Float64[np.ndarray, "pairs"], int]:
    """Return the returns of all pairs that `lanes.Jobs` makes of this, and the steps taken."""
    check_topologies(task, topology)
    whole_number_in("max_steps", max_steps, 1)
    states = checked("states", states, (len(states), task.num_state))
    observations = checked("observations", observations, (len(states), task.num_inputs))
    input_map = _input_map(task, offset, scale)
    returns = np.zeros(len(weights) * rollouts_a_weight)
    if not returns.size:
        return returns, 0
    use_kernel_cache()
    from wann.rollout import lanes

    shared, of_links = _factors(weights)
    num_steps = lanes.rollout_link_weights(
        kernel_array(topology.offsets, np.int32),
        kernel_array(topology.sources, np.int32),
        kernel_array(topology.activations, np.uint8),
        kernel_array(topology.outputs, np.int32),
        lanes.Rules(*kernel_rules(task, float(max_steps))),
        lanes.Jobs(shared, of_links, rollouts_a_weight, states, observations, *input_map),
        num_lanes_for(len(returns)),
        returns,
    )
    return returns, num_steps


def _factors(
    weights: Float64[np.ndarray, "K E"],
) -> tuple[Float64[np.ndarray, "K"], Float64[np.ndarray, "K E"]]:
    """Return what each node's sum and each link is multiplied by; one of the two is all ones.

    Where all weights are equal it is the sum, which rounds as a shared weight does.
    """
    if weights.shape[1] == 0:
        return np.ones(len(weights)), weights
    equal = (weights == weights[:, :1]).all(axis=1)
    return np.where(equal, weights[:, 0], 1.0), np.where(equal[:, np.newaxis], 1.0, weights)


def num_lanes_for(num_jobs: int) -> int:
    """Return how many lanes to play this many episodes in: whole chunks, evenly used."""
    rounds = -(-num_jobs // MAX_LANES)
    per_round = -(-num_jobs // rounds)
    return -(-per_round // LANES_PER_CHUNK) * LANES_PER_CHUNK


def kernel_rules(task: CompiledTask, max_steps: float) -> tuple[int, int, float, float, float]:
    """Return the fields of `lanes.Rules`."""
    rule = {"argmax": task_numbers.ARGMAX, "clip": task_numbers.CLIP}[task.action]
    centre = 0.5 * (task.action_low + task.action_high)
    half_range = 0.5 * (task.action_high - task.action_low)
    return task.number, rule, centre, half_range, max_steps


def _input_map(
    task: CompiledTask,
    offset: Float64[np.ndarray, "I"] | None,
    scale: Float64[np.ndarray, "I"] | None,
) -> tuple[Float64[np.ndarray, "I"], Float64[np.ndarray, "I"], bool]:
    """Return offset, scale and whether they change anything."""
    shape = (task.num_inputs,)
    offset = np.zeros(shape) if offset is None else checked("offset", offset, shape)
    scale = np.ones(shape) if scale is None else checked("scale", scale, shape)
    if not scale.all():
        raise ValueError(f"scale must not be 0, but scale[{int(np.argmin(scale != 0))}] is")
    return offset, scale, bool(offset.any() or (scale != 1.0).any())


def kernel_arrays(
    topologies: Topologies,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the arrays of a batch as the kernels take them."""
    return (
        kernel_array(topologies.node_offsets, np.int64),
        kernel_array(topologies.edge_offsets, np.int64),
        kernel_array(topologies.offsets, np.int32),
        kernel_array(topologies.sources, np.int32),
        kernel_array(topologies.activations, np.uint8),
        kernel_array(topologies.outputs, np.int32),
    )


def kernel_array(values: np.ndarray, dtype: type[np.generic]) -> np.ndarray:
    """Return an array of the one kind that a kernel is compiled for; copies where it must.

    Numba compiles anew for arrays that are read-only (as Ray's are), strided or of another dtype.
    """
    return np.require(values, dtype, ["C_CONTIGUOUS", "ALIGNED", "WRITEABLE"])


def check_topologies(task: CompiledTask, topologies: Topologies | Topology) -> None:
    """Raise ValueError when networks do not fit the task or have activations of a user's own."""
    sizes = topologies.num_inputs, topologies.num_outputs
    if sizes != (task.num_inputs, task.num_outputs):
        wanted = f"{task.num_inputs} inputs and {task.num_outputs} outputs"
        found = f"these have {sizes[0]} and {sizes[1]}"
        raise ValueError(f"{task.environment_id} needs networks of {wanted}, but {found}")
    check_activations(topologies.activations)


def check_activations(activations: UInt8[np.ndarray, "N"]) -> None:
    """Raise ValueError when there are activations of a user's own."""
    if not is_compiled(activations):
        instead = "evaluate its networks in Python"
        raise ValueError(f"a registered activation has no compiled form; {instead}")


def check_range(topologies: Topologies, start: int, stop: int | None) -> int:
    """Return where a part of a batch ends. Raises ValueError when it does not lie in the batch."""
    stop = len(topologies) if stop is None else stop
    if not 0 <= start <= stop <= len(topologies):
        raise ValueError(f"no topologies {start} to {stop} in a batch of {len(topologies)}")
    return stop


def checked(
    name: str,
    values: np.ndarray,
    shape: tuple[int, ...],
    dtype: type[np.floating[Any]] = np.float64,
) -> Float[np.ndarray, "..."]:
    """Return values of this shape, all finite in this precision, as a kernel takes them."""
    if values.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, but the shape is {values.shape}")
    with np.errstate(over="ignore"):
        array = kernel_array(values, dtype)
    if not np.isfinite(array).all():
        where = [int(each[0]) for each in np.nonzero(~np.isfinite(array))]
        raise ValueError(f"{name} must be finite, but {name}{where} is {values[tuple(where)]}")
    return array
