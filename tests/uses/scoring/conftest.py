from __future__ import annotations

import keras
import numpy as np
import pytest
from PIL import Image

import legan_tf
from legan_tf.models import QualityEstimator
from legan_tf.serving import export


@pytest.fixture(scope="session")
def quality():
    """Q with ratings of both sides of 5."""
    keras.utils.set_random_seed(2)
    network = QualityEstimator(image_size=16, width=4, depth=2)
    network.build()
    network.fc1.kernel.assign(10.0 * network.fc1.kernel)
    network.fc1.bias.assign([5.0])
    return network


@pytest.fixture(scope="session")
def quality_run(tmp_path_factory, quality):
    folder = tmp_path_factory.mktemp("quality")
    quality.save(folder / "model.keras")
    return folder


@pytest.fixture(scope="session")
def scorer(quality_run):
    return legan_tf.load(quality_run)


@pytest.fixture(scope="session")
def exported(tmp_path_factory, quality):
    return legan_tf.load(export.export(quality, str(tmp_path_factory.mktemp("served")), "q"))


@pytest.fixture
def paint():
    """Writes a smooth picture of a seed to a path, whose suffix is the format."""

    def write(path, seed: int, width: int = 24, height: int = 20) -> None:
        coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(coarse).resize((width, height), Image.BICUBIC).save(path)

    return write


@pytest.fixture
def folder(tmp_path, paint):
    """Twenty-one pictures in three folders, one of them damaged, and what is no picture."""
    root = tmp_path / "faces"
    for index in range(10):
        paint(root / f"{index:02d}.png", index)
        paint(root / "b" / "c" / f"{index}.jpg", 100 + index, width=40)
    (root / "a").mkdir()
    (root / "a" / "cut.png").write_bytes((root / "00.png").read_bytes()[:90])
    (root / "notes.txt").write_text("no picture")
    paint(root / ".hidden" / "x.png", 7)
    paint(root / ".y.png", 8)
    return root
