"""Teeth and gums: crowns set along two dental arches, in several sets of one topology."""

from __future__ import annotations

import dataclasses

import numpy as np

# Width, height and depth of the crowns in cm from the middle outwards, as text books of dental
# anatomy give them.
UPPER = (
    (0.86, 1.05, 0.70),
    (0.66, 0.90, 0.62),
    (0.77, 1.02, 0.80),
    (0.71, 0.86, 0.90),
    (0.68, 0.80, 0.90),
    (1.00, 0.72, 1.05),
    (0.96, 0.68, 1.05),
)
LOWER = (
    (0.53, 0.88, 0.60),
    (0.59, 0.92, 0.64),
    (0.69, 1.05, 0.78),
    (0.71, 0.86, 0.80),
    (0.72, 0.80, 0.85),
    (1.10, 0.75, 1.00),
    (1.02, 0.70, 1.00),
)
INCISORS_AND_CANINE = 3
_CANINE = 2
# How far each crown's edge stays behind that of the central incisor.
_SET_BACK = ((0.0, 0.07, 0.0, 0.05, 0.08, 0.12, 0.16), (0.0, 0.0, 0.0, 0.05, 0.08, 0.12, 0.16))
_AROUND = 12
_FILLED = 0.97  # Share of an arch's length that its teeth take.
# Rings of a crown: place from neck to edge, width and depth in shares, front of the arch in cm.
_INCISOR = (
    (0.0, 0.80, 0.92, 0.0),
    (0.2, 0.88, 0.98, 0.025),
    (0.45, 0.955, 0.80, 0.03),
    (0.7, 0.99, 0.58, 0.01),
    (0.87, 1.0, 0.42, -0.02),
    (0.96, 0.97, 0.30, -0.04),
    (1.0, 0.88, 0.18, -0.055),
    (1.0, 0.40, 0.04, -0.07),
)
_MOLAR = (
    (0.0, 0.80, 0.90, 0.0),
    (0.2, 0.90, 0.96, 0.03),
    (0.45, 0.98, 1.0, 0.03),
    (0.7, 1.0, 0.92, 0.0),
    (0.87, 0.95, 0.78, -0.04),
    (0.96, 0.80, 0.58, -0.10),
    (1.0, 0.55, 0.36, -0.18),
    (1.0, 0.20, 0.08, -0.24),
)
_GUM_STATIONS = 28
# Cross-section of the gums: out of the arch, and away from the crowns' edges, in cm.
_GUM_PROFILE = np.array(
    [(-0.10, 0.0), (0.03, 0.015), (0.075, -0.06), (0.085, -0.2), (0.05, -0.5)]
    + [(-0.05, -0.85), (-0.75, -0.8), (-0.8, -0.3), (-0.7, 0.0)]
)


@dataclasses.dataclass(frozen=True)
class Dentition:
    """How the teeth of one person differ from those of the text book.

    Attributes:
        width: Factor of the crowns' widths.
        height: Factor of their heights.
        spacing: Gap between neighbours in cm; negative: they overlap.
        midline_gap: Further gap between the upper central incisors in cm.
        turn: Standard deviation of the turn of a crown about its axis, in degrees.
        offset: Standard deviation of a crown's place out of the arch, in cm.
        uneven: Standard deviation of the heights of the edges, in cm.
        wear: How much is worn off the edges and makes them flat, in cm.
        seed: Seed of what varies from crown to crown.
    """

    width: float = 1.0
    height: float = 1.0
    spacing: float = 0.0
    midline_gap: float = 0.0
    turn: float = 0.0
    offset: float = 0.0
    uneven: float = 0.0
    wear: float = 0.0
    seed: int = 0


SETS = (
    Dentition(turn=1.5, offset=0.008, uneven=0.008),
    Dentition(height=0.92, turn=3, offset=0.015, uneven=0.02, wear=0.09, seed=1),
    Dentition(
        width=0.92, spacing=0.05, midline_gap=0.14, turn=3, offset=0.015, uneven=0.02, seed=2
    ),
    Dentition(width=1.03, spacing=-0.06, turn=9, offset=0.045, uneven=0.035, seed=3),
)
"""The sets of teeth, the regular one first: worn, with gaps, crowded."""


@dataclasses.dataclass(frozen=True)
class Arch:
    """A dental arch.

    Attributes:
        upper: Whether it is the upper one, whose crowns point down.
        edge: Height of the central incisors' edges in cm.
        front: z of their foremost surface.
        width: Half the width at the molars.
        depth: From the incisors back to the molars.
    """

    upper: bool
    edge: float
    front: float
    width: float
    depth: float

    def at(self, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns points (x, z) and outward normals of the left half by length from the middle."""
        turn = np.linspace(0, 1.32, 600)
        line = np.stack([self.width * np.sin(turn) ** 0.92, -self.depth * (1 - np.cos(turn))], 1)
        along = np.r_[0, np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))]

        def point(length: np.ndarray) -> np.ndarray:
            return np.stack([np.interp(length, along, line[:, k]) for k in range(2)], -1)

        inside = np.clip(lengths, 0.1, along[-1] - 0.1)
        tangent = point(inside + 0.1) - point(inside - 0.1)
        tangent /= np.linalg.norm(tangent, axis=-1, keepdims=True)
        normal = np.stack([-tangent[..., 1], tangent[..., 0]], -1)
        return point(lengths) + [0, self.front], normal

    def length(self) -> float:
        """Returns the length of one half."""
        turn = np.linspace(0, 1.32, 600)
        line = np.stack([self.width * np.sin(turn) ** 0.92, -self.depth * (1 - np.cos(turn))], 1)
        return float(np.linalg.norm(np.diff(line, axis=0), axis=1).sum())


def teeth(arch: Arch, dentition: Dentition) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Crowns and gums of one arch.

    Args:
        arch: Where they stand.
        dentition: How they differ from the text book.

    Returns:
        Vertices ``[n, 3]``, quadrilaterals ``[F, 4]``, counter-clockwise seen from outside, and
        whether a face is gum, bool ``[F]``. The topology is the same for every dentition.
    """
    rng = np.random.default_rng((dentition.seed, arch.upper))
    vertices, faces, gum = [], [], []
    count = 0
    for side in (1, -1):
        crowns, necks = _crowns(arch, dentition, rng)
        for crown in crowns:
            grid, quads = tube(crown * [side, 1, 1])
            faces.append(count + (quads if (side > 0) != arch.upper else quads[:, ::-1]))
            gum.append(np.zeros(len(quads), bool))
            vertices.append(grid)
            count += len(grid)
        grid, quads = tube(_gums(arch, necks) * [side, 1, 1])
        faces.append(count + (quads if (side > 0) == arch.upper else quads[:, ::-1]))
        gum.append(np.ones(len(quads), bool))
        vertices.append(grid)
        count += len(grid)
    return np.concatenate(vertices), np.concatenate(faces), np.concatenate(gum)


def _crowns(
    arch: Arch, dentition: Dentition, rng: np.random.Generator
) -> tuple[list[np.ndarray], list[tuple[float, float, float]]]:
    """Returns the left half's crowns as grids, and the place, width and height of their necks."""
    table = np.array(UPPER if arch.upper else LOWER)
    # The text book's teeth fill the arch, as large as it is.
    table *= _FILLED * arch.length() / table[:, 0].sum()
    table = table * [dentition.width, dentition.height, 1]
    gaps = np.full(len(table), dentition.spacing)
    gaps[0] = dentition.midline_gap / 2 if arch.upper else dentition.spacing / 2
    down = -1.0 if arch.upper else 1.0
    crowns, necks = [], []
    place = 0.0
    for which, (width, height, depth) in enumerate(table):
        place += gaps[which]
        middle = place + width / 2
        place += width
        turn, offset, uneven = rng.normal(size=3) * [
            np.radians(dentition.turn),
            dentition.offset,
            dentition.uneven,
        ]
        worn = dentition.wear * (1.0 if which < INCISORS_AND_CANINE else 0.4)
        set_back = _SET_BACK[0 if arch.upper else 1][which] + uneven + worn
        along, half_width, half_depth, front = _profile(which, width, depth, dentition.wear)
        angle = np.arange(_AROUND) * 2 * np.pi / _AROUND
        across = half_width[:, None] * np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** 0.62
        thick = half_depth[:, None] * np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** 0.8
        out = thick - half_depth[:, None] + front[:, None] + offset
        point, normal = arch.at(np.array(middle))
        tangent = np.array([normal[1], -normal[0]])
        turned = np.cos(turn) * tangent + np.sin(turn) * normal
        outward = np.cos(turn) * normal - np.sin(turn) * tangent
        ground = point + across[..., None] * turned + out[..., None] * outward
        upright = arch.edge - down * ((height - worn) * (1 - along) + set_back)
        upright = np.broadcast_to(upright[:, None], across.shape)
        crowns.append(np.stack([ground[..., 0], upright, ground[..., 1]], -1))
        necks.append((middle, width, arch.edge - down * (height + set_back - worn)))
    return crowns, necks


def _profile(
    which: int, width: float, depth: float, wear: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns for the rings of a crown, from neck to edge, place, half width, half depth, front.

    The place is 0 at the neck and 1 at the edge, the front how far it is out of the arch in cm.
    """
    incisor = which < INCISORS_AND_CANINE
    along, half_width, half_depth, front = np.array(_INCISOR if incisor else _MOLAR).T
    if which == _CANINE:
        # Pointed, unless worn.
        point = np.clip(1 - 5 * wear, 0, 1)
        half_width = half_width * np.interp(along, [0, 0.6, 1], [1, 1, 1 - 0.32 * point])
    elif wear and incisor:
        half_width = half_width * np.interp(along, [0, 0.9, 1], [1, 1, 1.06])
    return along, width / 2 * half_width, depth / 2 * half_depth, front


def _gums(arch: Arch, necks: list[tuple[float, float, float]]) -> np.ndarray:
    """Returns a band along the left half that covers the necks, lower between the teeth."""
    last, width, _ = necks[-1]
    places = np.linspace(0, last + width / 2, _GUM_STATIONS)
    fine = np.linspace(0, places[-1], 300)
    height, between = np.zeros(300), np.zeros(300)
    middles = np.array([neck[0] for neck in necks])
    nearest = np.abs(fine[:, None] - middles).argmin(1)
    for index, (middle, width, neck) in enumerate(necks):
        here = nearest == index
        height[here] = neck
        between[here] = np.clip(np.abs(fine[here] - middle) / (width / 2), 0, 1) ** 2.2
    height = np.convolve(np.pad(height, 16, mode="edge"), np.ones(33) / 33, "valid")
    down = -1.0 if arch.upper else 1.0
    rim = np.interp(places, fine, height + down * (0.13 + 0.26 * between))
    point, normal = arch.at(places)
    out, away = _GUM_PROFILE[:, 0], _GUM_PROFILE[:, 1]
    ground = point[:, None] + out[:, None] * normal[:, None]
    upright = rim[:, None] + down * away
    return np.stack([ground[..., 0], upright, ground[..., 1]], -1)


def tube(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns vertices and quadrilaterals of a tube ``[a, b, 3]``, closed in the second axis."""
    rows, columns = points.shape[:2]
    row, column = np.meshgrid(np.arange(rows - 1), np.arange(columns), indexing="ij")
    after = (column + 1) % columns
    corners = [row * columns + column, (row + 1) * columns + column]
    corners += [(row + 1) * columns + after, row * columns + after]
    return points.reshape(-1, 3), np.stack(corners, -1).reshape(-1, 4)
