from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from legan_tf.errors import UserError
from legan_tf.evaluation.config import EvaluationConfig
from legan_tf.evaluation.edit_plan import draw_plan
from legan_tf.evaluation.evaluate import evaluate
from legan_tf.evaluation.evaluate_pictures import PictureFolder, evaluate_pictures

EDITS = 40
EVERY = {"expression": np.arange(6), "lighting": np.arange(19)}


def save(folder, pictures):
    folder.mkdir()
    for i, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"{i:04}.png")
    return str(folder)


def test_true_pictures_are_as_far_as_true_pictures_are(few_people, judges, tmp_path):
    plan = draw_plan(few_people, EVERY, EDITS, 0)
    folder = save(tmp_path / "mine", few_people.images(plan.truth))
    config = EvaluationConfig(edits=EDITS, **judges)
    report = evaluate_pictures(folder, str(tmp_path / "out"), config)
    assert report["figures"]["edit"] == report["figures"]["truth"]
    # Who is in the pictures of a folder is not known.
    units = {"edit": "people, and pictures of unknown people", "truth": "people"}
    assert report["resampled"] == units and report["intervals"].keys() == units.keys()
    assert set(report["figures"]["edit"]) == {"fid", "kid", "rating", "natural"}
    assert (report["kind"], report["edits"], report["data"]["reference"]) == ("pictures", 40, 40)
    assert set(report["networks"]) == {"face", "quality", "features"}
    assert report["missing"] == []
    assert report["model"]["name"] == "mine"
    text = (tmp_path / "out" / "report.md").read_text()
    assert "|  | the pictures | the true pictures |" in text


def test_edits_score_as_pictures_what_they_score_as_edits(few_people, judges, dimming, tmp_path):
    config = EvaluationConfig(edits=EDITS, cache=str(tmp_path / "cache"), **judges)
    editor = dimming()
    wanted = evaluate(editor, str(tmp_path / "a"), config)["figures"]["edit"]
    plan = draw_plan(few_people, EVERY, EDITS, 0)
    edits = editor(few_people.images(plan.index), **plan.labels)
    found = evaluate_pictures(save(tmp_path / "mine", edits), str(tmp_path / "b"), config)
    figures = found["figures"]["edit"]
    assert figures == {key: wanted[key] for key in figures}


def test_as_many_true_pictures_are_beside_as_were_given(few_people, judges, tmp_path):
    folder = save(tmp_path / "mine", few_people.images(np.arange(9)))
    config = EvaluationConfig(edits=EDITS, cache=str(tmp_path / "cache"), **judges)
    few = evaluate_pictures(folder, str(tmp_path / "out"), config)
    plan = draw_plan(few_people, EVERY, EDITS, 0)
    truth = save(tmp_path / "truth", few_people.images(plan.truth[:9]))
    again = evaluate_pictures(truth, str(tmp_path / "out"), config)
    assert few["figures"]["truth"] == again["figures"]["edit"] == again["figures"]["truth"]
    assert few["model"]["sha256"] != again["model"]["sha256"]


def test_a_report_may_be_written_into_the_folder_of_the_pictures(few_people, judges, tmp_path):
    folder = save(tmp_path / "mine", few_people.images(np.arange(5)))
    config = EvaluationConfig(edits=5, **judges)
    first = evaluate_pictures(folder, str(tmp_path / "mine" / "out"), config)
    assert evaluate_pictures(folder, str(tmp_path / "mine" / "out"), config) == first


def test_ratings_that_cannot_be_had_are_named(tmp_path, few_people, judges):
    folder = save(tmp_path / "mine", few_people.images(np.arange(9)))
    (tmp_path / "faces.csv").write_text(
        "path,split\n" + "".join(f"mine/{i:04}.png,test\n" for i in range(9))
    )
    config = EvaluationConfig(
        dataset="manifest",
        manifest=str(tmp_path / "faces.csv"),
        identity_model=judges["identity_model"],
        edits=EDITS,
    )
    report = evaluate_pictures(folder, str(tmp_path / "out"), config)
    assert report["missing"] == ["Ratings need --quality_model."]
    # Nobody knows who these people are, so there is no true picture of anybody.
    assert set(report["figures"]) == {"edit"}
    # The real pictures are these very ones.
    assert report["figures"]["edit"]["fid"] == pytest.approx(0, abs=1e-3)


def grey(width, height=None):
    return np.full((height or width, width, 3), 90, np.uint8)


def png(picture):
    content = io.BytesIO()
    Image.fromarray(picture).save(content, format="PNG")
    return content.getvalue()


def float_tiff(size):
    content = io.BytesIO()
    Image.fromarray(np.full((size, size), 1.5, np.float32)).save(content, format="TIFF")
    return content.getvalue()


NOISE = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)


@pytest.mark.parametrize(
    "files, told",
    [
        (None, "^--pictures={0}: cannot be read as a folder"),
        ({}, "^--pictures={0}: holds no pictures; two are the least"),
        ({".hidden": b"x"}, "^--pictures={0}: holds no pictures"),
        ({"1.png": png(grey(16))}, "^--pictures={0}: holds one picture; two are the least"),
        (
            {"1.png": png(grey(16)), "2.png": png(grey(32))},
            "^{0}/2.png: is 32 x 32 pixels, but {0}/1.png is 16 x 16",
        ),
        ({"1.png": png(grey(16)), "2.png": png(grey(16, 12))}, "^{0}/2.png: is 16 x 12 pixels; p"),
        ({"1.png": png(grey(16)), "notes.txt": b"hello"}, "^{0}/notes.txt: is damaged or of no"),
        ({"1.png": png(grey(16)), "2.png": b""}, "^{0}/2.png: is empty"),
        ({"1.png": png(NOISE), "2.png": png(NOISE)[:300]}, "^{0}/2.png: is damaged or cut short"),
        ({"1.png": png(grey(16)), "2.tif": float_tiff(16)}, "^{0}/2.tif: has float pixels of unk"),
        ({"1.png": png(grey(8)), "2.png": png(grey(8))}, "^faces of 8 x 8 pixels cannot be judged"),
    ],
)
def test_what_is_wrong_with_pictures_is_named(files, told, judges, tmp_path):
    folder = tmp_path / "mine"
    if files is not None:
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
    with pytest.raises(UserError, match=told.format(folder)):
        evaluate_pictures(str(folder), str(tmp_path / "out"), EvaluationConfig(**judges))


def test_pictures_of_any_format_are_read_in_the_order_of_their_names(tmp_path):
    for name, level in (("b.bmp", 20), ("a.png", 10), ("c.jpg", 30)):
        Image.fromarray(np.full((16, 16), level, np.uint8)).save(tmp_path / name)
    (tmp_path / "further").mkdir()
    pictures = PictureFolder(str(tmp_path))
    assert len(pictures) == 3 and pictures.image_size == 16
    assert pictures.images(np.arange(3))[:, 0, 0, 0].tolist() == [10, 20, 30]
