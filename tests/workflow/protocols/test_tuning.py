"""Hyperparameters that the workflow chooses: the grid, the rule, and who waits for it."""

import itertools

import numpy as np
import pandas as pd
import pytest

from tests.helpers import toy_tasks
from workflow.lib.common import store
from workflow.lib.plan import spec, tuned
from workflow.lib.plan.dag import Dag
from workflow.lib.protocols import _build, _compute, meta_training, tuning
from workflow.scripts import choose

pytestmark = pytest.mark.usefixtures("quick_compile")
GRID = {"learning_rate": [1e-2, 1e-3], "sigma": [0.3, 0.1]}
ES = {"num_particles": 4, "sigma": 9.0, "truncation": 2}
SPEC = {"estimator": {"name": "es_single", "args": ES}}
OPTIONS = {"grid": GRID, "outer_steps": 6, "optimizer": "adam"}


@pytest.fixture(scope="module")
def built():
    task = toy_tasks.noisy(4)  # far from quadratic: the estimate depends on σ
    return task, _build.estimator(SPEC, task)


def metric(rows, name):
    """Return a metric as [cells, seeds]."""
    return rows[rows["metric"] == name].pivot(index="cell", columns="seed", values="value")


def test_a_cell_is_a_run_with_its_hyperparameters(built, tmp_path):
    task, estimator = built
    seeds, none = range(1000, 1002), _compute.Checkpoint(tmp_path / "none", {}, interval_s=3600)
    rows = tuning.run(task, estimator, seeds, none, **OPTIONS).rows
    cells = list(itertools.product(*GRID.values()))
    for number, (learning_rate, sigma) in enumerate(cells):
        assert (metric(rows, "learning_rate").loc[number] == learning_rate).all()
        assert (metric(rows, "sigma").loc[number] == sigma).all()
        own = estimator.rebuild(task, sigma=sigma)
        options = {"outer_steps": 6, "log_every": 6, "optimizer": "adam"}
        whole = meta_training.run(task, own, seeds, none, learning_rate=learning_rate, **options)
        last = whole.rows[(whole.rows["outer_step"] == 6) & (whole.rows["metric"] == "meta_loss")]
        found = metric(rows, "meta_loss").loc[number]
        np.testing.assert_allclose(found, last["value"], rtol=1e-5)
    assert set(rows["inner_steps"]) == {6 * 4 * 2}
    assert metric(rows, "meta_loss").nunique().min() == len(cells)


class Killed(_compute.Checkpoint):
    """A checkpoint whose process dies after the second cell."""

    def save(self, position, tree, rows):
        super().save(position, tree, rows)
        if position == 2:
            raise KeyboardInterrupt


def test_it_resumes_between_cells(built, tmp_path):
    seeds, path = range(1000, 1001), tmp_path / "killed"
    whole = tuning.run(
        *built, seeds, _compute.Checkpoint(tmp_path / "none", {}, interval_s=3600), **OPTIONS
    )
    with pytest.raises(KeyboardInterrupt):
        tuning.run(*built, seeds, Killed(path, {}, interval_s=0), **OPTIONS)
    resumed = tuning.run(*built, seeds, _compute.Checkpoint(path, {}, interval_s=0), **OPTIONS)
    assert store.content_sha256(resumed.rows) == store.content_sha256(whole.rows)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"grid": {"sigma": [0.1]}}, "needs values of learning_rate"),
        ({"grid": GRID | {"lr": [1.0]}}, "unknown hyperparameter in a tuning grid 'lr'"),
        ({"grid": GRID | {"sigma": [0.0]}}, "every value must be positive"),
        ({"outer_steps": 0}, "outer_steps=0"),
    ],
)
def test_wrong_grids_are_one_line(built, changes, text):
    with pytest.raises(ValueError, match=text):
        tuning.check(*built, **OPTIONS | changes)


def table(**runs):
    """Return rows per seed: {run: [(cell, seed, longest, bits)]}, learning rate 1 / (1 + cell)."""
    rows = []
    for run, cells in runs.items():
        for cell, seed, longest, bits in cells:
            values = {"longest_copied": longest, "bits_per_character": bits}
            values |= {"learning_rate": 1 / (1 + cell)}
            values |= {} if run == "tbptt" else {"sigma": 0.1}
            rows += [(run, cell, seed, name, value) for name, value in values.items()]
    return pd.DataFrame(rows, columns=["run", "cell", "seed", "metric", "value"])


def test_the_rule():
    rows = table(
        longest=[(0, 1000, 5, 0.1), (0, 1001, 1, 0.1), (1, 1000, 4, 0.3), (1, 1001, 4, 0.3)],
        bits=[(0, 1000, 4, 0.3), (1, 1000, 4, 0.2)],
        nan=[(0, 1000, 4, np.nan), (1, 1000, 4, 9.0)],
        first=[(0, 1000, 4, 0.2), (1, 1000, 4, 0.2)],
        tbptt=[(1, 1000, 1, 0.2)],
    )
    second = {"learning_rate": 0.5, "sigma": 0.1}
    grid = tuned.grid(rows)
    assert tuned.choose(grid) == {
        "longest": second,
        "bits": second,
        "nan": second,
        "first": {"learning_rate": 1.0, "sigma": 0.1},
        "tbptt": {"learning_rate": 0.5},
    }
    with pytest.raises(ValueError, match="lacks learning_rate, or every metric to choose by"):
        tuned.grid(rows[rows["metric"] != "longest_copied"])
    assert len(grid) == 9, "every cell is in the table"
    row = grid[grid["run"] == "longest"].iloc[0]
    assert (row["cell"], row["seeds"], row["longest_copied"], row["chosen"]) == (0, 2, 3.0, False)


def test_without_strings_to_copy_the_lowest_training_loss_is_best():
    cells = {0: (1.0, 0.1), 1: (0.3, 0.2), 2: (0.2, np.nan), 3: (0.3, 0.2)}
    rows = [
        ("adam", cell, seed, name, value)
        for cell, losses in cells.items()
        for seed, loss in zip((1000, 1001), losses, strict=True)
        for name, value in {"loss": loss, "learning_rate": 1 / (1 + cell)}.items()
    ]
    table = pd.DataFrame(rows, columns=["run", "cell", "seed", "metric", "value"])
    chosen = tuned.choose(tuned.grid(table))
    assert chosen == {"adam": {"learning_rate": 0.5}}, "not the one that diverged"


def test_the_choice_goes_from_the_table_into_the_run(tmp_path):
    store.write_parquet(tmp_path / "table.parquet", table(pes=[(3, 1000, 1, 0.2)]))
    choices = tmp_path / "choices.json"
    written = ["--output", str(choices), "--grid", str(tmp_path / "grid.csv")]
    choose.main(["--table", str(tmp_path / "table.parquet"), *written])
    assert pd.read_csv(tmp_path / "grid.csv")["chosen"].tolist() == [True]
    job = SPEC | {
        "protocol": {"name": "meta_training", "args": {"outer_steps": 6}},
        "tuned": {"experiment": "toy", "run": "pes"},
    }
    values = tuned.chosen(job, choices)
    assert values == {"learning_rate": 0.25, "sigma": 0.1}
    resolved = tuned.resolve(job, values)
    assert resolved["protocol"]["args"] == {"outer_steps": 6, "learning_rate": 0.25}
    assert resolved["estimator"]["args"]["sigma"] == 0.1
    assert job["estimator"]["args"]["sigma"] == 9.0, "the specification stays as it was"
    with pytest.raises(ValueError, match=r"unknown run in .* 'es'; the nearest is 'pes'"):
        tuned.chosen(job | {"tuned": {"experiment": "toy", "run": "es"}}, choices)
    for wrong in ((SPEC, choices), (job, None)):
        with pytest.raises(ValueError, match="--tuned is for runs"):
            tuned.chosen(*wrong)
    with pytest.raises(SystemExit, match=r"choose: .*none.parquet is missing"):
        choose.main(["--table", str(tmp_path / "none.parquet"), *written])


def test_tuning_seeds_are_never_reported():
    for scale in spec.SCALES:
        jobs = spec.jobs(scale)
        waited_for = {job.spec["tuned"]["experiment"] for job in jobs if "tuned" in job.spec}
        assert waited_for == {"copy_task_tuning", "learned_optimizer_tuning"}
        for job in jobs:
            tunes = job.spec["experiment"] in waited_for
            assert tunes == (job.spec["protocol"]["name"] == "tuning")
            if tunes or "tuned" in job.spec:
                assert tunes == (job.spec["seeds"][0] >= 1000)


def test_the_knob_of_seeds_is_for_reported_seeds_only():
    (job, *_) = spec.jobs("smoke", ("copy_task_tuning",), seeds=7)
    assert job.spec["seeds"] == [1000, 1000]


def test_a_run_brings_the_tuning_that_it_waits_for():
    knobs = {"scale": "smoke", "experiments": "copy_task", "seeds": 0}
    dag = Dag.from_config(knobs)
    assert dag.experiments == ("copy_task",)
    assert {job.spec["experiment"] for job in dag.jobs.values()} == {
        "copy_task",
        "copy_task_tuning",
    }
    assert "copy_task_tuning" not in " ".join(dag.tables)


def test_every_tuned_run_finds_its_grid():
    for job in spec.jobs("laptop", ("copy_task",)):
        values = tuned.stand_in(job.spec)
        assert ("sigma" in values) == (job.spec["estimator"]["name"] != "tbptt")
    job = job.spec | {"tuned": {"experiment": "copy_task_tuning", "run": "pse"}}
    with pytest.raises(ValueError, match=r"unknown run of tuning experiment .* 'pse'"):
        tuned.stand_in(job)
    assert tuned.stand_in(SPEC) == {}
