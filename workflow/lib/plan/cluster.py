"""Whether a SLURM cluster can take the jobs of a plan, seen before the first one is submitted.

Snakemake's plugin finds out when it submits, job by job; a node that lacks the environment shows in
logs of SLURM only. `scripts/preflight.py` asks here first.
"""

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from workflow.lib.common.choices import check_choice
from workflow.lib.common.paths import ROOT

EXECUTOR = "slurm"
IDLE_S = 30  # how long to wait for a node to try
MINUTES = 2  # to start Python there
MEMORY_MB = 500
SAID = "es-single node "  # begins the line in which a node answers
# Arguments: the artifact's folder, the python.
TRY = f"""
node={SAID!r}${{SLURMD_NODENAME:-$(uname -n)}}
if ! cd "$1" 2>/dev/null; then echo "$node lacks the folder $1"
elif ! "$2" -c "import jax, snakemake" 2>/dev/null; then echo "$node lacks the environment of $2"
else echo "$node has the environment"; fi
"""


class Partition(NamedTuple):
    """A partition of the cluster.

    Attributes:
        default: whether jobs without a partition go there.
        limit_minutes: the longest time that a job may ask for; None: any.
    """

    default: bool
    limit_minutes: int | None


def arguments(workflow: Any, limit_minutes: int) -> str:
    """Return what scripts/preflight.py is to check where jobs run on other machines, as options.

    Args:
        workflow: Snakemake's, whose jobs are known.
        limit_minutes: the longest time that SLURM is asked for.

    Returns:
        Nothing on one machine, `--elsewhere` on others. With SLURM also `--slurm
        partition=minutes ...`: the longest time that a job may ask for in each partition, at its
        last attempt; no name before the `=` for jobs that name none. Without it where the plugin
        chooses partitions by a file.
    """
    if workflow.local_exec:
        return ""
    if workflow.executor_plugin.name != EXECUTOR:
        return "--elsewhere"
    if workflow.executor_settings.partition_config or "SNAKEMAKE_SLURM_PARTITIONS" in os.environ:
        return "--elsewhere"
    asked: dict[str, int] = {}
    for job in workflow.dag.needrun_jobs():
        if not job.is_local:
            named = job.resources.get("slurm_partition") or os.environ.get("SBATCH_PARTITION", "")
            minutes = (job.resources.get("runtime") or 0) * 2**job.restart_times
            for name in str(named).split(","):
                asked[name] = max(asked.get(name, 0), min(minutes, limit_minutes))
    return shlex.join(
        ["--elsewhere", "--slurm", *(f"{name}={minutes}" for name, minutes in asked.items())]
    )


def read(pairs: Sequence[str]) -> dict[str, int]:
    """Return {partition: minutes} of the arguments of `--slurm`."""
    return {name: int(minutes) for name, minutes in (pair.rsplit("=", 1) for pair in pairs)}


def check(asked: Mapping[str, int]) -> list[str]:
    """Check that the partitions are there, allow the times, and that a node of each can run jobs.

    Args:
        asked: {partition, or "" for the default one: minutes}.

    Returns:
        A line for each partition: what the node that was tried said.

    Raises:
        ValueError: one line says what is wrong, and what to do.
        OSError: SLURM's commands are not here.
    """
    known = partitions()
    for name, minutes in asked.items():
        _check_partition(name, minutes, known)
    return [_try_node(name) for name in asked]


def partitions() -> dict[str, Partition]:
    """Return the partitions that SLURM has, by name.

    Raises:
        ValueError: SLURM does not answer; the line has what it said.
        OSError: its commands are not here.
    """
    done = _call("sinfo", "--noheader", "--format=%P|%l")
    if done.returncode:
        raise ValueError(f"SLURM does not answer: {done.stderr.strip()}; see `scontrol ping`")
    found = {}
    for line in done.stdout.split():
        name, limit = line.split("|")
        found[name.rstrip("*")] = Partition(name.endswith("*"), _minutes(limit))
    return found


def _check_partition(name: str, minutes: int, known: Mapping[str, Partition]) -> None:
    """Raise ValueError, one line, unless a job may ask for the time in the partition."""
    names = ", ".join(sorted(known)) or "none"
    if not name:
        name = next((name for name, partition in known.items() if partition.default), "")
        if not name:
            raise ValueError(
                "no partition is named, and SLURM has no default one: add --default-resources "
                f"slurm_partition=NAME to the command, with one of {names}"
            )
    check_choice(f"SLURM partition (there are {names})", name, known)
    limit = known[name].limit_minutes
    if limit is not None and minutes > limit:
        raise ValueError(
            f"a job may ask for {minutes} minutes, and SLURM's partition {name} allows {limit}: "
            f"add limit_minutes={limit} to --config; longer jobs go on from their checkpoints"
        )


def _try_node(partition: str) -> str:
    """Return what a node says that is free now, or that none was.

    Raises:
        ValueError: the node lacks the artifact's folder, or its environment.
    """
    where = [f"--partition={partition}"] if partition else []
    limits = [f"--immediate={IDLE_S}", f"--time={MINUTES}", f"--mem={MEMORY_MB}", "--ntasks=1"]
    command = ["sh", "-c", TRY, "sh", str(ROOT), sys.executable]
    done = _call("srun", *where, *limits, "--chdir=/", *command)
    said = [line.removeprefix(SAID) for line in done.stdout.splitlines() if line.startswith(SAID)]
    if not said:
        name = f"partition {partition}" if partition else "the default partition"
        return f"no node of {name} was free within {IDLE_S} s: none was tried"
    if " lacks " in said[-1]:
        raise ValueError(
            f"node {said[-1]}: put the artifact's folder, and in it the environment, where all "
            "nodes see it under the same path"
        )
    return f"node {said[-1]}"


def _minutes(limit: str) -> int | None:
    """Return a limit of SLURM, [days-][[hours:]minutes:]seconds, in minutes; None if it is none."""
    days, _, clock = limit.rpartition("-")
    try:
        parts = [int(part) for part in clock.split(":")]
    except ValueError:
        return None  # "infinite", "n/a"
    hours, minutes = ([0, 0, *parts])[-3:-1]
    return (int(days or 0) * 24 + hours) * 60 + minutes


def _call(*command: str) -> subprocess.CompletedProcess[str]:
    """Run one of SLURM's commands; return its status and what it printed."""
    return subprocess.run(command, capture_output=True, text=True, check=False)
