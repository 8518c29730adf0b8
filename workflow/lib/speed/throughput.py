"""How fast an estimator trains on this machine, in the code that a job runs."""

import functools
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

REPETITIONS = 5
MATMUL_SIZE = 1024
LEARNING_RATE = 1e-9


class Throughput(NamedTuple):
    """What was measured.

    Attributes:
        compile_s: seconds to compile.
        step_s: seconds of one outer step, the median over repetitions.
        steps_per_s: particle-steps per second.
        matmul_flops: per second, of a 1024x1024 float32 matrix product in the same process.
        peak_memory_mb: of the whole process so far.
    """

    compile_s: float
    step_s: float
    steps_per_s: float
    matmul_flops: float
    peak_memory_mb: float


def measure(
    task: Task,
    factory: Factory,
    outer_steps: int,
    repetitions: int = REPETITIONS,
) -> Throughput:
    """Measure the speed of training, and of a matrix product in the same process.

    Both are called once to warm up, and then in turns, `repetitions` times each.

    Args:
        task: the inner problem.
        factory: `task -> Estimator`.
        outer_steps: updates of θ in one call of the compiled program.
        repetitions: number of calls that are timed.
    """
    steps, programs = trainer(task, factory, outer_steps)
    matrix = jnp.ones((MATMUL_SIZE, MATMUL_SIZE), jnp.float32)
    product = jax.jit(jnp.matmul)
    calls = (steps, lambda: jax.block_until_ready(product(matrix, matrix)))
    seconds, matmul_s = median_seconds(repetitions, *calls)
    return Throughput(
        compile_s=sum(program.compile_s for program in programs),
        step_s=seconds / outer_steps,
        steps_per_s=outer_steps * per_update(task, factory) / seconds,
        matmul_flops=2 * MATMUL_SIZE**3 / matmul_s,
        peak_memory_mb=provenance.peak_memory_mb(),
    )


def trainer(
    task: Task, factory: Factory, outer_steps: int
) -> tuple[Callable[[], None], list[_compute.Program]]:
    """Return a function that runs `outer_steps` more steps at each call, and its programs.

    Args:
        task: the inner problem.
        factory: `task -> Estimator`.
        outer_steps: updates of θ in one call.
    """
    parts, keys = (task, factory, optax.sgd(LEARNING_RATE)), _compute.seed_keys(range(1))
    start = _compute.Program(_compute.over_seeds(functools.partial(_training.start, *parts)))
    train = functools.partial(_training.train, *parts, outer_steps)
    advance = _compute.Program(_compute.over_seeds(train), donate=(0,))
    carry, first = start(keys), jnp.zeros(1, jnp.int32)

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
