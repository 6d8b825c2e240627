from __future__ import annotations

import csv

import numpy as np
import pytest
from PIL import Image

from legan_tf.data import attributes
from legan_tf.data.tfrecord_writer import write_records
from legan_tf.errors import UserError
from legan_tf.training import systems
from legan_tf.training.datasets import (
    Needs,
    manifest_datasets,
    rendered_classes,
    rendered_datasets,
    split_of_manifest,
)
from legan_tf.training.options import DataOptions


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
    np.testing.assert_array_equal(data.train.labels["expression"], [1, 0, -1, 1, 0, 1, 0])
    np.testing.assert_array_equal(data.train.labels["lighting"], [-1, 1, 0, -1, -1, -1, -1])
    assert "Left out for want of expression and lighting: 1 of train" in data.table
    data = sets("stargan")
    assert len(data.train) == 8 and "Left out" not in data.table


def rendered(needs):
    return rendered_datasets(DataOptions(image_size=16, people=2), needs, seed=3)


def test_rendered_faces_have_the_conditions_that_are_needed_in_their_order():
    data = rendered(Needs(None))
    assert [one.name for one in data.train.conditions] == ["expression", "lighting"]
    assert data.table.splitlines()[0] == (
        "rendered/train: 2 people x 6 expressions x 19 lightings = 228 images"
    )
    data = rendered(Needs(("attributes", "expression"), ("Narrow_Eyes", "Smiling"), loaded_size=24))
    for faces, size in ((data.train, 24), (data.val, 16)):
        assert faces.image_size == size
        assert [one.name for one in faces.conditions] == ["attributes", "expression"]
        assert faces.names("attributes") == ("Narrow_Eyes", "Smiling")
        squints = faces.labels["expression"] == faces.names("expression").index("squint")
        np.testing.assert_array_equal(
            np.unique(faces.labels["attributes"][squints], axis=0), [[1, 0]]
        )
    # Without --conditions, attributes are chosen by naming them.
    data = rendered(Needs(None, ("Smiling",), map_kind="depth"))
    assert [one.names for one in data.train.conditions][2] == ("Smiling",)
    assert data.train.map_kind == data.val.map_kind == "depth"


@pytest.mark.parametrize(
    ("needs", "message"),
    [
        (
            Needs(("expression", "age")),
            "--conditions=expression,age: rendered data has no labels of 'age'; it has "
            "expression, lighting.",
        ),
        (
            Needs(("attributes",), ("Smilin",)),
            "--attributes=Smilin: rendered data has no 'Smilin'; did you mean 'Smiling'?",
        ),
        (
            Needs(("attributes",), ("Smiling", "Bald")),
            "--attributes=Smiling,Bald: rendered data has no 'Bald'; it has Smiling, "
            "Mouth_Slightly_Open, Narrow_Eyes.",
        ),
    ],
)
def test_what_rendered_faces_lack_is_told_with_what_there_is(needs, message):
    with pytest.raises(UserError) as error:
        rendered(needs)
    assert str(error.value) == message


def test_a_manifest_is_trained_on_by_the_attributes_that_flags_name(tmp_path):
    lines = ["path,expression,attribute:Smiling,attribute:Young,attribute:Bald,split"]
    for index in range(6):
        picture = np.random.default_rng(index).integers(0, 256, (16, 16, 3), np.uint8)
        Image.fromarray(picture).save(tmp_path / f"{index}.png")
        young = ("", "0", "1")[index % 3]
        lines.append(f"{index}.png,,{index % 2},{young},0,{('train', 'val')[index > 3]}")
    (tmp_path / "faces.csv").write_text("\n".join(lines))
    data = DataOptions(image_size=16, dataset="manifest", manifest=str(tmp_path / "faces.csv"))

    def read(attributes, conditions=("attributes",)):
        needs = Needs(conditions, attributes, columns=conditions, any_of=conditions)
        return manifest_datasets(data, needs, 0, dry_run=True)

    found = read(("Young", "Smiling"))
    assert found.train.names("attributes") == found.val.names("attributes") == ("Young", "Smiling")
    np.testing.assert_array_equal(
        found.train.labels["attributes"], [[-1, 0], [0, 1], [1, 0], [-1, 1]]
    )
    np.testing.assert_array_equal(found.val.labels["attributes"], [[0, 0], [1, 1]])
    assert ["attributes", "Smiling", "2", "1", "0"] in [
        row.split() for row in found.table.splitlines()
    ]
    # A condition that the training can do without is left out where the data has none.
    needs = Needs(("lighting", "attributes"), ("Smiling",), columns=("attributes",))
    train = manifest_datasets(data, needs, 0, dry_run=True).train
    assert [one.name for one in train.conditions] == ["attributes"]
    # Pictures without any of those that are chosen are left out.
    found = read(("Young",))
    np.testing.assert_array_equal(found.train.labels["attributes"], [[0], [1]])
    assert "Left out for want of attributes: 2 of train, 0 of val" in found.table
    with pytest.raises(
        UserError, match="column 'attribute:Bald' has one class .0. in split 'train'"
    ):
        read(())
    for given, message in (
        (
            (("Yung",),),
            f"--attributes=Yung: {data.manifest} has no 'Yung'; did you mean 'Young'?",
        ),
        (
            ((), ("expression", "lighting")),
            f"--conditions=expression,lighting: {data.manifest} has no labels of 'expression'; it "
            "has attributes.",
        ),
    ):
        with pytest.raises(UserError) as error:
            read(*given)
        assert str(error.value) == message
