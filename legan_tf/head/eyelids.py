"""Eyelids: the skin of lids that close, and the eye that lids uncover."""

from __future__ import annotations

import functools
import itertools

import numpy as np

from legan_tf.head import face_mesh
from legan_tf.head.color import luminance, to_linear
from legan_tf.head.face_points import FacePoints
from legan_tf.head.fields import blurred, continued, smooth_step
from legan_tf.head.frame import Frame, Window, sample
from legan_tf.head.mouth import polygon
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
_LASHES_ABOVE, _LASHES_BELOW = 0.012, 0.024
_LOWER_LASHES = 0.014
_MEETING = 0.15  # Of the opening, from the lower lid up, where lids meet.
_CHEEKS = (118, 347)
_LID_LIGHT = 0.9  # Of a lid, beside the cheek's.
_LID_RANGE = np.array([0.55, 1.06])
_AROUND = 0.75  # Share of the skin around in that light; the rest is the cheek's.
_SOFT = 0.014
_PORES, _TO_CHEEK = 0.012, 0.30
_DOME = 0.16  # Log gain of the middle of a lid, beside its rims.
_AROUND_EYES = 0.4, 0.45  # Across and down: as far as the skin that lids are made of.
_WIDER, _BESIDE = 1.06, 0.012
_LASH_LINE, _LASH_DARKNESS = 0.0075, 0.72
_CREASE, _CREASE_DARKNESS = 0.014, 0.08
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

    @functools.cached_property
    def window(self) -> Window:
        """Rows and columns of the frame that eyelids can show in, and what their paint needs."""
        eyes = self._points[[number for eye in _EYES for line in eye[:2] for number in line], :2]
        around = np.array(_AROUND_EYES) * self._frame.scale
        return self._frame.window(eyes.min(0) - around, eyes.max(0) + around)

    def close(
        self,
        moved: np.ndarray,
        motion: np.ndarray,
        gain: np.ndarray,
        eyes: tuple[bool, bool],
    ) -> tuple[np.ndarray, np.ndarray]:
        """Paints closed lids.

        Args:
            moved: float64 [V, 3], the shape, with the lids half way, in the frame.
            motion: float32 [h, w, 2], where the skin around comes from, in the window.
            gain: float32 [h, w], its log gain.
            eyes: Whether the eye at the picture's left closes, and that at its right.

        Returns:
            Linear light, float32 [h, w, 3], and its cover, float32 [h, w], in the window.
        """
        scale = self._frame.scale
        x, y = (axis[self.window] for axis in self._frame.grid())
        shape = x.shape[0], x.shape[1]
        corner = np.array([self.window[1].start, self.window[0].start])
        hidden = np.zeros(shape, np.float32)
        shade = np.zeros(shape, np.float32)
        places = self._face_points.places(moved)[:, :2]
        for upper, lower, _ in itertools.compress(_EYES, eyes):
            above = _sorted(self._points[list(upper)])
            below = _sorted(places[self._face_points.rows_of(lower)])
            top = above - (0, _LASHES_ABOVE * scale)
            ring = np.concatenate([top, (below + (0, _LASHES_BELOW * scale))[::-1]])
            middle = ring.mean(0)
            hidden = np.maximum(
                hidden, polygon(shape, (ring - middle) * (_WIDER, 1) + middle - corner)
            )
            # A lid comes down almost to the lower one, which rises a little.
            line = below + _MEETING * (_heights(above, below[:, 0])[:, None] - below) * (0, 1)
            smooth = np.polynomial.Polynomial.fit(line[:, 0], line[:, 1], 3)
            height = smooth(np.clip(x, line[0, 0], line[-1, 0]))
            along = np.minimum(x - line[0, 0], line[-1, 0] - x) / (0.06 * scale)
            ends = smooth_step(-0.6, 1, along)
            # Lashes lie below the line and thin out.
            away = (y - height) / (_LASH_LINE * scale)
            lashes = np.exp(-(np.where(away > 0, 0.55 * away, away) ** 2))
            crease = _heights(top, x)
            fold = np.exp(-(((y - crease) / (_CREASE * scale)) ** 2))
            shade += ends * np.log1p(-_LASH_DARKNESS * lashes - _CREASE_DARKNESS * fold)
            # The lid is a dome over the eye.
            across = np.clip((y - crease) / np.maximum(height - crease, 1), 0, 1)
            shade += ends * _DOME * (np.sin(np.pi * across) - 0.5) * (across > 0) * (across < 1)
        cover = blurred(hidden, _SOFT * scale)
        dark = blurred(np.maximum(hidden, (shade < -0.02)), 0.004 * scale)
        cover = np.clip(np.maximum(cover, dark), 0, 1)
        skin = to_linear(np.clip(sample(self._image, np.stack([x, y], -1) + motion), 0, 255))
        step = max(1, round(scale / 120))
        # Lashes and make-up beside the eye are no lid.
        known = blurred(hidden, _BESIDE * scale)[::step, ::step] < 0.05
        around = _enlarged(continued(skin[::step, ::step], known), step, shape)
        # Brows and shadows reach in where they are near: cheeks have their say, too.
        cheek = self._cheek()
        level = luminance(cheek)
        seen = np.maximum(luminance(around), 1e-4)
        light = seen**_AROUND * (_LID_LIGHT * level) ** (1 - _AROUND)
        light = np.clip(light, *(_LID_RANGE * level))
        tint = (around / seen[..., None] + cheek / level) / 2
        smooth_skin = light[..., None] * tint
        # Pores and spots are those of the cheek under the eye.
        fine = np.log(luminance(skin) + 0.01)
        fine -= blurred(fine, _PORES * scale)
        texture = np.exp(sample(fine, np.stack([x, y + _TO_CHEEK * scale], -1) - corner))
        paint = smooth_skin * texture[..., None] * np.exp(np.minimum(gain, 0) + shade)[..., None]
        return paint.astype(np.float32), cover.astype(np.float32)

    def widen(
        self, moved: np.ndarray, seen: Surface, eyes: tuple[bool, bool]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Paints the part of iris and white that lids hid: the lower half, mirrored.

        Args:
            moved: float64 [V, 3], the shape with wide eyes, in the frame.
            seen: What is seen of it.
            eyes: Whether the eye at the picture's left opens, and that at its right.

        Returns:
            As ``close`` does.
        """
        scale = self._frame.scale
        x, y = (axis[self.window] for axis in self._frame.grid())
        light, cover = np.zeros((*x.shape, 3), np.float32), np.zeros(x.shape, np.float32)
        ball = np.zeros((self._frame.height, self._frame.width), bool)
        ball[seen.window] = seen.shows("left_eye", "right_eye", "eye_socket")
        ball = ball[self.window]
        own = to_linear(np.clip(self._image[self.window], 0, 255))
        places = self._face_points.places(moved)[:, :2]
        for upper, lower, iris in itertools.compress(_EYES, eyes):
            above, below = (_sorted(self._points[list(lid)]) for lid in (upper, lower))
            middle = self._iris(iris, above, below)
            lid = _sorted(places[self._face_points.rows_of(upper)])
            inside = ball & (x > above[0, 0]) & (x < above[-1, 0])
            old = _heights(above, x)
            share = np.clip((old + 0.030 * scale - y) / (0.018 * scale), 0, 1) * inside
            rim = _heights(below, x)
            from_ = np.minimum(2 * middle[1] - y, rim - _LOWER_LASHES * scale)
            mirrored = to_linear(np.clip(sample(self._image, np.stack([x, from_], -1)), 0, 255))
            eye = share[..., None] * mirrored + (1 - share[..., None]) * own
            under = np.clip(y - _heights(lid, x), 0, None)
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

    def _cheek(self) -> np.ndarray:
        """Returns the mean linear colour under the eyes, float32 [3], not black."""
        reach = max(1, round(0.02 * self._frame.scale))
        found = []
        for number in _CHEEKS:
            x, y = np.round(self._points[number]).astype(int)
            rows = slice(max(y - reach, 0), max(y + reach, 1))
            columns = slice(max(x - reach, 0), max(x + reach, 1))
            found.append(to_linear(np.clip(self._image[rows, columns], 0, 255)).reshape(-1, 3))
        return np.concatenate(found).mean(0) + np.float32(1e-4)


def _sorted(line: np.ndarray) -> np.ndarray:
    return line[np.argsort(line[:, 0])]


def _heights(line: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Returns y of a line [n, 2], from left to right, at x."""
    return np.interp(x, line[:, 0], line[:, 1])


def _enlarged(field: np.ndarray, step: int, shape: tuple[int, int]) -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32) / step
    return sample(field, np.stack([x, y], -1))
