from __future__ import annotations

import itertools

import numpy as np
import pytest

from legan_tf.data import attributes
from legan_tf.errors import UserError

RECORDINGS = {1: 2, 2: 3, 3: 3, 4: 3}


def shot(person, session, recording, light, camera="05_1", suffix="png"):
    name = f"{person:03d}_{session:02d}_{recording:02d}_{camera.replace('_', '')}_{light:02d}"
    folder = f"session{session:02d}/multiview/{person:03d}/{recording:02d}/{camera}"
    return f"{folder}/{name}.{suffix}"


def recordings(sessions):
    return [(s, r) for s in sessions for r in range(1, RECORDINGS[s] + 1)]


def test_sessions_recordings_and_shots_become_expressions_and_lights(dataset):
    wanted = {
        (1, 1): "neutral",
        (1, 2): "smile",
        (2, 1): "neutral",
        (2, 2): "surprise",
        (2, 3): "squint",
        (3, 1): "neutral",
        (3, 2): "smile",
        (3, 3): "disgust",
        (4, 1): "neutral",
        (4, 2): "neutral",
        (4, 3): "scream",
    }
    for (s, r), light in itertools.product(wanted, range(20)):
        dataset.add(shot(7, s, r, light))
    rows, report = dataset.read("multipie")
    assert rows == {
        shot(7, s, r, light): {
            "identity": "multipie007",
            "expression": expression,
            "lighting": f"shot{light:02d}",
            "split": "train",
        }
        for (s, r), expression in wanted.items()
        for light in range(20)
    }
    assert "dropped" not in report
    assert "pictures per person: 220 to 220, median 220" in report


def test_the_splits_load_with_the_papers_classes_and_disjoint_people(dataset, faces):
    for person in (1, 2, 3):
        for s, r in recordings(RECORDINGS):
            dataset.add(*(shot(person, s, r, light) for light in (0, 7, 19)))
    dataset.read("multipie")
    splits = dataset.load(needs=("expression", "lighting"))
    assert [len(split) for split in splits.values()] == [33, 33, 33]
    assert splits["test"].names("expression") == attributes.MULTIPIE_EXPRESSIONS
    assert splits["test"].names("lighting") == ("shot00", "shot07", "shot19")
    people = [set(split.identity) for split in splits.values()]
    assert set.union(*people) == {0, 1, 2} and sum(map(len, people)) == 3
    first = splits["train"].images([0])[0]
    np.testing.assert_array_equal(first, faces[33 * splits["train"].identity[0]])


def test_337_people_are_split_as_published_and_the_held_out_came_most_often(dataset):
    often = set(range(1, 338, 2))
    for person in range(1, 338):
        dataset.add(shot(person, 1, 1, 0))
        if person in often:
            dataset.add(shot(person, 2, 1, 0))
    rows, report = dataset.read("multipie")
    of = {row["identity"]: row["split"] for row in rows.values()}
    counts = [list(of.values()).count(split) for split in ("train", "val", "test")]
    assert counts == [208, 64, 65]
    held_out = {int(person[-3:]) for person, split in of.items() if split != "train"}
    assert held_out < often
    assert "There is no picture of session 03, 04." in report
    other, _ = dataset.read("multipie", seed=1)
    assert {row["identity"]: row["split"] for row in other.values()} != of


def test_the_flashless_shots_are_one_class_if_asked(dataset):
    dataset.add(*(shot(1, 1, 1, light) for light in (0, 1, 19)))
    rows, report = dataset.read("multipie", merge_flashless=True)
    assert [row["lighting"] for row in rows.values()] == ["shot00", "shot01", "shot00"]
    assert "1 of 1 recordings have fewer than 20 shots; the first is 001_01_01." in report


def test_what_is_no_frontal_picture_is_counted_by_reason(dataset, dropped):
    dataset.add(
        shot(1, 1, 1, 0),
        shot(1, 1, 1, 1, suffix="PNG"),
        shot(1, 1, 1, 2, camera="19_1"),
        shot(1, 1, 1, 3, camera="19_1"),
        shot(1, 1, 1, 20),
        shot(1, 2, 1, 0).replace("session02", "session03"),
        "session01/multiview/001/03/05_1/001_01_03_051_00.png",
        "session01/multiview/001/01/05_1/001_01_01_081_00.png",
        "session01/multiview/001/01/05_1/copy of 001_01_01_051_00.png",
        "flat/001_01_01_051_00.jpg",
        "session01/highres/001/01/001_01_01.png",
        "session01/highres/001/02/001_01_02.png",
    )
    dataset.text("session01/multiview/001/01/05_1/._001_01_01_051_00.png", "x")
    dataset.text("subject_list.txt", "001 M")
    rows, report = dataset.read("multipie")
    assert list(rows) == ["flat/001_01_01_051_00.jpg", shot(1, 1, 1, 1, suffix="PNG")]
    assert dropped(report) == {
        "folder of a camera other than 05_1": 1,
        "hidden, or of the operating system": 1,
        "not a picture": 1,
        "of the highres tree, which has other cameras and light": 2,
        "same shot as a file before": 1,
        "of a shot above 19": 1,
        "of a camera other than 05_1": 1,
        "not called as Multi-PIE's pictures are (PPP_SS_RR_CCC_LL)": 1,
        "of a recording that no expression is known for": 1,
        "of another session than its folder": 1,
    }


def test_a_tree_of_another_source_is_told_from_this_one(dataset):
    dataset.add("Rafd090_01_Caucasian_female_fearful_frontal.jpg")
    with pytest.raises(UserError) as error:
        dataset.read("multipie")
    message = str(error.value)
    assert message.startswith(f"--data_dir={dataset.folder}: no picture in it can be used as")
    assert "session01/multiview/001/01/05_1/001_01_01_051_07.png" in message
    assert "1 not called as Multi-PIE's pictures are" in message
    assert message.endswith("It looks like --source=rafd.")
    assert not dataset.output.exists()
