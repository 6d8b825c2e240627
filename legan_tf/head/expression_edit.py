"""Edit of an expression: where each point of a face's frame comes from, its gain and its paint.

The target shape is seen at every point of the frame; triangle and weights give the place that the
photograph shows of it (backward warp). Beyond the face the motion goes on and fades.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
from scipy.ndimage import binary_closing, distance_transform_edt
from scipy.spatial import cKDTree

from legan_tf.head import face_mesh
from legan_tf.head.eyelids import CLOSED, WIDE, EyelidPainter
from legan_tf.head.face_points import lip_rim, parted_lips
from legan_tf.head.fields import blurred, blurred_within, continued, smooth_step
from legan_tf.head.fit import FittedHead
from legan_tf.head.frame import Frame, sample
from legan_tf.head.furrows import furrow_gain
from legan_tf.head.morphable_head import MorphableHead
from legan_tf.head.mouth import MouthPainter
from legan_tf.head.surface import EYES, MOUTH, Shape, Surface, seen_surface
from legan_tf.head.target import Target

_GRAZING = 0.25  # Cosine to the viewer from where skin is seen too slantingly to be moved.
_LIP_RIM = 1.6  # cm around the lips' inner edges that belong to one lip.
_COARSE = 4  # Steps of the grid on which motion is continued beyond the face.
_STILL = 0.1  # Steps; less motion beyond the face is none.
_UNSEEN = 2e-3  # Steps of motion and log gain.
_CLOSED_GAIN = 0.05  # Most log gain around lids that close.
_KEPT = 0.7  # Share of an opening that the photograph shows, from where its inside is kept.
_DARKEST, _BRIGHTEST = -0.8, 0.6  # Log gain of shading.
_SHADED = 0.15  # Light that shading cannot take away.


@dataclasses.dataclass(frozen=True, eq=False)
class FrameEdit:
    """What an edit does to the points of a frame.

    Attributes:
        motion: float32 [h, w, 2], steps from each point to where its picture is taken from.
        gain: float32 [h, w], logarithm of the gain of linear light after that.
        paint: float32 [h, w, 3], linear light of what the photograph does not show.
        cover: float32 [h, w], share of the paint, 0 to 1.
    """

    motion: np.ndarray
    gain: np.ndarray
    paint: np.ndarray
    cover: np.ndarray

    @property
    def touched(self) -> np.ndarray:
        """Where the edit changes anything, bool [h, w]."""
        return (_length(self.motion) > 0) | (self.gain != 0) | (self.cover > 0)


class ExpressionEditor:
    """Edits of one fitted face.

    What does not depend on the target is worked out once.
    """

    def __init__(self, fitted: FittedHead, frame: Frame, image: np.ndarray) -> None:
        """Takes the fit, its frame and the picture in it.

        Args:
            fitted: The fit.
            frame: The frame.
            image: float32 [h, w, 3], sRGB of the frame's points, 0 to 255.
        """
        self._fitted, self._frame, self._image = fitted, frame, image
        self._head = fitted.head
        self._source = self._shape(fitted.vertices())
        self._points = frame.to_frame(fitted.points)
        self._mouth = MouthPainter(frame, image, self._points)
        self._eyelids = EyelidPainter(frame, image, self._points, fitted.face_points)

    def edit(self, target: Target) -> FrameEdit:
        """Returns the edit to a target."""
        fitted, frame = self._fitted, self._frame
        residual = target.residual
        if target.lips_meet:
            residual = self._with_closed_lips(target.expression, residual)
        closing = self._weight(target, "eyeBlink") > CLOSED
        expression = (
            self._with_half_closed_eyes(target.expression) if closing else target.expression
        )
        moved = self._shape(fitted.vertices(expression, residual, target.teeth))
        seen = seen_surface(moved, frame)
        x, y = frame.grid()
        from_ = seen.at(self._source.vertices[:, :2])
        skin = seen.shows("face")
        valid = skin & (seen.at(moved.skin_normals[:, 2]) > _GRAZING)
        self._mirror_inner_lips(seen, skin, from_, target.lips_meet)
        motion = from_ - np.stack([x, y], -1)
        inside = seen.shows(*MOUTH)
        own = inside & self._mouth.seen_in_photograph(from_)
        # A person's own teeth and others beside them are two rows: all are kept, or none.
        kept = np.count_nonzero(own) > _KEPT * np.count_nonzero(inside)
        own = own if kept else np.zeros_like(inside)
        painted = np.zeros_like(inside) if kept else inside
        motion = self._continued(motion, valid, inside & ~own, own, seen.shows(*EYES))
        gain = self._gain(seen, valid, moved, target)
        gain += furrow_gain(self._head, fitted.expression, target.expression, seen, valid, frame)
        if target.lips_meet:
            gain += self._seam(moved.vertices)
        paint, cover = self._mouth.paint(moved, painted)
        if closing:
            # The fold over a lid is deep, and what its light would become is not known.
            gain = np.minimum(gain, _CLOSED_GAIN)
            paint, cover = _over(self._eyelids.close(moved.vertices, motion, gain), (paint, cover))
        elif self._weight(target, "eyeWide") > self._own_weight("eyeWide") + WIDE:
            paint, cover = _over(self._eyelids.widen(moved.vertices, seen), (paint, cover))
        taper = _border_taper(frame)
        return FrameEdit(
            motion=_rounded(motion * taper[..., None]),
            gain=_rounded(gain * taper),
            paint=paint,
            cover=cover,
        )

    def _shape(self, vertices: np.ndarray) -> Shape:
        return Shape(self._head, self._frame.to_frame(vertices), self._frame.scale)

    @functools.cached_property
    def _lip_side(self) -> np.ndarray:
        """float32 [V], 1 at the upper lip, -1 at the lower, 0 elsewhere."""
        return lip_sides(self._head)

    def _mirror_inner_lips(
        self, seen: Surface, skin: np.ndarray, from_: np.ndarray, lips_meet: bool
    ) -> None:
        """Takes the inside of lips, which the photograph does not show, from the red of the lip.

        Without it the dark line between closed lips would be stretched.
        """
        points, scale = self._points, self._frame.scale
        side = seen.at(self._lip_side)
        left, right = face_mesh.LEFT_MOUTH_CORNER, face_mesh.RIGHT_MOUTH_CORNER
        edge = 0.010 * scale
        if lips_meet and points[14, 1] - points[13, 1] < 0.03 * scale:
            edge = 0.0
        x, y = from_[..., 0], from_[..., 1]
        within = skin & (x > points[left, 0]) & (x < points[right, 0])
        taper = np.clip(
            np.minimum(x - points[left, 0], points[right, 0] - x) / (0.05 * scale), 0, 1
        )
        for sign, numbers in ((1, face_mesh.UPPER_INNER_LIP), (-1, face_mesh.LOWER_INNER_LIP)):
            line = points[[left, *numbers, right]]
            order = np.argsort(line[:, 0])
            limit = np.interp(x, line[order, 0], line[order, 1]) - sign * edge * taper
            over = np.clip(sign * (y - limit), 0, None)
            chosen = within & (sign * side > 0.5) & (over > 0)
            y[chosen] = (limit - sign * 0.6 * over)[chosen]

    def _continued(
        self,
        motion: np.ndarray,
        valid: np.ndarray,
        opening: np.ndarray,
        own: np.ndarray,
        eyes: np.ndarray,
    ) -> np.ndarray:
        """Returns the motion continued beyond the skin, and faded there."""
        scale = self._frame.scale
        known = np.where(valid[..., None], motion, 0)
        coarse = valid[::_COARSE, ::_COARSE]
        beyond = continued(known[::_COARSE, ::_COARSE], coarse)
        closed = binary_closing(np.pad(coarse, 16), np.ones((3, 3)), 15)[16:-16, 16:-16]
        distance = distance_transform_edt(~(closed | coarse)) * _COARSE
        strongest = _length(motion[valid]).max(initial=0.0)
        beyond *= np.exp(-((distance / max(0.35 * scale, 1.6 * strongest)) ** 2))[..., None]
        beyond = _enlarged(beyond, motion.shape[:2])
        beyond *= np.clip(1 - _STILL / np.maximum(_length(beyond), _STILL), 0, 1)[..., None]
        whole = binary_closing(np.pad(valid | opening | own, 4), np.ones((3, 3)), 3)[4:-4, 4:-4]
        share = np.clip(distance_transform_edt(whole) / (0.06 * scale), 0, 1)
        share = (blurred(share, 2) * valid)[..., None]
        result = share * known + (1 - share) * beyond
        # In the opening, the motion of the nearest skin: what lies under the paint's soft edge.
        rows, columns = distance_transform_edt(~valid, return_distances=False, return_indices=True)
        result[opening] = known[rows[opening], columns[opening]]
        result[own] = motion[own]
        result[eyes] = 0
        return result

    @functools.cached_property
    def _skin(self) -> np.ndarray:
        return self._head.vertices_of("face")

    def _gain(self, seen: Surface, valid: np.ndarray, moved: Shape, target: Target) -> np.ndarray:
        """Returns the log gain by which the light on the two shapes differs, and the quotient."""
        scale = self._frame.scale
        change = np.log((moved.sky + _SHADED) / (self._source.sky + _SHADED))
        change = np.clip(change, _DARKEST, _BRIGHTEST)
        if target.quotient is not None:
            change = change + target.quotient
        values = np.zeros(len(moved.vertices), np.float32)
        values[self._skin] = change
        gain = blurred_within(np.where(valid, seen.at(values), 0), valid, 0.008 * scale)
        around = binary_closing(np.pad(valid, 12), np.ones((3, 3)), 8)[12:-12, 12:-12]
        fade = np.clip(distance_transform_edt(around) / (0.12 * scale), 0, 1)
        return gain * fade

    def _with_closed_lips(self, expression: np.ndarray, residual: np.ndarray) -> np.ndarray:
        """Returns the residual with which the inner lips meet half way."""
        fitted = self._fitted
        rows, places = self._lip_places(expression, residual)
        gap = (places[1] - places[0]) / fitted.scale
        down = fitted.upright[:, 1]
        half = (gap @ down / 2 + 0.004)[:, None] * down
        closed = residual.copy()
        closed[rows[0]] += half
        closed[rows[1]] -= half
        return closed

    def _with_half_closed_eyes(self, expression: np.ndarray) -> np.ndarray:
        """Returns an expression with the lids half way; the way that is left is painted.

        A lid that is stretched over the whole eye would carry lashes and brows down with it.
        """
        half = expression.copy()
        for side in ("_L", "_R"):
            row = self._head.expression_index(f"eyeBlink{side}")
            half[row] = (self._fitted.expression[row] + expression[row]) / 2
        return half

    def _weight(self, target: Target, unit: str) -> float:
        """Returns the weight of an expression shape of the eyes in a target."""
        return float(target.expression[self._head.expression_index(f"{unit}_L")])

    def _own_weight(self, unit: str) -> float:
        return float(self._fitted.expression[self._head.expression_index(f"{unit}_L")])

    def _lip_places(
        self, expression: np.ndarray, residual: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns rows [2, n] and places [2, n, 2] of the inner lips' points, upper and lower."""
        fitted = self._fitted
        rows = np.stack(
            [
                fitted.face_points.rows_of(lip)
                for lip in (face_mesh.UPPER_INNER_LIP, face_mesh.LOWER_INNER_LIP)
            ]
        )
        places = fitted.places(fitted.vertices(expression, residual))
        return rows, places[rows]

    def _seam(self, moved: np.ndarray) -> np.ndarray:
        """Returns the log gain of the dark line between lips that were apart and now meet."""
        points, scale = self._points, self._frame.scale
        face_points = self._fitted.face_points
        places = face_points.places(moved)[:, :2]
        upper, lower = (
            face_points.rows_of(lip)
            for lip in (face_mesh.UPPER_INNER_LIP, face_mesh.LOWER_INNER_LIP)
        )
        corners = face_points.rows_of((face_mesh.LEFT_MOUTH_CORNER, face_mesh.RIGHT_MOUTH_CORNER))
        middle = (places[upper] + places[lower]) / 2
        line = np.concatenate([places[corners[:1]], middle, places[corners[1:]]])
        apart = points[list(face_mesh.LOWER_INNER_LIP)] - points[list(face_mesh.UPPER_INNER_LIP)]
        amount = np.r_[0, np.clip(np.linalg.norm(apart, axis=1) / scale / 0.03, 0, 1), 0]
        order = np.argsort(line[:, 0])
        x, y = self._frame.grid()
        height = np.interp(x, line[order, 0], line[order, 1])
        share = np.interp(x, line[order, 0], amount[order], 0, 0)
        depth = 0.62 * share * np.exp(-(((y - height) / (0.0075 * scale)) ** 2))
        return np.log1p(-depth).astype(np.float32)


Paint = tuple[np.ndarray, np.ndarray]
"""Linear light [h, w, 3] and its cover [h, w]."""


def _over(front: Paint, back: Paint) -> Paint:
    """Returns one paint over another."""
    share = front[1] / np.maximum(front[1] + back[1] * (1 - front[1]), 1e-6)
    light = front[0] * share[..., None] + back[0] * (1 - share[..., None])
    return light, front[1] + back[1] * (1 - front[1])


@functools.lru_cache(maxsize=2)
def lip_sides(head: MorphableHead) -> np.ndarray:
    """Returns 1 for vertices of a head at the upper lip's inner edge, -1 at the lower's, else 0."""
    place = parted_lips(head)
    skin = head.vertices_of("face", "mouth_socket")
    upper, lower = (
        cKDTree(place[lip_rim(head, lip)]).query(place[skin])[0] for lip in ("upper", "lower")
    )
    sides = np.zeros(len(place), np.float32)
    sides[skin] = np.where(np.minimum(upper, lower) < _LIP_RIM, np.sign(lower - upper), 0)
    return sides


def _rounded(values: np.ndarray) -> np.ndarray:
    """Returns values, float32, those too small to be seen as 0."""
    return np.where(np.abs(values) < _UNSEEN, 0, values).astype(np.float32)


def _length(motion: np.ndarray) -> np.ndarray:
    """Returns the larger of the two parts of a motion, without sign."""
    return np.maximum(np.abs(motion[..., 0]), np.abs(motion[..., 1]))


def _enlarged(field: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Returns a field given at every ``_COARSE``-th point at all points, float32."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32) / _COARSE
    return sample(field, np.stack([x, y], -1))


def _border_taper(frame: Frame) -> np.ndarray:
    """Returns 1 inside the frame, falling to 0 at its border."""
    reach = 0.1 * frame.scale
    y, x = np.arange(frame.height), np.arange(frame.width)
    rows = np.minimum(y, frame.height - 1 - y) / reach
    columns = np.minimum(x, frame.width - 1 - x) / reach
    return smooth_step(0, 1, np.minimum(rows[:, None], columns[None])).astype(np.float32)
