"""L_adv, and the penalties that keep the discriminator smooth."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

CHANCE = {"hinge": 2.0}
"""The discriminator's loss where it tells nothing, all its scores being 0; WGAN's has no scale."""


def discriminator_adversarial_loss(real: tf.Tensor, fake: tf.Tensor, kind: str) -> tf.Tensor:
    """Adversarial loss of the discriminator, without its penalty.

    Args:
        real: Scores of real images, float32 [B,h,w].
        fake: Scores of generated images, the same shape.
        kind: ``wgan-gp``: fake - real (Gulrajani et al., NeurIPS 2017; StarGAN). ``hinge``:
            max(0, 1 - real) + max(0, 1 + fake) (our option).

    Returns:
        float32 [B], the mean over patches.

    Raises:
        ValueError: ``kind`` is unknown.
    """
    if kind == "wgan-gp":
        score = fake - real
    elif kind == "hinge":
        score = tf.nn.relu(1.0 - real) + tf.nn.relu(1.0 + fake)
    else:
        raise ValueError(f"the adversarial loss is one of {', '.join(PENALTIES)}, not {kind!r}")
    return tf.reduce_mean(score, axis=[1, 2])


def generator_adversarial_loss(fake: tf.Tensor) -> tf.Tensor:
    """Adversarial loss of the generator, the same for both kinds: minus the score of its images.

    Args:
        fake: Scores of generated images, float32 [B,h,w].

    Returns:
        float32 [B], the mean over patches.
    """
    return -tf.reduce_mean(fake, axis=[1, 2])


def lsgan_discriminator_loss(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """Least squares loss of a discriminator, whose scores are 1 for real and 0 for generated.

    Args:
        real: Scores of real images, float32 [B,h,w].
        fake: Scores of generated images, the same shape.

    Returns:
        float32 [B], ½ [(real - 1)² + fake²], the mean over patches (Mao et al., ICCV 2017, equation
        2; CycleGAN): 0.5 where it scores everything 0, 0.25 where it tells nothing.
    """
    return 0.5 * tf.reduce_mean(tf.square(real - 1.0) + tf.square(fake), axis=[1, 2])


def lsgan_generator_loss(fake: tf.Tensor) -> tf.Tensor:
    """Least squares loss of a generator, whose images should be scored 1.

    Args:
        fake: Scores of generated images, float32 [B,h,w].

    Returns:
        float32 [B], (fake - 1)², the mean over patches; without the ½ of Mao et al., equation 2, as
        in CycleGAN.
    """
    return tf.reduce_mean(tf.square(fake - 1.0), axis=[1, 2])


def gradient_penalty(
    scores: Callable[[tf.Tensor], tf.Tensor], real: tf.Tensor, fake: tf.Tensor, alpha: tf.Tensor
) -> tf.Tensor:
    """WGAN-GP's penalty, (|gradient| - 1)² at a point between a real and a generated image.

    Args:
        scores: The discriminator, from images to patch scores.
        real: float32 [B,H,W,3].
        fake: float32 [B,H,W,3].
        alpha: float32 [B] in [0, 1], the coefficient of the real image in the interpolation.

    Returns:
        float32 [B] (Gulrajani et al., NeurIPS 2017, equation 3; of the scores' sum over patches, as
        StarGAN's code has it).
    """
    alpha = alpha[:, None, None, None]
    between = alpha * real + (1.0 - alpha) * fake
    squared = _squared_gradient(lambda images: tf.reduce_sum(scores(images)), between)
    return tf.square(tf.sqrt(squared + 1e-12) - 1.0)


def r1_penalty(scores: Callable[[tf.Tensor], tf.Tensor], real: tf.Tensor) -> tf.Tensor:
    """R1, half the squared gradient at real images (Mescheder et al., ICML 2018).

    Args:
        scores: The discriminator, from images to patch scores.
        real: float32 [B,H,W,3].

    Returns:
        float32 [B], of the scores' mean over patches, which is what the adversarial loss takes: a
        weight then means the same whatever the number of patches.
    """
    return 0.5 * _squared_gradient(
        lambda images: tf.reduce_sum(tf.reduce_mean(scores(images), axis=[1, 2])), real
    )


PENALTIES: dict[str, Callable[..., tf.Tensor]] = {
    "wgan-gp": gradient_penalty,
    "hinge": lambda scores, real, fake, alpha: r1_penalty(scores, real),
}
"""The penalty that goes with each kind of adversarial loss, of scores, real, fake and alpha."""


def _squared_gradient(score: Callable[[tf.Tensor], tf.Tensor], images: tf.Tensor) -> tf.Tensor:
    """Squared norm, per image, of the gradient of a score summed over images."""
    with tf.GradientTape() as tape:
        tape.watch(images)
        total = score(images)
    gradient = tf.cast(tape.gradient(total, images), tf.float32)
    return tf.reduce_sum(tf.square(gradient), axis=[1, 2, 3])
