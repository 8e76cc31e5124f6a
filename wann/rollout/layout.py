"""Where a lane keeps what: rows of the one array [row, lane] that the rollout kernel works on."""

NUM_STEPS = 0  # taken in this episode so far
RETURN = 1  # sum of its rewards so far
JOB = 2  # which (weight, rollout) pair this lane plays
WEIGHT = 3  # the shared weight
STATE = 4  # first of the environment's state variables; each task's file says which
MAX_STATE = 6
VALUES = STATE + MAX_STATE  # first of the node values: the bias, then the inputs, then the others
OBSERVATION = VALUES + 1  # first input; physics leaves its float32-rounded observation here
