"""Meshes of rendered faces, and mesh files; run by ``runpy`` from the tests that need them."""

from __future__ import annotations

import io

import numpy as np
import scipy.io

SIZE = 96


def in_pixels(vertices: np.ndarray, size: int) -> np.ndarray:
    """Takes a rendered face's mesh from face units to pixels of its picture, y down."""
    half = size / 2
    x, y, z = vertices.astype(np.float64).T
    return np.stack([(x + 1) * half - 0.5, (1 - y) * half - 0.5, z * half], -1)


def obj_text(vertices: np.ndarray, polygons) -> str:
    lines = [f"v {x:.5f} {y:.5f} {z:.5f}" for x, y, z in vertices]
    lines += ["f " + " ".join(str(number + 1) for number in polygon) for polygon in polygons]
    return "\n".join(lines) + "\n"


def mat_bytes(**variables: np.ndarray) -> bytes:
    content = io.BytesIO()
    scipy.io.savemat(content, variables)
    return content.getvalue()


def pts_text(points: np.ndarray) -> str:
    rows = "\n".join(f"{x:.3f} {y:.3f}" for x, y in points + 1)
    return f"version: 1\nn_points: 68\n{{\n{rows}\n}}\n"
