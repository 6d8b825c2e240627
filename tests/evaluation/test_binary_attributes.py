"""An editor of binary attributes, evaluated end to end on a manifest that has them."""

from __future__ import annotations

import csv
import dataclasses
import os

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from legan_tf.data.conditions import BinaryCondition
from legan_tf.data.rendered import rendered_faces
from legan_tf.evaluation.config import EvaluationConfig
from legan_tf.evaluation.edit_plan import adapt_editor, plan_edits
from legan_tf.evaluation.evaluate import evaluate, faces_to_edit
from legan_tf.graph_ops.pixels import to_float
from legan_tf.models import AttributeClassifier, StarganGenerator
from legan_tf.serving.loading import load

EDITS = 16
NAMES = ("Lit", "Smiling")


@pytest.fixture(scope="module")
def config(tmp_path_factory, judges):
    """Four rendered people, each smiling or not and lit or not, and a classifier of both."""
    folder = tmp_path_factory.mktemp("celeba")
    faces = rendered_faces("test", 4, ("neutral", "smile"), ("shot00", "shot04"), 16, 0)
    with open(folder / "faces.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "identity", *(f"attribute:{name}" for name in NAMES), "split"])
        for i, picture in enumerate(faces.images(np.arange(len(faces)))):
            Image.fromarray(picture).save(folder / f"{i}.png")
            labels = faces.labels["lighting"][i], faces.labels["expression"][i]
            writer.writerow([f"{i}.png", faces.identity[i], *labels, "test"])
    keras.utils.set_random_seed(5)
    classifier = AttributeClassifier([BinaryCondition("attributes", ("Smiling", "Lit"))], 16, 4)
    classifier.build()
    classifier.save(folder / "classifier.keras")
    given = {**judges, "classifier_model": str(folder / "classifier.keras")}
    return EvaluationConfig(
        dataset="manifest", manifest=str(folder / "faces.csv"), edits=EDITS, **given
    )


def read(config, images):
    """What the classifier sees, in the order of the manifest."""
    network = keras.models.load_model(config.classifier_model)
    return network(to_float(tf.constant(images)))["attributes"].numpy()[:, ::-1] > 0


def test_a_stargan_of_attributes_is_judged_by_what_it_was_asked_for(config, tmp_path):
    keras.utils.set_random_seed(6)
    network = StarganGenerator([BinaryCondition("attributes", ("Smiling", "Lit"))], 16, 4, blocks=0)
    network.build()
    (tmp_path / "run").mkdir()
    network.save(tmp_path / "run" / "model.keras")
    editor = load(str(tmp_path / "run"))
    report = evaluate(editor, str(tmp_path / "out"), config)
    faces = faces_to_edit(config, 16)
    assert faces.names("attributes") == NAMES
    assert report["classes"] == {"attributes": list(NAMES)}
    # Each of the 16 pictures once, and all their true pictures are among them.
    assert report["data"]["with_truth"] == EDITS
    plan = plan_edits(editor, faces, EDITS, 0)
    own, wanted = faces.labels["attributes"][plan.index], plan.labels["attributes"]
    sources = faces.images(plan.index)
    rows = {"edit": editor(sources, attributes=wanted[:, ::-1]), "copy": sources}
    for row, images in rows.items():
        right, changed = read(config, images) == wanted, own != wanted
        figures = report["figures"][row]
        assert figures["attributes"] == pytest.approx(right.mean())
        assert figures["attributes_changed"] == pytest.approx(right[changed].mean())
        assert figures["attributes_kept"] == pytest.approx(right[~changed].mean())
    counts = report["confusion"]["edit"]
    assert set(counts) == {"attributes:Lit", "attributes:Smiling"}
    assert np.sum(counts["attributes:Lit"]) == EDITS
    assert {"cycle_psnr", "ssim", "fid", "match"} <= set(report["figures"]["edit"])
    names = {path.name for path in (tmp_path / "out").glob("*.png")}
    assert names == {"edits.png", "identity.png", "quality.png"}
    text = (tmp_path / "out" / "report.md").read_text()
    assert "| attributes changed ↑ |" in text and "| attributes kept ↑ |" in text


def test_pictures_of_which_nothing_is_known_are_edited_among_the_others(config, tmp_path):
    with open(config.manifest, newline="") as file:
        rows = list(csv.reader(file))
    rows[1][2:4] = rows[6][2:4] = ["", ""]
    manifest = os.path.join(os.path.dirname(config.manifest), "some.csv")
    with open(manifest, "w", newline="") as file:
        csv.writer(file).writerows(rows)
    network = StarganGenerator(
        [BinaryCondition("attributes", NAMES)], 16, 4, blocks=0, keeps_unnamed=True
    )
    network.build()
    network.save(tmp_path / "model.keras")
    editor = load(str(tmp_path / "model.keras"))
    some = dataclasses.replace(config, manifest=manifest)
    report = evaluate(editor, str(tmp_path / "out"), some)
    # Of two of the 16 nothing can be asked; both are true pictures of none.
    faces = faces_to_edit(some, 16)
    plan = plan_edits(editor, faces, EDITS, 0)
    assert (plan.labels["attributes"] < 0).all(axis=1).sum() == 2
    assert np.sum(report["confusion"]["edit"]["attributes:Lit"]) == EDITS - 2
    made = editor(faces.images(plan.index), attributes=plan.labels["attributes"])
    np.testing.assert_array_equal(
        made, adapt_editor(editor, faces)(faces.images(plan.index), **plan.labels)
    )


def test_who_finds_every_true_picture_has_the_figures_of_the_truth(config, handmade, tmp_path):
    faces = faces_to_edit(config, 16)
    pictures, own = faces.images(np.arange(16)), faces.labels["attributes"]
    known = {picture.tobytes(): i for i, picture in enumerate(pictures)}

    def function(images, attributes):
        found = []
        for image, wanted in zip(images, attributes):
            same = faces.identity == faces.identity[known[image.tobytes()]]
            found.append(np.flatnonzero(same & (own == wanted).all(axis=1))[0])
        return pictures[found]

    editor = handmade("perfect", function)
    editor.conditions = faces.conditions
    report = evaluate(editor, str(tmp_path), config)
    edit, truth = report["figures"]["edit"], report["figures"]["truth"]
    assert edit["ssim"] == edit["cycle_ssim"] == 1
    assert {"attributes", "attributes_changed", "attributes_kept"} < set(truth)
    assert {key: edit[key] for key in truth} == truth


def test_an_attribute_that_the_classifier_does_not_read_does_not_count(config, copying, tmp_path):
    keras.utils.set_random_seed(5)
    classifier = AttributeClassifier([BinaryCondition("attributes", ("Smiling", "Bald"))], 16, 4)
    classifier.build()
    classifier.save(tmp_path / "other.keras")
    options = {**vars(config), "classifier_model": str(tmp_path / "other.keras")}
    editor = copying()
    editor.conditions = faces_to_edit(config, 16).conditions
    report = evaluate(editor, str(tmp_path / "out"), EvaluationConfig(**options))
    counts = report["confusion"]["edit"]
    assert np.sum(counts["attributes:Lit"]) == 0
    assert np.sum(counts["attributes:Smiling"]) == EDITS
    right = np.trace(counts["attributes:Smiling"])
    assert report["figures"]["edit"]["attributes"] == pytest.approx(right / EDITS)


def test_attributes_of_rendered_faces_have_true_pictures_of_other_expressions(
    few_people, judges, copying, tmp_path
):
    editor = copying()
    editor.conditions = (BinaryCondition("attributes", ("Smiling", "Mouth_Slightly_Open")),)
    report = evaluate(editor, str(tmp_path), EvaluationConfig(edits=EDITS, **judges))
    assert list(report["classes"]) == ["lighting", "attributes"]
    assert 0 < report["data"]["with_truth"] <= EDITS
    assert report["figures"]["edit"]["ssim"] < 1
    assert report["surface"] == {}
    told = "The classifier reads no attributes: that figure needs one that does."
    assert told in report["missing"] and "attributes" not in report["figures"]["edit"]
