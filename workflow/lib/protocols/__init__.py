"""The ways to run: one file is one protocol.

Protocols are found by looking into this folder, as tasks and estimators are. Each has

* `Config`, a frozen dataclass of its hyperparameters: `check(task, factory)` raises
  ValueError before any compute, `particle_steps(task, factory)` says what one seed costs;
* `run(task, factory, seeds, checkpoint, config) -> Outcome`.

`assemble` makes task, estimator's factory, protocol and `Config` from a specification. The files
that begin with an underscore hold what protocols share.
"""

from workflow.lib.protocols._build import Assembled, assemble, estimator_factory, make_task
from workflow.lib.protocols._checkpoint import CHECKPOINT_SECONDS, Checkpoint
from workflow.lib.protocols._compute import configure, first_devices, pin

__all__ = [
    "CHECKPOINT_SECONDS",
    "Assembled",
    "Checkpoint",
    "assemble",
    "configure",
    "estimator_factory",
    "first_devices",
    "make_task",
    "pin",
]
