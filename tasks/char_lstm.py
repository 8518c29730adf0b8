"""A tiny LSTM that reads characters one by one (Fig. 1), for the variance of estimates.

θ holds every weight. Nothing is trained: θ_0 and the text are fixed, so the problem has an exact
gradient, by backpropagation through time. Inner step t reads x_t, predicts x_{t+1}, and L_t is the
cross-entropy in nats:

    (f, i, o, g) = W_x e(x_t) + b_x + W_h h + b_h,   c' = σ(f) c + σ(i) tanh(g),
    h' = σ(o) tanh(c'),   L_t = -log softmax(D h' + d)[x_{t+1}].

The scenario chooses the text. `real` is the given text. With `random`, uniform characters, the
gradients of different steps are nearly independent; with `repeat`, the first character over and
over, they are nearly identical.

Each matrix is kept as one vector, column after column, so that `step` applies only elementwise
operations and products with constants to θ. Under vmap these leave the axis of the particles last,
where a long axis belongs: four times faster than with matrices.

Cost per inner step: about 20 V + 400 multiplications and V exponentials, with V symbols.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from tasks.base import Array, Key, State, Task, Theta, summed_loss

SCENARIOS = ("real", "random", "repeat")
WIDTH = 0.1  # embedding and decoder are drawn uniformly within ± this


def char_lstm(
    data: Mapping[str, np.ndarray],
    *,
    scenario: str,
    horizon: int = 1000,
    hidden: int = 5,
    model_seed: int = 42,
    text_seed: int = 5,
) -> Task:
    """Build the task.

    Args:
        data: `vocabulary`, V symbols, and `train_tokens`, int [n], indices into it.
        scenario: "real": the first characters of the text; "random": uniform characters;
            "repeat": the first character over and over.
        horizon: T, inner steps in an inner problem; they read T + 1 characters.
        hidden: units of the LSTM, and length of an embedding.
        model_seed: of the initial weights.
        text_seed: of the random characters.

    Raises:
        ValueError: if a hyperparameter is out of its range, the text is too short, or one of its
            tokens is not an index into the vocabulary.
    """
    if min(horizon, hidden) < 1:
        raise ValueError(f"horizon={horizon} and hidden={hidden} must be at least 1")
    num_symbols = len(data["vocabulary"])
    text = jnp.asarray(_text(data, scenario, horizon + 1, text_seed), jnp.int32)

    def init_theta(key: Key) -> Theta:
        del key
        return _initial_weights(jax.random.key(model_seed), num_symbols, hidden)

    def init_state(key: Key, theta: Theta) -> State:
        del key
        zero = jnp.zeros(hidden, theta["decoder"].dtype)
        return zero, zero

    def step(key: Key, theta: Theta, state: State, t: Array) -> tuple[State, Array]:
        del key
        h, c = state
        dtype = c.dtype
        here, following = (jax.nn.one_hot(text[t + i], num_symbols, dtype=dtype) for i in (0, 1))
        x = [here @ column for column in _columns(theta["embedding"], num_symbols)]
        gates = _affine(theta["input"], x, theta["input_bias"])
        units = [h[i : i + 1] for i in range(hidden)]
        gates = gates + _affine(theta["recurrent"], units, theta["recurrent_bias"])
        forget, write, read = (
            jax.nn.sigmoid(gates[i * hidden : (i + 1) * hidden]) for i in range(3)
        )
        c = forget * c + write * jnp.tanh(gates[3 * hidden :])
        h = read * jnp.tanh(c)
        units = [h[i : i + 1] for i in range(hidden)]
        logits = _affine(theta["decoder"], units, theta["decoder_bias"])
        # |h| < 1: logits stay far from where an exponential overflows.
        return (h, c), jnp.log(jnp.sum(jnp.exp(logits))) - following @ logits

    loss = summed_loss(init_state, step, horizon)

    def evaluate(key: Key, theta: Theta) -> dict[str, Array]:
        return {"meta_loss": loss(key, theta)}

    def exact_gradient(theta: Theta) -> Theta:
        return jax.grad(loss, argnums=1)(jax.random.key(0), theta)

    return Task(init_theta, init_state, step, horizon, evaluate, exact_gradient)


def _text(data: Mapping[str, np.ndarray], scenario: str, length: int, text_seed: int) -> np.ndarray:
    """Return the `length` tokens of a scenario."""
    if scenario not in SCENARIOS:
        raise ValueError(f"scenario={scenario!r} must be one of {', '.join(SCENARIOS)}")
    tokens, num_symbols = np.asarray(data["train_tokens"]), len(data["vocabulary"])
    if len(tokens) < length:
        raise ValueError(
            f"the text has {len(tokens)} characters, horizon={length - 1} needs {length}; "
            f"shorten the horizon to at most {len(tokens) - 1}"
        )
    if tokens.min() < 0 or tokens.max() >= num_symbols:
        raise ValueError(
            f"the text has tokens from {tokens.min()} to {tokens.max()}, the vocabulary has "
            f"{num_symbols} symbols, 0 to {num_symbols - 1}; prepare the data again"
        )
    if scenario == "random":
        return np.random.default_rng(text_seed).integers(num_symbols, size=length)
    return tokens[:length] if scenario == "real" else np.full(length, tokens[0])


def _initial_weights(key: Key, num_symbols: int, hidden: int) -> Theta:
    """Draw every weight uniformly within ± its width; the decoder's bias has width 0."""
    sizes = {
        "embedding": (num_symbols * hidden, WIDTH),
        "input": (4 * hidden * hidden, hidden**-0.5),
        "input_bias": (4 * hidden, hidden**-0.5),
        "recurrent": (4 * hidden * hidden, hidden**-0.5),
        "recurrent_bias": (4 * hidden, hidden**-0.5),
        "decoder": (num_symbols * hidden, WIDTH),
        "decoder_bias": (num_symbols, 0.0),
    }
    keys = jax.random.split(key, len(sizes))
    return {
        name: jax.random.uniform(keys[i], (size,), minval=-width, maxval=width)
        for i, (name, (size, width)) in enumerate(sizes.items())
    }


def _columns(matrix: Array, rows: int) -> list[Array]:
    """Return the columns of a matrix that is kept as one vector."""
    return [matrix[i : i + rows] for i in range(0, matrix.shape[0], rows)]


def _affine(matrix: Array, x: list[Array], bias: Array) -> Array:
    """Return W x + b; W is kept column after column, entries of x have shape () or [1]."""
    # A product with ones repeats an entry of x for every row of its column.
    spread = jnp.ones((bias.shape[0], 1), bias.dtype)
    for column, entry in zip(_columns(matrix, bias.shape[0]), x, strict=True):
        bias = bias + column * (spread @ entry.reshape(1))
    return bias
