from __future__ import annotations

import numpy as np
import pytest

from legan_tf.errors import UserError

ATTRIBUTES = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Smiling")
# Number, attributes, person, split of CelebA.
PICTURES = (
    (1, (1, 0, 0, 1), 2880, 0),
    (2, (0, 1, 0, 0), 2880, 0),
    (3, (1, 1, 0, 0), 11, 0),
    (4, (0, 0, 0, 1), 12, 1),
    (5, (0, 0, 1, 0), 13, 2),
)


def lists(dataset, form="txt", identity=True, partition=True):
    rows = [(f"{n:06d}.jpg", [str(2 * a - 1) for a in has], w, s) for n, has, w, s in PICTURES]
    if form == "txt":
        text = "".join(f"{name} {' '.join(f'{v:>2}' for v in has)}\n" for name, has, _, _ in rows)
        dataset.text("Anno/list_attr_celeba.txt", f"{len(rows)}\n{' '.join(ATTRIBUTES)} \n{text}")
        people = "".join(f"{name} {who}\n" for name, _, who, _ in rows)
        parts = "".join(f"{name} {part}\n" for name, _, _, part in rows)
    else:
        text = "".join(f"{name},{','.join(has)}\n" for name, has, _, _ in rows)
        dataset.text("list_attr_celeba.csv", f"image_id,{','.join(ATTRIBUTES)}\n{text}")
        people = "".join(f"{name} {who}\n" for name, _, who, _ in rows)
        parts = "image_id,partition\n" + "".join(f"{name},{p}\n" for name, _, _, p in rows)
    if identity:
        dataset.text("Anno/identity_CelebA.txt", people)
    if partition:
        dataset.text(f"Eval/list_eval_partition.{form}", parts)
    return dataset


@pytest.mark.parametrize("form", ["txt", "csv"])
def test_attributes_people_and_the_official_partition_are_read(dataset, form):
    lists(dataset, form).add(*(f"img_align_celeba/{n:06d}.jpg" for n, *_ in PICTURES))
    rows, report = dataset.read("celeba")
    assert rows == {
        f"img_align_celeba/{n:06d}.jpg": {
            "identity": f"celeba{who}",
            "expression": "Smiling" if has[3] else "not Smiling",
            "split": ("train", "val", "test")[part],
            **{f"attribute:{name}": str(value) for name, value in zip(ATTRIBUTES, has)},
        }
        for n, has, who, part in PICTURES
    }
    assert "There is no" not in report
    sets = dataset.load(needs=("expression",))
    assert [len(split) for split in sets.values()] == [3, 1, 1]
    assert sets["train"].names("attributes") == ATTRIBUTES
    wanted = [has for _, has, _, _ in PICTURES]
    np.testing.assert_array_equal(sets["train"].labels["attributes"], wanted[:3])
    np.testing.assert_array_equal(sets["test"].labels["attributes"], wanted[4:])


def test_of_several_attributes_the_only_one_is_the_class(dataset):
    lists(dataset).add(*(f"img_align_celeba/{n:06d}.jpg" for n, *_ in PICTURES))
    rows, report = dataset.read("celeba", attributes="Black_Hair,Blond_Hair, Brown_Hair")
    assert [row.get("expression", "") for row in rows.values()] == [
        "Black_Hair",
        "Blond_Hair",
        "",
        "",
        "Brown_Hair",
    ]
    assert "expression (unknown)" in report


def test_an_unknown_attribute_is_told_with_the_one_meant(dataset):
    lists(dataset).add("000001.jpg")
    with pytest.raises(UserError, match=r"no attribute 'Blonde_Hair'; did you mean Blond_Hair\?"):
        dataset.read("celeba", attributes="Blonde_Hair")


def test_without_people_and_partition_pictures_are_split_one_by_one(dataset):
    lists(dataset, identity=False, partition=False)
    dataset.add(*(f"{n:06d}.jpg" for n, *_ in PICTURES))
    rows, report = dataset.read("celeba")
    assert sorted(row["split"] for row in rows.values()) == ["test"] + ["train"] * 3 + ["val"]
    assert "There is no identity_celeba: nobody is known." in report
    assert "There is no list_eval_partition: the split is ours, not the official one." in report


def test_copies_and_gaps_are_counted_and_the_aligned_picture_taken(dataset, dropped):
    lists(dataset).add("img_celeba/000001.jpg", "img_align_celeba_png/000001.png")
    dataset.add("img_align_celeba/000001.jpg", "img_align_celeba_png/000002.PNG", "000099.jpg")
    rows, report = dataset.read("celeba")
    assert list(rows) == ["img_align_celeba/000001.jpg", "img_align_celeba_png/000002.PNG"]
    assert dropped(report) == {
        "not a picture": 3,
        "another copy of the same picture": 2,
        "listed, but no such picture": 3,
        "not in list_attr_celeba": 1,
    }


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("list_attr_celeba.txt", "1\nSmiling\n000001.jpg\n", r"txt:3: has 1 cells instead of 2"),
        ("list_attr_celeba.txt", "1\nSmiling\n000001.jpg 2\n", r"txt:3: '2' is no label of an"),
        ("list_attr_celeba.txt", "", "holds no list_attr_celeba"),
    ],
)
def test_a_damaged_list_is_told(dataset, file, content, message):
    dataset.add("000001.jpg").text(file, content)
    with pytest.raises(UserError, match=message):
        dataset.read("celeba")


def test_a_wrong_split_is_told_with_its_line(dataset):
    lists(dataset).add("000001.jpg").text("Eval/list_eval_partition.txt", "000001.jpg 3\n")
    with pytest.raises(UserError, match=r"list_eval_partition\.txt:1: '3' is no split"):
        dataset.read("celeba")
