"""The z-test of unbiasedness; test_unbiasedness.py states its error budget."""

import numpy as np

HORIZON, REPETITIONS, BOUND = 6, 20_000, 5.0


def z_scores(samples, truth):
    """Return (mean - truth) / standard error of every coordinate; samples are [n, P]."""
    error = samples.std(axis=0, ddof=1) / np.sqrt(len(samples))
    return (samples.mean(axis=0) - truth) / error


def is_unbiased(samples, truth):
    """Return whether the mean of samples [n, P] is within 5 standard errors of `truth` [P]."""
    return bool(np.all(np.abs(z_scores(samples, truth)) < BOUND))
