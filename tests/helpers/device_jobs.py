"""A job that is stopped at every checkpoint and goes on with another number of devices."""

import contextlib
import copy
import pickle
import sys
import tempfile
from pathlib import Path

import jax

from tests.helpers.job_process import SMOKE
from workflow.lib import protocols
from workflow.lib.protocols import Checkpoint

STARTS = {"alone": (1,), "spread": (4,), "moved": (4, 2, 1, 4)}  # devices of each start


class Stopped(Exception):
    """The job has saved, and its process ends."""


class Stops(Checkpoint):
    """A checkpoint whose process dies right after each save."""

    def save(self, *args):
        super().save(*args)
        raise Stopped


def job(breakstep):
    """Return a job with 4 pairs and 4 log points."""
    made = copy.deepcopy(SMOKE["toy_regression", "es_single"])
    made["estimator"]["args"] |= {"num_particles": 8, "breakstep": breakstep}
    made["protocol"]["args"] |= {"outer_steps": 8, "log_every": 2}
    return made


def rows(job, counts, path):
    """Run a job on so many devices at each of its starts; return its rows and its restarts."""
    for start, count in enumerate(counts, 1):
        kind = Checkpoint if start == len(counts) else Stops
        checkpoint = kind(path, {}, interval_s=0)
        assembled = protocols.assemble(job, None).on_devices(jax.devices()[:count])
        with contextlib.suppress(Stopped):
            outcome = assembled.run(range(2), checkpoint)
    return outcome.rows, checkpoint.restarts


def main():
    jax.config.update("jax_enable_x64", True)  # or chaos amplifies what rounding changes
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for breakstep in (False, True):
            for name, counts in STARTS.items():
                path = Path(folder, f"{breakstep}-{name}")
                found[breakstep, name] = rows(job(breakstep), counts, path)
    Path(sys.argv[1]).write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    main()
