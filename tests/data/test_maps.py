from __future__ import annotations

import io

import numpy as np
import pytest

from legan_tf.data import exr, images, maps

DEPTH = np.full((6, 8), np.nan)
DEPTH[1:5, 2:7] = np.linspace(-3.0, 7.0, 20).reshape(4, 5)
NORMALS = np.zeros((6, 8, 3), np.float32)
NORMALS[1:5, 2:7] = (0.6, 0.0, 0.8)


def saved(folder, name: str, content: bytes) -> str:
    (folder / name).write_bytes(content)
    return str(folder / name)


def npy(values: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, values)
    return content.getvalue()


def test_depth_uses_the_whole_range_and_keeps_what_is_empty():
    grey = maps.depth_to_grey(DEPTH)
    assert grey.dtype == np.uint8
    assert grey[1, 2] == 1
    assert grey[4, 6] == 255
    np.testing.assert_array_equal(grey == 0, np.isnan(DEPTH))
    deep = maps.depth_to_grey(DEPTH, 16)
    assert (deep[1, 2], deep[4, 6], deep[0, 0]) == (1, 65535, 0)
    np.testing.assert_array_equal(maps.depth_to_map(DEPTH), np.repeat(grey[..., None], 3, -1))


def test_flat_depth_is_near_and_no_depth_is_empty():
    assert maps.depth_to_grey(np.full((2, 2), 5.0)).tolist() == [[255, 255], [255, 255]]
    assert not maps.depth_to_grey(np.full((2, 2), np.nan)).any()


def test_normals_are_stored_to_within_a_step():
    rng = np.random.default_rng(0)
    normals = rng.normal(size=(20, 20, 3))
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    normals[0, 0] = 0
    normals[0, 1] = np.nan
    image = maps.normals_to_map(normals)
    assert not image[0, :2].any()
    back = maps.map_to_normals(image)
    assert not back[0, :2].any()
    cosine = np.sum(back * normals, -1)[1:]
    assert np.degrees(np.arccos(np.clip(cosine, -1, 1))).max() < 0.5


def test_every_form_of_depth_gives_the_same_map(tmp_path):
    expected = maps.depth_to_map(DEPTH[:, 1:7])
    float_depth = np.where(np.isnan(DEPTH), 0, DEPTH + 4)
    files = {
        "eight.png": images.to_png(maps.depth_to_grey(DEPTH)),
        "colour.png": images.to_png(maps.depth_to_map(DEPTH)),
        "sixteen.png": images.to_png(maps.depth_to_grey(DEPTH, 16)),
        "float.npy": npy(float_depth),
        "nan.npy": npy(np.where(np.isnan(DEPTH), np.nan, DEPTH + 4)[..., None]),
    }
    for name, content in files.items():
        read = maps.read_map(saved(tmp_path, name, content), "depth", 6)
        np.testing.assert_array_equal(read, expected, name)


def test_exr_gives_the_same_maps(tmp_path):
    content = exr.to_exr({"Z": np.where(np.isnan(DEPTH), 0, DEPTH + 4)})
    read = maps.read_map(saved(tmp_path, "d.exr", content), "depth", 6)
    np.testing.assert_array_equal(read, maps.depth_to_map(DEPTH[:, 1:7]))
    content = exr.to_exr(dict(zip("RGB", np.moveaxis(NORMALS, -1, 0))))
    read = maps.read_map(saved(tmp_path, "n.exr", content), "normal", 6)
    np.testing.assert_array_equal(read, maps.normals_to_map(NORMALS[:, 1:7]))


def test_every_form_of_normals_gives_the_same_map(tmp_path):
    expected = maps.normals_to_map(NORMALS[:, 1:7])
    for name, content in {
        "n.png": images.to_png(maps.normals_to_map(NORMALS)),
        "n.npy": npy(NORMALS),
    }.items():
        read = maps.read_map(saved(tmp_path, name, content), "normal", 6)
        np.testing.assert_allclose(read.astype(int), expected.astype(int), atol=1)
        np.testing.assert_array_equal(read.any(-1), expected.any(-1))


@pytest.mark.parametrize("size", [11, 16, 64, 200])
def test_what_is_empty_does_not_bleed_into_the_face(tmp_path, size):
    # A constant slope from 1 at the left to 255 at the right, in a disc.
    y, x = np.mgrid[:64, :64] - 31.5
    disc = np.hypot(x, y) < 25
    path = saved(tmp_path, "d.png", images.to_png(maps.depth_to_grey(np.where(disc, x, np.nan))))
    grey = maps.read_map(path, "depth", size)[..., 0]
    across = (np.mgrid[:size, :size][1] + 0.5) / size * 64 - 32
    inside = grey > 0
    assert abs(inside.mean() - disc.mean()) < 0.6 / size
    shown = across[inside]
    expected = 1 + 254 * (shown - shown.min()) / np.ptp(shown)
    assert np.abs(grey[inside] - expected).max() < 254 * 1.1 / min(size, 50)
    normals = np.where(disc[..., None], (0.0, -0.6, 0.8), 0)
    path = saved(tmp_path, "n.png", images.to_png(maps.normals_to_map(normals)))
    found = maps.map_to_normals(maps.read_map(path, "normal", size))
    np.testing.assert_array_equal(found.any(-1), inside)
    assert np.abs(found[inside] - (0.0, -0.6, 0.8)).max() < 0.02


def test_maps_are_cut_as_pictures_are(tmp_path):
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[10:30, 20:45] = 255
    depth = np.where(picture[..., 0] > 0, 1.0, np.nan)
    path = saved(tmp_path, "d.png", images.to_png(maps.depth_to_grey(depth)))
    for crop in (None, (0.25, 0.1, 0.8, 0.9)):
        square = images.to_square(picture, 32, crop)[..., 0]
        grey = maps.read_map(path, "depth", 32, crop)[..., 0]
        clear = (square < 80) | (square > 175)
        assert clear.mean() > 0.8
        np.testing.assert_array_equal((grey > 0)[clear], (square > 127)[clear])


def test_a_cropped_map_uses_the_whole_range_again(tmp_path):
    depth = np.tile(np.arange(100.0), (100, 1))
    path = saved(tmp_path, "d.png", images.to_png(maps.depth_to_grey(depth, 16)))
    grey = maps.read_map(path, "depth", 50, (0.2, 0.2, 0.7, 0.7))
    assert (grey.min(), grey.max()) == (1, 255)


def test_what_is_no_map_is_named(tmp_path):
    colours = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    colours = saved(tmp_path, "colours.png", images.to_png(colours))
    with pytest.raises(images.ImageError, match=r"colours\.png: has colours"):
        maps.read_map(colours, "depth", 8)
    with pytest.raises(images.ImageError, match=r"broken\.npy: is not a whole NPY"):
        maps.read_map(saved(tmp_path, "broken.npy", npy(DEPTH)[:-9]), "depth", 8)
    false = {b"(6, 8)": b"(1048576,1048576)", b"'<f4'": b"(((((", b"}": b" "}
    for old, new in false.items():
        content = npy(DEPTH.astype(np.float32))
        assert old in content
        # The header keeps its length: it ends in spaces.
        content = content.replace(old, new).replace(b" " * (len(new) - len(old)) + b"\n", b"\n")
        with pytest.raises(images.ImageError, match=r"false\.npy: is not a whole NPY"):
            maps.read_map(saved(tmp_path, "false.npy", content), "depth", 8)
    with pytest.raises(images.ImageError, match=r"\(6, 8, 1\), which is no normal map"):
        maps.read_map(saved(tmp_path, "grey.npy", npy(DEPTH)), "normal", 8)
