"""The compiled rollout: networks and environments of many episodes advance together in lanes.

A lane plays one (weight, rollout) pair of one topology; a weight is one number that all links share
or a vector of one for each. Each step, every node of the network
and then the environment is computed for all lanes, WIDTH at a time (a chunk); a lane whose episode
has ended takes the next pair, and once there is none the last lane moves into its place, so that
fewer chunks remain. A lane's numbers never depend on the other lanes, so neither do the returns.

All tasks share this one kernel, which looks up the task's physics once a chunk. Only the functions
at the end are cached by Numba; what they call is compiled into them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int, Int32, Int64, UInt8
from numba import njit

from wann.rollout import (
    acrobot,
    cartpole,
    mountain_car,
    mountain_car_continuous,
    pendulum,
    swing_up,
    task_numbers,
)
from wann.rollout.functions import COMPILED, activate, activate_three
from wann.rollout.layout import (
    JOB,
    NUM_STEPS,
    OBSERVATION,
    RETURN,
    STATE,
    VALUES,
    WEIGHT,
)
from wann.rollout.vector import (
    WIDTH,
    Lanes,
    Vector,
    bits,
    clip,
    load,
    load_flat,
    product,
    round32,
    select,
    splat,
    store,
)

CACHED = {"error_model": "numpy", "cache": True, "nogil": True}
CACHE_LINE = 64  # bytes; a vector that crosses a line costs two loads


class Rules(NamedTuple):
    """What a task adds to its physics: see `wann.rollout.compiled.CompiledTask`."""

    task_number: int
    action_rule: int
    action_centre: float
    action_half_range: float
    max_steps: float


class Jobs(NamedTuple):
    """The (weight, rollout) pairs to play.

    weights: factor of each node's sum. link_weights: factor of each link; None where all are 1.
    rollouts_a_weight: pair k has weight k // that and rollout k % R: as many as R for every weight
        with every rollout; 1 for weight k with rollout k.
    offset, scale: the network sees (observation - offset) / scale. is_scaled: whether that changes
        anything.
    """

    weights: Float64[np.ndarray, "W"]
    link_weights: Float64[np.ndarray, "W E"] | None
    rollouts_a_weight: int
    states: Float64[np.ndarray, "R S"]
    observations: Float64[np.ndarray, "R I"]
    offset: Float64[np.ndarray, "I"]
    scale: Float64[np.ndarray, "I"]
    is_scaled: bool


@njit(error_model="numpy")
def _aligned_lanes(num_rows: int, num_lanes: int) -> Lanes:
    """Return zeros [num_rows, num_lanes] whose rows start at cache lines; num_lanes % WIDTH = 0."""
    spare = CACHE_LINE // 8
    buffer = np.zeros(num_rows * num_lanes + spare)
    skip = (-buffer.ctypes.data % CACHE_LINE) // 8
    return buffer[skip : skip + num_rows * num_lanes].reshape(num_rows, num_lanes)


@njit(**COMPILED)
def _compute_three(
    lanes: Lanes,
    lane_weights: Lanes | None,
    lane: int,
    activation_id: int,
    node: int,
    first: np.uint64,
    last: np.uint64,
    positions: Int64[np.ndarray, "E"],
) -> None:
    """Set a node's value for three chunks side by side, which is faster than one by one."""
    a = b = c = splat(0.0)
    for link in range(first, last):
        position = positions[link] + lane
        if lane_weights is None:
            a = a + load_flat(lanes, position)
            b = b + load_flat(lanes, position + WIDTH)
            c = c + load_flat(lanes, position + 2 * WIDTH)
        else:
            a = a + load(lane_weights, link, lane) * load_flat(lanes, position)
            b = b + load(lane_weights, link, lane + WIDTH) * load_flat(lanes, position + WIDTH)
            weight = load(lane_weights, link, lane + 2 * WIDTH)
            c = c + weight * load_flat(lanes, position + 2 * WIDTH)
    a, b, c = activate_three(
        activation_id,
        product(load(lanes, WEIGHT, lane), a),
        product(load(lanes, WEIGHT, lane + WIDTH), b),
        product(load(lanes, WEIGHT, lane + 2 * WIDTH), c),
    )
    store(lanes, VALUES + node, lane, a)
    store(lanes, VALUES + node, lane + WIDTH, b)
    store(lanes, VALUES + node, lane + 2 * WIDTH, c)


@njit(**COMPILED)
def _compute_one(
    lanes: Lanes,
    lane_weights: Lanes | None,
    lane: int,
    activation_id: int,
    node: int,
    first: np.uint64,
    last: np.uint64,
    positions: Int64[np.ndarray, "E"],
) -> None:
    """Set the value of a node for one chunk."""
    total = splat(0.0)
    for link in range(first, last):
        if lane_weights is None:
            total = total + load_flat(lanes, positions[link] + lane)
        else:
            value = load_flat(lanes, positions[link] + lane)
            total = total + load(lane_weights, link, lane) * value
    value = activate(activation_id, product(load(lanes, WEIGHT, lane), total))
    store(lanes, VALUES + node, lane, value)


@njit(**COMPILED)
def _compute_network(
    lanes: Lanes,
    lane_weights: Lanes | None,
    num_live: int,
    num_inputs: int,
    offsets: Int32[np.ndarray, "N+1"],
    positions: Int64[np.ndarray, "E"],
    activations: UInt8[np.ndarray, "N"],
) -> None:
    """Set the values of all nodes behind the inputs, for the chunks that hold live lanes.

    lane_weights: [E, L], the weight of each link; None where all are 1.
    positions: where in `lanes`, read flat, the value of each link's source begins.
    """
    for node in range(1 + num_inputs, len(activations)):
        activation_id = activations[node]
        # Unsigned, so that no index is checked for being negative.
        first, last = np.uint64(offsets[node]), np.uint64(offsets[node + 1])
        lane = 0
        while lane + 2 * WIDTH < num_live:
            _compute_three(lanes, lane_weights, lane, activation_id, node, first, last, positions)
            lane += 3 * WIDTH
        while lane < num_live:
            _compute_one(lanes, lane_weights, lane, activation_id, node, first, last, positions)
            lane += WIDTH


@njit(**COMPILED)
def _output(lanes: Lanes, lane: int, outputs: Int[np.ndarray, "O"], index: int) -> Vector:
    """Return one output of the networks of a chunk; NaN counts as 0."""
    value = load(lanes, VALUES + outputs[index], lane)
    return select(value == value, value, 0.0)  # noqa: PLR0124  # only NaN differs from itself


@njit(**COMPILED)
def _chosen_action(lanes: Lanes, lane: int, outputs: Int[np.ndarray, "O"]) -> Vector:
    """Return the number of the largest output, of equal ones the first."""
    largest = _output(lanes, lane, outputs, 0)
    action = splat(0.0)
    for index in range(1, len(outputs)):
        value = _output(lanes, lane, outputs, index)
        is_larger = value > largest
        largest = select(is_larger, value, largest)
        action = select(is_larger, index, action)
    return action


@njit(**COMPILED)
def _advance_chunk(lanes: Lanes, lane: int, outputs: Int[np.ndarray, "O"], rules: Rules) -> int:
    """Return the bits of the lanes of one chunk whose episode ended with this step."""
    if rules.action_rule == task_numbers.ARGMAX:
        action = _chosen_action(lanes, lane, outputs)
    else:
        share = clip(_output(lanes, lane, outputs, 0), -1.0, 1.0)
        action = round32(rules.action_centre + rules.action_half_range * share)
    if rules.task_number == task_numbers.CARTPOLE:
        reward, ended = cartpole.advance(lanes, lane, action)
    elif rules.task_number == task_numbers.MOUNTAIN_CAR:
        reward, ended = mountain_car.advance(lanes, lane, action)
    elif rules.task_number == task_numbers.MOUNTAIN_CAR_CONTINUOUS:
        reward, ended = mountain_car_continuous.advance(lanes, lane, action)
    elif rules.task_number == task_numbers.ACROBOT:
        reward, ended = acrobot.advance(lanes, lane, action)
    elif rules.task_number == task_numbers.PENDULUM:
        reward, ended = pendulum.advance(lanes, lane, action)
    else:
        reward, ended = swing_up.advance(lanes, lane, action)
    num_steps = load(lanes, NUM_STEPS, lane) + 1.0
    store(lanes, NUM_STEPS, lane, num_steps)
    store(lanes, RETURN, lane, load(lanes, RETURN, lane) + reward)
    return bits(ended | (num_steps >= rules.max_steps))


@njit(**COMPILED)
def _live_bits(num_live: int) -> int:
    """Return the bits of the first `num_live` lanes of a chunk, or of all if there are more."""
    return (1 << min(num_live, WIDTH)) - 1


@njit(**COMPILED)
def _scale_inputs(
    lanes: Lanes, lane: int, offset: Float64[np.ndarray, "I"], scale: Float64[np.ndarray, "I"]
) -> None:
    """Turn the observations of a chunk into what the network sees."""
    for index in range(len(offset)):
        seen = (load(lanes, OBSERVATION + index, lane) - offset[index]) / scale[index]
        store(lanes, OBSERVATION + index, lane, seen)


@njit(**COMPILED)
def _start_lane(lanes: Lanes, lane_weights: Lanes | None, lane: int, job: int, jobs: Jobs) -> None:
    """Let a lane begin a pair."""
    rollout = job % len(jobs.states)
    weight = job // jobs.rollouts_a_weight
    lanes[NUM_STEPS, lane] = 0.0
    lanes[RETURN, lane] = 0.0
    lanes[JOB, lane] = job
    lanes[WEIGHT, lane] = jobs.weights[weight]
    if lane_weights is not None:
        for link in range(lane_weights.shape[0]):
            given = jobs.link_weights[weight, link]  # pyright: ignore[reportOptionalSubscript]
            lane_weights[link, lane] = given
    for index in range(jobs.states.shape[1]):
        lanes[STATE + index, lane] = jobs.states[rollout, index]
    lanes[VALUES, lane] = 1.0  # the bias
    for index in range(jobs.observations.shape[1]):
        seen = (jobs.observations[rollout, index] - jobs.offset[index]) / jobs.scale[index]
        lanes[OBSERVATION + index, lane] = seen


@njit(**COMPILED)
def _settle(
    lanes: Lanes,
    lane_weights: Lanes | None,
    num_live: int,
    next_job: int,
    ended: Int64[np.ndarray, "chunks"],
    jobs: Jobs,
    returns: Float64[np.ndarray, "pairs"],
) -> tuple[int, int, int]:
    """Return (live lanes, next pair, finished steps) after the ended lanes have been dealt with.

    ended: the bits of each chunk. Goes from the last lane down, so that the lane that moves into
        a gap is a live one.
    """
    num_jobs = len(returns)
    num_rows = OBSERVATION + jobs.observations.shape[1]
    num_steps = 0
    for lane in range(num_live - 1, -1, -1):
        if not (ended[lane // WIDTH] >> (lane % WIDTH)) & 1:
            continue
        returns[int(lanes[JOB, lane])] = lanes[RETURN, lane]
        num_steps += int(lanes[NUM_STEPS, lane])
        if next_job < num_jobs:
            _start_lane(lanes, lane_weights, lane, next_job, jobs)
            next_job += 1
            continue
        num_live -= 1
        for row in range(num_rows):
            lanes[row, lane] = lanes[row, num_live]
        if lane_weights is not None:
            for link in range(lane_weights.shape[0]):
                lane_weights[link, lane] = lane_weights[link, num_live]
    return num_live, next_job, num_steps


@njit(**COMPILED)
def _rollout_network(
    lanes: Lanes,
    lane_weights: Lanes | None,
    ended: Int64[np.ndarray, "chunks"],
    offsets: Int32[np.ndarray, "N+1"],
    positions: Int64[np.ndarray, "E"],
    activations: UInt8[np.ndarray, "N"],
    outputs: Int32[np.ndarray, "O"],
    rules: Rules,
    jobs: Jobs,
    returns: Float64[np.ndarray, "pairs"],
) -> int:
    """Return the steps that one network took; returns: set pair by pair."""
    offset, scale, is_scaled = jobs.offset, jobs.scale, jobs.is_scaled
    num_jobs = len(returns)
    num_live = min(lanes.shape[1], num_jobs)
    for lane in range(num_live):
        _start_lane(lanes, lane_weights, lane, lane, jobs)
    next_job = num_live
    num_steps = 0
    while num_live > 0:
        _compute_network(
            lanes, lane_weights, num_live, len(offset), offsets, positions, activations
        )
        any_ended = 0
        for lane in range(0, num_live, WIDTH):
            # Lanes behind the live ones are computed too; what they do means nothing.
            chunk_ended = _advance_chunk(lanes, lane, outputs, rules) & _live_bits(num_live - lane)
            if is_scaled:
                _scale_inputs(lanes, lane, offset, scale)
            ended[lane // WIDTH] = chunk_ended
            any_ended |= chunk_ended
        if any_ended:
            num_live, next_job, finished_steps = _settle(
                lanes, lane_weights, num_live, next_job, ended, jobs, returns
            )
            num_steps += finished_steps
    return num_steps


@njit(**CACHED)
def rollout_lanes(
    node_offsets: Int64[np.ndarray, "G+1"],
    edge_offsets: Int64[np.ndarray, "G+1"],
    offsets: Int32[np.ndarray, "allN+G"],
    sources: Int32[np.ndarray, "allE"],
    activations: UInt8[np.ndarray, "allN"],
    outputs: Int32[np.ndarray, "G O"],
    start: int,
    rules: Rules,
    jobs: Jobs,
    num_lanes: int,
    returns: Float64[np.ndarray, "g W*R"],
) -> int:
    """Return the environment steps taken by the topologies from `start` on.

    The arrays before `start` are those of `wann.topology.Topologies`. num_lanes: a multiple of
        WIDTH. returns: set to the return of each pair; its g says how many topologies are meant.
    """
    most_nodes = most_links = 0
    for genome in range(start, start + len(returns)):
        most_nodes = max(most_nodes, node_offsets[genome + 1] - node_offsets[genome])
        most_links = max(most_links, edge_offsets[genome + 1] - edge_offsets[genome])
    lanes = _aligned_lanes(VALUES + most_nodes, num_lanes)
    ended = np.zeros(num_lanes // WIDTH, np.int64)
    positions = np.zeros(most_links, np.int64)
    num_steps = 0
    for index in range(len(returns)):
        genome = start + index
        first_node, last_node = node_offsets[genome], node_offsets[genome + 1]
        first_link, last_link = edge_offsets[genome], edge_offsets[genome + 1]
        for link in range(first_link, last_link):
            positions[link - first_link] = (VALUES + sources[link]) * num_lanes
        num_steps += _rollout_network(
            lanes,
            None,
            ended,
            offsets[first_node + genome : last_node + genome + 1],
            positions,
            activations[first_node:last_node],
            outputs[genome],
            rules,
            jobs,
            returns[index],
        )
    return num_steps


@njit(**CACHED)
def rollout_link_weights(
    offsets: Int32[np.ndarray, "N+1"],
    sources: Int32[np.ndarray, "E"],
    activations: UInt8[np.ndarray, "N"],
    outputs: Int32[np.ndarray, "O"],
    rules: Rules,
    jobs: Jobs,
    num_lanes: int,
    returns: Float64[np.ndarray, "pairs"],
) -> int:
    """Return the environment steps taken by one topology with many weights for each link.

    num_lanes: a multiple of WIDTH. returns: set to the return of each pair.
    """
    lanes = _aligned_lanes(VALUES + len(activations), num_lanes)
    return _rollout_network(
        lanes,
        _aligned_lanes(len(sources), num_lanes),
        np.zeros(num_lanes // WIDTH, np.int64),
        offsets,
        (VALUES + sources.astype(np.int64)) * num_lanes,
        activations,
        outputs,
        rules,
        jobs,
        returns,
    )


@njit(**CACHED)
def step_lanes(
    rules: Rules,
    states: Float64[np.ndarray, "B S"],
    outputs: Float64[np.ndarray, "B O"],
    num_steps: Int64[np.ndarray, "B"],
    observations: Float64[np.ndarray, "B I"],
    rewards: Float64[np.ndarray, "B"],
    ended: Bool[np.ndarray, "B"],
) -> None:
    """Take one step in each of B environments, through the same physics as `rollout_lanes`.

    states: replaced by the states after the step. outputs: what the networks say.
    num_steps: taken before. observations, rewards and ended are set.
    """
    num_inputs, num_outputs = observations.shape[1], outputs.shape[1]
    lanes = _aligned_lanes(OBSERVATION + num_inputs + num_outputs, WIDTH)
    output_nodes = np.arange(num_outputs) + (1 + num_inputs)
    for first in range(0, len(states), WIDTH):
        num_live = min(WIDTH, len(states) - first)
        for lane in range(num_live):
            lanes[NUM_STEPS, lane] = num_steps[first + lane]
            lanes[RETURN, lane] = 0.0
            lanes[STATE : STATE + states.shape[1], lane] = states[first + lane]
            lanes[OBSERVATION + num_inputs :, lane] = outputs[first + lane]
        chunk_ended = _advance_chunk(lanes, 0, output_nodes, rules)
        for lane in range(num_live):
            states[first + lane] = lanes[STATE : STATE + states.shape[1], lane]
            observations[first + lane] = lanes[OBSERVATION : OBSERVATION + num_inputs, lane]
            rewards[first + lane] = lanes[RETURN, lane]
            ended[first + lane] = (chunk_ended >> lane) & 1


@njit(**CACHED)
def compute_lanes(
    node_offsets: Int64[np.ndarray, "G+1"],
    edge_offsets: Int64[np.ndarray, "G+1"],
    offsets: Int32[np.ndarray, "allN+G"],
    sources: Int32[np.ndarray, "allE"],
    activations: UInt8[np.ndarray, "allN"],
    outputs: Int32[np.ndarray, "G O"],
    genome: int,
    weights: Float64[np.ndarray, "B"],
    inputs: Float64[np.ndarray, "B I"],
    computed: Float64[np.ndarray, "B O"],
) -> None:
    """Compute one network for B inputs, through the same code as `rollout_lanes`.

    genome: its index in the batch. weights: the shared weight of each input. computed: set to the
        outputs.
    """
    first_node, last_node = node_offsets[genome], node_offsets[genome + 1]
    first_link, last_link = edge_offsets[genome], edge_offsets[genome + 1]
    lanes = _aligned_lanes(VALUES + last_node - first_node, WIDTH)
    num_inputs = inputs.shape[1]
    for first in range(0, len(inputs), WIDTH):
        num_live = min(WIDTH, len(inputs) - first)
        lanes[VALUES] = 1.0  # the bias
        for lane in range(num_live):
            lanes[WEIGHT, lane] = weights[first + lane]
            lanes[OBSERVATION : OBSERVATION + num_inputs, lane] = inputs[first + lane]
        _compute_network(
            lanes,
            None,
            num_live,
            num_inputs,
            offsets[first_node + genome : last_node + genome + 1],
            (VALUES + sources[first_link:last_link].astype(np.int64)) * WIDTH,
            activations[first_node:last_node],
        )
        for lane in range(num_live):
            for index in range(outputs.shape[1]):
                computed[first + lane, index] = lanes[VALUES + outputs[genome, index], lane]
