"""What is said of a SLURM cluster before the first job; its commands are played by small scripts.

A real one is in tests/workflow/dag/test_slurm.py.
"""

import os
import re
from types import SimpleNamespace

import pytest

from workflow.lib.plan import cluster
from workflow.lib.plan.dag import Dag
from workflow.scripts import preflight

PARTITIONS = "printf '%s\\n' 'short|30:00' 'long*|infinite' 'day|1-00:00:00'"
FINE = f"echo '{cluster.SAID}n1 has the environment'"


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Put commands of SLURM first on the path: `slurm(sinfo, srun)` takes what they run."""

    def play(sinfo, srun=FINE):
        for name, text in (("sinfo", sinfo), ("srun", srun)):
            (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
            (tmp_path / name).chmod(0o755)

    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path), os.environ["PATH"]]))
    play(PARTITIONS)
    return play


def test_partitions_have_limits_and_one_is_the_default(slurm):
    assert cluster.partitions() == {
        "short": cluster.Partition(False, 30),
        "long": cluster.Partition(True, None),
        "day": cluster.Partition(False, 24 * 60),
    }


@pytest.mark.parametrize("asked", [{"": 10_000}, {"long": 10_000, "short": 30}, {"day": 1440}])
def test_what_a_cluster_can_do_passes(slurm, asked):
    assert cluster.check(asked) == ["node n1 has the environment"] * len(asked)


WRONG = [
    ({"shrt": 5}, r"unknown SLURM partition \(there are day, long, short\) 'shrt'; .* 'short'"),
    ({"short": 31}, "a job may ask for 31 minutes, .* short allows 30: add limit_minutes=30 to"),
]


@pytest.mark.parametrize(("asked", "line"), WRONG)
def test_what_it_cannot_is_one_line(slurm, asked, line):
    with pytest.raises(ValueError, match=line):
        cluster.check(asked)


def test_without_a_default_partition_one_must_be_named(slurm):
    slurm("echo 'a|infinite'")
    with pytest.raises(ValueError, match=r"slurm_partition=NAME to the command, with one of a$"):
        cluster.check({"": 5})


def test_slurm_that_does_not_answer(slurm):
    slurm("echo 'Unable to contact slurm controller' >&2; exit 1")
    with pytest.raises(ValueError, match="does not answer: Unable to contact"):
        cluster.check({"": 5})


def test_a_node_without_the_environment_is_named(slurm):
    """The command that it is given finds out by itself."""
    slurm("echo 'long*|infinite'", 'while [ "$1" != sh ]; do shift; done; shift; exec sh "$@"')
    (said,) = cluster.check({"": 5})
    assert said.endswith("has the environment")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cluster.sys, "executable", "/no/python")
        with pytest.raises(ValueError, match="lacks the environment of /no/python: put the"):
            cluster.check({"": 5})
        patch.setattr(cluster, "ROOT", "/no/folder")
        with pytest.raises(ValueError, match="lacks the folder /no/folder: put the"):
            cluster.check({"": 5})


def test_where_no_node_is_free_none_is_tried(slurm):
    slurm("echo 'long*|infinite'", "echo 'srun: error: Unable to allocate resources' >&2; exit 1")
    assert cluster.check({"long": 5}) == [
        "no node of partition long was free within 30 s: none was tried"
    ]


def plan(*jobs, executor="slurm", **settings):
    """Return Snakemake's workflow with jobs: (is_local, resources)."""
    made = [
        SimpleNamespace(is_local=here, resources=resources, restart_times=2)
        for here, resources in jobs
    ]
    return SimpleNamespace(
        local_exec=executor == "local",
        executor_plugin=SimpleNamespace(name=executor),
        executor_settings=SimpleNamespace(**{"partition_config": None} | settings),
        dag=SimpleNamespace(needrun_jobs=lambda: made),
    )


def test_preflight_is_told_the_longest_time_of_each_partition(monkeypatch):
    """A last attempt asks for four times as much as the first, and for no more than the limit."""
    monkeypatch.delenv("SBATCH_PARTITION", raising=False)
    jobs = [
        (False, {"runtime": 8}),
        (False, {"runtime": 20}),
        (True, {"runtime": 500}),
        (False, {"runtime": 7, "slurm_partition": "a,b"}),
    ]
    options = cluster.arguments(plan(*jobs), 60).split()
    assert options == ["--elsewhere", "--slurm", "=60", "a=28", "b=28"]
    assert cluster.read(options[2:]) == {"": 60, "a": 28, "b": 28}
    monkeypatch.setenv("SBATCH_PARTITION", "c")
    assert cluster.arguments(plan(*jobs[:2]), 60) == "--elsewhere --slurm c=60"
    assert cluster.arguments(plan(*jobs, executor="local"), 60) == ""
    assert cluster.arguments(plan(*jobs, partition_config="a file"), 60) == "--elsewhere"


def test_preflight_refuses_before_it_looks_at_experiments(slurm, capsys):
    slurm("echo 'a|infinite'")
    with pytest.raises(SystemExit, match=r"^preflight: no partition is named, and SLURM has no"):
        preflight.main(["--scale", "smoke", "--slurm", "=5"])
    assert "hyperparameters" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("knob", "value", "line"),
    [
        ("batch_minutes", -1, "batch_minutes: -1 is less than the minimum of 0"),
        ("batch_minutes", "many", "batch_minutes: 'many' is not of type 'integer'"),
        ("limit_minutes", 0, "limit_minutes: 0 is less than the minimum of 1"),
    ],
)
def test_wrong_knobs_are_one_line(knob, value, line):
    with pytest.raises(SystemExit, match=re.escape(line)):
        Dag.from_config({"scale": "smoke", "experiments": "all", "seeds": 0, knob: value})
