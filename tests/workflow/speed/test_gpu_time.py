"""The expected time on a GPU: how many steps a job takes, and what a measured speed implies."""

import numpy as np
import pytest

from workflow.lib.plan import spec
from workflow.lib.protocols import Checkpoint
from workflow.lib.protocols._rehearsal import rehearse
from workflow.lib.speed import gpu_time, throughput
from workflow.scripts import benchmark

SEARCH = {"candidates": 7, "log_every": 7, "box": {}}
ES = {"name": "es_single", "args": {"num_particles": 4, "sigma": 0.1, "truncation": 2}}
SGD = {"outer_steps": 6, "log_every": 6, "optimizer": "sgd", "learning_rate": 1.0}
LANDSCAPE = {"grid": {"log_lr": [-1.0, 1.0, 3], "log_decay": [-1.0, 1.0, 5]}}
TUNING = {
    "outer_steps": 6,
    "optimizer": "sgd",
    "grid": {"learning_rate": [1, 2], "sigma": [1, 2, 3]},
}


def job(protocol, args, estimator=ES):
    """Return the specification of two seeds on a problem with T = 100."""
    return {
        "task": {"name": "toy_regression", "args": {}},
        "estimator": estimator,
        "protocol": {"name": protocol, "args": args},
        "data": None,
        "seeds": [3, 4],
    }


@pytest.mark.parametrize(
    ("made", "steps"),
    [
        (job("meta_training", SGD), 2 * 6 * 4 * 2),
        (job("gradient_trace", {"outer_steps": 6, "learning_rate": 1.0}), 2 * 6 * 4 * 2),
        (
            job("meta_training", SGD, {"name": "tbptt", "args": {"truncation": 5}}),
            60,
        ),
        (job("tuning", TUNING), 2 * 6 * 6 * 4 * 2),
        (job("gradient_variance", {}), 2 * 100 * 4),
        (job("landscape", LANDSCAPE, None), 2 * 100 * 15),
        (job("random_search", SEARCH, None), 2 * 100 * 7),
        (job("gradient_theory", {"num_particles": 2, "windows": [1]}, None), 0),
    ],
)
def test_particle_steps_by_hand(made, steps):
    assert gpu_time.particle_steps(made, rehearse(made)) == steps


def test_particle_steps_are_those_that_a_run_reports(tmp_path):
    for made in (job.spec for job in spec.jobs("smoke", ("toy_regression",))):
        if made["protocol"]["name"] != "meta_training" or made["estimator"]["name"] != "pes":
            continue
        first, last = made["seeds"]
        ready = rehearse(made)
        rows = ready.run(range(first, last + 1), Checkpoint(tmp_path / "none", {})).rows
        reported = rows.groupby("seed")["inner_steps"].max().sum()
        assert gpu_time.particle_steps(made, ready) == reported


def test_the_gpu_is_taken_to_reach_the_same_share_of_its_rate(monkeypatch):
    """With a core at 1e11 FLOP/s, a GPU does in one second what the core does in 195."""
    speed = throughput.Throughput(1.0, 2.0, 1000.0, 1e11, 100.0)
    monkeypatch.setattr(throughput, "measure", lambda *args, **options: speed)
    cost = gpu_time.cost("toy_regression", "smoke")
    jobs = [job.spec for job in spec.jobs("smoke", ("toy_regression",))]
    steps = sum(gpu_time.particle_steps(job, rehearse(job)) for job in jobs)
    np.testing.assert_allclose(cost.particle_steps, steps)
    np.testing.assert_allclose(cost.core_hours, steps / 1000 / 3600)
    np.testing.assert_allclose(cost.core_hours / cost.gpu_hours, 195.0)


def test_the_benchmark_measures_a_case(quick_compile, capsys):
    case = {
        "task": {"name": "quadratic"},
        "estimator": ES["args"] | {"name": "es_single"},
        "outer_steps": 3,
    }
    speed = benchmark.measure(case)
    assert speed.steps_per_s == pytest.approx(4 * 2 / speed.step_s)
    line = benchmark._report(
        "x", case | {"flops": 1, "floor": {"matmul_share": 2}}, speed._asdict()
    )
    assert line.endswith("BELOW")


def test_an_unknown_experiment_is_one_line():
    with pytest.raises(
        ValueError, match="unknown experiment 'copy_tsk'; the nearest is 'copy_task'"
    ):
        gpu_time.cost("copy_tsk")
