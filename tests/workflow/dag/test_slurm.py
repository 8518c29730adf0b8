"""The workflow on a SLURM cluster, for real: the daemons of Debian's packages on this machine.

Two nodes of one core in the partition `nodes`, and one that lacks the environment in `bare`. No
partition is the default one.
"""

import shutil
import subprocess
import time

import pytest

from tests.helpers import slurm
from tests.helpers.artifact import environment, planned, snakemake
from tests.helpers.small_artifact import FOLDER, RUNS
from workflow.lib.common import store

# Before any fixture: the small artifact takes its time.
MISSING = slurm.missing()
pytestmark = [pytest.mark.dag, pytest.mark.skipif(bool(MISSING), reason=MISSING)]

PROFILE = ("--profile", "workflow/profiles/slurm")
SOON = ("--slurm-init-seconds-before-status-checks", "1", "--seconds-between-status-checks", "1")
CONFIG = ("scale=smoke", "seeds=4")
BLOCKS = ("seeds-100-101", "seeds-102-103")
PATIENCE_S = 120


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    nodes = {"nodes": ["n1", "n2"], "bare": ["n3"]}
    slurm.cache().mkdir(parents=True, exist_ok=True)
    with slurm.Cluster(tmp_path_factory.mktemp("slurm") / "run", nodes) as made:
        made.boot("n1", slurm.cache())
        made.boot("n2", slurm.cache())
        made.boot("n3", slurm.interpreter())
        yield made


@pytest.fixture(scope="module")
def local(whole, tmp_path_factory):
    """A copy of the small artifact with four seeds, in two blocks, run without a cluster."""
    folder = tmp_path_factory.mktemp("local") / "a small artifact"
    shutil.copytree(whole, folder)
    done = snakemake(folder, "--cores", "2", config=CONFIG)
    assert done.returncode == 0, done.stdout
    return folder


def contents(folder):
    """Return the hash of what each run found, for each block of seeds."""
    files = {(run, block): f"{FOLDER}/small/{run}/{block}.json" for run in RUNS for block in BLOCKS}
    return {key: store.read_json(folder / file)["content_sha256"] for key, file in files.items()}


def without_results(local, folder):
    """Copy the small artifact and take all that it has made away."""
    shutil.copytree(local, folder)
    shutil.rmtree(folder / "results/smoke")
    shutil.rmtree(folder / ".snakemake")
    return folder


def test_a_cancelled_job_and_a_lost_node_change_no_result(cluster, local, tmp_path):
    """Each node runs a block of seeds when one job is cancelled, and the other's node crashes."""
    folder = without_results(local, tmp_path / "on a cluster")
    log = tmp_path / "log"
    with log.open("w") as output:
        command = ["snakemake", *PROFILE, *SOON, "--default-resources", "slurm_partition=nodes"]
        running = subprocess.Popen(
            [*command, "--config", *CONFIG, "batch_minutes=0"],
            cwd=folder,
            env=environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait(lambda: all(list(folder.rglob(f"{block}.*.lock")) for block in BLOCKS), running)
        (cancelled, first), (lost, second) = cluster.jobs("JobID", "NodeList")[-2:]
        assert {first, second} == {"n1", "n2"}
        subprocess.run(["scancel", cancelled], check=True)
        cluster.crash(second)
        cluster.boot(second, slurm.cache())
        assert running.wait(PATIENCE_S) == 0, log.read_text()
    finally:
        running.terminate()
    assert contents(folder) == contents(local)
    jobs = cluster.jobs("JobID", "State", "RestartCnt", "MinMemory")[-3:]
    again = jobs[-1]
    assert jobs[0][:3] == [cancelled, "CANCELLED", "0"]
    assert jobs[1][:3] == [lost, "COMPLETED", "1"], "SLURM itself has queued it again"
    assert again[1:3] == ["COMPLETED", "0"], "Snakemake has submitted it again"
    assert int(again[3].rstrip("M")) == 2 * int(jobs[0][3].rstrip("M"))
    assert (folder / "results/smoke/figures/fig_small.png").is_file()


def test_in_the_profile_short_jobs_share_a_process(cluster, local, tmp_path):
    """`--config` of the command adds to the profile's knobs, and takes none of them away."""
    folder = without_results(local, tmp_path / "copy")
    assert "Runs: small_batch_0, 6 jobs in one process" in planned(folder, *PROFILE, config=CONFIG)


def wait(condition, process):
    """Wait until `condition()` is true while `process` runs."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert condition()


@pytest.mark.parametrize(
    ("resources", "line"),
    [
        ([], "no partition is named, and SLURM has no default one: add --default-resources"),
        (["slurm_partition=bare"], "node n3 lacks the environment of "),
    ],
)
def test_what_a_cluster_lacks_is_one_line_before_any_job(cluster, local, tmp_path, resources, line):
    folder = without_results(local, tmp_path / "copy")
    before = cluster.jobs("JobID")
    chosen = ["--default-resources", *resources] if resources else []
    done = snakemake(folder, *PROFILE, *chosen)
    assert done.returncode == 1
    assert f"preflight: {line}" in done.stdout
    tried = int("node n3" in line)
    assert len(cluster.jobs("JobID")) - len(before) == tried, "but for the one that tries a node"
    assert not list((folder / "results").rglob("*.parquet"))
