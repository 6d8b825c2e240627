from __future__ import annotations

import numpy as np
import pytest

from legan_tf.errors import UserError
from legan_tf.head import head_file, ict_facekit

VERTICES, POLYGONS = 26719, 26384
FACE_POLYGONS = 6560


def write_obj(path, vertices, polygons=(), uv=()):
    lines = [f"v {x:.4f} {y:.4f} {z:.4f}" for x, y, z in vertices]
    lines += [f"vt {u:.4f} {v:.4f}" for u, v in uv]
    lines += ["f " + " ".join(f"{corner + 1}/1" for corner in polygon) for polygon in polygons]
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clone of the repository with a mesh of the same counts, and three shapes."""
    folder = tmp_path_factory.mktemp("clone") / "FaceXModel"
    folder.mkdir()
    rng = np.random.default_rng(0)
    neutral = rng.normal(size=(VERTICES, 3))
    # Neighbours in number are neighbours: a chain that holds every landmark.
    polygons = [[k, k + 1, k + 2, k + 3] for k in range(FACE_POLYGONS)]
    rest = np.linspace(FACE_POLYGONS, VERTICES - 3, POLYGONS - FACE_POLYGONS).astype(int)
    polygons += [[k, k + 1, k + 2] for k in rest]
    write_obj(folder / "generic_neutral_mesh.obj", neutral, polygons, [(2.5, 0.5), (0, 0)])
    write_obj(folder / "identity000.obj", neutral + [1, 0, 0])
    write_obj(folder / "jawOpen.obj", neutral + [0, -1, 0])
    write_obj(folder / "mouthSmile_L.obj", neutral + [0, 1, 0])
    (folder / "vertex_indices.json").write_text("{}")
    return folder.parent


def test_a_clone_is_read_as_a_head(clone):
    seen = []
    head = ict_facekit.read(str(clone), lambda *done: seen.append(done)).expand()
    assert head.name == "ict"
    assert head.expression_names == ("jawOpen", "mouthSmile_L")
    assert seen == [(1, 3), (2, 3), (3, 3)]
    np.testing.assert_allclose(
        head.identity, np.tile([1, 0, 0], (1, len(head.neutral), 1)), atol=2e-4
    )
    np.testing.assert_allclose(head.expressions[0].mean(0), [0, -1, 0], atol=1e-4)
    # Every quadrilateral is two triangles, a triangle one.
    assert len(head.triangles) == 2 * FACE_POLYGONS + POLYGONS - FACE_POLYGONS
    assert len(head.triangles_of("face")) == 2 * FACE_POLYGONS
    assert set(head.vertex_part[head.landmark_vertices]) == {0}
    np.testing.assert_array_equal(head.landmark_vertices, ict_facekit.LANDMARKS)
    for part in ("upper_teeth", "lower_teeth", "left_eye", "right_eye", "mouth_socket"):
        assert len(head.triangles_of(part)) > 100


def test_the_folder_of_the_meshes_is_the_same_head(clone):
    head = head_file.load_head(str(clone))
    other = head_file.load_head(str(clone / "FaceXModel"))
    np.testing.assert_array_equal(head.neutral, other.neutral)
    assert head_file.load_head(str(clone)) is head


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        (
            "generic_neutral_mesh.obj",
            None,
            "it has no generic_neutral_mesh.obj. Name the folder of",
        ),
        ("generic_neutral_mesh.obj", "v 0 0 0\n", "1 vertices instead of 26719"),
        ("generic_neutral_mesh.obj", "polygons", "0 polygons instead of 26384"),
        ("generic_neutral_mesh.obj", "corners", "a corner that is not among its points"),
        ("generic_neutral_mesh.obj", "broken", "the outline of its lips is broken"),
        ("identity000.obj", None, "no modes of identity, or no expressions"),
        ("jawOpen.obj", "v 0 0 zero\n", "its vertices are no points"),
        ("jawOpen.obj", "v 0 0\nv 0 0\n", "its vertices are no points"),
        ("jawOpen.obj", b"\xff\xfe\x00", "it cannot be read as an OBJ file"),
        ("jawOpen.obj", "nan", "vertices that are not finite"),
    ],
)
def test_a_folder_that_does_not_fit_is_refused(clone, tmp_path, name, content, told):
    for path in (clone / "FaceXModel").iterdir():
        if path.name != name:
            (tmp_path / path.name).symlink_to(path)
    text = (clone / "FaceXModel" / name).read_text()
    polygon = "f 1/1 2/1 3/1 4/1"
    # The face falls apart between two landmarks of the lips.
    gap = {f"f {k}/1 {k + 1}/1 {k + 2}/1 {k + 3}/1" for k in range(2995, 3005)}
    changed = {
        "polygons": "\n".join(line for line in text.splitlines() if line[:2] != "f "),
        "corners": text.replace(polygon, "f 1/1 2/1 3/1 99999/1", 1),
        "broken": "\n".join(polygon if line in gap else line for line in text.splitlines()),
        "nan": "v 0 0 nan\n" * VERTICES,
    }
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    elif content is not None:
        (tmp_path / name).write_text(changed.get(content, content))
    with pytest.raises(UserError) as refused:
        ict_facekit.read(str(tmp_path))
    assert told in str(refused.value)
