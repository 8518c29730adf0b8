"""Tune gradient descent in a curved valley with ES-Single: python -m examples.own_task."""

import jax
import jax.numpy as jnp
import optax

import estimators
from tasks.base import Array, Key, Task, summed_loss

HORIZON, WORST = 100, 10.0  # steps of an inner problem; loss of a step that has left the valley


def height(place: Array) -> Array:
    """Return the height of the valley at a place, [2]; the lowest point, of height 0, is (1, 1)."""
    return (1 - place[0]) ** 2 + 10 * (place[1] - place[0] ** 2) ** 2


def init_theta(key: Key) -> Array:
    """Return the outer parameters to begin with: log learning rate, and logit of the momentum."""
    return jnp.array([-7.0, 0.0])


def init_state(key: Key, theta: Array) -> dict[str, Array]:
    """Return the state in which an inner problem begins: at (-1, 1), at rest."""
    return {"place": jnp.array([-1.0, 1.0]), "velocity": jnp.zeros(2)}


def step(key: Key, theta: Array, state: dict[str, Array], t: Array) -> tuple[dict, Array]:
    """Take one step of gradient descent with momentum; return the new state and the loss there."""
    learning_rate, momentum = jnp.exp(theta[0]), jax.nn.sigmoid(theta[1])
    velocity = momentum * state["velocity"] - learning_rate * jax.grad(height)(state["place"])
    place = state["place"] + velocity
    # The bound holds for NaN, too. Without it, one particle that leaves the valley would ruin θ.
    loss = jnp.where(height(place) < WORST, height(place), WORST)
    return {"place": place, "velocity": velocity}, loss


def evaluate(key: Key, theta: Array) -> dict[str, Array]:
    """Return the loss summed over an inner problem: what the outer parameters are tuned for."""
    return {"meta_loss": summed_loss(init_state, step, HORIZON)(key, theta)}


task = Task(init_theta, init_state, step, HORIZON, evaluate)
estimator = estimators.es_single(task, num_particles=20, sigma=0.1, truncation=10)
optimizer = optax.adam(learning_rate=0.03)
if __name__ == "__main__":
    key, estimate = jax.random.key(0), jax.jit(estimator.step)
    theta = task.init_theta(key)
    state, moments = estimator.init(key, theta), optimizer.init(theta)
    for i in range(501):
        if i % 100 == 0:
            print(f"update {i}: meta-loss {evaluate(key, theta)['meta_loss']:.1f}, θ = {theta}")
        gradient, state, info = estimate(jax.random.fold_in(key, i), theta, state)
        change, moments = optimizer.update(gradient, moments)
        theta = optax.apply_updates(theta, change)
