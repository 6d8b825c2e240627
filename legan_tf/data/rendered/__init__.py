"""Rendered faces: people who do not exist, whose depth, parts and true edits are all known."""

from legan_tf.data.rendered.dataset import rated_faces, rendered_faces
from legan_tf.data.rendered.shading import render, shade
from legan_tf.data.rendered.surface import Geometry, Mesh, geometry, mesh

FACES = "2"
"""Version of the faces: others are drawn than with another one."""

__all__ = [
    "FACES",
    "Geometry",
    "Mesh",
    "geometry",
    "mesh",
    "rated_faces",
    "render",
    "rendered_faces",
    "shade",
]
