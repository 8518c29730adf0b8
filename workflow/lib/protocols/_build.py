"""From a specification to functions: the task, the estimator and the protocol of a run."""

import importlib
import inspect
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import numpy as np

from estimators.base import Estimator
from tasks.base import Task
from workflow.lib.plan import hyperparameters

Spec = Mapping[str, Any]


def task(spec: Spec, data: Mapping[str, np.ndarray] | None) -> Task:
    """Build the task of a run.

    Args:
        spec: the run's specification.
        data: arrays of its data set, for a task that takes one.

    Raises:
        ValueError: unknown or unfit hyperparameters; data missing, or not wanted.
    """
    name, args = spec["task"]["name"], spec["task"]["args"]
    factory = getattr(importlib.import_module(f"tasks.{name}"), name)
    hyperparameters.check("task", name, factory, args)
    wants_data = "data" in inspect.signature(factory).parameters
    if wants_data != (data is not None):
        wanted = "needs" if wants_data else "takes no"
        raise ValueError(f"task {name} {wanted} data; the experiment says data: {spec['data']}")
    return factory(data, **args) if wants_data else factory(**args)


def estimator(spec: Spec, task: Task) -> Estimator | None:
    """Build the estimator of a run, with `rebuild`, or None where it has none; raises as `task`."""
    if spec["estimator"] is None:
        return None
    name, args = spec["estimator"]["name"], spec["estimator"]["args"]
    factory = getattr(importlib.import_module(f"estimators.{name}"), name)
    hyperparameters.check("estimator", name, factory, args)
    return _rebuildable(factory, task, args)


def _rebuildable(
    factory: Callable[..., Estimator], task: Task, args: Mapping[str, Any]
) -> Estimator:
    """Return an estimator whose `rebuild` keeps what it is not told to change."""

    def rebuild(task: Task, **changes: Any) -> Estimator:
        return _rebuildable(factory, task, {**args, **changes})

    return factory(task, **args)._replace(rebuild=rebuild)


def protocol(spec: Spec) -> ModuleType:
    """Return the module of a run's protocol, its hyperparameters checked; raises as `task`."""
    name = spec["protocol"]["name"]
    module = importlib.import_module(f"workflow.lib.protocols.{name}")
    hyperparameters.check("protocol", name, module.run, spec["protocol"]["args"])
    return module
