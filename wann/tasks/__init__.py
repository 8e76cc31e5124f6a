"""Tasks: what networks are evaluated on, from a card or any Gymnasium id."""

from wann.tasks.card import Card, card_of_table, read_card, shipped_cards
from wann.tasks.control import ControlTask, control_task, load_task
from wann.tasks.environment import available_tasks
from wann.tasks.faults import EnvironmentFault, MissingDependency
from wann.tasks.task import Task

__all__ = [
    "Card",
    "ControlTask",
    "EnvironmentFault",
    "MissingDependency",
    "Task",
    "available_tasks",
    "card_of_table",
    "control_task",
    "load_task",
    "read_card",
    "shipped_cards",
]
