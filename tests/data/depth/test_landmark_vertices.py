from __future__ import annotations

import pytest

from legan_tf.data.depth.landmark_vertices import read_landmark_vertices
from legan_tf.errors import UserError


def test_landmark_vertices_are_read_as_eos_writes_them(tmp_path):
    file = tmp_path / "vertices.txt"
    file.write_text(
        "# A list, and a remark\n[landmark_mappings]\n"
        "9 = 33 # chin\n18 = 225\n28 = 114\n31=125\n37 = 177\n40 , 172\n43 614\n"
        "right_contour = [ 380,\n 373,\n 1 ]\n"
    )
    numbers = read_landmark_vertices(str(file))
    assert numbers.shape == (68,)
    assert {i + 1: n for i, n in enumerate(numbers) if n >= 0} == {
        **{9: 33, 18: 225, 28: 114, 31: 125},
        **{37: 177, 40: 172, 43: 614},
    }
    file.write_text("9 = 33\n")
    with pytest.raises(UserError, match="fewer than 6 landmarks"):
        read_landmark_vertices(str(file))
