"""What a job takes from another experiment: who waits for whom, and what goes where."""

import pytest

from workflow.lib.common import store
from workflow.lib.plan import resolve
from workflow.lib.plan.dag import Dag

JOB = {
    "estimator": {"name": "pes", "args": {"num_particles": 4}},
    "protocol": {"name": "meta_training", "args": {"outer_steps": 6}},
    "seeds": [100, 101],
}
TRAINED = JOB | {"trained": {"experiment": "toy", "run": "pes"}}


@pytest.fixture
def trained(tmp_path):
    weights = {"100": [1.0, 2.0], "101": [3.0, 4.0]}
    store.write_json(tmp_path / "trained.json", {"runs": {"pes": {"weights": weights}}})
    return tmp_path / "trained.json"


def test_a_file_that_is_not_waited_for_is_refused(trained):
    with pytest.raises(ValueError, match="--trained is for runs with `trained`"):
        resolve.resolve(JOB, trained)


def test_a_file_that_is_waited_for_is_needed():
    with pytest.raises(ValueError, match="--trained is for runs with `trained`"):
        resolve.resolve(TRAINED, None)


def test_a_job_that_waits_for_nothing_stays_as_it_is():
    assert resolve.resolve(JOB, None) == (JOB, {})
    assert resolve.stand_in(JOB, num_weights=1) == JOB


def test_every_seed_has_its_own_weights(trained):
    resolved = resolve.resolve(TRAINED, trained)
    assert resolved.spec["protocol"]["args"]["weights"] == [[1.0, 2.0], [3.0, 4.0]]


def test_an_unknown_run_names_the_nearest(trained):
    other = TRAINED | {"trained": {"experiment": "toy", "run": "es"}}
    with pytest.raises(ValueError, match=r"unknown run in .* 'es'; the nearest is 'pes'"):
        resolve.resolve(other, trained)


def test_optimizers_that_are_not_trained_yet_have_weights_of_zero():
    assert resolve.stand_in(TRAINED, 3)["protocol"]["args"]["weights"] == [[0.0, 0.0, 0.0]]


def test_a_run_brings_the_training_that_it_waits_for():
    name = "learned_optimizer_transfer"
    dag = Dag.from_config({"scale": "smoke", "experiments": name, "seeds": 0})
    assert dag.experiments == (name,)
    assert {job.spec["experiment"] for job in dag.jobs.values()} == {name, "learned_optimizer"}
    assert "learned_optimizer.parquet" not in " ".join(dag.tables)
