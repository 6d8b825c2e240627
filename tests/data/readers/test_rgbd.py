from __future__ import annotations

import pytest

from legan_tf.data.splits import SPLITS
from legan_tf.errors import UserError

RAFD = "Rafd{view}_{person:02d}_Caucasian_male_{emotion}_{gaze}"


def test_maps_are_found_in_parallel_folders_and_checked_to_be_there(dataset):
    for emotion in ("happy", "sad"):
        for number in range(10):
            dataset.add(f"images/{emotion}/{number}.jpg", f"depth/{emotion}/{number}.png")
    dataset.add("normals/sad/3.png")
    rows, report = dataset.read("affectnet_d")
    assert set(rows) == {f"images/{e}/{n}.jpg" for e in ("happy", "sad") for n in range(10)}
    row = rows["images/sad/3.jpg"]
    assert row.pop("split") in SPLITS
    assert row == {
        "expression": "sad",
        "depth": "depth/sad/3.png",
        "normal": "normals/sad/3.png",
    }
    assert "depth maps: 20" in report and "normal maps: 1" in report
    splits = [row["split"] for row in rows.values() if "split" in row]
    assert splits.count("test") == 2
    sets = dataset.load(needs=("expression",))
    assert len(sets["train"]) == 18 and sets["train"].names("expression") == ("happy", "sad")


@pytest.mark.parametrize(
    ("picture", "depth"),
    [
        ("train/4/x.jpg", "depth/train/4/x.png"),
        ("train/4/x.jpg", "train/4/depth/X.PNG"),
        ("AffectNet-D/rgb/train/fear/x 1.jpg", "AffectNet-D/depth_maps/train/fear/x 1.exr"),
        ("train/Fearful/x_rgb.png", "train/Fearful/x_depth.png"),
        ("train/4/x.jpg", "train/4/x-depth.npy"),
    ],
)
def test_folders_and_endings_of_several_habits_make_pairs(dataset, picture, depth):
    dataset.add(picture).text(depth, "a map")
    rows, _ = dataset.read("affectnet_d")
    assert rows == {picture: {"expression": "fear", "depth": depth, "split": "train"}}


def test_the_split_of_folders_is_kept_and_val_is_the_test_set(dataset):
    for split in ("train", "val"):
        dataset.add(f"rgb/{split}/0/{split}.png", f"depth/{split}/0/{split}.png")
    rows, _ = dataset.read("affectnet_d")
    assert [row["split"] for row in rows.values()] == ["train", "test"]


def test_what_has_no_partner_or_label_is_counted(dataset, dropped):
    dataset.add("0/a.jpg", "depth/0/a.png", "0/b.jpg", "depth/0/c.png", "0/a.png")
    dataset.add("more/d.jpg", "depth/more/d.png").text("README.txt", "AffectNet-D")
    rows, report = dataset.read("affectnet_d")
    assert list(rows) == ["0/a.jpg"]
    assert dropped(report) == {
        "without a depth or normal map": 1,
        "depth map without its picture": 1,
        "same name as a file before": 1,
        "not a picture": 1,
        "in no folder of an emotion (0 to 7, or its name), and no list has a label": 1,
    }


def test_a_list_gives_pairs_labels_and_splits(dataset, dropped):
    dataset.add("rgb/a.png", "depth/a.png", "rgb/b.png", "depth/b.png", "normal/b.png")
    dataset.add("rgb/c.png")
    dataset.text(
        "pairs.csv",
        "rgb,depth,normal,label,split\n"
        "a.png,a.png,,6,train\n"
        "rgb/b.png,depth/b.png,normal/b.png,Happiness,validation\n"
        "rgb/c.png,,,1,train\n"
        "rgb/gone.png,depth/gone.png,,1,train\n"
        "rgb/a.png,depth/a.png,,6,train\n",
    )
    rows, report = dataset.read("affectnet_d")
    assert rows == {
        "rgb/a.png": {"expression": "anger", "depth": "depth/a.png", "split": "train"},
        "rgb/b.png": {
            "expression": "happy",
            "depth": "depth/b.png",
            "normal": "normal/b.png",
            "split": "test",
        },
    }
    assert dropped(report) == {
        "listed, but no such file": 1,
        "listed before": 1,
        "without a depth or normal map": 1,
    }


def test_a_wrong_label_is_told_with_its_line_and_another_csv_is_passed_over(dataset):
    dataset.add("rgb/a.png", "depth/a.png").text("notes.csv", "x,y\n1,2\n")
    dataset.text("pairs.csv", "image,depth,label\nrgb/a.png,depth/a.png,joyful\n")
    with pytest.raises(UserError, match=r"pairs\.csv:2: 'joyful' is no emotion"):
        dataset.read("affectnet_d")
    dataset.text("pairs.csv", "image,depth,label\nrgb/a.png,depth/a.png,2\n")
    rows, report = dataset.read("affectnet_d")
    assert rows["rgb/a.png"]["expression"] == "sad"
    assert "notes.csv lists no pairs: it needs a column rgb or image" in report


def test_a_tree_without_maps_is_refused(dataset):
    dataset.add("0/a.jpg", "1/b.jpg")
    with pytest.raises(UserError, match="2 without a depth or normal map"):
        dataset.read("affectnet_d")


def test_rafd_d_takes_people_and_emotions_from_rafds_names(dataset, dropped):
    for person in range(1, 11):
        for view in ("000", "045", "090"):
            name = RAFD.format(view=view, person=person, emotion="angry", gaze="left")
            dataset.add(f"rgb/{name}.jpg", f"depth/{name}.png")
    rows, report = dataset.read("rafd_d")
    assert dropped(report) == {"of another view than --views=045,090,135": 10}
    splits = {row["identity"]: row["split"] for row in rows.values()}
    assert sorted(splits.values()) == ["test"] + ["train"] * 9
    name = RAFD.format(view="090", person=4, emotion="angry", gaze="left")
    assert rows[f"rgb/{name}.jpg"] == {
        "identity": "rafd04",
        "expression": "anger",
        "depth": f"depth/{name}.png",
        "split": splits["rafd04"],
    }
    assert {len([p for p, r in rows.items() if r["identity"] == who]) for who in splits} == {2}


def test_rafd_d_has_the_same_people_in_test_as_rafd(dataset):
    for person in range(1, 31):
        name = RAFD.format(view="090", person=person, emotion="sad", gaze="frontal")
        dataset.add(f"rgb/{name}.jpg", f"depth/{name}.png")
    with_depth, _ = dataset.read("rafd_d", seed=3)
    for file in (dataset.folder / "depth").iterdir():
        file.unlink()
    plain, _ = dataset.read("rafd", seed=3)
    assert {p: r["split"] for p, r in plain.items()} == {
        p: r["split"] for p, r in with_depth.items()
    }
