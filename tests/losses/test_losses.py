"""Every loss against numbers worked out by hand, one per sample, and where its gradient goes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from legan_tf import losses
from legan_tf.data.conditions import BinaryCondition, ClassCondition, RangeCondition
from legan_tf.losses.adversarial import CHANCE

NAN = float("nan")


def of_patches(*samples):
    """Scores of two patches per sample."""
    return tf.reshape(tf.constant(samples, tf.float32), [len(samples), 1, 2])


def test_wasserstein_discriminator():
    real, fake = of_patches([1, 3], [0, 0]), of_patches([-1, 2], [4, 6])
    loss = losses.discriminator_adversarial_loss(real, fake, "wgan-gp")
    np.testing.assert_allclose(loss, [0.5 - 2.0, 5.0])


def test_hinge_discriminator():
    # Patches: max(0, 1 - real) + max(0, 1 + fake).
    real, fake = of_patches([2, 0.5], [-1, 1]), of_patches([-3, 0], [0.5, -2])
    loss = losses.discriminator_adversarial_loss(real, fake, "hinge")
    np.testing.assert_allclose(loss, [(0 + 0 + 0.5 + 1) / 2, (2 + 1.5 + 0 + 0) / 2])


def test_unknown_adversarial_form_is_refused():
    with pytest.raises(ValueError, match="wgan-gp, hinge, not 'gan'"):
        losses.discriminator_adversarial_loss(of_patches([0, 0]), of_patches([0, 0]), "gan")


def test_a_hinge_discriminator_without_scores_is_at_chance():
    silent = of_patches([0, 0])
    loss = losses.discriminator_adversarial_loss(silent, silent, "hinge")
    np.testing.assert_allclose(loss, [CHANCE["hinge"]])


def test_generator_wants_high_scores():
    loss = losses.generator_adversarial_loss(of_patches([1, 3], [-4, 0]))
    np.testing.assert_allclose(loss, [-2.0, 2.0])


def test_least_squares_discriminator():
    # Patches: ½ [(real - 1)² + fake²].
    real, fake = of_patches([1, 3], [0, 0], [0.5, 0.5]), of_patches([0, 2], [0, 0], [0.5, 0.5])
    loss = losses.lsgan_discriminator_loss(real, fake)
    np.testing.assert_allclose(loss, [(0 + 4 + 0 + 4) / 4, 0.5, 0.25])


def test_least_squares_generator_wants_scores_of_one():
    loss = losses.lsgan_generator_loss(of_patches([1, 1], [-1, 2]))
    np.testing.assert_allclose(loss, [0.0, (4 + 1) / 2])


def linear_discriminator(weights, factors=((1, 3),)):
    """Patches whose scores are w·x times their factors: the gradient of their sum is 4 w."""

    def scores(images):
        score = tf.reduce_sum(images * weights, [1, 2, 3])
        return score[:, None, None] * tf.constant(factors, tf.float32)

    return scores


def test_gradient_penalty_of_a_linear_discriminator():
    # |w|² = 12 · 0.25 = 3, so |4 w| = 4 √3, wherever it is looked at.
    scores = linear_discriminator(tf.fill([2, 2, 3], 0.5))
    real, fake = tf.ones([3, 2, 2, 3]), -tf.ones([3, 2, 2, 3])
    penalty = losses.gradient_penalty(scores, real, fake, tf.constant([0.0, 0.3, 1.0]))
    np.testing.assert_allclose(penalty, [(4 * math.sqrt(3) - 1) ** 2] * 3, rtol=1e-5)


def test_gradient_penalty_looks_between_real_and_fake():
    def scores(images):  # The gradient at x is x.
        return tf.reduce_sum(tf.square(images), [1, 2, 3])[:, None, None] / 2

    real, fake = tf.fill([2, 1, 1, 1], 3.0), tf.fill([2, 1, 1, 1], -1.0)
    penalty = losses.gradient_penalty(scores, real, fake, tf.constant([1.0, 0.75]))
    # At 3 and at 0.75 · 3 - 0.25 · 1 = 2.
    np.testing.assert_allclose(penalty, [(3 - 1) ** 2, (2 - 1) ** 2], rtol=1e-5)


def test_gradient_penalty_of_a_flat_discriminator_is_one_and_finite_to_train():
    weight = tf.Variable(tf.zeros([2, 2, 3]))
    images = tf.ones([1, 2, 2, 3])
    with tf.GradientTape() as tape:
        penalty = losses.gradient_penalty(
            linear_discriminator(weight), images, images, tf.constant([0.5])
        )
    np.testing.assert_allclose(penalty, [1.0], atol=1e-5)
    assert np.isfinite(tape.gradient(penalty, weight).numpy()).all()


def test_the_penalty_trains_the_discriminator():
    weight = tf.Variable(tf.fill([1, 1, 1], 0.5))
    image = tf.ones([1, 1, 1, 1])
    with tf.GradientTape() as tape:
        penalty = losses.gradient_penalty(
            linear_discriminator(weight), image, image, tf.constant([0.5])
        )
    # d/dw (4w - 1)² = 8 (4w - 1) = 8 at w = 0.5.
    np.testing.assert_allclose(tape.gradient(penalty, weight), [[[8.0]]], rtol=1e-5)


def test_r1_of_a_linear_discriminator():
    scores = linear_discriminator(tf.fill([2, 2, 3], 0.5))
    # Half of |2 w|² = 4 · 3: the gradient of the patches' mean.
    np.testing.assert_allclose(losses.r1_penalty(scores, tf.ones([2, 2, 2, 3])), [6.0, 6.0])


@pytest.mark.parametrize("side", [1, 2, 4])
def test_r1_is_the_same_whatever_the_number_of_patches(side):
    factors = np.tile([[1, 3], [3, 1]], (side, side))
    scores = linear_discriminator(tf.fill([2, 2, 3], 0.5), factors)
    assert scores(tf.ones([1, 2, 2, 3])).shape == (1, 2 * side, 2 * side)
    np.testing.assert_allclose(losses.r1_penalty(scores, tf.ones([1, 2, 2, 3])), [6.0], rtol=1e-6)


def test_classification_loss_is_the_cross_entropy_and_unknown_costs_nothing():
    logits = tf.constant([[0.0, math.log(3.0)], [0.0, math.log(3.0)], [7.0, -7.0]])
    loss = losses.classification_loss(logits, tf.constant([1, 0, -1]))
    # Softmax of (0, ln 3) is (1/4, 3/4).
    np.testing.assert_allclose(loss, [math.log(4 / 3), math.log(4), 0.0], atol=1e-6)


def test_binary_loss_sums_over_attributes_and_unknown_costs_nothing():
    # Sigmoid of ln 3 is 3/4, of 0 a half.
    logits = tf.Variable([[math.log(3.0), 0.0, -math.log(3.0)], [math.log(3.0), 5.0, -5.0]])
    with tf.GradientTape() as tape:
        loss = losses.binary_loss(logits, tf.constant([[1, 0, 1], [0, -1, -1]]))
    np.testing.assert_allclose(
        loss, [math.log(4 / 3) + math.log(2) + math.log(4), math.log(4)], rtol=1e-6
    )
    # The gradient is the difference of sigmoid and label, 0 where that is unknown.
    np.testing.assert_allclose(
        tape.gradient(loss, logits), [[-0.25, 0.5, -0.75], [0.75, 0, 0]], rtol=1e-6
    )


def test_each_kind_of_condition_has_its_loss():
    logits = tf.constant([[0.0, math.log(3.0)]])
    emotion, attributes = ClassCondition("emotion", ("a", "b")), BinaryCondition("any", ("a", "b"))
    np.testing.assert_allclose(
        losses.condition_loss(emotion, logits, tf.constant([1])), [math.log(4 / 3)], rtol=1e-6
    )
    np.testing.assert_allclose(
        losses.condition_loss(attributes, logits, tf.constant([[-1, 1]])),
        [math.log(4 / 3)],
        rtol=1e-6,
    )


def test_the_confidence_penalty_is_the_negative_entropy_and_unknown_costs_nothing():
    logits = tf.constant([[0.0, math.log(3.0)], [0.0, 0.0], [7.0, -7.0]])
    entropy = [math.log(4) - 0.75 * math.log(3), math.log(2), 0.0]
    labels = tf.constant([1, 0, 0])
    penalty = losses.confidence_penalty(logits, labels)
    np.testing.assert_allclose(penalty, np.negative(entropy), atol=2e-5)
    penalty = losses.confidence_penalty(logits, tf.constant([1, 0, -1]))
    np.testing.assert_allclose(penalty, [-entropy[0], -entropy[1], 0], atol=1e-6)


def test_an_unknown_label_teaches_nothing():
    logits = tf.Variable([[1.0, 2.0], [1.0, 2.0]])
    with tf.GradientTape() as tape:
        loss = losses.classification_loss(logits, tf.constant([-1, 0]))
    gradient = tape.gradient(loss, logits).numpy()
    np.testing.assert_array_equal(gradient[0], [0.0, 0.0])
    assert gradient[1, 0] < 0 < gradient[1, 1]


def test_identity_loss_is_the_squared_distance_of_directions():
    original = tf.constant([[1.0, 0.0], [3.0, 4.0], [2.0, 0.0], [1.0, 0.0]])
    edited = tf.constant([[5.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, 2.0]])
    # (0.6, 0.8) to (0, 1): 0.36 + 0.04.
    np.testing.assert_allclose(losses.identity_loss(original, edited), [0, 0.4, 4, 2], atol=1e-6)


def test_reconstruction_loss_is_the_mean_absolute_difference():
    original = tf.zeros([2, 1, 2, 3])
    back = tf.constant([1, -1, 0, 0, 0, 1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5], shape=[2, 1, 2, 3])
    np.testing.assert_allclose(losses.reconstruction_loss(original, back), [0.5, 0.5])


@pytest.mark.parametrize(
    ("variant", "wanted"),
    [
        # Mean 6; predictions 9, 6.5, 3; std 1, 1, 2: distances 3, 0.5, 3.
        ("epsilon", [2.0, 0.0, 1.0]),
        ("epsilon-squared", [4.0, 0.0, 1.0]),
        ("squared-minus-variance", [8.0, 0.0, 5.0]),
        ("squared-minus-std", [8.0, 0.0, 7.0]),
        ("relative", [1.5, 0.25, 1.0]),
    ],
)
def test_margin_variants(variant, wanted):
    prediction, std = tf.constant([9.0, 6.5, 3.0]), tf.constant([1.0, 1.0, 2.0])
    loss = losses.margin_loss(prediction, tf.constant([6.0, 6.0, 6.0]), std, variant)
    np.testing.assert_allclose(loss, wanted)


@pytest.mark.parametrize(
    ("variant", "wanted"),
    [
        ("epsilon", [0.0, 2.0]),
        ("epsilon-squared", [0.0, 4.0]),
        ("squared-minus-variance", [0.0, 4.0]),
        ("squared-minus-std", [0.0, 4.0]),
        ("relative", [0.0, 2.0]),
    ],
)
def test_margin_without_a_rating_or_without_a_std(variant, wanted):
    # An unknown mean costs nothing; an unknown std leaves no margin.
    prediction = tf.Variable([7.0, 7.0])
    mean, std = tf.constant([NAN, 5.0]), tf.constant([1.0, NAN])
    with tf.GradientTape() as tape:
        loss = losses.margin_loss(prediction, mean, std, variant)
    np.testing.assert_allclose(loss, wanted)
    gradient = tape.gradient(loss, prediction).numpy()
    assert gradient[0] == 0 and gradient[1] > 0


def test_unknown_margin_reading_is_refused():
    one = tf.ones([1])
    with pytest.raises(ValueError, match="epsilon-squared.*not 'huber'"):
        losses.margin_loss(one, one, one, "huber")


def test_naturalness_pulls_to_the_target_from_both_sides():
    rating = tf.Variable([5.0, 9.5])
    with tf.GradientTape() as tape:
        loss = losses.quality_naturalness_loss(rating, 8.0)
    np.testing.assert_allclose(loss, [3.0, 1.5])
    np.testing.assert_array_equal(tape.gradient(loss, rating), [-1.0, 1.0])


def test_preservation_is_the_change_of_the_rating():
    loss = losses.quality_preservation_loss(tf.constant([6.0, 2.0]), tf.constant([4.5, 2.25]))
    np.testing.assert_allclose(loss, [1.5, 0.25])


def test_perceptual_loss_weighs_the_layers_and_takes_means_over_each():
    rows = tf.constant([1.0, 3.0])[:, None, None, None]
    # Layer i differs by (i + 1) times the row's number in half of its values.
    halves = [
        tf.concat([tf.ones([2, s, s, 2]), tf.zeros([2, s, s, 2])], -1) for s in (8, 4, 2, 2, 1)
    ]
    predicted = [half * (i + 1) * rows for i, half in enumerate(halves)]
    truth = [tf.zeros_like(half) for half in halves]
    one = (1 / 32 + 2 / 16 + 3 / 8 + 4 / 4 + 5) / 2
    np.testing.assert_allclose(losses.perceptual_loss(predicted, truth), [one, 3 * one], rtol=1e-6)
    np.testing.assert_allclose(losses.perceptual_loss(truth, predicted), [one, 3 * one], rtol=1e-6)
    np.testing.assert_array_equal(losses.perceptual_loss(predicted, predicted), [0, 0])


def test_perceptual_loss_of_another_number_of_layers_is_refused():
    taps = [tf.zeros([1, 1, 1, 1])] * 5
    with pytest.raises(ValueError, match="compares 5 layers, not 5 with 4"):
        losses.perceptual_loss(taps, taps[:4])


def test_regression_of_numbers_leaves_out_what_is_unknown():
    condition = RangeCondition("action_units", ("AU01", "AU12"))
    read = tf.Variable([[0.5, 1.0], [0.2, 0.4], [0.3, 0.3]])
    labels = tf.constant([[0.0, 0.4], [NAN, 0.0], [NAN, NAN]])
    with tf.GradientTape() as tape:
        loss = losses.condition_loss(condition, read, labels)
    np.testing.assert_allclose(loss, [(0.25 + 0.36) / 2, 0.16 / 2, 0.0], atol=1e-7)
    slope = tape.gradient(loss, read).numpy()
    np.testing.assert_allclose(slope, [[0.5, 0.6], [0.0, 0.4], [0.0, 0.0]], atol=1e-7)


def test_size_and_smoothness_of_a_mask_by_hand():
    mask = tf.constant([[[0.0, 1.0], [0.5, 1.0]], [[0.3, 0.3], [0.3, 0.3]]])[..., None]
    np.testing.assert_allclose(losses.mask_size(mask), [0.625, 0.3], atol=1e-7)
    # Rows: 1 and 0.5; columns: 0.5 and 0. A constant mask is smooth.
    np.testing.assert_allclose(losses.mask_smoothness(mask), [2.0, 0.0], atol=1e-7)


def test_losses_of_a_mask_and_of_action_units_are_per_image():
    rng = np.random.default_rng(3)
    masks = tf.constant(rng.uniform(size=(3, 8, 8, 1)), tf.float32)
    units = tf.constant(rng.uniform(size=(2, 3, 17)), tf.float32)
    for loss, of in (
        (losses.mask_size, (masks,)),
        (losses.mask_smoothness, (masks,)),
        (losses.regression_loss, tuple(units)),
    ):
        once = tf.reduce_mean(loss(*of))
        twice = tf.reduce_mean(loss(*(tf.concat([one, one], 0) for one in of)))
        np.testing.assert_allclose(once, twice, rtol=1e-6)
