"""Inside of a mouth: teeth, gums, tongue and socket of the head, painted where the lips part."""

from __future__ import annotations

import functools

import numpy as np
from PIL import Image, ImageDraw

from legan_tf.head import face_mesh
from legan_tf.head.color import luminance, to_linear
from legan_tf.head.fields import blurred
from legan_tf.head.frame import Frame
from legan_tf.head.mesh import vertex_normals
from legan_tf.head.morphable_head import PARTS
from legan_tf.head.sky import sky_light
from legan_tf.head.surface import MOUTH, Shape, part_table

OPEN = 0.03
"""Distance of the lips, as a share of the eyes' distance, from where a mouth counts as open."""

_CHEEKS = (205, 425)
_FOREHEAD = 151
# Linear colours: light that teeth return where a white eye and the skin return 1 each, and what
# other parts return beside teeth.
_TOOTH = np.array([1.131, 0.973, 0.879], np.float32)
_SCLERA = np.array([1.16, 0.959, 0.954], np.float32)
_SKIN = np.array([1.62, 0.85, 0.62], np.float32)  # Of luminance 1, in white light.
_TOOTH_GAIN, _MOST = 1.43, 0.85
_TINT_RANGE, _SKIN_RANGE = (0.35, 2.2), (0.8, 1.3)
_BLACK = 1e-4
_GREY = 0.03  # Saturation of the cheeks below which a photograph has no colours.
_PARTS = {
    "mouth_socket": (0.20, (0.60, 0.17, 0.14)),
    "gums": (0.42, (0.66, 0.30, 0.28)),
    "tongue": (0.48, (0.70, 0.29, 0.27)),
}
_UPPER_TEETH, _LOWER_TEETH = 1.1, 0.97
_PALE = 0.66  # Blue beside red of what may be a tooth; lips and tongue have less.
_TOOTH_SHARE = 0.2  # Of an opening that teeth fill, from where their colour is theirs.
_FINER = 2  # Samples per step of the frame and axis.
_AMBIENT = 0.07  # Light that reaches every place of the mouth.
_SHINE, _SHINE_EXPONENT = 0.22, 60
_SOFTNESS = 0.0042  # Of the eyes' distance: no sharper than a photograph.
_MOST_NOISE = 0.03


class MouthPainter:
    """Paints the inside of one person's mouth, in the light of the photograph."""

    def __init__(self, frame: Frame, image: np.ndarray, points: np.ndarray) -> None:
        """Takes the frame, the picture in it and the finder's points in it.

        Args:
            frame: The frame.
            image: float32 [h, w, 3], sRGB of the frame's points, 0 to 255.
            points: float64 [468, 2] in the frame.
        """
        self._frame, self._image, self._points = frame, image, points

    @functools.cached_property
    def _opening(self) -> np.ndarray:
        """Where the photograph shows the inside of the mouth, bool [h, w]."""
        points, scale = self._points, self._frame.scale
        if points[14, 1] - points[13, 1] < OPEN * scale:
            return np.zeros((self._frame.height, self._frame.width), bool)
        ring = points[
            [
                face_mesh.LEFT_MOUTH_CORNER,
                *face_mesh.UPPER_INNER_LIP,
                face_mesh.RIGHT_MOUTH_CORNER,
                *face_mesh.LOWER_INNER_LIP[::-1],
            ]
        ]
        opening = polygon((self._frame.height, self._frame.width), ring)
        return blurred(opening, 0.006 * scale) > 0.6

    @property
    def opening_size(self) -> int:
        """How many points of the frame show the inside of the photograph's mouth."""
        return int(np.count_nonzero(self._opening))

    def seen_in_photograph(self, from_: np.ndarray) -> np.ndarray:
        """Returns whether places [n, 2] lie where the photograph shows the mouth's inside."""
        x, y = np.round(from_).astype(int).T
        within = (x >= 0) & (y >= 0) & (x < self._frame.width) & (y < self._frame.height)
        opening = self._opening
        return within & opening[np.where(within, y, 0), np.where(within, x, 0)]

    def paint(self, moved: Shape, where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Paints the opening of a shape.

        Args:
            moved: The shape.
            where: bool [h, w], points of the opening to paint.

        Returns:
            Linear light, float32 [h, w, 3], and its cover, float32 [h, w].
        """
        shape = where.shape
        paint, cover = np.zeros((*shape, 3), np.float32), np.zeros(shape, np.float32)
        if not where.any():
            return paint, cover
        pad = 4 + int(0.02 * self._frame.scale)
        rows, columns = np.nonzero(where)
        top, left = max(rows.min() - pad, 0), max(columns.min() - pad, 0)
        bottom, right = rows.max() + pad + 1, columns.max() + pad + 1
        bottom, right = min(bottom, shape[0]), min(right, shape[1])
        finer = (np.arange(_FINER) + 0.5) / _FINER - 0.5
        y, x = np.meshgrid(
            (np.arange(top, bottom)[:, None] + finer).ravel(),
            (np.arange(left, right)[:, None] + finer).ravel(),
            indexing="ij",
        )
        first, shares, depth = moved.scene.hits(x.ravel(), y.ravel())
        part = np.where(first >= 0, moved.part[first], 255)
        mouth = part_table(*MOUTH)[part]
        inside = np.flatnonzero(mouth)
        light = np.zeros((len(part), 3), np.float32)
        places = np.stack([x.ravel()[inside], y.ravel()[inside], depth[inside]], -1)
        corners = moved.triangles[first[inside]]
        light[inside] = self._light(moved, corners, shares[inside], part[inside], places)
        size = bottom - top, _FINER, right - left, _FINER
        colour = light.reshape(*size, 3).mean((1, 3))
        alpha = mouth.astype(np.float32).reshape(size).mean((1, 3))
        alpha *= where[top:bottom, left:right] | (alpha < 1)
        soft = max(_SOFTNESS * self._frame.scale, 0.5)
        covered = blurred(alpha, soft)
        colour = blurred(colour, soft) / np.maximum(covered, 1e-3)[..., None]
        colour *= 1 + self._noise * grain(colour.shape[:2])[..., None]
        paint[top:bottom, left:right], cover[top:bottom, left:right] = colour, covered
        return paint, cover

    def _light(
        self,
        moved: Shape,
        corners: np.ndarray,
        shares: np.ndarray,
        part: np.ndarray,
        places: np.ndarray,
    ) -> np.ndarray:
        """Returns the linear light, float32 [n, 3], of places of the mouth."""
        inside = moved.triangles[part_table(*MOUTH)[moved.part]]
        normals = vertex_normals(moved.vertices, inside)
        normal = np.einsum("nck,nc->nk", normals[corners], shares)
        normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-6)
        normal[normal[:, 2] < 0] *= -1
        sky = sky_light(moved.scene, places, normal, self._frame.scale)
        upper, lower = (part == PARTS.index(f"{row}_teeth") for row in ("upper", "lower"))
        teeth = upper | lower
        if np.count_nonzero(teeth) > 50:
            # The lamp of the photograph reaches the teeth better than a sky that lips half hide.
            sky = sky * np.clip(0.97 / max(np.quantile(sky[teeth], 0.75), 0.05), 0.8, 2.2)
        sky = np.minimum(sky, 1.25)
        tooth = self._tooth
        colour = np.zeros((len(part), 3), np.float32)
        for name, (share, tint) in _PARTS.items():
            shade = np.array(tint, np.float32) * self._tint
            colour[part == PARTS.index(name)] = share * luminance(tooth) * shade / luminance(shade)
        colour[upper], colour[lower] = _UPPER_TEETH * tooth, _LOWER_TEETH * tooth
        light = colour * (_AMBIENT + (1 - _AMBIENT) * sky)[:, None]
        half = np.array([0, 0.35, 1]) / np.hypot(0.35, 1)
        wet = np.clip(normal @ half, 0, 1) ** _SHINE_EXPONENT
        wet *= _SHINE * (part != PARTS.index("mouth_socket")) * np.clip(1.5 * sky, 0, 1)
        light = light + (wet * luminance(tooth))[:, None].astype(np.float32)
        return np.repeat(luminance(light)[:, None], 3, 1) if self._is_grey else light

    @functools.cached_property
    def _tooth(self) -> np.ndarray:
        """Linear colour of lit teeth, float32 [3], by the white of the eyes and the cheeks."""
        own = self._own_tooth()
        if own is not None:
            return own
        white = self._sclera()
        skin = luminance(self._cheek)
        if white is None or luminance(white) < _BLACK:
            level, tint = skin, self._tint
        else:
            level = np.clip(luminance(white), 0.4 * skin, 3 * skin)
            # The white of eyes may be bloodshot, and skin has its own colour: the mean of both.
            tint = np.sqrt(white / luminance(white) / _SCLERA * self._tint)
        tooth = tint * _TOOTH
        brightness = min(max(_TOOTH_GAIN * np.sqrt(level * skin), 0.9 * level), _MOST)
        return (tooth / max(float(luminance(tooth)), _BLACK) * brightness).astype(np.float32)

    @functools.cached_property
    def _cheek(self) -> np.ndarray:
        """Linear colour of the cheeks, float32 [3]."""
        return np.mean([self._patch(number, 0.015) for number in _CHEEKS], 0)

    @functools.cached_property
    def _tint(self) -> np.ndarray:
        """Colour of the photograph's light, float32 [3], by that of the skin."""
        tint = self._cheek / max(luminance(self._cheek), 1e-4) / _SKIN
        # People's skins differ by as much as this in white light.
        return np.clip(tint, *_TINT_RANGE) / np.clip(tint, *_SKIN_RANGE)

    @functools.cached_property
    def _is_grey(self) -> bool:
        return bool(np.ptp(self._cheek) < _GREY * self._cheek.max())

    def _own_tooth(self) -> np.ndarray | None:
        """Returns the linear colour of the teeth that the photograph shows, or None."""
        light = to_linear(np.clip(self._image[self._opening], 0, 255))
        if len(light) < 20:
            return None
        bright = luminance(light)
        pale = light[:, 2] * self._tint[0] > _PALE * light[:, 0] * self._tint[2]
        chosen = pale & (bright >= np.quantile(bright, 0.5))
        if np.count_nonzero(chosen) < _TOOTH_SHARE * len(light):
            return None
        return (np.median(light[chosen], 0) / _UPPER_TEETH).astype(np.float32)

    def _sclera(self) -> np.ndarray | None:
        """Returns the linear colour of the white of the eyes, or None if too little is seen."""
        points, found = self._points, []
        shape = self._frame.height, self._frame.width
        for eye in (face_mesh.LEFT_EYE, face_mesh.RIGHT_EYE):
            middle = points[list(eye)].mean(0)
            inner = polygon(shape, (points[list(_ring(eye))] - middle) * 0.85 + middle) > 0.5
            y, x = np.nonzero(inner)
            white = np.hypot(x - middle[0], y - middle[1]) >= 0.085 * self._frame.scale
            found.append(self._image[y[white], x[white]])
        white = to_linear(np.concatenate(found))
        if len(white) < 20:
            return None
        bright = luminance(white)
        return np.median(white[bright >= np.quantile(bright, 0.55)], 0)

    def _patch(self, number: int, radius: float) -> np.ndarray:
        """Returns the mean linear colour around one of the finder's points."""
        reach = max(1, round(radius * self._frame.scale))
        x, y = np.round(self._points[number]).astype(int)
        rows = slice(max(y - reach, 0), max(y + reach + 1, 1))
        columns = slice(max(x - reach, 0), max(x + reach + 1, 1))
        return to_linear(self._image[rows, columns]).reshape(-1, 3).mean(0)

    @functools.cached_property
    def _noise(self) -> float:
        """Relative noise of the photograph's forehead."""
        reach = max(3, round(0.06 * self._frame.scale))
        x, y = np.round(self._points[_FOREHEAD]).astype(int)
        rows = slice(max(y - reach, 0), max(y + reach, 1))
        columns = slice(max(x - reach, 0), max(x + reach, 1))
        light = luminance(to_linear(self._image[rows, columns]))
        fine = np.abs(light - blurred(light, 1.5))
        deviation = 1.48 * float(np.median(fine)) / max(float(light.mean()), 1e-3)
        return 1.8 * min(deviation, _MOST_NOISE)


def polygon(shape: tuple[int, int], ring: np.ndarray) -> np.ndarray:
    """Returns how much of each point [h, w] a polygon [n, 2] covers, float32 0 to 1."""
    finer = 4
    covered = np.zeros(shape, np.float32)
    size = np.array(shape[::-1])
    low = np.clip(np.floor(ring.min(0)).astype(int) - 1, 0, size)
    high = np.clip(np.ceil(ring.max(0)).astype(int) + 2, 0, size)
    if (low >= high).any():
        return covered
    width, height = (high - low).tolist()
    canvas = Image.new("L", (width * finer, height * finer))
    corners = [tuple(place) for place in (ring - low + 0.5) * finer - 0.5]
    ImageDraw.Draw(canvas).polygon(corners, fill=255)
    small = np.asarray(canvas, np.float32).reshape(height, finer, width, finer)
    covered[low[1] : high[1], low[0] : high[0]] = small.mean((1, 3)) / 255
    return covered


def _ring(eye: tuple[int, ...]) -> tuple[int, ...]:
    """Returns an eye's points around it: the upper lid, then the lower lid backwards."""
    return (*eye[:9], *eye[:8:-1])


def grain(shape: tuple[int, ...]) -> np.ndarray:
    """Returns noise of deviation about 1, as fine as a camera's after its processing."""
    grain = blurred(np.random.default_rng(0).normal(size=shape), 0.7)
    return grain / max(float(grain.std()), 1e-6)
