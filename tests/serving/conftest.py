from __future__ import annotations

import keras
import numpy as np
import pytest
from PIL import Image

from legan_tf.models import DepthNetwork, LeganGenerator, QualityEstimator, StarganGenerator
from legan_tf.serving import export

EXPRESSIONS = ("neutral", "smile", "scream")
LIGHTINGS = ("left", "right")


@pytest.fixture(scope="session")
def generator():
    keras.utils.set_random_seed(1)
    network = LeganGenerator(
        EXPRESSIONS,
        LIGHTINGS,
        image_size=16,
        width=4,
        blocks=0,
        mask_channels=2,
        output="affine",
        keeps_unnamed=True,
    )
    network.build()
    return network


@pytest.fixture(scope="session")
def unlit():
    """An editor of expressions alone, as Bodur et al. train."""
    keras.utils.set_random_seed(5)
    network = StarganGenerator(EXPRESSIONS, image_size=16, width=4, blocks=0)
    network.build()
    return network


@pytest.fixture(scope="session")
def quality():
    keras.utils.set_random_seed(2)
    network = QualityEstimator(image_size=16, width=4, depth=2)
    network.build()
    return network


@pytest.fixture(scope="session")
def mappers():
    """A depth network by what its maps show."""
    made = {}
    for seed, geometry in enumerate(("depth", "normal"), start=3):
        keras.utils.set_random_seed(seed)
        made[geometry] = DepthNetwork(16, geometry, width=4, blocks=0)
        made[geometry].build()
    return made


@pytest.fixture(scope="session")
def serving_root(tmp_path_factory, generator, unlit, quality, mappers):
    """What is served, version 1 each: ``legan``, ``quality``, ``depth``, and editors with maps.

    These are ``legan_normal``, beside a depth network of normals, and ``unlit_depth``, which knows
    no light, beside one of depth.
    """
    root = tmp_path_factory.mktemp("models")
    export.export(mappers["depth"], str(root), "depth")
    export.export(unlit, str(root), "unlit_depth", mappers["depth"])
    export.export(generator, str(root), "legan_normal", mappers["normal"])
    assert export.export(generator, str(root), "legan") == str(root / "legan" / "1")
    assert export.export(quality, str(root), "quality") == str(root / "quality" / "1")
    return root


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory, generator):
    folder = tmp_path_factory.mktemp("run")
    generator.save(folder / "model.keras")
    return folder


@pytest.fixture(scope="session")
def depth_run(tmp_path_factory, generator, mappers):
    """The folder of a run that trained a depth network with its editor."""
    folder = tmp_path_factory.mktemp("depth_run")
    generator.save(folder / "model.keras")
    mappers["depth"].save(folder / "depth.keras")
    return folder


@pytest.fixture(scope="session")
def blobs():
    """Makes smooth coloured pictures, uint8 [count, height, width, 3], of a seed."""

    def make(height: int, width: int, count: int = 1, seed: int = 0) -> np.ndarray:
        coarse = np.random.default_rng(seed).integers(0, 256, (count, 5, 5, 3), np.uint8)
        resized = [Image.fromarray(c).resize((width, height), Image.BICUBIC) for c in coarse]
        return np.stack([np.asarray(image) for image in resized])

    return make
