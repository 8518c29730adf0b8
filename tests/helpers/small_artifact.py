"""A small copy of the artifact: three runs of a second each, a generated estimator and figure."""

import shutil
import subprocess

from tests.helpers.artifact import call, copy_artifact
from workflow.lib.common import store

SMALL = """
title: Small
data: synthetic_rows
task: {name: l2_regression}
protocol:
  {name: meta_training, outer_steps: 20, log_every: 10, optimizer: sgd, learning_rate: 0.001}
seeds: 2
seeds_per_job: 2
runs:
  pes: {estimator: {name: pes, num_particles: 4, sigma: 0.01, truncation: 1}}
  es_single: {estimator: {name: es_single, num_particles: 4, sigma: 0.01, truncation: 1}}
  mine: {estimator: {name: mine, num_particles: 4, sigma: 0.01, truncation: 1}}
"""
RUNS = ("pes", "es_single", "mine")
MESSAGE = "Runs: small_100_101, 3 jobs in one process"
LOG = "results/smoke/logs/small_100_101.log"
FOLDER = "results/smoke/runs"
COMMAND = ("snakemake", "--cores", "1", "--config", "scale=smoke")
NO_NETWORK = ("unshare", "--net")


def parquet(run):
    return f"{FOLDER}/small/{run}/seeds-100-101.parquet"


def sidecar(run):
    return f"{FOLDER}/small/{run}/seeds-100-101.json"


def contents(folder):
    """Return the hash of what each run found."""
    return {run: store.read_json(folder / sidecar(run))["content_sha256"] for run in RUNS}


def allowed(*command):
    """Return whether this user may run `command` on this machine."""
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def finished(folder):
    """Make the copy and run it, without a network where this machine lets us take it away."""
    folder = copy_artifact(folder)
    experiments = folder / "workflow/config/experiments"
    shutil.rmtree(experiments)
    experiments.mkdir()
    (experiments / "small.yaml").write_text(SMALL)
    for new in (("estimator", "mine"), ("figure", "fig_small", "--experiment", "small")):
        assert call(folder, "python", "-m", "workflow.scripts.new", *new).returncode == 0
    without_network = NO_NETWORK if allowed(*NO_NETWORK, "true") else ()
    done = call(folder, *without_network, *COMMAND)
    assert done.returncode == 0, done.stdout
    return folder
