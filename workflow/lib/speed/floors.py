"""The cases of workflow/config/benchmarks.yaml: speeds below which the artifact must not fall."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from workflow.lib import protocols
from workflow.lib.common import store
from workflow.lib.common.paths import WORKFLOW
from workflow.lib.speed import throughput

MNIST_SHAPE = (50_000, 28, 28)
SYMBOLS, CHARACTERS = 84, 1_001


@functools.cache
def cases() -> dict[str, Any]:
    """Return benchmarks.yaml."""
    return store.read_yaml(WORKFLOW / "config/benchmarks.yaml")


def measure(name: str) -> dict[str, Any]:
    """Return the speed of a case of benchmarks.yaml, in this process, and whether it is enough.

    Args:
        name: a name in `cases()`.
    """
    return judged(name, cases()[name], speed(cases()[name]))


def speed(case: Mapping[str, Any]) -> throughput.Throughput:
    """Return the speed of a task and an estimator as a case describes them, in this process."""
    job = {name: _specified(case[name]) for name in ("task", "estimator")}
    task = protocols.make_task(job, _data(case["task"]["name"], case.get("images", MNIST_SHAPE)))
    return throughput.measure(task, protocols.estimator_factory(job), case["outer_steps"])


def judged(name: str, case: Mapping[str, Any], speed: throughput.Throughput) -> dict[str, Any]:
    """Return a speed with the floor of its case, and whether it is reached.

    A floor is a number of particle-steps, or a share of the core's rate at a matrix product. That
    share is known where benchmarks.yaml says how many operations a particle-step takes.

    Returns:
        The fields of `speed`; `case`, `matmul_share` (None: not known), `floor` ("": none is set)
        and `reached` (None without floor).
    """
    share = None
    if "flops" in case:
        share = speed.steps_per_s * case["flops"] / speed.matmul_flops
    reached = {"million_steps_per_s": speed.steps_per_s / 1e6, "matmul_share": share}
    ((kind, least),) = case.get("floor", {"": None}).items()
    return {
        "case": name,
        **speed._asdict(),
        "matmul_share": share,
        "floor": f"{least} {kind}".strip() if kind else "",
        "reached": reached[kind] >= least if kind else None,
    }


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
