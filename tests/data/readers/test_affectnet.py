from __future__ import annotations

import io

import numpy as np
import pytest

from legan_tf.data.attributes import AFFECTNET_EXPRESSIONS
from legan_tf.errors import UserError

HEADER = (
    "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,"
    "valence,arousal"
)
IMAGES = "Manually_Annotated/Manually_Annotated_Images"
LISTS = "Manually_Annotated_file_lists"


def line(name, expression, width=200):
    return f"{name},10,12,{width},200,{';'.join(['1.5;2.5'] * 68)},{expression},-0.25,0.5"


def lists(dataset, training, validation, header=True):
    first = [HEADER] if header else []
    dataset.text(f"{LISTS}/training.csv", "\r\n".join([HEADER, *training, ""]))
    return dataset.text(f"{LISTS}/validation.csv", "\n".join([*first, *validation]))


@pytest.mark.parametrize("header", [True, False])
def test_lists_give_emotions_and_the_official_validation_is_the_test_set(dataset, header):
    train = [f"{number}/train{number}.jpg" for number in range(8)]
    test = [f"{number}/test{number}.JPG" for number in range(8)]
    dataset.add(*(f"{IMAGES}/{name}" for name in train + test))
    lists(
        dataset,
        [line(name, number) for number, name in enumerate(train)],
        [line(name, number) for number, name in enumerate(test)],
        header,
    )
    rows, _ = dataset.read("affectnet")
    assert rows == {
        f"{IMAGES}/{name}": {"expression": expression, "split": split}
        for split, names in (("train", train), ("test", test))
        for name, expression in zip(names, AFFECTNET_EXPRESSIONS)
    }
    sets = dataset.load(needs=("expression",))
    assert [len(split) for split in sets.values()] == [8, 0, 8]
    assert sets["train"].names("expression") == AFFECTNET_EXPRESSIONS


def test_what_lists_cannot_give_is_counted_by_reason(dataset, dropped):
    dataset.add(*(f"{IMAGES}/1/{name}.jpg" for name in "abcdefg"))
    lists(
        dataset,
        [
            line("1/a.jpg", 0),
            line("1/b.jpg", 1, width=-1),
            line("1/c.jpg", 8),
            line("1/d.jpg", 9),
            line("1/e.jpg", 10),
            line("1/gone.jpg", 2),
            line("1/a.jpg", 0),
        ],
        [line("1/f.jpg", 7)],
    )
    rows, report = dataset.read("affectnet")
    assert list(rows) == [f"{IMAGES}/1/a.jpg", f"{IMAGES}/1/f.jpg"]
    assert dropped(report) == {
        "not a picture": 2,
        "face_width below 0: no face was found": 1,
        "expression 8, none": 1,
        "expression 9, uncertain": 1,
        "expression 10, no face": 1,
        "listed, but no such picture": 1,
        "listed before": 1,
        "in no list": 1,
    }
    assert f"{LISTS}/training.csv:3" in report


def test_a_name_in_two_folders_means_the_one_that_the_list_says(dataset):
    dataset.add(f"{IMAGES}/1/x.jpg", f"{IMAGES}/2/x.jpg")
    lists(dataset, [line("2/x.jpg", 4), line("1/x.jpg", 5)], [])
    rows, _ = dataset.read("affectnet")
    assert [row["expression"] for row in rows.values()] == ["disgust", "fear"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"{HEADER}\n1/a.jpg,1,2\n", "training.csv:2: has 3 cells where there are 9 columns"),
        (f"{HEADER}\n{line('1/a.jpg', 'joy')}\n", "training.csv:2: 'joy' is not a number"),
        ('subDirectory_filePath,face_width\n"1/a.jpg,3\n', "training.csv:2: is not valid CSV"),
        ("subDirectory_filePath,face_width\n1/a.jpg,3\n", "has no column 'expression'"),
        ("", "training.csv: is empty"),
    ],
)
def test_an_unreadable_list_is_told_with_its_line(dataset, content, message):
    dataset.add(f"{IMAGES}/1/a.jpg").text(f"{LISTS}/training.csv", content)
    with pytest.raises(UserError, match=message.replace(".", r"\.")):
        dataset.read("affectnet")


def test_a_list_that_is_no_utf8_or_there_twice_is_told(dataset):
    dataset.add(f"{IMAGES}/1/a.jpg").text(f"{LISTS}/training.csv", HEADER + "é", "utf-16")
    with pytest.raises(UserError, match=r"training\.csv:1: is not UTF-8 text"):
        dataset.read("affectnet")
    dataset.text("old/training.csv", HEADER)
    with pytest.raises(UserError, match=r"name a folder with one training\.csv"):
        dataset.read("affectnet")


def test_repacked_folders_keep_their_splits(dataset, dropped):
    dataset.add(
        "train/0/a.jpg",
        "train/7/b.jpg",
        "val/1/c.PNG",
        "test/happy/d.jpg",
        "train/8/e.jpg",
        "train/other/f.jpg",
        "g.jpg",
    )
    rows, report = dataset.read("affectnet")
    assert rows == {
        "test/happy/d.jpg": {"expression": "happy", "split": "test"},
        "train/0/a.jpg": {"expression": "neutral", "split": "train"},
        "train/7/b.jpg": {"expression": "contempt", "split": "train"},
        "val/1/c.PNG": {"expression": "happy", "split": "val"},
    }
    assert dropped(report) == {
        "expression 8, none": 1,
        "in no folder of an emotion (0 to 7, or its name)": 1,
        "in no folder called train, val or test": 1,
    }


def test_repacked_folders_without_a_test_set_take_val_for_it(dataset):
    dataset.add(*(f"train/{number % 8}/{number}.jpg" for number in range(16)), "val/1/c.jpg")
    rows, _ = dataset.read("affectnet", val_share=0.25)
    splits = [row["split"] for row in rows.values()]
    assert [splits.count(split) for split in ("train", "val", "test")] == [12, 4, 1]
    assert rows["val/1/c.jpg"]["split"] == "test"


def test_annotations_beside_the_pictures_are_read(dataset, dropped):
    def annotate(path, value):
        content = io.BytesIO()
        np.save(content, value)
        file = dataset.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.getvalue())

    for split in ("train_set", "val_set"):
        dataset.add(*(f"{split}/images/{number}.jpg" for number in range(3)))
        for number in range(2):
            annotate(f"{split}/annotations/{number}_exp.npy", np.array(str(number + 3)))
            annotate(f"{split}/annotations/{number}_val.npy", np.array("0.1"))
    rows, report = dataset.read("affectnet")
    assert rows == {
        "train_set/images/0.jpg": {"expression": "surprise", "split": "train"},
        "train_set/images/1.jpg": {"expression": "fear", "split": "train"},
        "val_set/images/0.jpg": {"expression": "surprise", "split": "test"},
        "val_set/images/1.jpg": {"expression": "fear", "split": "test"},
    }
    assert dropped(report) == {"without an annotation (annotations/NAME_exp.npy)": 2}
    assert dataset.progress[-1] == ("reading annotations", 4, 4)
    whole = (dataset.folder / "train_set/annotations/0_exp.npy").read_bytes()
    for content in (b"3", whole.replace(b"'descr': '", b"'descr': ((")):
        (dataset.folder / "train_set/annotations/0_exp.npy").write_bytes(content)
        with pytest.raises(UserError, match=r"0_exp\.npy: is not one number in NumPy's format"):
            dataset.read("affectnet")
