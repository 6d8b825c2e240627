from __future__ import annotations

import os
import pathlib
import runpy

import numpy as np
import pytest

from legan_tf.data import images
from legan_tf.data.rendered import surface

made = runpy.run_path(str(pathlib.Path(__file__).parent / "mesh_files.py"))
SIZE = made["SIZE"]


@pytest.fixture(scope="session")
def fitted(tmp_path_factory):
    """A manifest of 20 rendered faces with their meshes, in pixels, and their landmarks."""
    folder = tmp_path_factory.mktemp("fitted")
    lines = ["path,mesh,landmarks,identity,expression,split"]
    for folder_name in ("pictures", "meshes"):
        os.mkdir(folder / folder_name)
    for number in range(20):
        expression = ("neutral", "smile", "surprise", "disgust")[number % 4]
        mesh = surface.mesh(number, expression)
        face = surface.geometry([number], [expression], SIZE)
        text = made["obj_text"](made["in_pixels"](mesh.vertices, SIZE), mesh.triangles)
        (folder / f"meshes/{number}.obj").write_text(text)
        albedo = np.round(255 * face.albedo[0]).astype(np.uint8)
        images.save_png(str(folder / f"pictures/{number}.png"), albedo)
        (folder / f"meshes/{number}.pts").write_text(made["pts_text"](face.landmarks[0] - 0.5))
        lines.append(
            f"pictures/{number}.png,meshes/{number}.obj,meshes/{number}.pts,p{number},"
            f"{expression},train"
        )
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder
