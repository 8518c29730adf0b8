"""What rules/runs.smk and rules/tables.smk ask about one of their jobs."""

import shlex
from pathlib import Path
from typing import Any, NamedTuple

from workflow.lib.plan import spec
from workflow.lib.plan.dag import Dag, code, data_files


class RunRules(NamedTuple):
    """Answers to questions that Snakemake asks with the wildcards of a job."""

    dag: Dag

    @property
    def experiments(self) -> str:
        """The experiments that have jobs, as a regular expression: no file is of two rules."""
        return "|".join(sorted({job.spec["experiment"] for job in self.dag.jobs.values()}))

    def _job(self, wildcards: Any) -> spec.Job:
        """Return the job that makes a result file.

        Raises:
            ValueError: no experiment asks for such a file at this scale.
        """
        name = f"runs/{wildcards.experiment}/{wildcards.run}/{wildcards.block}.parquet"
        file = self.dag.path(name)
        if file not in self.dag.jobs:
            raise ValueError(f"no experiment makes {file}; see workflow/config")
        return self.dag.jobs[file]

    def spec(self, wildcards: Any) -> str:
        """Return the specification of a job as canonical JSON."""
        return spec.canonical(self._job(wildcards).spec)

    def code(self, wildcards: Any) -> str:
        """Return the hash of the code that a job's numbers come from."""
        return code(*spec.modules(self._job(wildcards).spec))

    def data(self, wildcards: Any) -> list[str]:
        """Return the data set of a job and its sidecar, if it has one."""
        return data_files(self._job(wildcards))

    def tuned(self, wildcards: Any) -> list[str]:
        """Return the file of chosen hyperparameters that a job waits for, if it does."""
        choice = self._job(wildcards).spec.get("tuned")
        return [self.dag.path(f"tuning/{choice['experiment']}.json")] if choice else []

    def trained(self, wildcards: Any) -> list[str]:
        """Return the file of trained optimizers that a job waits for, if it does."""
        origin = self._job(wildcards).spec.get("trained")
        return [self.dag.path(f"trained/{origin['experiment']}.json")] if origin else []

    def options(self, wildcards: Any, input: Any) -> str:
        """Return the options of workflow/scripts/run.py that only some jobs have."""
        del wildcards
        files = {"--tuned": input.tuned, "--trained": input.trained}
        return " ".join(f"{name} {shlex.quote(str(file))}" for name, file in files.items() if file)

    def experiment_runs(self, wildcards: Any) -> list[str]:
        """Return the result files of an experiment."""
        jobs = self.dag.jobs.values()
        return [str(job.parquet) for job in jobs if job.spec["experiment"] == wildcards.experiment]

    def experiment_sidecars(self, wildcards: Any) -> list[str]:
        """Return the sidecars of the result files of an experiment."""
        return [str(Path(file).with_suffix(".json")) for file in self.experiment_runs(wildcards)]
