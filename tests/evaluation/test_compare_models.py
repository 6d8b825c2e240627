from __future__ import annotations

import csv
import json
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image

from legan_tf.data.conditions import of_classes
from legan_tf.data.rendered import rendered_faces
from legan_tf.errors import UserError
from legan_tf.evaluation.compare_models import compare_models
from legan_tf.evaluation.config import EvaluationConfig
from legan_tf.evaluation.evaluate import evaluate
from legan_tf.evaluation.evaluate_pictures import evaluate_pictures
from legan_tf.models import LightCNN29, StarganGenerator
from legan_tf.serving.loading import load

EDITS = 12
SCRIPT = pathlib.Path(__file__).parents[2] / "scripts" / "compare.py"
CLASSES = ("neutral", "smile"), ("shot00", "shot04")


@pytest.fixture(scope="module")
def config(tmp_path_factory, judges):
    """A configuration whose data are twelve pictures of three people."""
    folder = tmp_path_factory.mktemp("data")
    faces = rendered_faces("test", 3, *CLASSES, 16, 0)
    with open(folder / "faces.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "identity", "expression", "lighting", "split"])
        for i, picture in enumerate(faces.images(np.arange(len(faces)))):
            Image.fromarray(picture).save(folder / f"{i}.png")
            labels = [one.names[faces.labels[one.name][i]] for one in faces.conditions]
            writer.writerow([f"{i}.png", faces.identity[i], *labels, "test"])
    return EvaluationConfig(
        dataset="manifest", manifest=str(folder / "faces.csv"), edits=EDITS, **judges
    )


@pytest.fixture(scope="module")
def models(tmp_path_factory, config):
    """Run folders of two models and the folder of a report on a third."""
    folder = tmp_path_factory.mktemp("models")
    paths = []
    for seed in (1, 2, 3):
        keras.utils.set_random_seed(seed)
        network = StarganGenerator(
            of_classes(expression=CLASSES[0], lighting=CLASSES[1]), 16, 4, blocks=0
        )
        network.build()
        (folder / f"run{seed}").mkdir()
        network.save(folder / f"run{seed}" / "model.keras")
        paths.append(str(folder / f"run{seed}"))
    evaluate(load(paths[2]), str(folder / "report"), config)
    return [*paths[:2], str(folder / "report")]


@pytest.fixture(scope="module")
def compared(tmp_path_factory, models, config):
    """The folder of a comparison of two seeds of one model with the report on another."""
    folder = tmp_path_factory.mktemp("tables")
    first, second, report = models
    loaded = []

    def counting(path):
        loaded.append(path)
        return load(path)

    (folder / "people.csv").write_text("model,preference\nB,0.75\n")
    preferences = str(folder / "people.csv")
    text = compare_models(
        counting, f"A={first}+{second},B={report}", str(folder / "out"), preferences, config
    )
    assert loaded == [first, second]
    return folder / "out", text


def rows_of(folder, table):
    with open(folder / "compare.csv", newline="", encoding="utf-8") as file:
        return {row["model"]: row for row in csv.DictReader(file) if row["table"] == table}


def figures(path):
    return json.loads((path / "report.json").read_text())["figures"]["edit"]


def test_seeds_are_one_row_and_reports_another(compared, models):
    folder, text = compared
    runs = [figures(folder / "A" / number) for number in ("1", "2")]
    assert runs[0] != runs[1]
    rows = rows_of(folder, "legan")
    for key in ("fid", "ssim", "match"):
        values = [run[key] for run in runs]
        assert float(rows["A"][key]) == pytest.approx(np.mean(values))
        assert float(rows["A"][f"{key}_std"]) == pytest.approx(np.std(values, ddof=1))
        assert float(rows["B"][key]) == pytest.approx(figures(pathlib.Path(models[2]))[key])
    assert float(rows["B"]["preference"]) == 0.75
    assert text == (folder / "compare.md").read_text()
    for title in ("LEGAN's table", "Bodur's table", "Against the truth"):
        assert f"## {title}\n" in text
    assert "\\begin{tabular}" in (folder / "compare.tex").read_text()


def test_models_are_seen_beside_one_another(compared):
    folder, _ = compared
    pictures = {path.name for path in folder.glob("*.png")}
    assert pictures == {"edits.png", "identity.png", "correlation.png"}
    for name in pictures:
        with Image.open(folder / name) as picture:
            picture.load()
    # Rows of eight edits; the columns input, A and truth: of B there is a report only.
    with Image.open(folder / "edits.png") as picture:
        assert picture.height > 8 * 128 and 3 * 128 < picture.width < 4 * 128


def test_true_pictures_are_looked_at_once_for_all_models(models, config, tmp_path):
    first, second, _ = models
    cache = tmp_path / "out" / "cache"
    compare_models(load, f"A={first}", str(tmp_path / "out"), config=config)
    before = {path.name for path in cache.iterdir()}
    compare_models(load, f"B={second}", str(tmp_path / "out"), config=config)
    new = [path for path in cache.iterdir() if path.name not in before]
    # The edits, what three networks see in them, their statistics, and their distance.
    assert len(new) == 1 + 3 + 1 + 1


def test_a_comparison_goes_on_where_it_was_stopped(compared, models, config):
    folder, text = compared
    loaded = load(models[0])
    asked = []

    class Counting:
        kind, keeps_unnamed = "editor", loaded.keeps_unnamed
        path, sha256, image_size = loaded.path, loaded.sha256, loaded.image_size
        conditions = loaded.conditions

        def names(self, condition):
            return loaded.names(condition)

        def __call__(self, images, **ids):
            asked.append(len(images))
            return loaded(images, **ids)

    compare_models(
        lambda path: Counting() if path == models[0] else load(path),
        f"A={models[0]}+{models[1]},B={models[2]}",
        str(folder),
        config=config,
    )
    assert asked == [8]  # Those of the picture of edits alone.


def test_reports_of_different_networks_are_refused(models, config, tmp_path):
    keras.utils.set_random_seed(11)
    network = LightCNN29(16, 0.1)
    network.build()
    network.save(tmp_path / "face.keras")
    other = EvaluationConfig(**{**vars(config), "identity_model": str(tmp_path / "face.keras")})
    with pytest.raises(UserError, match="^--models: match, person found of A and B come from"):
        compare_models(load, f"A={models[0]},B={models[2]}", str(tmp_path / "out"), config=other)


def test_a_scorer_is_refused_before_any_model_is_judged(models, config, tmp_path):
    path = config.quality_model
    with pytest.raises(UserError, match=f"^--models: {path} is a scorer, not an editor."):
        compare_models(load, f"A={models[0]},Q={path}", str(tmp_path / "out"), config=config)
    assert not (tmp_path / "out" / "A").exists()


def test_a_model_that_is_not_there_is_told_before_any_is_judged(models, config, tmp_path):
    with pytest.raises(UserError, match="^none: no such file or folder"):
        compare_models(load, f"A={models[0]},B=none", str(tmp_path / "out"), config=config)
    assert not (tmp_path / "out" / "A").exists()


def network_in(folder, classes, size):
    keras.utils.set_random_seed(4)
    network = StarganGenerator(
        of_classes(expression=classes[0], lighting=classes[1]), size, 4, blocks=0
    )
    network.build()
    folder.mkdir()
    network.save(folder / "model.keras")
    return str(folder)


@pytest.mark.parametrize("other", [0, 2])
def test_models_of_different_image_sizes_are_refused_before_any_is_judged(
    other, models, config, tmp_path
):
    path = network_in(tmp_path / "larger", CLASSES, 32)
    with pytest.raises(UserError) as error:
        compare_models(load, f"A={models[other]},B={path}", str(tmp_path / "out"), config=config)
    assert str(error.value) == (
        f"--models: {models[other]} works on 16 x 16 pixels and {path} on 32 x 32; models of "
        "different image sizes cannot be compared."
    )
    assert not (tmp_path / "out" / "A").exists()


def test_models_of_different_classes_are_refused_before_any_is_judged(models, config, tmp_path):
    path = network_in(tmp_path / "other", (("neutral", "scream"), ()), 16)
    with pytest.raises(UserError) as error:
        compare_models(load, f"A={models[0]},B={path}", str(tmp_path / "out"), config=config)
    # The data know no scream, so that nobody is asked for one.
    assert str(error.value) == (
        f"--models: of {models[0]} and {path} only one knows the expression smile; models that "
        "know different ones cannot be compared, as they are asked for different edits."
    )
    assert not (tmp_path / "out" / "A").exists()


def test_classes_that_the_data_do_not_know_keep_no_models_apart(models, config, tmp_path):
    path = network_in(tmp_path / "more", (("neutral", "smile", "scream"), CLASSES[1]), 16)
    text = compare_models(load, f"A={models[0]},B={path}", str(tmp_path / "out"), config=config)
    assert "| B |" in text


def test_a_report_is_used_for_the_network_beside_it_and_no_other(models, config, tmp_path):
    for name in ("model.keras", "report.json"):
        source = pathlib.Path(models[1 if name == "model.keras" else 2]) / name
        (tmp_path / name).write_bytes(source.read_bytes())
    with pytest.raises(UserError) as error:
        compare_models(load, f"A={tmp_path}", str(tmp_path / "out"), config=config)
    assert str(error.value) == (
        f"--models: {tmp_path}/report.json is not of the model.keras beside it, which is another "
        f"or has been trained since; evaluate it again, or take report.json out of {tmp_path}."
    )
    third = pathlib.Path(models[2]).with_name("run3") / "model.keras"
    (tmp_path / "model.keras").write_bytes(third.read_bytes())
    text = compare_models(load, f"A={tmp_path}", str(tmp_path / "out"), config=config)
    assert "| A |" in text


def test_pictures_stand_beside_an_editor_of_the_same_data(models, config, tmp_path):
    (tmp_path / "pictures").mkdir()
    folder = pathlib.Path(config.manifest).parent
    for i in range(EDITS):
        (tmp_path / "pictures" / f"{i}.png").write_bytes((folder / f"{i}.png").read_bytes())
    evaluate_pictures(str(tmp_path / "pictures"), str(tmp_path / "judged"), config)
    groups = f"P={tmp_path / 'judged'},B={models[2]}"
    compare_models(load, groups, str(tmp_path / "out"), config=config)
    rows = rows_of(tmp_path / "out", "legan")
    assert float(rows["P"]["fid"]) == figures(tmp_path / "judged")["fid"]
    assert float(rows["B"]["fid"]) == figures(pathlib.Path(models[2]))["fid"]


def test_reports_that_share_quality_alone_have_no_picture_of_correlations(models, tmp_path):
    report = json.loads((pathlib.Path(models[2]) / "report.json").read_text())
    for name, kept in (("a", ["rating", "fid"]), ("b", ["rating", "ssim"])):
        figures = {key: report["figures"]["edit"][key] for key in kept}
        (tmp_path / name).mkdir()
        (tmp_path / name / "report.json").write_text(
            json.dumps({**report, "figures": {"edit": figures}})
        )
    compare_models(load, f"{tmp_path / 'a'},{tmp_path / 'b'}", str(tmp_path / "out"))
    assert not (tmp_path / "out" / "correlation.png").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff"])
def test_a_report_that_cannot_be_read_is_named(text, tmp_path):
    (tmp_path / "report.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=f"^--models: {tmp_path}/report.json cannot be read as a r"):
        compare_models(load, str(tmp_path), str(tmp_path / "out"))


@pytest.mark.parametrize(
    "arguments, told",
    [
        (["--output=o"], "--models"),
        (["--output=o", "--models=A=none"], "none: no such file or folder."),
        (["--output=file", "--models=A=none"], "--output=file: it cannot be written to"),
        (["--output=o", "--models=report"], "--models: report/report.json cannot be read as a"),
        (["--output=o", "--models=A=a", "--edits=1"], "--edits=1: sets of pictures cannot be"),
    ],
)
def test_a_wrong_command_ends_in_a_sentence(arguments, told, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "report.json").write_text("{")
    done = subprocess.run(
        [sys.executable, SCRIPT, *arguments], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert told in line
