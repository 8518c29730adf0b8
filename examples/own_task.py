"""Tune gradient descent in a curved valley with ES-Single: python -m examples.own_task."""

import jax
import jax.numpy as jnp
import optax

import estimators
from tasks.base import Array, Key, Task, summed_loss


def height(x: Array) -> Array:
    """Return the height of the valley at x, [2]: 0 at (1, 1)."""
    return (1 - x[0]) ** 2 + 10 * (x[1] - x[0] ** 2) ** 2


def begin(key: Key, theta: Array) -> tuple[Array, Array]:
    """Return where an inner problem begins: a place, and no velocity."""
    return jnp.array([-1.0, 1.0]), jnp.zeros(2)


def step(key: Key, theta: Array, state: tuple, t: Array) -> tuple[tuple, Array]:
    """Return the state after a step with log learning rate θ₀ and momentum σ(θ₁), and the loss."""
    velocity = jax.nn.sigmoid(theta[1]) * state[1] - jnp.exp(theta[0]) * jax.grad(height)(state[0])
    return (state[0] + velocity, velocity), height(state[0] + velocity)


total, theta, key = summed_loss(begin, step, 100), jnp.array([-7.0, 0.0]), jax.random.key(0)
task = Task(lambda key: theta, begin, step, 100, lambda *at: {"meta_loss": total(*at)})
estimator = estimators.es_single(task, num_particles=20, sigma=0.1, truncation=10)
optimizer, update = optax.adam(0.03), jax.jit(estimator.step)
state, moments = estimator.init(key, theta), optimizer.init(theta)
for i in range(501):
    if i % 100 == 0:
        print(f"update {i}: meta-loss {task.evaluate(key, theta)['meta_loss']:.1f}, θ = {theta}")
    gradient, state, _ = update(jax.random.fold_in(key, i), theta, state)
    change, moments = optimizer.update(gradient, moments)
    theta = optax.apply_updates(theta, change)
