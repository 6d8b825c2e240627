"""Height field of a face: the heights of its parts and their union."""

from __future__ import annotations

import dataclasses

import numpy as np

from legan_tf.data.rendered import shaping
from legan_tf.data.rendered.contours import MOUTH_Y
from legan_tf.data.rendered.face_parts import FaceParts

# Beyond its outline a part falls away steeply, so that whatever is behind it comes forward.
_FALL = 4.0


@dataclasses.dataclass(frozen=True)
class HeightField:
    """Heights, float32 [N, S, S], face units, and the hair that results from them.

    Attributes:
        z: The visible surface.
        skin: Head, ears and neck without hair.
        head: The head alone.
        ear: The ears alone.
        neck: The neck alone.
        hair_volume: The hair behind the face.
        behind: Mask of the hair that is nearer than the skin, beside the face.
        hair: Mask of all hair on the head.
    """

    z: np.ndarray
    skin: np.ndarray
    head: np.ndarray
    ear: np.ndarray
    neck: np.ndarray
    hair_volume: np.ndarray
    behind: np.ndarray
    hair: np.ndarray


def _dome(rest: np.ndarray) -> np.ndarray:
    """Returns the height of a dome whose square is ``rest``; flat where none is left."""
    return np.sqrt(np.clip(rest, 0.002, None))


def _skull(f: FaceParts) -> np.ndarray:
    """A superellipsoid, flat in front."""
    dome = 0.98 * _dome(1 - shaping.power(f.skull_rho, 1.55))
    return dome - _FALL * np.clip(-f.skull_edge, 0, None)


def _soft_forms(f: FaceParts) -> np.ndarray:
    """Sockets, brow ridge, forehead, cheeks, the mound of the mouth, the chin."""
    t, a = f.t, f.a
    ridge = shaping.gaussian(f.ax - 0.27, f.y - f.brow_y + 0.02, 0.2, 0.07)
    cheek_high = 0.15 - 0.03 * a.cheek_raise
    cheek = shaping.gaussian(f.ax - 0.42, f.y - 0.06 - f.cheek_lift, 0.17, cheek_high)
    hollow = t.gaunt + 0.045 * np.clip(a.jaw_drop - 0.3, 0, None)
    from_chin = f.rest - f.chin_y
    return (
        (t.brow_ridge + 0.02 * a.brow_knit) * ridge
        - t.eye_depth * f.socket
        - 0.055 * f.inner_socket
        + 0.02 * shaping.gaussian(f.ax - 0.3, f.y - 0.82, 0.22, 0.14)
        + (t.cheek + 0.055 * a.cheek_raise) * cheek
        - hollow * shaping.gaussian(f.ax - 0.47, f.rest + 0.38, 0.12, 0.2)
        + 0.085 * shaping.gaussian(f.x, f.rest - MOUTH_Y - 0.02, 0.26, 0.19)
        + t.chin * shaping.gaussian(f.x, from_chin, 0.17, 0.11)
        - t.cleft * shaping.gaussian(f.x, from_chin, 0.022, 0.06)
        - (0.035 + 0.02 * a.chin_raise)
        * shaping.gaussian(f.x, f.rest - MOUTH_Y + 0.165, 0.17, 0.045)
    )


def _nose(f: FaceParts) -> np.ndarray:
    """A ridge that widens to the tip, ball, wings, and the groove below."""
    t, tip, along = f.t, f.nose_tip, f.nose_along
    bridge = t.nose_bridge + 0.030 * np.square(np.clip(along, 0, 1))
    rise = shaping.smoothstep(along, -0.02, 0.55) * shaping.smoothstep(
        f.y, tip - 0.125, tip - 0.035
    )
    profile = t.nose_height * (0.22 + 0.62 * along) * rise
    wing_x = np.abs(f.nose_x) - f.nose_wide * 0.74
    return (
        profile * np.exp(-shaping.power(np.abs(f.nose_x / (1.5 * bridge)), 1.8))
        + t.nose_hump * shaping.gaussian(f.nose_x, along - 0.45, 0.06, 0.2)
        + 0.085 * f.nose_ball
        + 0.105 * shaping.gaussian(wing_x, f.y - tip + 0.045, 0.046, 0.052)
        - 0.009 * shaping.gaussian(f.nose_x, f.y - tip + 0.18, 0.028, 0.045)
    )


def _mouth(f: FaceParts) -> np.ndarray:
    """Lips, the line between them or the open mouth, and the pads beside raised corners."""
    a, (top, upper, lower, bottom) = f.a, f.lip_edges
    arc = np.sqrt(f.mouth_arc)
    upper_lip = shaping.ridge(f.y - 0.5 * (top + upper), 0.35 * (top - upper) + 0.016)
    lower_lip = shaping.ridge(f.y - 0.5 * (lower + bottom), 0.35 * (lower - bottom) + 0.018)
    closed = 1 - shaping.antialias(f.gap_edge - 0.01, f.pixel)
    pad = shaping.gaussian(np.abs(f.mouth_u) - 1.12, f.y - MOUTH_Y - 0.02, 0.1, 0.05)
    pulled = np.clip(a.corner_up, 0, 1) * (1 - a.corner_side * (0.5 - 0.5 * f.side))
    return (
        (0.028 * upper_lip + 0.038 * lower_lip) * arc
        - 0.03 * shaping.ridge(f.gap_middle, 0.014) * arc * closed
        - 0.10 * f.cavity * np.clip(f.gap / 0.12, 0, 1)
        + 0.022 * pad * pulled
    )


def _folds(f: FaceParts) -> np.ndarray:
    """Every fold of the skin."""
    dimples = f.dimpled_chin * np.cos(f.x * 95 + 2 * np.sin(f.y * 60)) * f.fine
    return -(
        f.nasolabial_depth * f.nasolabial
        + 0.022 * f.frown
        + 0.007 * f.forehead_lines
        + 0.010 * f.nose_lines
        + 0.010 * f.eye_bag
        + 0.006 * dimples
    )


def _eyes(f: FaceParts) -> np.ndarray:
    """Eyeballs under their lids."""
    return 0.075 * f.around_eye - 0.014 * f.t.lid_crease * f.lid_crease - 0.020 * f.eye


def _ears(f: FaceParts) -> np.ndarray:
    """Shallow bowls beside the head."""
    bowl = 0.14 * _dome(1 - np.square(f.ear_r)) - 0.07 * shaping.gaussian(f.ear_r, 0.0, 0.45, 1.0)
    return bowl - 0.18 - _FALL * 0.10 * np.clip(f.ear_r - 1, 0, None)


def _neck(f: FaceParts) -> np.ndarray:
    """A cylinder below and behind the chin."""
    across = f.ax / f.neck_width
    tendon = shaping.gaussian(f.ax - 0.2 - 0.2 * (f.y + 1), f.y + 1, 0.07, 0.4)
    return (
        0.52 * _dome(1 - np.square(f.x / f.neck_width))
        - 0.45
        + 0.012 * tendon
        - _FALL * f.t.neck * np.clip(across - 1, 0, None)
        - 6 * np.clip(f.y + 0.3, 0, None)
    )


def _hair_volume(f: FaceParts) -> np.ndarray:
    """The hair behind the face; beside the neck it leaves the throat free."""
    throat = shaping.smoothstep(0.62 - f.ax, 0.06, 0.24) * shaping.smoothstep(f.y, -0.1, -0.4)
    dome = 0.62 * _dome(1 - f.hair_rho) - 0.30
    return dome - _FALL * np.clip(-f.hair_back_edge, 0, None) - 0.8 * throat


def height_field(f: FaceParts) -> HeightField:
    """Returns the union of the heights of all parts."""
    head = _skull(f) + _soft_forms(f) + _nose(f) + _mouth(f) + _folds(f) + _eyes(f)
    ear, neck, volume = _ears(f), _neck(f), _hair_volume(f)
    skin = shaping.smooth_max(shaping.smooth_max(head, ear, 0.02), neck, 0.02)
    shell = head + f.t.hair_thick * shaping.smoothstep(f.hair_front_edge, 0.0, 0.12)
    hair_z = shaping.smooth_max(shell, volume, 0.05)
    behind = shaping.antialias(volume - skin, 0.03) * f.hair_back
    outline = np.maximum(shaping.antialias(f.skull_edge, f.pixel), f.hair_back)
    hair = np.maximum(f.hair_front * outline, behind)
    z = skin + np.clip(hair_z - skin, 0, None) * hair + 0.008 * f.strands * hair
    z = z + 0.022 * f.grown * (1 - hair) + 0.008 * f.brow
    return HeightField(z, skin, head, ear, neck, volume, behind, hair)
