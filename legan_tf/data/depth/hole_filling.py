"""Hole filling in depth and normal maps: small holes are cracks, large ones are open mouths."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from scipy.interpolate import RBFInterpolator

from legan_tf.head.ray_casting import View

_RING = 2  # Pixels around a hole that it is filled from.
_AROUND = np.ones((3, 3), bool)


class Filled(NamedTuple):
    """A view without its small holes; all holes and those filled as shares of the silhouette."""

    view: View
    hole_share: float
    filled: float


def fill_holes(view: View, largest: float, max_share: float = 1.0) -> Filled:
    """Fills small holes by a thin-plate spline through the pixels around them.

    Holes are empty pixels that are not connected, across the sides of pixels, with the outside.
    Splines of tensorflow-addons' ``interpolate_spline`` give the same values, but take longer.

    Args:
        view: The visible surface of a mesh.
        largest: A hole up to this share of the silhouette is filled.
        max_share: Where all holes are more than this share of the silhouette, none is filled.
    """
    hit = view.hit
    rows, columns = np.nonzero(hit.any(1))[0], np.nonzero(hit.any(0))[0]
    if not len(rows):
        return Filled(view, 0.0, 0.0)
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    # With a margin, through which all that is outside is connected.
    empty = np.pad(~hit[box], 1, constant_values=True)
    labels, _ = ndimage.label(empty)
    sizes = np.bincount(labels[empty])
    sizes[labels[0, 0]] = 0
    silhouette = int(hit.sum() + sizes.sum())
    small = np.nonzero((sizes > 0) & (sizes <= largest * silhouette))[0]
    share = float(sizes.sum() / silhouette)
    if not len(small) or share > max_share:
        return Filled(view, share, 0.0)
    view = dataclasses.replace(view, depth=view.depth.copy(), normals=view.normals.copy())
    depth, normals = view.depth[box], view.normals[box]
    labels = labels[1:-1, 1:-1]
    known = np.isfinite(depth)  # Before any hole is filled, so that their order does not count.
    places = ndimage.find_objects(labels)
    for number in small:
        near = tuple(slice(max(0, s.start - _RING), s.stop + _RING) for s in places[number - 1])
        hole = labels[near] == number
        ring = known[near] & ndimage.binary_dilation(hole, _AROUND, _RING)
        values = np.concatenate([depth[near][ring][:, None], normals[near][ring]], -1)
        spline = RBFInterpolator(np.argwhere(ring), values, kernel="thin_plate_spline")
        found = spline(np.argwhere(hole).astype(float))
        depth[near][hole] = found[:, 0]
        normals[near][hole] = found[:, 1:] / np.linalg.norm(found[:, 1:], axis=-1, keepdims=True)
    return Filled(view, share, float(sizes[small].sum() / silhouette))
