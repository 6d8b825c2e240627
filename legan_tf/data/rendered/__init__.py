"""Rendered faces: a parametric 3D face whose pictures, depth and true edits are all known."""

from legan_tf.data.rendered.dataset import rated_faces, rendered_faces
from legan_tf.data.rendered.shading import render, shade
from legan_tf.data.rendered.surface import Geometry, Mesh, geometry, mesh

__all__ = [
    "Geometry",
    "Mesh",
    "geometry",
    "mesh",
    "rated_faces",
    "render",
    "rendered_faces",
    "shade",
]
