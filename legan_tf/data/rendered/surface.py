"""Geometry: one height field per face, with its normals, albedo, mask and landmarks.

Lengths are in face units: half the width of the picture. x points right, y up, z to the viewer;
the middle of the picture is (0, 0). The eye line lies at 40/128 and the mouth at 88/128 of the
height, as in LightCNN's aligned crops.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from legan_tf.data.rendered import expressions as expressions_lib
from legan_tf.data.rendered import people
from legan_tf.data.rendered.expressions import Actions
from legan_tf.data.rendered.people import Traits

EYE_Y = 0.375
MOUTH_Y = -0.375
_SKULL_Y = 0.22  # height at which the face is widest
_VERTEX_Y = 1.5  # top of the skull
_JAW_TRAVEL = 0.19  # how far a fully dropped jaw moves
_LANDMARKS = 68


@dataclasses.dataclass(frozen=True)
class Geometry:
    """Faces before any light falls on them.

    Attributes:
        depth: float32 [N, S, S], face units, larger is nearer; NaN outside the head.
        normals: float32 [N, S, S, 3], unit, the derivative of the depth.
        albedo: float32 [N, S, S, 3], linear RGB in [0, 1].
        mask: bool [N, S, S], head, hair and neck.
        face_mask: bool [N, S, S], the face without hair, ears and neck.
        landmarks: float32 [N, 68, 2], pixels (x, y), in ibug's order; the middle of the first
            pixel is (0.5, 0.5).
        coverage: float32 [N, S, S] in [0, 1], how much of a pixel the head covers.
        gloss: float32 [N, S, S], strength of the highlight.
        openness: float32 [N, S, S] in [0, 1], how much of the room's light gets there.
        background: float32 [N, 3], linear RGB.
        height: float32 [N, S, S], the depth continued beyond the outline, for cast shadows.
    """

    depth: np.ndarray
    normals: np.ndarray
    albedo: np.ndarray
    mask: np.ndarray
    face_mask: np.ndarray
    landmarks: np.ndarray
    coverage: np.ndarray
    gloss: np.ndarray
    openness: np.ndarray
    background: np.ndarray
    height: np.ndarray

    def __len__(self) -> int:
        """Returns the number of faces."""
        return len(self.depth)

    def take(self, rows: np.ndarray) -> Geometry:
        """Returns the faces at ``rows``."""
        return Geometry(*(getattr(self, f.name)[rows] for f in dataclasses.fields(self)))


@dataclasses.dataclass(frozen=True)
class Mesh:
    """A face as triangles.

    Attributes:
        vertices: float32 [V, 3], face units; seen along -z it is the depth map.
        triangles: int32 [T, 3], counter-clockwise from the front.
        colours: uint8 [V, 3], sRGB albedo.
    """

    vertices: np.ndarray
    triangles: np.ndarray
    colours: np.ndarray


# --- small tools ------------------------------------------------------------------------------


def _bump(x: np.ndarray, y: np.ndarray, width: np.ndarray, height: np.ndarray) -> np.ndarray:
    """A Gaussian of height 1 around (0, 0)."""
    return np.exp(-0.5 * (np.square(x / width) + np.square(y / height)))


def _ridge(d: np.ndarray, width: np.ndarray) -> np.ndarray:
    """A Gaussian of height 1 along d = 0."""
    return np.exp(-0.5 * np.square(d / width))


def _power(x: np.ndarray, exponent: np.ndarray | float) -> np.ndarray:
    """Powers of x ≥ 0; several times faster than ``**`` on float32."""
    return np.exp(exponent * np.log(np.maximum(x, 1e-7)))


def _ramp(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below ``low``, 1 above ``high`` (or the other way round), smooth between them."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _inside(distance: np.ndarray, pixel: float, softness: float = 0.0) -> np.ndarray:
    """Share of a pixel that is inside, for a distance that is positive inside."""
    return _ramp(distance / (pixel + softness), -0.7, 0.7)


def _upper(a: np.ndarray, b: np.ndarray, blend: float) -> np.ndarray:
    """The larger of two heights, with a rounded crease."""
    h = np.clip(0.5 + 0.5 * (a - b) / blend, 0, 1)
    return b + (a - b) * h + blend * h * (1 - h)


def _paint(
    albedo: np.ndarray, colour: np.ndarray, share: np.ndarray, tint: np.ndarray | float = 1.0
) -> None:
    """Paints a colour [..., 3], times a tint, over the planes of the albedo [3, ...], in place."""
    for c, plane in enumerate(albedo):
        plane += share * (colour[..., c] * tint - plane)


def _side(x: np.ndarray) -> np.ndarray:
    """-1 left, 1 right, smooth in the middle."""
    return x / np.sqrt(np.square(x) + 0.05**2)


def _visible(frequency: float, pixel: float) -> float:
    """How much of a pattern pixels can resolve; the rest is left out, so that none aliases."""
    return float(np.exp(-0.35 * np.square(frequency * pixel)))


def _waves(q: np.ndarray, r: np.ndarray, waves: np.ndarray, pixel: float) -> np.ndarray:
    """A sum of waves of two coordinates, as far as pixels can resolve them."""
    total = np.zeros(np.broadcast_shapes(q.shape, r.shape), np.float32)
    for k in range(waves.shape[3]):
        fx, fy, phase = waves[..., k, 0], waves[..., k, 1], waves[..., k, 2]
        visible = np.exp(-0.35 * np.square(pixel) * (fx * fx + fy * fy))
        total += visible * np.sin(fx * q + fy * r + phase)
    return total / float(np.sqrt(waves.shape[3]))


# --- the curves of a face, shared by the height field, the paint and the landmarks ------------


def _jaw(a: Actions) -> np.ndarray:
    """How far the jaw has moved down."""
    return _JAW_TRAVEL * a.jaw_drop - 0.02 * a.chin_raise


def _head_width(t: Traits, y: np.ndarray) -> np.ndarray:
    """Half-width of the superellipse at a height (before its own narrowing)."""
    return (
        t.width
        * (1 - (1 - t.jaw) * _ramp(y, 0.1, -0.75))
        * (1 - (1 - t.forehead) * _ramp(y, 0.3, 1.0))
    )


def _eye_lids(
    t: Traits, a: Actions, u: np.ndarray, side: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Heights of the eye's axis, of the upper and of the lower lid at u, -1 inner, 1 outer."""
    axis = EYE_Y + t.skew_eye * side + t.eye_tilt * t.eye_width * u
    lift = np.where(a.lid_raise > 0, 1 + 0.55 * a.lid_raise, 1 + 0.98 * a.lid_raise)
    arc = np.clip(1 - _power(np.abs(u), 2.2), 0, None)
    upper = t.eye_width * 0.44 * t.eye_open * lift * arc * (1 - 0.1 * u)
    lower = t.eye_width * 0.30 * (1 - 0.75 * a.lid_tighten) * arc * (1 + 0.1 * u)
    return axis, axis + upper, axis - lower


def _brow_line(t: Traits, a: Actions, v: np.ndarray, side: np.ndarray) -> np.ndarray:
    """Height of the brow's middle at v, 0 at its inner and 1 at its outer end."""
    arch = t.brow_arch * np.sin(np.pi * _power(np.clip(v, 0, 1), 1.25))
    inner, outer = np.clip(1 - v, 0, 1.2), np.clip(v, 0, 1.2)
    return (
        EYE_Y
        + t.brow_y
        + t.brow_tilt * (v - 0.6)
        + arch
        + (0.115 + 0.010 * np.sign(a.brow_inner)) * a.brow_inner * _power(inner, 1.2)
        + 0.115 * a.brow_outer * outer
        - 0.02 * a.brow_knit * inner
        - 0.03 * a.nose_wrinkle
        + (t.skew_brow + 0.09 * a.brow_side) * side
    )


def _brow_span(t: Traits, a: Actions) -> tuple[np.ndarray, np.ndarray]:
    """|x| of the brow's inner end and the brow's length."""
    return t.eye_x - 0.205 - 0.035 * a.brow_knit, 2 * t.brow_length + 0.02 * a.brow_knit


def _mouth_half(t: Traits, a: Actions) -> np.ndarray:
    """Half-width of the mouth."""
    return t.mouth_width * (1 + 0.27 * a.stretch - 0.10 * a.jaw_drop)


def _lips(
    t: Traits, a: Actions, u: np.ndarray, side: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Heights of the lips at u, -1 to 1 from corner to corner.

    Returns:
        Upper edge of the upper lip, its lower edge, upper edge of the lower lip, its lower edge.
    """
    arc = np.clip(1 - np.square(u), 0, None)
    corner = a.corner_up * (1 - a.corner_side * (0.5 - 0.5 * side))
    line = (
        MOUTH_Y
        + (0.135 * corner + t.lip_curve) * (_power(np.abs(u), 1.7) - 0.35)
        + t.skew_mouth * u
        + 0.03 * a.chin_raise * arc
    )
    gap = 0.25 * a.jaw_drop * np.sqrt(arc)
    raised = 0.065 * a.upper_lip * _power(arc, 0.6) * (1 + 0.25 * np.cos(2 * np.pi * u))
    thin = 1 - 0.62 * a.lip_press
    upper_in = line + 0.16 * gap + raised
    lower_in = line - 0.84 * gap
    bow = (
        1
        - t.lip_bow * np.exp(-np.square(u / 0.17))
        + 0.12 * np.exp(-np.square((np.abs(u) - 0.3) / 0.2))
    )
    upper_out = upper_in + t.lip_upper * thin * _power(arc, 0.85) * bow
    lower_out = lower_in - t.lip_lower * thin * _power(arc, 0.8) * (1 - 0.15 * a.jaw_drop)
    return upper_out, upper_in, lower_in, lower_out


# --- the surface ------------------------------------------------------------------------------


def _yaw_profile(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A smooth stand-in for the head's height: how far a turn of the head moves a point."""
    return 0.85 * np.exp(-0.5 * np.square(x / 0.62)) + 0.2 * _bump(x, y + 0.03, 0.12, 0.2) - 0.72


def _to_face(t: Traits, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Picture coordinates to the coordinates of the upright face seen from the front."""
    x, y = (x - t.shift_x) / t.scale, (y - t.shift_y) / t.scale
    c, s = np.cos(t.roll), np.sin(t.roll)
    x, y = c * x + s * y, c * y - s * x
    return x - np.sin(t.yaw) * _yaw_profile(x, y), y


def _to_picture(t: Traits, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The inverse of ``_to_face``, by fixed-point iteration."""
    turned = x
    for _ in range(12):
        turned = x + np.sin(t.yaw) * _yaw_profile(turned, y)
    c, s = np.cos(t.roll), np.sin(t.roll)
    x, y = c * turned - s * y, c * y + s * turned
    return x * t.scale + t.shift_x, y * t.scale + t.shift_y


def _surface(t: Traits, a: Actions, x: np.ndarray, y: np.ndarray, pixel: float) -> dict:
    """Height, paint and coverage at the points (x, y) of upright faces, float32 [N, S, S]."""
    # The two sides meet without a crease.
    ax, side = np.sqrt(np.square(x) + 0.03**2), _side(x)
    x_f = x * (1 - t.skew_face * side)
    jaw = _jaw(a)
    rest = y + jaw * _ramp(y, MOUTH_Y + 0.08, MOUTH_Y - 0.32 - 0.5 * _JAW_TRAVEL)

    # Skull: a superellipsoid, narrower at the jaw and at the forehead.
    above = np.clip((y - _SKULL_Y) / (_VERTEX_Y - _SKULL_Y), 0, None)
    below = np.clip((_SKULL_Y - rest) / (_SKULL_Y - t.chin_y), 0, None)
    across = np.abs(x_f) / (_head_width(t, rest) * (1 - 0.075 * a.jaw_drop * _ramp(y, 0.2, -0.4)))
    rho = _power(across, t.roundness) + _power(above, 2.6) + _power(below, t.squareness)
    outline = (1 - _power(rho, 1 / 2.3)) * t.width
    head = 0.98 * np.sqrt(np.clip(1 - _power(rho, 1.55), 0.002, None)) - 4 * np.clip(
        -outline, 0, None
    )

    # Soft forms.
    eye_x = ax - t.eye_x
    eye_u = eye_x / t.eye_width
    axis, lid_up, lid_low = _eye_lids(t, a, np.clip(eye_u, -1.25, 1.25), side)
    brow_in, brow_length = _brow_span(t, a)
    brow_v = (ax - brow_in) / brow_length
    brow_y = _brow_line(t, a, brow_v, side)
    half = _mouth_half(t, a)
    mouth_u = x / half
    u = np.clip(mouth_u, -1, 1)
    lip_uo, lip_ui, lip_li, lip_lo = _lips(t, a, u, side)

    socket = _bump(eye_x + 0.02, y - EYE_Y - 0.02, 0.155, 0.11)
    inner_socket = _bump(ax - 0.15, y - EYE_Y - 0.03, 0.05, 0.09)
    head -= t.eye_depth * socket + 0.055 * inner_socket
    head += (t.brow_ridge + 0.02 * a.brow_knit) * _bump(ax - 0.27, y - brow_y + 0.02, 0.2, 0.07)
    head += 0.02 * _bump(ax - 0.3, y - 0.82, 0.22, 0.14)
    lifted = 0.09 * a.cheek_raise
    cheek = _bump(ax - 0.42, y - 0.06 - lifted, 0.17, 0.15 - 0.03 * a.cheek_raise)
    head += (t.cheek + 0.055 * a.cheek_raise) * cheek
    hollow = (t.gaunt + 0.045 * np.clip(a.jaw_drop - 0.3, 0, None)) * _bump(
        ax - 0.47, rest + 0.38, 0.12, 0.2
    )
    head -= hollow
    head += 0.085 * _bump(x, rest - MOUTH_Y - 0.02, 0.26, 0.19)
    chin_at = t.chin_y + 0.17 + 0.02 * a.chin_raise
    head += t.chin * _bump(x, rest - chin_at, 0.17, 0.11)
    head -= t.cleft * _bump(x, rest - chin_at, 0.022, 0.06)
    head -= (0.035 + 0.02 * a.chin_raise) * _bump(x, rest - MOUTH_Y + 0.165, 0.17, 0.045)

    # Nose: a ridge that widens to the tip, wings, and the fall to the upper lip.
    up = 0.028 * a.nose_wrinkle + 0.008 * a.upper_lip
    tip = t.nose_tip_y + up
    along = np.clip((EYE_Y + 0.06 - y) / (EYE_Y + 0.06 - tip), 0, 1.6)
    nx = x - t.skew_nose * np.clip(along, 0, 1)
    nax = np.abs(nx)
    bridge = t.nose_bridge + 0.030 * np.square(np.clip(along, 0, 1))
    base = _ramp(y, tip - 0.125, tip - 0.035)
    start = _ramp(along, -0.02, 0.55)
    ridge = (
        t.nose_height
        * (0.22 + 0.62 * along)
        * start
        * base
        * np.exp(-_power(np.abs(nx / (1.5 * bridge)), 1.8))
    )
    ridge += t.nose_hump * _bump(nx, along - 0.45, 0.06, 0.2)
    ball = 0.085 * _bump(nx, y - tip + 0.005, 0.075, 0.062)
    wide = t.nose_width * (1 + 0.08 * a.stretch.clip(0) + 0.12 * a.nose_wrinkle)
    wing = 0.105 * _bump(nax - wide * 0.74, y - tip + 0.045, 0.046, 0.052)
    head += ridge + ball + wing
    head -= 0.009 * _bump(nx, y - tip + 0.18, 0.028, 0.045)  # philtrum

    # Lips and what is between them.
    arc = np.clip(1 - np.square(mouth_u), 0, None)
    lips_edge = np.minimum(lip_uo - y, y - lip_lo)
    cavity_d = np.minimum(lip_ui - y, y - lip_li)
    upper_mid, lower_mid = 0.5 * (lip_uo + lip_ui), 0.5 * (lip_li + lip_lo)
    upper_lip = _ridge(y - upper_mid, 0.35 * (lip_uo - lip_ui) + 0.016) * np.sqrt(arc)
    lower_lip = _ridge(y - lower_mid, 0.35 * (lip_li - lip_lo) + 0.018) * np.sqrt(arc)
    head += 0.028 * upper_lip + 0.038 * lower_lip
    head -= (
        0.03
        * _ridge(y - 0.5 * (lip_ui + lip_li), 0.014)
        * np.sqrt(arc)
        * (1 - _inside(cavity_d - 0.01, pixel))
    )
    lips = _inside(lips_edge, pixel, 0.012) * _inside(half * (1 - np.abs(mouth_u)), pixel, 0.01)
    gap = lip_ui - lip_li
    cavity = _inside(cavity_d, pixel) * (gap > 0.004) * (np.abs(mouth_u) < 1)
    head -= 0.10 * cavity * np.clip(gap / 0.12, 0, 1)
    head += (
        0.022
        * _bump(np.abs(mouth_u) - 1.12, y - MOUTH_Y - 0.02, 0.1, 0.05)
        * np.clip(a.corner_up, 0, 1)
        * (1 - a.corner_side * (0.5 - 0.5 * side))
    )

    # Folds: beside the nose, between the brows, on the forehead, across the nose.
    fold_depth = 0.010 * t.age + 0.026 * np.clip(a.cheek_raise, 0, 1) + 0.034 * a.upper_lip
    fold_y = np.clip((tip - 0.02 - y) / 0.36, -0.3, 1.3)
    fold_x = wide + 0.02 + (half + 0.07 - wide) * _power(np.clip(fold_y, 0, 1.3), 0.8)
    fold = _ridge(ax - fold_x, 0.022) * _ramp(fold_y, -0.15, 0.15) * _ramp(fold_y, 1.2, 0.7)
    glabella = (
        np.clip(a.brow_knit, 0, 1) * _ridge(ax - 0.045, 0.014) * _ridge(y - EYE_Y - 0.19, 0.065)
    )
    raised = np.clip(0.5 * (a.brow_inner + a.brow_outer), 0, 1) + 0.5 * np.clip(a.brow_inner, 0, 1)
    row = np.cos((y - 0.1 * np.square(x)) * 2 * np.pi / 0.085)
    visible = _visible(42.0, pixel)
    forehead = visible * (raised + 0.25 * t.age) * row * _bump(x, y - 0.78, 0.26, 0.075)
    across_nose = a.nose_wrinkle * _bump(x, y - EYE_Y + 0.04, 0.06, 0.10)
    across_nose = across_nose * np.cos(y * 110) * visible
    bag = t.eye_bag * _bump(eye_x + 0.02, y - EYE_Y + 0.11, 0.10, 0.018)
    head -= fold_depth * fold + 0.022 * glabella + 0.007 * forehead + 0.010 * across_nose
    head -= 0.010 * bag
    dimpled = np.clip(a.chin_raise, 0, 1) * _bump(x, rest - chin_at, 0.10, 0.07)
    head -= 0.006 * dimpled * np.cos(x * 95 + 2 * np.sin(y * 60)) * visible

    # Eyeballs and lids.
    eye_d = np.minimum(lid_up - y, y - lid_low)
    eye = _inside(eye_d, pixel) * (np.abs(eye_u) < 1)
    near_eye = _bump(eye_x, y - axis - 0.01, 0.13, 0.085)
    head += 0.075 * near_eye
    crease_y = lid_up + 0.035 + 0.02 * np.clip(1 - np.square(eye_u), 0, 1)
    lid_span = np.clip(1.1 - np.square(eye_u), 0, 1)
    crease = _ridge(y - crease_y, 0.012) * lid_span
    head -= 0.014 * t.lid_crease * crease
    head -= 0.020 * eye

    # Ears and neck.
    ear_x = ax - (t.width + t.ear_out + 0.01)
    ear_y = y - 0.13 + 0.25 * ear_x
    ear_r = np.sqrt(np.square(ear_x / (0.10 * t.ear_size)) + np.square(ear_y / (0.27 * t.ear_size)))
    ear_outline = (1 - ear_r) * 0.10
    ear = -0.18 + 0.14 * np.sqrt(np.clip(1 - np.square(ear_r), 0.002, None))
    ear -= 0.07 * _bump(ear_r, 0.0, 0.45, 1.0) + 4 * np.clip(-ear_outline, 0, None)
    neck_w = t.neck * (1 + 0.30 * _ramp(y, -0.75, -1.25))
    neck_outline = (1 - ax / neck_w) * t.neck
    neck = -0.45 + 0.52 * np.sqrt(np.clip(1 - np.square(x / neck_w), 0.002, None))
    neck += 0.012 * _bump(ax - 0.2 - 0.2 * (y + 1), y + 1, 0.07, 0.4)
    neck -= 4 * np.clip(-neck_outline, 0, None) + 6 * np.clip(y + 0.3, 0, None)
    skin_z = _upper(_upper(head, ear, 0.02), neck, 0.02)

    # Hair: a shell on the skull around an opening for the face, and volume behind it.
    wave = t.hair_wave * np.sin(17 * y + 9 * ax + t.hair_waves[..., 0, 2])
    sweep = np.clip(1 - np.abs(x - t.hair_part) / 0.5, 0, 1)
    top_y = t.hairline + t.hairline_peak * np.cos(np.clip(ax / 0.45, 0, 1) * np.pi)
    top_y = top_y - t.fringe * (1 - np.square(sweep)) - _SKULL_Y
    open_w = t.hair_opening * (1 + 0.05 * _ramp(y, 0.1, -0.6))
    opening = _power(
        _power(ax / open_w, t.hairline_square)
        + _power(np.clip((y - _SKULL_Y) / top_y, 0, None), t.hairline_square),
        1 / t.hairline_square,
    )
    front_d = np.minimum((opening - 1) * 0.6 + 1.2 * wave, 0.6 * (y - t.hair_end) + 0.8 * wave)
    hair_w = (t.width + t.hair_side) * (1 + 0.06 * _ramp(y, 0.2, -0.8) * (t.hair_end < -0.3))
    hair_top = np.clip((y - _SKULL_Y) / (_VERTEX_Y + t.hair_top - _SKULL_Y), 0, None)
    hair_rho = _power(ax / hair_w, 2.4) + _power(hair_top, 2.3)
    back_outline = np.minimum((1 - _power(hair_rho, 1 / 2.4)) * hair_w, y - t.hair_end) + wave
    back = -0.30 + 0.62 * np.sqrt(np.clip(1 - hair_rho, 0.002, None))
    back -= 4 * np.clip(-back_outline, 0, None)
    # Hair that falls beside the neck leaves the throat free.
    back -= 0.8 * _ramp(0.62 - ax, 0.06, 0.24) * _ramp(y, -0.1, -0.4)
    has_hair = np.clip(t.hair_density * 8, 0, 1)
    front = _inside(front_d, pixel, 0.035) * has_hair
    shell = head + t.hair_thick * _ramp(front_d, 0.0, 0.12)
    hair_z = _upper(shell, back, 0.05) - 9 * (1 - has_hair)
    behind = _inside(back - skin_z, 0.03) * _inside(back_outline, pixel, 0.02) * has_hair
    on_head = front * np.maximum(_inside(outline, pixel), _inside(back_outline, pixel, 0.02))
    hair = np.maximum(on_head, behind)
    strand_r = np.sqrt(np.square(x - 0.3 * t.hair_part) + np.square(np.clip(y - 0.2, 0, None)))
    strand_q = np.arctan2(x - t.hair_part, np.clip(y, -0.2, None) + 0.6)
    falls = _ramp(t.hair_end, 0.0, -0.4)
    strands = _waves(falls * strand_r + (1 - falls) * 0.9 * strand_q, y, t.hair_waves, pixel)
    z = skin_z + (np.maximum(hair_z, skin_z) - skin_z) * hair + 0.008 * strands * hair

    # Paint.
    mottled = 1 + 0.028 * _waves(x, y, t.skin_waves, pixel)
    albedo = np.stack([t.skin[..., c] * mottled for c in range(3)])
    rosy = (
        t.blush * _bump(ax - 0.42, y + 0.0 - lifted, 0.18, 0.15)
        + 0.35 * (ball / 0.085)
        + (0.25 * a.nose_wrinkle * near_eye)
    )
    _paint(albedo, t.skin * np.float32([1.06, 0.76, 0.74]), 0.55 * np.clip(rosy, 0, 1))
    spots = np.sin(41 * x + 5 * np.sin(23 * y)) * np.sin(43 * y + 5 * np.sin(19 * x))
    spots = _ramp(spots, 0.55, 0.85) * _bump(ax - 0.3, y - 0.08, 0.28, 0.16)
    _paint(albedo, t.skin * np.float32([0.62, 0.48, 0.38]), 0.7 * t.freckles * spots)
    shade = np.float32([0.60, 0.46, 0.40]) * t.skin
    _paint(albedo, shade, 0.30 * t.eye_depth / 0.075 * socket + 0.35 * inner_socket)
    _paint(albedo, shade, np.clip(0.35 * bag, 0, 1))
    lines = 14 * fold_depth * fold + 0.75 * glabella + 0.30 * np.clip(forehead, 0, 1)
    lines = lines + 0.45 * np.clip(across_nose, 0, 1) + 0.30 * dimpled
    _paint(albedo, shade, np.clip(lines, 0, 0.8))
    under_nose = _bump(nax - wide * 0.43, y - tip + 0.104, 0.032, 0.014)
    _paint(albedo, 0.22 * t.skin, np.clip(0.95 * under_nose * (1 + 0.3 * a.nose_wrinkle), 0, 0.95))
    wing_line = _ridge(nax - wide * 1.02, 0.016) * _ridge(y - tip + 0.05, 0.05)
    _paint(albedo, shade, 0.6 * wing_line)

    # Stubble, beard, moustache.
    cheek_line = np.maximum(MOUTH_Y - 0.05 + 1.5 * _power(np.clip(ax - 0.26, 0, None), 1.6), -0.9)
    beard_d = np.minimum(cheek_line - rest, rest - t.chin_y - 0.02)
    off_lips = _ramp(np.maximum(lip_lo - y, 1.3 * (ax - half)), 0.0, 0.05)
    beard = _inside(beard_d, pixel, 0.10) * off_lips
    tache_arc = _power(np.clip(1 - np.square(mouth_u / 1.25), 0, 1), 0.6)
    tache_top = lip_uo + (tip - 0.135 - lip_uo) * tache_arc
    tache = _inside(y - lip_uo - 0.002, pixel, 0.02) * _inside(tache_top - y, pixel, 0.035)
    tache = tache * _inside(1.2 * half - ax, pixel, 0.06)
    droop = _inside(0.05 - np.abs(ax - half - 0.05), pixel, 0.05)
    droop = droop * _inside(tip - 0.2 - y, pixel, 0.1)
    beard = np.maximum(beard, droop * _inside(y - MOUTH_Y + 0.2, pixel, 0.1) * (t.beard > 0))
    hairs = _visible(150.0, pixel) * np.sin(120 * x + 9 * np.sin(31 * y))
    hairs = 1 + 0.25 * hairs * np.sin(90 * y + 7 * np.sin(40 * x))
    grown = np.clip(np.maximum(t.beard * beard, t.moustache * tache) * hairs, 0, 0.97)
    z = z + 0.022 * grown * (1 - hair)
    shaved = np.maximum(beard, tache) * t.stubble * 0.55
    _paint(albedo, 0.45 * t.skin + 0.25 * t.brow, shaved)
    _paint(albedo, t.brow, grown)

    # Lips, teeth, tongue.
    _paint(albedo, t.lip, 0.85 * lips)
    seam = _ridge(y - 0.5 * (lip_ui + lip_li), 0.010 + 0.35 * pixel) * _inside(
        half * (1.04 - np.abs(mouth_u)), pixel, 0.02
    )
    _paint(albedo, 0.22 * t.lip, 0.8 * seam * (gap < 0.03 + 0.0 * x))
    _paint(albedo, np.float32([0.035, 0.010, 0.010]), cavity)
    depth_in = np.clip(gap, 1e-3, None)
    tongue = _bump(x, y - lip_li - 0.02, 0.62 * half, 0.30 * depth_in) * _ramp(gap, 0.10, 0.2)
    _paint(albedo, np.float32([0.36, 0.09, 0.09]), 0.8 * tongue * cavity)
    teeth_u = _inside(y - (lip_ui - a.teeth_upper * gap), pixel, 0.008) * (a.teeth_upper > 0.02)
    teeth_l = _inside((lip_li + a.teeth_lower * gap) - y, pixel, 0.008) * (a.teeth_lower > 0.02)
    teeth = np.maximum(teeth_u, teeth_l) * cavity * _ramp(1 - np.abs(mouth_u), 0.03, 0.25)
    between = 1 - 0.35 * visible * _ramp(np.abs(np.sin(x * np.pi / 0.075)), 0.22, 0.0)
    _paint(albedo, np.float32([0.74, 0.69, 0.60]), 0.95 * teeth * between)

    # Eyes: white, iris, pupil, lash line, crease.
    white = 1 - 0.25 * _power(np.abs(eye_u), 3)
    _paint(albedo, np.float32([0.56, 0.53, 0.50]), eye, white)
    iris_r = np.sqrt(np.square(eye_x - 0.004 * side) + np.square(y - axis - 0.010))
    iris = _inside(t.iris - iris_r, pixel) * eye
    rim = 1 - 0.6 * _ramp(iris_r / t.iris, 0.72, 1.0)
    _paint(albedo, t.eye, iris, rim)
    _paint(albedo, np.float32([0.008, 0.007, 0.007]), _inside(0.43 * t.iris - iris_r, pixel) * eye)
    _paint(albedo, 0.25 * t.skin, 0.55 * eye * _ramp(lid_up - y, 0.035, 0.0))
    span = _inside(t.eye_width * (1.06 - np.abs(eye_u)), pixel, 0.01)
    lash = _ridge(y - lid_up - 0.004, 0.011 + 0.3 * pixel) * span
    lower_lash = _ridge(y - lid_low + 0.002, 0.008 + 0.3 * pixel) * span
    _paint(albedo, np.float32([0.02, 0.015, 0.012]), (0.35 + 0.55 * t.lashes) * lash)
    _paint(albedo, 0.25 * t.skin, 0.38 * lower_lash)
    _paint(albedo, shade, 0.5 * t.lid_crease * crease * (1 - eye))

    # Brows.
    taper = np.clip(brow_v, 0, 1)
    thick = t.brow_thick * (0.75 + 0.6 * taper) * (1 - 0.75 * _power(taper, 2.2))
    brow_d = thick - np.abs(y - brow_y)
    brow = _inside(brow_d, pixel, 0.016) * _ramp(brow_v, -0.04, 0.10) * _ramp(brow_v, 1.02, 0.9)
    bristles = _visible(230.0, pixel) * np.sin(190 * ax + 130 * y)
    bristles = 1 + 0.3 * bristles * np.sin(57 * ax)
    _paint(albedo, t.brow, np.clip(t.brow_density * brow * bristles, 0, 0.97))
    z = z + 0.008 * brow

    # Hair over everything.
    _paint(albedo, shade, 0.45 * _ramp(front_d, -0.10, 0.02) * has_hair * (1 - hair) * (y > -0.7))
    parting = _ridge(x - t.hair_part - 0.05 * y, 0.02) * falls
    sheen = (1 - 0.6 * parting) * np.clip(1 + 0.42 * strands, 0.25, 2.0)
    _paint(albedo, t.hair, hair * np.clip(t.hair_density, 0, 1), sheen)
    skin_cover = np.maximum(
        np.maximum(_inside(outline, pixel), _inside(ear_outline, pixel)),
        (_inside(neck_outline, pixel) * _ramp(y, -0.2, -0.35)),
    )
    back_cover = _inside(back_outline, pixel, 0.02) * has_hair
    coverage = np.maximum(skin_cover, back_cover)
    gloss = 0.10 * t.gloss * (1 - hair) * (1 - 0.7 * grown) * (1 - 0.5 * brow)
    gloss = (
        gloss
        + 0.16 * lips * (1 - cavity)
        + 0.10 * hair * np.square(np.clip(0.5 + 0.6 * strands, 0, 1.5))
    )
    gloss = gloss * (1 - eye) + 0.06 * eye - 0.05 * cavity
    face = (outline > 0) & (hair < 0.5) & (head > neck) & (head > ear)
    # Light that cannot get in: mouth, nostrils, eye corners, under the chin, behind the hair.
    shut = 0.45 * cavity + 0.35 * inner_socket + 0.30 * _ramp(head - neck, 0.1, -0.1)
    shut = shut + 0.40 * _ramp(-outline, 0.28, 0.0) * _ramp(-outline, 0, 0.02) * (y < -0.3)
    shut = shut + 0.65 * back_cover * _ridge(skin_z - back, 0.07) * (1 - front)
    shut = shut - 0.35 * teeth
    shut = shut + 0.35 * (behind - front * behind).clip(0, 1)
    return {
        "z": z,
        "albedo": np.moveaxis(np.clip(albedo, 0.002, 0.95), 0, -1),
        "coverage": coverage,
        "gloss": np.clip(gloss, 0, 1),
        "openness": np.clip(1 - shut, 0.25, 1),
        "face": face,
    }


def _landmarks(t: Traits, a: Actions) -> tuple[np.ndarray, np.ndarray]:
    """The 68 points of ibug's scheme on upright faces; x and y, float32 [N, 1, 68]."""
    n = len(t.width)

    def row(values: Sequence[float]) -> np.ndarray:
        return np.asarray(values, np.float32)[None, None, :]

    xs, ys = [], []

    def add(x: np.ndarray, y: np.ndarray) -> None:
        shape = (n, 1, np.broadcast_shapes(x.shape, y.shape)[2])
        xs.append(np.broadcast_to(x, shape))
        ys.append(np.broadcast_to(y, shape))

    # Jaw: the outline of the superellipse, from the left ear round the chin to the right ear.
    angle = np.linspace(0, np.pi, 17)
    down = _power(row(np.sin(angle)), 2 / t.squareness)
    rest = _SKULL_Y - down * (_SKULL_Y - t.chin_y)
    wide = _power(row(np.abs(np.cos(angle))), 2 / t.roundness) * _head_width(t, rest)
    add(
        row(-np.sign(np.cos(angle))) * wide,
        rest - _jaw(a) * _ramp(rest, MOUTH_Y + 0.08, MOUTH_Y - 0.25),
    )
    start, length = _brow_span(t, a)
    v = row(np.linspace(0.98, 0.02, 5))
    add(-(start + v * length), _brow_line(t, a, v, row([-1.0])))
    v = row(np.linspace(0.02, 0.98, 5))
    add(start + v * length, _brow_line(t, a, v, row([1.0])))
    tip = t.nose_tip_y + 0.028 * a.nose_wrinkle + 0.008 * a.upper_lip
    share = row(np.linspace(0, 1, 4))
    add(t.skew_nose * share, EYE_Y - 0.02 + share * (tip - EYE_Y + 0.02))
    nostril = row([-0.74, -0.37, 0.0, 0.37, 0.74])
    add(t.skew_nose + t.nose_width * nostril, tip - 0.12 + 0.03 * np.abs(nostril))
    around_eye = np.asarray([1, 0.4, -0.4, -1, -0.4, 0.4])
    for side, u in ((-1.0, row(around_eye)), (1.0, row(around_eye[[3, 2, 1, 0, 5, 4]]))):
        axis, upper, lower = _eye_lids(t, a, u, row([side]))
        lid = row([0, 1, 1, 0, -1, -1])
        lid_y = np.where(lid > 0, upper, np.where(lid, lower, axis))
        add(side * (t.eye_x + t.eye_width * u), lid_y)
    half = _mouth_half(t, a)

    def lip(order: Sequence[float], edge: int) -> None:
        u = row(order)
        add(half * u, _lips(t, a, u, _side(half * u))[edge])

    lip((-1, -0.6, -0.25, 0, 0.25, 0.6, 1), 0)
    lip((0.6, 0.25, 0, -0.25, -0.6), 3)
    lip((-0.9, -0.3, 0, 0.3, 0.9), 1)
    lip((0.3, 0, -0.3), 2)
    return np.concatenate(xs, axis=2), np.concatenate(ys, axis=2)


def _grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Picture coordinates of the middles of the pixels, float32 [1, S, S]."""
    at = (np.arange(size, dtype=np.float32) + 0.5) * (2 / size) - 1
    x, y = np.meshgrid(at, -at)
    return x[None], y[None]


def geometry(persons: Sequence[int], expressions: Sequence[str], size: int) -> Geometry:
    """Builds the faces of N people under N expressions.

    Args:
        persons: N whole numbers, the people.
        expressions: N names of expressions.
        size: Height and width of the pictures, in pixels.

    Raises:
        ValueError: An expression has no rendered form.
    """
    t = people.describe(persons)
    a = expressions_lib.actions(persons, expressions)
    n, pixel = len(t.width), np.float32(2 / size)
    px, py = _grid(size)
    x, y = _to_face(t, px, py)
    surface = _surface(t, a, x.astype(np.float32), y.astype(np.float32), float(pixel))
    # A turned head comes nearer on one side; lengths scale with the picture.
    height = ((surface["z"] - np.tan(t.yaw) * x) * t.scale).astype(np.float32)
    normals = normals_of(height, float(pixel))
    mask = surface["coverage"] > 0.5
    lx, ly = _to_picture(t, *_landmarks(t, a))
    landmarks = np.stack([(lx[:, 0] + 1) * size / 2, (1 - ly[:, 0]) * size / 2], axis=-1)
    return Geometry(
        depth=np.where(mask, height, np.float32(np.nan)),
        normals=normals,
        albedo=surface["albedo"].astype(np.float32),
        mask=mask,
        face_mask=surface["face"],
        landmarks=landmarks.astype(np.float32).reshape(n, _LANDMARKS, 2),
        coverage=surface["coverage"].astype(np.float32),
        gloss=surface["gloss"].astype(np.float32),
        openness=surface["openness"].astype(np.float32),
        background=t.background[:, 0, 0].astype(np.float32),
        height=height,
    )


def normals_of(depth: np.ndarray, pixel: float) -> np.ndarray:
    """Unit normals of height fields.

    Args:
        depth: float32 [N, S, S], larger is nearer.
        pixel: Distance of two pixels in the unit of the depth.

    Returns:
        float32 [N, S, S, 3]; x right, y up, z to the viewer.
    """
    dy, dx = np.gradient(depth, pixel, axis=(1, 2))
    normals = np.stack([-dx, dy, np.ones_like(dx)], axis=-1)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    return normals.astype(np.float32)


def mesh(person: int, expression: str, resolution: int) -> Mesh:
    """Builds one face as triangles.

    Args:
        person: The person's number.
        expression: Name of the expression.
        resolution: Points along each side of the grid that is laid over the picture; the mesh
            keeps those on the head. At ``resolution == size`` they are the depth map's pixels.

    Raises:
        ValueError: The expression has no rendered form.
    """
    face = geometry([person], [expression], resolution)
    mask = face.mask[0]
    x, y = (np.broadcast_to(axis[0], mask.shape) for axis in _grid(resolution))
    number = np.cumsum(mask).reshape(mask.shape) - 1
    full = mask[:-1, :-1] & mask[1:, :-1] & mask[:-1, 1:] & mask[1:, 1:]
    corners = number[:-1, :-1], number[:-1, 1:], number[1:, :-1], number[1:, 1:]
    a, b, c, d = (corner[full] for corner in corners)
    triangles = np.concatenate([np.stack([a, c, b], -1), np.stack([b, c, d], -1)])
    light = face.albedo[0][mask]
    srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return Mesh(
        vertices=np.stack([x[mask], y[mask], face.depth[0][mask]], axis=-1).astype(np.float32),
        triangles=triangles.astype(np.int32),
        colours=np.round(255 * srgb).astype(np.uint8),
    )
