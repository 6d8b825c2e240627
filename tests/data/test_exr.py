from __future__ import annotations

import numpy as np
import pytest

from legan_tf.data import exr, storage


def test_exr_keeps_floats_and_orders_channels(tmp_path):
    rng = np.random.default_rng(0)
    channels = {name: rng.normal(0, 1e3, (3, 5)).astype(np.float32) for name in "RGBA"}
    (tmp_path / "normal.exr").write_bytes(exr.to_exr(channels))
    picture = exr.read_exr(str(tmp_path / "normal.exr"))
    assert picture.dtype == np.float32
    np.testing.assert_array_equal(picture, np.stack([channels[name] for name in "RGBA"], -1))


def test_exr_of_one_channel(tmp_path):
    depth = np.linspace(-2, 7, 12, dtype=np.float32).reshape(3, 4)
    (tmp_path / "depth.exr").write_bytes(exr.to_exr({"Z": depth}))
    np.testing.assert_array_equal(exr.read_exr(str(tmp_path / "depth.exr")), depth[..., None])


WHOLE_EXR = exr.to_exr({"Z": np.ones((3, 4))})


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"no picture", "not an OpenEXR picture"),
        (b"", "not an OpenEXR picture"),
        (WHOLE_EXR[:4] + b"\x02\x10\0\0" + WHOLE_EXR[8:], "multi-part"),
        *((WHOLE_EXR[:end], "cut short") for end in (8, 20, 150, 290, 310, len(WHOLE_EXR) - 1)),
    ],
)
def test_bad_exr_is_named(tmp_path, content, complaint):
    (tmp_path / "depth.exr").write_bytes(content)
    with pytest.raises(storage.StorageError, match=rf"depth\.exr: is .*{complaint}"):
        exr.read_exr(str(tmp_path / "depth.exr"))
