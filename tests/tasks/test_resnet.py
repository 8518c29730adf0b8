"""The ResNet tasks, against the same network composed of flax's layers, and SGD written out."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import tasks
from tasks import _images, _resnet, _tuned
from tasks.base import stream

pytestmark = pytest.mark.usefixtures("quick_compile")
KEY = jax.random.key(3)
WIDTHS = (1, 2, 2, 2, 4, 8, 8, 8)
# Batch statistics in the dtype of x, and a variance without cancellation.
PRECISE = {
    "use_running_average": False,
    "force_float32_reductions": False,
    "use_fast_variance": False,
}
OPTIONS = {"horizon": 3, "channels": 2, "batch_size": 6}
PARTS = [*(f"conv_{i}" for i in range(8)), "linear"]


def colour_data(side=8):
    """Return 40 random images in colour, in 3 classes, for training and for validation."""
    rng = np.random.default_rng(0)
    shape, labels = (40, side, side, 3), np.arange(40, dtype=np.int32) % 3
    bright = np.array([60, 130, 250])  # the channels differ in mean and deviation
    return {
        "train_images": rng.integers(0, bright, shape).astype(np.uint8),
        "train_labels": labels,
        "validation_images": rng.integers(0, bright, shape).astype(np.uint8),
        "validation_labels": (labels + 1) % 3,
    }


def logit(p):
    return np.log(p / (1 - p))


def per_layer(rate=0.1, momentum=0.5, fraction=0.9):
    """Return θ with one value of each kind for all layers."""
    values = {"log_lr": np.log(rate), "logit_momentum": logit(momentum)}
    values["logit_channels"] = logit(fraction)
    return {name: np.full(8, value, np.float32) for name, value in values.items()}


class Reference(nn.Module):
    """The network in flax's own layers, on images [batch, height, width, channels]."""

    channels: int
    num_classes: int

    @nn.compact
    def __call__(self, x, masks):
        def layer(i, x):
            x = nn.Conv(WIDTHS[i] * self.channels, (3, 3), use_bias=False, name=f"conv_{i}")(x)
            x = nn.BatchNorm(**PRECISE, param_dtype=x.dtype, name=f"norm_{i}")(x)
            return nn.relu(x * masks[i][None, None, None])

        def pooled(x):
            return nn.max_pool(x, (2, 2), (2, 2))

        x = layer(0, x)
        x = pooled(layer(1, x))
        x = x + layer(3, layer(2, x))
        x = pooled(layer(4, x))
        x = pooled(layer(5, x))
        x = x + layer(7, layer(6, x))
        x = nn.max_pool(x, x.shape[1:3])
        x = nn.Dense(self.num_classes, use_bias=False, name="linear")(x[:, 0, 0])
        return x * 0.125


def as_reference(weights):
    """Return the weights of the task's network in the form of `Reference`."""
    params, statistics = {"linear": {"kernel": weights["linear"].T}}, {}
    for i in range(8):
        own = weights[f"conv_{i}"]
        out, size = own["kernel"].shape
        kernel = own["kernel"].reshape(out, 3, 3, size // 9).transpose(2, 1, 3, 0)
        params[f"conv_{i}"] = {"kernel": kernel}
        params[f"norm_{i}"] = {"scale": own["scale"].ravel(), "bias": own["bias"].ravel()}
        statistics[f"norm_{i}"] = {"mean": jnp.zeros(out), "var": jnp.ones(out)}
    return {"params": params, "batch_stats": statistics}


def reference_loss(weights, x, y, masks, num_classes=3):
    """Return the mean cross-entropy of `Reference` with the weights of the task's network."""
    network = Reference(len(masks[0]), num_classes)
    logits, _ = network.apply(as_reference(weights), x, masks, mutable=["batch_stats"])
    return optax.softmax_cross_entropy(logits, y).mean()


@pytest.mark.parametrize(
    ("channels", "count"), [(64, 6_573_120), (32, 1_646_112), (16, 412_944), (8, 103_944)]
)
def test_the_sizes_of_myrtle(channels, count):
    """Large, med (that of the paper), small and tiny, on CIFAR-10."""
    network = _resnet.ResNet(channels, 10)
    weights = jax.eval_shape(network.init, KEY, jnp.zeros((3, 32, 32, 1)))
    assert sum(leaf.size for leaf in jax.tree.leaves(weights)) == count


def test_the_network_is_that_of_flax(float64):
    """Loss and gradient, with masks, on an even and an odd side. Float64 rounds by 1e-16."""
    rng, shape = np.random.default_rng(1), (3, 16, 9, 5)
    network = _resnet.ResNet(2, 3)
    x, y = jnp.asarray(rng.normal(size=shape)), jnp.eye(3)[rng.integers(3, size=shape[-1])]
    shapes = jax.eval_shape(network.init, KEY, x)["params"]
    drawn = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), shapes)
    masks = _resnet.masks(jnp.linspace(0.3, 1.0, 8), 2)

    def loss(weights):
        return optax.softmax_cross_entropy(network.apply({"params": weights}, x, masks), y).mean()

    def expected(weights):
        return reference_loss(weights, x.transpose(3, 1, 2, 0), y, masks)

    value, gradient = jax.jit(jax.value_and_grad(loss))(drawn)
    other, wanted = jax.jit(jax.value_and_grad(expected))(drawn)
    np.testing.assert_allclose(value, other, rtol=1e-12)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), gradient, wanted)
    assert all((np.asarray(leaf) != 0).any() for leaf in jax.tree.leaves(wanted))


@pytest.fixture(scope="module")
def step():
    """Return one compiled step of the task with 24 hyperparameters, and its first state."""
    task = tasks.resnet(colour_data(), **OPTIONS)
    state = jax.jit(task.init_state)(stream(KEY, "init_state"), per_layer())
    return jax.jit(task.step), jax.device_get(state)


def test_two_steps_are_sgd_with_a_rate_and_a_momentum_for_each_layer(step):
    """Float32 rounds by 1e-7; two steps of eight normalised layers make that 1e-5 at most."""
    step, state = step
    data, (weights, momenta) = colour_data(), state
    theta = per_layer(fraction=0.7) | {
        "log_lr": np.float32(np.log(np.linspace(0.05, 0.4, 8))),
        "logit_momentum": np.linspace(-2.0, 2.0, 8, dtype=np.float32),
    }
    rates = {name: 0.05 * (i + 1) for i, name in enumerate(PARTS)} | {"linear": 0.4}
    decays = {name: 1 / (1 + np.exp(2 - 4 * i / 7)) for i, name in enumerate(PARTS)}
    decays["linear"] = decays["conv_7"]
    masks = [np.float32(np.arange(2 * width) < 0.7 * 2 * width) for width in WIDTHS]
    images, labels = (
        np.concatenate([data[f"train_{kind}"], data[f"validation_{kind}"]])
        for kind in ("images", "labels")
    )
    train = images[:40].astype(np.float64)
    pixels = (images - train.mean(axis=(0, 1, 2))) / train.std(axis=(0, 1, 2))
    pixels, one_hot = pixels.astype(np.float32), np.eye(3, dtype=np.float32)[labels]
    reference = jax.jit(jax.value_and_grad(reference_loss))
    for t in range(2):
        key = jax.random.fold_in(KEY, t)
        state, loss = step(key, theta, state, jnp.int32(t))
        index = np.asarray(jax.random.bits(key, (2, 6))) % 40  # the minibatches, given
        index[1] += 40
        _, gradient = jax.device_get(reference(weights, pixels[index[0]], one_hot[index[0]], masks))
        momenta = {
            name: jax.tree.map(lambda m, g, beta=decays[name]: beta * m + g, momenta[name], g)
            for name, g in gradient.items()
        }
        weights = {
            name: jax.tree.map(lambda w, m, alpha=rates[name]: w - alpha * m, weights[name], m)
            for name, m in momenta.items()
        }
        other, _ = reference(weights, pixels[index[1]], one_hot[index[1]], masks)
        np.testing.assert_allclose(loss, other, rtol=1e-4)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), state[0], weights
    )


def test_weights_start_as_in_pytorch(step):
    """Kernels are uniform within ±1/√fan_in: all 2,304 draws miss the last 1 % with e^-23."""
    weights = step[1][0]
    for name in PARTS:
        kernel = weights[name] if name == "linear" else weights[name]["kernel"]
        assert np.abs(kernel).max() <= kernel.shape[1] ** -0.5
        if name != "linear":
            assert (weights[name]["scale"] == 1).all()
            assert (weights[name]["bias"] == 0).all()
    kernel = weights["conv_7"]["kernel"]
    assert kernel.size == 16 * 9 * 16
    assert np.abs(kernel).max() > 0.99 * kernel.shape[1] ** -0.5


def test_eight_layers_have_24_hyperparameters_within_their_ranges():
    task = tasks.resnet(colour_data(), **OPTIONS)
    draws = jax.vmap(task.init_theta)(jax.random.split(KEY, 500))
    assert sum(leaf.shape[1] for leaf in draws.values()) == 24
    for values, low, high in (
        (np.exp(draws["log_lr"]), 1e-4, 1e-2),
        (jax.nn.sigmoid(draws["logit_momentum"]), 0.01, 0.9),
        (jax.nn.sigmoid(draws["logit_channels"]), 0.2, 0.8),
    ):
        assert low * 0.999 <= values.min() < low * 1.1
        assert high * 0.95 < values.max() <= high * 1.001


def test_two_hyperparameters_are_24_of_which_those_of_a_kind_are_equal(step):
    """They start where they are told. The meta-loss is the sum of the losses of all steps."""
    options = {"init_lr": [0.2, 0.2], "init_momentum": [0.6, 0.6], "init_channels": None}
    task, (step, state) = tasks.resnet(colour_data(), **OPTIONS | options), step
    theta = task.init_theta(KEY)
    shapes = {name: leaf.shape for name, leaf in theta.items()}
    assert shapes == {"log_lr": (), "logit_momentum": ()}
    assert not any(leaf.aval.weak_type for leaf in theta.values())
    metrics = jax.jit(task.evaluate)(KEY, theta)
    np.testing.assert_allclose(metrics["log10_lr"], np.log10(0.2), rtol=1e-5)
    np.testing.assert_allclose(jax.nn.sigmoid(metrics["logit_momentum"]), 0.6, rtol=1e-5)
    total, key = 0.0, jax.random.split(KEY, 1)[0]
    state = jax.jit(task.init_state)(stream(key, "init_state"), theta)
    for t in range(3):
        own = per_layer(rate=0.2, momentum=0.6, fraction=1 - 1e-6)
        state, loss = step(jax.random.fold_in(key, t), own, state, jnp.int32(t))
        total += loss
    np.testing.assert_allclose(metrics["meta_loss"], total, rtol=1e-4)


def test_the_number_of_channels_is_rounded_up_and_never_zero():
    counts = [int(mask.sum()) for mask in _resnet.masks(jnp.full(8, 0.3), 4)]
    assert counts == [2, 3, 3, 3, 5, 10, 10, 10]  # of 1.2, 2.4, 4.8 and 9.6
    assert [mask.tolist() for mask in _resnet.masks(jnp.full(8, 1e-6), 1)][1] == [1, 0]
    assert [int(mask.sum()) for mask in _resnet.masks(jnp.full(8, 1.0), 1)] == list(WIDTHS)


def test_masked_channels_neither_act_nor_learn(step):
    step, state = step
    narrow = per_layer(rate=0.5, fraction=0.5)
    (after, _), loss = step(KEY, narrow, state, jnp.int32(0))
    for i, width in enumerate(WIDTHS):
        old, new = state[0][f"conv_{i}"], after[f"conv_{i}"]
        for name in old:
            np.testing.assert_array_equal(new[name][width:], old[name][width:])
            assert (new[name][:width] != old[name][:width]).any()
    changed = jax.tree.map(np.array, state)
    changed[0]["conv_1"]["scale"][2:] += 7.0
    changed[0]["linear"][:, 8:] += 7.0
    assert step(KEY, narrow, changed, jnp.int32(0))[1] == loss


@pytest.mark.parametrize("index", range(8))
def test_every_layer_has_a_learning_rate_of_its_own(step, index):
    """All rates but one are exp(-100): only its layer moves, and with the last one `linear`."""
    step, state = step
    own = per_layer() | {"log_lr": np.where(np.arange(8) == index, -1.0, -100.0).astype(np.float32)}
    (after, _), _ = step(KEY, own, state, jnp.int32(0))
    moved = [name for name in PARTS if _moved(state[0][name], after[name])]
    assert moved == [f"conv_{index}", *(["linear"] if index == 7 else [])]


def _moved(before, after):
    pairs = zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)
    return any((a != b).any() for a, b in pairs)


def test_colour_images_are_averaged_over_squares_and_standardised_by_channel():
    data = colour_data(16)
    images = _images.images(data, 2, "validation")
    assert images.shape == (8, 8, 3)
    train = data["train_images"].astype(np.float64)
    square = np.mean([train[:, i::2, j::2] for i in (0, 1) for j in (0, 1)], axis=0).round()
    x, y = images.batch(jnp.array([3, 40]))
    expected = (square[3] - square.mean(axis=(0, 1, 2))) / square.std(axis=(0, 1, 2))
    np.testing.assert_allclose(x[0].reshape(8, 8, 3), expected, atol=1e-5)
    assert y.tolist() == [[1, 0, 0], [0, 1, 0]]


def test_descent_is_that_of_plain_loops():
    """m' = β m + g, w' = w - α m', with one α and β for a part of the tree or for an array."""
    rng = np.random.default_rng(2)
    gradients, weights, momenta = (
        {"a": {"x": rng.normal(size=3), "y": rng.normal(size=2)}, "b": rng.normal(size=4)}
        for _ in range(3)
    )
    rates, decays = {"a": 0.1, "b": 2.0}, {"a": 0.9, "b": 0.3}
    after, moved = _tuned.descend(gradients, weights, momenta, rates, decays)
    for part, names in (("a", ("x", "y")), ("b", (None,))):
        for name in names:
            g, w, m, new_w, new_m = (
                tree[part] if name is None else tree[part][name]
                for tree in (gradients, weights, momenta, after, moved)
            )
            np.testing.assert_allclose(new_m, decays[part] * m + g)
            np.testing.assert_allclose(new_w, w - rates[part] * (decays[part] * m + g))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"init_channels": [0.0, 0.8]}, r"init_channels=\[0.0, 0.8\] .* both in \(0, 1\)"),
        ({"init_channels": [0.2, 1.0]}, r"init_channels=\[0.2, 1.0\] .* both in \(0, 1\)"),
        ({"init_momentum": [0.5]}, r"init_momentum=\[0.5\] must be \[lowest, highest\]"),
        ({"init_lr": [0.1, 0.01]}, r"init_lr=\[0.1, 0.01\] must be \[lowest, highest\]"),
        ({"horizon": 0}, "horizon=0.*must be at least 1"),
        ({"channels": 0}, "channels=0.*must be at least 1"),
        ({"evaluation_repeats": 0}, "evaluation_repeats=0"),
        ({"pool": 3}, "pool=3 must divide the image size 8x8"),
        ({"pool": 2}, r"images of 4x4 \(pool=2\) are too small: .* at least 8; take a smaller"),
    ],
)
def test_unfit_hyperparameters_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        tasks.resnet(colour_data(), **OPTIONS | options)
