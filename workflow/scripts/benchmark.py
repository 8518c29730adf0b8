"""Speed on one core, through the public API and the generic runner: config/benchmarks.yaml.

Every case runs in a process of its own with NPROC=1 and prints seconds to compile, particle-steps
per second (median of 5 calls after a warm-up; both signs of a pair counted) and peak memory.
"""

import argparse
import functools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import yaml

from workflow.lib import provenance
from workflow.lib.spec import WORKFLOW

REPETITIONS = 5
MATMUL_SIZE = 1024
MNIST_SHAPE = (50_000, 28, 28)
SYMBOLS, CHARACTERS = 84, 1_001


def measure(case: Mapping[str, Any]) -> dict[str, float]:
    """Return compile_s, steps_per_s, matmul_flops (per second) and peak_memory_mb of one case."""
    import jax
    import jax.numpy as jnp
    import optax

    from workflow.lib import build, compute, meta_training

    parts = {part: _split(case[part]) for part in ("task", "estimator")}
    task = build.task(parts, _data(case["task"]["name"], case.get("images", MNIST_SHAPE)))
    estimator = build.estimator(parts, task)
    optimizer, keys = optax.sgd(1e-9), compute.seed_keys(range(1))
    start = compute.Program(
        compute.over_seeds(functools.partial(meta_training.start, task, estimator, optimizer))
    )
    train = compute.Program(
        compute.over_seeds(
            functools.partial(meta_training.train, task, estimator, optimizer, case["outer_steps"])
        ),
        donate=(0,),
    )
    carry, first = start(keys), jnp.zeros(1, jnp.int32)

    def step() -> float:
        nonlocal carry
        carry, means = train(carry, keys, first)
        return case["outer_steps"] * float(means["inner_steps"][0])

    inner_steps = step()
    matrix = jnp.ones((MATMUL_SIZE, MATMUL_SIZE), jnp.float32)
    product = jax.jit(jnp.matmul)
    step_s, matmul_s = _median_seconds(step, lambda: jax.block_until_ready(product(matrix, matrix)))
    return {
        "compile_s": start.compile_s + train.compile_s,
        "steps_per_s": inner_steps / step_s,
        "matmul_flops": 2 * MATMUL_SIZE**3 / matmul_s,
        "peak_memory_mb": provenance.peak_memory_mb(),
    }


def _split(part: Mapping[str, Any]) -> dict[str, Any]:
    """Return a part as specifications hold it: its name, and its hyperparameters as `args`."""
    return {"name": part["name"], "args": {k: v for k, v in part.items() if k != "name"}}


def _data(task: str, shape: Sequence[int]) -> dict[str, np.ndarray] | None:
    """Return random arrays for a task that needs data: images of this shape, or a text."""
    rng = np.random.default_rng(0)
    if task in ("lr_schedule", "learned_optimizer"):
        images = rng.integers(0, 256, shape, np.uint8)
        labels = rng.integers(0, 10, len(images), np.int32)
        train = {"train_images": images, "train_labels": labels}
        return train | {"validation_images": images[:1000], "validation_labels": labels[:1000]}
    if task == "char_lstm":
        tokens = rng.integers(0, SYMBOLS, CHARACTERS, np.int32)
        return {"train_tokens": tokens, "vocabulary": np.arange(SYMBOLS)}
    return None


def _median_seconds(*calls: Callable[[], Any]) -> list[float]:
    """Return the median time of each call, taken in turns after one warm-up; a call waits."""
    seconds: list[list[float]] = [[] for _ in calls]
    for _ in range(1 + REPETITIONS):
        for call, times in zip(calls, seconds, strict=True):
            began = time.perf_counter()
            call()
            times.append(time.perf_counter() - began)
    return [statistics.median(times[1:]) for times in seconds]


def _report(name: str, case: Mapping[str, Any], result: Mapping[str, float]) -> str:
    """Return one line: speed, share of the matmul rate where it is known, and the floor."""
    steps, share = result["steps_per_s"], None
    speed = f"{steps / 1e6:8.2f} M/s" if steps > 1e6 else f"{steps:8.0f} /s "
    if "flops" in case:
        share = steps * case["flops"] / result["matmul_flops"]
    floor = case.get("floor", {})
    checks = [steps / 1e6 >= floor["million_steps_per_s"]] if "million_steps_per_s" in floor else []
    checks += [share >= floor["matmul_share"]] if "matmul_share" in floor else []
    (wanted,) = floor.items() or [("", "")]
    verdict = f"floor {wanted[1]} {wanted[0]}: {'ok' if all(checks) else 'BELOW'}" if checks else ""
    of_matmul = f"{share:4.0%} of matmul" if share is not None else ""
    return (
        f"{name:36} {speed}  {of_matmul:14}  compile {result['compile_s']:5.2f} s"
        f"  peak {result['peak_memory_mb']:5.0f} MB  {verdict}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; `arguments` defaults to that of the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", help="measure one case in this process and print it as JSON")
    options = parser.parse_args(arguments)
    source = WORKFLOW / "config" / "benchmarks.yaml"
    cases = yaml.safe_load(source.read_text(encoding="utf-8"))
    if options.case:
        print(json.dumps(measure(cases[options.case])))
        return
    for name, case in cases.items():
        command = [sys.executable, "-m", "workflow.scripts.benchmark", "--case", name]
        environment = {**os.environ, "NPROC": "1"}
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
        print(_report(name, case, json.loads(done.stdout)), flush=True)


if __name__ == "__main__":
    main()
