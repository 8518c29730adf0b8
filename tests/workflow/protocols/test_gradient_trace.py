"""The protocol that records every gradient of one outer parameter."""

import functools

import numpy as np
import pytest

import tasks
from tests.helpers import protocol_runs, toy_tasks
from workflow.lib.protocols import gradient_trace, landscape

OPTIONS = {"horizon": 6, "hidden": [4], "batch_size": 5, "init_decay": None, "init_lr": 0.01}
PES = functools.partial(toy_tasks.es, "pes", truncation=2)


def run(**options):
    task = tasks.lr_schedule(toy_tasks.small_images(), **OPTIONS)
    return protocol_runs.run(gradient_trace, task, PES, outer_steps=7, **options)


def test_every_step_is_recorded():
    outcome = run(learning_rate=0.1)
    values = outcome.rows.pivot(index=["seed", "outer_step"], columns="metric", values="value")
    first = values.loc[0]
    assert first["problem"].tolist() == [1, 1, 1, 2, 2, 2, 3]
    assert first["theta"].iloc[0] == pytest.approx(np.log(0.01))
    moved = np.diff(first["theta"])[0]
    assert moved == pytest.approx(-0.1 * np.sign(first["gradient"].iloc[0]), rel=1e-3)
    steps = outcome.rows.query("metric == 'theta' and seed == 1")["inner_steps"]
    assert steps.tolist() == [8 * step for step in range(1, 8)]
    assert outcome.status == {0: "ok", 1: "ok"}


def test_two_outer_parameters_are_refused():
    task = tasks.lr_schedule(toy_tasks.small_images(), **(OPTIONS | {"init_decay": 1.0}))
    with pytest.raises(ValueError, match="needs one outer parameter; this task has 2"):
        protocol_runs.run(gradient_trace, task, PES, outer_steps=2, learning_rate=0.1)


def test_a_landscape_may_have_one_axis():
    task = tasks.lr_schedule(toy_tasks.small_images(), **OPTIONS)
    grid = {"log_lr": [-5.0, -1.0, 3]}
    rows = protocol_runs.run(landscape, task, None, grid=grid).rows
    rates = rows.query("metric == 'log10_initial_lr' and seed == 0").sort_values("cell")
    np.testing.assert_allclose(rates["value"], np.array([-5, -3, -1]) / np.log(10), rtol=1e-6)
