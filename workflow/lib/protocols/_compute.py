"""How jobs compute: jax settings, seeds, keys, compilation.

All protocols share this: one compiled program per job with all its seeds inside, run in chunks,
with Python between chunks only. On a CPU seeds are mapped one after another (`lax.map`: a reset
stays a real branch, caches hold one seed's state); on a GPU they are mapped together (`vmap`).
"""

import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

from estimators.base import Estimator
from tasks.base import Key, Theta, stream

SAMPLE_BYTES = 2**20
# What a user's variables (JAX_ENABLE_X64 and so on) say does not count: other bits, or an error.
PINNED = {
    "jax_enable_x64": False,
    "jax_default_prng_impl": "threefry2x32",
    "jax_threefry_partitionable": True,
    "jax_random_seed_offset": 0,
    # Full float32: a GPU's shorter products round a small perturbation away.
    "jax_default_matmul_precision": "highest",
    "jax_numpy_dtype_promotion": "standard",
    "jax_numpy_rank_promotion": "allow",
    "jax_softmax_custom_jvp": False,
    "jax_disable_jit": False,
    "jax_disable_most_optimizations": False,
    "jax_debug_nans": False,
    "jax_debug_infs": False,
    "jax_debug_key_reuse": False,
    "jax_legacy_prng_key": "allow",
}


def pin() -> None:
    """Pin the settings that results depend on, whatever the user's variables say.

    Raises:
        RuntimeError: jax cannot compute here, say because JAX_PLATFORMS names a card that is not
            there; one line.
    """
    for name, value in PINNED.items():
        jax.config.update(name, value)
    # jax has read the variable when it was imported, before `cards` could set it.
    jax.config.update("jax_platforms", os.environ.get("JAX_PLATFORMS"))
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:
        asked = os.environ.get("JAX_PLATFORMS", "")
        raise RuntimeError(
            f"jax finds no device with JAX_PLATFORMS={asked}; run it with JAX_PLATFORMS=cpu, "
            "or install what jax needs for the device (ARTIFACT.md)"
        ) from error


def configure() -> None:
    """Pin the settings that results depend on, and keep compiled programs for later processes."""
    pin()
    jax.config.update("jax_compilation_cache_dir", str(Path("results/.compiled").resolve()))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def first_devices(count: int) -> list[jax.Device]:
    """Return devices of this process.

    Args:
        count: how many.

    Raises:
        ValueError: there are fewer.
    """
    there = jax.devices()
    if count > len(there):
        kind = there[0].platform
        hint = f"; JAX_NUM_CPU_DEVICES={count} simulates them" if kind == "cpu" else ""
        raise ValueError(
            f"devices={count}, but here jax finds {len(there)} of them ({kind}); "
            f"take devices={len(there)} at most{hint}"
        )
    return there[:count]


def over_seeds(fn: Callable) -> Callable:
    """Return `fn` mapped over the leading axis, [seeds], of all its arguments.

    On a CPU the seeds run one after the other, elsewhere side by side under vmap. A single seed
    never runs under vmap, which would compute both branches of every conditional.
    """

    def mapped(*args: Any) -> Any:
        alone = len(jax.tree.leaves(args)[0]) == 1
        if alone or jax.default_backend() == "cpu":
            return jax.lax.map(lambda xs: fn(*xs), args)
        return jax.vmap(fn)(*args)

    return mapped


def seed_keys(seeds: range) -> jax.Array:
    """Return the root key of every seed, typed PRNG keys [seeds]."""
    return jax.vmap(jax.random.key)(jax.numpy.asarray(seeds, jax.numpy.uint32))


def step_keys(key: Key, steps: jax.Array) -> Key:
    """Return one key for each outer step.

    Args:
        key: root key of a seed.
        steps: int32 [n], numbers of the outer steps.

    Returns:
        Typed PRNG keys, [n].
    """
    return jax.vmap(lambda step: jax.random.fold_in(stream(key, "steps"), step))(steps)


def scan_samples(
    estimator: Estimator, update: Callable, carry: Any, theta: Theta, keys: Key
) -> tuple[Any, Any]:
    """Run `lax.scan(update, carry, samples)`, one sample of the estimator for each key.

    Samples are drawn in blocks of at most `SAMPLE_BYTES`. One call for each step would cost more in
    overhead than in arithmetic; one call for all steps would fill the memory.

    Args:
        estimator: its `sample` draws the samples.
        update: `(carry, sample) -> (carry, output)`, one step.
        carry: the state before the first step.
        theta: outer parameters; only their shapes matter.
        keys: typed PRNG keys [steps], one for each step.

    Returns:
        The state after the last step, and the outputs of all steps, stacked: [steps, ...].
    """
    sample = jax.eval_shape(estimator.sample, keys[0], theta)
    size = sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(sample))
    # The largest divisor of the number of steps that keeps a block within SAMPLE_BYTES.
    most = min(max(1, SAMPLE_BYTES // size), len(keys))
    block_size = max(n for n in range(1, most + 1) if len(keys) % n == 0)

    def block(carry: Any, keys: jax.Array) -> tuple[Any, Any]:
        samples = jax.vmap(estimator.sample, in_axes=(0, None))(keys, theta)
        return jax.lax.scan(update, carry, samples)

    carry, outputs = jax.lax.scan(block, carry, keys.reshape(-1, block_size))
    return carry, jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), outputs)


class DoesNotFit(ValueError):
    """A program plans with more memory than its device has.

    Args:
        needed: bytes that it plans with.
        limit: bytes that the device has.
    """

    def __init__(self, needed: int, limit: int) -> None:
        super().__init__(f"needs {needed / 1e9:.3g} GB of memory and has {limit / 1e9:.3g} GB")
        self.needed, self.limit = needed, limit


def memory_limit() -> int | None:
    """Return the bytes that programs may take on a device; None where none is told, as of a CPU."""
    return (jax.devices()[0].memory_stats() or {}).get("bytes_limit")


class Program:
    """A function that is compiled once, and the seconds that compiling and running it took.

    Attributes:
        compile_s: seconds of the compilation.
        run_s: seconds of all calls so far, without the compilation.
    """

    def __init__(self, fn: Callable, donate: tuple[int, ...] = ()) -> None:
        self._jitted = jax.jit(fn, donate_argnums=donate)
        self._compiled: Callable | None = None
        self.compile_s = 0.0
        self.run_s = 0.0

    def __call__(self, *args: Any) -> Any:
        """Run the program and wait for its result; the first call compiles it.

        Raises:
            DoesNotFit: it plans with more memory than its device has.
        """
        if self._compiled is None:
            start = time.perf_counter()
            self._compiled = self._jitted.lower(*args).compile()
            self.compile_s += time.perf_counter() - start
            limit = memory_limit()
            if limit is not None and self.memory_bytes() > limit:
                raise DoesNotFit(self.memory_bytes(), limit)
        start = time.perf_counter()
        result = jax.block_until_ready(self._compiled(*_moved(args, self._compiled)))
        self.run_s += time.perf_counter() - start
        return result

    def memory_bytes(self) -> int:
        """Return what the compiled program plans with: arguments, results and scratch, in bytes."""
        plan = self._compiled.memory_analysis()
        sizes = (plan.argument_size_in_bytes, plan.output_size_in_bytes, plan.temp_size_in_bytes)
        return int(sum(sizes) - plan.alias_size_in_bytes)


def _moved(args: Any, compiled: jax.stages.Compiled) -> Any:
    """Return arguments spread over devices as a program wants them; one device changes nothing.

    What a program returns is spread as it likes: small arrays of a state not as they were before.
    """
    leaves, tree = jax.tree.flatten(args)
    places = jax.tree.leaves(compiled.input_shardings[0], is_leaf=lambda place: place is None)
    moved = [
        leaf if place is None or len(place.device_set) == 1 else jax.device_put(leaf, place)
        for leaf, place in zip(leaves, places, strict=True)
    ]
    return jax.tree.unflatten(tree, moved)


def timings(run: Program, evaluate: Program | None = None, *others: Program) -> dict[str, float]:
    """Return where the seconds of a job went.

    Args:
        run: the program that does the work.
        evaluate: the program that evaluates; None if the job has none.
        others: further programs that do the work.

    Returns:
        `compile_s`, of all programs; `run_s`, of those that do the work; and `evaluate_s`.
    """
    work = (run, *others)
    compile_s = sum(program.compile_s for program in (*work, evaluate) if program)
    run_s = sum(program.run_s for program in work)
    return {
        "compile_s": compile_s,
        "run_s": run_s,
        "evaluate_s": evaluate.run_s if evaluate else 0.0,
    }


def lifted(fn: Callable, *args: Any) -> tuple[Program, list[jax.Array]]:
    """Turn the arrays that `fn` closes over, say the text that a task reads, into an argument.

    Two functions that differ only in these arrays then have the same compiled program, which the
    compilation cache keeps once.

    Args:
        fn: a function of arrays, or of trees of arrays.
        args: examples of its arguments; only their shapes and types matter.

    Returns:
        A program and a list of arrays with `program(arrays, *args) == fn(*args)`.
    """
    closed, shapes = jax.make_jaxpr(fn, return_shape=True)(*args)

    def evaluate(arrays: list[jax.Array], *args: Any) -> Any:
        leaves = jax.core.eval_jaxpr(closed.jaxpr, arrays, *jax.tree.leaves(args))
        return jax.tree.unflatten(jax.tree.structure(shapes), leaves)

    return Program(evaluate), closed.consts
