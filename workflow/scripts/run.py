"""Run jobs: for each a specification in, a parquet of tidy rows and its sidecar out.

Several jobs run one after the other, `--spec A --output a --spec B --output b`. If they are
interrupted, those that were finished are not run again.
"""

import argparse
import json
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from workflow.lib import protocols
from workflow.lib.common import cards, parquet, provenance, store
from workflow.lib.common.command import errors_in_one_line, parser
from workflow.lib.common.paths import ROOT
from workflow.lib.data import prepared
from workflow.lib.plan import resolve, spec
from workflow.lib.plan.devices import check_devices, of_job
from workflow.lib.results import kept

LOGGER = logging.getLogger(__name__)


def execute(
    job: Mapping[str, Any],
    output: Path,
    checkpoint_s: float,
    trained: Path | None = None,
    devices: int = 1,
) -> bool:
    """Run the job and write its result; the sidecar comes last and marks it as finished.

    A result of the same settings, code and data that is there already, and whole, is kept.

    Args:
        job: a specification, see workflow/lib/plan/spec.py.
        output: the parquet file.
        checkpoint_s: seconds between two checkpoints, at least.
        trained: the file of trained optimizers, for a job that waits for one.
        devices: over which particles are spread, if their number divides that of the pairs.

    Returns:
        Whether the job ran: False if its result was there.

    Raises:
        ValueError: the specification asks for something that cannot be.
        RuntimeError: another process is writing `output`.
        OSError: the disk is full, or a file is missing.
    """
    began = time.perf_counter()
    sidecar, checkpoint_path = output.with_suffix(".json"), _checkpoint_path(output)
    with store.locked(output):
        for path in (output, sidecar, checkpoint_path):
            store.remove_leftovers(path)
        resolved = resolve.resolve(job, trained)
        identity = _identity(job) | resolved.taken
        if kept.is_finished(output, identity) or kept.restore(output, identity):
            LOGGER.info("%s is finished, and of these settings, code and data: it is kept", output)
            return False
        protocols.configure()
        used = protocols.first_devices(devices)[: of_job(job, devices)]
        assembled = protocols.assemble(resolved.spec, _data(job)).on_devices(used)
        environment = provenance.environment()
        # A checkpoint is resumed only where its numbers would go on with the same rounding, but for
        # the order in which several devices add.
        checkpoint = protocols.Checkpoint(checkpoint_path, identity | environment, checkpoint_s)
        first, last = job["seeds"]
        outcome = assembled.run(range(first, last + 1), checkpoint)
        rows = _labelled(job, outcome.rows)
        sidecar.unlink(missing_ok=True)
        parquet.write(output, rows)
        wall = {"wall_s": time.perf_counter() - began, "restarts": checkpoint.restarts}
        timings = {name: round(value, 3) for name, value in (outcome.timings | wall).items()}
        result = {
            "spec": dict(job),
            "status": {str(seed): status for seed, status in outcome.status.items()},
            "content_sha256": parquet.content_sha256(rows),
            "timings": timings,
            "devices": len(used),
        }
        store.write_json(sidecar, identity | _provenance(environment) | result)
        checkpoint.remove()
        return True


def _data(job: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the arrays of a job's data set, None if it has none."""
    return prepared.load(job["data"]) if job["data"] else None


def _identity(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return the hashes of a job's settings, code and data: other ones are another job."""
    name = job["data"]
    return {
        "spec_sha256": spec.sha256(job),
        "code": provenance.code_hashes(spec.modules(job), ROOT),
        "data": {name: prepared.describe(name)["sha256"]} if name else {},
    }


def _checkpoint_path(output: Path) -> Path:
    """Return where the job keeps its checkpoint: not an output that Snakemake would remove."""
    return output.with_name(f".{output.stem}.checkpoint")


def _labelled(job: Mapping[str, Any], rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with the columns that tell where they belong, in the order of the format."""
    estimator = job["estimator"]["name"] if job["estimator"] else ""
    labels = {"experiment": job["experiment"], "run": job["run"], "estimator": estimator}
    return rows.assign(**labels)[[*labels, *rows.columns]]


def _provenance(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Return where a result comes from: versions, device, commit, memory."""
    versions = ("python", "jax", "jaxlib", "numpy")
    return {
        "versions": {name: environment[name] for name in versions},
        **{name: value for name, value in environment.items() if name not in versions},
        "git": provenance.git_state(ROOT),
        "peak_memory_mb": round(provenance.peak_memory_mb(), 1),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; `arguments` defaults to that of the process."""
    command = parser("run", __doc__)
    more = {"action": "append", "required": True}
    command.add_argument("--spec", type=json.loads, help="specification, as JSON", **more)
    command.add_argument("--output", type=Path, help="its result (parquet)", **more)
    command.add_argument(
        "--checkpoint-seconds",
        type=float,
        default=protocols.CHECKPOINT_SECONDS,
        help="seconds between two checkpoints, at least (default: %(default)g)",
    )
    command.add_argument("--trained", type=Path, help="trained optimizers (JSON)")
    text = "devices that share the particles of a job (default: %(default)d)"
    command.add_argument("--devices", type=int, default=1, help=text)
    text = "cards to wait for, which share the particles instead (default: %(default)d)"
    command.add_argument("--cards", type=int, default=0, help=text)
    options = command.parse_args(arguments)
    if len(options.spec) != len(options.output):
        command.error("every --spec needs its --output")
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    logging.getLogger("jax").setLevel(logging.WARNING)
    with errors_in_one_line("run"), cards.taken(options.cards) as names:
        check_devices(options.devices)
        if names:
            LOGGER.info("on %s", ", ".join(names))
        _execute_all(options)


def _execute_all(options: argparse.Namespace) -> None:
    """Run the jobs of a command line, one after the other."""
    several = len(options.spec) > 1
    for job, output in zip(options.spec, options.output, strict=True):
        name = f"{job['experiment']}/{job['run']}"
        with errors_in_one_line(name):
            if several:
                LOGGER.info("%s, seeds %d to %d", name, *job["seeds"])
            devices = options.cards or options.devices
            ran = execute(job, output, options.checkpoint_seconds, options.trained, devices)
            if ran and several:
                kept.keep(output)
    for output in options.output:
        kept.forget(output)


if __name__ == "__main__":
    main()
