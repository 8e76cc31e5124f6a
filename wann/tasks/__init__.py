"""Tasks: what networks are evaluated on, from a card or any Gymnasium id."""

from wann.tasks.card import Card, card_of_table, read_card, shipped_cards
from wann.tasks.control import ControlTask, control_task
from wann.tasks.environment import available_tasks
from wann.tasks.faults import EnvironmentFault, MissingDependency
from wann.tasks.image_card import ImageCard, ImageSettings
from wann.tasks.image_data import ImageData, ImageSet
from wann.tasks.images import ImageTask, image_task
from wann.tasks.loading import (
    AnyCard,
    AnyTask,
    card_of,
    load_control_task,
    load_task,
    played_task,
    task_of,
)
from wann.tasks.task import Task

__all__ = [
    "AnyCard",
    "AnyTask",
    "Card",
    "ControlTask",
    "EnvironmentFault",
    "ImageCard",
    "ImageData",
    "ImageSet",
    "ImageSettings",
    "ImageTask",
    "MissingDependency",
    "Task",
    "available_tasks",
    "card_of",
    "card_of_table",
    "control_task",
    "image_task",
    "load_control_task",
    "load_task",
    "played_task",
    "read_card",
    "shipped_cards",
    "task_of",
]
