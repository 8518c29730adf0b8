"""The optimizers that move θ: clipping, momentum, learned ones with a row of weights per seed."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import estimators
import tasks
from tasks._lolv2 import NUM_WEIGHTS, initial_weights
from tasks.learned_optimizer import as_optax
from tests.helpers import protocol_runs, toy_tasks
from workflow.lib.common import parquet
from workflow.lib.protocols import meta_training
from workflow.lib.protocols._optimizers import Optimization

pytestmark = pytest.mark.usefixtures("quick_compile")
QUADRATIC = tasks.quadratic(num_parameters=3, num_units=2, horizon=4)
LEARNED = {"optimizer": "learned", "learning_rate": None}
ZEROS = [[0.0] * NUM_WEIGHTS]


def run(task, factory, **options):
    return protocol_runs.run(meta_training, task, factory, outer_steps=4, log_every=2, **options)


def optimizer_of(**options):
    return Optimization(outer_steps=4, **options).make_optimizer()


def test_the_last_theta_is_kept_entry_by_entry():
    factory = functools.partial(estimators.es_single, num_particles=4, sigma=0.1, truncation=2)
    task = QUADRATIC._replace(
        evaluate=lambda key, theta: {"meta_loss": theta[0], "one": theta[1], "two": theta[2]}
    )
    options = {"optimizer": "sgd", "learning_rate": 1e-3}
    rows = run(task, factory, keep_theta=True, **options).rows
    kept = rows[rows["metric"] == parquet.FINAL_THETA]
    last = rows[(rows["outer_step"] == 4) & rows["metric"].isin(["meta_loss", "one", "two"])]
    names = {"meta_loss": 0, "one": 1, "two": 2}
    expected = last.assign(cell=last["metric"].map(names))
    for frame in (kept, expected):
        assert len(frame) == 6
    columns = ["seed", "cell"]
    merged = kept.merge(expected, on=columns)
    np.testing.assert_allclose(merged["value_x"], merged["value_y"], rtol=1e-6)
    assert parquet.FINAL_THETA not in set(run(task, factory, **options).rows["metric"])


def test_a_gradient_is_clipped_to_a_norm():
    optimizer = optimizer_of(optimizer="sgd", learning_rate=1.0, clip_norm=2.0)
    for gradient, norm in ((jnp.array([3.0, 4.0]), 2.0), (jnp.array([0.3, 0.4]), 0.5)):
        update, _ = optimizer.update(gradient, optimizer.init(gradient))
        np.testing.assert_allclose(update, -gradient * norm / jnp.linalg.norm(gradient), rtol=1e-6)


def test_momentum_adds_up():
    optimizer, gradient = optimizer_of(optimizer="momentum", learning_rate=0.1, b1=0.5), jnp.ones(1)
    first, state = optimizer.update(gradient, optimizer.init(gradient))
    second, _ = optimizer.update(gradient, state)
    np.testing.assert_allclose(jnp.concatenate([first, second]), [-0.1, -0.15], rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"optimizer": "adm"}, "unknown optimizer 'adm'; the nearest is 'adam'"),
        ({"learning_rate": None}, "optimizer=adam: the learned one takes weights"),
        (LEARNED, "optimizer=learned: the learned one takes weights"),
        ({"weights": [[0.0]]}, "optimizer=adam: the learned one takes weights"),
        (LEARNED | {"weights": [[0.0] * 3]}, r"weights of shape \(3,\) do not fit"),
        (LEARNED | {"weights": ZEROS, "clip_norm": 1.0}, "takes no clip_norm"),
        (LEARNED | {"weights": ZEROS, "cosine_decay": True}, "no learning rate to decay"),
        ({"learning_rate": 0.0}, "learning_rate=0.0 must be positive"),
        ({"b1": 1.0}, r"b1=1.0 must lie in \[0, 1\)"),
        ({"clip_norm": 0.0}, "clip_norm=0.0 must be positive"),
        ({"outer_steps": 0}, "outer_steps=0 must be at least 1"),
    ],
)
def test_wrong_optimizers_are_one_line(options, text):
    usual = {"outer_steps": 4, "optimizer": "adam", "learning_rate": 0.1}
    with pytest.raises(ValueError, match=text):
        Optimization(**usual | options).check_optimizer()


def test_every_seed_trains_with_the_weights_of_its_own():
    """After four steps θ is what a loop over `as_optax`, written here, gives."""
    task = tasks.image_classifier(toy_tasks.small_data(side=4), hidden=[5], batch_size=8)
    factory = functools.partial(estimators.tbptt, truncation=1)
    estimator = factory(task)
    weights = [30 * initial_weights(jax.random.key(i)) for i in range(2)]
    rows = run(
        task, factory, optimizer="learned", weights=[w.tolist() for w in weights], keep_theta=True
    ).rows
    kept = rows[rows["metric"] == parquet.FINAL_THETA]
    for seed, own in enumerate(weights):
        key, optimizer = jax.random.key(seed), as_optax(own)
        theta = task.init_theta(tasks.base.stream(key, "theta"))
        state, inner = estimator.init(key, theta), optimizer.init(theta)
        for i in range(4):
            step_key = jax.random.fold_in(tasks.base.stream(key, "steps"), i)
            gradient, state, _ = estimator.step(step_key, theta, state)
            updates, inner = optimizer.update(gradient, inner, theta)
            theta = optax.apply_updates(theta, updates)
        expected = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(theta)])
        found = kept[kept["seed"] == seed].sort_values("cell")["value"]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
