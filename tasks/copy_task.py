"""Training an LSTM on the copy task, with its curriculum (Figs. 10 and 16).

θ are the weights of an LSTM, and an inner problem is a batch of sequences:

    input    #  b_1 ... b_L  -  ...  -         t = 0, ..., 2L + 1
    target   -  ...  -  #  b_1  ...  b_L

over the alphabet {0, 1, #, -}. L_t is the cross-entropy of the target in nats, averaged over the
batch. In this file T is the curriculum's longest string, as in the paper. All sequences of a batch
have the same length L, drawn uniformly from {T - 5, ..., T} and raised to at least 1. If the moving
average of the bits per character is below 0.15 when a sequence ends, T grows by one (Mujika et al.,
2018). The network is an LSTM cell with two biases and a linear read-out.

The batch is the last axis, so that the gates are contiguous rows and 4 logits fill whole vectors.
Cost per inner step: one [4 H, 4 + H] x [4 + H, batch] product.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from tasks.base import Array, Curriculum, Key, Task, Theta, stream

ALPHABET = 4
START, BLANK = 2, 3  # '#' and '-'; 0 and 1 are themselves
SPREAD = 5  # a sequence is up to this much shorter than T
WORD = 32  # bits that one uint32 holds


class CopyState(NamedTuple):
    """h and c, [H, batch]; the bits to copy, packed into uint32 [words, batch]; L, int32."""

    hidden: Array
    cell: Array
    bits: Array
    length: Array


class Progress(NamedTuple):
    """How far the curriculum has come.

    Attributes:
        longest: T, int32.
        average: moving average of the bits per character.
        tokens: int32, time steps x batch so far.
        finished: bool, whether T would have grown beyond `max_length`.
    """

    longest: Array
    average: Array
    tokens: Array
    finished: Array


class LSTM(nn.Module):
    """LSTM cell with an input bias and a hidden bias, and a linear read-out.

    Kernels are stored [out, in], that of the gates i, f, g, o over (input, h); all weights are
    uniform within ±1/sqrt(H). P = 4H(4 + H) + 8H + 4H + 4: 42,804 for H = 100.

    Attributes:
        hidden: H, units.
    """

    hidden: int

    @nn.compact
    def __call__(self, hidden: Array, cell: Array, x: Array) -> tuple[Array, Array, Array]:
        """Map h, c [H, batch] and inputs [4, batch] to the next h and c, and logits [4, batch]."""
        bound = 1 / math.sqrt(self.hidden)

        def weights(name: str, *shape: int) -> Array:
            return self.param(name, _symmetric_uniform(bound), shape)

        size = 4 * self.hidden
        inputs = jnp.concatenate([x, hidden])
        gates = weights("kernel", size, len(inputs)) @ inputs
        gates += (weights("input_bias", size) + weights("hidden_bias", size))[:, None]
        i, f, g, o = jnp.split(gates, 4)
        cell = _sigmoid(f) * cell + _sigmoid(i) * jnp.tanh(g)
        hidden = _sigmoid(o) * jnp.tanh(cell)
        logits = weights("decoder", ALPHABET, self.hidden) @ hidden
        return hidden, cell, logits + weights("decoder_bias", ALPHABET)[:, None]


def copy_task(
    *,
    hidden: int = 100,
    batch_size: int = 32,
    max_length: int = 128,
    threshold: float = 0.15,
    decay: float = 0.999,
    first_average: float = 1.0,
    next_average: float = 0.3,
) -> Task:
    """Build the task at the start of its curriculum, T = 1.

    `meta_loss` is the bits per character of fresh sequences of length T, with unperturbed weights;
    `bits_per_character` is the moving average over the training sequences, with the weights that
    the estimator used.

    Args:
        hidden: H, units of the LSTM.
        batch_size: sequences in an inner problem.
        max_length: the largest T. Where T would grow beyond it, T stays and the run has finished.
        threshold: bits per character below which T grows by one.
        decay: of the moving average, per time step, in [0, 1).
        first_average: bits per character at which the moving average starts.
        next_average: bits per character to which it is set whenever T grows.

    Raises:
        ValueError: if a hyperparameter is out of its range.
    """
    _check(hidden, batch_size, max_length, threshold, decay, first_average, next_average)
    network = LSTM(hidden)

    def init_theta(key: Key) -> Theta:
        state = jnp.zeros((hidden, 1))
        return network.init(key, state, state, jnp.zeros((ALPHABET, 1)))

    def step(key: Key, theta: Theta, state: CopyState, t: Array) -> tuple[CopyState, Array]:
        del key
        inside = t < _horizon(state.length)
        x, target = _symbols(state, t)
        new_hidden, new_cell, logits = network.apply(theta, state.hidden, state.cell, x)
        loss = optax.softmax_cross_entropy(logits, target, axis=0).mean()
        state = state._replace(
            hidden=jnp.where(inside, new_hidden, state.hidden),
            cell=jnp.where(inside, new_cell, state.cell),
        )
        return state, jnp.where(inside, loss, jnp.zeros_like(loss))

    def at(longest: Array) -> Task:
        """Return the task whose sequences have lengths up to T = `longest`."""

        def init_state(key: Key, theta: Theta) -> CopyState:
            del theta
            return _begin(key, _length(key, longest), batch_size, hidden, max_length)

        def evaluate(key: Key, theta: Theta) -> dict[str, Array]:
            start = _begin(stream(key, "bits"), longest, batch_size, hidden, max_length)
            return {"meta_loss": _bits_per_character(step, theta, start)}

        def horizon(key: Key) -> Array:
            return _horizon(_length(key, longest))

        return Task(init_theta, init_state, step, horizon, evaluate)

    first = Progress(*_scalars(1, first_average, 0, False))
    update = _grow(batch_size, max_length, threshold, decay, next_average)
    curriculum = Curriculum(
        init=lambda: first,
        update=update,
        task=lambda progress: at(progress.longest),
        metrics=lambda progress: {
            "longest_copied": progress.longest - 1 + progress.finished.astype(jnp.int32),
            "bits_per_character": progress.average,
            "tokens": progress.tokens,
        },
        finished=lambda progress: progress.finished,
        final_status="reached_max_length",
    )
    return at(first.longest)._replace(curriculum=curriculum)


def _sigmoid(x: Array) -> Array:
    """Return 1/(1 + exp(-x)), computed from tanh in a third of the time on a CPU."""
    return 0.5 + 0.5 * jnp.tanh(0.5 * x)


def _symmetric_uniform(bound: float) -> Callable[..., Array]:
    """Return an initialiser that draws uniformly within ±bound."""

    def init(key: Key, shape: tuple[int, ...]) -> Array:
        return jax.random.uniform(key, shape, minval=-bound, maxval=bound)

    return init


def _scalars(*values: Any) -> list[Array]:
    """Return arrays of jax's default types, int32 for whole numbers."""
    return [jnp.asarray(v, jnp.int32 if type(v) is int else type(v)) for v in values]


def _horizon(length: Array) -> Array:
    """Return the time steps of a sequence of L bits: 2L + 2."""
    return 2 * length + 2


def _length(key: Key, longest: Array) -> Array:
    """Draw L, uniform in {T - 5, ..., T} and at least 1."""
    shorter = jax.random.bits(stream(key, "length")) % jnp.uint32(SPREAD + 1)
    return jnp.maximum(1, longest - shorter.astype(jnp.int32))


def _begin(key: Key, length: Array, batch: int, hidden: int, max_length: int) -> CopyState:
    """Return the state before the first symbol: h = c = 0, and random bits."""
    zeros = jnp.zeros((hidden, batch))
    bits = jax.random.bits(key, (-(-max_length // WORD), batch))
    return CopyState(zeros, zeros, bits, length)


def _symbols(state: CopyState, t: Array) -> tuple[Array, Array]:
    """Return input and target at time t, one-hot [4, batch]."""

    def bit(index: Array) -> Array:
        index = jnp.maximum(index, 0)
        word = state.bits[index // WORD]
        return (word >> (index % WORD).astype(jnp.uint32)) & jnp.uint32(1)

    start, blank = jnp.uint32(START), jnp.uint32(BLANK)
    first = jnp.where(t == 0, start, blank)
    x = jnp.where((t >= 1) & (t <= state.length), bit(t - 1), first)
    again = t - state.length - 1  # 0 where the target is '#', i where it is b_i
    second = jnp.where(again == 0, start, blank)
    target = jnp.where(again >= 1, bit(again - 1), second)
    dtype = state.hidden.dtype
    x, target = (jax.nn.one_hot(one, ALPHABET, axis=0, dtype=dtype) for one in (x, target))
    return x, target


def _bits_per_character(step: Callable, theta: Theta, state: CopyState) -> Array:
    """Return the mean loss in bits over one batch of sequences."""

    def body(t: Array, carry: tuple[CopyState, Array]) -> tuple[CopyState, Array]:
        state, loss = step(None, theta, carry[0], t)
        return state, carry[1] + loss

    steps = _horizon(state.length)
    _, loss = jax.lax.fori_loop(0, steps, body, (state, jnp.zeros((), state.hidden.dtype)))
    return loss / (steps * math.log(2.0))


def _grow(
    batch_size: int, max_length: int, threshold: float, decay: float, next_average: float
) -> Callable[[Progress, Array, Array, Array], Progress]:
    """Return the curriculum's `update`: it averages the bits per character and lets T grow."""

    def update(progress: Progress, loss: Array, steps: Array, ended: Array) -> Progress:
        # `steps` time steps of the moving average at once, each with the mean of the unroll.
        kept = decay**steps
        average = kept * progress.average + (1 - kept) * loss / (steps * math.log(2.0))
        grows = ended & (average < threshold)
        longest = progress.longest + grows.astype(jnp.int32)
        return Progress(
            longest=jnp.minimum(longest, max_length),
            average=jnp.where(grows, next_average, average),
            tokens=progress.tokens + steps * batch_size,
            finished=progress.finished | (longest > max_length),
        )

    return update


def _check(
    hidden: int,
    batch_size: int,
    max_length: int,
    threshold: float,
    decay: float,
    first_average: float,
    next_average: float,
) -> None:
    """Raise ValueError, with the numbers in it, if a hyperparameter is out of its range."""
    if min(hidden, batch_size, max_length) < 1:
        raise ValueError(
            f"hidden={hidden}, batch_size={batch_size} and max_length={max_length} "
            "must be at least 1"
        )
    if not 0 <= decay < 1:
        raise ValueError(f"decay={decay} must lie in [0, 1)")
    if not 0 < threshold < min(first_average, next_average):
        raise ValueError(
            f"threshold={threshold} must be positive, and below both first_average="
            f"{first_average} and next_average={next_average}, from where the average falls"
        )
