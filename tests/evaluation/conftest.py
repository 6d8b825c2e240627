"""Small judges, people and editors, so that a whole evaluation takes seconds."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from legan_tf.data import attributes
from legan_tf.data.conditions import of_classes
from legan_tf.evaluation import evaluate
from legan_tf.models import AttributeClassifier, DepthNetwork, LightCNN29, QualityEstimator
from legan_tf.training.datasets import rendered_split

SIZE, PEOPLE = 16, 4
EXPRESSIONS, LIGHTINGS = attributes.MULTIPIE_EXPRESSIONS, attributes.lightings()


@pytest.fixture(scope="session")
def judges(tmp_path_factory):
    """The flags of three judges that nobody has trained."""
    folder = tmp_path_factory.mktemp("judges")
    keras.utils.set_random_seed(7)
    networks = {
        "classifier_model": AttributeClassifier(
            of_classes(expression=EXPRESSIONS, lighting=LIGHTINGS), SIZE, 4
        ),
        "identity_model": LightCNN29(SIZE, 0.1),
        "quality_model": QualityEstimator(SIZE, 4, 3),
    }
    paths = {}
    for flag, network in networks.items():
        network.build()
        paths[flag] = str(folder / f"{flag}.keras")
        network.save(paths[flag])
    return paths


@pytest.fixture(scope="session")
def depth_networks(tmp_path_factory):
    """Depth networks that nobody has trained, by geometry, and the files that hold them."""
    folder, made = tmp_path_factory.mktemp("depth"), {}
    for seed, geometry in enumerate(("depth", "normal")):
        keras.utils.set_random_seed(seed)
        network = DepthNetwork(SIZE, geometry, width=4, blocks=0)
        network.build()
        network.save(folder / f"{geometry}.keras")
        made[geometry] = (network, str(folder / f"{geometry}.keras"))
    return made


@pytest.fixture
def few_people(monkeypatch):
    """Lets evaluations edit four rendered people, and returns them."""
    monkeypatch.setattr(evaluate, "HELD_OUT_PEOPLE", PEOPLE)
    return rendered_split("test", PEOPLE, "multipie", True, SIZE, 0)


class HandmadeEditor:
    """A function of pictures and targets with the interface of a loaded model.

    Attributes:
        calls: How many pictures each call was given.
        fails_at: Number of the call that is interrupted.
    """

    kind, keeps_unnamed = "editor", True

    def __init__(self, name, function, expressions=EXPRESSIONS, lightings=LIGHTINGS, size=SIZE):
        self.path, self.sha256, self.image_size = f"runs/{name}", name, size
        self.conditions = of_classes(expression=expressions, lighting=lightings)
        self.calls, self.fails_at = [], None
        self._function = function

    def names(self, condition):
        return {one.name: one.names for one in self.conditions}.get(condition, ())

    def __call__(self, images, **targets):
        assert images.dtype == np.uint8 and set(targets) == {one.name for one in self.conditions}
        assert all(len(wanted) == len(images) for wanted in targets.values())
        if len(self.calls) == self.fails_at:
            raise KeyboardInterrupt
        self.calls.append(len(images))
        return self._function(images, **targets)


@pytest.fixture(scope="session")
def handmade():
    return HandmadeEditor


@pytest.fixture(scope="session")
def copying():
    def function(images, **targets):
        return images

    return lambda **options: HandmadeEditor("copying", function, **options)


@pytest.fixture(scope="session")
def dimming():
    """An editor that makes every picture darker, the more the further its target is in the list."""

    def function(images, **targets):
        wanted = np.array([sum(one or 0 for one in row) for row in zip(*targets.values())])
        return (images / (1.5 + wanted[:, None, None, None] / 8)).astype(np.uint8)

    return lambda **options: HandmadeEditor("dimming", function, **options)


@pytest.fixture(scope="session")
def perfect():
    """An editor that looks up the true picture in a face set of the same classes."""

    def of(faces):
        images = faces.images(np.arange(len(faces)))
        known = {picture.tobytes(): i for i, picture in enumerate(images)}

        def function(images, expression, lighting):
            wanted = zip(images, expression, lighting)
            return np.stack(
                [
                    faces.truth(known[p.tobytes()], {"expression": e, "lighting": s})
                    for p, e, s in wanted
                ]
            )

        return HandmadeEditor("perfect", function, size=faces.image_size)

    return of
