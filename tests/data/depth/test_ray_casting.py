from __future__ import annotations

import pathlib
import runpy
import time

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from legan_tf.data.depth.hole_filling import fill_holes
from legan_tf.data.depth.quality_gate import bulge, degenerate_share
from legan_tf.data.rendered import surface
from legan_tf.head.mesh import Mesh
from legan_tf.head.ray_casting import View, cast_rays

made = runpy.run_path(str(pathlib.Path(__file__).parent / "mesh_files.py"))
in_pixels = made["in_pixels"]


def angles(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.degrees(np.arccos(np.clip(np.sum(one * other, -1), -1, 1)))


@pytest.mark.parametrize(("person", "expression"), [(0, "neutral"), (5, "smile"), (9, "surprise")])
@pytest.mark.parametrize("size", [128, 96])
def test_maps_of_a_rendered_face_are_the_renderer_s_own(person, expression, size):
    face = surface.geometry([person], [expression], size)
    made = surface.mesh(person, expression)
    mesh = Mesh(in_pixels(made.vertices, size), made.triangles.astype(np.int64))
    view = cast_rays(mesh, size, size)
    inside = face.face_mask[0] & view.hit
    assert inside.sum() > 0.98 * face.face_mask[0].sum()
    assert not (view.hit & ~face.mask[0]).sum() > 0.01 * view.hit.sum()
    depth = view.depth[inside] / (size / 2)
    error = np.abs(depth - face.depth[0][inside]) / np.ptp(face.depth[0][face.face_mask[0]])
    assert np.median(error) < 0.005
    assert np.median(angles(view.normals, face.normals[0])[inside]) < 2
    np.testing.assert_allclose(np.linalg.norm(view.normals[view.hit], axis=-1), 1)
    # Rays through shared edges and corners, as all are at the renderer's resolution, miss nothing.
    assert fill_holes(view, 1.0).hole_share == 0


def plane(z: float, low: float, high: float, first: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A square across the line of sight, its corners counter-clockwise for the viewer."""
    corners = [(low, high, z), (high, high, z), (high, low, z), (low, low, z)]
    return np.array(corners, np.float64), np.array([(0, 1, 2), (0, 2, 3)]) + first


def joined(*planes) -> Mesh:
    return Mesh(np.concatenate([p for p, _ in planes]), np.concatenate([t for _, t in planes]))


def test_the_nearest_of_several_surfaces_counts():
    view = cast_rays(joined(plane(3, 1.5, 8.5), plane(7, 3.5, 5.5, 4), plane(1, -4, 20, 8)), 10, 10)
    assert view.depth[4, 4] == 7
    assert view.depth[2, 2] == 3
    assert view.depth[0, 0] == 1
    assert view.depth[9, 9] == 1
    assert np.bincount(np.round(view.depth).astype(int).ravel()).tolist() == [
        0,
        100 - 49,
        0,
        45,
        0,
        0,
        0,
        4,
    ]
    np.testing.assert_allclose(view.normals, np.broadcast_to((0.0, 0.0, 1.0), (10, 10, 3)))


def test_a_back_is_seen_as_a_front_and_depth_is_exact_at_any_distance():
    corners, triangles = plane(0, 1.5, 8.5)
    corners[:, 2] = 1e5 + corners[:, 0]  # Nearer to the right.
    for order in (triangles, triangles[:, ::-1]):
        view = cast_rays(Mesh(corners, order), 10, 10)
        assert view.hit.sum() == 49
        np.testing.assert_allclose(view.depth[5, 2:9], 1e5 + np.arange(2, 9), rtol=0, atol=1e-9)
        expected = np.array((-1.0, 0.0, 1.0)) / np.sqrt(2)
        np.testing.assert_allclose(view.normals[5, 5], expected, atol=1e-12)


def test_normals_do_not_break_where_vertices_are_doubled():
    # A roof whose two sides have corners of their own along the ridge.
    y = np.array([0.0, 10.0, 10.0, 0.0])
    sides = [np.stack([x, y, z], -1) for x, z in (((0, 0, 5, 5), (0, 0, 5, 5)),)]
    sides += [np.stack([(5, 5, 10, 10), y, (5, 5, 0, 0)], -1).astype(np.float64)]
    order = np.array([(0, 1, 2), (0, 2, 3)])
    mesh = Mesh(np.concatenate(sides).astype(np.float64), np.concatenate([order, order + 4]))
    view = cast_rays(mesh, 11, 11)
    np.testing.assert_allclose(view.normals[5, 5], (0, 0, 1), atol=1e-12)
    assert view.normals[5, 3, 0] < -0.1 < 0.1 < view.normals[5, 7, 0]


def test_what_is_not_in_the_picture_is_not_there():
    assert not cast_rays(joined(plane(1, 20, 30)), 10, 12).hit.any()
    view = cast_rays(joined(plane(1, 6.5, 30)), 10, 12)
    assert view.hit.shape == (10, 12)
    np.testing.assert_array_equal(view.hit, np.mgrid[:10, :12].min(0) > 6)


def test_triangles_without_area_are_counted():
    corners, triangles = plane(1, 0, 8)
    assert degenerate_share(Mesh(corners, triangles)) == 0
    more = np.concatenate([triangles, [(0, 0, 1), (1, 2, 1)]])
    assert degenerate_share(Mesh(corners, more)) == 0.5


def test_small_holes_are_filled_and_mouths_and_background_are_not():
    y, x = np.mgrid[:80, :80].astype(float)
    bowl = 40 - 0.01 * ((x - 40) ** 2 + (y - 40) ** 2)
    normals = np.stack([0.02 * (x - 40), -0.02 * (y - 40), np.ones_like(x)], -1)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    disc = np.hypot(x - 40, y - 40) < 35
    crack, mouth = np.zeros_like(disc), np.zeros_like(disc)
    crack[30:32, 20:24] = crack[50, 50] = True
    mouth[55:60, 30:50] = True
    seen = disc & ~crack & ~mouth
    seen[40, 74] = False  # A notch in the outline is no hole.
    view = View(np.where(seen, bowl, np.nan), np.where(seen[..., None], normals, np.nan))
    filled = fill_holes(view, 0.005)
    np.testing.assert_array_equal(filled.view.hit, seen | crack)
    silhouette = (seen | crack | mouth).sum()
    assert filled.filled == pytest.approx(crack.sum() / silhouette)
    assert filled.hole_share == pytest.approx((crack | mouth).sum() / silhouette)
    assert np.abs(filled.view.depth - bowl)[crack].max() < 0.01
    assert angles(filled.view.normals, normals)[crack].max() < 1
    np.testing.assert_array_equal(filled.view.depth[seen], view.depth[seen])
    assert fill_holes(view, 0.0).filled == 0
    assert fill_holes(view, 0.005, max_share=0.02).filled == 0
    whole = fill_holes(view, 1.0)
    assert whole.filled == whole.hole_share
    assert np.isnan(view.depth[crack]).all()


def test_an_empty_view_has_no_holes():
    nothing = View(np.full((4, 4), np.nan), np.full((4, 4, 3), np.nan))
    assert (fill_holes(nothing, 0.1).filled, fill_holes(nothing, 0.1).hole_share) == (0, 0)
    assert bulge(nothing) == 0


def test_many_holes_are_filled_one_by_one_and_quickly():
    y, x = np.mgrid[:512, :512].astype(float)
    bowl = 400 - 0.001 * ((x - 256) ** 2 + (y - 256) ** 2)
    normals = np.stack([0.002 * (x - 256), -0.002 * (y - 256), np.ones_like(x)], -1)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    holes = (x % 12 == 5) & (y % 12 == 5)
    view = View(np.where(holes, np.nan, bowl), np.where(holes[..., None], np.nan, normals), 0.25)
    begun = time.process_time()
    filled = fill_holes(view, 0.002)
    assert time.process_time() - begun < 6  # A search of the whole picture for each takes 30.
    assert filled.filled == filled.hole_share == holes.mean()
    assert filled.view.hit.all()
    assert filled.view.back == 0.25
    assert np.abs(filled.view.depth - bowl).max() < 0.01
    assert angles(filled.view.normals, normals)[holes].max() < 0.5


@pytest.mark.parametrize("yaw", [0, 30])
def test_a_face_bulges_and_a_bowl_does_not_whichever_way_its_triangles_turn(yaw):
    made = surface.mesh(3, "smile")
    turn = Rotation.from_euler("y", yaw, degrees=True).as_matrix()
    corners = in_pixels(made.vertices @ turn.T, 96)
    skin = made.triangles[made.parts == 0]  # What is inside the mouth shows from behind.
    for order, back in ((skin, 0), (skin[:, ::-1], 1)):
        face = cast_rays(Mesh(corners, order.astype(np.int64)), 96, 96)
        assert bulge(face) > 0.5
        assert abs(face.back - back) < 0.02
        bowl = cast_rays(Mesh(corners * (1, 1, -1), order.astype(np.int64)), 96, 96)
        assert bulge(bowl) < -0.5
        assert abs(bowl.back - back) < 0.2


def test_half_of_what_is_seen_may_show_its_back():
    corners, triangles = plane(3, 10.5, 17.5, 4)
    view = cast_rays(joined(plane(3, 1.5, 8.5), (corners, triangles[:, ::-1])), 20, 20)
    assert view.back == 0.5
    assert bulge(view) == 0


def test_vertices_of_no_triangle_change_nothing():
    corners, triangles = plane(1, 1.5, 8.5)
    stray = np.concatenate([corners, [(1e30, -1e30, 1e30)]])
    alone, with_stray = (
        cast_rays(Mesh(corners, triangles), 10, 10),
        cast_rays(Mesh(stray, triangles), 10, 10),
    )
    np.testing.assert_array_equal(with_stray.depth, alone.depth)
    assert degenerate_share(Mesh(stray, triangles)) == 0
