from __future__ import annotations

import os

from legan_tf.data.output_folder import target_names


def test_names_follow_the_originals_and_never_meet():
    assert target_names(["/d/a/s1.happy", "/d/a/s1.sad", "/d/b/s1.sad.JPG"], "/d") == [
        "a/s1.happy.png",
        "a/s1.sad.png",
        "b/s1.sad.png",
    ]
    assert target_names(["/d/e/a.jpg", "/d/e/a.png", "/d/e/b.jpg"], "/elsewhere") == [
        "a.jpg.png",
        "a.png.png",
        "b.jpg.png",
    ]
    assert target_names(["/d/e/a.jpg", "/d/e/a.jpg"], "/d") == ["e/a.png", "e/a.png"]
    cloud = ["gs://bucket/x/1.png", "gs://bucket/y/1.png"]
    assert target_names(cloud, "/d") == ["x/1.png", "y/1.png"]
    mixed = ["gs://bucket/x/1.png", "/d/../e/1.png", "s3://bucket/../../1"]
    assert target_names(mixed, "/d") == ["gs:/bucket/x/1.png", "e/1.png", "1.png"]
    # A file and a folder of one name.
    assert target_names(["/d/a.jpg", "/d/a.png/b.jpg"], "/d") == [
        "a.jpg.png",
        "a.png/b.jpg.png",
    ]
    assert target_names(["/d/a", "/d/a.png/x/b.jpg"], "/d") == [
        "a_.png",
        "a.png/x/b.jpg_.png",
    ]
    assert target_names(["shard.tfrecord#0", "shard.tfrecord#72"], "") == [
        "shard.tfrecord#0.png",
        "shard.tfrecord#72.png",
    ]


def test_pictures_that_are_links_keep_their_own_names(tmp_path):
    (tmp_path / "pool").mkdir()
    (tmp_path / "faces").mkdir()
    for name, original in (("anna.jpg", "1"), ("ben.jpg", "2"), ("ben.png", "2")):
        os.symlink(tmp_path / "pool" / original, tmp_path / "faces" / name)
    files = [str(tmp_path / "faces" / name) for name in ("anna.jpg", "ben.jpg", "ben.png")]
    # Both of ben are one picture.
    names = ["anna.png", "ben.png", "ben.png"]
    assert target_names(files, str(tmp_path / "faces")) == names
