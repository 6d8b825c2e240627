"""Lip line: the edges that the lips have inside, found on the pixels near a finder's points.

A finder of landmarks that sees a face in 192 pixels puts the line between the lips some hundredths
of the eyes' distance from where it is. Here both inner edges are looked for together: where the
mouth is closed they lie on the dark seam, where it is open the upper lip ends at teeth or dark and
the lower one begins behind them. Lengths are shares of the eyes' distance, the distance of the
eyes' outer corners. The frame of a mouth has its origin between the outer corners, its x along
the line through them and its y down the face.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy.ndimage import gaussian_filter1d

from legan_tf.head import face_mesh
from legan_tf.head.contour_search import (
    SMALLEST_FACE,
    cheapest_pair,
    check_face,
    crop_face,
    smooth_offsets,
)
from legan_tf.head.face_points import eyes_distance

_OUTER_CORNERS = (61, 291)
_INNER_CORNERS = (face_mesh.LEFT_MOUTH_CORNER, face_mesh.RIGHT_MOUTH_CORNER)
_UPPER_EDGE = (_INNER_CORNERS[0], *face_mesh.UPPER_INNER_LIP, _INNER_CORNERS[1])
_LOWER_EDGE = (_INNER_CORNERS[0], *face_mesh.LOWER_INNER_LIP, _INNER_CORNERS[1])
_UPPER_BORDER = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
_LOWER_BORDER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)
# Points outside the inner edges, from the red of the lips to the skin, and the shares of the
# edge's displacement, along and across the mouth, that they follow it by: the slopes of a finder's
# errors there against its errors at the edge.
_UPPER_FOLLOWERS = (
    ((183, 42, 41, 38, 12, 268, 271, 272, 407), 1.0, 1.0),
    ((184, 74, 73, 72, 11, 302, 303, 304, 408), 1.0, 0.9),
    (_UPPER_BORDER[1:-1], 1.0, 0.8),
    ((186, 92, 165, 167, 164, 393, 391, 322, 410), 0.5, 0.15),
)
_LOWER_FOLLOWERS = (
    ((96, 89, 179, 86, 15, 316, 403, 319, 325), 1.0, 0.95),
    ((77, 90, 180, 85, 16, 315, 404, 320, 307), 1.0, 0.85),
    (_LOWER_BORDER[1:-1], 1.0, 0.75),
    ((43, 106, 182, 83, 18, 313, 406, 335, 273), 0.5, 0.4),
    ((202, 204, 194, 201, 200, 421, 418, 424, 422), 0.5, 0.3),
)
_CORNER_FOLLOWERS = (
    ((*_INNER_CORNERS, 62, 292, 76, 306, *_OUTER_CORNERS), 1.0, 1.0),
    ((57, 287), 0.5, 0.3),
)

_COLUMN, _ROW = 0.0125, 0.005  # Steps of the strip.
_BEYOND = 0.07  # The strip goes on so far beyond the outer corners.
_REACH = 12  # Rows that an edge may be from where the finder has it.
_MARGIN = 12  # Rows that are looked at beyond.
_CLOSED_FROM_CORNER = 0.02  # An open mouth is closed so near to an outer corner.
_LUMA = np.array([0.299, 0.587, 0.114])

# Looks of what is inside, from where they begin to where they are sure.
_DARKER = 0.35, 0.52  # Share of the lips' brightness that is missing.
_LESS_RED = 0.28, 0.53  # Share of the lips' redness that is missing.
_BRIGHTER = 0.15, 0.35  # Of pictures without colour: brighter than the lips by this share.
_LEAST_REDNESS = 0.05  # Lips of less, log of red over green, are those of a picture without colour.
_CONTRAST = 0.1  # Of a valley of half strength.
_STRONGEST = 1.6  # Value of the strongest valley.

# Gains and costs of a column, found on 62 people in two expressions each.
_SEAM_GAIN = 1.0  # A closed mouth's, times the valley.
# Edges': times the valley, times the step to dark, times that to teeth.
_UPPER_GAIN, _LOWER_GAIN = (0.62, 0.55, 0.68), (0.43, 3.0, 0.01)
_INSIDE_GAIN, _LIP_COST = 0.35, 0.007  # Of .01 between the edges that looks inside, or like lips.
_OPENING_COST = 0.85
_DISTANCE_COST = 0.0008  # Times the square of the rows from where the finder has an edge.
_STIFFNESS = 0.55
_BENDING, _PULL = 15.0, 0.04
_NEARBY = 2  # Rows from a path within which its edge is looked for again.
_SURE = 0.14  # Evidence of an edge that is as sure as any.
_CLEAR = 0.3, 0.6  # Evidence along the line, in the mean, that nothing and that all is believed of.
_CLOSED_GAP = 0.02  # A mouth whose edges are nowhere farther apart is closed.
# Where the valley falls below this on its way out, .012 beyond the corner in the mean, the corner
# is looked for; it moves by this share of the rest.
_CORNER_VALLEY, _CORNER_BEYOND, _CORNER_SHARE = 0.8, 0.012, 0.3
_FARTHEST_CORNER = 0.02
_NARROWEST = 0.1  # A mouth that is narrower is seen from the side.


@dataclasses.dataclass(frozen=True, eq=False)
class _Mouth:
    """Frame of a mouth and the finder's lines in it, at the columns of a strip.

    Attributes:
        middle: float64 [2], pixels.
        axes: float64 [2, 2], rows are the frame's x and y, unit vectors of the picture.
        distance: Eyes' distance in pixels.
        corners: float64 [2], x of the outer corners.
        x: float64 [S], the columns.
        upper: float64 [S], y of the upper lip's inner edge.
        lower: float64 [S], y of the lower lip's inner edge, nowhere above the upper's.
        upper_border: float64 [S], y of the upper lip's outer edge.
        lower_border: float64 [S], y of the lower lip's outer edge.
    """

    middle: np.ndarray
    axes: np.ndarray
    distance: float
    corners: np.ndarray
    x: np.ndarray
    upper: np.ndarray
    lower: np.ndarray
    upper_border: np.ndarray
    lower_border: np.ndarray

    @classmethod
    def of(cls, points: np.ndarray) -> _Mouth:
        """Returns the mouth of a finder's points [n, 2]."""
        distance = eyes_distance(points)
        left, right = points[list(_OUTER_CORNERS)]
        across = right - left
        width = float(np.linalg.norm(across)) / distance
        x_axis = across / (width * distance)
        axes = np.array([x_axis, (-x_axis[1], x_axis[0])])
        middle = (left + right) / 2
        count = int(np.ceil((width / 2 + _BEYOND) / _COLUMN))
        x = np.arange(-count, count + 1) * _COLUMN

        def line(numbers: tuple[int, ...]) -> np.ndarray:
            places = (points[list(numbers)] - middle) @ axes.T / distance
            # Points of a mouth seen from the side may fall behind each other.
            return np.interp(x, np.maximum.accumulate(places[:, 0]), places[:, 1])

        upper = line((_OUTER_CORNERS[0], *_UPPER_EDGE, _OUTER_CORNERS[1]))
        lower = line((_OUTER_CORNERS[0], *_LOWER_EDGE, _OUTER_CORNERS[1]))
        return cls(
            middle=middle,
            axes=axes,
            distance=distance,
            corners=np.array([-width / 2, width / 2]),
            x=x,
            upper=upper,
            lower=np.maximum(lower, upper),
            upper_border=line(_UPPER_BORDER),
            lower_border=line(_LOWER_BORDER),
        )

    def to_frame(self, places: np.ndarray) -> np.ndarray:
        """Returns places of the picture, [..., 2] pixels, in the mouth's frame."""
        return (places - self.middle) @ self.axes.T / self.distance

    def to_picture(self, places: np.ndarray) -> np.ndarray:
        """Returns places of the mouth's frame, [..., 2], in pixels of the picture."""
        return self.middle + self.distance * (places @ self.axes)


@dataclasses.dataclass(frozen=True, eq=False)
class _Strip:
    """A mouth's strip of the picture, straightened: its row T is halfway between both lines.

    Attributes:
        mouth: The mouth.
        y: float64 [2 T + 1, S], y of the pixels in the mouth's frame.
        dark: float64 [2 T + 1, S], how much a pixel looks like the dark between open lips, 0 to 1.
        teeth: float64 [2 T + 1, S], how much it looks like teeth.
        brightness: float64 [2 T + 1, S], 0 to 1.
        valley: float64 [2 T + 1, S], how much darker it is than what is above and what is below,
            0 to 1.6.
    """

    mouth: _Mouth
    y: np.ndarray
    dark: np.ndarray
    teeth: np.ndarray
    brightness: np.ndarray
    valley: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class _LipLines:
    """The lips' inner edges as found.

    Attributes:
        strip: The strip that they were found in.
        upper: float64 [S], y of the upper lip's edge at the columns.
        lower: float64 [S], y of the lower lip's.
        corners: float64 [2], x of the outer corners.
    """

    strip: _Strip
    upper: np.ndarray
    lower: np.ndarray
    corners: np.ndarray


def refine_lips(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Puts the points of the lips' inner edges where the picture shows the edges.

    The corners and the points of the lips and of the skin around go along. Where the picture shows
    no edge, and in faces whose eyes' distance is below ``SMALLEST_FACE`` pixels, points stay.

    Args:
        image: uint8 [H, W, 3].
        points: float64 [468 or more, 2 or 3], a finder's points in pixels; the head may be turned
            in the picture by any angle.

    Returns:
        float64 like ``points``; the third numbers are as they were.

    Raises:
        UserError: Picture or points are not of these forms.
    """
    check_face(image, points)
    refined = np.array(points, np.float64)
    if not _can_be_seen(refined):
        return refined
    lines = _find_lines(image, refined[:, :2])
    mouth = lines.strip.mouth
    old = mouth.to_frame(refined[:, :2])
    for followers, before, after in (
        (((_UPPER_EDGE[1:-1], 1.0, 1.0), *_UPPER_FOLLOWERS), mouth.upper, lines.upper),
        (((_LOWER_EDGE[1:-1], 1.0, 1.0), *_LOWER_FOLLOWERS), mouth.lower, lines.lower),
        (
            _CORNER_FOLLOWERS,
            (mouth.upper + mouth.lower) / 2,
            (lines.upper + lines.lower) / 2,
        ),
    ):
        for numbers, along, across in followers:
            rows = list(numbers)
            x = old[rows, 0]
            right = np.interp(x, mouth.corners, lines.corners - mouth.corners)
            down = np.interp(x + right, mouth.x, after) - np.interp(x, mouth.x, before)
            moved = old[rows] + np.stack([along * right, across * down], axis=-1)
            refined[rows, :2] = mouth.to_picture(moved)
    return refined


def _can_be_seen(points: np.ndarray) -> bool:
    """Tells whether a face is large enough, and its mouth wide enough, to be searched."""
    distance = eyes_distance(points)
    left, right = points[list(_OUTER_CORNERS), :2]
    return distance >= SMALLEST_FACE and bool(np.linalg.norm(right - left) >= _NARROWEST * distance)


def _straightened(image: np.ndarray, mouth: _Mouth) -> _Strip:
    """Samples the strip of a mouth and what its pixels look like."""
    half = int(np.ceil((mouth.lower - mouth.upper).max() / 2 / _ROW)) + _REACH + _MARGIN
    y = (mouth.upper + mouth.lower) / 2 + np.arange(-half, half + 1)[:, None] * _ROW
    places = mouth.to_picture(np.stack([np.broadcast_to(mouth.x, y.shape), y], axis=-1))
    pixels = crop_face(image, places, mouth.distance).sample(places).astype(np.float64)
    pixels = gaussian_filter1d(gaussian_filter1d(pixels, 1.2, axis=1), 1.0, axis=0)
    brightness = pixels @ _LUMA
    redness = np.log((pixels[..., 0] + 0.03) / (pixels[..., 1] + 0.03))
    upper_lip = _band_mean(mouth, y, mouth.upper, mouth.upper_border, brightness, redness)
    lower_lip = _band_mean(mouth, y, mouth.lower, mouth.lower_border, brightness, redness)
    darker_lip = np.minimum(upper_lip[0], lower_lip[0])
    lip_redness = (upper_lip[1] + lower_lip[1]) / 2
    dark = _ramp(1 - brightness / darker_lip, _DARKER)
    if lip_redness.mean() < _LEAST_REDNESS:
        teeth = _ramp(brightness / np.maximum(upper_lip[0], lower_lip[0]) - 1, _BRIGHTER)
    else:
        teeth = _ramp((lip_redness - redness) / max(0.1, float(lip_redness.mean())), _LESS_RED)
    # What is far darker than the lips has no colour that could be told.
    teeth *= _ramp(brightness / darker_lip, (0.6, 0.8))
    # Skin beyond the lips is no redder than teeth; the finder's borders may be off.
    between = (y > mouth.upper_border) & (y < mouth.lower_border)
    between &= np.abs(mouth.x) < mouth.corners[1] - _CLOSED_FROM_CORNER
    return _Strip(
        mouth=mouth,
        y=y,
        dark=np.where(between, dark, 0.0),
        teeth=np.where(between, teeth, 0.0),
        brightness=brightness,
        valley=_valley(brightness, darker_lip),
    )


def _ramp(values: np.ndarray, ends: tuple[float, float]) -> np.ndarray:
    """Returns values as shares of the way between two ends, 0 to 1."""
    return np.clip((values - ends[0]) / (ends[1] - ends[0]), 0, 1)


def _band_mean(
    mouth: _Mouth, y: np.ndarray, edge: np.ndarray, border: np.ndarray, *values: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Returns means of values [T, S] in the middle of a lip, smoothed along it, [S] each."""
    share = (y - edge) / np.where(np.abs(border - edge) < _ROW, np.inf, border - edge)
    within = (share > 0.25) & (share < 0.7) & (np.abs(mouth.x) < 0.6 * mouth.corners[1])
    near = np.exp(-(((mouth.x[:, None] - mouth.x) / 0.1) ** 2) / 2)
    count = near @ within.sum(0)
    if not within.any():
        return tuple(np.full(len(mouth.x), value.mean()) for value in values)
    return tuple(near @ (value * within).sum(0) / count for value in values)


def _valley(brightness: np.ndarray, lip: np.ndarray) -> np.ndarray:
    """Returns how much darker pixels [T, S] are than those above and those below.

    Args:
        brightness: float64 [T, S].
        lip: float64 [S], that of the darker lip: in what is far darker all differences are small.
    """
    rows = len(brightness)
    padded = np.pad(brightness, ((7, 7), (0, 0)), mode="edge")

    def mean_at(*offsets: int) -> np.ndarray:
        return np.mean([padded[7 + offset : 7 + offset + rows] for offset in offsets], axis=0)

    near = np.minimum(mean_at(-2, -3), mean_at(2, 3))
    far = np.minimum(mean_at(-4, -5, -6, -7), mean_at(4, 5, 6, 7))
    depth = 0.75 * np.maximum(near - brightness, 0) + 0.5 * np.maximum(far - brightness, 0)
    depth /= np.maximum(far, 0.7 * lip) + 0.04
    return _STRONGEST * depth / (depth + _CONTRAST)


def _find_lines(image: np.ndarray, points: np.ndarray) -> _LipLines:
    """Finds the inner edges near those of a finder's points [n, 2]."""
    mouth = _Mouth.of(points)
    strip = _straightened(image, mouth)
    edges = _edges(strip)
    rows = _cheapest_edges(strip, edges)
    columns = np.arange(len(mouth.x))
    closed = rows[0] == rows[1]
    edges = np.where(closed, strip.valley, edges)
    evidence = edges[[[0], [1]], rows, columns]
    # Where one lip is darker, the darkest row is not where they meet; the most bent one is nearer.
    bend = gaussian_filter1d(strip.brightness, 1.2, axis=0, order=2)
    exact = _peaks(np.where(closed, bend, edges), rows)
    within = np.abs(mouth.x) < mouth.corners[1]
    clear = float(_ramp(evidence[:, within].mean(), _CLEAR))
    sure = np.clip(evidence / _SURE, 0, 1) ** 2
    finder = np.stack([mouth.upper, mouth.lower])
    found = strip.y[rows, columns] + _ROW * exact
    if (found[1] - found[0])[within].max() <= _CLOSED_GAP:
        found[:] = found.mean(0)
        sure[:] = sure.mean(0)
        offsets = smooth_offsets(found[0] - finder.mean(0), sure[0], _BENDING, _PULL)
        lines = np.broadcast_to(finder.mean(0) + offsets, finder.shape)
    else:
        lines = finder + np.stack(
            [
                smooth_offsets(*offset_and_sure, _BENDING, _PULL)
                for offset_and_sure in zip(found - finder, sure)
            ]
        )
    lines = finder + clear * (lines - finder)
    corners = mouth.corners + clear * _corner_shifts(strip, rows)
    return _LipLines(strip, lines[0], np.maximum(*lines), corners)


def _edges(strip: _Strip) -> np.ndarray:
    """Returns how much pixels look like the upper and the lower edge of an opening, [2, T, S]."""
    dark, teeth = (
        3 * gaussian_filter1d(gaussian_filter1d(looks, 0.8, axis=0), 1.2, axis=0, order=1)
        for looks in (strip.dark, strip.teeth)
    )
    edges = []
    for (valley, to_dark, to_teeth), sign, beyond in zip(
        (_UPPER_GAIN, _LOWER_GAIN), (1, -1), _teeth_beside(strip)
    ):
        gain = to_dark * np.clip(sign * dark, 0, 1) + to_teeth * np.clip(sign * teeth, 0, 1)
        edges.append((valley * strip.valley + gain) * (1 - beyond))
    return np.stack(edges)


def _teeth_beside(strip: _Strip) -> np.ndarray:
    """Returns how much teeth there are above and below pixels, 0 to 1, [2, T, S].

    Lips do not meet, nor end, where teeth are on the side that should be lip.
    """
    teeth = gaussian_filter1d(strip.teeth, 2, axis=0)
    padded = np.pad(teeth, ((4, 4), (0, 0)), mode="edge")
    return np.stack([padded[:-8], padded[8:]])


def _peaks(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Returns how far from rows [2, S] the nearby maxima of values [2, T, S] are, in rows."""
    columns = np.arange(values.shape[2])
    offsets = np.arange(-_NEARBY - 1, _NEARBY + 2)[:, None]
    near = values[[[[0]], [[1]]], rows[:, None] + offsets, columns]
    return np.stack([_best_rows(one) for one in near])


def _best_rows(values: np.ndarray) -> np.ndarray:
    """Returns where values [2 n + 1, S], smoothed along S, are largest, from the middle row."""
    smooth = gaussian_filter1d(values, 1.5, axis=1)
    best = smooth[1:-1].argmax(0) + 1
    below, at, above = (
        np.take_along_axis(smooth, (best + step)[None], 0)[0] for step in (-1, 0, 1)
    )
    bend = np.minimum(below + above - 2 * at, -1e-9)
    return best - len(values) // 2 + np.clip((below - above) / (2 * bend), -0.5, 0.5)


def _cheapest_edges(strip: _Strip, edges: np.ndarray) -> np.ndarray:
    """Returns the rows of the upper and the lower edge at each column, int [2, S].

    Args:
        strip: The strip.
        edges: float64 [2, T, S], how much pixels look like either edge of an opening.
    """
    mouth = strip.mouth
    half = len(strip.y) // 2
    middle = (mouth.upper + mouth.lower) / 2
    columns = np.arange(len(mouth.x))[:, None]
    reach = np.arange(-_REACH, _REACH + 1)
    upper_rows, lower_rows = (
        np.rint((line - middle) / _ROW).astype(int)[:, None] + half + reach
        for line in (mouth.upper, mouth.lower)
    )
    inside = np.maximum(strip.dark, strip.teeth)
    gain = np.cumsum(_INSIDE_GAIN * inside - _LIP_COST * (1 - inside), axis=0) * _ROW / 0.01
    gap = lower_rows[:, None, :] - upper_rows[:, :, None]
    # Edges of one seam are not two.
    parted = np.clip((gap - 1) / 3, 0, 1)
    opened = (
        _OPENING_COST
        - (parted * edges[0][upper_rows, columns][:, :, None])
        - (parted * edges[1][lower_rows, columns][:, None, :])
        - (gain[lower_rows, columns][:, None, :] - gain[upper_rows, columns][:, :, None])
    )
    opened[np.abs(mouth.x) > mouth.corners[1] - _CLOSED_FROM_CORNER] = np.inf
    seams = strip.valley * (1 - np.maximum(*_teeth_beside(strip)))
    seam = -_SEAM_GAIN * seams[upper_rows, columns][:, :, None]
    cost = np.where(gap > 0, opened, seam)
    cost[gap < 0] = np.inf
    distance = _DISTANCE_COST * reach**2
    places = cheapest_pair(cost + distance[:, None] + distance, _STIFFNESS)
    return np.stack(
        [upper_rows[columns[:, 0], places[:, 0]], lower_rows[columns[:, 0], places[:, 1]]]
    )


def _corner_shifts(strip: _Strip, rows: np.ndarray) -> np.ndarray:
    """Returns how far along x the outer corners are from the finder's, float64 [2].

    The line between the lips fades out beyond a corner; where it does tells something about where
    the corner is.
    """
    mouth = strip.mouth
    columns = np.arange(len(mouth.x))
    seam = np.max([strip.valley[r, columns] for r in (*rows, rows.sum(0) // 2)], axis=0)
    seam = gaussian_filter1d(seam, 1.0)
    shifts = []
    for side, corner in zip((-1, 1), mouth.corners):
        outwards = slice(None, None, side)
        beyond, value = (side * (mouth.x - corner))[outwards], seam[outwards]
        faded = np.flatnonzero((beyond > -0.05) & (value < _CORNER_VALLEY))
        end = beyond[faded[0]] if faded.size else _BEYOND
        shift = _CORNER_SHARE * (end - _CORNER_BEYOND)
        shifts.append(side * float(np.clip(shift, -_FARTHEST_CORNER, _FARTHEST_CORNER)))
    return np.array(shifts)
