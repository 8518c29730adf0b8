"""Random search: uniform candidates, the lowest loss wins, every inner step is charged."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import estimators
import tasks
from tasks.base import Task
from tests.helpers import protocol_runs
from workflow.lib.protocols import random_search

SEEDS = range(3)
BOX = {"x": [-1.0, 3.0]}


def bowl(horizon=5):
    """Return a task whose summed loss is T (|x| - 1)², NaN where the first entry is below 0."""

    def step(key, theta, state, t):
        loss = (jnp.linalg.norm(theta["x"]) - 1.0) ** 2
        return state, jnp.where(theta["x"][0] < 0, jnp.nan, loss)

    return Task(
        init_theta=lambda key: {"x": jnp.full(2, 2.5)},
        init_state=lambda key, theta: jnp.zeros(()),
        step=step,
        horizon=horizon,
        evaluate=lambda key, theta: {"meta_loss": step(key, theta, 0.0, 0)[1], "x": theta["x"][0]},
    )


def run(task, **options):
    options = {"candidates": 400, "log_every": 100, "box": BOX} | options
    return protocol_runs.run(random_search, task, None, SEEDS, **options)


def values(outcome, metric):
    return outcome.rows[outcome.rows["metric"] == metric].pivot(
        index="outer_step", columns="seed", values="value"
    )


def test_it_finds_the_optimum_and_pays_for_all_steps():
    """The best of 400 uniform candidates in a box of 4x4 lies within 0.1 of the ring |x| = 1.

    The loss is not NaN on about π/2 of its length. The chance of a seed to miss that part is
    (1 - 0.02)^400 < 1e-3.
    """
    outcome = run(bowl())
    losses = values(outcome, "meta_loss")
    assert list(losses.index) == [100, 200, 300, 400]
    assert (losses.diff().iloc[1:] <= 0).all().all()
    assert (losses.iloc[-1] < 0.01).all()
    assert (values(outcome, "best_meta_loss") == losses).all().all()
    compute = outcome.rows.groupby("outer_step")["inner_steps"].first()
    assert compute.tolist() == [500, 1000, 1500, 2000]
    assert outcome.status == dict.fromkeys(SEEDS, "ok")


def test_seeds_differ_and_nan_never_wins():
    outcome = run(bowl())
    ends = values(outcome, "x").iloc[-1]
    assert ends.nunique() == len(SEEDS)
    assert (ends >= 0).all()


def test_candidates_are_uniform_in_the_box():
    """With a loss that falls in both entries of x, the search finds the box's upper corner.

    In the box, of area 16, no candidate has a sum above 5.5 with probability
    (1 - 0.5²/2/16)^4000 = 3e-14.
    """
    task = bowl()._replace(step=lambda key, theta, state, t: (state, -theta["x"].sum()))
    start = random_search.Incumbent({"x": jnp.zeros(2)}, jnp.array(jnp.inf))
    key, first = jax.random.key(0), jnp.int32(0)
    found = random_search.search(task, BOX, 4000, start, key, first)
    assert (found.theta["x"] <= 3.0).all()
    assert found.theta["x"].sum() > 5.5


def test_blocks_do_not_change_the_search():
    ends = [values(run(bowl(), log_every=n), "x").iloc[-1] for n in (50, 400)]
    np.testing.assert_array_equal(*ends)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"candidates": 0}, "log_every=100 must divide candidates=0"),
        ({"log_every": 300}, "log_every=300 must divide candidates=400"),
        ({"box": {}}, r"box lacks x: give \[lowest, highest\]"),
        ({"box": {"y": [0.0, 1.0]}}, "unknown entry of box 'y'"),
        ({"box": {"x": [1.0, 0.0]}}, r"box x=\[1.0, 0.0\] must be \[lowest, highest\]"),
        ({"box": {"x": [0.0, float("nan")]}}, r"box x=\[0.0, nan\]"),
    ],
)
def test_unfit_hyperparameters_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        run(bowl(), **options)


def test_a_task_without_end_and_an_estimator_are_refused():
    with pytest.raises(ValueError, match="random_search needs a task with a horizon"):
        run(tasks.influence_balancing())
    factory = functools.partial(estimators.full_es, num_particles=2, sigma=0.1)
    options = {"candidates": 1, "log_every": 1, "box": BOX}
    with pytest.raises(ValueError, match="random_search has no estimator"):
        protocol_runs.run(random_search, bowl(), factory, **options)
