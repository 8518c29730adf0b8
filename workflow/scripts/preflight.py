"""Check before any compute: every hyperparameter, every claim, and that results can be written."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tasks._lolv2 import NUM_WEIGHTS
from workflow.lib.claims import ledger
from workflow.lib.common import store
from workflow.lib.common.command import errors_in_one_line
from workflow.lib.data import prepared
from workflow.lib.plan import catalogue, spec, tuned
from workflow.lib.protocols import _build
from workflow.lib.results import trained


def check(job: Mapping[str, Any]) -> None:
    """Build the task, the estimator and the protocol of a job on a stand-in for its data.

    Raises:
        ValueError: the specification asks for something that cannot be.
    """
    try:
        job = tuned.resolve(job, tuned.stand_in(job))
        job = trained.resolve(job, [[0.0] * NUM_WEIGHTS] if "trained" in job else None)
        task = _build.task(job, prepared.stand_in(job["data"]))
        estimator = _build.estimator(job, task)
        _build.protocol(job).check(task, estimator, **job["protocol"]["args"])
    except ValueError as error:
        raise ValueError(f"{job['experiment']}/{job['run']}: {error}") from error


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; `arguments` defaults to that of the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", default="laptop", choices=spec.SCALES)
    parser.add_argument("--experiments", nargs="+", default=list(spec.experiments()))
    options = parser.parse_args(arguments)
    with errors_in_one_line("preflight"):
        store.check_writable(Path("results"))
        ledger.check(catalogue.load("claims"))
        jobs = tuned.with_tuning(spec.jobs(options.scale, tuple(options.experiments)))
        for job in {(job.spec["experiment"], job.spec["run"]): job for job in jobs}.values():
            check(job.spec)
    print(f"preflight: {len(jobs)} jobs at scale {options.scale}: all hyperparameters are valid")


if __name__ == "__main__":
    main()
