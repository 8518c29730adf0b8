"""What a run shows: a plan, a short line for each job that starts, and a last word.

Snakemake's own reports name every input and output of a job, thousands of characters of them. They
go to its log file; the screen gets the lines from here. With a logger plugin nothing is changed.
"""

import json
import logging
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workflow.lib.plan.dag import Dag
from workflow.lib.plan.measured import published_seconds

WIDEST = 200  # characters of a line
HANDLER = "DefaultStreamHandler"
# What only the log file gets: kinds of reports, and how remarks begin.
REPORTS = {"workflow_started", "job_started", "job_finished", "progress", "resources_info"}
REMARKS = ("Using", "Conda", "Select jobs", "Execute ", "Touching", "Complete log", "Elapsed time")
TICK = 1.0  # second by which the clock of files may be behind that of processes
SETTLING = 60.0  # seconds after which a run's own pace counts as much as that of the published one


class Screen:
    """What one run shows; a dry run, and a process on a cluster's node, show what Snakemake does.

    Args:
        workflow: Snakemake's.
        dag: the files of the scale.
    """

    def __init__(self, workflow: Any, dag: Dag) -> None:
        self._workflow, self._dag = workflow, dag
        self._began = time.time()
        self._seconds: dict[int, float] = {}
        self._finished: set[int] = set()
        for handler in workflow.logger_manager.logger.handlers:
            if handler.name == HANDLER:
                handler.addFilter(self._follow)
                handler.setFormatter(_Lines(handler.formatter, self))

    @property
    def quiet(self) -> bool:
        """Whether Snakemake's own reports are shown; it knows only after it has read its rules."""
        return self._workflow.dryrun or not self._workflow.is_main_process

    @property
    def places(self) -> int:
        """How many processes that run experiments there are at a time, at most."""
        workflow = self._workflow
        return workflow.cores if workflow.local_exec else min(workflow.nodes, len(self._seconds))

    def started(self) -> None:
        """Let Snakemake look for jobs when one has ended, and not many times a second.

        It limits the jobs that start in a second. For that, each job sets off a chain of timers,
        and each timer another look at all jobs. No option switches this off. The scheduler of a
        cluster is not to be flooded: there the limit stays.
        """
        if self._workflow.local_exec and hasattr(self._workflow.scheduler, "job_rate_limiter"):
            self._workflow.scheduler.job_rate_limiter = None

    def finished(self) -> None:
        """Show the verdicts of this run, how long it took, and where to look."""
        lines = [f"Finished in {_duration(time.time() - self._began)}."]
        ledger = Path(self._dag.ledger[2])
        if ledger.exists() and ledger.stat().st_mtime > self._began - TICK:
            claims = json.loads(ledger.read_text(encoding="utf-8"))["claims"].values()
            counts = Counter(claim["verdict"] for claim in claims)
            verdicts = ", ".join(f"{number} {verdict}" for verdict, number in counts.most_common())
            lines.append(f"Claims: {verdicts}; each with its estimate: {self._dag.claims}")
        lines.append(f"Figures: {self._dag.path('figures')}  Tables: {self._dag.path('tables')}")
        self._show(*lines)

    def stopped(self) -> None:
        """Show how to go on after Ctrl-C or an error."""
        self._show(
            f"Stopped after {_duration(time.time() - self._began)}. What is finished stays.",
            "To go on, give the same command again: jobs resume from their checkpoints.",
        )

    def plan(self) -> str:
        """Return the line that says what is to be done."""
        jobs = list(self._workflow.dag.needrun_jobs())
        parts = [f"{len(jobs)} steps"]
        if self._seconds:
            time_left = _duration(sum(self._seconds.values()) / self.places)
            where = "cores" if self._workflow.local_exec else "jobs of a cluster at a time"
            parts.append(f"about {time_left} on {self.places} {where}")
        return f"Scale {self._dag.scale}: " + ", ".join(parts)

    def now(self) -> str:
        """Return how many steps are done, and the time that is left where it can be known."""
        done = f"{len(self._finished)}/{len(self._workflow.dag)}"
        if not self._seconds:
            return done
        behind = sum(x for job, x in self._seconds.items() if job in self._finished)
        ahead = sum(self._seconds.values()) - behind
        passed = time.time() - self._began
        pace = (behind + SETTLING * self.places) / (passed + SETTLING)
        return f"{done}, {_duration(ahead / pace)} left"

    def _follow(self, record: logging.LogRecord) -> bool:
        """Take note of what Snakemake reports; return whether the screen shows it."""
        if self.quiet:
            return True
        event = getattr(record, "event", None)
        if event == "run_info":
            self._seconds = dict(self._expected())
        if event == "job_finished":
            self._finished.add(record.job_id)
        return event not in REPORTS and not (event is None and str(record.msg).startswith(REMARKS))

    def _expected(self) -> Iterator[tuple[int, float]]:
        """Yield the number of each process that runs experiments, and its seconds if published."""
        known = published_seconds() if self._dag.scale == "laptop" else {}
        if not known:
            return
        typical = sum(known.values()) / len(known)
        known_jobs = self._dag.every_job
        for job in self._workflow.dag.needrun_jobs():
            runs = [known_jobs[file].spec for file in job.output if file in known_jobs]
            if runs:
                keys = [(run["experiment"], run["run"], *run["seeds"]) for run in runs]
                yield self._workflow.dag.jobid(job), sum(known.get(key, typical) for key in keys)

    def _show(self, *lines: str) -> None:
        """Print lines behind those of Snakemake."""
        if not self.quiet:
            print("", *lines, sep="\n", file=sys.stderr)


class _Lines(logging.Formatter):
    """Reports as short lines: those of plan and jobs from `Screen`, all others from Snakemake."""

    def __init__(self, inner: logging.Formatter, screen: Screen) -> None:
        super().__init__()
        self._inner, self._screen = inner, screen

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a report, in lines of at most `WIDEST` characters."""
        if self._screen.quiet:
            return self._inner.format(record)
        event = getattr(record, "event", None)
        if event == "run_info":
            text = self._screen.plan()
        elif event == "job_info":
            name = record.rule_msg or record.rule_name
            text = f"{time.strftime('%H:%M:%S')}  {self._screen.now():<22}  {name}"
        else:
            text = self._inner.format(record) or ""
        return "\n".join(map(_short, text.splitlines()))


def _duration(seconds: float) -> str:
    """Return a time as a person says it: in seconds, minutes or hours."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def _short(line: str) -> str:
    """Return a line without what is too long for a screen."""
    return line if len(line) <= WIDEST else f"{line[: WIDEST - 4]} ..."
