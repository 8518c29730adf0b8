"""Check every hyperparameter of every run before any compute: build all tasks and estimators."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tasks._lolv2 import NUM_WEIGHTS
from workflow.lib import build, spec, trained, tuned
from workflow.lib.data import find

EXAMPLES = 20
CHARACTERS = 10_000


def check(job: Mapping[str, Any]) -> None:
    """Build the task, the estimator and the protocol of a job on a stand-in for its data.

    Raises:
        ValueError: the specification asks for something that cannot be.
    """
    try:
        job = tuned.resolve(job, tuned.stand_in(job))
        job = trained.resolve(job, [[0.0] * NUM_WEIGHTS] if "trained" in job else None)
        task = build.task(job, _stand_in(job["data"]) if job["data"] else None)
        estimator = build.estimator(job, task)
        build.protocol(job).check(task, estimator, **job["protocol"]["args"])
    except ValueError as error:
        raise ValueError(f"{job['experiment']}/{job['run']}: {error}") from error


def _stand_in(dataset: str) -> dict[str, np.ndarray]:
    """Return arrays of the format of a data set, a few examples long."""
    kind = find(dataset).kind
    if kind == "text":
        tokens = np.arange(CHARACTERS, dtype=np.int32) % 3
        return {"train_tokens": tokens, "vocabulary": np.array(["a", "b", "c"])}
    if kind == "table":
        numbers = np.random.default_rng(0).normal(size=(EXAMPLES, 4))
        return {"inputs": numbers[:, 1:], "targets": numbers[:, 0]}
    labels = np.arange(EXAMPLES, dtype=np.int32) % 10
    images = np.linspace(0, 255, EXAMPLES * 28 * 28).astype(np.uint8).reshape(EXAMPLES, 28, 28)
    splits = ("train", "validation", "test")
    arrays = {f"{split}_images": images for split in splits}
    return arrays | {f"{split}_labels": labels for split in splits}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; `arguments` defaults to that of the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", default="laptop", choices=spec.SCALES)
    parser.add_argument("--experiments", nargs="+", default=list(spec.experiments()))
    options = parser.parse_args(arguments)
    try:
        jobs = tuned.with_tuning(spec.jobs(options.scale, tuple(options.experiments)))
        for job in {(job.spec["experiment"], job.spec["run"]): job for job in jobs}.values():
            check(job.spec)
    except ValueError as error:
        sys.exit(f"preflight: {error}")
    print(f"preflight: {len(jobs)} jobs at scale {options.scale}: all hyperparameters are valid")


if __name__ == "__main__":
    main()
