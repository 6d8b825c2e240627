"""Material of a face: albedo, gloss, ambient occlusion and coverage."""

from __future__ import annotations

import dataclasses

import numpy as np

from legan_tf.data.rendered import shaping
from legan_tf.data.rendered.face_parts import FaceParts
from legan_tf.data.rendered.height_field import HeightField

_BLUSH = np.array([1.06, 0.76, 0.74], np.float32)  # of the skin's colour
_FRECKLE = np.array([0.62, 0.48, 0.38], np.float32)
_SHADE = np.array([0.60, 0.46, 0.40], np.float32)
_MOUTH = np.array([0.035, 0.010, 0.010], np.float32)
_TONGUE = np.array([0.36, 0.09, 0.09], np.float32)
_TEETH = np.array([0.74, 0.69, 0.60], np.float32)
_EYEWHITE = np.array([0.56, 0.53, 0.50], np.float32)
_BLACK = np.array([0.008, 0.007, 0.007], np.float32)
_LASHES = np.array([0.02, 0.015, 0.012], np.float32)


@dataclasses.dataclass(frozen=True)
class Material:
    """Surface properties of N faces.

    Attributes:
        albedo: float32 [N, S, S, 3], linear RGB.
        gloss: float32 [N, S, S], strength of the highlight.
        openness: float32 [N, S, S], how much of the room's light gets there.
        coverage: float32 [N, S, S], how much of a pixel the head covers.
        face: bool [N, S, S], the face without hair, ears and neck.
    """

    albedo: np.ndarray
    gloss: np.ndarray
    openness: np.ndarray
    coverage: np.ndarray
    face: np.ndarray


def _blend(
    albedo: np.ndarray, colour: np.ndarray, share: np.ndarray, tint: np.ndarray | float = 1.0
) -> None:
    """Blends a colour [..., 3], times a tint, into the planes of the albedo [3, ...], in place."""
    for c, plane in enumerate(albedo):
        plane += share * (colour[..., c] * tint - plane)


def _skin(f: FaceParts) -> np.ndarray:
    """Skin with blush, freckles, shaded hollows and folds; planes [3, N, S, S]."""
    t, x, y = f.t, f.x, f.y
    mottled = 1 + 0.028 * shaping.sine_waves(x, y, t.skin_waves, f.pixel)
    albedo = np.stack([t.skin[..., c] * mottled for c in range(3)])
    rosy = (
        t.blush * shaping.gaussian(f.ax - 0.42, y - f.cheek_lift, 0.18, 0.15)
        + 0.35 * f.nose_ball
        + 0.25 * f.a.nose_wrinkle * f.around_eye
    )
    _blend(albedo, t.skin * _BLUSH, 0.55 * np.clip(rosy, 0, 1))
    spots = np.sin(41 * x + 5 * np.sin(23 * y)) * np.sin(43 * y + 5 * np.sin(19 * x))
    spots = shaping.smoothstep(spots, 0.55, 0.85) * shaping.gaussian(
        f.ax - 0.3, y - 0.08, 0.28, 0.16
    )
    _blend(albedo, t.skin * _FRECKLE, 0.7 * t.freckles * spots)
    shade = t.skin * _SHADE
    _blend(albedo, shade, 0.30 * t.eye_depth / 0.075 * f.socket + 0.35 * f.inner_socket)
    _blend(albedo, shade, np.clip(0.35 * f.eye_bag, 0, 1))
    lines = (
        14 * f.nasolabial_depth * f.nasolabial
        + 0.75 * f.frown
        + 0.30 * np.clip(f.forehead_lines, 0, 1)
        + 0.45 * np.clip(f.nose_lines, 0, 1)
        + 0.30 * f.dimpled_chin
    )
    _blend(albedo, shade, np.clip(lines, 0, 0.8))
    from_middle, from_tip = np.abs(f.nose_x), y - f.nose_tip
    nostrils = shaping.gaussian(from_middle - f.nose_wide * 0.43, from_tip + 0.104, 0.032, 0.014)
    nostrils = 0.95 * nostrils * (1 + 0.3 * f.a.nose_wrinkle)
    _blend(albedo, 0.22 * t.skin, np.clip(nostrils, 0, 0.95))
    wings = shaping.ridge(from_middle - f.nose_wide * 1.02, 0.016)
    _blend(albedo, shade, 0.6 * wings * shaping.ridge(from_tip + 0.05, 0.05))
    shaved = np.maximum(f.beard, f.moustache) * t.stubble * 0.55
    _blend(albedo, 0.45 * t.skin + 0.25 * t.brow, shaved)
    _blend(albedo, t.brow, f.grown)
    return albedo


def _mouth(f: FaceParts, albedo: np.ndarray) -> None:
    """Lips, the line between them, the dark of the open mouth, tongue and teeth."""
    t = f.t
    _blend(albedo, t.lip, 0.85 * f.lips)
    seam = shaping.ridge(f.gap_middle, 0.010 + 0.35 * f.pixel)
    within = f.mouth_half * (1.04 - np.abs(f.mouth_u))
    seam = seam * shaping.antialias(within, f.pixel, 0.02) * (f.gap < 0.03)
    _blend(albedo, 0.22 * t.lip, 0.8 * seam)
    _blend(albedo, _MOUTH, f.cavity)
    high = 0.30 * np.clip(f.gap, 1e-3, None)
    tongue = shaping.gaussian(f.x, f.y - f.lip_edges[2] - 0.02, 0.62 * f.mouth_half, high)
    _blend(albedo, _TONGUE, 0.8 * tongue * shaping.smoothstep(f.gap, 0.10, 0.2) * f.cavity)
    between = shaping.smoothstep(np.abs(np.sin(f.x * np.pi / 0.075)), 0.22, 0.0)
    _blend(albedo, _TEETH, 0.95 * f.teeth * (1 - 0.35 * f.fine * between))


def _eyes(f: FaceParts, albedo: np.ndarray) -> None:
    """White, iris, pupil, lashes, the crease of the lid, brows."""
    t, (axis, upper, lower) = f.t, f.lids
    _blend(albedo, _EYEWHITE, f.eye, 1 - 0.25 * shaping.power(np.abs(f.eye_u), 3))
    r = np.sqrt(np.square(f.eye_x - 0.004 * f.side) + np.square(f.y - axis - 0.010))
    rim = 1 - 0.6 * shaping.smoothstep(r / t.iris, 0.72, 1.0)
    _blend(albedo, t.eye, shaping.antialias(t.iris - r, f.pixel) * f.eye, rim)
    _blend(albedo, _BLACK, shaping.antialias(0.43 * t.iris - r, f.pixel) * f.eye)
    _blend(albedo, 0.25 * t.skin, 0.55 * f.eye * shaping.smoothstep(upper - f.y, 0.035, 0.0))
    span = shaping.antialias(t.eye_width * (1.06 - np.abs(f.eye_u)), f.pixel, 0.01)
    upper_lash = shaping.ridge(f.y - upper - 0.004, 0.011 + 0.3 * f.pixel) * span
    lower_lash = shaping.ridge(f.y - lower + 0.002, 0.008 + 0.3 * f.pixel) * span
    _blend(albedo, _LASHES, (0.35 + 0.55 * t.lashes) * upper_lash)
    _blend(albedo, 0.25 * t.skin, 0.38 * lower_lash)
    _blend(albedo, t.skin * _SHADE, 0.5 * t.lid_crease * f.lid_crease * (1 - f.eye))
    bristles = shaping.band_limit(230.0, f.pixel) * np.sin(190 * f.ax + 130 * f.y)
    bristles = 1 + 0.3 * bristles * np.sin(57 * f.ax)
    _blend(albedo, t.brow, np.clip(t.brow_density * f.brow * bristles, 0, 0.97))


def _hair(f: FaceParts, r: HeightField, albedo: np.ndarray) -> None:
    """Hair, its parting, and its shadow on the skin."""
    t = f.t
    shadow = shaping.smoothstep(f.hair_front_edge, -0.10, 0.02) * f.has_hair * (1 - r.hair)
    _blend(albedo, t.skin * _SHADE, 0.45 * shadow * (f.y > -0.7))
    parting = shaping.ridge(f.x - t.hair_part - 0.05 * f.y, 0.02) * f.falls
    sheen = (1 - 0.6 * parting) * np.clip(1 + 0.42 * f.strands, 0.25, 2.0)
    _blend(albedo, t.hair, r.hair * np.clip(t.hair_density, 0, 1), sheen)


def _gloss(f: FaceParts, r: HeightField) -> np.ndarray:
    """Skin shines a little, lips and hair more, the open mouth not at all."""
    gloss = 0.10 * f.t.gloss * (1 - r.hair) * (1 - 0.7 * f.grown) * (1 - 0.5 * f.brow)
    gloss = gloss + 0.16 * f.lips * (1 - f.cavity)
    gloss = gloss + 0.10 * r.hair * np.square(np.clip(0.5 + 0.6 * f.strands, 0, 1.5))
    return np.clip(gloss * (1 - f.eye) + 0.06 * f.eye - 0.05 * f.cavity, 0, 1)


def _openness(f: FaceParts, r: HeightField) -> np.ndarray:
    """Light hardly gets into the mouth, the eye corners, under the chin, behind the face."""
    below = shaping.smoothstep(-f.skull_edge, 0.28, 0.0) * shaping.smoothstep(
        -f.skull_edge, 0, 0.02
    )
    contact = f.hair_back * shaping.ridge(r.skin - r.hair_volume, 0.07) * (1 - f.hair_front)
    shut = (
        0.45 * f.cavity
        - 0.35 * f.teeth
        + 0.35 * f.inner_socket
        + 0.30 * shaping.smoothstep(r.head - r.neck, 0.1, -0.1)
        + 0.40 * below * (f.y < -0.3)
        + 0.65 * contact
        + 0.35 * r.behind * (1 - f.hair_front)
    )
    return np.clip(1 - shut, 0.25, 1)


def material(f: FaceParts, r: HeightField) -> Material:
    """Returns the material of the faces at every pixel."""
    albedo = _skin(f)
    _mouth(f, albedo)
    _eyes(f, albedo)
    _hair(f, r, albedo)
    neck_edge = (1 - f.ax / f.neck_width) * f.t.neck
    coverage = shaping.antialias(neck_edge, f.pixel) * shaping.smoothstep(f.y, -0.2, -0.35)
    for edge in (f.skull_edge, (1 - f.ear_r) * 0.10):
        coverage = np.maximum(coverage, shaping.antialias(edge, f.pixel))
    return Material(
        albedo=np.moveaxis(np.clip(albedo, 0.002, 0.95), 0, -1),
        gloss=_gloss(f, r),
        openness=_openness(f, r),
        coverage=np.maximum(coverage, f.hair_back),
        face=(f.skull_edge > 0) & (r.hair < 0.5) & (r.head > r.neck) & (r.head > r.ear),
    )
