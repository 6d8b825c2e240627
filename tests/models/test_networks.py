"""What every network must do: be saved and loaded, train, and give float32 in any precision."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from legan_tf.data.conditions import RangeCondition, of_classes
from legan_tf.models import (
    AttributeClassifier,
    CycleganGenerator,
    Discriminator,
    GanimationGenerator,
    LeganGenerator,
    LightCNN29,
    Network,
    PatchDiscriminator,
    QualityEstimator,
    StarganGenerator,
    VggFace,
    Vggface2ResNet50,
    copy_of,
    ganimation_discriminator,
)
from legan_tf.models.network import predict_in_batches

SIZE = 16
EXPRESSIONS = ("neutral", "smile", "scream")
LIGHTINGS = ("left", "right")
BODY = {"image_size": SIZE, "width": 4, "blocks": 1}
UNITS = (RangeCondition("action_units", ("AU01", "AU12"), source="rendered faces"),)

NETWORKS = {
    "legan": lambda: LeganGenerator(
        of_classes(expression=EXPRESSIONS, lighting=LIGHTINGS), **BODY, mask_channels=5
    ),
    "legan-small-form": lambda: LeganGenerator(
        of_classes(expression=EXPRESSIONS, lighting=LIGHTINGS),
        **BODY,
        mask_channels=3,
        image_to_synthesis=True,
        output="affine",
        upsampling="nearest",
        stem=False,
        keeps_unnamed=True,
    ),
    "stargan": lambda: StarganGenerator(
        of_classes(expression=EXPRESSIONS, lighting=LIGHTINGS), **BODY
    ),
    "stargan-one-attribute": lambda: StarganGenerator(
        of_classes(expression=EXPRESSIONS),
        **BODY,
        output="affine",
        upsampling="pixelshuffle",
        stem=False,
    ),
    "ganimation": lambda: GanimationGenerator(UNITS, **BODY),
    "discriminator-of-action-units": lambda: ganimation_discriminator(UNITS, SIZE, 4, 2),
    "discriminator": lambda: Discriminator(
        of_classes(expression="abc", lighting="ab"), SIZE, width=4, depth=2
    ),
    "discriminator-small-form": lambda: Discriminator(
        of_classes(expression="abc"), SIZE, width=4, depth=3, fake_class=True
    ),
    "cyclegan": lambda: CycleganGenerator(**BODY),
    "patch-discriminator": lambda: PatchDiscriminator(24, width=4),
    "quality": lambda: QualityEstimator(SIZE, width=4, depth=3),
    "quality-lrelu": lambda: QualityEstimator(SIZE, width=4, depth=2, fc_activation="lrelu"),
    "lightcnn": lambda: LightCNN29(SIZE, width=0.05),
    "lightcnn-version-1": lambda: LightCNN29(SIZE, width=0.05, version=1),
    "vgg-face": lambda: VggFace(width=0.03),
    "vggface2-resnet50": lambda: Vggface2ResNet50(width=0.06),
    "classifier": lambda: AttributeClassifier(
        of_classes(expression=EXPRESSIONS, lighting=LIGHTINGS), SIZE, width=4
    ),
    "classifier-expressions": lambda: AttributeClassifier(
        of_classes(expression=EXPRESSIONS), SIZE, width=4
    ),
}
GENERATORS = [name for name in NETWORKS if name.startswith(("legan", "stargan"))]
EXPECTED_SHAPES = {
    "legan": {
        "image": (2, SIZE, SIZE, 3),
        "expression_mask": (2, SIZE, SIZE, 5),
        "lighting_mask": (2, SIZE, SIZE, 5),
    },
    "legan-small-form": {
        "image": (2, SIZE, SIZE, 3),
        "expression_mask": (2, SIZE, SIZE, 3),
        "lighting_mask": (2, SIZE, SIZE, 3),
    },
    "stargan": {"image": (2, SIZE, SIZE, 3)},
    "stargan-one-attribute": {"image": (2, SIZE, SIZE, 3)},
    "ganimation": {
        "image": (2, SIZE, SIZE, 3),
        "action_units_mask": (2, SIZE, SIZE, 1),
        "colors": (2, SIZE, SIZE, 3),
    },
    "discriminator-of-action-units": {"realness": (2, 4, 4), "action_units": (2, 2)},
    "discriminator": {"realness": (2, 4, 4), "expression": (2, 3), "lighting": (2, 2)},
    "discriminator-small-form": {"realness": (2, 2, 2), "expression": (2, 4)},
    "cyclegan": (2, SIZE, SIZE, 3),
    "patch-discriminator": (2, 1, 1),
    "quality": (2,),
    "quality-lrelu": (2,),
    "lightcnn": (2, 256),
    "lightcnn-version-1": (2, 256),
    "vgg-face": (2, 123),
    "vggface2-resnet50": (2, 4 * 31),
    "classifier": {"expression": (2, 3), "lighting": (2, 2)},
    "classifier-expressions": {"expression": (2, 3)},
}


@pytest.fixture(params=["float32", "mixed_bfloat16"])
def policy(request):
    keras.mixed_precision.set_global_policy(request.param)
    yield request.param
    keras.mixed_precision.set_global_policy("float32")


def inputs_of(network: Network, count: int = 2):
    size = network.image_size
    image = tf.random.stateless_uniform([count, size, size, 3], [1, 2], -1.0, 1.0)
    if isinstance(network, GanimationGenerator):
        return {"image": image, "action_units": tf.linspace([0.0, 1.0], [0.5, 0.2], count)}
    if not isinstance(network, (LeganGenerator, StarganGenerator)):
        return image
    return {
        "image": image,
        "expression": tf.one_hot(np.arange(count) % 3, 3),
        "lighting": tf.one_hot(np.arange(count) % 2, len(network.names("lighting"))),
    }


def made(name: str) -> Network:
    network = NETWORKS[name]()
    network.build()
    return network


@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_are_float32_of_the_documented_shape(name, policy):
    network = made(name)
    output = network(inputs_of(network))
    shapes = tf.nest.map_structure(lambda tensor: tuple(tensor.shape), output)
    assert shapes == EXPECTED_SHAPES[name]
    assert {tensor.dtype for tensor in tf.nest.flatten(output)} == {tf.float32}
    assert all(np.isfinite(tensor.numpy()).all() for tensor in tf.nest.flatten(output))


@pytest.mark.parametrize("name", ["quality", "discriminator", "lightcnn", "classifier"])
def test_scores_logits_and_embeddings_are_not_rounded_by_mixed_precision(name):
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        network = made(name)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    outputs = network(inputs_of(network, 8))
    for output in tf.nest.flatten(outputs):
        rounded = tf.cast(tf.cast(output, tf.bfloat16), tf.float32)
        assert (output != rounded).numpy().mean() > 0.5


@pytest.mark.parametrize("name", NETWORKS)
def test_every_weight_learns(name, policy):
    network = made(name)
    inputs = inputs_of(network)
    before = network.get_weights()
    optimizer = keras.optimizers.Adam(1e-2)
    with tf.GradientTape() as tape:
        outputs = tf.nest.flatten(network(inputs, training=True))
        loss = tf.add_n([tf.reduce_mean(tf.square(output - 0.37)) for output in outputs])
    gradients = tape.gradient(loss, network.trainable_variables)
    assert all(gradient is not None for gradient in gradients)
    optimizer.apply_gradients(zip(gradients, network.trainable_variables))
    after = network.get_weights()
    assert all(weight.dtype == np.float32 for weight in after)
    assert all(np.isfinite(weight).all() for weight in after)
    assert all((old != new).any() for old, new in zip(before, after))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_keras_file_holds_all_of_the_network(name, tmp_path):
    network = made(name)
    # Not the initial values: biases and offsets start at zero whatever the file says.
    rng = np.random.default_rng(5)
    network.set_weights([w + rng.normal(0, 0.02, w.shape) for w in network.get_weights()])
    network.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    assert type(loaded) is type(network)
    assert loaded.get_config() == network.get_config()
    for old, new in zip(network.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    inputs = inputs_of(network)
    for old, new in zip(tf.nest.flatten(network(inputs)), tf.nest.flatten(loaded(inputs))):
        np.testing.assert_array_equal(old, new)


def test_a_file_written_in_float32_is_loaded_in_bfloat16(tmp_path):
    network = made("legan")
    network.save(tmp_path / "network.keras")
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        loaded = keras.models.load_model(tmp_path / "network.keras")
    finally:
        keras.mixed_precision.set_global_policy("float32")
    inputs = inputs_of(network)
    full, half = network(inputs)["image"].numpy(), loaded(inputs)["image"].numpy()
    assert (full != half).any()
    assert np.abs(full - half).mean() < 0.02


def test_a_copy_shares_nothing():
    network = made("stargan")
    copy = copy_of(network, "copy")
    assert copy.name == "copy"
    for old, new in zip(network.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    copy.set_weights([weight + 1 for weight in copy.get_weights()])
    assert not np.allclose(network.get_weights()[0], copy.get_weights()[0])


@pytest.mark.parametrize("name", GENERATORS)
def test_generators_paint_within_the_range_and_tell_their_classes(name):
    network = made(name)
    network.set_weights([3 * weight for weight in network.get_weights()])
    image = network(inputs_of(network))["image"].numpy()
    assert np.abs(image).max() <= 1.0
    assert network.names("expression") == EXPRESSIONS
    assert network.names("lighting") in ((), LIGHTINGS)
    assert network.image_size == SIZE
    assert network.keeps_unnamed is (name == "legan-small-form")


def test_each_mask_sees_its_own_attribute_only():
    network = made("legan")
    inputs = inputs_of(network, 1)
    other_light = {**inputs, "lighting": 1.0 - inputs["lighting"]}
    before, after = network(inputs), network(other_light)
    np.testing.assert_array_equal(before["expression_mask"], after["expression_mask"])
    assert np.abs(before["lighting_mask"] - after["lighting_mask"]).max() > 1e-3
    assert np.abs(before["image"] - after["image"]).max() > 1e-4


def test_the_synthesis_sees_the_image_only_through_the_masks_unless_asked():
    for sees in (False, True):
        network = LeganGenerator(
            of_classes(expression=EXPRESSIONS, lighting=LIGHTINGS),
            **BODY,
            mask_channels=3,
            image_to_synthesis=sees,
        )
        network.build()
        # Masks that say nothing: the image can only come through the synthesis hourglass.
        for hourglass in (network.expression_hourglass, network.lighting_hourglass):
            hourglass.set_weights([0 * weight for weight in hourglass.get_weights()])
        inputs = inputs_of(network)
        first, second = network(inputs)["image"].numpy()
        assert bool(np.abs(first - second).max() > 1e-4) is sees


def test_affine_output_by_hand():
    network = made("legan-small-form")
    features = tf.constant([0.1, 0.2, 0.3, 0.0, 0.2, -0.3], shape=[1, 1, 1, 6])
    image = tf.constant([0.5, -1.0, 1.0], shape=[1, 1, 1, 3])
    image_out = network.output_image(features, image).numpy().ravel()
    # tanh(0.1 + 0.3 * 0.5), tanh(0.2 + 0.5 * -1), tanh(0.3 + 0 * 1)
    np.testing.assert_allclose(image_out, np.tanh([0.25, -0.3, 0.3]), atol=1e-6)


def test_lightcnn_sees_grey_only():
    network = made("lightcnn")
    colour = tf.random.stateless_uniform([1, SIZE, SIZE, 3], [3, 4], 0.1, 0.5)
    grey = tf.tensordot(colour, tf.constant([0.299, 0.587, 0.114]), 1)
    grey = tf.repeat(grey[..., None], 3, -1)
    np.testing.assert_allclose(network(colour), network(grey), atol=1e-5)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (
            lambda: LeganGenerator(
                of_classes(expression=EXPRESSIONS, lighting=LIGHTINGS), image_size=18
            ),
            "multiple of 4",
        ),
        (
            lambda: StarganGenerator(of_classes(expression=EXPRESSIONS), output="residual"),
            "direct, affine",
        ),
        (
            lambda: StarganGenerator(of_classes(expression=EXPRESSIONS), upsampling="bilinear"),
            "pixelshuffle, nearest",
        ),
        (
            lambda: Discriminator(
                of_classes(expression="abc", lighting="ab"), image_size=48, depth=5
            ),
            "multiple of 32",
        ),
        (lambda: QualityEstimator(image_size=100), "multiple of 64"),
        (lambda: QualityEstimator(fc_activation="relu"), "none, lrelu"),
        (lambda: LightCNN29(image_size=40), "multiple of 16"),
        (lambda: LightCNN29(version=3), "version is 1 or 2, not 3"),
        (
            lambda: AttributeClassifier(
                of_classes(expression=EXPRESSIONS, lighting=LIGHTINGS), image_size=48
            ),
            "power of two",
        ),
    ],
)
def test_what_cannot_be_built_is_refused_in_words(make, told):
    with pytest.raises(ValueError, match=told):
        make()


def test_predictions_in_batches_are_those_at_once_in_the_structure_of_the_outputs():
    images = np.random.default_rng(0).integers(0, 256, (5, 2, 2, 3), np.uint8)
    sizes = []

    def network(batch):
        sizes.append(len(batch))
        return {"mean": tf.reduce_mean(batch, [1, 2, 3]), "pixel": batch[:, 0, 0]}

    found = predict_in_batches(network, images, batch_size=2)
    assert sizes == [2, 2, 1] and set(found) == {"mean", "pixel"}
    np.testing.assert_allclose(found["pixel"], images[:, 0, 0] / 127.5 - 1, atol=1e-6)
    assert found["mean"].shape == (5,) and found["mean"].dtype == np.float32
