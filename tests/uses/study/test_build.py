from __future__ import annotations

import csv
import dataclasses
import json
import os
import pathlib
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from legan_tf.data import images
from legan_tf.errors import UserError
from legan_tf.uses.study.build import build_study
from legan_tf.uses.study.study_file import read_study


def files_of(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(pathlib.Path(folder).rglob("*"))
        if path.is_file()
    }


def test_a_study_holds_every_picture_as_it_is_under_a_name_that_tells_nothing(study, pictures):
    shown = pathlib.Path(study.folder) / "page" / "pictures"
    assert {path.stem for path in shown.iterdir()} == set(study.pictures)
    edits = {name: p for name, p in study.pictures.items() if not p.control}
    assert sorted((p.model, p.source) for p in edits.values()) == [
        (model, f"person{i}") for model in ("Good", "Poor") for i in range(4)
    ]
    for name, picture in edits.items():
        np.testing.assert_array_equal(
            images.decode(str(shown / f"{name}.png")),
            images.decode(str(pictures / picture.model / f"{picture.source}.png")),
        )
    for name, picture in study.pictures.items():
        if picture.control:
            apart = np.abs(
                images.decode(str(shown / f"{name}.png")).astype(int) - images.decode(picture.file)
            ).mean()
            assert (apart > 20) if picture.model == "broken" else (apart == 0), picture


def test_nothing_on_the_page_tells_a_model_a_source_or_a_control(study):
    page = files_of(os.path.join(study.folder, "page"))
    assert {"index.html", "study.js"} < set(page)
    for name, content in page.items():
        for word in ("Good", "Poor", "person", "photo", "broken", "repeat", "control"):
            found = re.findall(rf"\b{word}\w*", (name + content.decode("latin-1")))
            # Words of the program and of the instructions, which are the same in every study.
            assert set(found) <= {"person", "photographs", "repeat"}, (name, found)
        if name.endswith(".png"):
            with Image.open(os.path.join(study.folder, "page", name)) as image:
                assert image.info == {} and image.size == (48, 48)
    assert page["index.html"].count(b"http") == 1  # location.protocol.startsWith("http")


def test_the_same_flags_give_the_same_bytes_and_another_seed_another_study(flags, study, tmp_path):
    models, options = flags
    build_study(models, str(tmp_path / "again"), options)
    assert files_of(tmp_path / "again") == files_of(study.folder)
    build_study(models, str(tmp_path / "other"), dataclasses.replace(options, seed=1))
    other = read_study(str(tmp_path / "other"))
    assert other.id != study.id and not set(other.pictures) & set(study.pictures)


def test_names_depend_on_what_is_in_the_files_and_are_no_numbers(flags, study, pictures, tmp_path):
    models, options = flags
    shutil.copytree(pictures / "Poor", tmp_path / "Poor")
    shutil.copy(pictures / "Good" / "person1.png", tmp_path / "Poor" / "person1.png")
    models = models.replace(str(pictures / "Poor"), str(tmp_path / "Poor"))
    build_study(models, str(tmp_path / "other"), options)
    other = read_study(str(tmp_path / "other"))
    (changed,) = set(study.pictures) - set(other.pictures)
    assert study.pictures[changed].file.endswith("Poor/person1.png") and other.id != study.id
    assert all(re.fullmatch("p[0-9a-f]{12}", name) for name in study.pictures)
    assert re.fullmatch("s[0-9a-f]{12}", study.id)


def test_no_time_tells_what_was_written_after_what(study):
    page = pathlib.Path(study.folder) / "page"
    times = {path.stat().st_mtime for path in (page, *page.rglob("*"))}
    assert len(times) == 1 and times.pop() < 1e9


def test_a_name_that_is_not_utf_8_is_refused(flags, pictures, tmp_path):
    models, options = flags
    shutil.copytree(pictures / "Poor", tmp_path / "Poor")
    named = os.path.join(os.fsencode(tmp_path / "Poor"), b"per\xffson.png")
    shutil.copy(os.fsencode(pictures / "Poor" / "person0.png"), named)
    models = models.replace(str(pictures / "Poor"), str(tmp_path / "Poor"))
    with pytest.raises(UserError, match=r"--models: the name .*per\\udcffson.png' is not UTF-8"):
        build_study(models, str(tmp_path / "study"), options)
    assert not (tmp_path / "study").exists()


def test_sources_that_a_model_lacks_are_left_out_and_reported(flags, pictures, tmp_path):
    models, options = flags
    shutil.copytree(pictures / "Poor", tmp_path / "Poor")
    (tmp_path / "Poor" / "person2.png").unlink()
    # Another suffix is the same source; another size is made alike.
    with Image.open(tmp_path / "Poor" / "person0.png") as image:
        image.resize((60, 80)).save(tmp_path / "Poor" / "person0.jpg")
    (tmp_path / "Poor" / "person0.png").unlink()
    reported = build_study(
        f"Good={pictures / 'Good'},Poor={tmp_path / 'Poor'}", str(tmp_path / "study"), options
    )
    assert "not there of every model; person2 (none of Poor)" in reported
    assert "3 sources, models Good, Poor, 48 x 48 pixels" in reported
    assert "1 pictures had another size" in reported
    study = read_study(str(tmp_path / "study"))
    assert {p.source for p in study.pictures.values() if not p.control} == {
        "person0", "person1", "person3",
    }  # fmt: skip


def test_the_table_of_mechanical_turk_has_a_line_for_each_list(flags, tmp_path):
    models, options = flags
    options = dataclasses.replace(options, image_url="https://host/p/")
    build_study(models, str(tmp_path / "study"), options)
    study = read_study(str(tmp_path / "study"))
    rows = list(csv.DictReader(open(tmp_path / "study/mturk/hits.csv", encoding="utf-8")))
    assert [row["rater"] for row in rows] == ["1", "2"]
    assert {row["image_url"] for row in rows} == {"https://host/p"}
    for row, questions in zip(rows, study.lists):
        asked = [tuple(part.split(".")) for part in row["questions"].split(" ")]
        assert asked == [question.pictures for question in questions]
    layout = (tmp_path / "study/mturk/layout.html").read_text()
    # Each column of the table is a variable of the layout, and nothing else looks like one.
    assert sorted(re.findall(r"\$\{(.*?)\}", layout)) == sorted(rows[0])


def test_instructions_are_shown_as_they_are_written(flags, tmp_path):
    models, options = flags
    text = "We are <b>the lab</b> & ask\nabout ${faces}.\r\n\r\n</script> Write to us."
    (tmp_path / "consent.txt").write_bytes(text.encode())
    options = dataclasses.replace(
        options, instructions=str(tmp_path / "consent.txt"), image_url="https://host"
    )
    build_study(models, str(tmp_path / "study"), options)
    data = (tmp_path / "study/page/study.js").read_text()
    assert "</script>" not in data
    shown = json.loads(data[len("const STUDY = ") :].rstrip(";\n"))
    assert shown["instructions"] == [
        "We are <b>the lab</b> & ask about ${faces}.",
        "</script> Write to us.",
    ]
    assert "${faces}" not in (tmp_path / "study/mturk/layout.html").read_text()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"models": "One={Good}"}, "--questions=both: a choice needs two models"),
        ({"models": "One={Good}+{Poor}"}, "--models: One has 2 folders"),
        ({"models": "One={Good},Two={nowhere}"}, "--models=.*nowhere: there is no such folder"),
        ({"models": "One={Good},Two={photos}"}, "no file name is in the folders of all models"),
        ({"models": "One={Good},Two={twice}"}, "a.jpg and a.png differ in their suffix only"),
        ({"real": "{single}"}, "--real=.*single: has 1 pictures where one person is shown 3"),
        ({"real": "{words}"}, "--real=.*words: there is no picture in it"),
        ({"raters": 1}, "--raters=1: must be 2 to 16: .*--ratings_per_image"),
        ({"instructions": "{nowhere}"}, "--instructions=.*nowhere: no such file"),
        ({"instructions": "{words}/empty.txt"}, "empty.txt: is empty"),
        ({"output": "{Good}"}, "--output=.*Good: holds other files already"),
        ({"output": ""}, "--output=: name the folder"),
        ({"models": "One={Good},Two={damaged}"}, "person1.png: is damaged"),
    ],
)
def test_what_does_not_fit_is_refused_and_leaves_nothing(
    flags, pictures, tmp_path, changes, sentence
):
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "empty.txt").write_text(" \n")
    for name, sources in (
        ("twice", ("a.jpg", "a.png")), ("single", ("b.png",)), ("damaged", ("person1.png",)),
    ):  # fmt: skip
        (tmp_path / name).mkdir()
        for source in sources:
            shutil.copy(pictures / "Good" / "person0.png", tmp_path / name / source)
    (tmp_path / "damaged" / "person1.png").write_bytes(b"no picture")
    places = {name: pictures / name for name in ("Good", "Poor", "photos")}
    for name in ("nowhere", "twice", "single", "damaged", "words"):
        places[name] = tmp_path / name
    models, options = flags
    changes = {key: v.format(**places) if isinstance(v, str) else v for key, v in changes.items()}
    models = changes.pop("models", models)
    output = changes.pop("output", str(tmp_path / "study"))
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(UserError, match=sentence) as reported:
        build_study(models, output, dataclasses.replace(options, **changes))
    assert "\n" not in str(reported.value)
    assert sorted(os.listdir(tmp_path)) == before


def test_a_key_of_before_is_read(study):
    path = pathlib.Path(study.folder) / "study.json"
    key = json.loads(path.read_bytes())
    for questions in key["lists"]:
        for question in questions:
            question.update(right="", of=0)
    path.write_text(json.dumps(key))
    assert read_study(study.folder) == study


def test_a_key_that_is_missing_or_damaged_is_reported(study, tmp_path):
    with pytest.raises(UserError, match="--study=.*: holds no study.json"):
        read_study(str(tmp_path))
    path = pathlib.Path(study.folder) / "study.json"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match="study.json: is damaged"):
        read_study(study.folder)
