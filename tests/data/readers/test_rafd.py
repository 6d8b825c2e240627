from __future__ import annotations

import itertools

import pytest

from legan_tf.data import attributes

EMOTIONS = {
    "angry": "anger",
    "contemptuous": "contempt",
    "disgusted": "disgust",
    "fearful": "fear",
    "happy": "happy",
    "neutral": "neutral",
    "sad": "sad",
    "surprised": "surprise",
}


def name(person, emotion="happy", view="090", gaze="frontal", suffix="jpg"):
    return f"Rafd{view}_{person:02d}_Caucasian_female_{emotion}_{gaze}.{suffix}"


def test_names_become_people_and_affectnets_emotions(dataset):
    people = range(1, 11)
    for person, emotion in itertools.product(people, EMOTIONS):
        dataset.add(name(person, emotion))
    rows, _ = dataset.read("rafd")
    splits = {row["identity"]: row["split"] for row in rows.values()}
    assert sorted(splits.values()) == ["test"] + ["train"] * 9
    assert rows == {
        name(person, emotion): {
            "identity": f"rafd{person:02d}",
            "expression": label,
            "split": splits[f"rafd{person:02d}"],
        }
        for person in people
        for emotion, label in EMOTIONS.items()
    }
    sets = dataset.load(needs=("expression",))
    assert sets["test"].names("expression") == attributes.AFFECTNET_EXPRESSIONS
    assert [len(split) for split in sets.values()] == [72, 0, 8]


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({}, {"045", "090", "135"}),
        ({"views": "090"}, {"090"}),
        ({"views": "000, 180"}, {"000", "180"}),
    ],
)
def test_views_are_kept_as_asked(dataset, dropped, options, kept):
    dataset.add(*(name(1, view=view) for view in ("000", "045", "090", "135", "180")))
    rows, report = dataset.read("rafd", **options)
    assert {path[4:7] for path in rows} == kept
    views = options.get("views", "045,090,135")
    assert dropped(report) == {f"of another view than --views={views}": 5 - len(kept)}


def test_gazes_are_kept_as_asked(dataset, dropped):
    dataset.add(*(name(1, gaze=gaze) for gaze in ("frontal", "left", "right")))
    assert len(dataset.read("rafd")[0]) == 3
    rows, report = dataset.read("rafd", gazes="frontal,right")
    assert list(rows) == [name(1), name(1, gaze="right")]
    assert dropped(report) == {"of another gaze than --gazes=frontal,right": 1}


def test_upper_case_folders_and_spaces_are_read_and_the_rest_is_counted(dataset, dropped):
    upper = "RaFD images/090/" + name(1).upper()
    dataset.add(
        upper,
        name(1),
        name(2, "amused"),
        "Rafd090_03_Kid_male_sad_left.JPG",
        "Rafd090_01_Caucasian_female_happy.jpg",
    )
    rows, report = dataset.read("rafd")
    assert {path: row["identity"] for path, row in rows.items()} == {
        "RaFD images/090/" + name(1).upper(): "rafd01",
        "Rafd090_03_Kid_male_sad_left.JPG": "rafd03",
    }
    assert dropped(report) == {
        "same picture as a file before": 1,
        "of no known emotion": 1,
        "not called as RaFD's pictures are": 1,
    }


def test_a_share_of_the_people_of_train_becomes_val(dataset):
    for person in range(1, 21):
        dataset.add(name(person), name(person, "sad"))
    rows, _ = dataset.read("rafd", val_share=0.25)
    splits = {row["identity"]: row["split"] for row in rows.values()}
    counts = [list(splits.values()).count(split) for split in ("train", "val", "test")]
    assert counts == [14, 4, 2]
    without, _ = dataset.read("rafd")
    same = {p for p, row in without.items() if row["split"] == "test"}
    assert {p for p, row in rows.items() if row["split"] == "test"} == same
