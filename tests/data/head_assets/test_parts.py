"""Reading of MakeHuman's files, rings, deformation, modes of identity."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from legan_tf.data.head_assets import anatomy, deformation, identity, makehuman, units
from legan_tf.errors import UserError

SIDE = 13


def sheet():
    """A flat grid of quadrilaterals."""
    y, x = np.mgrid[:SIDE, :SIDE]
    points = np.stack([x.ravel(), y.ravel(), np.zeros(SIDE**2)], 1).astype(float)
    corner = (y * SIDE + x)[:-1, :-1].ravel()
    return points, np.stack([corner, corner + 1, corner + SIDE + 1, corner + SIDE], 1)


def tube(rings, columns):
    row, column = np.mgrid[: rings - 1, :columns]
    after = (column + 1) % columns
    corners = [row * columns + column, row * columns + after]
    corners += [(row + 1) * columns + after, (row + 1) * columns + column]
    return np.stack(corners, -1).reshape(-1, 4)


def test_rings_go_straight_on_until_they_close():
    found = anatomy.rings(tube(5, 8), ((8, 9), (16, 17), (24, 25)))
    np.testing.assert_array_equal(found, np.arange(8, 32).reshape(3, 8))
    backwards = anatomy.rings(tube(5, 8), ((9, 8),))
    np.testing.assert_array_equal(backwards[0], [9, 8, 15, 14, 13, 12, 11, 10])


@pytest.mark.parametrize("starts", [((0, 1),), ((8, 16),), ((8, 30),), ((500, 501),)])
def test_edges_that_start_no_ring_are_refused(starts):
    with pytest.raises(UserError, match="its base mesh is not the one"):
        anatomy.rings(tube(5, 8), starts)


def test_a_deformation_is_smooth_and_stays_within_its_region():
    points, faces = sheet()
    middle = SIDE**2 // 2
    free = np.abs(points[:, :2] - 6).max(1) < 5
    moves = deformation.spread(faces, points, np.array([middle]), np.array([[0, 0, 1.0]]), free)
    assert not moves[~free].any()
    assert not moves[:, :2].any()
    height = moves[:, 2].reshape(SIDE, SIDE)
    assert height[6, 6] == 1
    np.testing.assert_allclose(height, height.T, atol=1e-9)
    np.testing.assert_allclose(height, height[::-1], atol=1e-9)
    assert (np.diff(height[6, 1:7]) > 0).all()
    assert height[6, 5] > 0.75  # No spike.


def test_a_surface_without_handles_stays_where_it_is():
    points, faces = sheet()
    both = np.concatenate([points, points + [0, 0, 3]])
    faces = np.concatenate([faces, faces + SIDE**2])
    moved = deformation.spread(
        faces, both, np.array([84]), np.array([[1.0, 0, 0]]), np.ones(2 * SIDE**2, bool)
    )
    assert not moved[SIDE**2 :].any()
    np.testing.assert_allclose(moved[: SIDE**2, 0], 1, atol=1e-6)


def test_a_laplacian_knows_constants_and_slopes():
    points, faces = sheet()
    smoothness = deformation.laplacian(faces, points)
    np.testing.assert_allclose(smoothness @ np.ones(SIDE**2), 0, atol=1e-12)
    inner = np.abs(points[:, :2] - 6).max(1) < 6
    np.testing.assert_allclose((smoothness @ points)[inner], 0, atol=1e-12)


def test_a_target_is_read_packed_or_not(tmp_path):
    text = "# a comment\n\n1 .5 0 -.25\n3 1 2 3\n"
    (tmp_path / "a.target").write_text(text)
    with gzip.open(tmp_path / "a.target.gz", "wt") as file:
        file.write(text)
    expected = np.zeros((4, 3))
    expected[1], expected[3] = (0.5, 0, -0.25), (1, 2, 3)
    for name in ("a.target", "a.target.gz"):
        read = makehuman.read_target(str(tmp_path / name), 4)
        np.testing.assert_array_equal(read, expected)
    (tmp_path / "b.target").write_text("# nothing moves\n")
    assert not makehuman.read_target(str(tmp_path / "b.target"), 4).any()


def test_names_of_face_units_get_the_endings_of_halves():
    names = ["mouthSmileLeft", "browDownRight", "jawLeft", "mouthRight", "jawOpen"]
    assert [units.unit_name(name) for name in names] == [
        "mouthSmile_L",
        "browDown_R",
        "jawLeft",
        "mouthRight",
        "jawOpen",
    ]
    assert units.gain_of("browDown_L") == units.GAINS["browDown"]
    assert units.gain_of("mouthSmile_R") == 1


def test_modes_of_identity_are_what_heads_differ_by():
    rng = np.random.default_rng(0)
    mean = rng.normal(size=(50, 3)) * (3, 4, 2)
    known = rng.normal(size=(2, 50, 3)) * [[[0.3]], [[0.1]]]
    weights = np.ones(50)
    weights[40:] = 0
    # What moves, turns and scales the aligned part is no identity.
    known[:, :40] -= identity_free(mean[:40], known[:, :40])
    amounts = rng.normal(size=(400, 2))
    heads = mean + np.tensordot(amounts, known, 1)
    angle = rng.normal(size=400) * 0.1
    turned = []
    for head, turn in zip(heads, angle):
        rotation = np.array([[np.cos(turn), np.sin(turn), 0], [-np.sin(turn), np.cos(turn), 0]])
        turned.append((1 + turn) * head @ np.r_[rotation, [[0, 0, 1]]].T + 5 * turn)
    seen = []
    _, modes, held = identity.modes_of(
        np.float32(turned), mean, weights, np.ones(50), 2, lambda *done: seen.append(done)
    )
    assert seen[0] == (1, 400) and seen[-1] == (400, 400)
    assert held > 0.95
    for mode, truth in zip(modes, known):
        alike = (mode * truth).sum() / np.linalg.norm(mode) / np.linalg.norm(truth)
        assert abs(alike) > 0.97
        assert np.linalg.norm(mode) == pytest.approx(np.linalg.norm(truth), rel=0.15)


def identity_free(mean, moves):
    """The parts of displacements that a small similarity makes."""
    centred = mean - mean.mean(0)
    x, y, z = centred.T
    zero, one = 0 * x, np.ones(len(x))
    columns = [[one, zero, zero], [zero, one, zero], [zero, zero, one], [x, y, z]]
    columns += [[zero, -z, y], [z, zero, -x], [-y, x, zero]]
    basis = np.stack([np.stack(column, 1).ravel() for column in columns], 1)
    flat = moves.reshape(len(moves), -1).T
    return (basis @ np.linalg.lstsq(basis, flat, rcond=None)[0]).T.reshape(moves.shape)
