"""How fast an estimator trains on this machine, in the code that a job runs."""

import functools
import math
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from tasks.base import Task
from workflow.lib.common import provenance
from workflow.lib.protocols import _compute, _training
from workflow.lib.protocols._build import Factory, per_update

REPETITIONS = 3
MATMUL_SIZE = 1024
COPIED_BYTES = 2**26  # far beyond the caches
LEARNING_RATE = 1e-9
ENOUGH_S = 0.4  # a measurement that takes less is repeated with more outer steps
MOST_STEPS = 20_000


class Throughput(NamedTuple):
    """What was measured.

    Attributes:
        compile_s: seconds to compile.
        step_s: seconds of one outer step, the median over repetitions.
        steps_per_s: particle-steps per second.
        matmul_flops: per second, of a 1024x1024 float32 matrix product in the same process.
        copy_bytes: per second, read and written, of a copy of 64 MB in the same process.
        peak_memory_mb: of the whole process so far, before what is measured for comparison.
        memory_bytes: that the compiled program plans with: arguments, results and scratch.
    """

    compile_s: float
    step_s: float
    steps_per_s: float
    matmul_flops: float
    copy_bytes: float
    peak_memory_mb: float
    memory_bytes: int


def measure(
    task: Task,
    factory: Factory,
    outer_steps: int,
    repetitions: int = REPETITIONS,
    num_seeds: int = 1,
) -> Throughput:
    """Measure the speed of training, then of a matrix product and of a copy, in the same process.

    Each is called once to warm up, and then `repetitions` times.

    Args:
        task: the inner problem.
        factory: `task -> Estimator`.
        outer_steps: updates of θ in one call of the compiled program.
        repetitions: number of calls that are timed.
        num_seeds: seeds that train side by side.
    """
    steps, programs = trainer(task, factory, outer_steps, num_seeds)
    (seconds,) = median_seconds(repetitions, steps)
    peak_memory_mb = provenance.peak_memory_mb()
    matmul_s, copy_s = median_seconds(repetitions, *_yardsticks())
    return Throughput(
        compile_s=sum(program.compile_s for program in programs),
        step_s=seconds / outer_steps,
        steps_per_s=num_seeds * outer_steps * per_update(task, factory) / seconds,
        matmul_flops=2 * MATMUL_SIZE**3 / matmul_s,
        copy_bytes=2 * COPIED_BYTES / copy_s,
        peak_memory_mb=peak_memory_mb,
        memory_bytes=programs[-1].memory_bytes(),
    )


def measure_long(task: Task, factory: Factory, num_seeds: int = 1) -> Throughput:
    """Measure one outer step; if it is short, as many as fill `ENOUGH_S` seconds.

    Args:
        task: the inner problem.
        factory: `task -> Estimator`.
        num_seeds: seeds that train side by side.
    """
    one = measure(task, factory, 1, 1, num_seeds)
    if one.step_s > ENOUGH_S:
        return one
    outer_steps = min(MOST_STEPS, math.ceil(ENOUGH_S / one.step_s))
    return measure(task, factory, outer_steps, 3, num_seeds)._replace(compile_s=one.compile_s)


def _yardsticks() -> list[Callable[[], Any]]:
    """Return a matrix product and a copy, which wait for their results."""
    matrix = jnp.ones((MATMUL_SIZE, MATMUL_SIZE), jnp.float32)
    numbers = jnp.ones(COPIED_BYTES // 4, jnp.float32)
    product, copy = jax.jit(jnp.matmul), jax.jit(lambda x: x + 1)
    return [
        lambda: jax.block_until_ready(product(matrix, matrix)),
        lambda: jax.block_until_ready(copy(numbers)),
    ]


def trainer(
    task: Task, factory: Factory, outer_steps: int, num_seeds: int = 1
) -> tuple[Callable[[], None], list[_compute.Program]]:
    """Return a function that runs `outer_steps` more steps at each call, and its programs.

    Args:
        task: the inner problem.
        factory: `task -> Estimator`.
        outer_steps: updates of θ in one call.
        num_seeds: seeds that train side by side.
    """
    parts, keys = (task, factory, optax.sgd(LEARNING_RATE)), _compute.seed_keys(range(num_seeds))
    start = _compute.Program(_compute.over_seeds(functools.partial(_training.start, *parts)))
    train = functools.partial(_training.train, *parts, outer_steps)
    advance = _compute.Program(_compute.over_seeds(train), donate=(0,))
    carry, first = start(keys), jnp.zeros(num_seeds, jnp.int32)

    def steps() -> None:
        nonlocal carry
        carry, means = advance(carry, keys, first)
        jax.block_until_ready(means)

    return steps, [start, advance]


def median_seconds(repetitions: int, *calls: Callable[[], Any]) -> list[float]:
    """Return the median seconds of each call, over `repetitions` rounds after one to warm up.

    Args:
        repetitions: number of rounds that are timed; in each round every call is called once.
        calls: functions that return when their work is done.
    """
    seconds: list[list[float]] = [[] for _ in calls]
    for _ in range(1 + repetitions):
        for call, times in zip(calls, seconds, strict=True):
            began = time.perf_counter()
            call()
            times.append(time.perf_counter() - began)
    return [statistics.median(times[1:]) for times in seconds]


def inner_step(task: Task) -> tuple[float, int]:
    """Return the operations of one inner step of one particle, and the bytes that it must move.

    The operations are those that XLA counts, at least 1; the bytes are those of θ and twice those
    of the state.

    Args:
        task: the inner problem.
    """
    key = jax.random.key(0)
    theta = jax.eval_shape(task.init_theta, key)
    state = jax.eval_shape(task.init_state, key, theta)
    step = jax.jit(task.step).lower(key, theta, state, jnp.int32(0))
    flops = step.cost_analysis()["flops"]
    return max(1.0, flops), _bytes(theta) + 2 * _bytes(state)


def _bytes(tree: Any) -> int:
    """Return the size of a tree of arrays."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
