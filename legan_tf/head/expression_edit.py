"""Edit of an expression: where each point of a face's frame comes from, its gain and its paint.

The target shape is seen at every point of the frame; triangle and weights give the place that the
photograph shows of it (backward warp). Beyond the face the motion goes on and fades.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools

import numpy as np
from scipy.ndimage import distance_transform_edt, maximum_filter, minimum_filter
from scipy.spatial import cKDTree

from legan_tf.head import face_mesh
from legan_tf.head.color import luminance, to_linear
from legan_tf.head.eyelids import CLOSED, WIDE, EyelidPainter
from legan_tf.head.face_points import lip_rim, parted_lips
from legan_tf.head.fields import blurred, blurred_within, bounds, continued, smooth_step
from legan_tf.head.fit import FittedHead
from legan_tf.head.frame import Frame, affine_sample, sample
from legan_tf.head.furrows import furrow_gain
from legan_tf.head.morphable_head import MorphableHead
from legan_tf.head.mouth import OPEN, MouthPainter
from legan_tf.head.surface import EYES, MOUTH, Shape, Surface, seen_surface
from legan_tf.head.target import Target

_FOLD_WIDTHS = 0.006, 0.05  # Of the eyes' distance: finer are pores, coarser the face's shading.
_SMOOTHED, _DEEPEST_FOLD, _DARK = 0.8, 0.5, 0.01
_GRAZING = 0.25  # Cosine to the viewer from where skin is seen too slantingly to be moved.
_LIP_RIM = 1.6  # cm around the lips' inner edges that belong to one lip.
_COARSE = 4  # Steps of the grid on which motion is continued beyond the face.
_STILL = 0.1  # Steps; less motion beyond the face is none.
_UNSEEN = 2e-3  # Steps of motion and log gain.
_BLINKED = 0.1  # Of eyeBlink: less is the photograph's own.
_SHUT = 0.6  # Of the photograph's eyeBlink, from where there is no iris to uncover.
_CLOSED_GAIN = 0.05  # Most log gain around lids that close.
# Of the eyes' distance: what of a lip's rim is not shown, and where teeth lay behind it.
_RIM, _BESIDE_TEETH = 0.010, 0.018
_GROWN = 1.6  # How much larger than the photograph's an opening may be to keep its inside.
_KEPT = 0.7  # Share of an opening that the photograph shows, from where its inside is kept.
_DARKEST, _BRIGHTEST = -0.8, 0.6  # Log gain of shading.
_SEAM = 0.0075  # Width of the dark line between lips that meet.
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
        closing, opening = self._closing(target), self._opening(target)
        expression = self._with_half_closed_eyes(target.expression, closing)
        moved = self._shape(fitted.vertices(expression, residual, target.teeth))
        seen = seen_surface(moved, frame)
        from_ = seen.at(self._source.vertices[:, :2])
        skin = seen.shows("face")
        valid = skin & (seen.at(moved.skin_normals[:, 2]) > _GRAZING)
        self._mirror_inner_lips(seen, skin, from_, target.lips_meet)
        inside = seen.shows(*MOUTH)
        taken = self._taken_inside(inside, valid, from_, target.lips_meet)
        motion = from_ - np.stack([axis[seen.window] for axis in frame.grid()], -1)
        motion = self._continued(seen, motion, valid, inside & ~taken, taken)
        gain = np.zeros((frame.height, frame.width), np.float32)
        gain[seen.window] = self._gain(seen, valid, moved, target)
        if target.folds is not None:
            from_ = np.stack([axis[seen.window] for axis in frame.grid()], -1)
            from_ = from_ + motion[seen.window]
            gain[seen.window] += self._unfolding(seen, valid, from_, target.folds)
        if target.quotient is None:  # Otherwise it has the folds of people.
            gain[seen.window] += furrow_gain(
                self._head, fitted.expression, target.expression, seen, valid, frame
            )
        if target.lips_meet:
            self._draw_seam(moved.vertices, gain)
        painted = np.zeros(gain.shape, bool)
        painted[seen.window] = inside & ~taken
        paint, cover = self._mouth.paint(moved, painted)
        eyes = self._eyelids.window
        if any(closing):
            # The fold over a lid is deep, and what its light would become is not known.
            np.minimum(gain, _CLOSED_GAIN, out=gain)
            lids = self._eyelids.close(moved.vertices, motion[eyes], gain[eyes], closing)
            paint[eyes], cover[eyes] = _over(lids, (paint[eyes], cover[eyes]))
        if any(opening):
            lids = self._eyelids.widen(moved.vertices, seen, opening)
            paint[eyes], cover[eyes] = _over(lids, (paint[eyes], cover[eyes]))
        motion *= self._taper[..., None]
        gain *= self._taper
        return FrameEdit(motion=_rounded(motion), gain=_rounded(gain), paint=paint, cover=cover)

    @functools.cached_property
    def _taper(self) -> np.ndarray:
        """1 inside the frame, falling to 0 at its border, float32 [h, w]."""
        frame = self._frame
        reach = 0.1 * frame.scale
        y, x = np.arange(frame.height), np.arange(frame.width)
        rows = np.minimum(y, frame.height - 1 - y) / reach
        columns = np.minimum(x, frame.width - 1 - x) / reach
        return smooth_step(0, 1, np.minimum(rows[:, None], columns[None])).astype(np.float32)

    def _shape(self, vertices: np.ndarray) -> Shape:
        return Shape(self._head, self._frame.to_frame(vertices), self._frame.scale)

    @functools.cached_property
    def _lip_side(self) -> np.ndarray:
        """float32 [V], 1 at the upper lip, -1 at the lower, 0 elsewhere."""
        return lip_sides(self._head)

    def _mirror_inner_lips(
        self, seen: Surface, skin: np.ndarray, from_: np.ndarray, lips_meet: bool
    ) -> None:
        """Fills the inside of lips, which the photograph does not show, with the red of the lip.

        Without it the dark line between closed lips would be stretched.
        """
        points, scale = self._points, self._frame.scale
        side = seen.at(self._lip_side)
        left, right = face_mesh.LEFT_MOUTH_CORNER, face_mesh.RIGHT_MOUTH_CORNER
        edge = (_BESIDE_TEETH if lips_meet else _RIM) * scale
        if lips_meet and points[14, 1] - points[13, 1] < OPEN * scale:
            edge = 0.0
        for sign, numbers in ((1, face_mesh.UPPER_INNER_LIP), (-1, face_mesh.LOWER_INNER_LIP)):
            lip = np.nonzero(skin & (sign * side > 0.5))
            x, y = from_[lip].T
            within = (x > points[left, 0]) & (x < points[right, 0])
            taper = np.minimum(x - points[left, 0], points[right, 0] - x) / (0.05 * scale)
            line = points[[left, *numbers, right]]
            order = np.argsort(line[:, 0])
            limit = np.interp(x, line[order, 0], line[order, 1])
            limit -= sign * edge * np.clip(taper, 0, 1)
            over = sign * (y - limit)
            mirrored = np.where(within & (over > 0), limit - sign * 0.6 * over, y)
            from_[(*lip, 1)] = mirrored

    def _taken_inside(
        self, inside: np.ndarray, valid: np.ndarray, from_: np.ndarray, lips_meet: bool
    ) -> np.ndarray:
        """Returns the points inside the mouth that are taken from the photograph, bool [h, w].

        Where lips meet, ``from_`` becomes that of the lips beside what is left open.
        """
        if lips_meet and valid.any():
            rows, columns = distance_transform_edt(
                ~valid, return_distances=False, return_indices=True
            )
            from_[inside] = from_[rows[inside], columns[inside]]
            return inside
        taken = np.zeros_like(inside)
        taken[inside] = self._mouth.seen_in_photograph(from_[inside])
        # A person's own teeth and others beside them are two rows: all are kept, or none; and an
        # opening that was small is not stretched.
        size = np.count_nonzero(inside)
        if np.count_nonzero(taken) > _KEPT * size and size < _GROWN * self._mouth.opening_size:
            return inside
        return np.zeros_like(inside)

    def _continued(
        self,
        seen: Surface,
        motion: np.ndarray,
        valid: np.ndarray,
        opening: np.ndarray,
        taken: np.ndarray,
    ) -> np.ndarray:
        """Returns the motion, given where the face is seen, continued over the frame and faded."""
        frame, scale = self._frame, self._frame.scale
        known = np.where(valid[..., None], motion, 0)
        everywhere = np.zeros((frame.height, frame.width, 2), np.float32)
        everywhere[seen.window] = known
        skin = np.zeros(everywhere.shape[:2], bool)
        skin[seen.window] = valid
        coarse = skin[::_COARSE, ::_COARSE]
        beyond = continued(everywhere[::_COARSE, ::_COARSE], coarse)
        distance = distance_transform_edt(~(_closed(coarse, 15) | coarse)) * _COARSE
        strongest = _length(motion[valid]).max(initial=0.0)
        beyond *= np.exp(-((distance / max(0.35 * scale, 1.6 * strongest)) ** 2))[..., None]
        result = _enlarged(beyond, (frame.height, frame.width))
        result *= np.clip(1 - _STILL / np.maximum(_length(result), _STILL), 0, 1)[..., None]
        whole = _closed(valid | opening | taken, 3)
        share = np.clip(_distance_inside(whole, frame, seen) / (0.06 * scale), 0, 1)
        share = (blurred(share, 2) * valid)[..., None]
        face = result[seen.window]
        face *= 1 - share
        face += share * known
        if opening.any():
            # In the opening, the motion of the nearest skin: what lies under the paint's soft edge.
            box = bounds(opening, round(0.25 * scale))
            near = distance_transform_edt(~valid[box], return_distances=False, return_indices=True)
            places = opening[box]
            face[box][places] = known[box][tuple(axis[places] for axis in near)]
        face[taken] = motion[taken]
        face[seen.shows(*EYES)] = 0
        return result

    @functools.cached_property
    def _skin(self) -> np.ndarray:
        return self._head.vertices_of("face")

    @functools.cached_property
    def _sky(self) -> np.ndarray:
        """Light of a soft sky at the skin's vertices as the photograph shows them, float32 [n]."""
        return self._source.sky(self._skin)

    def _gain(self, seen: Surface, valid: np.ndarray, moved: Shape, target: Target) -> np.ndarray:
        """Returns the log gain by which the light on the two shapes differs, and the quotient."""
        scale = self._frame.scale
        shown = np.zeros(len(moved.vertices), bool)
        shown[seen.corners[:, valid]] = True
        rows = np.flatnonzero(shown[self._skin])
        sky = moved.sky(self._skin[rows])
        change = np.log((sky + _SHADED) / (self._sky[rows] + _SHADED))
        change = np.clip(change, _DARKEST, _BRIGHTEST)
        if target.quotient is not None:
            change = change + target.quotient[rows]
        values = np.zeros(len(moved.vertices), np.float32)
        values[self._skin[rows]] = change
        gain = blurred_within(np.where(valid, seen.at(values), 0), valid, 0.008 * scale)
        around = _closed(valid, 8)
        fade = np.clip(_distance_inside(around, self._frame, seen) / (0.12 * scale), 0, 1)
        return gain * fade

    def _unfolding(
        self, seen: Surface, valid: np.ndarray, from_: np.ndarray, folds: np.ndarray
    ) -> np.ndarray:
        """Returns the log gain that takes dark lines away where folds are, finer than their mean.

        Lines are what is darker than around, coarser than pores and finer than the face's shading.
        """
        scale = self._frame.scale
        values = np.zeros(len(self._head.neutral), np.float32)
        values[self._skin] = folds
        weight = np.where(valid, seen.at(values), 0)
        image = np.clip(sample(self._image, from_), 0, 255)
        light = np.log(luminance(to_linear(image)) + _DARK)
        fine, coarse = (blurred_within(light, valid, width * scale) for width in _FOLD_WIDTHS)
        return -_SMOOTHED * weight * np.clip(fine - coarse, -_DEEPEST_FOLD, 0)

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

    def _with_half_closed_eyes(
        self, expression: np.ndarray, closing: tuple[bool, bool]
    ) -> np.ndarray:
        """Returns an expression with lids that close half way; the other half is painted.

        A lid that is stretched over the whole eye would carry lashes and brows down with it.
        """
        half = expression.copy()
        for row in itertools.compress(self._of_eyes("eyeBlink"), closing):
            half[row] = (self._fitted.expression[row] + expression[row]) / 2
        return half

    def _closing(self, target: Target) -> tuple[bool, bool]:
        """Returns whether the eye at the picture's left closes, and that at its right."""
        left, right = (
            bool(
                target.expression[row] > CLOSED
                and target.expression[row] > self._fitted.expression[row] + _BLINKED
            )
            for row in self._of_eyes("eyeBlink")
        )
        return left, right

    def _opening(self, target: Target) -> tuple[bool, bool]:
        """Returns whether lids uncover more of the eyes, likewise; not of closed eyes."""
        left, right = (
            bool(
                target.expression[wide] > self._fitted.expression[wide] + WIDE
                and self._fitted.expression[blink] < _SHUT
            )
            for wide, blink in zip(self._of_eyes("eyeWide"), self._of_eyes("eyeBlink"))
        )
        return left, right

    def _of_eyes(self, unit: str) -> tuple[int, int]:
        """Returns the rows of a shape at the picture's left, the person's right, and its right."""
        return self._head.expression_index(f"{unit}_R"), self._head.expression_index(f"{unit}_L")

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

    def _draw_seam(self, moved: np.ndarray, gain: np.ndarray) -> None:
        """Adds the log gain of the dark line between lips that were apart and now meet."""
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
        reach = 4 * _SEAM * scale
        window = self._frame.window(line.min(0) - reach, line.max(0) + reach)
        x, y = (axis[window] for axis in self._frame.grid())
        height = np.interp(x, line[order, 0], line[order, 1])
        share = np.interp(x, line[order, 0], amount[order], 0, 0)
        depth = 0.62 * share * np.exp(-(((y - height) / (_SEAM * scale)) ** 2))
        gain[window] += np.log1p(-depth)


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
    return values * (np.abs(values) >= _UNSEEN)


def _length(motion: np.ndarray) -> np.ndarray:
    """Returns the larger of the two parts of a motion, without sign."""
    return np.maximum(np.abs(motion[..., 0]), np.abs(motion[..., 1]))


def _closed(field: np.ndarray, reach: int) -> np.ndarray:
    """Returns a field, bool [h, w], with gaps closed that are no wider than twice the reach."""
    size = 2 * reach + 1
    padded = np.pad(field, reach + 1).view(np.uint8)
    grown = maximum_filter(padded, size, mode="constant")
    inner = slice(reach + 1, -reach - 1)
    return minimum_filter(grown, size, mode="constant")[inner, inner] > 0


def _distance_inside(field: np.ndarray, frame: Frame, seen: Surface) -> np.ndarray:
    """Returns the distance, float64 [h, w], of a window's points to what is not in a field.

    Beyond the window nothing is in the field; beyond the frame nothing is known.
    """
    beyond = [
        (int(part.start > 0), int(part.stop < size))
        for part, size in zip(seen.window, (frame.height, frame.width))
    ]
    inner = tuple(slice(low, low + n) for (low, _), n in zip(beyond, field.shape))
    return distance_transform_edt(np.pad(field, beyond))[inner]


def _enlarged(field: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Returns a field given at every ``_COARSE``-th point at all points, float32."""
    padded = np.pad(field, ((1, 1), (1, 1), (0, 0)), mode="edge")
    return affine_sample(padded, np.eye(2) / _COARSE, np.ones(2), shape)
