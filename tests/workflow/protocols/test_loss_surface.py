"""Smoothed landscapes against a closed form, and what is said about their slopes."""

import numpy as np
import pandas as pd
import pytest

import tasks
from tests.helpers import protocol_runs, synthetic_runs
from workflow.lib.claims import surface
from workflow.lib.common import stats
from workflow.lib.protocols import landscape
from workflow.lib.results import tables

pytestmark = pytest.mark.usefixtures("quick_compile")
SAMPLES, SIGMA = 4096, 0.5


@pytest.fixture(scope="module")
def quadratic():
    """A task of two outer parameters whose meta-loss is a² + 3 b."""
    toy = tasks.toy_regression()
    return toy._replace(
        init_theta=lambda key: {"a": np.float32(1.0), "b": np.float32(0.0)},
        evaluate=lambda key, theta: {"meta_loss": theta["a"] ** 2 + 3 * theta["b"]},
    )


def test_a_smoothed_quadratic_is_raised_by_the_variance(quadratic):
    """E[(a + σ ε)² + 3 σ ε'] = a² + σ²; its standard error is below (2 a σ + σ² √2 + 3 σ)/√n."""
    options = {"grid": {"a": [-1, 1, 5]}, "sigmas": [SIGMA], "samples": SAMPLES}
    rows = protocol_runs.run(landscape, quadratic, None, **options).rows
    raw, smooth = (
        rows[rows["metric"] == name].pivot(index="seed", columns="cell", values="value").to_numpy()
        for name in ("meta_loss", f"smoothed_{SIGMA:g}")
    )
    error = (2 * SIGMA + SIGMA**2 * 2**0.5 + 3 * SIGMA) / SAMPLES**0.5
    np.testing.assert_allclose(smooth - raw, SIGMA**2, atol=5 * error)
    assert (smooth[0] != smooth[1]).all(), "seeds have perturbations of their own"
    second = np.diff(smooth, n=2, axis=1)
    np.testing.assert_allclose(second, 0.5, atol=1e-4, err_msg="cells share the perturbations")


@pytest.mark.parametrize("wrong", [{"samples": 0}, {"sigmas": [0.0]}, {"sigmas": [float("inf")]}])
def test_wrong_smoothing_is_one_line(quadratic, wrong):
    with pytest.raises(ValueError, match="must be at least 1 and sigmas="):
        protocol_runs.run(landscape, quadratic, None, grid={"a": [0, 1, 2]}, **wrong)


def test_sign_changes_and_the_steepest_slope():
    heights = np.array([[0.0, 1, 0, 0, -1, 2, 2, 3], [0, 1, 2, 3, 4, 5, 6, 7]])
    assert surface.sign_changes(heights).tolist() == [2, 0]
    assert surface.steepest(heights).tolist() == [3, 1]


def test_ratios_compare_smoothed_with_raw(tmp_path):
    paths = synthetic_runs.loss_surface(tmp_path)
    seeds = tables.load_runs(paths)[0]
    options = {"run": "slice", "metric": "smoothed_1"}
    changes = surface.sign_change_ratio(seeds, 0.05, **options)
    line = np.linspace(-4, 4, 60)
    raw = 600 + 50 * line**2 + 200 * np.cos(9 * line)
    count = surface.sign_changes(raw[None])[0]
    assert count > 10
    assert changes.interval == stats.Interval(1 / count, 1 / count, 1 / count)
    assert changes.n == 3
    slope = surface.steepest_ratio(seeds, 0.05, **options).interval.value
    np.testing.assert_allclose(slope, np.diff(50 * line**2).max() / np.abs(np.diff(raw)).max())
    assert isinstance(surface.values(seeds, "slice", "meta_loss"), pd.DataFrame)
