from __future__ import annotations

import pathlib
import re

import keras
import numpy as np
import pytest
from PIL import Image

from legan_tf.data.attributes import MULTIPIE_EXPRESSIONS, lightings
from legan_tf.data.conditions import of_classes
from legan_tf.models import QualityEstimator, StarganGenerator
from legan_tf.serving import export

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "recipes.md"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with untrained stand-ins for what the page loads, and a few pictures."""
    keras.utils.set_random_seed(1)
    editor = StarganGenerator(
        of_classes(expression=MULTIPIE_EXPRESSIONS, lighting=lightings()),
        image_size=16,
        width=4,
        blocks=0,
        keeps_unnamed=True,
    )
    quality = QualityEstimator(image_size=16, width=4, depth=2)
    for network, name in ((editor, "legan"), (quality, "quality")):
        network.build()
        (tmp_path / "runs" / name).mkdir(parents=True)
        network.save(tmp_path / "runs" / name / "model.keras")
    export.export(editor, str(tmp_path / "models"), "legan")
    (tmp_path / "faces").mkdir()
    for index in range(12):
        coarse = np.random.default_rng(index).integers(0, 256, (5, 5, 3), np.uint8)
        face = Image.fromarray(coarse).resize((40, 40), Image.BICUBIC)
        face.save(tmp_path / "faces" / f"{index:02d}.png")
    Image.open(tmp_path / "faces" / "00.png").save(tmp_path / "face.jpg")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_recipe_runs_as_it_stands_on_the_page(project, capfd):
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    assert len(blocks) == 10
    space: dict = {"__name__": "recipes"}
    for number, block in enumerate(blocks, start=1):
        # From a file, where tf.function finds the source.
        file = project / f"block_{number}.py"
        file.write_text(block, encoding="utf-8")
        exec(compile(block, str(file), "exec"), space)

    editor, scorer = space["editor"], space["scorer"]
    assert space["smiling"].shape == (16, 16, 3)
    assert space["every"].shape == (6, 19, 16, 16, 3)
    for face in sorted((project / "faces").iterdir()):
        edited = np.asarray(Image.open(project / "smiling" / face.name))
        np.testing.assert_array_equal(edited, editor(str(face), expression="smile"))

    faces = np.concatenate([batch.numpy() for batch in space["faces"]])
    relit = np.concatenate([batch.numpy() for batch in space["relit"]])
    assert relit.shape == faces.shape == (12, 32, 32, 3)
    touched = [not np.array_equal(*pair) for pair in zip(relit, faces)]
    assert 0 < sum(touched) < 12

    history = space["history"]
    assert {name: len(values) for name, values in history.items()} == {
        "critic": 2,
        "fooling": 2,
        "quality": 2,
    }
    made = space["gan"].predict(np.zeros((3, 16)), verbose=0)
    loss = float(space["naturalness"](made))
    assert loss == pytest.approx(np.abs(8.0 - scorer(made)).mean(), abs=1e-2)

    assert float(space["rating"].result()) == pytest.approx(scorer(faces).mean(), abs=1e-2)
    assert f"{float(space['rating'].result())}" in capfd.readouterr().out
    ranked = np.sort(scorer(space["made"]))
    np.testing.assert_allclose(np.sort(scorer(space["best"])), ranked[-5:], atol=1e-5)
    assert len(space["natural"]) == (ranked >= 5).sum()

    whole = np.asarray(Image.open(project / "face.jpg"))
    assert [square.shape for square in space["squares"]] == [
        (40, 40, 3),
        *[(20, 20, 3)] * 9,
        *[(10, 10, 3)] * 16,
    ]
    np.testing.assert_array_equal(space["squares"][9], whole[20:, 20:])
    expected = np.mean([scorer(square) for square in space["squares"]])
    assert space["by_parts"] == pytest.approx(expected, abs=1e-4)

    first = faces[:8]
    expected = editor(first, lighting=0)
    np.testing.assert_allclose(space["edited"].numpy(), expected, rtol=0, atol=1)
    np.testing.assert_allclose(space["ratings"].numpy(), scorer(expected), atol=1e-2)
    np.testing.assert_allclose(space["same"], space["smiling"], rtol=0, atol=1)
