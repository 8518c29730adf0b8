"""A job that needs more memory than its device has says what would fit, before it runs."""

import functools

import pytest

import estimators
from tests.helpers import toy_tasks
from workflow.lib.protocols import Checkpoint, _build, _compute, meta_training

OPTIONS = {"outer_steps": 2, "log_every": 1, "optimizer": "sgd", "learning_rate": 0.1}


@pytest.fixture
def assembled():
    factory = functools.partial(estimators.pes, num_particles=4, sigma=0.1, truncation=2)
    config = meta_training.Config(**OPTIONS)
    return _build.Assembled(toy_tasks.noisy(4), factory, meta_training, config)


def test_a_device_that_is_too_small_is_refused_in_one_line(assembled, monkeypatch, tmp_path):
    monkeypatch.setattr(_compute, "memory_limit", lambda: 1)
    with pytest.raises(
        ValueError, match=r"^needs .* GB of memory and has .* GB; .*devices="
    ) as error:
        assembled.run(range(2), Checkpoint(tmp_path / "checkpoint", {}))
    assert "\n" not in str(error.value)


def test_where_nothing_tells_the_memory_it_runs(assembled, tmp_path):
    assert _compute.memory_limit() is None, "a CPU"
    assembled.run(range(2), Checkpoint(tmp_path / "checkpoint", {}))


@pytest.mark.parametrize(
    ("seeds", "needed", "limit", "advice"),
    [
        (8, 100, 50, "give its experiment seeds_per_job: 4"),
        (3, 300, 299, "give its experiment seeds_per_job: 2"),
        (1, 100, 40, "give its experiment seeds_per_job: 1, and share its particles: devices=3"),
    ],
)
def test_seeds_come_first_and_then_devices(seeds, needed, limit, advice):
    assert _build._what_fits(seeds, _compute.DoesNotFit(needed, limit)) == advice
