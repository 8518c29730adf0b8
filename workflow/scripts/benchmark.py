"""Measure the speed of estimators on one core, or how long experiments would take on a GPU.

A case of workflow/config/benchmarks.yaml is measured in a process of its own with NPROC=1. Its line
says particle-steps per second (median of 5 calls after a warm-up; both signs of a pair counted),
seconds to compile, and peak memory.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from workflow.lib import protocols
from workflow.lib.common import store
from workflow.lib.common.command import parser
from workflow.lib.common.paths import WORKFLOW
from workflow.lib.plan import spec
from workflow.lib.speed import gpu_time, throughput

MNIST_SHAPE = (50_000, 28, 28)
SYMBOLS, CHARACTERS = 84, 1_001


def measure(case: Mapping[str, Any]) -> throughput.Throughput:
    """Return the speed of one case of benchmarks.yaml, in this process."""
    job = {name: _specified(case[name]) for name in ("task", "estimator")}
    task = protocols.make_task(job, _data(case["task"]["name"], case.get("images", MNIST_SHAPE)))
    return throughput.measure(task, protocols.estimator_factory(job), case["outer_steps"])


def _specified(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return a task or an estimator of a case as a job's specification holds it."""
    return {"name": entry["name"], "args": {k: v for k, v in entry.items() if k != "name"}}


def _data(task: str, shape: Sequence[int]) -> dict[str, np.ndarray] | None:
    """Return random arrays for a task that needs data: images of this shape, or a text."""
    rng = np.random.default_rng(0)
    if task in ("lr_schedule", "learned_optimizer", "resnet"):
        images = rng.integers(0, 256, shape, np.uint8)
        labels = rng.integers(0, 10, len(images), np.int32)
        train = {"train_images": images, "train_labels": labels}
        return train | {"validation_images": images[:1000], "validation_labels": labels[:1000]}
    if task == "char_lstm":
        tokens = rng.integers(0, SYMBOLS, CHARACTERS, np.int32)
        return {"train_tokens": tokens, "vocabulary": np.arange(SYMBOLS)}
    return None


def _report(name: str, case: Mapping[str, Any], result: Mapping[str, float]) -> str:
    """Return one line: the speed, and how it compares with the floor that benchmarks.yaml sets.

    A floor is a number of particle-steps, or a share of the core's rate at a matrix product. That
    share is known where benchmarks.yaml says how many operations a particle-step takes.
    """
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


def _hours(name: str, cost: Mapping[str, float]) -> str:
    """Return one line: how long an experiment takes on a core and on the GPU."""
    return (
        f"{name:36} {cost['particle_steps']:9.2g} particle-steps"
        f"  {cost['core_hours']:9.3g} h on one core here  {cost['gpu_hours']:9.3g} h on the GPU"
    )


def _in_a_process(option: str, name: str) -> dict[str, float]:
    """Start this script with one option, on one core; return the numbers that it prints."""
    command = [sys.executable, "-m", "workflow.scripts.benchmark", option, name]
    environment = {**os.environ, "NPROC": "1"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def _cases() -> dict[str, Any]:
    """Return benchmarks.yaml."""
    return store.read_yaml(WORKFLOW / "config/benchmarks.yaml")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; `arguments` defaults to that of the process."""
    cases = _cases()
    command = parser("benchmark", __doc__)
    command.add_argument(
        "--only", nargs="+", metavar="CASE", choices=cases, help="measure only these (default: all)"
    )
    command.add_argument(
        "--gpu-time",
        nargs="+",
        metavar="EXPERIMENT",
        choices=spec.experiments(),
        help="print the hours that these experiments would take at the paper's constants instead",
    )
    command.add_argument("--case", metavar="CASE", help="measure one case here, print JSON")
    command.add_argument("--cost", metavar="EXPERIMENT", help="the GPU time of one, likewise")
    options = command.parse_args(arguments)
    if options.case:
        print(json.dumps(measure(cases[options.case])._asdict()))
    elif options.cost:
        print(json.dumps(gpu_time.cost(options.cost)._asdict()))
    elif options.gpu_time:
        _print_gpu_time(options.gpu_time)
    else:
        for name in options.only or cases:
            print(_report(name, cases[name], _in_a_process("--case", name)), flush=True)


def _print_gpu_time(experiments: Sequence[str]) -> None:
    """Print the GPU that is assumed, then a line for each experiment."""
    gpu = gpu_time.gpu()
    print(f"{gpu['name']}, {gpu['float32_flops'] / 1e12:g} TFLOP/s float32 ({gpu['source']});")
    print("assumed to reach the share of it that this core reaches of its matmul rate")
    for name in experiments:
        print(_hours(name, _in_a_process("--cost", name)), flush=True)


if __name__ == "__main__":
    main()
