"""How jobs compute: jax settings, seeds, compilation, progress, checkpoints.

All protocols share this: one compiled program per job with all its seeds inside, run in chunks,
with Python between chunks only. On a CPU seeds are mapped one after another (`lax.map`: a reset
stays a real branch, caches hold one seed's state); on a GPU they are mapped together (`vmap`).
"""

import logging
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd

from estimators.base import Estimator
from tasks.base import Key, Theta, stream
from workflow.lib.common import store

LOGGER = logging.getLogger(__name__)
SAMPLE_BYTES = 2**20
CHECKPOINT_SECONDS = 20.0


class Outcome(NamedTuple):
    """What a protocol returns.

    Attributes:
        rows: tidy results with the columns seed, outer_step, cell, inner_steps, metric, value.
        status: of each seed: "ok", "diverged", or the `final_status` of a curriculum.
        timings: seconds by what they went into: compile_s, run_s, evaluate_s; and restarts.
    """

    rows: pd.DataFrame
    status: dict[int, str]
    timings: dict[str, float]


def configure() -> None:
    """Pin the settings that results depend on, and keep compiled programs between processes."""
    jax.config.update("jax_threefry_partitionable", True)
    # Full float32: a GPU's shorter products round a small perturbation away.
    jax.config.update("jax_default_matmul_precision", "highest")
    jax.config.update("jax_compilation_cache_dir", str(Path("results/.compiled").resolve()))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def over_seeds(fn: Callable) -> Callable:
    """Map `fn(*args)` over the leading axis of all its arguments, as suits the device.

    On a CPU seeds run one after the other, elsewhere side by side. A single seed is never under
    vmap, which would compute both branches of every conditional.
    """

    def mapped(*args: Any) -> Any:
        alone = len(jax.tree.leaves(args)[0]) == 1
        if alone or jax.default_backend() == "cpu":
            return jax.lax.map(lambda xs: fn(*xs), args)
        return jax.vmap(fn)(*args)

    return mapped


def seed_keys(seeds: range) -> jax.Array:
    """Return the root key of every seed, [seeds]."""
    return jax.vmap(jax.random.key)(jax.numpy.asarray(seeds, jax.numpy.uint32))


def step_keys(key: Key, steps: jax.Array) -> Key:
    """Return the keys of outer steps, [n], whose numbers are `steps`, [n]."""
    return jax.vmap(lambda step: jax.random.fold_in(stream(key, "steps"), step))(steps)


def scan_samples(
    estimator: Estimator, update: Callable, carry: Any, theta: Theta, keys: Key
) -> tuple[Any, Any]:
    """Return `lax.scan(update, carry, samples)`, one sample of the estimator for each key.

    Samples are drawn `SAMPLE_BYTES` at a time: many calls would cost more in overhead than in
    arithmetic, one call for all steps would fill the memory.

    Args:
        estimator: whose `sample` draws.
        update: `(carry, sample) -> (carry, output)`.
        carry: the state to begin with.
        theta: outer parameters; only their shapes matter.
        keys: one for each step, [steps].
    """
    sample = jax.eval_shape(estimator.sample, keys[0], theta)
    size = sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(sample))
    most = min(max(1, SAMPLE_BYTES // size), len(keys))
    block_size = max(n for n in range(1, most + 1) if len(keys) % n == 0)

    def block(carry: Any, keys: jax.Array) -> tuple[Any, Any]:
        samples = jax.vmap(estimator.sample, in_axes=(0, None))(keys, theta)
        return jax.lax.scan(update, carry, samples)

    carry, outputs = jax.lax.scan(block, carry, keys.reshape(-1, block_size))
    return carry, jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), outputs)


class Program:
    """A function that is compiled once, with the seconds of its compilation and its runs."""

    def __init__(self, fn: Callable, donate: tuple[int, ...] = ()) -> None:
        self._jitted = jax.jit(fn, donate_argnums=donate)
        self._compiled: Callable | None = None
        self.compile_s = 0.0
        self.run_s = 0.0

    def __call__(self, *args: Any) -> Any:
        """Run the program and wait for its result; the first call compiles it."""
        if self._compiled is None:
            start = time.perf_counter()
            self._compiled = self._jitted.lower(*args).compile()
            self.compile_s += time.perf_counter() - start
        start = time.perf_counter()
        result = jax.block_until_ready(self._compiled(*args))
        self.run_s += time.perf_counter() - start
        return result


def timings(run: Program, evaluate: Program | None = None, *others: Program) -> dict[str, float]:
    """Return the seconds that compiling all programs, running and evaluating took.

    Args:
        run: the program that does the work.
        evaluate: the one that evaluates, where that is a program of its own.
        others: more that do the work.
    """
    work = (run, *others)
    compile_s = sum(program.compile_s for program in (*work, evaluate) if program)
    run_s = sum(program.run_s for program in work)
    return {
        "compile_s": compile_s,
        "run_s": run_s,
        "evaluate_s": evaluate.run_s if evaluate else 0.0,
    }


class Checkpoint:
    """The resumable state of a job: a tree of arrays, the rows so far, and a position.

    Attributes:
        restarts: how often the job has resumed.
    """

    def __init__(
        self, path: Path, identity: Mapping[str, Any], interval_s: float = CHECKPOINT_SECONDS
    ) -> None:
        """Open a checkpoint; one of another specification, other code or other data is ignored.

        Args:
            path: the file.
            identity: plain JSON data that must be equal for a checkpoint to be of use.
            interval_s: seconds between two saves, at least.
        """
        self.path, self.identity, self.interval_s = path, dict(identity), interval_s
        self.restarts = 0
        self._saved = time.monotonic()

    def load(self, tree: Any) -> tuple[int, Any, list[dict[str, np.ndarray]]] | None:
        """Return (position, tree, rows) as last saved, or None; `tree` gives the structure."""
        stored = store.load_checkpoint(self.path)
        if stored is None or stored[1]["identity"] != self.identity:
            return None
        arrays, meta = stored
        leaves, structure = jax.tree.flatten(tree)
        loaded = [_from_numpy(arrays[f"leaf/{i}"], leaf) for i, leaf in enumerate(leaves)]
        rows: list[dict[str, np.ndarray]] = [{} for _ in range(meta["points"])]
        for name, array in arrays.items():
            if name.startswith("rows/"):
                _, index, column = name.split("/", 2)
                rows[int(index)][column] = array
        self.restarts = meta["restarts"] + 1
        LOGGER.info("resumes at %d from %s", meta["position"], self.path)
        return meta["position"], jax.tree.unflatten(structure, loaded), rows

    def save(self, position: int, tree: Any, rows: list[dict[str, np.ndarray]]) -> None:
        """Save unless the last time was under `interval_s` ago."""
        if time.monotonic() - self._saved < self.interval_s:
            return
        arrays = {f"leaf/{i}": _to_numpy(leaf) for i, leaf in enumerate(jax.tree.leaves(tree))}
        for i, row in enumerate(rows):
            arrays |= {f"rows/{i}/{name}": array for name, array in row.items()}
        meta = {
            "identity": self.identity,
            "position": position,
            "points": len(rows),
            "restarts": self.restarts,
        }
        store.save_checkpoint(self.path, arrays, meta)
        self._saved = time.monotonic()

    def remove(self) -> None:
        """Remove the file, once the result is written."""
        self.path.unlink(missing_ok=True)


def _to_numpy(leaf: jax.Array) -> np.ndarray:
    """Return an array, or the bits of a PRNG key, on the host."""
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    return np.asarray(leaf)


def _from_numpy(array: np.ndarray, like: jax.Array) -> jax.Array:
    """Return the inverse of `_to_numpy`; `like` tells whether it is a PRNG key."""
    leaf = jax.numpy.asarray(array)
    if jax.dtypes.issubdtype(like.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(leaf)
    return leaf


def log_point(
    num_seeds: int, metrics: Mapping[str, Any], outer_step: int, inner_steps: Any, cell: int = 0
) -> dict[str, np.ndarray]:
    """Return one log point: its place and its metrics, each [seeds]; `tidy` makes rows of them.

    Args:
        num_seeds: of the job.
        metrics: by name; arrays, [seeds], or one number for all seeds.
        outer_step: updates of θ so far.
        inner_steps: compute so far, [seeds] or one number for all seeds.
        cell: of a grid, where there is one.
    """
    place = {"outer_step": outer_step, "cell": cell, "inner_steps": inner_steps}
    point = {name: np.full(num_seeds, value, np.int64) for name, value in place.items()}
    return point | {name: np.full(num_seeds, x, np.float64) for name, x in metrics.items()}


def with_best(points: list[dict[str, np.ndarray]]) -> list[dict[str, np.ndarray]]:
    """Return log points with `best_meta_loss`, the lowest `meta_loss` so far, NaN left out."""
    best = np.fmin.accumulate([point["meta_loss"] for point in points])
    return [point | {"best_meta_loss": lowest} for point, lowest in zip(points, best, strict=True)]


def tidy(seeds: range, points: list[dict[str, np.ndarray]]) -> pd.DataFrame:
    """Return the rows of a job from its points.

    Args:
        seeds: the seeds of the job.
        points: see `log_point`.
    """
    index = {"outer_step": np.int32, "cell": np.int32, "inner_steps": np.int64}
    names = ("seed", *index, "metric", "value")
    columns: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for point in points:
        for metric in [name for name in point if name not in index]:
            columns["seed"].append(np.asarray(seeds, np.int32))
            columns["metric"].append(np.full(len(seeds), metric, object))
            columns["value"].append(np.asarray(point[metric], np.float64))
            for name, dtype in index.items():
                columns[name].append(point[name].astype(dtype))
    return pd.DataFrame({name: np.concatenate(parts) for name, parts in columns.items()})
