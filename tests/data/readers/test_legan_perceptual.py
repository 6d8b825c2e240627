from __future__ import annotations

import json
import math
import os

import numpy as np
import pytest

from legan_tf.data.splits import SPLITS
from legan_tf.errors import UserError


def ratings(rows):
    return {p: (r["rating_mean"], r["rating_std"]) for p, r in rows.items()}


def test_means_and_deviations_are_read_and_pictures_found_by_name(dataset):
    names = [f"gan_{number:03d}.png" for number in range(10)]
    dataset.add(*(f"StyleGAN/part {int(name[6]) % 2}/{name}" for name in names))
    lines = [
        f"{name},{1 + number * 0.9:.4f},{number * 0.4:.4f}" for number, name in enumerate(names)
    ]
    dataset.text("labels.csv", "\n".join(["image_name,mean,std", *lines]))
    rows, report = dataset.read("legan_perceptual")
    assert ratings(rows) == {
        f"StyleGAN/part {number % 2}/{name}": (f"{1 + number * 0.9:.6g}", f"{number * 0.4:.6g}")
        for number, name in enumerate(names)
    }
    splits = [row["split"] for row in rows.values()]
    assert [splits.count(split) for split in SPLITS] == [8, 1, 1]
    assert "10 pictures of StyleGAN." in report
    train = dataset.load(needs=("rating",))["train"]
    assert len(train) == 8 and not np.isnan(train.rating_mean).any()


def test_three_ratings_become_mean_and_population_deviation(dataset):
    dataset.add("a.png", "b.png", "c.png")
    dataset.text("raw.csv", "name,rating1,rating2,rating3\na.png,2,2,9\nb.png,8,10,10\n")
    dataset.text("more.txt", "c.png 1 3 5\n")
    rows, _ = dataset.read("legan_perceptual")
    assert ratings(rows) == {
        "a.png": (f"{13 / 3:.6g}", f"{math.sqrt(98 / 9):.6g}"),
        "b.png": (f"{28 / 3:.6g}", f"{math.sqrt(8 / 9):.6g}"),
        "c.png": ("3", f"{math.sqrt(8 / 3):.6g}"),
    }


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("l.csv", "a.png,4.3,3.3\nb.png,8,0\n"),
        ("l.csv", "a.png,StyleGAN,4.3,3.3\nb.png,ProGAN,8,0\n"),
        ("l.csv", "Filename;m;s\r\na.png;4.3;3.3\r\nb.png;8;0\r\n"),
        ("l.tsv", "path\tstd\tmean\nStyleGAN/a.png\t3.3\t4.3\nother/b.png\t0\t8\n"),
        ("l.txt", "a.png 4.3 3.3\n\nb.png   8.0 0.0\n"),
        ("l.txt", "a 4.3 3.3\nb 8 0\n"),
        ("l.csv", "who,r1,r2,r3,mean,std\na.png,2,2,9,4.3,3.3\nx/b.png,8,8,8,8,0\n"),
        (
            "l.json",
            json.dumps(
                [
                    {"Name": n, "mean": m, "std": s}
                    for n, m, s in (("a.png", 4.3, 3.3), ("b.png", 8, 0))
                ]
            ),
        ),
        ("l.json", json.dumps({"a.png": {"mean": 4.3, "std": 3.3}, "b": {"mean": 8, "std": 0}})),
        ("l.json", json.dumps({"a.png": [4.3, 3.3], "b.png": [8, 8, 8]})),
        (
            "l.json",
            json.dumps(
                {
                    "StyleGAN": {"a.png": [4.3, 3.3]},
                    "ProGAN": [{"image": "b.png", "ratings": [8, 8, 8]}],
                }
            ),
        ),
    ],
)
def test_label_files_of_many_forms_say_the_same(dataset, file, content):
    dataset.add("a.png", "x/b.png").text(file, content)
    rows, _ = dataset.read("legan_perceptual")
    assert ratings(rows) == {"a.png": ("4.3", "3.3"), "x/b.png": ("8", "0")}


def test_one_name_under_two_sources_is_told_apart_by_what_the_list_says(dataset, dropped):
    dataset.add("StyleGAN/0001.png", "ProGAN/0001.png", "ProGAN/0002.png", "StyleGAN/0002.png")
    dataset.text("StyleGAN/labels.txt", "0001.png 9 0\n")
    dataset.text("all.csv", "name,mean,std\nProGAN/0001.png,2,1\n0002.png,5,1\n")
    rows, report = dataset.read("legan_perceptual")
    assert ratings(rows) == {"StyleGAN/0001.png": ("9", "0"), "ProGAN/0001.png": ("2", "1")}
    assert dropped(report) == {
        "several pictures have the name": 1,
        "a picture that no label file rates": 2,
    }


def test_frames_of_a_video_and_pictures_of_a_subject_stay_together(dataset):
    names = []
    for video in range(20):
        one, other = f"{2 * video:03d}", f"{2 * video + 1:03d}"
        names += [f"FaceForensics/Deepfakes/{one}_{other}/{frame:04d}.png" for frame in range(2)]
        names += [f"FaceForensics/FaceSwap_{other}_{one}_0007.png"]
        letters = "abcdefghij"[video % 10] * 9 + "ab"[video // 10]
        names += [f"DeepFake/{letters}_{frame}.png" for frame in range(3)]
    dataset.add(*names)
    dataset.text("labels.csv", "name,mean,std\n" + "".join(f"{n},5,1\n" for n in names))
    rows, report = dataset.read("legan_perceptual")
    assert len(rows) == 120
    assert rows["FaceForensics/FaceSwap_003_002_0007.png"]["identity"] == "FaceForensics++ 002-003"
    assert rows["DeepFake/bbbbbbbbba_0.png"]["identity"] == "DeepFake bbbbbbbbba"
    together = {}
    for row in rows.values():
        together.setdefault(row["identity"], []).append(row["split"])
    assert {(len(splits), len(set(splits))) for splits in together.values()} == {(3, 1)}
    for source in ("FaceForensics++", "DeepFake"):
        splits = [s[0] for who, s in together.items() if who.startswith(source)]
        assert [splits.count(split) for split in SPLITS] == [16, 2, 2]
        assert f"60 pictures of {source}." in report
    dataset.load(needs=("rating",))


def test_notre_dame_names_are_counted_or_found_in_ones_own_copy(dataset, dropped, tmp_path):
    dataset.add("StyleGAN/s.png")
    dataset.text("StyleGAN/labels.csv", "name,mean,std\ns.png,7,1\n")
    dataset.text(
        "notre_dame/labels.csv",
        "name,mean,std\n04463d12.jpg,3,1.6\n04463d13,4,0\n05999d1.jpg,6,2\n",
    )
    rows, report = dataset.read("legan_perceptual")
    assert list(rows) == ["StyleGAN/s.png"]
    reason = "of Notre Dame, which has to be got from there (give --notre_dame_dir)"
    assert dropped(report) == {reason: 3}
    own = tmp_path / "own copy"
    (own / "a").mkdir(parents=True)
    for name in ("04463d12.jpg", "04463d13.png", "09999d1.jpg"):
        (own / "a" / name).write_bytes(
            (dataset.folder / "StyleGAN/s.png").read_bytes() + name.encode()
        )
    rows, report = dataset.read("legan_perceptual", notre_dame_dir=str(own))
    first, second = (f"../own copy/a/{name}" for name in ("04463d12.jpg", "04463d13.png"))
    assert ratings(rows)[first] == ("3", "1.6") and ratings(rows)[second] == ("4", "0")
    assert rows[first]["identity"] == rows[second]["identity"] == "Notre Dame 04463"
    assert rows[first]["split"] == rows[second]["split"]
    assert dropped(report) == {"no such picture, nor in --notre_dame_dir": 1}
    assert "2 pictures of Notre Dame." in report
    dataset.load()
    # From elsewhere, by a path that is not full, the same.
    here = os.getcwd()
    os.chdir(tmp_path)
    try:
        assert dataset.read("legan_perceptual", notre_dame_dir="own copy")[0] == rows
    finally:
        os.chdir(here)


def test_labels_that_cannot_be_are_counted_by_reason(dataset, dropped):
    dataset.add(*(f"{name}.png" for name in "abcdef"))
    dataset.text(
        "labels.csv",
        "name,mean,std\na.png,5,1\nb.png,0.5,1\nc.png,11,1\nd.png,5,4.6\ne.png,five,1\n"
        "a.png,5,1\ng.png,5,1\nf.png,1,0\n",
    )
    dataset.text("README.txt", "Ratings, by people, of faces\nSee 1 paper, 2 figures\n")
    rows, report = dataset.read("legan_perceptual")
    assert list(rows) == ["a.png", "f.png"]
    assert dropped(report) == {
        "neither a picture nor a label file": 1,
        "line without name, mean and std, or name and three ratings": 1,
        "mean rating outside 1 to 10": 2,
        "standard deviation outside 0 to 4.5": 1,
        "rated before": 1,
        "no such picture (those of Notre Dame need --notre_dame_dir)": 1,
        "a picture that no label file rates": 4,
    }


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("README.txt", "Nothing here", "README.txt (no lines of name, mean and std"),
        ("labels.json", "{", "labels.json: is not valid JSON"),
        ("labels.csv", 'a.png,"4,1\n', "labels.csv:1: is not valid CSV"),
    ],
)
def test_a_tree_without_label_file_is_refused_and_what_was_looked_at_named(
    dataset, file, content, message
):
    dataset.add("a.png").text(file, content)
    with pytest.raises(UserError, match="holds no label file") as error:
        dataset.read("legan_perceptual")
    assert message in str(error.value)


def test_pictures_called_by_bare_numbers_are_found(dataset):
    dataset.add("0001.png", "0002.png").text("labels.txt", "0001 4 0.5\n0002 1 1 10\n")
    rows, _ = dataset.read("legan_perceptual")
    assert ratings(rows) == {"0001.png": ("4", "0.5"), "0002.png": ("4", "4.24264")}
