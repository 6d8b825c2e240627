"""Eyelids: the skin of lids that close, and the eye that lids uncover."""

from __future__ import annotations

import numpy as np

from legan_tf.head import face_mesh
from legan_tf.head.color import luminance, to_linear
from legan_tf.head.face_points import FacePoints
from legan_tf.head.fields import blurred, continued, smooth_step
from legan_tf.head.frame import Frame, sample
from legan_tf.head.mouth import grain, polygon
from legan_tf.head.surface import Surface

CLOSED = 0.9
"""Weight of eyeBlink from where an eye is closed."""
WIDE = 0.05
"""Weight of eyeWide from where a lid uncovers what it hid."""

_EYES = (
    (face_mesh.LEFT_UPPER_LID, face_mesh.LEFT_LOWER_LID, face_mesh.LEFT_IRIS),
    (face_mesh.RIGHT_UPPER_LID, face_mesh.RIGHT_LOWER_LID, face_mesh.RIGHT_IRIS),
)
# All lengths are shares of the eyes' distance.
_LASHES_ABOVE, _LASHES_BELOW = 0.030, 0.022
_LOWER_LASHES = 0.014
_LASH_LINE, _LASH_DARKNESS = 0.0075, 0.72
_CREASE, _CREASE_DARKNESS = 0.010, 0.16
_LID_SHADOW, _LID_SHADOW_DEPTH = 0.022, 0.5


class EyelidPainter:
    """Paints what lids show when they close or open."""

    def __init__(
        self, frame: Frame, image: np.ndarray, points: np.ndarray, face_points: FacePoints
    ) -> None:
        """Takes the frame, the picture in it, the finder's points in it and those on the head.

        Args:
            frame: The frame.
            image: float32 [h, w, 3], sRGB of the frame's points, 0 to 255.
            points: float64 [468 or more, 2] in the frame.
            face_points: The finder's points on the head.
        """
        self._frame, self._image = frame, image
        self._points, self._face_points = points, face_points

    def close(
        self, moved: np.ndarray, motion: np.ndarray, gain: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Paints closed lids.

        Args:
            moved: float64 [V, 3], the shape with closed lids, in the frame.
            motion: float32 [h, w, 2], where the skin around comes from.
            gain: float32 [h, w], its log gain.

        Returns:
            Linear light, float32 [h, w, 3], and its cover, float32 [h, w].
        """
        frame, scale = self._frame, self._frame.scale
        x, y = frame.grid()
        shape = frame.height, frame.width
        hidden = np.zeros(shape, np.float32)
        shade = np.zeros(shape, np.float32)
        places = self._face_points.places(moved)[:, :2]
        for upper, lower, _ in _EYES:
            above, below = self._points[list(upper)], self._points[list(lower)]
            ring = np.concatenate(
                [
                    above - (0, _LASHES_ABOVE * scale),
                    (below + (0, _LASHES_BELOW * scale))[::-1],
                ]
            )
            hidden = np.maximum(hidden, polygon(shape, ring))
            line = places[self._face_points.rows_of(lower)]
            line = line[np.argsort(line[:, 0])]
            smooth = np.polynomial.Polynomial.fit(line[:, 0], line[:, 1], 3)
            height = smooth(np.clip(x, line[0, 0], line[-1, 0]))
            along = np.minimum(x - line[0, 0], line[-1, 0] - x) / (0.06 * scale)
            ends = smooth_step(-0.6, 1, along)
            # Lashes lie below the line and thin out.
            away = (y - height) / (_LASH_LINE * scale)
            lashes = np.exp(-(np.where(away > 0, 0.55 * away, away) ** 2))
            crease = np.interp(x, above[:, 0], above[:, 1] - 0.035 * scale)
            fold = np.exp(-(((y - crease) / (_CREASE * scale)) ** 2))
            shade += ends * np.log1p(-_LASH_DARKNESS * lashes - _CREASE_DARKNESS * fold)
        cover = blurred(hidden, 0.008 * scale)
        dark = blurred(np.maximum(hidden, (shade < -0.02)), 0.004 * scale)
        cover = np.clip(np.maximum(cover, dark), 0, 1)
        around = np.stack([x, y], -1) + motion
        skin = to_linear(np.clip(sample(self._image, around), 0, 255))
        step = max(1, round(scale / 120))
        known = hidden[::step, ::step] < 0.01
        smooth_skin = continued(skin[::step, ::step], known)
        smooth_skin = _enlarged(smooth_skin, step, shape)
        texture = 1 + 0.5 * self._grain(skin) * grain(shape)
        paint = smooth_skin * texture[..., None] * np.exp(gain + shade)[..., None]
        return paint.astype(np.float32), cover.astype(np.float32)

    def widen(self, moved: np.ndarray, seen: Surface) -> tuple[np.ndarray, np.ndarray]:
        """Paints the part of iris and white that lids hid: the lower half, mirrored.

        Args:
            moved: float64 [V, 3], the shape with wide eyes, in the frame.
            seen: What is seen of it.

        Returns:
            As ``close`` does.
        """
        frame, scale = self._frame, self._frame.scale
        x, y = frame.grid()
        light, cover = np.zeros((*x.shape, 3), np.float32), np.zeros(x.shape, np.float32)
        ball = seen.shows("left_eye", "right_eye", "eye_socket")
        own = to_linear(np.clip(self._image, 0, 255))
        places = self._face_points.places(moved)[:, :2]
        for upper, lower, iris in _EYES:
            above, below = self._points[list(upper)], self._points[list(lower)]
            middle = self._iris(iris, above, below)
            lid = places[self._face_points.rows_of(upper)]
            lid = lid[np.argsort(lid[:, 0])]
            inside = ball & (x > above[0, 0]) & (x < above[-1, 0])
            old = np.interp(x, above[:, 0], above[:, 1])
            share = np.clip((old + 0.030 * scale - y) / (0.018 * scale), 0, 1) * inside
            rim = np.interp(x, below[:, 0], below[:, 1])
            from_ = np.minimum(2 * middle[1] - y, rim - _LOWER_LASHES * scale)
            mirrored = to_linear(np.clip(sample(self._image, np.stack([x, from_], -1)), 0, 255))
            eye = share[..., None] * mirrored + (1 - share[..., None]) * own
            under = np.clip(y - np.interp(x, lid[:, 0], lid[:, 1]), 0, None)
            eye *= (1 - _LID_SHADOW_DEPTH * np.exp(-under / (_LID_SHADOW * scale)))[..., None]
            part = inside & (y < middle[1] + 0.1 * scale) & (y < rim - 0.005 * scale)
            part_cover = blurred(part, 0.004 * scale)
            light = np.where((part_cover > cover)[..., None], eye, light)
            cover = np.maximum(cover, part_cover)
        return light.astype(np.float32), cover

    def _iris(self, number: int, above: np.ndarray, below: np.ndarray) -> np.ndarray:
        """Returns the centre of an iris, by its point if the finder has one."""
        if len(self._points) > number:
            return self._points[number]
        return (above.mean(0) + below.mean(0)) / 2

    def _grain(self, skin: np.ndarray) -> float:
        """Returns the relative noise of the skin."""
        light = luminance(skin)
        fine = np.abs(light - blurred(light, 1.5))
        return min(1.48 * float(np.median(fine)) / max(float(np.median(light)), 1e-3), 0.08)


def _enlarged(field: np.ndarray, step: int, shape: tuple[int, int]) -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32) / step
    return sample(field, np.stack([x, y], -1))
