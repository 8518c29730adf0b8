"""What a job takes from other experiments: who waits for whom, and what goes where."""

import pytest

from workflow.lib.common import store
from workflow.lib.plan import resolve, spec
from workflow.lib.plan.dag import Dag

JOB = {
    "estimator": {"name": "pes", "args": {"num_particles": 4}},
    "protocol": {"name": "meta_training", "args": {"outer_steps": 6}},
    "seeds": [0, 1],
}
TUNED = JOB | {"tuned": {"experiment": "toy", "run": "pes"}}
TRAINED = JOB | {"trained": {"experiment": "toy", "run": "pes"}}


@pytest.fixture
def choices(tmp_path):
    store.write_json(tmp_path / "choices.json", {"pes": {"learning_rate": 0.25}})
    return tmp_path / "choices.json"


@pytest.mark.parametrize("job", [JOB, TRAINED])
def test_a_file_that_is_not_waited_for_is_refused(job, choices):
    with pytest.raises(ValueError, match="--tuned is for runs with `tuned`"):
        resolve.resolve(job, choices, None)


def test_a_file_that_is_waited_for_is_needed():
    for name, job in (("tuned", TUNED), ("trained", TRAINED)):
        with pytest.raises(ValueError, match=f"--{name} is for runs with `{name}`"):
            resolve.resolve(job, None, None)


def test_a_job_that_waits_for_nothing_stays_as_it_is():
    assert resolve.resolve(JOB, None, None) == (JOB, {})
    assert resolve.stand_in(JOB, num_weights=1) == JOB


def test_an_unknown_run_names_the_nearest(choices):
    other = TUNED | {"tuned": {"experiment": "toy", "run": "es"}}
    with pytest.raises(ValueError, match=r"unknown run in .* 'es'; the nearest is 'pes'"):
        resolve.resolve(other, choices, None)


def test_optimizers_that_are_not_trained_yet_have_weights_of_zero():
    assert resolve.stand_in(TRAINED, 3)["protocol"]["args"]["weights"] == [[0.0, 0.0, 0.0]]


def test_tuning_seeds_are_never_reported():
    for scale in spec.SCALES:
        jobs = spec.jobs(scale)
        waited_for = {job.spec["tuned"]["experiment"] for job in jobs if "tuned" in job.spec}
        assert waited_for == {"copy_task_tuning", "learned_optimizer_tuning", "lorenz_tuning"}
        for job in jobs:
            tunes = job.spec["experiment"] in waited_for
            assert tunes == (job.spec["protocol"]["name"] == "tuning")
            if tunes or "tuned" in job.spec:
                assert tunes == (job.spec["seeds"][0] >= 1000)


def test_the_knob_of_seeds_is_for_reported_seeds_only():
    (job, *_) = spec.jobs("smoke", ("copy_task_tuning",), seeds=7)
    assert job.spec["seeds"] == [1000, 1000]


def test_a_run_brings_the_tuning_that_it_waits_for():
    knobs = {"scale": "smoke", "experiments": "copy_task", "seeds": 0}
    dag = Dag.from_config(knobs)
    assert dag.experiments == ("copy_task",)
    assert {job.spec["experiment"] for job in dag.jobs.values()} == {
        "copy_task",
        "copy_task_tuning",
    }
    assert "copy_task_tuning" not in " ".join(dag.tables)


def test_every_tuned_run_finds_its_grid():
    for job in spec.jobs("laptop", ("copy_task",)):
        resolved = resolve.stand_in(job.spec, num_weights=1)
        assert resolved["protocol"]["args"]["learning_rate"] > 0
        known = resolved["estimator"]["args"]
        assert ("sigma" in known) == (job.spec["estimator"]["name"] != "tbptt")
    job = job.spec | {"tuned": {"experiment": "copy_task_tuning", "run": "pse"}}
    with pytest.raises(ValueError, match=r"unknown run of tuning experiment .* 'pse'"):
        resolve.stand_in(job, num_weights=1)
