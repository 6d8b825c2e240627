"""Learning of the skin model, from rendered neutral faces whose people are known."""

from __future__ import annotations

import numpy as np
import pytest

from legan_tf.data import images
from legan_tf.data.align.landmark_finder import make_finder
from legan_tf.data.head_assets.skin import learn_skin, write_skin
from legan_tf.data.manifest import read_manifest
from legan_tf.data.rendered import geometry, shade
from legan_tf.data.rendered.skin import encode, load_skin
from legan_tf.errors import UserError

PEOPLE = 22


def silent(done, total):
    pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("neutral")
    lines = ["path,identity,expression"]
    for number in range(PEOPLE):
        picture = shade(geometry([number], ["neutral"], 256), ["shot07"])[0, 0]
        padded = np.pad(picture, ((40, 40), (40, 40), (0, 0)), mode="edge")
        images.save_png(str(folder / f"{number}.png"), padded)
        lines.append(f"{number}.png,p{number:02d},neutral")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    people = "".join(f"p{n:02d},{20 + n},{('male', 'female')[n % 2]}\n" for n in range(PEOPLE))
    (folder / "people.csv").write_text("identity,age,gender\n" + people)
    return folder


def test_what_was_drawn_is_learned_again(folder):
    manifest = read_manifest(str(folder / "manifest.csv"), None)
    model, shares = learn_skin(manifest, {}, make_finder(), silent)
    known = load_skin()
    assert model.mean.shape == known.mean.shape
    middle = np.s_[60:130, 60:140]  # The face, without its rim.
    found, wanted = (each.mean[middle][..., 1].ravel() for each in (model, known))
    assert np.corrcoef(found, wanted)[0, 1] > 0.75
    assert shares[5] < shares[10] < shares[15] <= 1
    assert np.isfinite(model.factor).all() and model.tones[0] < model.tones[1]
    assert encode(model) == encode(model) and len(encode(model)) < 1_700_000


def test_what_cannot_be_learned_from_is_told(folder, tmp_path):
    few = folder / "few.csv"
    few.write_text("path,identity,expression\n0.png,p00,neutral\n")
    with pytest.raises(UserError, match="has 1 people with a neutral picture"):
        write_skin(str(few), None, "", "tflite", str(tmp_path / "x.npz"), silent)
    bad = folder / "bad.csv"
    bad.write_text("name\n")
    with pytest.raises(UserError, match="--people=.*needs the columns identity, age and gender"):
        write_skin(str(few), None, str(bad), "tflite", str(tmp_path / "x.npz"), silent)
