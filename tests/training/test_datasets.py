from __future__ import annotations

import csv

import numpy as np
import pytest
from PIL import Image

from legan_tf.data import attributes
from legan_tf.data.parallel import Workers
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
    write_records(source, "", folder, 16, None, 0, 0, Workers(1), lambda label: lambda *at: None)
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
