"""Statistics of the pictures of a manifest."""

from __future__ import annotations

import numpy as np

from legan_tf.data import images
from legan_tf.data.check.near_duplicates import SIDE


class ImageStatistics:
    """Measures of n pictures, as training sees them: cropped and cut to a square.

    Attributes:
        seen: bool [n]; False where a picture could not be decoded, and all else is 0.
        width: int32 [n], of the file, upright, in pixels.
        height: int32 [n], likewise.
        side: float32 [n], side of the square that is cut out, in pixels of the file.
        brightness: float32 [n], mean luma of the square, 0 to 255.
        contrast: float32 [n], standard deviation of the thumbnail's luma.
        thumbnail: uint8 [n,32,32], the square's luma.
        digest: n digests of the files' bytes; empty where not seen.
    """

    def __init__(self, count: int, crop: images.Crop | None) -> None:
        """Allocates the arrays of ``count`` pictures, which are cropped by ``crop`` first."""
        self._crop = crop or (0.0, 0.0, 1.0, 1.0)
        self.seen = np.zeros(count, bool)
        self.width = np.zeros(count, np.int32)
        self.height = np.zeros(count, np.int32)
        self.side = np.zeros(count, np.float32)
        self.brightness = np.zeros(count, np.float32)
        self.contrast = np.zeros(count, np.float32)
        self.thumbnail = np.zeros((count, SIDE, SIDE), np.uint8)
        self.digest = [b""] * count

    def add(self, index: int, digest: bytes, picture: np.ndarray) -> None:
        """Measures the picture of a place, uint8 [H, W, 3]; several threads may do so at once."""
        left, top, right, bottom = self._crop
        height, width = picture.shape[:2]
        luma = images.to_square(picture, SIDE, self._crop) @ np.array(images.LUMA, np.float32)
        self.width[index], self.height[index] = width, height
        self.side[index] = min((right - left) * width, (bottom - top) * height)
        self.brightness[index], self.contrast[index] = luma.mean(), luma.std()
        self.thumbnail[index] = np.round(luma)
        self.digest[index] = digest
        self.seen[index] = True
