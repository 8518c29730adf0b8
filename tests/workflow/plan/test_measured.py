"""Time and memory of jobs: those of the published run, and what is made of them elsewhere."""

import json

import pytest

from workflow.lib.common.paths import ROOT
from workflow.lib.plan import measured, spec
from workflow.lib.plan.dag import Dag
from workflow.lib.plan.run_rules import Process

SCALES = ("laptop", "paper")
JOB = {
    "experiment": "learned_optimizer",
    "run": "pes",
    "scale": "laptop",
    "seeds": [0, 3],
    "task": {"name": "learned_optimizer", "args": {"horizon": 100, "hidden": [32], "pool": 4}},
    "estimator": {"name": "pes", "args": {"num_particles": 16, "truncation": 2}},
    "protocol": {"name": "meta_training", "args": {"outer_steps": 300}},
}


def specification(scale, experiment, run):
    """Return that of the first block of seeds."""
    jobs = spec.jobs(scale, (experiment,))
    return next(job.spec for job in jobs if job.spec["run"] == run)


def changed(part, **args):
    return {**JOB, part: {**JOB[part], "args": JOB[part]["args"] | args}}


@pytest.mark.parametrize(
    ("job", "ratio"),
    [
        ({**JOB, "seeds": [4, 5]}, 1 / 2),
        (changed("protocol", outer_steps=900), 3),
        (changed("estimator", num_particles=64), 4),
        (changed("estimator", truncation=10), 5),
        (changed("task", horizon=1000), 1),  # an update is K steps, however long the problem
        (changed("task", hidden=[64, 96]), 5),
        (changed("task", pool=1), 16),
        (changed("task", batch_size=3), 3),
        (changed("task", channels=2), 4),
        (changed("protocol", candidates=7), 7),
        (changed("protocol", grid={"a": [0, 1, 5], "b": [0, 1, 4]}), 20),
    ],
)
def test_work_grows_as_it_should(job, ratio):
    assert measured.work(job) == pytest.approx(ratio * measured.work(JOB))


def test_whole_inner_problems_take_t_steps_and_a_tuning_grid_lists_its_values():
    whole = {**JOB, "protocol": {"name": "gradient_variance", "args": {}}}
    assert measured.work(whole) == 4 * 16 * 100 * 32 / 16
    tuning = {"name": "tuning", "args": {"outer_steps": 300, "grid": {"sigma": [0.1, 0.01, 1]}}}
    assert measured.work({**JOB, "protocol": tuning}) == 3 * measured.work(JOB)


def test_a_published_job_takes_what_it_took():
    path = ROOT / "results/published/tables/quadratic_bias_jobs.json"
    (known,) = [job for job in json.loads(path.read_text()) if job["run"] == "pes"]
    cost = measured.expected(
        specification("laptop", "quadratic_bias", "pes") | {"seeds": known["seeds"]}
    )
    assert cost.memory_mb == known["peak_memory_mb"]
    assert cost.seconds == max(measured.LEAST_S, known["timings"]["wall_s"])


def test_other_jobs_take_more_in_proportion(monkeypatch):
    laptop, paper = (specification(scale, "learned_optimizer", "pes") for scale in SCALES)
    published = {("learned_optimizer", "pes", 0, 3): measured.Cost(50.0, 600.0)}
    monkeypatch.setattr(measured, "published", lambda: published)
    measured._of_run.cache_clear()
    try:
        assert measured.expected(laptop | {"seeds": [4, 7]}) == (50.0, 600.0)
        assert measured.expected(laptop | {"seeds": [0, 7]}) == (100.0, 600.0)
        ratio = measured.work(paper) / measured.work(laptop)
        assert ratio > 100
        expected = (pytest.approx(50.0 * ratio), 600.0 * measured.PAPER_MEMORY)
        assert measured.expected(paper) == expected
        other = specification("laptop", "learned_optimizer", "truncated_es")
        assert measured.expected(other) == measured.UNKNOWN
    finally:
        measured._of_run.cache_clear()


def test_a_process_asks_for_twice_as_much_at_each_attempt_and_for_no_more_than_the_limit():
    dag = Dag.from_config({"scale": "laptop", "experiments": "quadratic_bias", "seeds": 0})
    process = Process(dag, tuple(dag.jobs.values()))
    costs = [measured.expected(job.spec) for job in process.jobs]
    minutes, memory = process.runtime(None, 1), process.mem_mb(None, 1)
    assert minutes * 60 > 3 * sum(cost.seconds for cost in costs)
    assert memory > 1.5 * max(cost.memory_mb for cost in costs)
    dag = dag._replace(limit_minutes=3 * minutes)
    process = process._replace(dag=dag)
    assert [process.runtime(None, n) for n in (1, 2, 3)] == [minutes, 2 * minutes, 3 * minutes]
    assert process.mem_mb(None, 3) == 4 * memory


@pytest.mark.parametrize("scale", spec.SCALES)
def test_every_job_has_a_time_and_a_memory(scale):
    for job in spec.jobs(scale):
        seconds, memory_mb = measured.expected(job.spec)
        assert 0 < seconds < float("inf")
        assert 100 < memory_mb < 16_000
