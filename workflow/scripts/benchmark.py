"""Speed on one core, through the public API and the generic runner: config/benchmarks.yaml.

Every case runs in a process of its own with NPROC=1 and prints seconds to compile, particle-steps
per second (median of 5 calls after a warm-up; both signs of a pair counted) and peak memory. With
--estimate it prints how long experiments at the paper's constants would take on a GPU.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import yaml

from workflow.lib import protocols
from workflow.lib.common.paths import WORKFLOW
from workflow.lib.speed import gpu_time, throughput

MNIST_SHAPE = (50_000, 28, 28)
SYMBOLS, CHARACTERS = 84, 1_001


def measure(case: Mapping[str, Any]) -> throughput.Throughput:
    """Return the speed of one case of benchmarks.yaml, in this process."""
    parts = {part: _split(case[part]) for part in ("task", "estimator")}
    data = _data(case["task"]["name"], case.get("images", MNIST_SHAPE))
    task = protocols.make_task(parts, data)
    factory = protocols.estimator_factory(parts)
    return throughput.measure(task, factory, case["outer_steps"])


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


def _estimate_line(name: str, cost: Mapping[str, float]) -> str:
    """Return one line: the cost of an experiment."""
    return (
        f"{name:36} {cost['particle_steps']:9.2g} particle-steps"
        f"  {cost['core_hours']:9.3g} h on one core here  {cost['gpu_hours']:9.3g} h on the GPU"
    )


def _in_a_process(option: str, name: str) -> dict[str, float]:
    """Measure in a process of its own, on one core; return what it prints."""
    command = [sys.executable, "-m", "workflow.scripts.benchmark", option, name]
    environment = {**os.environ, "NPROC": "1"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def _cases() -> dict[str, Any]:
    """Return benchmarks.yaml."""
    return yaml.safe_load((WORKFLOW / "config/benchmarks.yaml").read_text(encoding="utf-8"))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; `arguments` defaults to that of the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only", nargs="+", metavar="CASE", help="the cases to measure (default: all)"
    )
    parser.add_argument(
        "--estimate",
        nargs="+",
        metavar="EXPERIMENT",
        help="print the GPU time of these experiments at the paper's constants instead",
    )
    parser.add_argument("--case", help="measure one case in this process and print it as JSON")
    parser.add_argument("--cost", help="estimate one experiment in this process, likewise")
    options = parser.parse_args(arguments)
    if options.case:
        print(json.dumps(measure(_cases()[options.case])._asdict()))
    elif options.cost:
        print(json.dumps(gpu_time.estimate(options.cost)._asdict()))
    elif options.estimate:
        gpu = gpu_time.gpu()
        print(f"{gpu['name']}, {gpu['float32_flops'] / 1e12:g} TFLOP/s float32 ({gpu['source']});")
        print("assumed to reach the share of it that this core reaches of its matmul rate")
        for name in options.estimate:
            print(_estimate_line(name, _in_a_process("--cost", name)), flush=True)
    else:
        cases = _cases()
        for name in options.only or cases:
            print(_report(name, cases[name], _in_a_process("--case", name)), flush=True)


if __name__ == "__main__":
    main()
