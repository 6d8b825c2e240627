from __future__ import annotations

import pytest

from legan_tf.errors import UserError


def test_casia_is_a_folder_for_each_person(dataset, dropped):
    people = [f"{45 + number:07d}" for number in range(10)]
    dataset.add(*(f"CASIA-WebFace/{person}/{n:03d}.jpg" for person in people for n in (1, 2)))
    dataset.add("CASIA-WebFace/notes/001.jpg").text("CASIA-WebFace/names.txt", "x")
    rows, report = dataset.read("casia")
    splits = {row["identity"]: row["split"] for row in rows.values()}
    assert sorted(splits.values()) == ["test"] + ["train"] * 8 + ["val"]
    assert rows == {
        f"CASIA-WebFace/{person}/{n:03d}.jpg": {
            "identity": f"casia{person}",
            "split": splits[f"casia{person}"],
        }
        for person in people
        for n in (1, 2)
    }
    assert dropped(report) == {"not a picture": 1, "in no folder of a person (seven digits)": 1}
    sets = dataset.load(needs=("identity",))
    assert [len(split) for split in sets.values()] == [16, 2, 2]


def test_lfw_is_a_folder_for_each_person_whose_name_the_files_repeat(dataset, dropped):
    dataset.add("lfw/Ana_Li/Ana_Li_0001.jpg", "lfw/Ana_Li/Ana_Li_0002.JPG")
    dataset.add("lfw/Bo_Ek/Bo_Ek_0001.jpg", "lfw/Cy/Cy_0001.jpg", "lfw/Cy/Dee_0001.jpg")
    rows, report = dataset.read("lfw")
    assert {path: row["identity"] for path, row in rows.items()} == {
        "lfw/Ana_Li/Ana_Li_0001.jpg": "Ana_Li",
        "lfw/Ana_Li/Ana_Li_0002.JPG": "Ana_Li",
        "lfw/Bo_Ek/Bo_Ek_0001.jpg": "Bo_Ek",
        "lfw/Cy/Cy_0001.jpg": "Cy",
    }
    assert {row["identity"]: row["split"] for row in rows.values()}.keys() == {
        "Ana_Li",
        "Bo_Ek",
        "Cy",
    }
    assert sorted({row["split"] for row in rows.values()}) == ["test", "train", "val"]
    assert dropped(report) == {"not called PERSON_0001 in a folder PERSON": 1}


@pytest.mark.parametrize(
    ("source", "path", "other"),
    [
        ("lfw", "0000045/001.jpg", "casia"),
        ("casia", "Ana_Li/Ana_Li_0001.jpg", "lfw"),
        ("rafd", "train/0/a.jpg", "affectnet"),
    ],
)
def test_a_tree_of_another_source_is_recognised(dataset, source, path, other):
    dataset.add(path)
    with pytest.raises(UserError, match=f"It looks like --source={other}"):
        dataset.read(source)


def test_class_folders_below_split_folders_are_expressions(dataset):
    dataset.add("train/angry/1.jpg", "train/happy/deep/2.jpg", "test/angry/3.PNG", "train/4.jpg")
    rows, _ = dataset.read("folder")
    assert rows == {
        "test/angry/3.PNG": {"expression": "angry", "split": "test"},
        "train/4.jpg": {"split": "train"},
        "train/angry/1.jpg": {"expression": "angry", "split": "train"},
        "train/happy/deep/2.jpg": {"expression": "happy", "split": "train"},
    }
    assert dataset.load(needs=("expression",))["train"].names("expression") == ("happy", "angry")


def test_class_folders_alone_are_split_by_picture_and_people_whole(dataset):
    dataset.add(*(f"p{person}/{number}.png" for person in range(10) for number in range(5)))
    rows, _ = dataset.read("folder", folder_column="lighting")
    splits = [row["split"] for row in rows.values()]
    assert [splits.count(split) for split in ("train", "val", "test")] == [40, 5, 5]
    assert len({row["split"] for path, row in rows.items() if path.startswith("p")}) == 3
    assert {row["lighting"] for row in rows.values()} == {f"p{person}" for person in range(10)}
    rows, _ = dataset.read("folder", folder_column="identity")
    assert len({(row["identity"], row["split"]) for row in rows.values()}) == 10
    dataset.load(needs=("identity",))


def test_a_flat_folder_has_no_classes(dataset):
    dataset.add(*(f"{number}.png" for number in range(10)))
    rows, report = dataset.read("folder")
    assert all(set(row) == {"split"} for row in rows.values()) and len(rows) == 10
    assert "expression" not in report


def test_pictures_beside_the_split_folders_are_counted_and_a_missing_test_told(dataset, dropped):
    dataset.add("train/a/1.jpg", "train/b/2.jpg", "cover.png")
    rows, report = dataset.read("folder", val_share=0.5)
    assert sorted(row["split"] for row in rows.values()) == ["train", "val"]
    assert dropped(report) == {"in no folder of a split, where others are": 1}
    assert "There is no folder called test: nothing is held out for it." in report
