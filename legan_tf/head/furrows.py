"""Furrows: small heights over a head's skin that expressions raise, so that light shows them.

No photograph lies under a furrow that was not there; its shading is that of a height field of our
own, along lines that anatomy gives, in the place of the mean face.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy.spatial.distance import cdist

from legan_tf.head.fields import blurred, bounds
from legan_tf.head.frame import Frame
from legan_tf.head.morphable_head import MorphableHead
from legan_tf.head.surface import Surface

# The light by which furrows are seen: from above, in front.
_LIGHT = np.array([0.0, 0.55, 0.84])
_AMBIENT = 0.35
_HIDDEN_SKY = 2.5  # Log gain per cm of depth.
_SPACING = 0.05  # cm, of the points that a line is drawn through.
_MARGIN = 4  # Steps, and deviations of the blur, beyond which a height has no slope.


@dataclasses.dataclass(frozen=True)
class Furrow:
    """A furrow.

    Attributes:
        unit: Expression shape that raises it.
        from_weight: Weight of that shape where it begins to show.
        full_weight: Weight where it is as deep as ``depth``.
        line: Points in cm of the neutral head, x to the person's left and y up; the line through
            them, also mirrored to the other side.
        depth: cm.
        width: Deviation of its profile, cm.
        mirrored: Whether the other side has it, too.
    """

    unit: str
    from_weight: float
    full_weight: float
    line: tuple[tuple[float, float], ...]
    depth: float
    width: float
    mirrored: bool = True


FURROWS = (
    # Across the forehead, by raised brows (AU1, AU2).
    Furrow(
        "browInnerUp",
        0.3,
        1.0,
        ((-3.2, 6.7), (-1.6, 6.9), (0, 6.8), (1.6, 6.9), (3.2, 6.7)),
        0.035,
        0.10,
        mirrored=False,
    ),
    Furrow(
        "browInnerUp",
        0.3,
        1.0,
        ((-3.6, 7.7), (-1.8, 7.95), (0, 7.85), (1.8, 7.95), (3.6, 7.7)),
        0.040,
        0.11,
        mirrored=False,
    ),
    Furrow("browOuterUp", 0.4, 1.0, ((2.4, 6.5), (3.4, 6.75), (4.4, 6.6)), 0.025, 0.10),
    # Between the brows, by lowered ones (AU4).
    Furrow("browDown", 0.2, 1.0, ((0.52, 4.4), (0.46, 5.0), (0.58, 5.8)), 0.09, 0.095),
    Furrow(
        "browDown", 0.5, 1.4, ((-0.5, 3.95), (0, 3.85), (0.5, 3.95)), 0.045, 0.09, mirrored=False
    ),
    # Beside and across the nose, by the sneer (AU9).
    Furrow(
        "noseSneer", 0.2, 1.0, ((-0.62, 3.3), (0, 3.15), (0.62, 3.3)), 0.035, 0.09, mirrored=False
    ),
    Furrow("noseSneer", 0.2, 1.0, ((0.55, 2.2), (0.85, 1.75), (1.25, 1.5)), 0.030, 0.09),
    Furrow("noseSneer", 0.2, 1.0, ((1.55, 0.1), (2.15, -0.75), (2.75, -1.9)), 0.055, 0.14),
    # From the nose to the mouth, by the raised upper lip (AU10).
    Furrow("mouthUpperUp", 0.35, 1.0, ((1.55, 0.1), (2.15, -0.75), (2.8, -2.0)), 0.045, 0.15),
    # Under the corners of the mouth, by lowered ones (AU15).
    Furrow("mouthFrown", 0.2, 0.8, ((2.55, -3.2), (2.75, -3.8), (2.65, -4.4)), 0.045, 0.13),
    # Under the lower lip, by the raised chin (AU17).
    Furrow(
        "mouthShrugLower",
        0.15,
        0.7,
        ((-1.2, -4.75), (0, -4.55), (1.2, -4.75)),
        0.05,
        0.15,
        mirrored=False,
    ),
    # Beside the eyes, by screwed up ones (AU6).
    Furrow("cheekSquint", 0.3, 1.0, ((4.25, 3.55), (4.75, 3.65), (5.25, 3.85)), 0.022, 0.06),
    Furrow("cheekSquint", 0.3, 1.0, ((4.2, 3.2), (4.7, 3.1), (5.2, 3.05)), 0.022, 0.06),
    Furrow("cheekSquint", 0.3, 1.0, ((1.5, 2.55), (2.5, 2.2), (3.5, 2.35)), 0.03, 0.10),
)


def furrow_gain(
    head: MorphableHead,
    before: np.ndarray,
    after: np.ndarray,
    seen: Surface,
    valid: np.ndarray,
    frame: Frame,
) -> np.ndarray:
    """Returns the log gain of the furrows that an expression raises or smooths.

    Args:
        head: The head.
        before: float [E], weights of the expression shapes of the photograph.
        after: float [E], those of the target.
        seen: What is seen of the target.
        valid: bool [h, w], where skin is seen.
        frame: The frame.

    Returns:
        float32 [h, w], in the window of what is seen.
    """
    gain = np.zeros(valid.shape, np.float32)
    raised = [
        (furrow, line, change)
        for furrow in FURROWS
        for line, change in _raised(head, furrow, before, after)
    ]
    if not raised:
        return gain
    where = np.flatnonzero(valid)
    place = seen.at(head.neutral[:, :2]).reshape(-1, 2)[where]
    x, y = np.ascontiguousarray(place.T)
    height = np.zeros(valid.shape, np.float32)
    for furrow, line, change in raised:
        (left, low), (right, high) = (
            line.min(0) - 4 * furrow.width,
            line.max(0) + 4 * furrow.width,
        )
        near = np.flatnonzero((x >= left) & (x <= right) & (y >= low) & (y <= high))
        height.reshape(-1)[where[near]] += change * _profile(furrow, line, place[near])
    box = bounds(height, _MARGIN + int(_MARGIN * 0.004 * frame.scale))
    gain[box] = np.where(valid[box], _shading(height[box], frame.scale), 0)
    return gain


def _shading(height: np.ndarray, scale: float) -> np.ndarray:
    """Returns the log gain [h, w] of heights in cm, given the eyes' distance in steps."""
    if min(height.shape) < 2:
        return np.zeros(height.shape)
    smooth = blurred(height, 0.004 * scale)
    # From centimetres to steps.
    field = smooth * (scale / _EYES_DISTANCE)
    down, right = np.gradient(field)
    # A surface of height h has the normal (-dh/dx, -dh/dy, 1), with y up.
    normal = np.stack([-right, down, np.ones_like(field)], -1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    flat = _AMBIENT + _LIGHT[2]
    shading = np.log((_AMBIENT + np.clip(normal @ _LIGHT, 0, None)) / flat)
    # Less of the sky is seen from a valley.
    return shading - _HIDDEN_SKY * np.clip(-smooth, 0, None)


_EYES_DISTANCE = 8.1
"""Of the outer corners, in cm of the head."""


def _share(furrow: Furrow, weight: float) -> float:
    share = (weight - furrow.from_weight) / (furrow.full_weight - furrow.from_weight)
    return float(np.clip(share, 0, 1.3))


def _raised(
    head: MorphableHead, furrow: Furrow, before: np.ndarray, after: np.ndarray
) -> list[tuple[np.ndarray, float]]:
    """Returns a furrow's line on each side, and by which share of its depth it is raised."""
    sides = [name for name in _sides(furrow.unit) if name in head.expression_names]
    changes = []
    for name in sides:
        row = head.expression_index(name)
        changes.append(max(_share(furrow, after[row]) - _share(furrow, before[row]), 0.0))
    line = np.array(furrow.line)
    if not furrow.mirrored:
        raised = [(line, float(np.mean(changes)))]
    else:
        raised = [(line * (sign, 1), change) for sign, change in zip((1, -1), changes)]
    return [(each, change) for each, change in raised if change > 0]


def _sides(unit: str) -> tuple[str, ...]:
    return unit, f"{unit}_L", f"{unit}_R"


def _profile(furrow: Furrow, line: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Returns the height, below 0 in the furrow and above 0 beside it, at places [n, 2]."""
    lengths = np.r_[0, np.cumsum(np.hypot(*np.diff(line, axis=0).T))]
    along = np.arange(0, lengths[-1] + _SPACING, _SPACING)
    dense = np.stack([np.interp(along, lengths, line[:, axis]) for axis in (0, 1)], -1)
    distance = cdist(place, dense)
    nearest = distance.argmin(1)
    away = distance[np.arange(len(place)), nearest] / furrow.width
    end = np.sin(np.pi * np.clip(along[nearest] / lengths[-1], 0.02, 0.98)) ** 0.5
    # A valley with a rim on both sides.
    return furrow.depth * end * (-np.exp(-(away**2) / 2) + 0.3 * np.exp(-((away - 2) ** 2)))
