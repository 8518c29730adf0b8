"""The tuning protocol: every cell of the grid is a run with its hyperparameters."""

import functools
import itertools

import numpy as np
import pytest

import estimators
from tests.helpers import protocol_runs, toy_tasks
from workflow.lib.common import parquet
from workflow.lib.protocols import Checkpoint, meta_training, tuning

pytestmark = pytest.mark.usefixtures("quick_compile")
GRID = {"learning_rate": [1e-2, 1e-3], "sigma": [0.3, 0.1]}
ES = {"num_particles": 4, "sigma": 9.0, "truncation": 2}
OPTIONS = {"grid": GRID, "outer_steps": 6, "optimizer": "adam"}


@pytest.fixture(scope="module")
def built():
    task = toy_tasks.noisy(4)  # far from quadratic: the estimate depends on σ
    return task, functools.partial(estimators.es_single, **ES)


def metric(rows, name):
    """Return a metric as [cells, seeds]."""
    return rows[rows["metric"] == name].pivot(index="cell", columns="seed", values="value")


def test_a_cell_is_a_run_with_its_hyperparameters(built):
    task, factory = built
    seeds = range(1000, 1002)
    rows = protocol_runs.run(tuning, task, factory, seeds, **OPTIONS).rows
    cells = list(itertools.product(*GRID.values()))
    for number, (learning_rate, sigma) in enumerate(cells):
        assert (metric(rows, "learning_rate").loc[number] == learning_rate).all()
        assert (metric(rows, "sigma").loc[number] == sigma).all()
        own = functools.partial(factory, sigma=sigma)
        options = {"outer_steps": 6, "log_every": 6, "optimizer": "adam"}
        options["learning_rate"] = learning_rate
        whole = protocol_runs.run(meta_training, task, own, seeds, **options)
        last = whole.rows[(whole.rows["outer_step"] == 6) & (whole.rows["metric"] == "meta_loss")]
        found = metric(rows, "meta_loss").loc[number]
        np.testing.assert_allclose(found, last["value"], rtol=1e-5)
    assert set(rows["inner_steps"]) == {6 * 4 * 2}
    assert metric(rows, "meta_loss").nunique().min() == len(cells)


class Killed(Checkpoint):
    """A checkpoint whose process dies after the second cell."""

    def save(self, position, tree, rows):
        super().save(position, tree, rows)
        if position == 2:
            raise KeyboardInterrupt


def test_it_resumes_between_cells(built, tmp_path):
    seeds, path = range(1000, 1001), tmp_path / "killed"
    whole = protocol_runs.run(tuning, *built, seeds, **OPTIONS)
    with pytest.raises(KeyboardInterrupt):
        protocol_runs.run(tuning, *built, seeds, Killed(path, {}, interval_s=0), **OPTIONS)
    again = Checkpoint(path, {}, interval_s=0)
    resumed = protocol_runs.run(tuning, *built, seeds, again, **OPTIONS)
    assert parquet.content_sha256(resumed.rows) == parquet.content_sha256(whole.rows)


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
        protocol_runs.run(tuning, *built, **OPTIONS | changes)
