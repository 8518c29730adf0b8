"""Unbiasedness by z-test on a quadratic problem, where antithetic ES is exactly unbiased.

Error budget, fixed before any run: 20,000 repetitions, 5 coordinates; about 60 statistics |z| in
this file, each above 5 by chance with probability 6e-7 (4e-5 in all). Power: a coordinate of one
repetition has a standard deviation of about |g| with N = 4 (Prop. 3.2), hence |g|/140 for the
mean; truncation errs by a good part of |g|, so truncated ES must be beyond |z| = 5 by far.
"""

import jax
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import estimators
import tasks
from tests.helpers import toy_tasks
from tests.helpers.z_test import HORIZON, REPETITIONS, is_unbiased

TRUNCATION = 2
UNROLLS = HORIZON // TRUNCATION


def sums_over_a_problem(task, name, breakstep=False, skip=0):
    """Return repetitions of the summed estimates over T/K unrolls, and the exact gradient."""
    theta = task.init_theta(jax.random.key(0))
    estimator = toy_tasks.es(name, task, TRUNCATION, breakstep=breakstep)
    unrolls = 1 if name == "full_es" else UNROLLS

    def one(key):
        return toy_tasks.gradients(estimator, key, theta, skip + unrolls)[skip:].sum(axis=0)

    exact = np.asarray(ravel_pytree(task.exact_gradient(theta))[0])
    return toy_tasks.repeat(one, REPETITIONS), exact


@pytest.mark.usefixtures("float64", "quick_compile")
@pytest.mark.parametrize(
    ("name", "shape"),
    [*((name, "vector") for name in toy_tasks.FIVE), ("es_single", "tree"), ("pes", "tree")],
)
def test_all_but_truncated_es_are_unbiased(name, shape):
    task = tasks.quadratic(horizon=HORIZON)
    task = toy_tasks.as_tree(task) if shape == "tree" else task
    assert is_unbiased(*sums_over_a_problem(task, name)) == (name != "truncated_es")


@pytest.mark.usefixtures("float64", "quick_compile")
@pytest.mark.parametrize("name", toy_tasks.FIVE)
def test_breakstep_is_unbiased_in_its_steady_state(name):
    """T/K steps in a row, after the first problems have ended, sum to ∇L in expectation.

    Step u of a pair is unroll j = (u - e) mod T/K of one of its problems, e being when its first
    problem ended (e <= T/K). What it adds has an expectation G_j that depends on j alone, because
    every problem draws ε afresh, and Σ_j G_j = ∇L (lockstep). Over T/K steps in a row every
    pair passes each j once, though in two different problems; so the expected sum is ∇L, and the
    mean over the pairs too.
    """
    task = tasks.quadratic(horizon=HORIZON)
    skip = 1 if name == "full_es" else UNROLLS
    samples, exact = sums_over_a_problem(task, name, breakstep=True, skip=skip)
    assert is_unbiased(samples, exact) == (name != "truncated_es")


@pytest.mark.usefixtures("float64", "quick_compile")
def test_truncated_es_estimates_what_tbptt_computes():
    """On a quadratic, antithetic differences are directional derivatives of the same K steps."""
    task = tasks.quadratic(horizon=HORIZON)
    theta = task.init_theta(jax.random.key(0))
    for truncation in (1, 2):
        biased = estimators.tbptt(task, truncation=truncation)
        es = toy_tasks.es("truncated_es", task, truncation)
        steps = HORIZON // truncation
        truth = toy_tasks.gradients(biased, jax.random.key(0), theta, steps)
        samples = toy_tasks.repeat(
            lambda key, es=es, steps=steps: toy_tasks.gradients(es, key, theta, steps),
            REPETITIONS,
        )
        assert is_unbiased(samples, np.asarray(truth))
