"""Square regions of a picture, turned and scaled, cut out for a network to see."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from PIL import Image


@dataclasses.dataclass(frozen=True)
class Region:
    """A square part of a picture, which may reach beyond it.

    Attributes:
        x: Centre in pixels of the picture; the centre of the first is 0.
        y: Likewise.
        side: In pixels of the picture.
        angle: How far it is turned, in radians; above 0 where its upper edge falls to the right.
    """

    x: float
    y: float
    side: float
    angle: float = 0.0

    def to_picture(self, points: np.ndarray) -> np.ndarray:
        """Brings points out of the region into the picture.

        Args:
            points: float [..., 2 or 3], in shares of the side, the upper left corner being (0, 0);
                depth likewise.

        Returns:
            The points in pixels, of the same shape.
        """
        turn = self._turn()
        places = (points[..., :2] - 0.5) @ turn.T * self.side + (self.x, self.y)
        return np.concatenate([places, points[..., 2:] * self.side], axis=-1)

    def affine(self, size: int) -> np.ndarray:
        """Returns the transform from a cut-out of so many pixels to the picture, float64 [2, 3].

        Both count from the corner of the first pixel, as Pillow does.
        """
        turn = self._turn() * (self.side / size)
        return np.column_stack([turn, (self.x + 0.5, self.y + 0.5) - turn @ (size / 2, size / 2)])

    def _turn(self) -> np.ndarray:
        cosine, sine = math.cos(self.angle), math.sin(self.angle)
        return np.array([[cosine, -sine], [sine, cosine]])


class Pyramid:
    """A picture in several sizes, each half of the one before, to cut regions out of."""

    def __init__(self, image: np.ndarray) -> None:
        """Makes the pyramid of a picture, uint8 [H, W, 3]; the smaller sizes when asked for."""
        self._levels = [Image.fromarray(image)]
        self.height, self.width = image.shape[:2]

    def cut(self, region: Region, size: int) -> np.ndarray:
        """Returns a region, uint8 [size, size, 3], averaged if shrunk; black beyond the picture."""
        # A bilinear sample averages two pixels: at less than half the size it would miss some.
        level = max(0, int(math.log2(max(region.side / size, 1.0))))
        image = self._level(level)
        affine = region.affine(size)
        # A side that is odd is rounded up, where the last pixels average fewer than two.
        affine /= 2.0 ** min(level, len(self._levels) - 1)
        return np.asarray(
            image.transform(
                (size, size),
                Image.Transform.AFFINE,
                affine.ravel().tolist(),
                Image.Resampling.BILINEAR,
            )
        )

    def _level(self, level: int) -> Image.Image:
        while len(self._levels) <= level and min(self._levels[-1].size) > 1:
            self._levels.append(self._levels[-1].reduce(2))
        return self._levels[min(level, len(self._levels) - 1)]
