"""Settings that several test modules share."""

import jax
import pytest


@pytest.fixture
def float64():
    """Run a test in double precision, where jax refuses to promote a rank or a dtype silently."""
    with (
        jax.enable_x64(True),
        jax.numpy_rank_promotion("raise"),
        jax.numpy_dtype_promotion("strict"),
    ):
        yield


@pytest.fixture
def quick_compile():
    """Let XLA skip most optimizations: many small programs take their time to compile."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)
