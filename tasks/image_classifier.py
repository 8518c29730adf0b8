"""Training an image classifier itself: θ are the weights of an MLP, and T = 1.

An inner problem is one step. TBPTT with K = 1 returns the gradient of its minibatch, so that every
outer step is one training step of the MLP, by Adam, SGD with momentum or a learned optimizer.
Minibatches and initial weights are drawn as in `learned_optimizer`.

Cost per step: forward and backward on one minibatch.
"""

from collections.abc import Mapping, Sequence

import jax.numpy as jnp
import numpy as np

from tasks import _images
from tasks.base import Array, Key, Task, Theta


def image_classifier(
    data: Mapping[str, np.ndarray],
    *,
    hidden: Sequence[int] = (128, 128),
    batch_size: int = 128,
    pool: int = 1,
) -> Task:
    """Build the task.

    L is the cross-entropy of a fresh minibatch, and `meta_loss` that of all validation images.

    Args:
        data: `train_images` and `validation_images`, uint8 [n, height, width], and `train_labels`
            and `validation_labels`, int [n].
        hidden: units of the hidden layers.
        batch_size: examples in a minibatch.
        pool: side of the square over which images are averaged.

    Raises:
        ValueError: if a size is below 1.
    """
    if min(batch_size, len(hidden), *hidden) < 1:
        raise ValueError(
            f"batch_size={batch_size} and every entry of hidden={list(hidden)} must be at least 1, "
            "and hidden not empty"
        )
    classifier = _images.classifier(data, hidden, pool, "validation")

    def init_state(key: Key, theta: Theta) -> tuple:
        del key, theta
        return ()

    def step(key: Key, theta: Theta, state: tuple, t: Array) -> tuple[tuple, Array]:
        del t
        return state, classifier.loss(theta, *classifier.images.minibatch(key, batch_size))

    def evaluate(key: Key, theta: Theta) -> dict[str, Array]:
        del key
        x, y = classifier.images.objective_images()
        right = jnp.argmax(classifier.network.apply(theta, x), axis=1) == jnp.argmax(y, axis=1)
        return {"meta_loss": classifier.loss(theta, x, y), "accuracy": right.mean()}

    return Task(classifier.init, init_state, step, 1, evaluate)
