"""Protocol: what it records, in one line.

As it was generated: the metrics of θ_0, where every training begins.
"""

import dataclasses

from tasks.base import Array, Key, Task, stream
from workflow.lib.protocols._build import Factory
from workflow.lib.protocols._checkpoint import Checkpoint
from workflow.lib.protocols._compute import Program, over_seeds, seed_keys, timings
from workflow.lib.protocols._rows import OK, Outcome, log_point, tidy


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Hyperparameters: none yet. A field gets its line here, under `Attributes:`."""

    def check(self, task: Task, factory: Factory | None) -> None:
        """Raise ValueError if there is an estimator."""
        del task
        if factory is not None:
            raise ValueError("new_protocol has no estimator")

    def particle_steps(self, task: Task, factory: Factory | None) -> int:
        """Return the inner steps of one seed, summed over particles, without evaluations."""
        del task, factory
        return 0


def run(task: Task, factory: None, seeds: range, checkpoint: Checkpoint, config: Config) -> Outcome:
    """Evaluate θ_0 of every seed.

    Args:
        task: the inner problem.
        factory: None: there is no estimator.
        seeds: the seeds of this job.
        checkpoint: not used: a job takes a second.
        config: hyperparameters.
    """
    del factory, checkpoint, config

    def evaluate(key: Key) -> dict[str, Array]:
        return task.evaluate(stream(key, "evaluate"), task.init_theta(stream(key, "theta")))

    program = Program(over_seeds(evaluate))
    points = [log_point(len(seeds), program(seed_keys(seeds)), outer_step=0, inner_steps=0)]
    return Outcome(tidy(seeds, points), dict.fromkeys(seeds, OK), timings(program))
