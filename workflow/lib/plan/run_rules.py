"""What rules/runs.smk asks about jobs, and rules/tables.smk about the runs of an experiment."""

import math
import shlex
from pathlib import Path
from typing import Any, NamedTuple

from workflow.lib.plan import measured, spec
from workflow.lib.plan.dag import Dag, code, data_files

# What a process is given on a cluster: more than the published run took on its machine.
START_MINUTES = 5  # to start Snakemake twice, and jax, from a file system that nodes share
SLOWER = 3.0  # as a node may be
OWN_MB = 500  # of Snakemake, beside the process that it starts
MORE_MEMORY = 1.5  # than was measured


class Process(NamedTuple):
    """What one process needs to run jobs that wait for the same files.

    Attributes:
        dag: the files of a scale.
        jobs: one, or those of a batch.
    """

    dag: Dag
    jobs: tuple[spec.Job, ...]

    @property
    def results(self) -> list[str]:
        """The results and their sidecars."""
        return [str(path) for job in self.jobs for path in (job.parquet, job.sidecar)]

    @property
    def marks(self) -> list[str]:
        """The marks that Snakemake sets when the process has ended well."""
        return [str(job.mark) for job in self.jobs]

    @property
    def data(self) -> list[str]:
        """The data sets and their sidecars."""
        return sorted({file for job in self.jobs for file in data_files(job)})

    @property
    def waits(self) -> list[str]:
        """The file of trained optimizers that the jobs wait for, if they wait for one."""
        trained = self.jobs[0].spec.get("trained")
        return [self.dag.path(f"trained/{trained['experiment']}.json")] if trained else []

    @property
    def code(self) -> str:
        """The hash of the code that the jobs' numbers come from."""
        return code(*sorted({name for job in self.jobs for name in spec.modules(job.spec)}))

    @property
    def cards(self) -> int:
        """The cards that the process has: as many as the job with the most of them."""
        return max(self.dag.cards(job.spec) for job in self.jobs)

    @property
    def options(self) -> str:
        """The command line of workflow/scripts/run.py."""
        pairs = [f"--trained {shlex.quote(file)}" for file in self.waits]
        for job in self.jobs:
            settings = shlex.quote(spec.canonical(job.spec))
            pairs.append(f"--spec {settings} --output {shlex.quote(str(job.parquet))}")
        return " ".join(pairs)

    def runtime(self, wildcards: Any, attempt: int) -> int:
        """Return the minutes to ask a cluster for: twice as many at each further attempt."""
        seconds = sum(measured.expected(job.spec).seconds for job in self.jobs)
        minutes = math.ceil(START_MINUTES + SLOWER * seconds / 60)
        return min(minutes * 2 ** (attempt - 1), self.dag.limit_minutes)

    def mem_mb(self, wildcards: Any, attempt: int) -> int:
        """Return the memory to ask a cluster for: twice as much at each further attempt."""
        most = max(measured.expected(job.spec).memory_mb for job in self.jobs)
        return math.ceil(OWN_MB + MORE_MEMORY * most) * 2 ** (attempt - 1)


class RunRules(NamedTuple):
    """Answers to what Snakemake asks with the wildcards of a job, or of an experiment."""

    dag: Dag

    @property
    def experiments(self) -> str:
        """The experiments that have jobs, as a regular expression: no file is of two rules."""
        return "|".join(sorted({job.spec["experiment"] for job in self.dag.every_job.values()}))

    def process(self, wildcards: Any) -> Process:
        """Return what the process of a job needs.

        Raises:
            ValueError: no experiment asks for such a file at this scale.
        """
        name = f"runs/{wildcards.experiment}/{wildcards.run}/{wildcards.block}.parquet"
        file = self.dag.path(name)
        if file not in self.dag.every_job:
            raise ValueError(f"no experiment makes {file}; see workflow/config")
        return Process(self.dag, (self.dag.every_job[file],))

    def data(self, wildcards: Any) -> list[str]:
        """Return the data set of a job and its sidecar, if it has one."""
        return self.process(wildcards).data

    def waits(self, wildcards: Any) -> list[str]:
        """Return the files of other experiments that a job waits for."""
        return self.process(wildcards).waits

    def options(self, wildcards: Any) -> str:
        """Return the command line of a job."""
        return self.process(wildcards).options

    def cards(self, wildcards: Any) -> int:
        """Return the number of cards that a job has."""
        return self.process(wildcards).cards

    def code(self, wildcards: Any) -> str:
        """Return the hash of the code that a job's numbers come from."""
        return self.process(wildcards).code

    def runtime(self, wildcards: Any, attempt: int) -> int:
        """Return the minutes to ask a cluster for."""
        return self.process(wildcards).runtime(wildcards, attempt)

    def mem_mb(self, wildcards: Any, attempt: int) -> int:
        """Return the memory to ask a cluster for."""
        return self.process(wildcards).mem_mb(wildcards, attempt)

    def experiment_runs(self, wildcards: Any) -> list[str]:
        """Return the result files of an experiment."""
        jobs = self.dag.every_job.values()
        return [str(job.parquet) for job in jobs if job.spec["experiment"] == wildcards.experiment]

    def experiment_sidecars(self, wildcards: Any) -> list[str]:
        """Return the sidecars of the result files of an experiment."""
        return [str(Path(file).with_suffix(".json")) for file in self.experiment_runs(wildcards)]
