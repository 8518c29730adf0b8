"""One check for each kind of hyperparameter: what the estimators take, and the line that refuses.

A whole number may have any integer type, numpy's and jax's too, and comes back as an `int`. So a
step never counts with floats, and no estimator meets a value that it would misread.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tasks.base import Array, Key, Task, has_dtype

LARGEST = 2**31 - 1  # of an int32, in which inner steps are counted
Horizon = int | Callable[[Key], Array] | None


def integer(name: str, value: Any, lowest: int = 1, highest: int = LARGEST) -> int:
    """Return a whole number as an `int`.

    Args:
        name: of the hyperparameter.
        value: what the user chose.
        lowest: that is allowed.
        highest: that is allowed.

    Raises:
        ValueError: it is not one number of an integer type, or out of its range.
    """
    if not _is_number(value, jnp.integer):
        raise ValueError(f"{name}={_line(value)} must be a whole number, of an integer type")
    number = int(value)
    if not lowest <= number <= highest:
        allowed = f"at least {lowest}" if number < lowest else f"at most {highest}"
        raise ValueError(f"{name}={number} must be {allowed}")
    return number


def switch(name: str, value: Any) -> bool:
    """Return a hyperparameter that is True or False as a `bool`; raise ValueError otherwise."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name}={_line(value)} must be True or False")
    return bool(value)


def standard_deviation(sigma: Any, num_particles: int) -> Any:
    """Return σ as a `float`; a traced scalar, whose value is not known yet, is returned as it is.

    Args:
        sigma: σ.
        num_particles: N; the estimate is divided by N σ², in float32.

    Raises:
        ValueError: σ is not one positive real number, or float32 cannot hold N σ² or σ².
    """
    wanted = "must be positive and finite, one real number: it is a standard deviation"
    if isinstance(sigma, jax.core.Tracer) and jnp.issubdtype(sigma.dtype, jnp.floating):
        if sigma.ndim:
            raise ValueError(f"sigma={_line(sigma)} {wanted}")
        return sigma
    if not _is_number(sigma, jnp.integer, jnp.floating) or not 0 < sigma < math.inf:
        raise ValueError(f"sigma={_line(sigma)} {wanted}")
    float32 = np.finfo(np.float32)
    lowest = math.sqrt(float(float32.tiny))
    highest = math.sqrt(float(float32.max) / num_particles)
    if not lowest <= sigma <= highest:
        raise ValueError(
            f"sigma={_line(sigma)} must lie between {lowest:.2g} and {highest:.2g}: "
            f"estimates are divided by N σ², which float32 must hold"
        )
    return float(sigma)


def length(horizon: Horizon) -> Horizon:
    """Return `Task.horizon` with a whole number as an `int`.

    Raises:
        ValueError: it is neither None, nor a function, nor a whole number of 1 to 2^31 - 2.
    """
    if horizon is None or callable(horizon):
        return horizon
    return integer("horizon", horizon, highest=LARGEST - 1)


def check_truncation(task: Task, truncation: Any) -> int:
    """Return K as an `int`.

    Raises:
        ValueError: K is no whole number, below 1, or does not divide the horizon T, where there is
            one that all problems share.
    """
    truncation, horizon = integer("truncation", truncation), length(task.horizon)
    if isinstance(horizon, int) and horizon % truncation:
        small = [k for k in range(1, math.isqrt(horizon) + 1) if horizon % k == 0]
        divisors = [*small, *(horizon // k for k in reversed(small))]
        nearest = min(divisors, key=lambda k: abs(k - truncation))
        raise ValueError(
            f"horizon={horizon} is not a multiple of truncation={truncation}; "
            f"the nearest truncation that divides it is {nearest}"
        )
    return truncation


def check_horizon(task: Task, who: str) -> int:
    """Return T, the length of all inner problems of the task.

    Args:
        task: to check.
        who: what needs the length; the error message begins with it.

    Raises:
        ValueError: problems never end, or their lengths differ.
    """
    horizon = length(task.horizon)
    if not isinstance(horizon, int):
        this = "this one never ends" if horizon is None else "here each has its own"
        raise ValueError(f"{who} needs a task with a horizon that its problems share: {this}")
    return horizon


def check_es_options(
    task: Task,
    stores: bool,
    *,
    num_particles: int,
    sigma: float,
    truncation: int,
    breakstep: bool = False,
    chunk_size: int | None = None,
    standardize: bool = False,
) -> tuple[int, Any, int, bool, int | None, bool]:
    """Return the hyperparameters of antithetic ES from N on, with Python's own numbers.

    Args:
        task: the inner problem.
        stores: whether perturbations are stored.
        num_particles: N.
        sigma: σ.
        truncation: K.
        breakstep: whether every pair has an inner problem of its own.
        chunk_size: particles that run at a time on a CPU.
        standardize: whether to divide estimates by the spread of losses.

    Raises:
        ValueError: one of them is out of its range; the message has the numbers in it.
    """
    n = integer("num_particles", num_particles, lowest=-LARGEST)
    if n < 2 or n % 2:
        raise ValueError(
            f"num_particles={n} must be even and at least 2: "
            f"particles come in antithetic pairs; try {max(2, n + n % 2)}"
        )
    sigma, truncation = standard_deviation(sigma, n), check_truncation(task, truncation)
    if switch("breakstep", breakstep):
        check_horizon(task, "breakstep=True")
    if chunk_size is not None:
        chunk_size = integer("chunk_size", chunk_size, lowest=-LARGEST)
        if not 1 <= chunk_size <= n:
            raise ValueError(f"chunk_size={chunk_size} must lie between 1 and num_particles={n}")
    if not switch("store_perturbations", stores) and chunk_size is None:
        raise ValueError(
            "store_perturbations=False needs a chunk_size: perturbations are drawn again for one "
            "chunk of particles at a time"
        )
    standardize = switch("standardize", standardize)
    return n, sigma, truncation, bool(breakstep), chunk_size, standardize


def check_count(num_paths: int, truncation: int) -> None:
    """Raise ValueError if an int32 cannot count the inner steps of one update."""
    steps = num_paths * truncation
    if steps > LARGEST:
        raise ValueError(
            f"truncation={truncation} on {num_paths} paths makes {steps} inner steps in one "
            f"update, more than an int32 counts; take truncation={LARGEST // num_paths} at most, "
            "or fewer particles"
        )


def _is_number(value: Any, *kinds: Any) -> bool:
    """Return whether this is one number of these kinds of dtypes whose value is known."""
    known = not isinstance(value, jax.core.Tracer) and has_dtype(value, *kinds)
    return known and np.ndim(value) == 0


def _line(value: Any) -> str:
    """Return a value as it is shown in an error message: on one line, and not too long."""
    text = " ".join(repr(value).split())
    return text if len(text) < 100 else f"{text[:97]}..."
