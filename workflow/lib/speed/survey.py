"""Every task of the artifact, trained at laptop scale: how fast, and how near to what limits it.

The settings of a task are those of an ES-Single run (`cases`); PES and truncated ES are measured
with the same N, σ and K. Two limits are compared with. One is the core's rate at a matrix product;
XLA counts the operations of an inner step. The other is the rate at which the core copies a large
array; an inner step is taken to read θ ± ε and the state, and to write the state, as it must where
they are too large for the caches.
"""

import functools
import importlib
from collections.abc import Mapping
from typing import Any

from workflow.lib.plan import hyperparameters, spec
from workflow.lib.protocols._build import Factory
from workflow.lib.protocols._rehearsal import rehearse
from workflow.lib.speed import throughput

ESTIMATORS = ("es_single", "pes", "truncated_es")


@functools.cache
def cases() -> dict[str, dict[str, Any]]:
    """Return {task: specification of a laptop job with ES-Single}.

    It is one that trains, if there is, with the fewest options of the task, and of those one with
    the most particles. A task that no run trains with ES-Single, as the classifier that learned
    optimizers are tried on, is left out.
    """
    jobs = [job.spec for job in spec.jobs("laptop")]
    own = [job for job in jobs if (job["estimator"] or {}).get("name") == "es_single"]

    def rank(job: Mapping[str, Any]) -> tuple[bool, int, int]:
        trains = job["protocol"]["name"] == "meta_training"
        return not trains, len(job["task"]["args"]), -job["estimator"]["args"]["num_particles"]

    return {job["task"]["name"]: job for job in sorted(own, key=rank, reverse=True)}


def measure(task: str, estimator: str) -> dict[str, Any]:
    """Return the speed of an estimator on a task, its settings and what an inner step takes.

    Args:
        task: a name in `cases()`.
        estimator: a name in `ESTIMATORS`.
    """
    job = cases()[task]
    ready = rehearse(job)
    factory = with_the_same(ready.factory, estimator)
    flops, copied = throughput.inner_step(ready.task)
    return {
        "task": task,
        "experiment": job["experiment"],
        "estimator": estimator,
        "num_particles": factory.keywords["num_particles"],
        "truncation": factory(ready.task).truncation,
        "flops": flops,
        "bytes": copied,
        **throughput.measure_long(ready.task, factory)._asdict(),
    }


def with_the_same(factory: Factory, estimator: str) -> Factory:
    """Return the factory of another estimator, with those hyperparameters that it takes, too.

    Args:
        factory: of an estimator, with its hyperparameters in it.
        estimator: name of the other one.
    """
    other = getattr(importlib.import_module(f"estimators.{estimator}"), estimator)
    known = hyperparameters.accepted(other)
    return Factory(other, **{k: v for k, v in factory.keywords.items() if k in known})
