from __future__ import annotations

import os

import numpy as np

from legan_research.experiments.rendered import FaceLabels, render_images, write_images
from legan_tf.data import images
from legan_tf.data.manifest import read_manifest
from legan_tf.data.rendered import render

SHOWN = [
    FaceLabels(7, "smile", "shot03"),
    FaceLabels(5, "neutral", "shot00"),
    FaceLabels(7, "smile", "shot12"),
    FaceLabels(7, "disgust", "shot03"),
]


def test_rendered_images_show_their_labels():
    reported = []
    pictures = render_images(SHOWN, 16, lambda done, total: reported.append((done, total)))
    for picture, (person, expression, lighting) in zip(pictures, SHOWN):
        expected = render([person], [expression], [lighting], 16)[0]
        np.testing.assert_array_equal(picture, expected)
    assert reported[-1] == (4, 4)


def test_a_written_set_is_a_manifest_and_is_not_written_twice(tmp_path):
    folder = tmp_path / "real"
    rows = read_manifest(write_images(str(folder), SHOWN, 16)[0]).rows
    pictures = render_images(SHOWN, 16)
    for row, picture, portrait in zip(rows, pictures, SHOWN):
        np.testing.assert_array_equal(images.decode(row.file), picture)
        assert (row.expression, row.lighting) == portrait[1:] and row.split == "train"
    assert [row.identity for row in rows] == [f"person{p:05d}" for p in (7, 5, 7, 7)]
    before = {file: file.stat().st_mtime_ns for file in folder.iterdir()}
    os.remove(folder / "00001.png")
    reported = []
    write_images(str(folder), SHOWN, 16, lambda done, total: reported.append((done, total)))
    assert reported == [(1, 1)]
    np.testing.assert_array_equal(images.decode(str(folder / "00001.png")), pictures[1])
    del before[folder / "00001.png"]
    assert all(file.stat().st_mtime_ns == time for file, time in before.items())
    write_images(str(folder), SHOWN[::-1], 16)
    np.testing.assert_array_equal(images.decode(str(folder / "00001.png")), pictures[2])
