from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

from legan_tf.data.manifest import read_manifest
from legan_tf.data.manifest_faces import manifest_faces
from legan_tf.data.readers.make_manifest import make_manifest
from legan_tf.data.readers.registry import reader_options
from legan_tf.errors import UserError


def quiet(label):
    return lambda done, total: None


def test_the_same_files_give_the_same_bytes_even_beside_the_first_manifest(dataset):
    dataset.add(*(f"class {number % 3}/{number}.png" for number in range(30)))
    dataset.output = dataset.folder / "manifest.csv"
    options = reader_options()(source="folder")
    made = [str(dataset.folder), str(dataset.output), options]
    first_report = make_manifest(*made, 5, quiet)
    first = dataset.output.read_bytes()
    assert make_manifest(*made, 5, quiet) == first_report
    assert dataset.output.read_bytes() == first
    assert first.startswith(b"path,identity,") and b"\r" not in first
    assert b"\nclass 0/0.png,,class 0,,,,,,t" in first
    make_manifest(*made, 6, quiet)
    assert dataset.output.read_bytes() != first
    assert sorted(os.listdir(dataset.folder)) == ["class 0", "class 1", "class 2", "manifest.csv"]


def test_the_label_file_search_does_not_read_its_own_manifest(dataset):
    dataset.add("a.png").text("labels.txt", "a.png 5 1\n")
    dataset.output = dataset.folder / "manifest.csv"
    made = [str(dataset.folder), str(dataset.output), reader_options()(source="legan_perceptual")]
    assert make_manifest(*made, 0, quiet) == make_manifest(*made, 0, quiet)


def test_paths_may_start_from_the_data_and_move_with_it(dataset, tmp_path, faces):
    dataset.add("a/1.png", "b/2.png")
    rows, _ = dataset.read("folder", paths_from="data_dir")
    assert list(rows) == ["a/1.png", "b/2.png"]
    moved = shutil.move(dataset.folder, tmp_path / "elsewhere")
    read = read_manifest(str(dataset.output), str(moved))
    np.testing.assert_array_equal(manifest_faces(read, "train", 24).images([0])[0], faces[0])


def test_links_are_followed_once_and_paths_go_through_real_folders(dataset, tmp_path, dropped):
    dataset.add("a/1.png", "b/2.png")
    (tmp_path / "store").mkdir()
    shutil.move(dataset.folder / "b", tmp_path / "store" / "b")
    (dataset.folder / "b").symlink_to(tmp_path / "store" / "b")
    (dataset.folder / "a" / "up").symlink_to(dataset.folder)
    (dataset.folder / "broken.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "made").symlink_to(tmp_path / "far" / "away")
    report = make_manifest(
        str(dataset.folder), str(dataset.output), reader_options()(source="folder"), 0, quiet
    )
    assert dropped(report) == {
        "link to a folder that is looked into already": 1,
        "broken link, or no file": 1,
    }
    read = read_manifest(str(dataset.output))
    assert [row.path for row in read.rows] == ["../../data/a/1.png", "../../data/b/2.png"]
    assert all(os.path.exists(row.file) for row in read.rows)


def test_names_that_a_manifest_cannot_hold_are_counted(dataset, dropped):
    dataset.add("a/ü, 1.png", 'a/"2".png', "a /3.png").add("b/4.png")
    raw = os.fsencode(dataset.folder) + b"/a/\xff.png"
    os.rename(os.fsencode(dataset.folder / "b/4.png"), raw)
    rows, report = dataset.read("folder", folder_column="lighting")
    assert sorted(rows) == ['a/"2".png', "a/ü, 1.png"]
    assert dropped(report) == {"name begins or ends with a space, or is no UTF-8": 2}
    report.encode()
    assert len(dataset.load()["train"]) == 1


def test_large_trees_report_how_far_they_are(dataset):
    dataset.add(*(f"{number:03d}/x/1.png" for number in range(120)))
    dataset.read("folder")
    assert {label for label, *_ in dataset.progress} == {"looking through folders"}
    assert [done for _, done, _ in dataset.progress] == list(range(1, 242))
    assert dataset.progress[0][2] == 121 and dataset.progress[-1][2] == 241


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "--source is missing: choose from affectnet, affectnet_d"),
        ({"source": "lfw", "views": "090"}, "--views belongs to --source=rafd or --source=rafd_d"),
        ({"source": "rafd", "views": "90"}, "--views=90: give one or more of 000, 045, 090"),
        ({"source": "rafd", "gazes": ""}, "--gazes=: give one or more of frontal, left, right"),
        ({"source": "rafd", "val_share": 0.6}, "--val_share=0.6: must be 0 to 0.5"),
        ({"source": "celeba", "attributes": ","}, "--attributes is empty"),
        ({"source": "celeba", "merge_flashless": True}, "--merge_flashless belongs to"),
        ({"source": "lfw", "paths_from": "home"}, "--paths_from=home: choose from"),
    ],
)
def test_options_that_do_not_fit_are_told(dataset, options, message):
    with pytest.raises(UserError) as error:
        make_manifest("data", "m.csv", reader_options()(**options), 0, quiet)
    assert str(error.value).startswith(message)


def test_folders_and_files_that_do_not_fit_are_told(dataset, tmp_path):
    options = reader_options()(source="folder")
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty" / "folder").mkdir(parents=True)
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "notes.txt").write_text("x")
    for data_dir, output, seed, message in (
        ("", "m.csv", 0, "--data_dir is missing: name the folder of folder."),
        ("nowhere", "m.csv", 0, "--data_dir=nowhere: there is no such folder."),
        (str(tmp_path / "file"), "m.csv", 0, "file: is a file; name the folder that holds it."),
        (str(tmp_path / "empty"), "m.csv", 0, "empty: there is no file in it, or below."),
        (str(tmp_path / "text"), "m.csv", 0, "(dropped: 1 not a picture)."),
        ("gs://bucket", "m.csv", 0, "must be a folder on this machine"),
        (str(tmp_path), "m.txt", 0, "--output=m.txt: name the manifest to write, FILE.csv."),
        (str(tmp_path), "m.csv", -1, "--seed=-1: must be 0 or more."),
    ):
        with pytest.raises(UserError) as error:
            make_manifest(data_dir, output, options, seed, quiet)
        assert message in str(error.value)
    assert not os.path.exists("m.csv")


def test_the_command_writes_the_manifest_and_prints_the_report(dataset):
    dataset.add("train/a/1.png", "train/b/2.png", "test/a/3.png")
    script = pathlib.Path(__file__).parents[3] / "scripts" / "prepare.py"
    given = ("--source=folder", f"--data_dir={dataset.folder}", f"--output={dataset.output}")
    done = subprocess.run(
        [sys.executable, str(script), "manifest", *given],
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )
    lines = done.stdout.splitlines()
    assert (done.returncode, lines[-1]) == (0, f"{dataset.output}: 3 pictures")
    assert lines[1].split() == ["pictures", "2", "0", "1"]
    assert len(dataset.output.read_text().splitlines()) == 4
