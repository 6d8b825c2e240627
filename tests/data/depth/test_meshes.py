from __future__ import annotations

import pathlib
import runpy

import numpy as np
import pytest

from legan_tf.data import storage
from legan_tf.data.depth.meshes import MeshError, read_mesh

made = runpy.run_path(str(pathlib.Path(__file__).parent / "mesh_files.py"))
mat_bytes, obj_text = made["mat_bytes"], made["obj_text"]

# A square, a point above its middle; the fifth side is the square itself.
VERTICES = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0.5, 0.5, 1]], np.float64)
SIDES = [(0, 1, 4), (1, 2, 4), (2, 3, 4), (3, 0, 4)]

QUAD_OBJ = """# a quad and four triangles, uv seams, normals, two materials, two groups
mtllib absent.mtl
v 0 0 0
v 1 0 0
v 1 1 0 0.5 0.5 0.5
v 0 1 0
v 0.5 0.5 1
vt 0 0
vt 1 0
vt 1 1
vn 0 0 1
g base
usemtl skin
f 1/1/1 2/2/1 3/3/1 4/2/1
g sides
usemtl eyes
f 1/2/1 2/1/1 5/3/1
f 2/3 3/1 5/2
f 3//1 4//1 5//1
f -2 -5 -1
"""

PLY = """ply
format ascii 1.0
element vertex 5
property float x
property float y
property float z
element face 5
property list uchar int vertex_indices
end_header
0 0 0
1 0 0
1 1 0
0 1 0
0.5 0.5 1
4 0 1 2 3
3 0 1 4
3 1 2 4
3 2 3 4
3 3 0 4
"""


def area(mesh) -> float:
    a, b, c = np.moveaxis(mesh.vertices[mesh.triangles], 1, 0)
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=-1).sum() / 2)


def check(mesh) -> None:
    np.testing.assert_array_equal(mesh.vertices, VERTICES)
    assert mesh.triangles.shape == (6, 3)
    sides = {tuple(sorted(triangle)) for triangle in mesh.triangles.tolist()}
    assert sides >= {tuple(sorted(side)) for side in SIDES}
    assert area(mesh) == pytest.approx(1 + 4 * 0.5 * np.sqrt(1.25))


def saved(folder, name: str, content: bytes | str) -> str:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(folder / name)


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_obj_keeps_its_vertices_whatever_hangs_on_them(tmp_path, ending):
    check(read_mesh(saved(tmp_path, "a.OBJ", QUAD_OBJ.replace("\n", ending))))


def test_a_line_of_an_obj_may_go_on_in_the_next(tmp_path):
    check(read_mesh(saved(tmp_path, "a.obj", QUAD_OBJ.replace("3/3/1 4", "3/3/1 \\\n 4"))))


@pytest.mark.parametrize(
    "changed",
    [
        lambda text: text.replace("\n", "\r"),
        lambda text: "\ufeff" + text[text.index("v 0 0 0") :],
        lambda text: text.replace("v 1 0 0", "  v 1 0 0").replace("f 3//1", " \tf 3//1"),
        lambda text: text.replace(" ", "\t"),
        lambda text: text.replace("v 0 0 0", "v  0 0 0 # the first").replace("-1\n", "-1 # up\n"),
    ],
    ids=["CR", "BOM before a vertex", "indent", "tabs", "remarks"],
)
def test_obj_may_be_written_otherwise(tmp_path, changed):
    check(read_mesh(saved(tmp_path, "a.obj", changed(QUAD_OBJ))))


def test_negative_corners_count_from_the_vertices_above(tmp_path):
    lines = [f"v {x} {y} {z}" for x, y, z in VERTICES]
    last = ["f -5 -4 -1", "f -4 -3 -1", "f -3 -2 -1", "f -2 -5 -1"]
    text = "\n".join([*lines[:4], "f -4 -3 -2 -1", lines[4], *last])
    check(read_mesh(saved(tmp_path, "a.obj", text)))
    with pytest.raises(MeshError, match="not there"):
        read_mesh(saved(tmp_path, "a.obj", text.replace("f -4 -3 -2 -1", "f -5 -3 -2 -1")))


def test_colours_of_some_vertices_do_not_shift_the_others(tmp_path):
    text = obj_text(VERTICES, [*SIDES, (0, 1, 2), (0, 2, 3)]).splitlines()
    check(read_mesh(saved(tmp_path, "a.obj", "\n".join([text[0] + " 1 1 1", *text[1:]]))))


def test_ply_with_a_quad(tmp_path):
    check(read_mesh(saved(tmp_path, "a.ply", PLY)))


def test_vertices_at_one_place_stay_apart(tmp_path):
    doubled = np.concatenate([VERTICES, VERTICES[:1]])
    for name, content in (
        ("a.obj", obj_text(doubled, [*SIDES, (5, 1, 2)])),
        ("a.ply", PLY.replace("vertex 5", "vertex 6").replace("1\n4 0 1", "1\n0 0 0\n4 5 1")),
    ):
        mesh = read_mesh(saved(tmp_path, name, content))
        np.testing.assert_array_equal(mesh.vertices, doubled)
        assert 5 in mesh.triangles


@pytest.mark.parametrize("kind", [np.uint16, np.float64])
def test_mat_with_triangles_within_or_beside(tmp_path, kind):
    triangles = np.array([*SIDES, (0, 1, 2), (0, 2, 3)]).T + 1
    vertex = VERTICES.T.astype(np.float32)
    content = mat_bytes(vertex=vertex, tri=triangles.astype(kind))
    check(read_mesh(saved(tmp_path, "own.mat", content)))
    saved(tmp_path, "tri.mat", mat_bytes(tri=triangles.astype(kind)))
    check(read_mesh(saved(tmp_path, "shared.mat", mat_bytes(vertex=vertex))))


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.obj", "", "has no triangles"),
        ("a.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\n", "has no triangles"),
        ("a.obj", "v 0 0 0\nv 1 0 0\nf 1 2 3\n", "cut short|cannot be read as OBJ"),
        ("a.obj", "v 0 0 0\nv 1 zero 0\nv 0 1 0\nf 1 2 3\n", "cannot be read as OBJ|cut short"),
        ("a.obj", "v 0 0 0\nv 1 nan 0\nv 0 1 0\nf 1 2 3\n", "no numbers|cannot be read as OBJ"),
        ("a.obj", "v 0 0\nv 1 0\nv 0 1\nf 1 2 3\n", "without three coordinates"),
        ("a.obj", "v 0 0 0\nv 1 0\nv 0 1 0 1\nf 1 2 3\n", "without three coordinates"),
        ("a.obj", "v 0 0 -1.#IND\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "cannot be read as OBJ"),
        ("a.obj", b"\x00\xff\x12" * 99, "has no triangles"),
        ("a.ply", PLY[:-30], "cannot be read as PLY|cut short"),
        ("a.ply", PLY[: -len("3 3 0 4\n")], "fewer faces than its header says"),
        ("a.ply", b"ply\nnonsense", "cannot be read as PLY|has no triangles"),
        ("a.mat", b"MATLAB 5.0 MAT-file" + bytes(200), "cannot be read as MAT|no variable"),
        ("a.mat", mat_bytes(vertex=VERTICES, tri=VERTICES.T), "its 'vertex' is not 3 x N"),
        ("a.mat", mat_bytes(tri=VERTICES.T), "has no variable 'vertex', 3 x V; it has tri"),
        (
            "a.mat",
            mat_bytes(vertex=VERTICES.T, tri=np.array(SIDES).T),
            "its 'tri' has numbers below 1",
        ),
        (
            "a.mat",
            mat_bytes(vertex=VERTICES.T, faces=np.array(SIDES).T),
            r"no variable 'tri', 3 x T, but faces, vertex, and beside it is no tri\.mat",
        ),
        ("a.stl", b"solid", "is named like no mesh; known are .mat, .obj, .ply"),
    ],
)
def test_a_broken_mesh_is_named(tmp_path, name, content, told):
    path = saved(tmp_path, name, content)
    with pytest.raises(MeshError, match=told) as raised:
        read_mesh(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert "\n" not in str(raised.value)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(storage.StorageError, match=r"a\.obj: no such file"):
        read_mesh(str(tmp_path / "a.obj"))
    saved(tmp_path, "tri.mat", mat_bytes(triangles=VERTICES.T))
    alone = saved(tmp_path, "alone.mat", mat_bytes(vertex=VERTICES.T))
    with pytest.raises(
        MeshError, match=r"tri\.mat: has no variable 'tri', 3 x T; it has triangles"
    ):
        read_mesh(alone)
