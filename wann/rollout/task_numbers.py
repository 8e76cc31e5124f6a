"""What the rollout kernel calls the tasks and action rules that it knows."""

CARTPOLE = 1
MOUNTAIN_CAR = 2
MOUNTAIN_CAR_CONTINUOUS = 3
ACROBOT = 4
PENDULUM = 5
SWING_UP = 6

ARGMAX = 1
CLIP = 2
