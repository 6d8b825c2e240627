"""Strands of hair: growth over a person's skull, and their picture."""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates, maximum_filter, minimum_filter

from legan_tf.data.rendered.layers import Layer, View
from legan_tf.head.head_file import load_head

_CENTRE, _AXIS = 4.0, -1.0  # Height from where the skull is round about (0, y, z), not upright.
_ROUND = 8.0  # cm an angle of one radian is counted as, above that height.
_ROW, _COLUMNS = 0.5, 72  # cm a row of the skull's map; columns all round it.
_LOWEST, _HIGHEST = -8.0, 13.0  # Rows of the map; below, hair hangs as at the lowest one.
_POINTS = 20  # Of a guide.
_BEHIND = 1.6  # cm behind the foremost strand up to where others close the gaps in front.
_COARSE = 0.4  # cm a side of the cells in which hidden parts of guides are found.
_IN_SKIN = 1.2  # cm in the head that hair is hidden: cells are coarse, and heads are round.
_OVER_SKIN = 0.25  # cm that hair is taken to be nearer than it is: roots lie in the skin.
_SPACING = 0.8  # Of points along a strand, in samples.


class Skull:
    """Distance of a head's surface from its axis, in every direction."""

    def __init__(self, neutral: np.ndarray) -> None:
        """Measures a head.

        Args:
            neutral: float32 [V, 3] in head space.
        """
        at = neutral[load_head().vertices_of("face", "side", "head")].astype(np.float64)
        rows, columns, radius, _ = _coordinates(at)
        kept = at[:, 1] > _LOWEST - 1
        shape = int((_HIGHEST - _LOWEST) / _ROW) + 1, _COLUMNS
        found = np.zeros(shape)
        row = np.clip(np.round(rows[kept]), 0, shape[0] - 1).astype(int)
        np.maximum.at(found, (row, np.round(columns[kept]).astype(int) % _COLUMNS), radius[kept])
        for _ in range(6):
            near = maximum_filter(found, 3, mode=("nearest", "wrap"))
            found = np.where(found > 0, found, near)
        self._radius = gaussian_filter(found, 0.8, mode=("nearest", "wrap"))

    def outward(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns how far points [n, 3] lie off the surface, [n], and the way out, [n, 3]."""
        rows, columns, radius, way = _coordinates(points)
        rows = np.clip(rows, 0, len(self._radius) - 1)
        surface = map_coordinates(
            self._radius, [rows, columns], order=1, mode="grid-wrap", prefilter=False
        )
        return radius - surface, way


def _coordinates(points: np.ndarray) -> tuple[np.ndarray, ...]:
    """Returns row and column in the skull's map, distance from its axis, and the way from it."""
    way = points - (0, 0, _AXIS)
    above = points[:, 1] - _CENTRE
    way[:, 1] = np.maximum(above, 0)
    radius = np.linalg.norm(way, axis=1) + 1e-6
    way /= radius[:, None]
    height = np.where(above > 0, _ROUND * np.arcsin(np.minimum(way[:, 1], 1)), above)
    rows = (height + _CENTRE - _LOWEST) / _ROW
    columns = np.arctan2(way[:, 0], way[:, 2]) * (_COLUMNS / (2 * np.pi))
    return rows, columns, radius, way


@dataclasses.dataclass(frozen=True, eq=False)
class Growth:
    """How G guides grow; lengths in cm.

    Attributes:
        roots: float64 [G, 3] in head space.
        ways: float64 [G, 3], directions at the roots.
        lengths: float64 [G].
        off: float64 [G], distance from the skull that a guide keeps beyond its root.
        weight: How much it bends down, a cm.
        cling: How much it bends to the head, a cm, where it is farther off.
        goal: float64 [G, 3], points that they are drawn to.
        drawn: How much they bend to it, a cm.
        release: Height below which they do not.
        ends: float64 [G], height below which it is cut.
        opening: float64 [G], angle from the front, about the axis, that it leaves free.
    """

    roots: np.ndarray
    ways: np.ndarray
    lengths: np.ndarray
    off: np.ndarray
    weight: float
    cling: float
    goal: np.ndarray
    drawn: float
    release: float
    ends: np.ndarray
    opening: np.ndarray


def grow(growth: Growth, skull: Skull) -> np.ndarray:
    """Returns the guides, float64 [G, _POINTS, 3]."""
    at, way = growth.roots.copy(), _unit(growth.ways)
    guides = np.empty((len(at), _POINTS, 3))
    guides[:, 0] = at
    step = growth.lengths[:, None] / (_POINTS - 1)
    for index in range(1, _POINTS):
        # What is cut off stays at its end.
        free = np.clip((at[:, 1] - growth.ends)[:, None] / 0.05, 0, 1)
        at = at + free * step * way
        way = way - (0, growth.weight, 0) * step
        if growth.drawn:
            pull = np.clip((at[:, 1] - growth.release) / 3, 0, 1)[:, None]
            way += growth.drawn * step * pull * _unit(growth.goal - at)
        off, out = skull.outward(at)
        wanted = growth.off * (1 - np.exp(-growth.lengths * index / (_POINTS - 1) / 0.7))
        short = np.maximum(wanted + 0.03 - off, 0)
        at += short[:, None] * out
        way -= (
            np.clip(off - wanted - 0.2, 0, 1)[:, None]
            * growth.cling
            * step
            * out
            * (np.clip(at[:, 1:2] / 3 - 0.5, 0, 1))
        )
        inward = np.minimum((way * out).sum(1), 0) * (short > 0)
        way = _unit(way - 0.9 * inward[:, None] * out)
        at = _face_left_free(at, growth.opening)
        guides[:, index] = at
    return guides


def _face_left_free(at: np.ndarray, opening: np.ndarray) -> np.ndarray:
    """Returns points [n, 3] turned about the axis out of the angle before the face."""
    x, z = np.abs(at[:, 0]), at[:, 2] - _AXIS
    angle = np.arctan2(x, z)
    least = opening * np.clip((9.0 - at[:, 1]) / 4.5, 0, 1)
    angle = np.maximum(angle, least)
    radius = np.hypot(x, z)
    turned = at.copy()
    turned[:, 0] = np.where(at[:, 0] < 0, -1, 1) * radius * np.sin(angle)
    turned[:, 2] = _AXIS + radius * np.cos(angle)
    return turned


@dataclasses.dataclass(frozen=True)
class Lock:
    """What strands do about their guide; lengths in cm.

    Attributes:
        strands: Strands a guide.
        wide: Radius of a lock at its roots.
        tip: The same at its tip, as a share.
        frizz: Distance that strands stray.
        curl: Radius of curls.
        turn: Length of a curl.
        width: Of a strand.
    """

    strands: int
    wide: float
    tip: float
    frizz: float
    curl: float
    turn: float
    width: float


def draw(
    guides: np.ndarray,
    solid: np.ndarray,
    lock: Lock,
    color: np.ndarray,
    glossy: float,
    fill: float,
    view: View,
    rng: np.random.Generator,
) -> Layer:
    """Returns a picture of locks.

    Args:
        guides: float64 [G, P, 3] in head space.
        solid: float [V, 3], points of the head's surface that hides hair.
        lock: What strands do about them.
        color: float64 [3], linear RGB.
        glossy: Strength of the highlight.
        fill: How far gaps between strands are closed by those below, 0 to 1.
        view: The view.
        rng: Source of chance.
    """
    scale, side = view.camera.scale * view.samples, view.size * view.samples
    # All in samples from here on.
    seen, solid = _in_samples(guides, view), _in_samples(solid, view)
    count, strands = len(seen), lock.strands
    place = rng.normal(size=(count, strands, 3)).astype(np.float32)
    reach = rng.uniform(0.72, 1.0, (count, strands)).astype(np.float32)
    guide, share, spacing = _points(seen, solid, lock, scale, side)
    step = share * (_POINTS - 1)
    first = np.minimum(step.astype(np.intp), _POINTS - 2)
    flat, low = seen.reshape(-1, 3), guide * _POINTS + first
    middle = flat[low] + (step - first)[:, None] * (flat[low + 1] - flat[low])
    spread = (lock.wide * scale) * (1 - (1 - lock.tip) * share)
    at = middle[:, None] + place[guide] * spread[:, None, None]
    if lock.frizz or lock.curl:
        lengths = np.linalg.norm(np.diff(seen, axis=1), axis=2).sum(1) / scale
        at += scale * _waves(guide, share * lengths[guide], lock, count, rng)
    column, row = np.rint(at[..., 0]).astype(np.int32), np.rint(at[..., 1]).astype(np.int32)
    drawn = (column >= 0) & (column < side) & (row >= 0) & (row < side)
    drawn &= share[:, None] < reach[guide]
    inside = np.flatnonzero(drawn)
    cell = row.ravel()[inside] * side + column.ravel()[inside]
    depth = at[..., 2].ravel()[inside]
    normals, albedo = np.zeros((2, side * side, 3), np.float32)
    alpha, gloss = np.zeros((2, side * side), np.float32)
    nearest = np.full(side * side, -np.inf, np.float32)
    if len(inside):
        # The nearest point is written last.
        fine = 65535 / max(float(np.ptp(depth)), 1e-3)
        order = np.argsort(((depth - depth.min()) * fine).astype(np.uint16), kind="stable")
        front = np.full(side * side, -1, np.int64)
        front[cell[order]] = order
        hit = np.flatnonzero(front >= 0)
        nearest[hit] = depth[front[hit]]
        point, strand = np.divmod(inside, strands)
        ink = (lock.width * scale) * spacing[point]
        ink *= np.clip((reach[guide[point], strand] - share[point]) * 4, 0.2, 1)
        ink *= depth > nearest[cell] - _BEHIND * scale
        alpha[:] = 1 - np.exp(-np.bincount(cell, ink, side * side))
        point, strand = point[front[hit]], strand[front[hit]]
        owner = guide[point]
        # Strands below others, and roots, get less light.
        lift = np.clip(0.5 + 0.3 * place[owner, strand, 2], 0, 1)
        own = np.exp(rng.normal(0, 0.15, (count, strands)) + rng.normal(0, 0.12, (count, 1)))
        own = own[owner, strand].astype(np.float32)
        shade = own * (0.6 + 0.4 * lift) * np.clip(0.75 + 0.6 * share[point], 0, 1.1)
        albedo[hit] = color * shade[:, None]
        gloss[hit] = glossy * own * (0.3 + 0.7 * lift)
        tangent = _unit(flat[low[point] + 1] - flat[low[point]]) * (1, -1, 1)
        normals[hit] = _normals(
            _out(guides, view)[owner, first[point]], tangent, place[owner, strand]
        )
    layer = Layer(
        depth=nearest.reshape(side, side) / view.samples,
        normals=normals.reshape(side, side, 3),
        albedo=albedo.reshape(side, side, 3),
        alpha=alpha.reshape(side, side),
        gloss=gloss.reshape(side, side),
    )
    return _filled(layer, fill, view)


def _in_samples(points: np.ndarray, view: View) -> np.ndarray:
    """Returns points of head space in the view, in samples, float32 [..., 3]."""
    seen = view.camera.project(points.astype(np.float64)) + (0.5, 0.5, 0)
    return (seen * view.samples - (0.5, 0.5, 0)).astype(np.float32)


def _points(
    seen: np.ndarray, solid: np.ndarray, lock: Lock, scale: float, side: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns points along those parts of guides that may be seen.

    Args:
        seen: float32 [G, P, 3] in samples.
        solid: float32 [V, 3], points of the head's surface, too.
        lock: What strands do about the guides.
        scale: Samples a cm.
        side: Samples a side of the view.

    Returns:
        Guide, int64 [n]; share of its length, float32 [n]; distance of its points, float32 [n].
    """
    middle = (seen[:, 1:] + seen[:, :-1]) / 2
    length = np.linalg.norm(seen[:, 1:] - seen[:, :-1], axis=2)
    margin = (2 * lock.wide + lock.curl) * scale + length / 2
    shown = ((middle[..., :2] > -margin[..., None]).all(2)) & (length > 1e-3)
    shown &= (middle[..., :2] < side + margin[..., None]).all(2)
    # What lies behind the head or far behind others, here and all round, is not seen.
    wide = _COARSE * scale
    cells = int(side / wide) + 1

    def nearest(points: np.ndarray) -> np.ndarray:
        near = np.full(cells * cells, -np.inf, np.float32)
        at = np.floor(points[:, :2] / wide).astype(np.intp)
        inside = ((at >= 0) & (at < cells)).all(1)
        np.maximum.at(near, at[inside, 1] * cells + at[inside, 0], points[inside, 2])
        return near.reshape(cells, cells)

    skin = minimum_filter(maximum_filter(nearest(solid), 3), 5) - _IN_SKIN * scale
    hair = minimum_filter(nearest(middle[shown]), 3) - _BEHIND * scale
    place = np.clip(middle[..., :2] / wide, 0, cells - 1).astype(np.intp)
    shown &= middle[..., 2] > np.maximum(skin, hair)[place[..., 1], place[..., 0]]
    guide, segment = np.nonzero(shown)
    counts = np.maximum(np.ceil(length[guide, segment] / _SPACING), 1).astype(np.intp)
    piece = np.repeat(np.arange(len(guide)), counts)
    place = np.arange(len(piece)) - np.repeat(np.cumsum(counts) - counts, counts)
    share = (segment[piece] + (place + 0.5) / counts[piece]) / (_POINTS - 1)
    spacing = length[guide, segment] / counts
    return guide[piece], share.astype(np.float32), spacing[piece]


def _out(guides: np.ndarray, view: View) -> np.ndarray:
    """Returns the way from the head at guides, in the view with y up, float32 [G, P, 3]."""
    out = _coordinates(guides.reshape(-1, 3))[3]
    return (out @ view.upright.T).reshape(guides.shape).astype(np.float32)


def _normals(out: np.ndarray, tangent: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Returns normals of strands: away from the head and round the lock, upright on the strand."""
    out = out + 0.22 * place * (1, -1, 1)
    out -= 0.7 * (out * tangent).sum(1, keepdims=True) * tangent
    out[:, 2] = np.abs(out[:, 2]) + 0.15
    return _unit(out)


def _filled(layer: Layer, fill: float, view: View) -> Layer:
    """Returns a layer whose gaps amid dense strands are closed by dark ones below."""
    wide = 0.13 * view.camera.scale * view.samples
    weight = layer.alpha
    dense = gaussian_filter(weight, wide)
    closed = np.clip((dense - 0.3) / 0.55, 0, 1)
    closed = fill * closed * closed * (3 - 2 * closed)
    base = np.maximum(dense, 1e-4)[..., None]

    def around(values: np.ndarray) -> np.ndarray:
        return gaussian_filter(values * weight[..., None], (wide, wide, 0)) / base

    there = np.isfinite(layer.depth)
    total = closed + layer.alpha - closed * layer.alpha
    share = (layer.alpha / np.maximum(total, 1e-4))[..., None]
    albedo = share * layer.albedo + (1 - share) * 0.6 * around(layer.albedo)
    normals = share * layer.normals + (1 - share) * around(layer.normals)
    smooth = around(np.where(there, layer.depth, 0)[..., None])[..., 0]
    return Layer(
        depth=np.where(total > 0.004, smooth + _OVER_SKIN * view.camera.scale, -np.inf).astype(
            np.float32
        ),
        normals=_unit(normals).astype(np.float32),
        albedo=albedo.astype(np.float32),
        alpha=np.where(total > 0.004, total, 0).astype(np.float32),
        gloss=layer.gloss * share[..., 0],
    )


def _waves(
    guide: np.ndarray, along: np.ndarray, lock: Lock, count: int, rng: np.random.Generator
) -> np.ndarray:
    """Returns how strands stray and curl at points of guides, float32 [n, C, 3], in cm.

    Args:
        guide: int64 [n].
        along: float32 [n], cm from the root.
        lock: What strands do.
        count: Number of guides.
        rng: Source of chance.
    """
    moved = np.zeros((len(guide), lock.strands, 3), np.float32)
    grown = np.minimum(along / 1.5, 1)[:, None].astype(np.float32)
    each = count, lock.strands
    along = along[:, None].astype(np.float32)
    for axis in range(3):
        phase, pace = rng.uniform(0, 6.3, each), rng.uniform(0.6, 2.2, each)
        if lock.frizz:
            angle = phase.astype(np.float32)[guide] + pace.astype(np.float32)[guide] * along
            moved[..., axis] += lock.frizz * grown * np.sin(angle)
        if lock.curl:
            phase = rng.uniform(0, 6.3, (count, 1)) + rng.normal(0, 0.5, each)
            turns = 6.3 / lock.turn * rng.uniform(0.8, 1.25, (count, 1)).astype(np.float32)
            angle = phase.astype(np.float32)[guide] + turns[guide] * along
            moved[..., axis] += lock.curl * grown * np.sin(angle)
    return moved


def _unit(ways: np.ndarray) -> np.ndarray:
    return ways / (np.linalg.norm(ways, axis=-1, keepdims=True) + 1e-9)
