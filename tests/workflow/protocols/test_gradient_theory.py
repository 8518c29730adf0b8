"""The closed forms of the variance study, against a direct evaluation of the same formula."""

import numpy as np
import pytest

import tasks
from tests.helpers import exact_variance
from workflow.lib.protocols import gradient_theory

HORIZON = exact_variance.HORIZON


@pytest.mark.usefixtures("float64")
def test_recursions_give_the_sums_of_the_formula():
    windows = (1, 2, 5, HORIZON)
    task = tasks.quadratic(horizon=HORIZON)
    theta = task.init_theta(None)
    exact = exact_variance.window_gradients(HORIZON)[0, 0]
    variances = np.array([exact_variance.pes_variance(window) for window in windows])
    pairs = variances * exact_variance.NUM_PARTICLES / 2
    found = gradient_theory.relative_variances(task, windows, theta)
    np.testing.assert_allclose(found, pairs / (exact @ exact), rtol=1e-10)
