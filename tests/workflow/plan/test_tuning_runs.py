"""Tuning experiments: runs of an experiment in the cells of a grid, on seeds of their own."""

import pytest

from workflow.lib.plan import spec, tuning
from workflow.lib.plan.dag import Dag

TUNED = {
    "pes": {
        "task": {"name": "quadratic", "args": {}},
        "estimator": {"name": "pes", "args": {"sigma": 0.1}},
        "data": None,
        "protocol": {
            "name": "meta_training",
            "args": {"outer_steps": 8, "log_every": 2, "learning_rate": 1.0, "clip_norm": 2.0},
        },
        "seeds": 3,
        "seeds_per_job": 3,
    }
}
CONTENT = {
    "grid": {"learning_rate": [0.1, 1.0]},
    "optimizer": "sgd",
    "seeds": 4,
    "seeds_per_job": 2,
    "runs": {"pes": {}},
    "scales": {"smoke": {"seeds": 1, "runs": {"pes": {"outer_steps": 2}}}},
}


def test_a_tuning_run_is_the_run_in_a_grid():
    (run,) = tuning.runs("toy_tuning", CONTENT, "laptop", TUNED).values()
    assert {key: run[key] for key in ("task", "estimator", "data")} == {
        key: TUNED["pes"][key] for key in ("task", "estimator", "data")
    }
    args = {"outer_steps": 8, "clip_norm": 2.0, "optimizer": "sgd", "grid": CONTENT["grid"]}
    assert run["protocol"] == {"name": "tuning", "args": args}
    assert (run["seeds"], run["seeds_per_job"]) == (4, 2)


def test_a_tuning_does_not_rest_on_the_value_that_its_run_has_now():
    content = CONTENT | {"grid": {"sigma": [0.01, 0.1, 1.0]}}
    runs = []
    for sigma in (0.1, 0.3):
        estimator = {"name": "pes", "args": {"sigma": sigma, "num_particles": 4}}
        tuned = {"pes": {**TUNED["pes"], "estimator": estimator}}
        runs.append(tuning.runs("toy_tuning", content, "laptop", tuned)["pes"])
    assert runs[0] == runs[1]
    assert runs[0]["estimator"]["args"] == {"sigma": 0.1, "num_particles": 4}


def test_a_scale_overrides_the_file_and_a_run_of_the_scale_overrides_all():
    (run,) = tuning.runs("toy_tuning", CONTENT, "smoke", TUNED).values()
    assert (run["seeds"], run["seeds_per_job"]) == (1, 2)
    assert run["protocol"]["args"]["outer_steps"] == 2


def test_an_unknown_run_names_the_nearest():
    content = CONTENT | {"runs": {"pse": {}}}
    with pytest.raises(ValueError, match=r"run in tuning/toy.yaml 'pse'; the nearest is 'pes'"):
        tuning.runs("toy_tuning", content, "smoke", TUNED)


@pytest.mark.parametrize("scale", spec.SCALES)
def test_tuning_seeds_are_never_reported(scale):
    assert all(job.spec["protocol"]["name"] != "tuning" for job in spec.jobs(scale))
    seeds = [seed for job in spec.jobs(scale) for seed in job.spec["seeds"]]
    if scale == spec.PILOT:
        assert min(seeds) == spec.FIRST_PILOT_SEED > spec.FIRST_TUNING_SEED
    else:
        assert spec.FIRST_SEED <= min(seeds) <= max(seeds) < spec.FIRST_TUNING_SEED
    for job in spec.jobs(scale, spec.tunings()):
        assert job.spec["protocol"]["name"] == "tuning"
        assert job.spec["seeds"][0] >= spec.FIRST_TUNING_SEED


def test_pilot_runs_have_the_settings_of_laptop_scale():
    def settings(job):
        return {key: value for key, value in job.spec.items() if key not in ("scale", "seeds")}

    pilot, laptop = spec.jobs("pilot"), spec.jobs("laptop")
    first = {(job.spec["experiment"], job.spec["run"]): settings(job) for job in laptop}
    assert first == {(job.spec["experiment"], job.spec["run"]): settings(job) for job in pilot}
    assert max(job.spec["seeds"][1] for job in pilot) < spec.FIRST_PILOT_SEED + spec.PILOT_SEEDS


def test_the_knob_of_seeds_is_for_reported_seeds_only():
    (job, *_) = spec.jobs("smoke", ("copy_task_tuning",), seeds=7)
    assert job.spec["seeds"] == [1000, 1000]


def test_tunings_are_a_target_of_their_own():
    dag = Dag.from_config({"scale": "smoke", "experiments": "copy_task", "seeds": 0})
    assert {job.spec["experiment"] for job in dag.tuning.values()} == {"copy_task_tuning"}
    assert not set(dag.everything) & set(dag.tuning_files)
    assert "results/smoke/tables/copy_task_tuning_grid.csv" in dag.tuning_files
    assert set(dag.every_job) == {*dag.jobs, *dag.tuning}


def test_every_run_of_a_table_of_tuning_is_on_its_grid():
    """At laptop scale: what an experiment says was chosen is a value that was tried."""
    for name in spec.tunings():
        found = {job.spec["run"]: job.spec for job in spec.jobs("laptop", (spec.tuned_for(name),))}
        for job in spec.jobs("laptop", (name,)):
            run, grid = found[job.spec["run"]], job.spec["protocol"]["args"]["grid"]
            assert run["protocol"]["args"]["learning_rate"] in grid["learning_rate"], run
            if "sigma" in grid:
                assert run["estimator"]["args"]["sigma"] in grid["sigma"], run
