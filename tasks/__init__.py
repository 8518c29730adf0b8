"""Inner problems: one file, one task. A factory has the name of its module."""

from tasks.base import Task
from tasks.char_lstm import char_lstm
from tasks.copy_task import copy_task
from tasks.image_classifier import image_classifier
from tasks.influence_balancing import influence_balancing
from tasks.l2_regression import l2_regression
from tasks.learned_optimizer import learned_optimizer
from tasks.lorenz import lorenz
from tasks.lr_schedule import lr_schedule
from tasks.many_hyperparameters import many_hyperparameters
from tasks.quadratic import quadratic
from tasks.resnet import resnet
from tasks.swimmer import swimmer
from tasks.telescoping import telescoping
from tasks.toy_regression import toy_regression

__all__ = [
    "Task",
    "char_lstm",
    "copy_task",
    "image_classifier",
    "influence_balancing",
    "l2_regression",
    "learned_optimizer",
    "lorenz",
    "lr_schedule",
    "many_hyperparameters",
    "quadratic",
    "resnet",
    "swimmer",
    "telescoping",
    "toy_regression",
]
