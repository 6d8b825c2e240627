from __future__ import annotations

import copy
import json
import math

import numpy as np
import pytest

from legan_tf.data.conditions import of_classes
from legan_tf.data.faceset import FaceSet, from_pool
from legan_tf.evaluation.edit_plan import EditPlan
from legan_tf.evaluation.report import as_markdown, edit_pictures, write_report

INPUT = "16 x 16, bilinear, antialias"
REPORT = {
    "format": 2,
    "kind": "editor",
    "model": {"name": "legan", "path": "runs/legan", "sha256": "ab" * 32},
    "data": {
        "name": "rendered/test",
        "people": 3,
        "images": 1200,
        "image_size": 16,
        "seed": 0,
        "sha256": "cd" * 32,
        "with_truth": 3,
        "reference": 1000,
    },
    "edits": 4,
    "seed": 0,
    "classes": {"expression": ("neutral", "smile"), "lighting": ("shot00", "shot04")},
    "networks": {"face": {"name": "lightcnn", "sha256": "ef" * 32, "input": INPUT}},
    "missing": ["Ratings need --quality_model."],
    "figures": {
        "edit": {"fid": 1.25, "ssim": 0.5, "psnr": 20.0, "light_error": math.nan},
        "copy": {"fid": 2.0, "ssim": 0.25, "psnr": 10.0},
        "truth": {"fid": 0.5, "psnr": math.inf},
    },
    "intervals": {"edit": {"fid": (1.0, 1.5)}, "copy": {}, "truth": {}},
    "resampled": {"edit": "people", "copy": "people", "truth": "people"},
    "confusion": {"edit": {"expression": [[1, 1], [0, 2]]}},
    "identity_distances": {"edit": [0.5, 0.75, 1.0, 0.5], "others": [1.0, 1.25]},
}
SCORER = {
    "format": 2,
    "kind": "scorer",
    "model": {"name": "q", "path": "runs/q", "sha256": "ab" * 32},
    "data": {"name": "faces.csv/test", "image_size": 16, "seed": 3, "rated": 1234},
    "figures": {
        "mae": 1.0,
        "rmse": 1.5,
        "pearson": math.nan,
        "spearman": -0.25,
        "within_std": 0.5,
        "natural_accuracy": 0.75,
    },
}


def seen():
    images = np.zeros((4, 16, 16, 3), np.uint8)
    rating = np.array([4.0, 5.0, 6.0, 7.0])
    rows = {name: {"images": images, "predicted_rating": rating} for name in ("edit", "copy")}
    labels = dict.fromkeys(REPORT["classes"], np.array([0, 1, 0, 1]))
    pool, nan = from_pool(images), np.full(4, np.nan)
    faces = FaceSet(
        "a", 16, of_classes(**REPORT["classes"]), labels, ("b",), np.zeros(4, int), nan, nan, pool
    )
    plan = EditPlan(np.arange(4), labels, labels, np.array([0, 1, -1, 1]), np.arange(2))
    return rows, faces, plan


def test_a_report_says_everything_in_words():
    report = copy.deepcopy(REPORT)
    del report["figures"]["edit"]["light_error"]
    assert as_markdown(report, ["a.png"]).split("\n") == [
        "# legan",
        "",
        "|  | the model's edits | the input, copied | the true pictures |",
        "| --- | ---: | ---: | ---: |",
        "| Fréchet distance ↓ | 1.250 [1.000, 1.500] | 2.000 | 0.500 |",
        "| SSIM ↑ | 0.500 | 0.250 | – |",
        "| PSNR (dB) ↑ | 20.00 | 10.00 | ∞ |",
        "",
        "4 pictures of 3 people, from rendered/test (1,200 pictures, 16 x 16), seed 0. Fréchet "
        "distance: to 1,000 real pictures, with 95 % intervals by resampling people.",
        "Sources and targets are uniform; quality is the mean rating, 1 to 10; what each row means "
        "is in docs/evaluation.md.",
        "A true picture is known for 3 of the edits.",
        "",
        "| measured with | sha256 | pictures enter as |",
        "| --- | --- | --- |",
        f"| face: lightcnn | efefefefefefefef… | {INPUT} |",
        "",
        "- Ratings need --quality_model.",
        "",
        "Model: `runs/legan`, sha256 abababababababab…",
        "",
        "![a.png](a.png)",
        "",
    ]


def test_fid_is_called_so_with_an_inception_network_alone():
    def headings(**networks):
        report = copy.deepcopy(REPORT)
        del report["figures"]["edit"]["light_error"]
        report["figures"]["edit"]["kid"] = 0.5
        for kind, (name, sha256) in networks.items():
            report["networks"][kind] = {"name": name, "sha256": sha256 * 64, "input": INPUT}
        lines = as_markdown(report).split("\n")
        told = next(line for line in lines if "real pictures" in line)
        headings = [line.split(" ↓")[0][2:] for line in lines[4:6]]
        assert f"{', '.join(headings)}: to 1,000 real pictures" in told
        return headings

    for name in ("TF-GAN Inception pool_3", "keras.applications InceptionV3", "fid_inception"):
        assert headings(features=(name, "1")) == ["FID", "KID"]
    face = [f"{what} distance (face network)" for what in ("Fréchet", "kernel")]
    assert headings(face=("lightcnn", "1"), features=("lightcnn", "1")) == face
    other = [f"{what} distance (resnet)" for what in ("Fréchet", "kernel")]
    assert headings(face=("lightcnn", "1"), features=("resnet", "2")) == other


def test_the_resampled_units_of_rows_that_differ_are_told_apart():
    report = copy.deepcopy(REPORT)
    del report["figures"]["edit"]["light_error"]
    report["resampled"] = {"edit": "pictures", "truth": "people"}
    told = "by resampling pictures (the model's edits); people (the true pictures)."
    assert told in as_markdown(report)


def test_a_report_on_ratings_says_everything_in_words():
    report = copy.deepcopy(SCORER)
    del report["figures"]["pearson"]
    assert as_markdown(report).split("\n") == [
        "# q",
        "",
        "|  |  |",
        "| --- | ---: |",
        "| mean absolute error ↓ | 1.000 |",
        "| root mean square error ↓ | 1.500 |",
        "| Pearson ↑ | – |",
        "| Spearman ↑ | -0.250 |",
        "| within one std of the raters ↑ | 0.500 |",
        "| natural or not, as people say ↑ | 0.750 |",
        "",
        "1,234 rated pictures of faces.csv/test, 16 x 16, seed 3.",
        "",
        "Model: `runs/q`, sha256 abababababababab…",
        "",
    ]


def test_what_is_written_is_strict_json_and_what_is_returned(tmp_path):
    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    for given in (REPORT, SCORER):
        returned = write_report(str(tmp_path), given)
        text = (tmp_path / "report.json").read_text()
        assert json.loads(text, parse_constant=refuse) == returned
    assert set(returned["figures"]) == {*SCORER["figures"]} - {"pearson"}
    returned = write_report(str(tmp_path), REPORT)
    assert returned["figures"]["truth"] == {"fid": 0.5, "psnr": "inf"}
    assert "light_error" not in returned["figures"]["edit"]
    assert returned["classes"]["expression"] == ["neutral", "smile"]


def test_the_pictures_stand_in_the_report(tmp_path):
    report = copy.deepcopy(REPORT)
    report["confusion"]["edit"]["attributes:Smiling"] = [[1, 1], [0, 2]]  # Counted, not drawn.
    write_report(str(tmp_path), report, edit_pictures(report, *seen()))
    names = ["edits.png", "expression-edit.png", "identity.png", "quality.png"]
    assert sorted(path.name for path in tmp_path.glob("*.png")) == names
    lines = (tmp_path / "report.md").read_text().splitlines()
    assert [line for line in lines if line.startswith("!")] == [f"![{n}]({n})" for n in names]


@pytest.mark.parametrize("wrong", ["identity_distances", "confusion"])
def test_what_is_no_distance_and_no_matrix_is_not_drawn(wrong):
    report = copy.deepcopy(REPORT)
    report["identity_distances"]["edit"][0] = -1.0 if wrong == "identity_distances" else 1.0
    report["confusion"]["edit"]["expression"] = [[1]] if wrong == "confusion" else [[1, 0], [0, 1]]
    with pytest.raises(ValueError):
        edit_pictures(report, *seen())


def test_doubts_stand_before_what_is_missing():
    text = as_markdown({**REPORT, "figures": {}, "doubts": ["Faces are not told apart."]})
    assert "\n- Faces are not told apart.\n- Ratings need --quality_model.\n" in text
