"""Unbiasedness by z-test on a quadratic problem, where antithetic ES is exactly unbiased.

Error budget, fixed before any run: there are 20,000 repetitions of 5 coordinates, and about 60
values of |z| in this file. Each is above 5 by chance with probability 6e-7, one of them with 4e-5.
Power: with N = 4 a coordinate of one repetition has a standard deviation of about |g| (Prop. 3.2),
and its mean one of |g|/140. The bias of truncated ES is a good part of |g|, so |z| must be far
above 5 there.
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
    """Once all first problems have ended, T/K steps in a row sum to ∇L in expectation.

    The expectation of what a pair adds in a step depends only on which unroll j of its problem that
    is, because every problem draws a new ε; call it G_j. In lockstep the T/K steps of one problem
    show that Σ_j G_j = ∇L. In breakstep T/K steps in a row of a pair belong to two problems, but
    pass each j once, so they sum to ∇L too, and so does the mean over pairs.
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
