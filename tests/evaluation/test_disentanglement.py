from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from legan_tf.data.conditions import of_classes
from legan_tf.data.rendered import rated_faces, rendered_faces
from legan_tf.evaluation import disentanglement
from legan_tf.evaluation.metrics.surface import light_coefficients, light_error
from legan_tf.graph_ops.pixels import to_float
from legan_tf.models import AttributeClassifier

EXPRESSIONS, LIGHTINGS = ("neutral", "smile", "scream"), ("shot00", "shot03", "shot07", "shot11")
EDITS = 70  # more than one batch


def one_condition_edits(editor, faces, count, seed):
    return disentanglement.one_condition_edits(
        editor, faces, count, seed, ["expression", "lighting"]
    )


@pytest.fixture(scope="module")
def faces():
    return rendered_faces("test", 3, EXPRESSIONS, LIGHTINGS, 32, 0)


@pytest.fixture(scope="module")
def read():
    network = AttributeClassifier(of_classes(expression=EXPRESSIONS, lighting=LIGHTINGS), 32, 4)
    network.build()

    def reader(images):
        logits = network(to_float(tf.constant(images)))
        return {name: np.argmax(values.numpy(), axis=-1) for name, values in logits.items()}

    return reader


def perfect(faces):
    """An editor that knows every true picture."""
    known = {picture.tobytes(): i for i, picture in enumerate(faces.images(np.arange(len(faces))))}

    def editor(images, expression, lighting):
        sources = [known[picture.tobytes()] for picture in images]
        wanted = zip(sources, expression, lighting)
        return np.stack([faces.truth(i, {"expression": e, "lighting": s}) for i, e, s in wanted])

    return editor


def relit_as(faces, light: int):
    """An editor that gets everything right but always lights its faces alike."""

    def editor(images, expression, lighting):
        return perfect(faces)(images, expression, np.full_like(lighting, light))

    return editor


def test_one_attribute_changes_and_the_other_is_asked_to_stay(faces):
    made = one_condition_edits(perfect(faces), faces, EDITS, seed=0)
    for changed, kept in (("expression", "lighting"), ("lighting", "expression")):
        part = made[changed]
        own = {name: labels[part["index"]] for name, labels in faces.labels.items()}
        np.testing.assert_array_equal(part["labels"][kept], own[kept])
        assert (part["labels"][changed] != own[changed]).all()
        assert set(part["labels"][changed]) == set(range(len(faces.names(changed))))
        np.testing.assert_array_equal(part["edit"], part["truth"])
        np.testing.assert_array_equal(part["copy"], faces.images(part["index"]))
        assert (part["copy"] != part["truth"]).any(axis=(1, 2, 3)).all()
    np.testing.assert_array_equal(made["expression"]["index"], made["lighting"]["index"])


def test_the_new_class_is_uniform_over_the_others(faces):
    def unused(images, **_):
        return images

    drawn = one_condition_edits(unused, faces, 3000, seed=1)["lighting"]
    moves = np.zeros((4, 4), int)
    own = faces.labels["lighting"][drawn["index"]]
    np.add.at(moves, (own, drawn["labels"]["lighting"]), 1)
    assert (np.diag(moves) == 0).all()
    np.testing.assert_allclose(moves[~np.eye(4, dtype=bool)], 3000 / 12, rtol=0.25)


def test_edits_are_repeatable(faces):
    first, again, other = (
        one_condition_edits(perfect(faces), faces, 10, seed) for seed in (4, 4, 5)
    )
    for name in ("expression", "lighting"):
        for key, values in first[name].items():
            np.testing.assert_equal(values, again[name][key])
    assert (first["lighting"]["index"] != other["lighting"]["index"]).any()


def test_a_perfect_model_keeps_the_light_and_a_copy_nearly(faces, read):
    made = one_condition_edits(perfect(faces), faces, EDITS, seed=0)
    judged = disentanglement.one_condition_metrics(made, faces, read)
    np.testing.assert_array_equal(judged["edit"]["light_error"], np.zeros(EDITS))
    np.testing.assert_array_equal(judged["truth"]["light_error"], np.zeros(EDITS))
    assert 0 < judged["copy"]["light_error"].mean() < 0.15
    for kept in ("light_kept", "expression_kept"):
        np.testing.assert_array_equal(judged["edit"][kept], judged["truth"][kept])


def test_a_model_that_lights_all_faces_alike_is_found_out(faces, read):
    made = one_condition_edits(relit_as(faces, 1), faces, EDITS, seed=0)
    judged = disentanglement.one_condition_metrics(made, faces, read)["edit"]
    right = made["expression"]["labels"]["lighting"] == 1
    np.testing.assert_array_equal(judged["light_error"][right], 0)
    assert judged["light_error"][~right].min() > 0.25
    part = made["expression"]
    surface = faces.surface(part["index"][:5], part["labels"]["expression"][:5])
    edited, true = (
        light_coefficients(part[name][:5], surface.normals, surface.albedo, surface.mask)
        for name in ("edit", "truth")
    )
    np.testing.assert_allclose(judged["light_error"][:5], light_error(edited, true))


def test_without_a_classifier_of_a_condition_only_that_is_not_judged(faces, read):
    made = one_condition_edits(relit_as(faces, 1), faces, 10, seed=0)
    whole = disentanglement.one_condition_metrics(made, faces, read)["edit"]
    for known, missing in (
        ({"lighting"}, {"expression_kept"}),
        (set(), {"expression_kept", "light_kept"}),
    ):

        def classify(images, known=known):
            return {name: labels for name, labels in read(images).items() if name in known}

        judged = disentanglement.one_condition_metrics(made, faces, classify)["edit"]
        assert set(judged) == set(whole) - missing
        for name, values in judged.items():
            np.testing.assert_array_equal(values, whole[name])


def test_what_is_kept_is_what_the_classifier_reads_as_the_sources(faces, read, capsys):
    made = one_condition_edits(perfect(faces), faces, EDITS, seed=2)
    capsys.readouterr()
    judged = disentanglement.one_condition_metrics(made, faces, read)
    assert f"judging what stayed {6 * EDITS}/{6 * EDITS} (100%)" in capsys.readouterr().err
    for changed, kept, label in (
        ("expression", "lighting", "light_kept"),
        ("lighting", "expression", "expression_kept"),
    ):
        own = faces.labels[kept][made[changed]["index"]]
        for name in ("edit", "copy", "truth"):
            wanted = read(made[changed][name])[kept] == own
            np.testing.assert_array_equal(judged[name][label], wanted)


def test_faces_that_cannot_be_judged_so_are_refused():
    with pytest.raises(ValueError, match="only rendered faces"):
        one_condition_edits(lambda i, **_: i, rated_faces("test", 4, 16, 0), 2, 0)
    one_light = rendered_faces("test", 1, EXPRESSIONS, LIGHTINGS[:1], 16, 0)
    with pytest.raises(ValueError, match="two classes"):
        one_condition_edits(lambda i, **_: i, one_light, 2, 0)
