"""The step of SGD that tasks with many hyperparameters share."""

import numpy as np

from tasks import _tuned


def test_descent_is_that_of_plain_loops():
    """m' = β m + g, w' = w - α m', with one α and β for a part of the tree or for an array."""
    rng = np.random.default_rng(2)
    gradients, weights, momenta = (
        {"a": {"x": rng.normal(size=3), "y": rng.normal(size=2)}, "b": rng.normal(size=4)}
        for _ in range(3)
    )
    rates, decays = {"a": 0.1, "b": 2.0}, {"a": 0.9, "b": 0.3}
    after, moved = _tuned.descend(gradients, weights, momenta, rates, decays)
    for part, names in (("a", ("x", "y")), ("b", (None,))):
        for name in names:
            g, w, m, new_w, new_m = (
                tree[part] if name is None else tree[part][name]
                for tree in (gradients, weights, momenta, after, moved)
            )
            np.testing.assert_allclose(new_m, decays[part] * m + g)
            np.testing.assert_allclose(new_w, w - rates[part] * (decays[part] * m + g))
