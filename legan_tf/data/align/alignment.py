"""Face alignment: the conventions of LightCNN and RaFD, similarity transform and resampling."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import tensorflow as tf

from legan_tf.data.align.projective_transform import projective_transform


@dataclasses.dataclass(frozen=True)
class Convention:
    """The position of a face in an aligned picture.

    Attributes:
        size: Height and width of a picture with the other values, in pixels.
        eye_line: Height of the eyes; the middle of the top row of pixels is 0.
        eye_to_mouth: From there down to the mouth.
    """

    size: int
    eye_line: float
    eye_to_mouth: float

    def lines(self, size: int) -> tuple[float, float]:
        """Returns the heights of eyes and mouth in a picture of so many pixels."""
        ratio = size / self.size
        eyes = (self.eye_line + 0.5) * ratio - 0.5
        return eyes, eyes + self.eye_to_mouth * ratio


LIGHTCNN = Convention(size=128, eye_line=40.0, eye_to_mouth=48.0)
"""LightCNN's test alignment, 128 x 128: ``ec_y`` 40 and ``ec_mc_y`` 48 in the repository of its
authors (Wu et al., "A Light CNN for Deep Face Representation with Noisy Labels")."""

RAFD = Convention(size=256, eye_line=95.5, eye_to_mouth=64.0)
"""A face of RaFD, cropped to 256x256 around its centre: the middle between eyes and mouth is the
middle of the picture. That much is published; the scale, with the whole head in view, is ours."""

CONVENTIONS = {"lightcnn": LIGHTCNN, "rafd": RAFD}

_MAX_SAMPLES = 8  # Per output pixel and axis; finer detail of very large faces is averaged less.


def similarity_from_points(
    left_eye: np.ndarray,
    right_eye: np.ndarray,
    mouth: np.ndarray,
    size: int,
    convention: Convention = LIGHTCNN,
) -> np.ndarray:
    """Returns the similarity transform that brings a face into a convention's position.

    The eyes become level (as in LightCNN's own alignment, the eyes alone decide the rotation),
    their middle comes to the middle of the width and to the convention's height, and the mouth as
    far below as it says; at other sizes in proportion.

    Args:
        left_eye: float [2], the eye on the left of the picture as (x, y) in pixels; the centre of
            the top left pixel is (0, 0).
        right_eye: float [2], the eye on the right of the picture.
        mouth: float [2], the centre of the mouth.
        size: Height and width of the aligned picture, in pixels.
        convention: The position of eyes and mouth.

    Returns:
        float32 [6], (a, b, c, d, e, f): the pixel (x, y) of the aligned picture is taken from
        (a x + b y + c, d x + e y + f) of the original.

    Raises:
        ValueError: The mouth is not below the eyes, or the eyes are at one point: no face.
    """
    left_eye, right_eye, mouth = (
        np.asarray(points, np.float64) for points in (left_eye, right_eye, mouth)
    )
    width = np.linalg.norm(right_eye - left_eye)
    if not width > 0:
        raise ValueError("The two eyes of a face must be at different points.")
    across = (right_eye - left_eye) / width
    down = np.array([-across[1], across[0]])
    eyes = (left_eye + right_eye) / 2
    drop = np.sum((mouth - eyes) * down)
    if not drop > 0:
        raise ValueError(
            "The mouth of a face must be below its eyes, and left_eye left of right_eye."
        )
    middle, (eye_line, mouth_line) = (size - 1) / 2, convention.lines(size)
    scale = drop / (mouth_line - eye_line)
    across, down = across * scale, down * scale
    origin = eyes - across * middle - down * eye_line
    return np.stack([across, down, origin], axis=-1).reshape(6).astype(np.float32)


def warp(image: np.ndarray, transform: np.ndarray, size: int) -> np.ndarray:
    """Resamples a picture into an aligned one; black beyond the original.

    Large faces are sampled several times per pixel and averaged, so that shrinking them does not
    leave jagged edges.

    Args:
        image: uint8 [H, W, 3].
        transform: float [6], as ``similarity_from_points`` returns it.
        size: Height and width of the result, in pixels.

    Returns:
        uint8 [size, size, 3].
    """
    affine = np.asarray(transform, np.float64).reshape(2, 3)
    scale = math.sqrt(abs(np.linalg.det(affine[:, :2])))
    samples = int(np.clip(math.ceil(scale), 1, _MAX_SAMPLES))
    # Sample j along a pixel's side lies at (j + 0.5) / samples - 0.5 of that pixel.
    finer = affine.copy()
    finer[:, 2] += affine[:, :2].sum(-1) * (0.5 / samples - 0.5)
    finer[:, :2] /= samples
    projective = [[*finer.reshape(6), 0.0, 0.0]]
    sampled = projective_transform(
        tf.cast(image[None], tf.float32), tf.constant(projective, tf.float32), size * samples
    )
    averaged = tf.nn.avg_pool2d(sampled, samples, samples, "VALID")
    return tf.cast(tf.round(averaged[0]), tf.uint8).numpy()
