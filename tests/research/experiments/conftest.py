"""A small editor with its Q, not trained, as a run folder."""

from __future__ import annotations

import keras
import pytest

from legan_tf.data import attributes
from legan_tf.data.conditions import of_classes
from legan_tf.models import LeganGenerator, LightCNN29, QualityEstimator
from legan_tf.training import systems

SIZE = 16


@pytest.fixture(scope="session")
def editor_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("editor")
    keras.utils.set_random_seed(1)
    network = LeganGenerator(
        of_classes(expression=attributes.MULTIPIE_EXPRESSIONS, lighting=attributes.lightings()),
        image_size=SIZE,
        width=4,
        blocks=0,
        mask_channels=2,
        output="affine",
        keeps_unnamed=True,
    )
    network.build()
    network.save(folder / "model.keras")
    config = systems.make(model="legan", dataset="rendered", people=7, train_steps=1234, seed=3)
    (folder / "flags.txt").write_text(config.to_flagfile())
    quality = QualityEstimator(SIZE, width=4, depth=2)
    quality.build()
    (folder / "quality").mkdir()
    quality.save(folder / "quality" / "model.keras")
    return folder


@pytest.fixture(scope="session")
def face_network(tmp_path_factory):
    path = tmp_path_factory.mktemp("face") / "model.keras"
    keras.utils.set_random_seed(2)
    network = LightCNN29(SIZE, 0.1)
    network.build()
    network.save(path)
    return path


@pytest.fixture
def quiet():
    """Shows no progress."""
    return lambda label: lambda done, total: None
