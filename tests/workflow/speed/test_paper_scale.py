"""What the paper's constants cost: how many steps a job takes, and what measured speeds imply."""

import pytest

from tests.helpers.artifact import ROOT
from workflow.lib.plan import spec
from workflow.lib.protocols import Checkpoint
from workflow.lib.protocols._rehearsal import rehearse
from workflow.lib.speed import device, floors, paper_scale

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
    assert paper_scale.particle_steps(made, rehearse(made)) == steps


def test_particle_steps_are_those_that_a_run_reports(tmp_path):
    for made in (job.spec for job in spec.jobs("smoke", ("toy_regression",))):
        if made["protocol"]["name"] != "meta_training" or made["estimator"]["name"] != "pes":
            continue
        first, last = made["seeds"]
        ready = rehearse(made)
        rows = ready.run(range(first, last + 1), Checkpoint(tmp_path / "none", {})).rows
        reported = rows.groupby("seed")["inner_steps"].max().sum()
        assert paper_scale.particle_steps(made, ready) == reported


CORE = {
    "experiment": "toy_regression",
    "paper": {"num_particles": 100, "truncation": 1},
    "measured": {"num_particles": 10, "truncation": 1},
    "flops": 50.0,
    "memory_bytes": 4000,
    "steps_per_s": 1000.0,
    "matmul_flops": 6.7e10,
}


def one_job(monkeypatch, *jobs):
    """Let an experiment have these jobs."""
    monkeypatch.setattr(paper_scale, "work", lambda experiment: iter(jobs))


def test_a_card_reaches_the_same_share_of_its_rate(monkeypatch):
    """With a core at 6.7e10 FLOP/s, the card does in one second what the core does in 1,000."""
    one_job(monkeypatch, paper_scale.Work(3.6e9, 1.0))
    plan = paper_scale.plan("toy_regression", CORE)
    assert plan["core_hours"] == pytest.approx(1000)
    assert plan["card_hours"] == pytest.approx(1)
    assert plan["flops"] == pytest.approx(1.8e11)
    assert (plan["limit"], plan["measured"]) == ("arithmetic", False)


def test_an_inner_step_takes_a_launch_at_least(monkeypatch):
    """4.5e8 steps in sequence of 8 microseconds are an hour."""
    one_job(monkeypatch, paper_scale.Work(4.5e8, 4.5e8))
    plan = paper_scale.plan("toy_regression", CORE)
    assert plan["card_hours"] == pytest.approx(1)
    assert plan["limit"] == "launches"


def test_a_card_that_was_measured_needs_no_assumption(monkeypatch):
    one_job(monkeypatch, paper_scale.Work(3.6e9, 3.6e9))
    plan = paper_scale.plan("toy_regression", CORE, {"steps_per_s": 1e6})
    assert plan["card_hours"] == pytest.approx(1)
    assert (plan["limit"], plan["measured"]) == ("arithmetic", True)


@pytest.mark.parametrize(("jobs", "hours"), [(1, 1.0), (8, 1.0), (16, 2.0)])
def test_eight_cards_have_a_job_each(monkeypatch, jobs, hours):
    one_job(monkeypatch, *[paper_scale.Work(3.6e9, 1.0)] * jobs)
    assert paper_scale.plan("x", CORE)["cards_hours"] == pytest.approx(hours)


def test_cards_that_hold_more_particles(monkeypatch):
    """A particle takes 400 B; 100 of them times 1,000 are 40 MB, and 4 GB each are 5,000 cards."""
    one_job(monkeypatch, paper_scale.Work(1.0, 1.0))
    assert paper_scale.plan("x", CORE)["cards_at"] == [1, 1]
    large = CORE | {"memory_bytes": 4e10}
    assert paper_scale.plan("x", large)["cards_at"] == [50, 5000]


def test_steps_in_sequence_are_those_of_one_particle_and_seed():
    jobs = spec.jobs("paper", ("l2_regression",))
    for job, done in zip(jobs, paper_scale.work("l2_regression"), strict=True):
        first, last = job.spec["seeds"]
        per_seed = done.particle_steps / (last - first + 1)
        particles = (job.spec["estimator"] or {"args": {}})["args"].get("num_particles", 1)
        assert done.sequence == pytest.approx(per_seed / particles)


@pytest.mark.parametrize(
    ("hours", "text"),
    [(2e-6, "0.0072 s"), (0.01, "36 s"), (0.5, "30 min"), (3.14, "3.1 h"), (2030, "85 days")],
)
def test_a_time_has_two_digits(hours, text):
    assert paper_scale.duration(hours) == text


def test_the_page_is_that_of_its_numbers():
    devices = paper_scale.measured(ROOT)
    assert devices[0]["device"]["backend"] == "cpu"
    page = (ROOT / paper_scale.PAGE).read_text()
    assert paper_scale.page(devices) == page, "stale: make device-check"
    for name in device.experiments():
        assert f"`{name}`" in page, "stale: make device-check"


def test_the_benchmark_measures_a_case(quick_compile):
    case = {
        "task": {"name": "quadratic"},
        "estimator": ES["args"] | {"name": "es_single"},
        "outer_steps": 3,
    }
    speed = floors.speed(case)
    assert speed.steps_per_s == pytest.approx(4 * 2 / speed.step_s)
    row = floors.judged("x", case | {"flops": 1, "floor": {"matmul_share": 2}}, speed)
    assert row["matmul_share"] == speed.steps_per_s / speed.matmul_flops
    assert row["reached"] is False


def test_an_unknown_experiment_is_one_line():
    with pytest.raises(
        ValueError, match="unknown experiment 'copy_tsk'; the nearest is 'copy_task'"
    ):
        list(paper_scale.work("copy_tsk"))
