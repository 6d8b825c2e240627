from __future__ import annotations

import io

import numpy as np
from PIL import Image

from legan_tf.plotting.sheet import captioned_sheet, sheet


def pixels(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def pictures(count, size):
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)


def test_every_picture_is_shown_whole_and_in_its_place():
    one, other = pictures(3, 16), 255 - pictures(2, 16)
    drawn = pixels(sheet({"input": one, "edit": other}, ["neutral\nshot00", "smile", ""]))
    height, width = drawn.shape[:2]
    top, left = height - 3 * 128, width - 2 * 128
    for column, shown in enumerate((one, other)):
        for row, picture in enumerate(shown):
            y, x = top + 128 * row, left + 128 * column
            cell = drawn[y : y + 128, x : x + 128]
            np.testing.assert_array_equal(cell, picture.repeat(8, axis=0).repeat(8, axis=1))
    # The column that is shorter leaves its last place white.
    assert np.all(drawn[top + 256 :, left + 128 :] == 255)


def test_large_pictures_keep_their_size():
    drawn = pixels(sheet({"input": pictures(1, 200)}, ["smile"]))
    np.testing.assert_array_equal(drawn[-200:, -200:], pictures(1, 200)[0])


def test_names_and_headings_are_written_beside_and_above():
    drawn = pixels(sheet({"input": pictures(2, 128)}, ["a long name of an expression", ""]))
    top, left = drawn.shape[0] - 256, drawn.shape[1] - 128
    assert np.any(drawn[:top, left:] < 128)
    assert np.any(drawn[top : top + 128, :left] < 128)
    assert np.all(drawn[top + 128 :, :left] == 255)
    # Nothing is cut off at the left edge.
    assert np.all(drawn[:, 0] == 255)


def test_a_heading_that_is_too_long_stays_in_its_column():
    heading = "a model whose name is far too long for the width of one picture"
    drawn = pixels(sheet({heading: pictures(1, 128), "": pictures(1, 128)}, [""]))
    top, left = drawn.shape[0] - 128, drawn.shape[1] - 256
    assert np.any(drawn[:top, left : left + 128] < 128)
    assert np.all(drawn[:top, :left] == 255) and np.all(drawn[:top, left + 128 :] == 255)


def test_captions_stand_below_their_pictures_and_are_cut_to_fit():
    one, other, third = pictures(3, 64)
    long = "a/folder/with/a/name/that/does/not/fit/below/the/picture.png"
    drawn = pixels(
        captioned_sheet([("smile\nleft", [(one, long), (other, "")]), ("", [(third, "c")])])
    )
    left = drawn.shape[1] - 2 * 64
    assert drawn.shape[0] == 2 * (64 + 14)
    np.testing.assert_array_equal(drawn[:64, left : left + 64], one)
    np.testing.assert_array_equal(drawn[:64, left + 64 :], other)
    np.testing.assert_array_equal(drawn[78:142, left : left + 64], third)
    below = drawn[64:78]
    assert np.any(below[:, left : left + 64] < 128)
    assert np.all(below[:, :left] == 255) and np.all(below[:, left + 64 :] == 255)
    assert np.any(drawn[:64, :left] < 128) and np.all(drawn[78:, left + 64 :] == 255)


def test_rows_without_pictures_are_a_sheet_too():
    drawn = pixels(captioned_sheet([("nothing", [])]))
    assert np.any(drawn < 128) and np.all(drawn[:, 0] == 255)


def test_a_caption_with_a_line_break_is_written_in_one_line():
    (picture,) = pictures(1, 128)
    drawn = pixels(captioned_sheet([("", [(picture, "a\nb.png")])]))
    np.testing.assert_array_equal(drawn, pixels(captioned_sheet([("", [(picture, "a b.png")])])))
