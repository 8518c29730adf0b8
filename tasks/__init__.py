"""Inner problems: one file, one task. A factory has the name of its module."""

from tasks.base import Task
from tasks.copy_task import copy_task
from tasks.influence_balancing import influence_balancing
from tasks.lr_schedule import lr_schedule
from tasks.quadratic import quadratic

__all__ = ["Task", "copy_task", "influence_balancing", "lr_schedule", "quadratic"]
