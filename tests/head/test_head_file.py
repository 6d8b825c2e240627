from __future__ import annotations

import dataclasses
import io
import pathlib
import runpy
import zipfile

import numpy as np
import pytest

from legan_tf.errors import UserError
from legan_tf.head import head_file, subdivision

small_cage = runpy.run_path(str(pathlib.Path(__file__).parent / "small_cage.py"))["small_cage"]

STEPS = np.full(5, 0.001)


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "head.npz"
    path.write_bytes(head_file.encode(small_cage(), STEPS))
    return path


def changed(path, **arrays):
    """Writes the file again with some arrays replaced, or left out if None."""
    held = {name: value for name, value in np.load(path).items()}
    held.update(arrays)
    np.savez(path, **{name: value for name, value in held.items() if value is not None})
    return str(path)


def test_a_cage_comes_back_as_it_was_written(written):
    cage, read = small_cage(), head_file.read(str(written))
    for field in dataclasses.fields(cage):
        before, after = getattr(cage, field.name), getattr(read, field.name)
        if isinstance(before, np.ndarray):
            np.testing.assert_allclose(after, before, atol=0.0005, err_msg=field.name)
        else:
            assert after == before, field.name


def test_the_same_cage_is_the_same_file():
    assert head_file.encode(small_cage(), STEPS) == head_file.encode(small_cage(), STEPS)


def test_the_expansion_subdivides_mesh_modes_and_teeth_alike(written):
    cage, head = small_cage(), head_file.load_head(str(written))
    matrix, _ = subdivision.catmull_clark(cage.faces, len(cage.points))
    smile = np.zeros((12, 3))
    smile[5] = [0.1, 0.2, 0.3]
    finer, moved = matrix @ cage.points, matrix @ smile
    # Vertices are sorted by part: compared as sets of places with their motion.
    after = np.concatenate([head.neutral, head.expressions[1]], 1)
    before = np.concatenate([finer, moved], 1)
    order = lambda rows: rows[np.lexsort(np.round(rows, 3).T)]  # noqa: E731
    np.testing.assert_allclose(order(after), order(before), atol=0.001)
    np.testing.assert_allclose(
        head.neutral[head.landmark_vertices], np.tile(finer[4], (68, 1)), atol=1e-6
    )
    assert set(head.lips) == set(head.vertices_of("face"))
    assert head.uv[head.triangle_uv].shape == (32, 3, 2)
    assert 0 <= head.uv.min() and head.uv.max() <= 1


def test_teeth_follow_their_affine_map(written):
    head = head_file.load_head(str(written))
    teeth = head.neutral[head.teeth_vertices]
    down = head.expressions[0][head.teeth_vertices]
    np.testing.assert_allclose(down[:, 1], -0.1 * teeth[:, 1] - 1, atol=1e-5)
    assert not down[:, [0, 2]].any()


def test_a_mesh_that_is_not_subdivided_stays_as_it_is(tmp_path):
    faces = np.array([[1, 2, 5, 5], [6, 7, 8, 9], [0, 1, 4, 3], [9, 8, 10, 11]])
    cage = small_cage(subdivided=False, faces=faces, teeth_sets=np.zeros((1, 6, 3)))
    (tmp_path / "flat.npz").write_bytes(head_file.encode(cage, STEPS))
    head = head_file.load_head(str(tmp_path / "flat.npz"))
    assert len(head.neutral) == 12
    # Three quadrilaterals and a triangle, which repeats its last corner.
    assert len(head.triangles) == 7
    assert (np.sort(head.triangles, 1)[:, 1:] != np.sort(head.triangles, 1)[:, :-1]).all()


def test_a_head_is_read_once(written):
    assert head_file.load_head(str(written)) is head_file.load_head(str(written))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"format": np.int32(9)}, "another version"),
        ({"points": None}, "points is missing"),
        ({"points": np.zeros((12, 2))}, "points is of shape (12, 2) instead of (12, 3)"),
        ({"points": np.full((12, 3), np.nan)}, "points has values that are not finite"),
        ({"faces": np.full((4, 4), 12)}, "faces is not within 0 to 11"),
        ({"faces": np.full((4, 4), -1)}, "faces is not within 0 to 11"),
        ({"faces": np.zeros((4, 4))}, "faces is not of whole numbers"),
        ({"face_part": np.full(4, 12)}, "face_part is not within 0 to 11"),
        ({"face_uv": np.full((4, 4), 4)}, "face_uv is not within 0 to 3"),
        ({"landmarks": np.full(68, 1000)}, "landmarks is not within 0 to 29"),
        (
            {"points": np.zeros((13, 3)), "landmarks": np.full(68, 12), "bind": np.zeros(7, int)},
            "use",
        ),
        ({"landmarks": np.zeros(5, int)}, "landmarks is of shape (5,)"),
        ({"bind": np.full(6, 1)}, "bind is not within 0 to 0"),
        ({"identities": np.int32(6)}, "identities is not within 0 to 5"),
        ({"steps": np.ones(4, np.float32)}, "shape"),
        ({"modes_low": np.zeros((5, 6, 3))}, "modes is not stored in bytes"),
        ({"teeth_high": np.zeros((2, 5, 3), np.int8)}, "shape"),
        ({"mode_names": np.array(["a", "b"])}, "modes is of shape"),
        ({"mode_names": np.array([{}] * 5, object)}, "pickle"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(written, change, told):
    path = changed(written, **change)
    with pytest.raises(UserError) as refused:
        head_file.read(path)
    assert str(refused.value).startswith(f"--head={path}: it is no head as scripts/build_head.py")
    assert told in str(refused.value)


def test_a_file_that_is_absent_or_damaged_is_refused(written, tmp_path):
    with pytest.raises(UserError, match=r"--head=.*gone.npz: it cannot be read \(No such file"):
        head_file.read(str(tmp_path / "gone.npz"))
    content = written.read_bytes()
    for damaged in (b"", b"no archive", content[:-100], content[: len(content) // 2]):
        written.write_bytes(damaged)
        with pytest.raises(UserError, match=r"--head=.*head.npz: it is no head"):
            head_file.read(str(written))


def test_a_file_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "bomb.npz"
    member = io.BytesIO()
    np.save(member, np.zeros(1 << 20, np.uint8))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("format.npy", member.getvalue())
    monkeypatch.setattr(head_file, "_MAX_BYTES", 1 << 19)
    with pytest.raises(UserError, match="more than 0 MB"):
        head_file.read(str(path))
    # An array that claims more than the file holds.
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (1 << 40,)}
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("format.npy", header.getvalue())
    with pytest.raises(UserError, match="it is no head"):
        head_file.read(str(path))
