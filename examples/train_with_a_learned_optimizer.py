"""Train a network of your own with an optimizer that this artifact has meta-trained.

    python -m examples.train_with_a_learned_optimizer \
        --weights results/laptop/trained/learned_optimizer.json --run es_single --seed 0

The network tells two noisy spirals apart; the loop is that of any optax optimizer.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import optax

from tasks.base import Array, Key
from tasks.learned_optimizer import as_optax
from workflow.lib.plan import resolve

HIDDEN, EXAMPLES, TURNS, NOISE = 32, 512, 1.5, 0.05


def spirals(key: Key) -> tuple[Array, Array]:
    """Return points [n, 2] and the number of the spiral, 0 or 1, that each lies on, [n]."""
    places, noise = jax.random.split(key)
    radius = jnp.sqrt(jax.random.uniform(places, (EXAMPLES,)))
    label = jnp.arange(EXAMPLES) % 2
    angle = 2 * jnp.pi * (TURNS * radius + label / 2)
    points = radius[:, None] * jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=1)
    return points + NOISE * jax.random.normal(noise, points.shape), label


def initial_params(key: Key) -> dict[str, Array]:
    """Return the weights of a network 2 -> 32 -> 2."""
    first, second = jax.random.split(key)
    return {
        "hidden": jax.random.normal(first, (2, HIDDEN)),
        "hidden_bias": jnp.zeros(HIDDEN),
        "out": jax.random.normal(second, (HIDDEN, 2)) / HIDDEN**0.5,
        "out_bias": jnp.zeros(2),
    }


def loss(params: dict[str, Array], x: Array, y: Array) -> Array:
    """Return the mean cross-entropy of points x [n, 2] with labels y [n]."""
    hidden = jnp.tanh(x @ params["hidden"] + params["hidden_bias"])
    logits = hidden @ params["out"] + params["out_bias"]
    return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()


def train(optimizer: optax.GradientTransformation, steps: int) -> list[float]:
    """Train for some steps and return the loss before each."""
    x, y = spirals(jax.random.key(0))
    params = initial_params(jax.random.key(1))
    state = optimizer.init(params)

    @jax.jit
    def step(params: dict[str, Array], state: optax.OptState) -> tuple:
        value, gradient = jax.value_and_grad(loss)(params, x, y)
        updates, state = optimizer.update(gradient, state, params)
        return optax.apply_updates(params, updates), state, value

    losses = []
    for _ in range(steps):
        params, state, value = step(params, state)
        losses.append(float(value))
    return losses


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; `arguments` defaults to that of the process."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--weights", type=Path, required=True, help="results/…/trained/….json")
    parser.add_argument("--run", default="es_single", help="which run (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of its meta-training")
    parser.add_argument("--steps", type=int, default=500, help="of training")
    options = parser.parse_args(arguments)
    try:
        weights = resolve.weights(options.weights, options.run, options.seed)
        optimizer = as_optax(jnp.asarray(weights, jnp.float32))
    except (OSError, ValueError) as error:
        sys.exit(f"train_with_a_learned_optimizer: {error}")
    losses = train(optimizer, options.steps)
    for step in range(0, options.steps, max(1, options.steps // 10)):
        print(f"step {step:5}  loss {losses[step]:.4f}")
    print(f"step {options.steps - 1:5}  loss {losses[-1]:.4f}")


if __name__ == "__main__":
    main()
