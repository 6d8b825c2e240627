from __future__ import annotations

import numpy as np
import pytest

from legan_research.experiments.rendered import FaceLabels, write_images
from legan_research.experiments.training import Example, grouped, train_arm
from legan_tf.data.conditions import of_classes
from legan_tf.data.manifest import read_manifest
from legan_tf.errors import UserError
from legan_tf.training import systems


def test_arms_begin_with_the_same_weights_whatever_their_pictures(tmp_path):
    shown = [
        FaceLabels(person, expression, "shot07")
        for person in range(4)
        for expression in ("neutral", "smile")
    ]
    rows = read_manifest(write_images(str(tmp_path / "real"), shown, 16)[0]).rows
    lines = [Example(row.file, row.expression, True) for row in rows]
    weights = []
    for name, of_arm in (("fewer", lines[:4]), ("more", [*lines, *lines])):
        config = systems.make(
            model="classifier",
            workdir=str(tmp_path / "runs" / name),
            image_size=16,
            seed=3,
            batch_size=4,
            train_steps=1,
            learning_rate=1e-12,  # Adam's steps are no longer than that.
            classifier_width=4,
        )
        network = train_arm(config, of_arm, "expression", name)
        assert network.conditions == of_classes(expression=("neutral", "smile"))
        weights.append(network.get_weights())
    assert sum(weight.size for weight in weights[0]) > 500
    for one, other in zip(*weights):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-10)
    assert weights[0][0].std() > 0.01
    (tmp_path / "runs").rename(tmp_path / "moved")
    moved = config.replace(workdir=str(tmp_path / "moved" / "more"))
    with pytest.raises(UserError, match="--output: .*moved/more was begun as .*runs/more"):
        train_arm(moved, of_arm, "expression", "more")
    (tmp_path / "moved").rename(tmp_path / "runs")
    with pytest.raises(UserError, match="--output=.* holds a run with other flags: --batch_size"):
        train_arm(config.replace(batch_size=2), of_arm, "expression", "more")


def test_a_sentence_on_several_places_stands_once():
    notes = [("here", ["None."]), ("there", []), ("yonder", ["Few.", "None."])]
    assert grouped(notes) == ["here, yonder: None.", "yonder: Few."]
