"""Shading of a surface by a lamp, and what hides the lamp.

Points are those of the picture: x right, y down, z to the viewer, in pixels. Normals and directions
to the light have y up.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from legan_tf.head.ray_casting import Scene

_FLIP = np.array([1.0, -1.0, 1.0])
_LAMP_CLEARANCE = 0.012


@dataclasses.dataclass(frozen=True)
class Material:
    """How a surface answers to a lamp.

    Attributes:
        wrap: How far light reaches round the surface, 0 (Lambert) to 1: its share of light is
            (cos + wrap) / (1 + wrap), for light that enters skin or hair and leaves it elsewhere.
        specular: Strength of the highlight where the lamp is behind the viewer.
        sharpness: Exponent of the highlight.
        grazing: How much stronger the highlight of a lamp at the side is, as Fresnel's law has it.
    """

    wrap: float = 0.1
    specular: float = 0.6
    sharpness: float = 10.0
    grazing: float = 12.0


SKIN = Material()
HAIR = Material(wrap=0.5, specular=0.0)


def lamp_light(normals: np.ndarray, direction: np.ndarray, material: Material) -> np.ndarray:
    """Returns the light of a lamp that nothing hides.

    Args:
        normals: float [..., 3], unit vectors.
        direction: float [3], unit vector to the lamp.
        material: Of the surface.

    Returns:
        float [...], from 0; without a highlight 1 where the surface looks at the lamp.
    """
    facing = normals @ direction
    light = np.clip((facing + material.wrap) / (1 + material.wrap), 0, None)
    if material.specular:
        half = direction + (0, 0, 1)
        length = float(np.linalg.norm(half))
        shine = np.clip(normals @ half / max(length, 1e-6), 0, 1) ** material.sharpness
        strength = material.specular * (1 + material.grazing * (1 - length / 2) ** 2)
        light = light + strength * shine * (facing > 0)
    return light


def lamp_visibility(
    scene: Scene,
    points: np.ndarray,
    normals: np.ndarray,
    direction: np.ndarray,
    scale: float,
    radius: float,
    rays: int = 16,
) -> np.ndarray:
    """Returns the share of a lamp that points of a surface see.

    Args:
        scene: What hides the lamp.
        points: float [n, 3].
        normals: float [n, 3], unit vectors.
        direction: float [3], unit vector to the middle of the lamp.
        scale: The eyes' distance in pixels.
        radius: Of the lamp, as the tangent of its angle: the width of shadows' edges.
        rays: How many points of the lamp are tried.

    Returns:
        float64 [n] in [0, 1].
    """
    start = points + _LAMP_CLEARANCE * scale * _FLIP * normals
    free = np.zeros(len(points))
    for way in _disk(direction, radius, rays):
        free += ~scene.occluded(start, _FLIP * way)
    return free / rays


def _disk(direction: np.ndarray, radius: float, count: int) -> np.ndarray:
    """Returns unit vectors [count, 3] to points spread evenly over a disk seen in a direction."""
    across = np.cross(direction, (0, 1, 0) if abs(direction[1]) < 0.9 else (1, 0, 0))
    across /= np.linalg.norm(across)
    along = np.cross(direction, across)
    index = np.arange(count) + 0.5
    distance = radius * np.sqrt(index / count)
    angle = np.pi * (1 + 5**0.5) * index
    way = (
        direction
        + (distance * np.cos(angle))[:, None] * across
        + (distance * np.sin(angle))[:, None] * along
    )
    return way / np.linalg.norm(way, axis=-1, keepdims=True)
