"""The copy task: its symbols, its network, its curriculum, and how it is trained."""

import importlib
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats

import estimators
import tasks
from tests.helpers import protocol_runs, toy_tasks
from workflow.lib import protocols
from workflow.lib.common import parquet
from workflow.lib.protocols import _training, meta_training

pytestmark = pytest.mark.usefixtures("quick_compile")
module = importlib.import_module("tasks.copy_task")  # the package shows its factory
KEY = jax.random.key(0)
SMALL = {"hidden": 3, "batch_size": 2, "max_length": 4}
# Untrained, the average is about 2 bits: below this threshold, so that T grows at every sequence.
EAGER = SMALL | {"threshold": 5.0, "first_average": 6.0, "next_average": 6.0, "decay": 0.0}


def sequence(task, key, length):
    """Return inputs and targets [2L + 2, batch], and the state before the first symbol."""
    state = task.init_state(key, None)._replace(length=jnp.int32(length))
    x, y = jax.vmap(module._symbols, (None, 0))(state, jnp.arange(2 * length + 2))
    return np.argmax(x, 1), np.argmax(y, 1), state


@pytest.mark.parametrize("length", [1, 3, 40])
def test_the_symbols_are_those_of_the_copy_task(length):
    x, y, _ = sequence(tasks.copy_task(**SMALL | {"max_length": 64}), KEY, length)
    bits, blanks = x[1 : length + 1], np.full((length + 1, 2), 3)
    assert set(np.unique(bits)) <= {0, 1}
    np.testing.assert_array_equal(x, np.concatenate([np.full((1, 2), 2), bits, blanks]))
    np.testing.assert_array_equal(y, np.concatenate([blanks, np.full((1, 2), 2), bits]))


def test_bits_differ_between_sequences_and_are_fair():
    task = tasks.copy_task(hidden=3, batch_size=500, max_length=40)
    x, _, _ = sequence(task, KEY, 40)
    bits = x[1:41]
    share = bits.mean()
    assert abs(share - 0.5) < 5 * 0.5 / math.sqrt(bits.size)
    assert len(np.unique(bits.T, axis=0)) == 500


def test_the_papers_network_has_42804_parameters():
    theta = tasks.copy_task().init_theta(KEY)
    assert sum(leaf.size for leaf in jax.tree.leaves(theta)) == 42_804


def test_losses_are_those_of_an_lstm_written_in_numpy():
    task = tasks.copy_task(**SMALL)
    theta = task.init_theta(KEY)
    weights = {name: np.asarray(leaf, np.float64) for name, leaf in theta["params"].items()}
    x, y, state = sequence(task, KEY, 3)

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    hidden = cell = np.zeros((2, 3))
    for t in range(8):
        inputs = np.concatenate([np.eye(4)[x[t]], hidden], axis=1)
        gates = inputs @ weights["kernel"].T + weights["input_bias"] + weights["hidden_bias"]
        i, f, g, o = np.split(gates, 4, axis=1)
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
        hidden = sigmoid(o) * np.tanh(cell)
        logits = hidden @ weights["decoder"].T + weights["decoder_bias"]
        expected = np.log(np.exp(logits).sum(1)) - logits[np.arange(2), y[t]]
        state, loss = task.step(KEY, theta, state, jnp.int32(t))
        np.testing.assert_allclose(loss, expected.mean(), rtol=1e-5)
        np.testing.assert_allclose(state.hidden.T, hidden, atol=1e-6)


def test_without_weights_a_character_costs_two_bits():
    task = tasks.copy_task(**SMALL)
    zero = jax.tree.map(jnp.zeros_like, task.init_theta(KEY))
    np.testing.assert_allclose(task.evaluate(KEY, zero)["meta_loss"], 2.0, rtol=1e-6)


def test_beyond_the_end_nothing_happens():
    task = tasks.copy_task(**SMALL)
    theta = task.init_theta(KEY)
    _, _, state = sequence(task, KEY, 2)
    before, loss = task.step(KEY, theta, state, jnp.int32(5))
    assert loss > 0
    after, loss = task.step(KEY, theta, before, jnp.int32(6))
    assert loss == 0
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), before, after))


def test_lengths_are_uniform_over_six_values_and_at_least_one():
    keys = jax.random.split(KEY, 6000)
    ten = np.asarray(jax.vmap(lambda key: module._length(key, jnp.int32(10)))(keys))
    assert set(ten) == {5, 6, 7, 8, 9, 10}
    assert stats.chisquare(np.bincount(ten)[5:]).pvalue > 1e-6
    two = np.asarray(jax.vmap(lambda key: module._length(key, jnp.int32(2)))(keys))
    assert set(two) == {1, 2}


def test_a_problem_has_the_length_that_its_horizon_says():
    task = tasks.copy_task(**SMALL).curriculum
    task = task.task(task.init()._replace(longest=jnp.int32(9)))
    for i in range(5):
        key = jax.random.fold_in(KEY, i)
        assert task.horizon(key) == 2 * task.init_state(key, None).length + 2


def test_the_curriculum_by_hand():
    curriculum = tasks.copy_task(**SMALL | {"max_length": 2}).curriculum
    bits = math.log(2.0)
    yes, no = jnp.array(True), jnp.array(False)
    progress = curriculum.update(curriculum.init(), 3 * 0.5 * bits, jnp.int32(3), no)
    np.testing.assert_allclose(progress.average, 0.999**3 + (1 - 0.999**3) * 0.5, rtol=1e-6)
    assert progress.tokens == 6
    low = progress._replace(average=jnp.float32(0.14))
    assert curriculum.update(low, 0.0, jnp.int32(1), no).longest == 1, "not in the middle"
    grown = curriculum.update(low, 0.0, jnp.int32(1), yes)
    assert (grown.longest, grown.finished) == (2, False)
    np.testing.assert_allclose(grown.average, 0.3)
    assert curriculum.metrics(grown)["longest_copied"] == 1
    beyond = curriculum.update(grown._replace(average=low.average), 0.0, jnp.int32(1), yes)
    assert (beyond.longest, beyond.finished) == (2, True)
    assert curriculum.metrics(beyond)["longest_copied"] == 2
    nan = curriculum.update(low, jnp.nan, jnp.int32(1), yes)
    assert nan.longest == 1, "a diverged run stays where it is"


@pytest.mark.parametrize("name", ["es_single", "tbptt"])
def test_unrolls_of_any_length_sum_to_the_whole_sequence(name):
    """At frozen θ, one unroll beyond the end has the sum of an unroll for each of the symbols."""
    task = tasks.copy_task(**SMALL)  # T = 1: four symbols
    theta = task.init_theta(KEY)

    def build_estimator(truncation):
        if name == "tbptt":
            return estimators.tbptt(task, truncation=truncation)
        return toy_tasks.es(name, task, truncation, chunk_size=2)

    (_, fine), _ = toy_tasks.trace(build_estimator(1), KEY, theta, 4)
    (_, coarse), _ = toy_tasks.trace(build_estimator(7), KEY, theta, 1)
    np.testing.assert_allclose(fine.loss.sum(), coarse.loss.sum(), rtol=1e-5)
    np.testing.assert_array_equal(fine.ended, [False, False, False, True])
    assert bool(coarse.ended[0])
    assert int(coarse.steps[0]) == 4
    assert int(coarse.inner_steps[0]) == int(fine.inner_steps.sum()), "of 7 steps 4 are one's own"
    if name == "es_single":
        fine = toy_tasks.gradients(build_estimator(1), KEY, theta, 4).sum(axis=0)
        coarse = toy_tasks.gradients(build_estimator(7), KEY, theta, 1)[0]
        np.testing.assert_allclose(fine, coarse, atol=1e-5)


def test_problems_of_their_own_length_go_with_lockstep_only():
    task = tasks.copy_task(**SMALL)
    with pytest.raises(ValueError, match=r"breakstep=True needs .* each has its own"):
        toy_tasks.es("pes", task, 1, breakstep=True)
    with pytest.raises(ValueError, match=r"full_es needs .* each has its own"):
        toy_tasks.es("full_es", task, None)


def specification(estimator, truncation, **task):
    """Return the task and the estimator of a run whose T grows at every sequence."""
    es = {"num_particles": 4, "sigma": 0.1, "chunk_size": 2} if estimator != "tbptt" else {}
    return {
        "task": {"name": "copy_task", "args": EAGER | task},
        "estimator": {"name": estimator, "args": es | {"truncation": truncation}},
    }


def train(checkpoint=None, *, estimator="es_single", truncation=1, **task):
    """Train for 40 steps on two seeds through the runner."""
    spec = specification(estimator, truncation, **task)
    return protocol_runs.run(
        meta_training,
        protocols.make_task(spec, None),
        protocols.estimator_factory(spec),
        range(2),
        checkpoint,
        outer_steps=40,
        log_every=10,
        optimizer="adam",
        learning_rate=1e-3,
    )


def metric(outcome, name):
    """Return a metric as [log points, seeds]."""
    rows = outcome.rows[outcome.rows["metric"] == name]
    return rows.pivot(index="outer_step", columns="seed", values="value").to_numpy()


@pytest.mark.parametrize(("estimator", "truncation"), [("es_single", 1), ("tbptt", 5)])
def test_growth_changes_the_next_sequence_and_not_the_one_that_ends(estimator, truncation):
    """When a sequence ends, T grows, and the next sequence begins at the next outer step."""
    spec = specification(estimator, truncation, max_length=40)
    task, factory = protocols.make_task(spec, None), protocols.estimator_factory(spec)
    optimizer = optax.sgd(1e-3)

    def step(carry, key):
        sample = factory(task).sample(key, carry.theta)
        carry, _, info = _training.outer_step(task, factory, optimizer, carry, sample)
        return carry, (info.ended, info.num_resets, carry.progress.longest)

    carry = _training.start(task, factory, optimizer, KEY)
    _, (ended, resets, longest) = jax.lax.scan(step, carry, jax.random.split(KEY, 60))
    assert ended.sum() > 5
    np.testing.assert_array_equal(resets[1:], ended[:-1])
    np.testing.assert_array_equal(longest, 1 + np.cumsum(ended))


@pytest.mark.parametrize(("estimator", "truncation"), [("es_single", 1), ("tbptt", 5)])
def test_beyond_the_longest_sequence_is_a_status_and_the_rows_stay(estimator, truncation):
    outcome = train(
        estimator=estimator,
        truncation=truncation,
    )
    assert set(outcome.status.values()) == {"reached_max_length"}
    copied = metric(outcome, "longest_copied")
    assert copied.shape == (5, 2)
    assert (np.diff(copied, axis=0) >= 0).all()
    np.testing.assert_array_equal(copied[-1], 4)
    if truncation == 1:
        np.testing.assert_array_equal(metric(outcome, "tokens")[:, 0], [0, 20, 40, 60, 80])


def test_below_the_longest_sequence_the_status_is_ok():
    outcome = train(max_length=40)
    assert set(outcome.status.values()) == {"ok"}
    assert (metric(outcome, "longest_copied")[-1] > 2).all()


class Killed(protocols.Checkpoint):
    """A checkpoint whose process dies right after the second save."""

    def save(self, position, tree, rows):
        super().save(position, tree, rows)
        if position == 20:
            raise KeyboardInterrupt


def test_the_curriculum_resumes_with_the_same_bits(tmp_path):
    whole = train(max_length=40)
    with pytest.raises(KeyboardInterrupt):
        train(Killed(tmp_path / "killed", {}, interval_s=0), max_length=40)
    resumed = train(protocols.Checkpoint(tmp_path / "killed", {}, interval_s=0), max_length=40)
    assert parquet.content_sha256(resumed.rows) == parquet.content_sha256(whole.rows)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"hidden": 0}, "hidden=0"),
        ({"decay": 1.0}, r"decay=1.0 must lie in \[0, 1\)"),
        ({"threshold": 0.4}, "threshold=0.4 must be positive, and below both"),
    ],
)
def test_wrong_hyperparameters_are_one_line(changes, text):
    with pytest.raises(ValueError, match=text):
        tasks.copy_task(**SMALL | changes)
