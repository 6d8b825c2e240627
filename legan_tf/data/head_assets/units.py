"""Expression shapes: MakeHuman's face units, some brought to an even strength, some redrawn."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from scipy.spatial import cKDTree

from legan_tf.data.head_assets.deformation import spread
from legan_tf.head import subdivision

GAINS = {
    "browDown": 0.85,
    "eyeSquint": 0.85,
    "jawLeft": 1.3,
    "jawOpen": 1.1,
    "jawRight": 1.3,
    "mouthLeft": 1.6,
    "mouthRight": 1.6,
    "mouthRollLower": 1.5,
    "mouthShrugLower": 1.3,
}
"""Factors that bring face units to the strength that ARKit's shapes have; 1 for the others."""

_HALVES = {"Left": "_L", "Right": "_R"}
_WHOLE = ("jawLeft", "jawRight", "mouthLeft", "mouthRight")


@dataclasses.dataclass(frozen=True, eq=False)
class Skin:
    """Skin of the mean head, in head space.

    Attributes:
        points: ``[n, 3]`` in cm.
        faces: Corners of the quadrilaterals, int ``[F, 4]``.
        lips: Rings round the mouth, int ``[rings, columns]``; see ``anatomy``.
        border: Which ring is the border of the red.
        meeting: Which ring is where closed lips meet.
        lids: Rings round the margins of the left and the right lids, int ``[3, columns]`` each.
        lashes: The vertices of the lashes.
        eyes: Centres of the left and the right eyeball.
        eye_radius: Radius of the eyeballs in cm.
    """

    points: np.ndarray
    faces: np.ndarray
    lips: np.ndarray
    border: int
    meeting: int
    lids: tuple[np.ndarray, np.ndarray]
    lashes: np.ndarray
    eyes: tuple[np.ndarray, np.ndarray]
    eye_radius: float

    def normals(self) -> np.ndarray:
        """Returns the vertices' unit normals, ``[n, 3]``."""
        corners = self.points[self.faces]
        cross = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
        normals = np.zeros(self.points.shape)
        np.add.at(normals, self.faces.ravel(), np.repeat(cross, 4, 0))
        return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)

    def mouth_reach(self, reach: float) -> np.ndarray:
        """Returns which vertices are within ``reach`` cm of the line between the lips."""
        line = self.points[self.lips[self.meeting]]
        distance = np.linalg.norm(self.points[:, None] - line, axis=2).min(1)
        return distance < reach


def unit_name(target: str) -> str:
    """Returns a shape's name with ``_L`` or ``_R`` for that of a face unit's file."""
    for word, ending in _HALVES.items():
        if target.endswith(word) and target not in _WHOLE:
            return target[: -len(word)] + ending
    return target


def gain_of(name: str) -> float:
    """Returns the factor of a face unit, by the shape's name."""
    return GAINS.get(name[:-2] if name.endswith(("_L", "_R")) else name, 1.0)


def redrawn(skin: Skin, raw: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the shapes that take the place of face units, in cm.

    Args:
        skin: The mean head.
        raw: The face units on it after their gains, ``[n, 3]`` by name.
    """
    shapes = {
        "jawOpen": _jaw_open(skin, raw["jawOpen"]),
        "mouthFunnel": _funnel(skin),
    }
    for name, draw in _HALF_SHAPES.items():
        shapes.update(_halves(skin, name, draw(skin)))
    for side, lids, eye in zip(("_L", "_R"), skin.lids, skin.eyes):
        shapes[f"eyeBlink{side}"] = _blink(skin, raw[f"eyeBlink{side}"], lids, eye)
    return shapes


def _halves(skin: Skin, name: str, whole: np.ndarray) -> dict[str, np.ndarray]:
    """Returns a shape of both sides as two of one side, which pass over into each other."""
    left = 1 / (1 + np.exp(-skin.points[:, :1] / 0.44))
    return {f"{name}_L": whole * left, f"{name}_R": whole * (1 - left)}


def _step(start: float, end: float, values: np.ndarray) -> np.ndarray:
    """Smooth step from 0 to 1."""
    share = np.clip((values - start) / (end - start), 0, 1)
    return share * share * (3 - 2 * share)


def _bump(skin: Skin, x: float, y: float, radius: float) -> np.ndarray:
    """Gaussian ``[n]`` about a place of both halves on the front of the face, 1 at its middle."""
    away = np.hypot(np.abs(skin.points[:, 0]) - x, skin.points[:, 1] - y)
    return np.exp(-((away / radius) ** 2)) * _step(3.0, 5.0, skin.points[:, 2])


def _slide(skin: Skin, direction: tuple[float, float, float]) -> np.ndarray:
    """Returns the direction, mirrored on the right half, within the skin's tangent planes."""
    mirrored = np.array(direction) * np.where(skin.points[:, :1] < 0, [-1.0, 1, 1], 1.0)
    normals = skin.normals()
    return mirrored - normals * (normals * mirrored).sum(1, keepdims=True)


def _brow_up(skin: Skin, places: list[float], heights: list[float]) -> np.ndarray:
    """The whole skin from the lid's fold to the hairline slides up.

    Args:
        skin: The mean head.
        places: Distances from the middle in cm.
        heights: How far the skin slides there.
    """
    x, y, z = np.abs(skin.points[:, 0]), skin.points[:, 1], skin.points[:, 2]
    fold = np.interp(x, [0, 1, 2.8, 4.5, 5.6], [4.3, 4.15, 4.22, 4.0, 3.6])
    share = _step(-0.25, 0.4, y - fold) * (1 - _step(6.2, 9.2, y)) * _step(3.0, 5.0, z)
    return _slide(skin, (0, 1, 0)) * (np.interp(x, places, heights) * share)[:, None]


def _brow_inner_up(skin: Skin) -> np.ndarray:
    return _brow_up(skin, [0, 0.6, 1.5, 3, 4.5, 6], [0.52, 0.56, 0.50, 0.30, 0.13, 0])


def _brow_outer_up(skin: Skin) -> np.ndarray:
    return _brow_up(
        skin, [0, 0.5, 1.2, 1.9, 3, 4.5, 5.4, 6.9], [0.03, 0.06, 0.16, 0.36, 0.74, 0.74, 0.52, 0]
    )


def _cheek_puff(skin: Skin) -> np.ndarray:
    amount = 0.95 * _bump(skin, 4.2, -2.7, 2.2) + 0.22 * _bump(skin, 1.3, -1.5, 0.9)
    amount += 0.22 * _bump(skin, 1.5, -4.7, 1.0)
    return skin.normals() * amount[:, None]


def _spread_from_lips(
    skin: Skin, moves: np.ndarray, weights: np.ndarray, reach: float
) -> np.ndarray:
    """Spreads moves of the lips over the skin around them.

    Args:
        skin: The mean head.
        moves: Displacements of the rings, ``[rings, columns, 3]``.
        weights: Weights of the rings, from the skin inwards; of those that are given moves.
        reach: How far from the line between the lips skin moves, in cm.
    """
    weighted = moves * weights[:, None, None]
    return spread(
        skin.faces,
        skin.points,
        skin.lips[: len(weights)].ravel(),
        weighted.reshape(-1, 3),
        skin.mouth_reach(reach),
    )


def _columns(skin: Skin) -> tuple[np.ndarray, np.ndarray]:
    """Returns for each column of the lips' rings where it is across, and whether in the upper lip.

    Returns:
        The first from -1 at the right corner to 1 at the left one, ``[columns]``; the second 1 in
        the upper lip, -1 in the lower, 0 at the corners.
    """
    x = skin.points[skin.lips[skin.meeting], 0]
    left, right = x.argmax(), x.argmin()
    columns = np.arange(len(x))
    lip = np.where((columns < left) | (columns > right), 1, -1)
    lip[[left, right]] = 0
    return x / np.where(x > 0, x[left], -x[right]), lip


def _facing(skin: Skin) -> np.ndarray:
    """Returns for each column of the lips' rings that of the other lip below or above it."""
    return (len(skin.lips[0]) // 2 - np.arange(len(skin.lips[0]))) % len(skin.lips[0])


def _jaw_open(skin: Skin, raw: np.ndarray) -> np.ndarray:
    """The opening jaw, with the opening made round and the corners less drawn together."""
    opened = skin.points + raw
    ring = skin.lips[skin.meeting]
    at = opened[ring]
    across, lip = _columns(skin)
    corner = at[lip == 0].mean(0)
    half = np.abs(at[lip == 0, 0]).mean()
    wanted = at.copy()
    share = np.clip(np.abs(at[:, 0]) / half, 0, 1)
    for side, power in ((1, 1.8), (-1, 1.75)):
        middle = at[(lip == side) & (np.abs(across) < 0.05), 1].mean()
        curve = corner[1] + (middle - corner[1]) * (1 - share**power) ** (1 / power)
        wanted[lip == side, 1] = curve[lip == side]
    wanted[:, 0] += 0.14 * across
    rings = len(skin.lips)
    weights = np.where(np.arange(rings) < skin.border, 0.75, 1.0)[:rings]
    return raw + _spread_from_lips(
        skin, np.broadcast_to(wanted - at, (rings, *at.shape)), weights, 2.6
    )


def _funnel(skin: Skin) -> np.ndarray:
    """Lips forward, turned out, round an opening nearly as high as wide."""
    across, lip = _columns(skin)
    ring = skin.points[skin.lips[skin.meeting]]
    half = np.abs(ring[:, 0]).max()
    round_ = np.sqrt(np.clip(1 - across**2, 0, 1))
    move = np.zeros(ring.shape)
    move[:, 0] = -0.46 * half * across
    move[:, 1] = np.where(lip > 0, 0.50, -0.56) * round_
    move[:, 2] = 0.30 + 0.22 * round_
    rings = np.arange(skin.meeting + 2)
    weights = np.interp(rings, [0, skin.border, skin.meeting], [0.55, 0.9, 1.0])
    moves = np.repeat(move[None], len(rings), 0)
    # The red turns out: its inner rings come further forward than its border.
    moves[:, :, 2] += 0.16 * _step(skin.border, skin.meeting, rings)[:, None] * round_
    return _spread_from_lips(skin, moves, weights, 3.6)


def _press(skin: Skin) -> np.ndarray:
    """Lips pressed together: the red gets thin and flat, its inner rings roll in."""
    across, lip = _columns(skin)
    red = skin.points[skin.lips]
    line = red[skin.meeting, :, 1]
    rings = np.arange(len(skin.lips))
    towards = np.interp(
        rings, [0, skin.border, skin.meeting - 1, skin.meeting], [0.16, 0.40, 0.45, 0]
    )
    moves = np.zeros(red.shape)
    moves[:, :, 1] = towards[:, None] * (line - red[:, :, 1])
    inwards = np.interp(
        rings, [0, skin.border, skin.border + 2, skin.meeting], [0.04, -0.04, -0.16, -0.2]
    )
    moves[:, :, 2] = inwards[:, None] * np.sqrt(np.clip(1 - across**2, 0, 1))
    moves[:, :, 0] += 0.10 * across * np.abs(across)
    # No slit is left: lips meet half-way between them.
    gaps = red[:, _facing(skin), 1] - red[:, :, 1]
    gaps[: skin.meeting] = gaps[skin.meeting]
    moves[:, :, 1] += 0.5 * _step(skin.border, skin.meeting, rings)[:, None] * gaps
    behind = skin.meeting + 2
    pressed = _spread_from_lips(skin, moves[:behind], np.ones(behind), 3.0)
    return pressed + skin.normals() * (0.10 * _bump(skin, 0.0, -5.2, 0.9))[:, None]


def _dimple(skin: Skin) -> np.ndarray:
    """Corners drawn sideways and back, into a dent of the cheek."""
    across, _ = _columns(skin)
    near = np.abs(across) ** 4
    move = np.stack([0.62 * np.sign(across) * near, 0.10 * near, -0.42 * near], 1)
    rings = skin.meeting + 2
    moved = _spread_from_lips(skin, np.repeat(move[None], rings, 0), np.ones(rings), 3.2)
    bulge = 0.34 * _bump(skin, 3.3, -2.4, 0.6)
    return moved + skin.normals() * bulge[:, None]


def _upper_up(skin: Skin) -> np.ndarray:
    """Upper lip raised off the teeth, most beside its middle, with the fold beside the nose."""
    return (
        _raised_lip(skin, 0.50, 0.58)
        + _slide(skin, (0.1, 1, 0)) * (0.20 * _bump(skin, 2.3, -0.6, 0.9))[:, None]
    )


def _raised_lip(skin: Skin, middle: float, beside: float) -> np.ndarray:
    across, lip = _columns(skin)
    height = np.interp(np.abs(across), [0, 0.5, 0.8, 1], [middle, beside, 0.55 * beside, 0])
    move = np.zeros((len(across), 3))
    move[:, 1] = np.where(lip > 0, height, 0)
    move[:, 2] = np.where(lip > 0, 0.25 * height, 0)
    rings = skin.meeting + 2
    weights = np.interp(np.arange(rings), [0, 1, skin.border], [0.62, 0.8, 1.0])
    return _spread_from_lips(skin, np.repeat(move[None], rings, 0), weights, 2.8)


def _nose_sneer(skin: Skin) -> np.ndarray:
    """Wings of the nose and upper lip drawn up, skin of the nose bunched below the brows."""
    up = _slide(skin, (0.12, 1, 0))
    height = 0.30 * _bump(skin, 1.3, -0.2, 0.95) + 0.40 * _bump(skin, 2.2, 0.0, 1.1)
    height += 0.14 * _bump(skin, 0.7, 1.6, 0.9) - 0.20 * _bump(skin, 0.9, 4.7, 1.1)
    out = 0.04 * _bump(skin, 1.5, -0.3, 0.6) + 0.16 * _bump(skin, 2.5, 0.6, 0.7)
    out += 0.07 * _bump(skin, 0.55, 2.6, 0.5)
    lip = _raised_lip(skin, 0.14, 0.30)
    return lip + up * height[:, None] + skin.normals() * out[:, None]


def _blink(skin: Skin, raw: np.ndarray, lids: np.ndarray, eye: np.ndarray) -> np.ndarray:
    """The closing lids, with the margins made to meet on the finer mesh.

    Args:
        skin: The mean head.
        raw: The face unit of one eye.
        lids: The rings of its margins.
        eye: Centre of its eyeball.
    """
    finer = subdivision.catmull_clark(skin.faces, len(skin.points))[0][: len(skin.points)]
    closed = _closed_margin((finer @ skin.points)[lids[0]], eye)
    radial = skin.points - eye
    radial /= np.linalg.norm(radial, axis=1, keepdims=True)
    travel = np.linalg.norm(raw, axis=1, keepdims=True)
    shape = raw + _CLEARANCE * radial * travel / travel.max()
    front = eye + [0, 0, 0.5 * skin.eye_radius]
    free = np.linalg.norm(skin.points - front, axis=1) < 1.45 * skin.eye_radius
    free[skin.lashes] = False
    # The subdivision draws the margins back a little, more where they bend: again, until they meet.
    for _ in range(_BLINK_ROUNDS):
        missing = closed - (finer @ (skin.points + shape))[lids[0]]
        moves = np.tile(missing, (len(lids), 1))
        shape = shape + spread(skin.faces, skin.points, lids.ravel(), moves, free)
    # Each lash goes where the margin beside it goes.
    lashes = skin.lashes[skin.points[skin.lashes, 0] * eye[0] > 0]
    beside = cKDTree(skin.points[lids[0]]).query(skin.points[lashes])[1]
    shape[lashes] = shape[lids[0]][beside]
    return shape


def _closed_margin(margin: np.ndarray, eye: np.ndarray) -> np.ndarray:
    """Returns the margin of closed lids, ``[n, 3]``, for that of open ones round an eye."""
    across = np.abs(margin[:, 0])
    corners = sorted((int(across.argmin()), int(across.argmax())))
    ways = [
        np.arange(corners[0], corners[1] + 1),
        np.r_[np.arange(corners[0], -1, -1), np.arange(len(margin) - 1, corners[1] - 1, -1)],
    ]
    lower, upper = sorted(ways, key=lambda way: margin[way, 1].mean())
    closed = margin.copy()
    for way in (lower, upper):
        facing = {}
        for name, lid in (("lower", lower), ("upper", upper)):
            order = lid[np.argsort(across[lid])]
            facing[name] = np.stack(
                [np.interp(across[way], across[order], margin[order, axis]) for axis in range(3)], 1
            )
        meeting = facing["lower"] + _CLOSED_AT * (facing["upper"] - facing["lower"])
        # As far from the eye's centre as the open margin, and a little more.
        distance = np.linalg.norm(margin[way] - eye, axis=1, keepdims=True) + _CLEARANCE
        offset = meeting - eye
        closed[way] = eye + offset * distance / np.linalg.norm(offset, axis=1, keepdims=True)
    return closed


_CLOSED_AT = 0.2  # Where closed lids meet, from the lower to the upper one.
# A straight way cuts through the round eyeball: the lids end a little off it, in cm.
_CLEARANCE = 0.06
_BLINK_ROUNDS = 6

_HALF_SHAPES: dict[str, Callable[[Skin], np.ndarray]] = {
    "browInnerUp": _brow_inner_up,
    "browOuterUp": _brow_outer_up,
    "cheekPuff": _cheek_puff,
    "mouthDimple": _dimple,
    "mouthPress": _press,
    "mouthUpperUp": _upper_up,
    "noseSneer": _nose_sneer,
}
