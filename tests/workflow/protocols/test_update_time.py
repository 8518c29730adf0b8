"""The protocol that times updates: a ratio in every turn, which is no content of a result."""

import functools

import pytest

import estimators
from tests.helpers import protocol_runs, toy_tasks
from workflow.lib.common import parquet
from workflow.lib.plan import spec
from workflow.lib.protocols import update_time

pytestmark = pytest.mark.usefixtures("quick_compile")
OPTIONS = {"against": "pes", "outer_steps": 3}


@pytest.fixture(scope="module")
def built():
    es = {"num_particles": 4, "sigma": 0.1, "truncation": 2}
    return toy_tasks.noisy(4), functools.partial(estimators.es_single, **es)


def test_every_seed_is_a_turn_with_a_ratio(built):
    rows = protocol_runs.run(update_time, *built, range(100, 104), **OPTIONS).rows
    ratios = rows[rows["metric"] == "seconds_ratio"]
    assert len(rows) == len(ratios) == 4
    assert (ratios["value"] > 0).all()
    assert set(rows["inner_steps"]) == {2 * 3 * 4 * 2}


def test_measured_times_are_no_content(built):
    rows = protocol_runs.run(update_time, *built, range(100, 102), **OPTIONS).rows
    other = rows.assign(value=rows["value"] + 1)
    assert parquet.content_sha256(rows) == parquet.content_sha256(other)
    counted = rows.assign(metric="loss")
    assert parquet.content_sha256(counted) != parquet.content_sha256(other.assign(metric="loss"))


def test_its_code_is_that_of_both_estimators():
    (job, *_) = [
        job.spec
        for job in spec.jobs("smoke", ("estimator_footprint",))
        if job.spec["protocol"]["name"] == "update_time"
    ]
    assert {"estimators.es_single", "estimators.pes"} <= set(spec.modules(job))


def test_the_other_estimator_takes_the_same_hyperparameters(built):
    task, factory = built
    every = functools.partial(estimators.es_gen, **factory.keywords, resample_every=2)
    with pytest.raises(ValueError, match="of estimator pes 'resample_every'"):
        protocol_runs.run(update_time, task, every, **OPTIONS)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"against": "pse"}, "unknown estimator to compare with 'pse'; the nearest is 'pes'"),
        ({"outer_steps": 0}, "outer_steps=0 must be at least 1"),
    ],
)
def test_what_cannot_be_is_one_line(built, changes, text):
    with pytest.raises(ValueError, match=text):
        protocol_runs.run(update_time, *built, **OPTIONS | changes)
