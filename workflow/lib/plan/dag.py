"""What the Snakefile asks: which files there are, what they are made from, and by which code.

Nothing here imports jax: Snakemake reads its rules in a moment.
"""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from workflow.lib.common.paths import ROOT
from workflow.lib.common.provenance import import_closure
from workflow.lib.plan import catalogue, spec, tuned

PUBLISHED = "published"
FIGURE_FORMATS = ("pdf", "png", "csv")
QUICK = "smoke"
WARM = ("smoke", "laptop")
# Smoke runs end before fast code pays: with these XLA spends a third of the time on slower code.
QUICK_XLA = (
    "--xla_backend_optimization_level=0",
    "--xla_cpu_use_fusion_emitters=false",
    "--xla_cpu_parallel_codegen_split_count=1",
)


def code(*modules: str) -> list[str]:
    """Return the files of this repository that `modules` consist of and import."""
    return [str(path) for path in import_closure(modules, Path())]


def check_folder() -> None:
    """Exit with one line unless this is the artifact's folder, which all paths are relative to."""
    root = ROOT
    if Path.cwd() != root:
        go = f"cd {shlex.quote(str(root))}"
        sys.exit(f"snakemake: it runs in the artifact's folder: {go}, then the same command again")


class Dag(NamedTuple):
    """The files of one scale.

    Attributes:
        scale: smoke, laptop, paper, or published (no runs: tables are taken as they are).
        experiments: names of the experiments.
        jobs: {result file: job}.
        figures: every file of every figure whose experiments are all here.
        claims: the ledger; of a selection of experiments it is a file of its own.
        seeds: number of seeds in place of the experiments' own, or None.
    """

    scale: str
    experiments: tuple[str, ...]
    jobs: dict[str, spec.Job]
    figures: list[str]
    claims: str
    seeds: int | None

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Dag":
        """Check the knobs of `--config` and list what they ask for.

        Raises:
            SystemExit: a knob or an experiment is not valid; one line instead of a traceback.
        """
        try:
            return cls._from_config(config)
        except ValueError as error:
            sys.exit(f"snakemake: {error}")

    @classmethod
    def _from_config(cls, config: Mapping[str, Any]) -> "Dag":
        """Do the work of `from_config`; raise ValueError."""
        knobs = spec.read_knobs(config)
        folder = f"results/{knobs.scale}"
        names, jobs = knobs.experiments, {}
        if knobs.scale == PUBLISHED:
            found = Path(folder, "tables").glob("*_jobs.json")
            names = tuple(sorted(path.name.removesuffix("_jobs.json") for path in found))
            if not names:
                raise ValueError(f"{folder}/tables has no tables; copy those of a real run there")
        else:
            found = tuned.with_tuning(spec.jobs(knobs.scale, names, knobs.seeds), knobs.seeds)
            jobs = {str(job.parquet): job for job in found}
        figures = [
            f"{folder}/figures/{name}.{suffix}"
            for name, figure in catalogue.load("figures").items()
            if set(figure["experiments"]) <= set(names)
            for suffix in FIGURE_FORMATS
        ]
        whole = knobs.scale == PUBLISHED or names == spec.experiments()
        part = "" if whole else "-" + "+".join(names)
        ledger = f"{folder}/claims{part}.md"
        return cls(knobs.scale, names, jobs, figures, ledger, knobs.seeds)

    def path(self, name: str) -> str:
        """Return the path of a file of this scale."""
        return str(Path("results", self.scale, name))

    @property
    def warm(self) -> bool:
        """Whether modules start as forks of one process: where jobs are many and short."""
        return self.scale in WARM

    @property
    def python(self) -> str:
        """The beginning of a command that runs a module."""
        python = "python -m workflow.scripts.warm" if self.warm else "python -m"
        if self.scale != QUICK:
            return python
        return f"XLA_FLAGS={shlex.quote(' '.join(QUICK_XLA))} {python}"

    @property
    def everything(self) -> list[str]:
        """Every file: one that is lost is made again, though what was made from it is there."""
        data = {file for job in self.jobs.values() for file in _data_files(job)}
        return [*sorted(data), *self.runs, *self.tables, *self.figures, self.claims]

    @property
    def runs(self) -> list[str]:
        """Every result file and its sidecar."""
        return [str(path) for job in self.jobs.values() for path in (job.parquet, job.sidecar)]

    @property
    def tables(self) -> list[str]:
        """Every file of every table."""
        return [file for name in self.experiments for file in self._tables(name)]

    def _tables(self, name: str) -> list[str]:
        """Return the files of one experiment's table that figures and claims read."""
        parts = (f"{name}.parquet", f"{name}_seeds.parquet", f"{name}_jobs.json")
        return [self.path(f"tables/{part}") for part in parts]

    @property
    def ledger(self) -> list[str]:
        """Every file of the ledger."""
        stem = self.claims.removesuffix(".md")
        return [self.claims, f"{stem}.html", f"{stem}.json", f"{stem}_summary.csv"]

    @property
    def preflight(self) -> str:
        """Arguments of workflow/scripts/preflight.py."""
        names = " ".join(self.experiments)
        return f"--scale {self.scale} --experiments {names}"

    @property
    def verify(self) -> str:
        """Arguments of workflow/scripts/verify.py."""
        return self.preflight + (f" --seeds {self.seeds}" if self.seeds else "")

    @property
    def claim_tables(self) -> list[str]:
        """The tables that the claims rest on."""
        claims = catalogue.load("claims").values()
        rested_on = {name for claim in claims for name in catalogue.rests_on(claim)}
        chosen = [name for name in self.experiments if name in rested_on]
        return [file for name in chosen for file in self._tables(name)]

    @property
    def claim_lists(self) -> list[str]:
        """What the claims are, apart from code."""
        own = [str(path.relative_to(ROOT)) for path in catalogue.claim_files()]
        return [*own, "workflow/config/abstract.yaml", "workflow/config/comparisons.yaml"]

    def _job(self, wildcards: Any) -> spec.Job:
        """Return the job that makes a result file.

        Raises:
            ValueError: no experiment asks for such a file at this scale.
        """
        name = f"runs/{wildcards.experiment}/{wildcards.run}/{wildcards.block}.parquet"
        if self.path(name) not in self.jobs:
            raise ValueError(f"no experiment makes {self.path(name)}; see workflow/config")
        return self.jobs[self.path(name)]

    def job_spec(self, wildcards: Any) -> str:
        """Return the specification of a job as canonical JSON."""
        return spec.canonical(self._job(wildcards).spec)

    def job_code(self, wildcards: Any) -> list[str]:
        """Return the files whose code a job's numbers come from."""
        return code(*spec.modules(self._job(wildcards).spec))

    def job_data(self, wildcards: Any) -> list[str]:
        """Return the data set of a job and its sidecar, if it has one."""
        return _data_files(self._job(wildcards))

    def job_tuned(self, wildcards: Any) -> list[str]:
        """Return the file of chosen hyperparameters that a job waits for, if it does."""
        choice = self._job(wildcards).spec.get("tuned")
        return [self.path(f"tuning/{choice['experiment']}.json")] if choice else []

    def job_trained(self, wildcards: Any) -> list[str]:
        """Return the file of trained optimizers that a job waits for, if it does."""
        origin = self._job(wildcards).spec.get("trained")
        return [self.path(f"trained/{origin['experiment']}.json")] if origin else []

    def job_options(self, wildcards: Any, input: Any) -> str:
        """Return the options of workflow/scripts/run.py that only some jobs have."""
        del wildcards
        files = {"--tuned": input.tuned, "--trained": input.trained}
        return " ".join(f"{name} {shlex.quote(str(file))}" for name, file in files.items() if file)

    def experiment_runs(self, wildcards: Any) -> list[str]:
        """Return the result files of an experiment."""
        chosen = [
            job for job in self.jobs.values() if job.spec["experiment"] == wildcards.experiment
        ]
        return [str(job.parquet) for job in chosen]

    def experiment_sidecars(self, wildcards: Any) -> list[str]:
        """Return the sidecars of the result files of an experiment."""
        return [str(Path(file).with_suffix(".json")) for file in self.experiment_runs(wildcards)]

    def figure_tables(self, wildcards: Any) -> list[str]:
        """Return the tables that a figure is drawn from."""
        entry = catalogue.load("figures")[wildcards.figure]
        return [file for name in entry["experiments"] for file in self._tables(name)[:2]]

    def figure_code(self, wildcards: Any) -> list[str]:
        """Return the code and the style that a figure is drawn with."""
        style = ["workflow/config/estimators.yaml"]
        return style + code(f"figures.{wildcards.figure}", "workflow.scripts.draw")

    def figure_caption(self, wildcards: Any, input: Any) -> str:
        """Return the caption of a figure: the report asks for one file, which shows this text."""
        del wildcards
        return Path(input.caption).read_text(encoding="utf-8")

    def tables_folder(self, wildcards: Any) -> str:
        """Return the folder of the tables."""
        del wildcards
        return self.path("tables")

    def figures_folder(self, wildcards: Any) -> str:
        """Return the folder of the figures."""
        del wildcards
        return self.path("figures")

    def figure_category(self, wildcards: Any) -> str:
        """Return the heading under which the report shows a figure."""
        return catalogue.load("figures")[wildcards.figure]["category"]

    def figure_labels(self, wildcards: Any) -> dict[str, str]:
        """Return how the report names a figure: one label (of two, it would make a switch)."""
        number = catalogue.load("figures")[wildcards.figure]["paper_figure"]
        caption = Path(f"workflow/report/{wildcards.figure}.rst").read_text(encoding="utf-8")
        title = " ".join(caption.split("**")[1].split())
        return {"figure": f"{'ours' if number == 'none' else number.zfill(2)}: {title}"}


def _data_files(job: spec.Job) -> list[str]:
    """Return the data set of a job and its sidecar, if it has one."""
    name = job.spec["data"]
    return [f"data/{name}.npz", f"data/{name}.json"] if name else []
