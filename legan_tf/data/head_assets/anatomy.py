"""Places on MakeHuman's base mesh: landmarks, and the rings of edges round mouth and eyes."""

from __future__ import annotations

import collections
import dataclasses

import numpy as np

from legan_tf.errors import UserError


@dataclasses.dataclass(frozen=True)
class Anatomy:
    """Places by numbers of the base mesh's vertices.

    Attributes:
        landmarks: iBUG's 68 landmarks: each the vertices of a vertex, an edge or a face, whose
            middle it is.
        lip_rings: First edge of each closed ring round the mouth, from the skin inwards; from the
            middle of the upper lip to the person's left, through the lower lip's middle half-way.
        border: Which ring is the border of the red of the lips.
        meeting: Which ring is where closed lips meet; the last of the red is the one behind it.
        left_lid_rings: First edge of the three rings round the lids' margin, from its front edge
            inwards; they start at the upper lid and go to the inner corner.
        right_lid_rings: The same of the right eye.
    """

    landmarks: tuple[tuple[int, ...], ...]
    lip_rings: tuple[tuple[int, int], ...]
    border: int
    meeting: int
    left_lid_rings: tuple[tuple[int, int], ...]
    right_lid_rings: tuple[tuple[int, int], ...]


MAKEHUMAN = Anatomy(
    landmarks=(
        # Jaw, from the person's right ear.
        ((5769,), (5763,), (5750,), (869,), (736,), (737,), (5226,), (5166,), (5225, 5296))
        + ((11779,), (11835,), (7457,), (7456,), (7574,), (12347,), (12360,), (12366,))
        # Brows, the right one first.
        + ((179,), (178,), (205,), (208,), (209,), (6984,), (6983,), (6980,), (6954,), (6955,))
        # Ridge and base of the nose.
        + ((132, 136), (131, 135), (201,), (297, 5054), (333,), (313, 314), (317,))
        + ((7076, 7077), (7095,))
        # Lids, the right ones first.
        + ((4854,), (0, 6), (1, 54), (1077,), (1070, 6772), (1067, 1068, 6776, 6777))
        + ((7769,), (6785, 6838), (6784, 6790), (11472,))
        + ((7759, 7760, 13372, 13373), (7762, 13368))
        # Outline of the lips, then the line between them.
        + ((422,), (5354,), (450,), (455,), (7210,), (11956,), (7182,))
        + ((7130, 11939), (7241,), (492,), (486,), (370, 5335))
        + ((431, 432), (472,), (474, 520), (7228,), (7191, 7192), (7279,), (523, 540), (534,))
    ),
    lip_rings=(
        ((5342, 11945), (362, 7118), (455, 7214), (466, 7222), (467, 7223), (509, 7257))
        + ((468, 7224), (474, 7229), (520, 7267), (537, 7282), (554, 7297))
    ),
    border=2,
    meeting=7,
    left_lid_rings=((6785, 6838), (13352, 13359), (7748, 7765)),
    right_lid_rings=((1, 54), (6756, 6763), (1056, 1073)),
)


def rings(faces: np.ndarray, starts: tuple[tuple[int, int], ...]) -> np.ndarray:
    """Follows closed rings of edges, which go straight on at every vertex of four faces.

    Args:
        faces: Corners of the quadrilaterals, int ``[F, 4]``.
        starts: First edge of each ring, all at the same place along them.

    Returns:
        int ``[rings, n]``: vertices of the rings, the same place along them in one column.

    Raises:
        UserError: The mesh has no such rings.
    """
    faces_of = collections.defaultdict(list)
    for face in faces[np.isin(faces, _near(faces, starts)).any(1)]:
        for vertex in face:
            faces_of[int(vertex)].append({int(each) for each in face})
    found = [_ring(faces_of, *start) for start in starts]
    if not all(found) or len({len(ring) for ring in found}) != 1:
        raise UserError("--source: its base mesh is not the one that this builder knows.")
    return np.array(found)


def _near(faces: np.ndarray, starts: tuple[tuple[int, int], ...]) -> np.ndarray:
    """Returns the vertices within many faces of the starts, so that few faces are looked at."""
    near = np.unique(starts)
    for _ in range(60):
        near = np.unique(faces[np.isin(faces, near).any(1)])
    return near


def _ring(faces_of: dict[int, list[set[int]]], first: int, second: int) -> list[int]:
    """Returns the ring that an edge starts, or an empty list where it does not close."""
    ring = [first, second]
    while len(ring) <= 1000:
        before, here = ring[-2:]
        ahead = [face for face in faces_of[here] if before not in face]
        if len(faces_of[here]) != 4 or len(ahead) != 2:
            return []
        after = (ahead[0] & ahead[1]) - {here}
        if len(after) != 1:
            return []
        if after == {first}:
            return ring
        ring += after
    return []
