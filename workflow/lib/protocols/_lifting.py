"""Programs that differ only in the arrays that they close over, compiled once for all of them."""

from collections.abc import Callable
from typing import Any

import jax

from workflow.lib.protocols._compute import Program


def lifted(fn: Callable, *args: Any) -> tuple[Program, list[jax.Array]]:
    """Return a program and arrays with `program(arrays, *args) == fn(*args)`.

    The arrays are those that `fn` closes over, say the text that a task reads. Programs that differ
    in nothing else are equal in the compilation cache, and so are compiled only once.

    Args:
        fn: of arrays, or trees of them.
        args: examples: only their shapes and types matter.
    """
    closed, shapes = jax.make_jaxpr(fn, return_shape=True)(*args)

    def evaluate(arrays: list[jax.Array], *args: Any) -> Any:
        leaves = jax.core.eval_jaxpr(closed.jaxpr, arrays, *jax.tree.leaves(args))
        return jax.tree.unflatten(jax.tree.structure(shapes), leaves)

    return Program(evaluate), closed.consts
