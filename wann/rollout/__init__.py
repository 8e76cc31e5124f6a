"""Rollouts: compiled for the tasks that have a kernel, in Python for every other environment."""
