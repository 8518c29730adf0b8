"""The training protocol: blocks of seeds, chunks, resumption, divergence, what is counted."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from jax.experimental.compilation_cache import compilation_cache
from jax.flatten_util import ravel_pytree

import estimators
import tasks
from estimators.base import Info, all_finite, make_estimator
from tasks.base import Task
from tests.helpers import protocol_runs
from workflow.lib.common import parquet
from workflow.lib.protocols import Checkpoint, _compute, meta_training

BALANCING = tasks.influence_balancing(evaluation_length=50)
QUADRATIC = tasks.quadratic(num_parameters=3, num_units=2, horizon=4)
PROTOCOL = {"outer_steps": 12, "log_every": 4, "optimizer": "sgd", "learning_rate": 1e-3}


@pytest.fixture(scope="module", autouse=True)
def compiled(tmp_path_factory):
    """Keep compiled programs, as jobs do: most tests run one program more than once."""
    names = ("compilation_cache_dir", "persistent_cache_min_compile_time_secs")
    before = {f"jax_{name}": getattr(jax.config, f"jax_{name}") for name in names}
    wanted = (str(tmp_path_factory.mktemp("compiled")), 0.0)
    for name, value in zip(before, wanted, strict=True):
        jax.config.update(name, value)
    compilation_cache.reset_cache()
    yield
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


def es(name, **options):
    """Return the factory of an ES estimator, its hyperparameters filled in."""
    options = {"num_particles": 6, "sigma": 0.1, "truncation": 2} | options
    return functools.partial(getattr(estimators, name), **options)


def train(task=BALANCING, factory=None, seeds=range(2), checkpoint=None, **options):
    factory, options = factory or es("pes"), PROTOCOL | options
    return protocol_runs.run(meta_training, task, factory, seeds, checkpoint, **options)


def values(outcome, metric):
    """Return a metric as [log points, seeds]."""
    rows = outcome.rows[outcome.rows["metric"] == metric]
    return rows.pivot(index="outer_step", columns="seed", values="value").to_numpy()


@pytest.mark.parametrize("name", ["truncated_es", "pes", "es_single"])
def test_seeds_give_the_same_bits_in_one_job_or_in_several(name):
    factory = es(name)
    together = train(factory=factory, seeds=range(3, 6)).rows
    apart = [train(factory=factory, seeds=range(s, s + 1)).rows for s in (3, 4, 5)]
    order = ["outer_step", "metric", "seed"]
    apart = pd.concat(apart).sort_values(order, ignore_index=True)
    together = together.sort_values(order, ignore_index=True)
    assert parquet.content_sha256(together) == parquet.content_sha256(apart)


@pytest.mark.parametrize("name", ["pes", "es_single"])
def test_the_path_of_theta_does_not_depend_on_the_chunks(name):
    fine = values(train(factory=es(name), log_every=1), "theta")
    coarse = values(train(factory=es(name), log_every=6), "theta")
    assert len(np.unique(fine)) > 20, "θ moves, and differs between seeds"
    np.testing.assert_allclose(fine[::6], coarse, rtol=1e-6)


@pytest.mark.parametrize("name", ["truncated_es", "pes"])
def test_noise_sampled_in_blocks_is_that_of_single_steps(monkeypatch, float64, name):
    task = tasks.quadratic(num_parameters=3, num_units=2, horizon=4)
    blocks = train(task, es(name)).rows
    monkeypatch.setattr(_compute, "SAMPLE_BYTES", 1)
    single = train(task, es(name)).rows
    pd.testing.assert_frame_equal(blocks, single, rtol=1e-9)


@pytest.mark.parametrize("name", ["pes", "es_single"])
def test_mapping_seeds_one_by_one_or_together_agrees(monkeypatch, name):
    one_by_one = train(QUADRATIC, es(name)).rows
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    together = train(QUADRATIC, es(name)).rows
    pd.testing.assert_frame_equal(one_by_one, together, rtol=1e-5)


def test_estimators_share_theta_0_and_the_evaluation_problem():
    """The task draws both θ_0 and the optimum at random: equal values mean equal draws."""
    task = Task(
        init_theta=lambda key: jax.random.normal(key, (3,)),
        init_state=lambda key, theta: jnp.zeros(()),
        step=lambda key, theta, state, t: (state, jnp.sum(theta**2)),
        horizon=4,
        evaluate=lambda key, theta: {
            "meta_loss": jnp.sum((theta - jax.random.normal(key, (3,))) ** 2),
            "theta_norm": jnp.sum(theta**2),
        },
    )
    first, second = (train(task, es(name)) for name in ("pes", "es_single"))
    for metric in ("meta_loss", "theta_norm"):
        start, other = values(first, metric)[0], values(second, metric)[0]
        np.testing.assert_array_equal(start, other)
        assert start[0] != start[1], "seeds differ"


@pytest.mark.parametrize(
    ("name", "options", "per_step"),
    [
        ("pes", {}, 6 * 2),
        ("es_single", {}, 6 * 2),
        ("es_single", {"truncation": 1}, 6),
        ("truncated_es", {}, (6 + 1) * 2),
    ],
)
def test_inner_steps_are_counted_exactly(name, options, per_step):
    rows = train(factory=es(name, **options)).rows
    assert (rows["inner_steps"] == per_step * rows["outer_step"]).all()
    assert set(rows["outer_step"]) == {0, 4, 8, 12}


def constant(*gradient, lost=0):
    """Return the factory of an estimator whose gradient is this; it leaves out `lost` pairs."""

    def update(sample, theta, state):
        one, no = jnp.ones((), jnp.int32), jnp.array(False)
        estimate = jnp.array(gradient)
        info = Info(jnp.zeros(()), one, one, all_finite(estimate), one, no, lost * one)
        return estimate, state, info

    def make(task):
        return make_estimator(lambda key, theta: jnp.zeros(()), update, truncation=1)

    return make


FROM_ZERO = QUADRATIC._replace(
    init_theta=lambda key: jnp.zeros(3),
    evaluate=lambda key, theta: {"meta_loss": theta[1], "others": theta[0] + theta[2]},
)


def test_entries_that_are_not_finite_are_zero_and_counted():
    """θ has 3 entries: the gradient is NaN in one, infinite in another, 1 in the third."""
    broken = constant(jnp.nan, 1.0, jnp.inf)
    outcome = train(FROM_ZERO, broken, learning_rate=0.5)
    np.testing.assert_array_equal(values(outcome, "nonfinite_gradients")[:, 0], [0, 4, 8, 12])
    np.testing.assert_array_equal(values(outcome, "others"), 0)
    np.testing.assert_array_equal(values(outcome, "meta_loss")[:, 0], [0, -2, -4, -6])
    np.testing.assert_array_equal(values(outcome, "gradient_norm")[1:], 1)


def test_pairs_that_were_left_out_are_in_the_table():
    """4 updates between evaluations, each without 3 pairs; an update counts once."""
    outcome = train(FROM_ZERO, constant(0.0, 1.0, 0.0, lost=3), learning_rate=0.5)
    np.testing.assert_array_equal(values(outcome, "nonfinite_pairs")[:, 0], [0, 12, 24, 36])
    np.testing.assert_array_equal(values(outcome, "nonfinite_gradients")[:, 0], [0, 4, 8, 12])


def test_the_learning_rate_falls_as_a_cosine():
    """With a gradient of 1, θ is minus the sum of the learning rates so far."""
    outcome = train(FROM_ZERO, constant(0.0, 1.0, 0.0), learning_rate=0.5, cosine_decay=True)
    rates = 0.25 * (1 + np.cos(np.pi * np.arange(12) / 12))
    expected = -np.cumsum(rates)[[3, 7, 11]]
    np.testing.assert_allclose(values(outcome, "meta_loss")[1:, 0], expected, rtol=1e-6)


def test_a_learned_optimizer_has_no_rate_to_decay():
    weights = [[0.0] * 1762]
    options = {"outer_steps": 12, "log_every": 4, "optimizer": "learned", "weights": weights}
    with pytest.raises(ValueError, match="cosine_decay=True: optimizer=learned has no"):
        protocol_runs.run(meta_training, QUADRATIC, es("pes"), cosine_decay=True, **options)


def test_divergence_is_a_status_and_every_row_stays():
    wild = train(factory=es("pes"), learning_rate=1e30)
    assert set(wild.status.values()) == {"diverged"}
    assert not np.isfinite(values(wild, "meta_loss")[-1]).any()
    tame = train()
    assert tame.status == {0: "ok", 1: "ok"}
    assert len(wild.rows) == len(tame.rows)
    last = values(tame, "meta_loss")[-1]
    limited = train(diverged_above=float(last.mean()))
    assert list(limited.status.values()) == [
        "diverged" if loss > last.mean() else "ok" for loss in last
    ]


def test_a_problem_without_end_whose_state_is_lost_has_diverged():
    """θ stands still at a finite meta-loss: only the NaN in every gradient shows what happened."""
    endless = FROM_ZERO._replace(horizon=None)
    for task, gradient, status in (
        (endless, (jnp.nan, 0.0, 0.0), "diverged"),
        (endless, (0.0, 1.0, 0.0), "ok"),
        (FROM_ZERO, (jnp.nan, 0.0, 0.0), "ok"),
    ):
        assert train(task, constant(*gradient)).status == {0: status, 1: status}


def test_products_are_those_of_full_float32(monkeypatch):
    seen = {}
    monkeypatch.setattr(jax.config, "update", seen.__setitem__)
    _compute.configure()
    assert seen["jax_default_matmul_precision"] == "highest"


def test_one_seed_alone_does_not_compute_both_branches(monkeypatch):
    """Under vmap a conditional becomes a selection, on every device."""
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")

    def branch(x):
        return jax.lax.cond(x > 0, jnp.sin, jnp.cos, x)

    def conditionals(count):
        return str(jax.make_jaxpr(_compute.over_seeds(branch))(jnp.ones(count))).count("cond[")

    assert (conditionals(1), conditionals(2)) == (1, 0)


def test_timings_are_apart():
    timings = train().timings
    assert set(timings) == {"compile_s", "run_s", "evaluate_s"}
    assert all(0 < seconds < math.inf for seconds in timings.values())


class Killed(Checkpoint):
    """A checkpoint whose process dies right after the second save."""

    def save(self, position, tree, rows):
        super().save(position, tree, rows)
        if position == 8:
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("name", "optimizer"), [("truncated_es", "sgd"), ("pes", "adam"), ("es_single", "adam")]
)
def test_a_resumed_job_gives_the_same_bits(tmp_path, name, optimizer):
    factory = es(name, breakstep=name == "pes")
    path = tmp_path / "checkpoint"
    options = {"optimizer": optimizer, "cosine_decay": optimizer == "adam"}
    whole = train(QUADRATIC, factory, **options)
    with pytest.raises(KeyboardInterrupt):
        killed = Killed(path, {"a": [1]}, interval_s=0)
        train(QUADRATIC, factory, checkpoint=killed, **options)
    again = Checkpoint(path, {"a": [1]}, interval_s=0)
    resumed = train(QUADRATIC, factory, checkpoint=again, **options)
    assert again.restarts == 1
    assert parquet.content_sha256(resumed.rows) == parquet.content_sha256(whole.rows)
    assert resumed.status == whole.status


def test_a_checkpoint_is_saved_only_when_its_time_has_come(tmp_path):
    rows = [{"outer_step": np.zeros(1)}]
    seldom = Checkpoint(tmp_path / "seldom", {}, interval_s=3600)
    seldom.save(1, (), rows)
    assert not seldom.path.exists()
    always = Checkpoint(tmp_path / "always", {}, interval_s=0)
    always.save(1, (), rows)
    assert always.path.exists()
    always.remove()
    assert not always.path.exists()


def test_one_step_is_the_estimators_step_with_the_optimizers_update():
    """θ_1 = θ_0 - α g, computed again outside the protocol from the documented streams."""
    factory = es("es_single")
    task = QUADRATIC._replace(
        evaluate=lambda key, theta: {"meta_loss": theta[0], "one": theta[1], "two": theta[2]}
    )
    outcome = train(task, factory, seeds=range(5, 6), outer_steps=1, log_every=1)
    key = jax.random.key(5)
    theta = task.init_theta(tasks.base.stream(key, "theta"))
    estimator = factory(task)
    state = estimator.init(tasks.base.stream(key, "estimator"), theta)
    step_key = jax.random.fold_in(tasks.base.stream(key, "steps"), 0)
    gradient, _, _ = estimator.step(step_key, theta, state)
    expected = ravel_pytree(theta - 1e-3 * gradient)[0]
    found = [values(outcome, name)[-1, 0] for name in ("meta_loss", "one", "two")]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
