"""A hyperparameter out of its range is refused; the message has the value, the limit, the fix."""

import time

import pytest

import estimators
import tasks
from estimators.base import check_truncation
from tests.helpers import toy_tasks
from tests.helpers.refusals import refused
from workflow.lib.plan import hyperparameters


@pytest.mark.parametrize("name", toy_tasks.FIVE)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_particles": 5}, ["num_particles=5", "even and at least 2", "try 6"]),
        ({"num_particles": 0}, ["num_particles=0", "at least 2", "try 2"]),
        ({"sigma": 0.0}, ["sigma=0.0", "positive"]),
        ({"sigma": -1.0}, ["sigma=-1.0", "positive"]),
        ({"sigma": float("nan")}, ["sigma=nan", "positive"]),
        ({"sigma": float("inf")}, ["sigma=inf", "finite"]),
        ({"chunk_size": 0}, ["chunk_size=0", "between 1", "num_particles=4"]),
        ({"chunk_size": 5}, ["chunk_size=5", "num_particles=4"]),
        ({"standardize": 1}, ["standardize=1", "True or False"]),
    ],
)
def test_es_options_out_of_range(name, options, message):
    refused(message, toy_tasks.es, name, toy_tasks.noisy(6), 2, **options)


@pytest.mark.parametrize("name", ["truncated_es", "pes", "es_single", "es_gen"])
def test_es_truncations(name):
    task, endless = toy_tasks.noisy(12), toy_tasks.noisy(None)
    refused(["horizon=12", "truncation=5", "is 4"], toy_tasks.es, name, task, 5)
    refused(["horizon=12", "truncation=24", "is 12"], toy_tasks.es, name, task, 24)
    refused(["truncation=0", "at least 1"], toy_tasks.es, name, task, 0)
    refused(["breakstep=True", "horizon"], toy_tasks.es, name, endless, 1, breakstep=True)


@pytest.mark.parametrize("name", ["tbptt", "rtrl", "dodge"])
def test_truncations_of_gradient_methods(name):
    task = toy_tasks.noisy(12)
    refused(["horizon=12", "truncation=5", "is 4"], toy_tasks.build, name, task, 5)
    refused(["truncation=-1", "at least 1"], toy_tasks.build, name, task, -1)


def test_full_es_needs_an_end():
    refused(
        ["full_es needs a task with a horizon"],
        toy_tasks.es,
        "full_es",
        tasks.Task(*toy_tasks.noisy(None)),
        None,
    )


def test_es_gen_redraws_at_least_every_unroll():
    refused(
        ["resample_every=0", "at least 1"],
        toy_tasks.es,
        "es_gen",
        toy_tasks.noisy(6),
        2,
        resample_every=0,
    )


@pytest.mark.parametrize("name", ["truncated_es", "pes", "es_single", "es_gen"])
def test_a_misspelled_option_is_not_ignored(name):
    with pytest.raises(TypeError, match="chunks"):
        toy_tasks.es(name, toy_tasks.noisy(6), 2, chunks=1)


def test_tasks_out_of_range():
    refused(["num_positive=24", "num_units=23"], tasks.influence_balancing, num_positive=24)
    refused(["horizon=0", "at least 1"], tasks.quadratic, horizon=0)


GOOD = {"num_particles": 4, "sigma": 0.1, "truncation": 1}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (GOOD | {"sigm": 0.1}, ["unknown hyperparameter", "sigm", "'sigma'"]),
        (GOOD | {"num_particle": 4}, ["'num_particles'"]),
        (GOOD | {"sigma": "0.1"}, ["estimator es_single", "sigma='0.1'", "float"]),
        (GOOD | {"num_particles": True}, ["num_particles=True", "int"]),
        (GOOD | {"num_particles": 4.0}, ["num_particles=4.0", "int"]),
        (GOOD | {"breakstep": 1}, ["breakstep=1", "bool"]),
        (GOOD | {"chunk_size": "all"}, ["chunk_size='all'", "int | None"]),
        ({"num_particles": 4, "truncation": 1}, ["missing hyperparameter sigma"]),
    ],
)
def test_hyperparameters_from_a_file(values, message):
    check = hyperparameters.check
    refused(message, check, "estimator", "es_single", estimators.es_single, values)


def test_hyperparameters_that_fit():
    """An int passes for a float, and a hyperparameter that may be None may be null in the file."""
    values = GOOD | {"sigma": 1, "chunk_size": None, "breakstep": True}
    hyperparameters.check("estimator", "es_single", estimators.es_single, values)


@pytest.mark.parametrize("horizon", [10**8, 2**31 - 2])
def test_the_nearest_truncation_of_a_very_long_problem_is_found_soon(horizon):
    """Trying every number up to T takes minutes."""
    began = time.process_time()
    nearest = {10**8: 10_000, 2**31 - 2: 9_966}[horizon]
    refused([f"is {nearest}"], check_truncation, tasks.quadratic(horizon=horizon), 9_999)
    assert time.process_time() - began < 1
