"""From a specification to functions: the task, the estimator and the protocol of a job."""

import functools
import importlib
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import jax
import numpy as np

from estimators._devices import over_devices
from estimators.base import Estimator
from tasks.base import Task
from workflow.lib.plan import hyperparameters
from workflow.lib.protocols._checkpoint import Checkpoint
from workflow.lib.protocols._compute import DoesNotFit
from workflow.lib.protocols._rows import Outcome

Factory = functools.partial  # an estimator's factory with its hyperparameters: `factory(task)`


class Assembled(NamedTuple):
    """A job that is ready to run.

    Attributes:
        task: the inner problem.
        factory: `(task, **changes) -> Estimator`, with the job's hyperparameters in it; None for a
            protocol without estimator. A protocol calls it again for another task (the next one of
            a curriculum) or other hyperparameters (a cell of a grid).
        protocol: the module whose `run` runs the job.
        config: an instance of its `Config`.
    """

    task: Task
    factory: Factory | None
    protocol: ModuleType
    config: Any

    def check(self) -> None:
        """Raise ValueError, one line, if the protocol cannot run with this task and estimator."""
        if self.factory is not None:
            self.factory(self.task)
        self.config.check(self.task, self.factory)

    def on_devices(self, devices: Sequence[jax.Device]) -> "Assembled":
        """Return this job with the particles of its estimator spread over devices.

        Args:
            devices: of this process; with a single one, the job stays as it is.
        """
        if len(devices) == 1:
            return self

        def factory(task: Task, **options: Any) -> Estimator:
            return over_devices(self.factory.func(task, **options), devices)

        return self._replace(factory=functools.partial(factory, **self.factory.keywords))

    def run(self, seeds: range, checkpoint: Checkpoint) -> Outcome:
        """Run the job.

        Args:
            seeds: the seeds of the job.
            checkpoint: where to resume from and to save.

        Raises:
            ValueError: the protocol cannot run with this task and estimator, or the device has less
                memory than the job needs; one line, with what would fit.
        """
        self.check()
        try:
            return self.protocol.run(self.task, self.factory, seeds, checkpoint, self.config)
        except DoesNotFit as error:
            raise ValueError(f"{error}; {_what_fits(len(seeds), error)}") from error


def _what_fits(num_seeds: int, error: DoesNotFit) -> str:
    """Return what to change so that a job fits on its device, where seeds run side by side."""
    fitting = int(num_seeds * error.limit / error.needed)
    if fitting:
        return f"give its experiment seeds_per_job: {fitting}"
    devices = math.ceil(error.needed / num_seeds / error.limit)
    return f"give its experiment seeds_per_job: 1, and share its particles: devices={devices}"


def per_update(task: Task, factory: Factory) -> int:
    """Return N x K, the inner steps of one outer update, summed over particles.

    The mean path of truncated ES is left out. Where an inner problem ends within an unroll, the
    steps after its end count, because they are computed.
    """
    particles = factory.keywords.get("num_particles", 1)
    return particles * factory(task).truncation


def assemble(spec: Mapping[str, Any], data: Mapping[str, np.ndarray] | None) -> Assembled:
    """Build what a job runs.

    Args:
        spec: the job's specification, with every hyperparameter in it (see `plan.resolve`).
        data: the arrays of its data set; None for a task that takes no data.

    Raises:
        ValueError: a hyperparameter is unknown, missing or of a wrong type; or the task takes data
            and gets none, or the reverse.
    """
    protocol = importlib.import_module(f"workflow.lib.protocols.{spec['protocol']['name']}")
    config = _filled("protocol", spec["protocol"], protocol.Config)
    return Assembled(make_task(spec, data), estimator_factory(spec), protocol, config())


def make_task(spec: Mapping[str, Any], data: Mapping[str, np.ndarray] | None) -> Task:
    """Build the task of a job.

    Args:
        spec: the job's specification.
        data: the arrays of its data set; None for a task that takes no data.

    Raises:
        ValueError: a hyperparameter of the task is unknown, missing or of a wrong type; or the task
            takes data and gets none, or the reverse.
    """
    name = spec["task"]["name"]
    factory = getattr(importlib.import_module(f"tasks.{name}"), name)
    filled = _filled("task", spec["task"], factory)
    wants_data = "data" in inspect.signature(factory).parameters
    if wants_data != (data is not None):
        wanted = "needs" if wants_data else "takes no"
        raise ValueError(f"task {name} {wanted} data; the experiment says data: {spec['data']}")
    return filled(data) if wants_data else filled()


def estimator_factory(spec: Mapping[str, Any]) -> Factory | None:
    """Return the factory of a job's estimator, with its hyperparameters in it.

    Args:
        spec: the job's specification.

    Returns:
        `(task, **changes) -> Estimator`; None for a job without estimator.

    Raises:
        ValueError: a hyperparameter of the estimator is unknown, missing or of a wrong type.
    """
    if spec["estimator"] is None:
        return None
    name = spec["estimator"]["name"]
    factory = getattr(importlib.import_module(f"estimators.{name}"), name)
    return _filled("estimator", spec["estimator"], factory)


def _filled(kind: str, part: Mapping[str, Any], factory: Callable) -> functools.partial:
    """Return `factory` with the hyperparameters of `part` in it; ValueError if they do not fit."""
    hyperparameters.check(kind, part["name"], factory, part["args"])
    return functools.partial(factory, **part["args"])
