"""The device check: what it compares, how it shrinks a measurement, and what it says."""

import jax
import numpy as np
import pytest

from workflow.lib.plan import spec
from workflow.lib.protocols._rehearsal import rehearse
from workflow.lib.speed import device, paper_scale
from workflow.scripts import device_check

ROW = {
    "experiment": "toy_regression",
    "agrees": True,
    "error": 1e-7,
    "measured": {"num_particles": 4, "truncation": 2},
    "steps_per_s": 1e6,
    "memory_bytes": 2**20,
}


@pytest.mark.parametrize(
    ("sizes", "particle_steps", "expected"),
    [
        ((1000, 25), 1e9, (1000, 25)),  # all of it fits
        ((1000, 25), 2500, (100, 25)),  # fewer particles, an even number
        ((1000, 25), 2599, (102, 25)),
        ((10, 20), 20, (2, 10)),  # the fewest particles, then a divisor of K
        ((10, 20), 1, (2, 1)),
        ((1, 1000), 50, (1, 50)),  # a path
    ],
)
def test_particles_go_first_and_then_inner_steps(sizes, particle_steps, expected):
    assert device.shrunk(device.Sizes(*sizes), particle_steps) == expected


def test_the_distance_of_gradients_is_relative_to_the_largest_entry():
    expected = {"a": np.array([4.0, 0.0]), "b": np.array(1.0)}
    assert device.distance({"a": np.array([4.0, 0.2]), "b": np.array(1.1)}, expected) == 0.05
    zero = {"a": np.zeros(2)}
    assert device.distance({"a": np.array([0.0, 3.0])}, zero) == 3.0


def test_every_experiment_with_an_estimator_is_checked_at_the_papers_constants():
    with_estimator = {job.spec["experiment"] for job in spec.jobs("paper") if job.spec["estimator"]}
    assert set(device.experiments()) == with_estimator
    assert device._job("copy_task")["estimator"]["name"] == "es_single"
    assert device._job("copy_task")["scale"] == "paper"


def test_closed_forms_hold_here(monkeypatch, quick_compile):
    monkeypatch.setattr(device, "REPLICATES", 1024)
    assert [row["agrees"] for row in device.closed_forms()] == [True] * len(device.WINDOWS)


def test_a_wrong_gradient_or_variance_is_found(monkeypatch, quick_compile):
    monkeypatch.setattr(device, "REPLICATES", 256)
    right = device.estimate

    def wrong(*args):
        found = right(*args)
        return found | {"estimate": 1.5 * found["estimate"]}

    monkeypatch.setattr(device, "estimate", wrong)
    assert not any(row["agrees"] for row in device.closed_forms())


def test_one_experiment_is_checked(quick_compile):
    row = device.check("toy_regression", 0.01)
    assert row["agrees"]
    assert row["error"] <= device.GRADIENT_TOLERANCE
    assert row["paper"] == {"num_particles": 100, "truncation": 10}
    assert row["memory_bytes"] > 0
    assert "toy_regression" in device_check.line(row)


def test_the_step_that_is_compared_is_the_first_of_the_run():
    ready = rehearse(device._job("copy_task"))
    factory = device._sized(ready.factory, device.Sizes(2, 1))
    assert factory.keywords["num_particles"] == 2
    shapes = jax.eval_shape(device.outer_step(ready.task, factory), jax.random.key(0))
    theta = jax.eval_shape(ready.task.init_theta, jax.random.key(0))
    assert jax.tree.structure(shapes) == jax.tree.structure(theta)


def test_a_process_that_fails_is_a_row_with_its_last_words():
    rows = device_check.measured(["no_such_experiment", "copy_task"], 1.0)
    assert [row["experiment"] for row in rows] == ["no_such_experiment", "copy_task"]
    for row in rows:
        assert not row["agrees"]
        assert "no_such_experiment" in row["failure"]
        assert "FAILED" in device_check.line(row)


def test_experiments_with_the_same_task_and_estimator_share_a_measurement():
    groups = device.groups()
    assert sorted(name for group in groups for name in group) == sorted(device.experiments())
    assert ["lorenz"] in groups
    assert ["resnet_two"] in groups


def test_a_file_for_every_device(tmp_path):
    closed = {"estimator": "pes", "window": 5, "agrees": True, "deviations": 1.0, "variance": 1.0}
    path = device_check.write([closed, ROW], tmp_path / paper_scale.DEVICES)
    (read,) = paper_scale.measured(tmp_path)
    assert read["closed_forms"] == [closed]
    assert read["experiments"] == [ROW]
    assert path.stem == path.stem.lower()
