"""How the time of an outer update grows with N, K, T, P and the number of seeds.

The problem is a quadratic one with a state of 16 numbers, so that an inner step is little more than
the product of its 16 x P matrix and θ. An update takes K inner steps of N particles whatever T is.
"""

import functools
from typing import Any

import numpy as np

import estimators
import tasks
from workflow.lib.speed import throughput

BASE = {"N": 64, "K": 8, "T": 64, "P": 256, "seeds": 1}
MULTIPLES = (1, 2, 4, 8)
ESTIMATORS = ("es_single", "pes")
EXPONENTS = {"N": 1, "K": 1, "T": 0, "P": 1, "seeds": 1}  # of a cost that is linear


def measure(axis: str, estimator: str) -> list[dict[str, Any]]:
    """Return the seconds of an update for each value along an axis; everything else is `BASE`.

    Args:
        axis: a name in `BASE`.
        estimator: a name in `ESTIMATORS`.
    """
    found = []
    for multiple in MULTIPLES:
        sizes = BASE | {axis: multiple * BASE[axis]}
        task = tasks.quadratic(num_parameters=sizes["P"], num_units=16, horizon=sizes["T"])
        factory = functools.partial(
            getattr(estimators, estimator),
            num_particles=sizes["N"],
            sigma=0.1,
            truncation=sizes["K"],
        )
        speed = throughput.measure_long(task, factory, sizes["seeds"])
        point = {"axis": axis, "estimator": estimator, "value": sizes[axis]}
        found.append(point | {"step_s": speed.step_s})
    return found


def exponent(points: list[dict[str, Any]]) -> float:
    """Return the slope of a straight line through log(seconds) against log(value).

    Args:
        points: of one axis and one estimator, as `measure` returns them.
    """
    value, seconds = (np.log([point[name] for point in points]) for name in ("value", "step_s"))
    return float(np.polyfit(value, seconds, 1)[0])
