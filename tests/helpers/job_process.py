"""A job as a process of its own: `python -m workflow.scripts.run` in some folder."""

import os
import subprocess
import sys
from pathlib import Path

from workflow.lib.common import store
from workflow.lib.common.paths import ROOT
from workflow.lib.plan import spec

SMOKE = {(job.spec["experiment"], job.spec["run"]): job.spec for job in spec.jobs("smoke")}
SHORT = SMOKE["quadratic_bias", "pes"]


def command(job, output, *options):
    """Return the arguments of `subprocess` that run a job on one thread."""
    arguments = ["--spec", spec.canonical(job), "--output", str(output), *options]
    return [sys.executable, "-m", "workflow.scripts.run", *arguments]


def environment(**more):
    return os.environ | {"NPROC": "1", "PYTHONPATH": str(ROOT), **more}


def execute(place, job, output, *options, **more):
    """Run a job to its end; return its exit status and what it printed, apart."""
    return subprocess.run(
        command(job, output, *options),
        cwd=place,
        env=environment(**more),
        capture_output=True,
        text=True,
        check=False,
    )


def succeed(place, job, output, *options, **more):
    """Run a job that must succeed; return its sidecar."""
    done = execute(place, job, output, *options, **more)
    assert done.returncode == 0, done.stderr
    return store.read_json(place / Path(output).with_suffix(".json"))


def refusal(done):
    """Return the one line that a failed job printed."""
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    return line
