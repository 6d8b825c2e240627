"""Layers: what is drawn beside a head's mesh, such as hair, and the view that it is drawn in."""

from __future__ import annotations

import dataclasses

import numpy as np

from legan_tf.head.camera_fit import Camera


@dataclasses.dataclass(frozen=True, eq=False)
class View:
    """The picture that a person is drawn in.

    Attributes:
        size: Height and width in pixels.
        samples: Samples along each side of a pixel.
        camera: Projects head space into the picture: x right, y down, z to the viewer, in pixels,
            0 in the middle of the first pixel.
    """

    size: int
    samples: int
    camera: Camera

    @property
    def upright(self) -> np.ndarray:
        """Rotation [3, 3] of head space to axes x right, y up, z to the viewer."""
        return self.camera.rotation * np.array([[1.0], [-1.0], [-1.0]])

    def grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns x and y of the samples in pixels, float64 [H, W], H = W = size x samples."""
        count = self.size * self.samples
        at = (np.arange(count) + 0.5) / self.samples - 0.5
        y, x = np.meshgrid(at, at, indexing="ij")
        return x, y


@dataclasses.dataclass(frozen=True, eq=False)
class Layer:
    """Something at the samples of a view.

    Attributes:
        depth: float32 [H, W], pixels, larger is nearer; -inf where it is not.
        normals: float32 [H, W, 3], unit, y up.
        albedo: float32 [H, W, 3], linear RGB in [0, 1].
        alpha: float32 [H, W], how much of what is behind it hides.
        gloss: float32 [H, W], strength of the highlight.
        shades: Whether it hides light from what is behind it.
    """

    depth: np.ndarray
    normals: np.ndarray
    albedo: np.ndarray
    alpha: np.ndarray
    gloss: np.ndarray
    shades: bool = True
