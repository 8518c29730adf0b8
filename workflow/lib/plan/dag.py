"""The files of one scale: what the Snakefile's targets are made of.

What a rule asks about one of its jobs is answered by `run_rules`, `figure_rules` and `claim_rules`.
Nothing here imports jax: Snakemake reads its rules in a moment.
"""

import functools
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from workflow.lib.common import cards, provenance
from workflow.lib.common.paths import ROOT
from workflow.lib.plan import catalogue, knobs, resolve, spec
from workflow.lib.plan.devices import check_use, of_job

PUBLISHED = "published"
FIGURE_FORMATS = ("pdf", "png", "csv")
# Figures start from matplotlib's defaults, and Python finds modules in the folder that it works in.
VARIABLES = {"MATPLOTLIBRC": os.devnull, "MPLBACKEND": "agg", "PYTHONSAFEPATH": ""}
DAY = 24 * 60  # minutes
MAX_NAME = 120  # characters that the names of experiments may take in a file's name
CLUSTER_KNOBS = ("batch_minutes", "limit_minutes")
QUICK = "smoke"
# Smoke runs end before fast code pays: with these XLA spends a third of the time on slower code.
QUICK_XLA = (
    "--xla_backend_optimization_level=0",
    "--xla_cpu_use_fusion_emitters=false",
    "--xla_cpu_parallel_codegen_split_count=1",
)


@functools.cache
def code(*modules: str) -> str:
    """Return one hash of all code of this repository that `modules` consist of and import.

    As a parameter of a rule it repeats the rule's jobs when code that they run has changed. It is
    computed once in a process: Snakemake asks for it at every job.
    """
    return spec.sha256(provenance.code_hashes(modules, ROOT))


def begin() -> None:
    """Give all jobs the variables that they rely on, whatever the user's own ones say.

    Raises:
        SystemExit: this is not the artifact's folder, which all paths are relative to; one line.
    """
    os.environ.update(VARIABLES)
    if Path.cwd() != ROOT:
        go = f"cd {shlex.quote(str(ROOT))}"
        sys.exit(f"snakemake: it runs in the artifact's folder: {go}, then the same command again")


class Dag(NamedTuple):
    """The files of one scale.

    Attributes:
        scale: smoke, laptop, paper, or published (no runs: tables are taken as they are).
        experiments: names of the experiments whose tables are made.
        jobs: {result file: job}, those of experiments that train for others included.
        seeds: number of seeds in place of the experiments' own, or None.
        batch_minutes: short jobs share processes of about this length; 0: only those of a sweep.
        limit_minutes: the longest time that a cluster is asked for.
        devices: that the particles of a job are spread over.
        gpu: whether jobs that a card helps have cards; the others are on the CPU all the same.
        tuning: {result file: job} of the tunings for these experiments, which are their own target.
    """

    scale: str
    experiments: tuple[str, ...]
    jobs: dict[str, spec.Job]
    seeds: int | None
    batch_minutes: int = 0
    limit_minutes: int = DAY
    devices: int = 1
    gpu: bool = False
    tuning: Mapping[str, spec.Job] = MappingProxyType({})

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Dag":
        """Check the knobs of `--config` and list what they ask for.

        Raises:
            SystemExit: a knob or an experiment is not valid; one line instead of a traceback.
        """
        try:
            asked = knobs.read(config)
            if asked.scale == PUBLISHED:
                return cls(PUBLISHED, _published(), {}, asked.seeds)
            jobs = spec.jobs(asked.scale, asked.experiments, asked.seeds)
            jobs = resolve.with_prerequisites(jobs, asked.seeds)
            check_use((job.spec for job in jobs), asked.devices)
            names = spec.tunings(asked.experiments)
            tuning = spec.jobs(asked.scale, names) if names else []
        except ValueError as error:
            sys.exit(f"snakemake: {error}")
        named, tuning = ({str(job.parquet): job for job in own} for own in (jobs, tuning))
        cluster = {name: config[name] for name in CLUSTER_KNOBS if name in config}
        gpu = asked.device == "gpu" or (asked.device == "auto" and bool(cards.usable()))
        more = {"devices": asked.devices, "gpu": gpu, "tuning": tuning}
        return cls(asked.scale, asked.experiments, named, asked.seeds, **cluster, **more)

    def path(self, name: str) -> str:
        """Return the path of a file of this scale."""
        return str(Path("results", self.scale, name))

    @property
    def everything(self) -> list[str]:
        """Every file that a rule makes: a lost one is made again, whatever was made from it."""
        data = {file for job in self.jobs.values() for file in data_files(job)}
        made = [*self.runs, *self.waited_for, *self.tables, *self.figures, *self.ledger, self.front]
        return [*sorted(data), *made]

    @property
    def runs(self) -> list[str]:
        """Every result file, its sidecar, and the mark that Snakemake sets behind them."""
        return [file for job in self.jobs.values() for file in _files(job)]

    @property
    def every_job(self) -> dict[str, spec.Job]:
        """The jobs of the experiments and those of their tunings."""
        return {**self.jobs, **self.tuning}

    @property
    def waited_for(self) -> list[str]:
        """Every file that the jobs of another experiment wait for, and what is beside tables."""
        jobs = self.jobs.values()
        training = sorted(
            {job.spec["trained"]["experiment"] for job in jobs if "trained" in job.spec}
        )
        ends = ("json", "done")
        files = [self.path(f"trained/{name}.{end}") for name in training for end in ends]
        summarised = self.experiments if self.jobs else ()
        return files + [self.path(f"tables/{name}.csv") for name in summarised]

    @property
    def tuning_files(self) -> list[str]:
        """Every file of every tuning: runs, tables, and the grids with what was chosen."""
        made = [file for job in self.tuning.values() for file in _files(job)]
        for name in sorted({job.spec["experiment"] for job in self.tuning.values()}):
            made += [*self.table_files(name), self.path(f"tables/{name}_grid.csv")]
        return made

    @property
    def tables(self) -> list[str]:
        """Every file of every table."""
        return [file for name in self.experiments for file in self.table_files(name)]

    def table_files(self, name: str) -> list[str]:
        """Return the files of one experiment's table: summary, rows of every seed, jobs."""
        parts = (f"{name}.parquet", f"{name}_seeds.parquet", f"{name}_jobs.json")
        return [self.path(f"tables/{part}") for part in parts]

    @property
    def figures(self) -> list[str]:
        """Every file of every figure whose experiments are all here."""
        return [
            self.path(f"figures/{name}.{suffix}")
            for name, figure in catalogue.load("figures").items()
            if set(figure["experiments"]) <= set(self.experiments)
            for suffix in FIGURE_FORMATS
        ]

    @property
    def claims(self) -> str:
        """The page of the ledger; of a selection of experiments it is a file of its own."""
        whole = self.scale == PUBLISHED or self.experiments == spec.experiments()
        names = "+".join(self.experiments)
        if len(names) > MAX_NAME:
            short = spec.sha256({"experiments": self.experiments})[:8]
            names = f"{len(self.experiments)}-experiments-{short}"
        return self.path("claims.md" if whole else f"claims-{names}.md")

    @property
    def ledger(self) -> list[str]:
        """Every file of the ledger."""
        stem = self.claims.removesuffix(".md")
        return [self.claims, f"{stem}.html", f"{stem}.json", f"{stem}_summary.csv"]

    @property
    def front(self) -> str:
        """The first screen of the report."""
        return self.path("front.html")

    @property
    def python(self) -> str:
        """The beginning of a command that runs a module; the user's XLA_FLAGS are not for it."""
        flags = " ".join(QUICK_XLA if self.scale == QUICK else ())
        return f"XLA_FLAGS={shlex.quote(flags)} python -m"

    @property
    def _chosen(self) -> str:
        """The scale and the experiments, as arguments of a script."""
        return f"--scale {self.scale} --experiments {' '.join(self.experiments)}"

    @property
    def preflight(self) -> str:
        """Arguments of workflow/scripts/preflight.py."""
        most = max((self.cards(job.spec) for job in self.jobs.values()), default=0)
        return f"{self._chosen} --devices {self.cpu_devices} --cards {most}"

    def cards(self, job: Mapping[str, Any]) -> int:
        """Return how many cards a job has, from its specification; 0 for the CPU."""
        if not (self.gpu and spec.accelerated(job["experiment"])):
            return 0
        return of_job(job, self.devices)

    @property
    def cpu_devices(self) -> int:
        """The devices of a job without cards: one where `devices` counts the cards of others."""
        names = {job.spec["experiment"] for job in self.jobs.values()}
        return 1 if self.gpu and any(map(spec.accelerated, names)) else self.devices

    @property
    def verify(self) -> str:
        """Arguments of workflow/scripts/verify.py."""
        return self._chosen + (f" --seeds {self.seeds}" if self.seeds else "")


def _files(job: spec.Job) -> list[str]:
    """Return the result of a job, its sidecar, and the mark that Snakemake sets behind them."""
    return [str(path) for path in (job.parquet, job.sidecar, job.mark)]


def data_files(job: spec.Job) -> list[str]:
    """Return the data set of a job and its sidecar, if it has one."""
    name = job.spec["data"]
    return [f"data/{name}.npz", f"data/{name}.json"] if name else []


def _published() -> tuple[str, ...]:
    """Return the experiments whose tables are published, of those that there still are.

    Raises:
        ValueError: there are none.
    """
    folder = Path("results", PUBLISHED, "tables")
    tables = sorted(path.name.removesuffix("_jobs.json") for path in folder.glob("*_jobs.json"))
    names = [name for name in tables if name in spec.experiments()]
    if not names:
        raise ValueError(f"{folder} has no tables; copy those of a real run there")
    return tuple(names)
