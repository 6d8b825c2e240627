from __future__ import annotations

import csv

import numpy as np
import pytest
from PIL import Image

from legan_tf.data import attributes
from legan_tf.data.tfrecord_writer import write_records
from legan_tf.errors import UserError
from legan_tf.training import systems
from legan_tf.training.datasets import rendered_classes, split_of_manifest


@pytest.mark.parametrize(
    "expressions, lightings, options",
    [
        (attributes.MULTIPIE_EXPRESSIONS, attributes.lightings(True), ("multipie", True)),
        (attributes.AFFECTNET_EXPRESSIONS, attributes.lightings(True), ("affectnet", True)),
        (attributes.MULTIPIE_EXPRESSIONS, attributes.lightings(False), ("multipie", False)),
        (("happy", "sad"), (), ("affectnet", True)),
        (("neutral", "surprise"), ("shot19", "shot00"), ("multipie", False)),
        ((), (), ("multipie", True)),
    ],
)
def test_rendered_faces_get_the_classes_that_most_are_asked_for_of(expressions, lightings, options):
    assert rendered_classes(expressions, lightings) == options


def test_one_split_of_a_manifest_is_read_and_an_empty_one_told(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    Image.fromarray(picture).save(tmp_path / "a.png")
    Image.fromarray(255 - picture).save(tmp_path / "b.png")
    manifest = str(tmp_path / "faces.csv")
    with open(manifest, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "identity", "expression", "lighting", "split"])
        writer.writerow(["a.png", "ann", "smile", "left", "train"])
        writer.writerow(["b.png", "bob", "neutral", "left", "test"])
    faces = split_of_manifest(manifest, "", "test", 16, "", 0)
    assert len(faces) == 1
    np.testing.assert_array_equal(faces.images(np.arange(1))[0], 255 - picture)
    with pytest.raises(UserError) as error:
        split_of_manifest(manifest, "", "val", 16, "", 0)
    told = f"--split=val: {manifest} has no picture in it. Name another split."
    assert str(error.value) == told


def test_records_are_not_cropped_again_and_enlarging_them_is_told(tmp_path):
    lines = ["path,expression,split"]
    for index, split in enumerate(("train", "train", "val")):
        picture = np.random.default_rng(index).integers(0, 256, (16, 16, 3), np.uint8)
        Image.fromarray(picture).save(tmp_path / f"{index}.png")
        lines.append(f"{index}.png,{('smile', 'neutral')[index % 2]},{split}")
    (tmp_path / "faces.csv").write_text("\n".join(lines))
    folder = str(tmp_path / "records")
    source = str(tmp_path / "faces.csv")
    write_records(source, "", folder, 16, None, 0, 0, 1, lambda label: lambda *at: None)
    options = {
        "model": "classifier",
        "dataset": "manifest",
        "manifest": f"{folder}/manifest.csv",
        "workdir": "-",
    }
    note = "The records hold pictures of 16 pixels; they are enlarged to 32."
    assert note in systems.make(**options, image_size=32).datasets().table
    assert note not in systems.make(**options, image_size=16).datasets().table
    with pytest.raises(UserError, match="cropped already; leave out --crop"):
        systems.make(**options, image_size=16, crop="0,0,0.5,0.5").datasets()


def test_only_pictures_with_something_to_learn_from_are_trained_and_validated_on(tmp_path):
    lines = ["path,identity,expression,lighting,rating_mean,rating_std,split"]
    for index in range(12):
        picture = np.random.default_rng(index).integers(0, 256, (16, 16, 3), np.uint8)
        Image.fromarray(picture).save(tmp_path / f"{index}.png")
        split = "val" if index >= 8 else "train"
        person = f"{split}{index % 2}" if index % 3 else ""
        lighting = ("left", "right")[index % 2] if index in (1, 2) else ""
        rating = f"{index % 9 + 1},0.5" if index % 4 == 0 else ","
        expression = ("smile", "neutral", "")[index % 3]
        lines.append(f"{index}.png,{person},{expression},{lighting},{rating},{split}")
    (tmp_path / "faces.csv").write_text("\n".join(lines))

    def sets(model):
        manifest = {"dataset": "manifest", "manifest": str(tmp_path / "faces.csv")}
        return systems.make(model, workdir="-", image_size=16, **manifest).datasets()

    data = sets("quality")
    np.testing.assert_array_equal(data.train.rating_mean, [1, 5])
    np.testing.assert_array_equal(data.val.rating_mean, [9])
    assert "Left out for want of rating: 6 of train, 3 of val, 0 of test." in data.table
    data = sets("identity")
    assert len(data.train) == 5 and (data.train.identity >= 0).all()
    # Picture 2 has a lighting and no expression, 5 has neither.
    data = sets("classifier")
    np.testing.assert_array_equal(data.train.expression, [1, 0, -1, 1, 0, 1, 0])
    np.testing.assert_array_equal(data.train.lighting, [-1, 1, 0, -1, -1, -1, -1])
    assert "Left out for want of expression and lighting: 1 of train" in data.table
    data = sets("stargan")
    assert len(data.train) == 8 and "Left out" not in data.table
