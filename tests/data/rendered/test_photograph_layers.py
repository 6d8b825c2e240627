"""Photographs round rendered faces; the photographs of these tests are rendered too."""

import numpy as np
import pytest
from PIL import Image

from legan_tf.data.rendered.dataset import rendered_faces
from legan_tf.data.rendered.photograph_layers import photograph_layers, photographs_digest
from legan_tf.data.rendered.shading import shade
from legan_tf.data.rendered.surface import geometry
from legan_tf.errors import UserError

SIZE = 64


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Five photographs, one in a folder below, and a file that is none."""
    path = tmp_path_factory.mktemp("photographs")
    (path / "below").mkdir()
    for number, person in enumerate((5, 9, 13, 22, 31)):
        picture = shade(geometry([person], ["neutral"], 192), ["shot07"])[0, 0]
        place = path / "below" if number == 4 else path
        Image.fromarray(picture).save(place / f"{number}.{'TIF' if number == 3 else 'png'}")
    (path / "notes.txt").write_text("No photograph.")
    return str(path)


def test_splits_share_no_photograph(folder):
    parts = [photograph_layers(folder, split).files for split in ("train", "val", "test")]
    assert [len(part) for part in parts] == [3, 1, 1]
    together = sum(parts, ())
    assert len(set(together)) == 5
    assert any("below" in file for file in together)


def test_the_face_is_the_persons_and_the_rest_the_photographs(folder):
    layers = photograph_layers(folder, "train")
    plain, among = (geometry([41], ["smile"], SIZE, layers=given) for given in (None, layers))
    inner = among.face_mask[0] & plain.face_mask[0]
    inner[: SIZE // 4] = False  # Hair over the forehead.
    assert inner.sum() > 0.2 * SIZE**2
    rim = np.abs(among.albedo[0] - plain.albedo[0]).max(-1)
    assert (rim[inner] < 1e-3).mean() > 0.75
    np.testing.assert_allclose(among.landmarks, plain.landmarks)
    np.testing.assert_array_equal(among.parts[0][inner], plain.parts[0][inner])
    assert np.abs(among.background[0] - plain.background[0]).mean() > 0.02
    assert np.isfinite(among.depth[0][among.mask[0]]).all()
    assert not np.isfinite(among.depth[0][~among.mask[0]]).any()
    # The neck has the colour of this person's skin, not of the photograph's.
    neck = (slice(-4, None), slice(SIZE // 2 - 6, SIZE // 2 + 6))
    cheeks = np.median(plain.albedo[0][inner], 0)
    change = np.log(np.median(among.albedo[0][neck], (0, 1)) / cheeks)
    assert np.ptp(change) < 0.2
    assert np.abs(change).max() < 0.6


def test_faces_of_a_set_are_the_same_each_time_and_keep_their_truth(folder):
    sets = [
        rendered_faces(
            "train", 2, ("neutral", "smile"), ("shot00", "shot05"), SIZE, 0, layers=layers
        )
        for layers in (None, *(photograph_layers(folder, "train") for _ in range(2)))
    ]
    plain, first, again = (faces.images(np.arange(8)) for faces in sets)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first.astype(int) - plain).mean() > 5
    np.testing.assert_array_equal(sets[1].action_units, sets[0].action_units)
    asked = sets[1].truth(0, {"expression": 1, "lighting": 1})
    np.testing.assert_array_equal(asked, first[3])


def test_what_cannot_be_used_is_said(folder, tmp_path):
    with pytest.raises(UserError, match="--layers=.*nowhere: is no folder"):
        photograph_layers(str(tmp_path / "nowhere"), "train")
    with pytest.raises(UserError, match=r"has 0 photographs .* give three or more"):
        photograph_layers(str(tmp_path), "train")
    for name in "abc":
        Image.new("RGB", (120, 120), (90, 120, 60)).save(tmp_path / f"{name}.jpg")
    with pytest.raises(UserError, match="--layers: none of the 1 photographs .* no face is found"):
        rendered_faces(
            "test", 1, ("neutral",), ("shot00",), 32, 0, layers=photograph_layers(tmp_path, "test")
        )
    before = photographs_digest(str(tmp_path))
    assert before == photographs_digest(str(tmp_path)) != photographs_digest(folder)
    (tmp_path / "a.jpg").rename(tmp_path / "d.jpg")
    assert photographs_digest(str(tmp_path)) != before
