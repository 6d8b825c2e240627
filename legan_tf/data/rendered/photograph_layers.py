"""Photographs that give rendered people their hair, ears, neck, clothes and background.

A head is fitted to a photograph. Its light is divided out, and a smooth warp takes the fitted head
to that of a rendered person, whose own face is drawn in it.
"""

from __future__ import annotations

import dataclasses
import functools
import glob
import hashlib
import os
import threading

import numpy as np
from absl import logging
from PIL import Image
from scipy.interpolate import RBFInterpolator
from scipy.ndimage import binary_erosion, gaussian_filter, map_coordinates

from legan_tf.data import images
from legan_tf.data.align.landmark_finder import make_finder
from legan_tf.data.rendered.layers import View
from legan_tf.data.splits import SPLITS
from legan_tf.errors import UserError
from legan_tf.head.color import luminance, to_linear
from legan_tf.head.face_editor import FaceEditor
from legan_tf.head.face_points import eyes_distance
from legan_tf.head.fields import continued, smooth_step
from legan_tf.head.head_file import load_head
from legan_tf.head.person_mask import person_mask
from legan_tf.head.relighting import RelightingSurface

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".heic", ".heif")
"""Files of a folder that are taken for photographs."""

_DONOR = 7131
_LOCK = threading.Lock()
_TEST_SHARE = 5  # One photograph in so many is for val and one for test.
_EYES = 110.0  # Distance of the eyes' outer corners that a photograph is scaled to, pixels.
_LEAST_EYES = 30.0
_REACH = (1.7, 1.8, 1.7, 2.6)  # What is kept to the left, above, to the right, below; in these.
_ONE_SIDED = 0.3  # Most light from one side that can be divided out.
_LIGHT = (0.5, 2.0)  # Of what is divided out; how dark a shadow below a chin is, is a guess.
_CONTROLS = 90  # Vertices that hold the warp.
_STIFF = 0.02  # Smoothing of the warp.
_BROWS = -0.24  # Above the eyes, in their distance: hair of the head is above.
_GLOSS = 0.02
# Points of the face mesh, and the share of the cheeks' light that a bearded chin has.
_CHIN = (200, 199, 175, 32, 262, 140, 369, 194, 418)
_CHEEKS = (50, 280, 101, 330, 118, 347, 36, 266)
_BEARDED = 0.65


@dataclasses.dataclass(frozen=True, eq=False)
class Donor:
    """A photograph, ready to be drawn round another face.

    Attributes:
        vertices: float64 [V, 3], the fitted head in the photograph, pixels.
        eyes: Distance of the eyes' outer corners, pixels.
        maps: float32 [h, w, 13]: linear albedo of the person (3), normals (3), depth in pixels, the
            share of the person, of hair over the face, of skin, and linear light of the wall (3).
        skin: float64 [3], linear albedo of the face.
        bearded: Whether its chin is much darker than its cheeks.
    """

    vertices: np.ndarray
    eyes: float
    maps: np.ndarray
    skin: np.ndarray
    bearded: bool


@dataclasses.dataclass(frozen=True, eq=False)
class DonorSamples:
    """A donor at the samples of a rendered person's view, each [n, ...] as in ``Donor.maps``."""

    albedo: np.ndarray
    normals: np.ndarray
    depth: np.ndarray
    person: np.ndarray
    fringe: np.ndarray
    wall: np.ndarray
    gloss: float = _GLOSS


@dataclasses.dataclass(frozen=True)
class PhotographLayers:
    """The photographs of a folder for one split.

    Attributes:
        files: Their paths, in order; those of two splits are disjoint.
    """

    files: tuple[str, ...]

    def donor(self, person: int, man: bool) -> Donor:
        """Returns the photograph of a person, the next where one cannot be used.

        Args:
            person: The person's number.
            man: Whether it may be one with a beard.

        Raises:
            UserError: None can be used.
        """
        first = int(np.random.default_rng([_DONOR, person]).integers(len(self.files)))
        for step in range(len(self.files)):
            with _LOCK:  # The finder's networks are for one thread.
                found = _donor(self.files[(first + step) % len(self.files)])
            if isinstance(found, Donor) and (man or not found.bearded):
                return found
        raise UserError(
            f"--layers: none of the {len(self.files)} photographs of this split can be used; the "
            f"last one: {found if isinstance(found, str) else 'it has a beard'}."
        )


def photograph_layers(folder: str, split: str) -> PhotographLayers:
    """Returns the photographs of a folder, and of those below it, for one split.

    Args:
        folder: Path of the folder.
        split: train, val or test.

    Raises:
        UserError: There is no such folder, or it has fewer than three photographs.
    """
    files = _files(folder)
    if len(files) < len(SPLITS):
        raise UserError(
            f"--layers={folder}: has {len(files)} photographs ({', '.join(SUFFIXES)}); "
            "give three or more, so that people to train with and to test with share none."
        )
    held_out = max(len(files) // _TEST_SHARE, 1)
    order = np.random.default_rng(_DONOR).permutation(len(files))
    parts = {"val": order[:held_out], "test": order[held_out : 2 * held_out]}
    chosen = parts.get(split, order[2 * held_out :])
    return PhotographLayers(tuple(files[i] for i in sorted(chosen)))


def photographs_digest(folder: str) -> str:
    """Returns what tells the photographs of a folder from those of another: names and sizes.

    Raises:
        UserError: There is no such folder.
    """
    listed = [(os.path.relpath(file, folder), os.path.getsize(file)) for file in _files(folder)]
    return hashlib.sha256(repr(listed).encode()).hexdigest()


def _files(folder: str) -> list[str]:
    if not os.path.isdir(folder):
        raise UserError(f"--layers={folder}: is no folder.")
    pattern = os.path.join(glob.escape(folder), "**", "*")
    return sorted(f for f in glob.glob(pattern, recursive=True) if f.lower().endswith(SUFFIXES))


@functools.lru_cache(maxsize=256)
def _donor(file: str) -> Donor | str:
    """Returns a photograph, or why it cannot be used."""
    try:
        found = _fitted(images.decode(file))
    except UserError as error:
        found = str(error)
    if isinstance(found, str):
        logging.warning("--layers: %s is left out: %s.", file, found)
    return found


def _fitted(image: np.ndarray) -> Donor | str:
    meshes = make_finder().meshes(image)
    if not meshes:
        return "no face is found in it"
    points = meshes[0][:, :2]
    distance = eyes_distance(points)
    if distance < _LEAST_EYES:
        return f"its face is too small, {distance:.0f} pixels from eye to eye"
    middle = points[[33, 263]].mean(0)
    reach = distance * np.array(_REACH)
    left, top = np.maximum(np.floor(middle - reach[:2]), 0).astype(int)
    right, bottom = np.ceil(middle + reach[2:]).astype(int)
    part = Image.fromarray(image[top:bottom, left:right])
    scale = _EYES / distance
    size = [max(round(n * scale), 1) for n in part.size]
    image = np.asarray(part.resize(size, Image.Resampling.LANCZOS))
    points = (points - (left, top) + 0.5) * (np.array(size) / part.size) - 0.5
    fitted = FaceEditor(image, points).fitted
    mask = person_mask(image, fitted.points)
    surface = RelightingSurface.of(image, fitted, mask)
    if surface is None:
        return "the person does not stand out from the background"
    if surface.one_sided > _ONE_SIDED:
        return "its light comes from one side"

    def large(values: np.ndarray) -> np.ndarray:
        """A map of the surface's grid at the picture's size, beyond it as at its border."""
        x0, y0, x1, y1 = surface.box
        rows, columns = values.shape[:2]
        y = (np.arange(size[1]) + 0.5 - y0) * rows / (y1 - y0) - 0.5
        x = (np.arange(size[0]) + 0.5 - x0) * columns / (x1 - x0) - 0.5
        at = np.meshgrid(y, x, indexing="ij")
        planes = np.moveaxis(np.atleast_3d(values), -1, 0).astype(np.float32)
        return np.stack([map_coordinates(p, at, order=1, mode="nearest") for p in planes], -1)

    linear = to_linear(image)
    light = np.where(surface.sure, surface.source, 1.0)
    light = large(gaussian_filter(light, 0.02 * surface.cells))[..., 0].clip(*_LIGHT)
    sure = mask.person > 0.95
    albedo = np.clip(linear / light[..., None], 0.003, 0.95)
    # Pixels of the edge have colours of both sides: each side goes on from where it is sure.
    inside, outside = binary_erosion(sure, iterations=2), mask.person < 0.03
    outside = binary_erosion(outside, iterations=3, border_value=1)
    if inside.sum() < 100:
        return "the person does not stand out from the background"
    bare = (mask.skin * (1 - mask.hair))[..., None]
    albedo = np.concatenate([albedo, bare], -1)
    albedo = np.where(inside[..., None], albedo, continued(albedo, inside))
    albedo, bare = albedo[..., :3], albedo[..., 3:]
    wall = continued(linear, outside) if outside.any() else np.full_like(linear, 0.35)
    wall = np.where(outside[..., None], linear, wall)
    face = large(surface.face)[..., 0] > 0.9
    skin = np.median(albedo[face], 0) if face.any() else np.array([0.45, 0.3, 0.22])
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    up = ((np.stack([x, y], -1) - fitted.points[[33, 263], :2].mean(0)) @ fitted.upright)[..., 1]
    above = smooth_step(_BROWS - 0.05, _BROWS - 0.15, up / fitted.scale)
    maps = [
        albedo,
        large(surface.normals),
        large(surface.points[..., 2]),
        smooth_step(0.1, 0.9, mask.person)[..., None],
        (smooth_step(0.3, 0.9, mask.hair) * above)[..., None],
        bare,
        wall,
    ]
    chin, cheeks = (_median_at(albedo, fitted.points[list(at)]) for at in (_CHIN, _CHEEKS))
    return Donor(
        vertices=fitted.vertices(),
        eyes=fitted.scale,
        maps=np.concatenate(maps, -1, dtype=np.float32),
        skin=skin,
        bearded=bool(luminance(chin) < _BEARDED * luminance(cheeks)),
    )


def _median_at(picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Returns the median colour at points [n, 2] of a picture."""
    x, y = np.round(points.T).astype(int)
    return np.median(
        picture[np.clip(y, 0, len(picture) - 1), np.clip(x, 0, picture.shape[1] - 1)], 0
    )


def donor_samples(donor: Donor, view: View, seen: np.ndarray, skin: np.ndarray) -> DonorSamples:
    """Returns a photograph warped round a person.

    Args:
        donor: The photograph.
        view: The person's view.
        seen: float64 [V, 3], the person without expression, projected into the view.
        skin: float64 [3], linear albedo of the person's face, which the photograph's skin gets.
    """
    places, targets = seen[_controls(), :2], donor.vertices[_controls(), :2]
    spread = donor.eyes
    warp = RBFInterpolator(
        places / view.size, targets / spread, kernel="thin_plate_spline", smoothing=_STIFF
    )
    x, y = view.grid()
    coarse = max(view.samples, 2)
    rows = np.stack([x[::coarse, ::coarse].ravel(), y[::coarse, ::coarse].ravel()], -1)
    shape = x[::coarse, ::coarse].shape
    at = warp(rows / view.size).reshape(*shape, 2) * spread
    fine = [np.arange(n) / coarse for n in x.shape]
    fine = np.meshgrid(*fine, indexing="ij")
    at = [map_coordinates(at[..., axis], fine, order=1, mode="nearest") for axis in (1, 0)]
    steps = np.hypot(*(np.diff(a, axis=1)[len(a) // 2, len(a) // 2] for a in at))
    blur = max(0.45 * (steps - 1), 0)
    planes = [gaussian_filter(plane, blur) for plane in np.moveaxis(donor.maps, -1, 0)]
    planes = [map_coordinates(plane, at, order=1, mode="nearest") for plane in planes]
    maps = np.stack(planes, -1).reshape(-1, donor.maps.shape[-1])
    ratio = skin / np.maximum(donor.skin, 1e-3)
    bare = maps[:, 9:10]
    albedo = maps[:, :3] * (1 - bare + bare * ratio.astype(np.float32))
    normals = maps[:, 3:6] / np.maximum(np.linalg.norm(maps[:, 3:6], axis=-1, keepdims=True), 1e-6)
    face = load_head().vertices_of("face")
    scale = np.ptp(seen[face, 1]) / np.ptp(donor.vertices[face, 1])
    depth = scale * (maps[:, 6] - np.median(donor.vertices[face, 2])) + np.median(seen[face, 2])
    walls = maps[:, 10:].reshape(*x.shape, 3)
    pooled = walls.reshape(view.size, view.samples, view.size, view.samples, 3).mean((1, 3))
    return DonorSamples(
        albedo=np.clip(albedo, 0.003, 0.95),
        normals=normals,
        depth=depth.astype(np.float32),
        person=maps[:, 7],
        fringe=maps[:, 8],
        wall=pooled.astype(np.float32),
    )


@functools.lru_cache(maxsize=1)
def _controls() -> np.ndarray:
    """Vertices of face, sides and skull far from each other, int64 [_CONTROLS]."""
    head = load_head()
    skin = head.vertices_of("face", "side")
    places = head.neutral[skin].astype(np.float64)
    chosen = [int(np.argmax(places[:, 1]))]
    distance = np.full(len(skin), np.inf)
    while len(chosen) < _CONTROLS:
        distance = np.minimum(distance, ((places - places[chosen[-1]]) ** 2).sum(1))
        chosen.append(int(np.argmax(distance)))
    return skin[chosen]
