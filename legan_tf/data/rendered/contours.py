"""Contours of a face as functions of identity and expression, and the 68 landmarks on them.

Height field, material and landmarks all follow these contours. Lengths are in face units, half the
width of the picture; the eye line lies at 40/128 and the mouth at 88/128 of the height, as in
LightCNN's aligned crops.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from legan_tf.data.rendered import shaping
from legan_tf.data.rendered.expressions import Actions
from legan_tf.data.rendered.identity import IdentityParameters

EYE_Y = 0.375
MOUTH_Y = -0.375
SKULL_Y = 0.22
"""Height at which the face is widest."""

VERTEX_Y = 1.5
"""Top of the skull."""

JAW_TRAVEL = 0.19
"""How far a fully dropped jaw moves."""


def jaw(a: Actions) -> np.ndarray:
    """Returns the downward displacement of the jaw."""
    return JAW_TRAVEL * a.jaw_drop - 0.02 * a.chin_raise


def head_width(t: IdentityParameters, y: np.ndarray) -> np.ndarray:
    """Returns the half-width of the skull's superellipse at a height, before it narrows itself."""
    return (
        t.width
        * (1 - (1 - t.jaw) * shaping.smoothstep(y, 0.1, -0.75))
        * (1 - (1 - t.forehead) * shaping.smoothstep(y, 0.3, 1.0))
    )


def eye_lids(
    t: IdentityParameters, a: Actions, u: np.ndarray, side: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the heights of the eye's axis, upper and lower lid at u, -1 inner to 1 outer."""
    axis = EYE_Y + t.skew_eye * side + t.eye_tilt * t.eye_width * u
    lift = np.where(a.lid_raise > 0, 1 + 0.55 * a.lid_raise, 1 + 0.98 * a.lid_raise)
    arc = np.clip(1 - shaping.power(np.abs(u), 2.2), 0, None)
    upper = t.eye_width * 0.44 * t.eye_open * lift * arc * (1 - 0.1 * u)
    lower = t.eye_width * 0.30 * (1 - 0.75 * a.lid_tighten) * arc * (1 + 0.1 * u)
    return axis, axis + upper, axis - lower


def brow_line(t: IdentityParameters, a: Actions, v: np.ndarray, side: np.ndarray) -> np.ndarray:
    """Returns the height of the brow's middle at v, 0 at its inner and 1 at its outer end."""
    arch = t.brow_arch * np.sin(np.pi * shaping.power(np.clip(v, 0, 1), 1.25))
    inner, outer = np.clip(1 - v, 0, 1.2), np.clip(v, 0, 1.2)
    return (
        EYE_Y
        + t.brow_y
        + t.brow_tilt * (v - 0.6)
        + arch
        + (0.115 + 0.010 * np.sign(a.brow_inner)) * a.brow_inner * shaping.power(inner, 1.2)
        + 0.115 * a.brow_outer * outer
        - 0.02 * a.brow_knit * inner
        - 0.03 * a.nose_wrinkle
        + (t.skew_brow + 0.09 * a.brow_side) * side
    )


def brow_span(t: IdentityParameters, a: Actions) -> tuple[np.ndarray, np.ndarray]:
    """Returns |x| of the brow's inner end and the brow's length."""
    return t.eye_x - 0.205 - 0.035 * a.brow_knit, 2 * t.brow_length + 0.02 * a.brow_knit


def mouth_half(t: IdentityParameters, a: Actions) -> np.ndarray:
    """Returns the half-width of the mouth."""
    return t.mouth_width * (1 + 0.27 * a.stretch - 0.10 * a.jaw_drop)


def lip_edges(
    t: IdentityParameters, a: Actions, u: np.ndarray, side: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns the heights of the lips at u, -1 to 1 from corner to corner.

    Returns:
        Upper edge of the upper lip, its lower edge, upper edge of the lower lip, its lower edge.
    """
    arc = np.clip(1 - np.square(u), 0, None)
    corner = a.corner_up * (1 - a.corner_side * (0.5 - 0.5 * side))
    line = (
        MOUTH_Y
        + (0.135 * corner + t.lip_curve) * (shaping.power(np.abs(u), 1.7) - 0.35)
        + t.skew_mouth * u
        + 0.03 * a.chin_raise * arc
    )
    gap = 0.25 * a.jaw_drop * np.sqrt(arc)
    raised = 0.065 * a.upper_lip * shaping.power(arc, 0.6) * (1 + 0.25 * np.cos(2 * np.pi * u))
    thin = 1 - 0.62 * a.lip_press
    upper_in = line + 0.16 * gap + raised
    lower_in = line - 0.84 * gap
    bow = (
        1
        - t.lip_bow * np.exp(-np.square(u / 0.17))
        + 0.12 * np.exp(-np.square((np.abs(u) - 0.3) / 0.2))
    )
    upper_out = upper_in + t.lip_upper * thin * shaping.power(arc, 0.85) * bow
    lower_out = lower_in - t.lip_lower * thin * shaping.power(arc, 0.8) * (1 - 0.15 * a.jaw_drop)
    return upper_out, upper_in, lower_in, lower_out


def landmarks(t: IdentityParameters, a: Actions) -> tuple[np.ndarray, np.ndarray]:
    """Returns the 68 iBUG landmarks of upright faces: x and y, float32 [N, 1, 68]."""
    n = len(t.width)

    def row(values: Sequence[float] | np.ndarray) -> np.ndarray:
        return np.asarray(values, np.float32)[None, None, :]

    xs, ys = [], []

    def add(x: np.ndarray, y: np.ndarray) -> None:
        shape = (n, 1, np.broadcast_shapes(x.shape, y.shape)[2])
        xs.append(np.broadcast_to(x, shape))
        ys.append(np.broadcast_to(y, shape))

    # Jaw: the outline of the superellipse, from the left ear round the chin to the right ear.
    angle = np.linspace(0, np.pi, 17)
    down = shaping.power(row(np.sin(angle)), 2 / t.squareness)
    rest = SKULL_Y - down * (SKULL_Y - t.chin_y)
    wide = shaping.power(row(np.abs(np.cos(angle))), 2 / t.roundness) * head_width(t, rest)
    add(
        row(-np.sign(np.cos(angle))) * wide,
        rest - jaw(a) * shaping.smoothstep(rest, MOUTH_Y + 0.08, MOUTH_Y - 0.25),
    )
    start, length = brow_span(t, a)
    v = row(np.linspace(0.98, 0.02, 5))
    add(-(start + v * length), brow_line(t, a, v, row([-1.0])))
    v = row(np.linspace(0.02, 0.98, 5))
    add(start + v * length, brow_line(t, a, v, row([1.0])))
    tip = t.nose_tip_y + 0.028 * a.nose_wrinkle + 0.008 * a.upper_lip
    share = row(np.linspace(0, 1, 4))
    add(t.skew_nose * share, EYE_Y - 0.02 + share * (tip - EYE_Y + 0.02))
    nostril = row([-0.74, -0.37, 0.0, 0.37, 0.74])
    add(t.skew_nose + t.nose_width * nostril, tip - 0.12 + 0.03 * np.abs(nostril))
    around_eye = np.asarray([1, 0.4, -0.4, -1, -0.4, 0.4])
    for side, u in ((-1.0, row(around_eye)), (1.0, row(around_eye[[3, 2, 1, 0, 5, 4]]))):
        axis, upper, lower = eye_lids(t, a, u, row([side]))
        lid = row([0, 1, 1, 0, -1, -1])
        lid_y = np.where(lid > 0, upper, np.where(lid, lower, axis))
        add(side * (t.eye_x + t.eye_width * u), lid_y)
    half = mouth_half(t, a)

    def lip(order: Sequence[float], edge: int) -> None:
        u = row(order)
        add(half * u, lip_edges(t, a, u, shaping.smooth_sign(half * u))[edge])

    lip((-1, -0.6, -0.25, 0, 0.25, 0.6, 1), 0)
    lip((0.6, 0.25, 0, -0.25, -0.6), 3)
    lip((-0.9, -0.3, 0, 0.3, 0.9), 1)
    lip((0.3, 0, -0.3), 2)
    return np.concatenate(xs, axis=2), np.concatenate(ys, axis=2)
