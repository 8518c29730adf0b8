"""What a run shows, with Snakemake's reports as they are made by the pinned version."""

import inspect
import json
import logging
import time
from types import SimpleNamespace

import pytest
from snakemake.logging import DefaultFormatter
from snakemake.scheduling.job_scheduler import JobScheduler
from snakemake_interface_logger_plugins.common import LogEvent

from workflow.lib.plan import screen, spec
from workflow.lib.plan.dag import Dag

MINUTE = 60.0


def run_job(number):
    """Return a job of Snakemake's and the artifact's own, which writes one result."""
    job = spec.jobs("laptop", ("quadratic_bias",))[number]
    return job, SimpleNamespace(output=[str(job.parquet), str(job.mark)])


@pytest.fixture
def shown(monkeypatch, capsys):
    """A screen of two runs, of 10 and 30 minutes, on two cores; and the handler that it took."""
    (first, one), (second, other) = run_job(0), run_job(1)
    keys = [
        (job.spec["experiment"], job.spec["run"], *job.spec["seeds"]) for job in (first, second)
    ]
    seconds = dict(zip(keys, (10 * MINUTE, 30 * MINUTE), strict=True))
    monkeypatch.setattr(screen, "published_seconds", lambda: seconds)
    figure = SimpleNamespace(output=["results/laptop/figures/fig01_variance.csv"])
    jobs = [one, other, figure]

    class Plan:
        needrun_jobs = staticmethod(lambda: iter(jobs))
        jobid = staticmethod(jobs.index)
        __len__ = lambda self: len(jobs)  # noqa: E731

    handler = logging.StreamHandler()
    handler.name = screen.HANDLER
    handler.setFormatter(DefaultFormatter())
    workflow = SimpleNamespace(
        dryrun=False,
        is_main_process=True,
        local_exec=True,
        cores=2,
        dag=Plan(),
        scheduler=SimpleNamespace(job_rate_limiter="100/1s"),
        logger_manager=SimpleNamespace(logger=SimpleNamespace(handlers=[handler])),
    )
    dag = Dag.from_config({"scale": "laptop", "experiments": "quadratic_bias", "seeds": 0})
    return screen.Screen(workflow, dag), handler


def told(handler, event, text=None, **fields):
    """Report something as Snakemake does; return the text on the screen, None if nothing."""
    record = logging.LogRecord("snakemake", logging.INFO, "", 0, text, None, None)
    record.__dict__.update(fields, event=event)
    return handler.format(record) if handler.filter(record) else None


def test_the_plan_says_how_many_steps_and_about_how_long(shown):
    _, handler = shown
    assert told(handler, LogEvent.RUN_INFO, "Job stats:") == (
        "Scale laptop: 3 steps, about 20 min on 2 cores"
    )


def test_on_a_cluster_the_plan_counts_its_jobs_and_the_limit_of_its_scheduler_stays(shown):
    """There are no cores then: asking Snakemake for them is an error."""
    made, handler = shown
    del made._workflow.cores
    vars(made._workflow).update(local_exec=False, nodes=100)
    assert told(handler, LogEvent.RUN_INFO, "Job stats:") == (
        "Scale laptop: 3 steps, about 20 min on 2 jobs of a cluster at a time"
    )
    made.started()
    assert made._workflow.scheduler.job_rate_limiter == "100/1s"


def test_a_job_is_one_line_with_the_time_that_is_left(shown, monkeypatch):
    """40 minutes of work; after 19 minutes 10 are done: a pace of (10 + 2)/(19 + 1)."""
    _, handler = shown
    began = time.time()
    told(handler, LogEvent.RUN_INFO, "Job stats:")
    start = {"rule_msg": "Run: a/b", "rule_name": "run", "jobid": 1}
    assert told(handler, LogEvent.JOB_INFO, **start).endswith("  0/3, 20 min left        Run: a/b")
    assert told(handler, LogEvent.JOB_FINISHED, "Finished", job_id=0) is None
    monkeypatch.setattr(time, "time", lambda: began + 19 * MINUTE)
    assert told(handler, LogEvent.JOB_INFO, **start).endswith("  1/3, 50 min left        Run: a/b")


@pytest.mark.parametrize("text", ["Select jobs to execute...", "Touching output file a.", "Using"])
def test_remarks_are_for_the_log_file(shown, text):
    assert told(shown[1], None, text) is None


def test_errors_are_shown_in_lines_of_200_characters(shown):
    text = told(shown[1], LogEvent.ERROR, "Error: " + 300 * "x" + "\nthe second line")
    first, second = text.splitlines()
    assert (len(first), first[-4:], second) == (200, " ...", "the second line")


def test_dry_runs_are_shown_by_snakemake(shown, capsys):
    made, handler = shown
    for other in ({"dryrun": True}, {"dryrun": False, "is_main_process": False}):
        vars(made._workflow).update(other)
        assert told(handler, LogEvent.RUN_INFO, "Job stats:") == "Job stats:"
        assert told(handler, LogEvent.PROGRESS, done=1, total=4) == "1 of 4 steps (25%) done"
        made.stopped()
    assert capsys.readouterr().err == ""


def test_the_last_word(shown, capsys, tmp_path, monkeypatch):
    made, _ = shown
    monkeypatch.chdir(tmp_path)
    made.finished()
    assert "Claims" not in capsys.readouterr().err, "this run has judged none"
    folder = tmp_path / "results/laptop"
    folder.mkdir(parents=True)
    claims = {name: {"verdict": "FAIL" if name == "a" else "PASS"} for name in "abc"}
    (folder / "claims-quadratic_bias.json").write_text(json.dumps({"claims": claims}))
    made.finished()
    said = capsys.readouterr().err
    assert "Finished in 0 s.\nClaims: 2 PASS, 1 FAIL" in said
    assert "results/laptop/claims-quadratic_bias.md" in said
    made.stopped()
    assert "give the same command again" in capsys.readouterr().err


def test_the_timer_of_the_pinned_scheduler_is_off(shown):
    """What is switched off is internal to Snakemake: another version may not have it."""
    made, _ = shown
    made.started()
    assert made._workflow.scheduler.job_rate_limiter is None
    assert "if self.job_rate_limiter is not None:" in inspect.getsource(JobScheduler.schedule)
    assert "if self.job_rate_limiter is None:" in inspect.getsource(JobScheduler)
