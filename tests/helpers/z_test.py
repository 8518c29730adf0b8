"""The z-test of unbiasedness; its error budget stands in test_unbiasedness.py."""

import numpy as np

HORIZON, REPETITIONS, BOUND = 6, 20_000, 5.0


def z_scores(samples, truth):
    """Return (mean - truth) / standard error of every coordinate; samples are [n, P]."""
    error = samples.std(axis=0, ddof=1) / np.sqrt(len(samples))
    return (samples.mean(axis=0) - truth) / error


def is_unbiased(samples, truth):
    return bool(np.all(np.abs(z_scores(samples, truth)) < BOUND))
