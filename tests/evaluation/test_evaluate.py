from __future__ import annotations

import contextlib
import csv
import io
import json
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from legan_tf.data.attributes import AFFECTNET_EXPRESSIONS
from legan_tf.data.conditions import of_classes
from legan_tf.data.rendered import rendered_faces
from legan_tf.errors import UserError
from legan_tf.evaluation import edit_predictions, evaluator, photometric_stereo
from legan_tf.evaluation import evaluate as evaluate_module
from legan_tf.evaluation.config import EvaluationConfig
from legan_tf.evaluation.edit_plan import draw_plan, pictures_of, plan_edits
from legan_tf.evaluation.evaluate import evaluate
from legan_tf.graph_ops.pixels import to_float
from legan_tf.models import AttributeClassifier, LeganGenerator
from legan_tf.runtime.hardware import float32_arithmetic
from legan_tf.serving.export import export
from legan_tf.serving.loading import load
from legan_tf.training.run_folder import load_network

EDITS = 40
OF_TRUTH = ("light_error", "light_kept", "expression_kept", "normal_error", "depth_error")
SCRIPT = pathlib.Path(__file__).parents[2] / "scripts" / "evaluate.py"


def written(folder):
    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    return json.loads((folder / "report.json").read_text(), parse_constant=refuse)


def almost(report):
    """Figures and intervals, for a comparison up to the rounding of a network's float32."""
    return {
        f"{part} {row}": {key: pytest.approx(value, rel=1e-3, abs=1e-5) for key, value in v.items()}
        for part in ("figures", "intervals")
        for row, v in report[part].items()
    }


def plain(report):
    return {
        f"{part} {row}": {k: float(x) if part == "figures" else x for k, x in v.items()}
        for part in ("figures", "intervals")
        for row, v in report[part].items()
    }


def test_a_perfect_editor_scores_perfectly(few_people, judges, perfect, tmp_path):
    report = evaluate(perfect(few_people), str(tmp_path), EvaluationConfig(edits=EDITS, **judges))
    assert report == written(tmp_path)
    edit, truth = report["figures"]["edit"], report["figures"]["truth"]
    assert edit["ssim"] == 1 and edit["psnr"] == "inf" and edit["l1"] == 0
    assert edit["cycle_ssim"] == 1 and edit["cycle_psnr"] == "inf"
    assert edit["light_error"] == 0
    assert "lpips" not in edit
    measured = {"fid", "kid", "match", "person", "rating", "natural", "expression", "lighting"}
    assert set(truth) == {*measured, *OF_TRUTH}
    assert {key: edit[key] for key in truth} == truth
    assert report["intervals"]["edit"] == report["intervals"]["truth"]
    assert report["confusion"]["edit"] == report["confusion"]["truth"]
    assert report["identity_distances"]["edit"] == report["identity_distances"]["truth"]
    assert report["edits"] == report["data"]["with_truth"] == EDITS
    assert report["data"]["people"] == 4 and report["data"]["images"] == 4 * 6 * 19
    assert report["missing"] == ["LPIPS needs --lpips, --lpips_trunk and --lpips_heads."]


def test_a_copy_of_the_input_scores_as_a_copy(few_people, judges, copying, tmp_path):
    report = evaluate(copying(), str(tmp_path), EvaluationConfig(edits=EDITS, **judges))
    edit, copy = dict(report["figures"]["edit"]), report["figures"]["copy"]
    assert (edit.pop("cycle_psnr"), edit.pop("cycle_ssim")) == ("inf", 1)
    assert edit == copy
    assert {*OF_TRUTH, "fid", "kid", "ssim", "psnr", "l1", "person", "rating"} < set(copy)
    assert copy["match"] == pytest.approx(1)
    np.testing.assert_allclose(report["identity_distances"]["edit"], 0, atol=1e-6)
    # Some of the targets are what the source is already; the others have a finite PSNR.
    assert 5 < copy["psnr"] < 40 and copy["ssim"] < 1


def test_nothing_is_rounded_while_an_editor_is_judged(few_people, judges, handmade, tmp_path):
    rounds = tf.config.experimental.tensor_float_32_execution_enabled
    seen = []

    def function(images, **targets):
        seen.append(rounds())
        return images

    with float32_arithmetic(rounded=True):
        evaluate(handmade("noting", function), str(tmp_path), EvaluationConfig(edits=2, **judges))
        assert rounds()
    assert set(seen) == {False}


def in_numpy(faces, judges, editor, seed=0):
    """The figures of the edits by other means: loops, formulas and the networks themselves."""
    everything = {"expression": np.arange(6), "lighting": np.arange(19)}
    plan = draw_plan(faces, everything, EDITS, seed)
    networks = {name: load_network(path) for name, path in judges.items()}

    def through(name, images):
        return networks[name](to_float(tf.constant(images)))

    def features(images):
        embedded = through("identity_model", images).numpy().astype(np.float64)
        return embedded * np.sqrt(embedded.shape[1]) / np.linalg.norm(embedded, axis=1)[:, None]

    sources, truth = faces.images(plan.index), faces.images(plan.truth)
    edits = editor(sources, **plan.labels)
    back = editor(edits, **{name: labels[plan.index] for name, labels in faces.labels.items()})
    real = features(faces.images(plan.reference))
    made, copied = features(edits), features(sources)
    spread = [np.cov(f, rowvar=False) for f in (made, real)]
    roots = np.sqrt(np.maximum(np.linalg.eigvals(spread[0] @ spread[1]).real, 0)).sum()
    apart = np.square(made.mean(0) - real.mean(0)).sum()
    first = dict.fromkeys(everything, np.zeros(4, int))
    gallery = pictures_of(faces, np.arange(4), first)
    nearest = np.argmax(made @ features(faces.images(gallery)).T, axis=1)
    rating = through("quality_model", edits).numpy()
    errors = np.square(sources.astype(float) - back).mean(axis=(1, 2, 3))
    found = {
        "l1": np.abs(edits.astype(float) - truth).mean() / 255,
        "fid": apart + np.trace(spread[0]) + np.trace(spread[1]) - 2 * roots,
        "match": np.mean(np.sum(made * copied, axis=1)) / made.shape[1],
        "person": np.mean(nearest == faces.identity[plan.index]),
        "rating": rating.mean(),
        "natural": np.mean(rating >= 5),
        "cycle_psnr": np.mean(10 * np.log10(255**2 / errors)),
    }
    confusion = {}
    for attribute, logits in through("classifier_model", edits).items():
        wanted, read = plan.labels[attribute], np.argmax(logits.numpy(), axis=1)
        found[attribute] = np.mean(wanted == read)
        counts = np.zeros((len(everything[attribute]),) * 2, int)
        for pair in zip(wanted, read):
            counts[pair] += 1
        confusion[attribute] = counts.tolist()
    return found, confusion, np.linalg.norm(made - copied, axis=1) / np.sqrt(made.shape[1])


@pytest.fixture
def manifest(tmp_path):
    """Writes rendered faces as a manifest of a test split; ``change`` may alter its lines."""

    def write(change=lambda line: line, size=16):
        faces = rendered_faces("test", 3, ("neutral", "smile"), ("shot00", "shot04"), size, 0)
        lines = []
        for i, picture in enumerate(faces.images(np.arange(len(faces)))):
            line = {
                "path": f"{i}.png",
                "identity": faces.identities[faces.identity[i]],
                **{one.name: one.names[faces.labels[one.name][i]] for one in faces.conditions},
                "split": "test",
            }
            Image.fromarray(picture).save(tmp_path / line["path"])
            lines.append(change(line))
        lines = [line for line in lines if line]
        with open(tmp_path / "faces.csv", "w", newline="") as file:
            writer = csv.DictWriter(file, list(lines[0]))
            writer.writeheader()
            writer.writerows(lines)
        return str(tmp_path / "faces.csv")

    return write


def of_manifest(file, judges, **options):
    return EvaluationConfig(dataset="manifest", manifest=file, edits=EDITS, **judges, **options)


@pytest.fixture(scope="module")
def judged(tmp_path_factory, judges, dimming):
    """An editor, the folder of the report on it, the report and what was told on the way."""
    folder, editor, told = tmp_path_factory.mktemp("judged"), dimming(), io.StringIO()
    config = EvaluationConfig(edits=EDITS, **judges)
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(told):
        patch.setattr(evaluate_module, "HELD_OUT_PEOPLE", 4)
        report = evaluate(editor, str(folder), config)
    return editor, folder, report, told.getvalue()


def test_figures_are_those_of_an_independent_computation(few_people, judges, judged):
    editor, _, report, _ = judged
    found, confusion, distances = in_numpy(few_people, judges, editor)
    for key, value in found.items():
        assert report["figures"]["edit"][key] == pytest.approx(value, rel=1e-4), key
    assert report["confusion"]["edit"] == confusion
    np.testing.assert_allclose(report["identity_distances"]["edit"], distances, rtol=1e-3)
    low, high = report["intervals"]["edit"]["fid"]
    assert low < report["figures"]["edit"]["fid"] < high
    assert report["classes"]["expression"] == list(few_people.names("expression"))


def test_a_second_call_edits_nothing_and_finds_the_same(few_people, judges, judged, dimming):
    first, folder, report, _ = judged
    again = dimming()
    (folder / "report.json").unlink()
    config = EvaluationConfig(edits=EDITS, **judges)
    assert evaluate(again, str(folder), config) == report == written(folder)
    assert sum(first.calls) > 2 * EDITS and again.calls == []


def test_an_evaluation_that_was_killed_goes_on(manifest, judges, dimming, tmp_path, monkeypatch):
    monkeypatch.setattr(edit_predictions, "SHARD", 16)
    config = of_manifest(manifest(), judges)
    killed, resumed, whole = dimming(), dimming(), dimming()
    killed.fails_at = 3  # There and back of the first shard, and on the way in the second.
    with pytest.raises(KeyboardInterrupt):
        evaluate(killed, str(tmp_path / "a"), config)
    assert killed.calls == [16, 16, 16]
    assert not (tmp_path / "a" / "report.json").exists()
    report = evaluate(resumed, str(tmp_path / "a"), config)
    assert report == evaluate(whole, str(tmp_path / "b"), config)
    assert whole.calls == [16, 16, 16, 16, 8, 8] and resumed.calls == whole.calls[2:]


def test_the_shards_do_not_change_the_figures(manifest, judges, dimming, tmp_path, monkeypatch):
    config = of_manifest(manifest(), judges)
    whole = evaluate(dimming(), str(tmp_path / "a"), config)
    for module in (edit_predictions, evaluator):
        monkeypatch.setattr(module, "SHARD", 7)
    parts = evaluate(dimming(), str(tmp_path / "b"), config)
    assert plain(parts) == almost(whole)
    assert len(list((tmp_path / "b" / "cache").iterdir())) > 40


def test_progress_is_told_for_every_picture(judged):
    assert f"judging {4 * EDITS}/{4 * EDITS} (100%)" in judged[3]


def test_every_picture_of_the_report_can_be_seen(judged):
    tmp_path = judged[1]
    names = {path.name for path in tmp_path.glob("*.png")}
    confusions = {
        f"{name}-{row}.png" for name in ("expression", "lighting") for row in ("edit", "truth")
    }
    assert names == {"edits.png", "identity.png", "quality.png", *confusions}
    text = (tmp_path / "report.md").read_text()
    for name in names:
        assert f"![{name}]({name})" in text
        with Image.open(tmp_path / name) as picture:
            picture.load()
            assert min(picture.size) > 100


def test_an_editor_of_expressions_alone_is_asked_for_no_light(
    few_people, judges, dimming, tmp_path
):
    editor = dimming(lightings=())
    report = evaluate(editor, str(tmp_path), EvaluationConfig(edits=EDITS, **judges))
    edit = report["figures"]["edit"]
    assert {"expression", "fid", "match", "ssim", "cycle_ssim"} < set(edit)
    assert not {"lighting", "expression_kept", "normal_error", "depth_error"} & set(edit)
    assert 0 < edit["light_error"] and 0 <= edit["light_kept"] <= 1
    assert report["surface"] == {"one_attribute_edits": EDITS // 4, "relit_people": 0}
    assert set(report["confusion"]["edit"]) == {"expression"}
    # Nobody's light is to change: there is a true picture for each.
    assert report["data"]["with_truth"] == EDITS


def test_a_model_scores_the_same_from_its_run_and_from_its_export(manifest, judges, tmp_path):
    keras.utils.set_random_seed(3)
    classes = ("neutral", "smile"), ("shot00", "shot04")
    network = LeganGenerator(
        of_classes(expression=classes[0], lighting=classes[1]), 16, 4, blocks=0, mask_channels=2
    )
    network.build()
    (tmp_path / "run").mkdir()
    network.save(tmp_path / "run" / "model.keras")
    served = export(network, str(tmp_path / "served"), "legan")
    config = of_manifest(manifest(), judges, cache=str(tmp_path / "cache"))
    reports = [
        evaluate(load(path), str(tmp_path / name), config)
        for name, path in (("a", str(tmp_path / "run")), ("b", served))
    ]
    assert plain(reports[1]) == almost(reports[0])
    assert reports[0]["model"]["name"] == "run"
    assert reports[0]["model"]["sha256"] != reports[1]["model"]["sha256"]
    assert reports[0]["data"] == reports[1]["data"]


def test_a_manifest_is_judged_by_the_true_pictures_that_it_holds(
    manifest, judges, copying, tmp_path
):
    def without_smiles_of_the_third(line):
        return None if line["path"] in ("10.png", "11.png") else line

    file = manifest(without_smiles_of_the_third)
    report = evaluate(copying(), str(tmp_path / "out"), of_manifest(file, judges))
    assert report["data"]["name"] == "faces.csv/test"
    assert (report["data"]["images"], report["data"]["people"]) == (10, 3)
    assert report["classes"] == {
        "expression": ["neutral", "smile"],
        "lighting": ["shot00", "shot04"],
    }
    with_truth = report["data"]["with_truth"]
    assert 0 < with_truth < EDITS
    assert np.sum(report["confusion"]["edit"]["expression"]) == EDITS
    assert np.sum(report["confusion"]["truth"]["expression"]) == with_truth
    assert len(report["identity_distances"]["truth"]) == with_truth
    edit, copy = dict(report["figures"]["edit"]), report["figures"]["copy"]
    assert edit.pop("cycle_psnr") == "inf" and edit.pop("cycle_ssim") == 1
    assert edit == copy and 0 < copy["l1"] < 0.5
    assert not set(OF_TRUTH) & set(edit)
    text = (tmp_path / "out" / "report.md").read_text()
    assert f"A true picture is known for {with_truth} of the edits." in text


def test_likeness_counts_edits_with_a_true_picture_only(
    manifest, judges, dimming, tmp_path, monkeypatch
):
    # Shards so small that the first of them has no true picture.
    monkeypatch.setattr(edit_predictions, "SHARD", 2)
    found = []

    def few_truths(editor, faces, *options):
        plan = plan_edits(editor, faces, *options)
        plan.truth[:5] = -1
        found.append((faces, plan))
        return plan

    monkeypatch.setattr("legan_tf.evaluation.evaluate.plan_edits", few_truths)
    report = evaluate(dimming(), str(tmp_path / "out"), of_manifest(manifest(), judges))
    faces, plan = found[0]
    there = np.flatnonzero(plan.truth >= 0)
    own = {
        one.name: [one.names.index(name) for name in faces.names(one.name)]
        for one in dimming().conditions
    }
    edits = dimming()(
        faces.images(plan.index[there]),
        **{name: [ids[i] for i in plan.labels[name][there]] for name, ids in own.items()},
    )
    expected = np.abs(edits.astype(float) - faces.images(plan.truth[there])).mean() / 255
    assert report["figures"]["edit"]["l1"] == pytest.approx(expected)
    assert report["data"]["with_truth"] == len(there) == EDITS - 5


def test_pictures_without_labels_are_edited_but_not_back(manifest, judges, copying, tmp_path):
    def some_unknown(line):
        number = int(line["path"].partition(".")[0])
        unknown = {0: ["expression"], 1: ["lighting"], 2: ["identity"]}.get(number, [])
        return {**line, **dict.fromkeys(unknown, "")}

    editor = copying()
    report = evaluate(editor, str(tmp_path / "out"), of_manifest(manifest(some_unknown), judges))
    there, back = editor.calls
    assert there == EDITS and 0 < back < EDITS
    assert report["figures"]["edit"]["cycle_psnr"] == "inf"
    assert report["data"]["with_truth"] < EDITS
    assert np.sum(report["confusion"]["edit"]["lighting"]) == EDITS


def test_unknown_people_are_not_looked_for(manifest, judges, copying, tmp_path):
    file = manifest(lambda line: {**line, "identity": ""})
    report = evaluate(copying(), str(tmp_path / "out"), of_manifest(file, judges))
    assert report["data"]["people"] == 0 and report["data"]["with_truth"] == 0
    assert set(report["figures"]) == {"edit", "copy"}
    assert not {"person", "ssim", "psnr", "l1"} & set(report["figures"]["edit"])
    assert report["figures"]["edit"]["match"] == pytest.approx(1)
    assert set(report["identity_distances"]) == {"edit"}
    assert "of 0 people" not in (tmp_path / "out" / "report.md").read_text()


def test_what_cannot_be_measured_is_named(manifest, judges, copying, tmp_path):
    only = {"identity_model": judges["identity_model"]}
    report = evaluate(copying(), str(tmp_path / "out"), of_manifest(manifest(), only))
    assert report["missing"] == [
        "Expression, lighting and attributes as read need --classifier_model.",
        "Ratings need --quality_model.",
        "LPIPS needs --lpips, --lpips_trunk and --lpips_heads.",
        "Errors of light and surface, and what is kept, need rendered faces.",
    ]
    assert report["confusion"] == {}
    assert not {"rating", "natural", "expression"} & set(report["figures"]["edit"])
    assert set(report["networks"]) == {"face", "features"}
    text = (tmp_path / "out" / "report.md").read_text()
    assert all(f"\n- {sentence}\n" in text for sentence in report["missing"])
    assert not (tmp_path / "out" / "quality.png").exists()


def test_six_of_affectnets_eight_expressions_have_an_accuracy_of_their_own(
    manifest, judges, tmp_path, handmade
):
    classifier = AttributeClassifier(
        of_classes(expression=AFFECTNET_EXPRESSIONS, lighting=("shot00",)), 16, 4
    )
    classifier.build()
    classifier.save(tmp_path / "eight.keras")

    def of_eight(line):
        number = int(line["path"].partition(".")[0])
        return {**line, "expression": AFFECTNET_EXPRESSIONS[number % 8], "lighting": ""}

    def editor(wanted):
        return handmade("-".join(wanted), lambda images, **_: images, wanted, ())

    judges = {**judges, "classifier_model": str(tmp_path / "eight.keras")}
    config = of_manifest(manifest(of_eight), judges)
    report = evaluate(editor(AFFECTNET_EXPRESSIONS), str(tmp_path / "a"), config)
    assert 0 <= report["figures"]["edit"]["expression_six"] <= 1
    # Of the two that do not count there is no such accuracy, and no null in its place.
    report = evaluate(editor(("contempt", "disgust")), str(tmp_path / "b"), config)
    assert "expression_six" not in report["figures"]["edit"]
    assert "expression" in report["figures"]["edit"]
    assert report == written(tmp_path / "b")


def test_rendered_faces_are_judged_under_the_lights_and_in_the_form_asked_for(tmp_path):
    file = tmp_path / "lights.csv"
    file.write_text(
        "name,azimuth,elevation,flash\noff,,,\nleft,-60,0,1\nup,10,60,1\nright,60,0,1\n"
    )
    config = EvaluationConfig(lights=str(file), snapshots=True)
    faces = evaluate_module.faces_to_edit(config, 16)
    assert faces.names("lighting") == ("off", "left", "up", "right")
    assert photometric_stereo.lights_suffice(faces)
    plain = evaluate_module.faces_to_edit(EvaluationConfig(lights=str(file)), 16)
    assert np.any(faces.images(np.arange(4)) != plain.images(np.arange(4)))
    with pytest.raises(UserError, match="--lights, --snapshots and --layers belong to"):
        EvaluationConfig(dataset="manifest", manifest="m.csv", snapshots=True).check()


def test_a_split_without_pictures_is_told(manifest, judges, copying, tmp_path):
    config = of_manifest(manifest(), judges, split="val")
    with pytest.raises(UserError, match="^--split=val: .*faces.csv has no picture in it"):
        evaluate(copying(), str(tmp_path / "out"), config)


def test_a_model_that_knows_no_class_of_the_data_is_refused(few_people, judges, copying, tmp_path):
    editor = copying(expressions=("grin",), lightings=("left", "right"))
    with pytest.raises(
        UserError, match=r"edits expression \(grin\) and lighting \(left, right\); of rend"
    ):
        evaluate(editor, str(tmp_path), EvaluationConfig(edits=EDITS, **judges))


def test_a_model_that_must_be_told_a_light_that_nobody_knows_is_refused_at_once(
    few_people, judges, copying, tmp_path
):
    editor = copying(lightings=("left", "right"))
    editor.keeps_unnamed = False
    with pytest.raises(UserError, match="^the model cannot leave the lighting as it is, and rend"):
        evaluate(editor, str(tmp_path), EvaluationConfig(edits=EDITS, **judges))
    editor.keeps_unnamed = True
    report = evaluate(editor, str(tmp_path), EvaluationConfig(edits=EDITS, **judges))
    assert "lighting" not in report["figures"]["edit"]


def test_faces_too_small_to_judge_are_refused(judges, copying, tmp_path):
    with pytest.raises(UserError, match="^faces of 12 x 12 pixels cannot be judged: 16 x 16 are"):
        evaluate(copying(size=12), str(tmp_path), EvaluationConfig(edits=EDITS, **judges))


@pytest.mark.parametrize("output", ["file", "file/in_it"])
def test_an_output_that_is_no_folder_is_told_before_anything_is_edited(
    output, judges, copying, tmp_path
):
    editor = copying()
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match=f"^--output={tmp_path}/{output}: it cannot be written"):
        evaluate(editor, str(tmp_path / output), EvaluationConfig(edits=EDITS, **judges))
    assert (tmp_path / "file").read_text() == "mine" and editor.calls == []


@pytest.mark.parametrize(
    "arguments, told",
    [
        (["--output=o"], "give either --model or --pictures."),
        (["--output=o", "--model=m", "--pictures=p"], "give either --model or --pictures."),
        (["--output=o", "--pictures="], "--pictures=: cannot be read as a folder"),
        (["--output=o", "--model=none"], "none: no such file or folder."),
        (["--output=o", "--model=none", "--edits=1"], "--edits=1: sets of pictures cannot be"),
        (["--output=o", "--model=none", "--seed=1000001"], "--seed=1000001: must be 0 to 1000000"),
        (["--model=model.keras", "--output=file"], "--output=file: it cannot be written to"),
    ],
)
def test_a_wrong_command_ends_in_a_sentence(arguments, told, tmp_path):
    (tmp_path / "file").write_text("")
    if "--model=model.keras" in arguments:
        network = LeganGenerator(
            of_classes(expression=("neutral", "smile"), lighting=("shot00",)), 16, 4, blocks=0
        )
        network.build()
        network.save(tmp_path / "model.keras")
    done = subprocess.run(
        [sys.executable, SCRIPT, *arguments], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert told in line


def test_the_report_says_of_how_many_the_figures_of_surfaces_are(judged):
    report = judged[2]
    # A quarter of the edits, and everybody, as there are fewer people than are relit at most.
    assert report["surface"] == {"one_attribute_edits": EDITS // 4, "relit_people": 4}
    assert report == written(judged[1])


def test_of_classes_that_the_model_does_not_know_there_are_no_surfaces(
    few_people, judges, dimming, tmp_path
):
    config = EvaluationConfig(edits=EDITS, **judges)
    report = evaluate(dimming(lightings=("shot00", "shot04")), str(tmp_path / "some"), config)
    assert report["surface"] == {}
    # One that edits no light at all is asked for expressions, and relights nobody.
    report = evaluate(dimming(lightings=()), str(tmp_path / "none"), config)
    assert report["surface"] == {"one_attribute_edits": EDITS // 4, "relit_people": 0}


def test_a_stop_while_faces_are_relit_loses_no_edit_of_one_attribute(
    few_people, judges, dimming, tmp_path
):
    config = EvaluationConfig(edits=EDITS, **judges)
    killed, resumed, whole = dimming(), dimming(), dimming()
    killed.fails_at = 5  # There, back, one call for each attribute, and the first person relit.
    with pytest.raises(KeyboardInterrupt):
        evaluate(killed, str(tmp_path / "a"), config)
    report = evaluate(resumed, str(tmp_path / "a"), config)
    assert report == evaluate(whole, str(tmp_path / "b"), config)
    assert whole.calls == [EDITS, EDITS, EDITS // 4, EDITS // 4, 19, 19, 19, 19]
    assert killed.calls == whole.calls[:5] and resumed.calls == whole.calls[4:]


def ending_in_relu(bias, path):
    """A face network that sees nothing in pictures whose mean is below ``-bias``, in [-1, 1]."""
    given = keras.Input((16, 16, 3))
    mean = keras.layers.GlobalAveragePooling2D()(given)
    seen = keras.layers.Dense(4, activation="relu", name="seen")
    model = keras.Model(given, seen(mean))
    seen.set_weights([np.full((3, 4), 1 / 3, np.float32), np.full(4, bias, np.float32)])
    model.save(path)
    return {"identity_model": str(path)}


@pytest.mark.parametrize(
    "level, bias, named",
    [(0, 0.999, "edit 1"), (255, -0.999, "the input of edit 1")],
    ids=["black edits", "only white is seen"],
)
def test_an_embedding_without_a_direction_names_its_picture_and_the_flag(
    level, bias, named, manifest, handmade, tmp_path
):
    editor = handmade(f"flat-{level}", lambda images, **_: np.full_like(images, level))
    only = ending_in_relu(bias, tmp_path / "relu.keras")
    told = f"{EDITS} of {EDITS} pictures, the first of them {named}, an embedding of length 0,"
    with pytest.raises(UserError, match=f"^--identity_model: .* gives {told}"):
        evaluate(editor, str(tmp_path / "out"), of_manifest(manifest(), only))
