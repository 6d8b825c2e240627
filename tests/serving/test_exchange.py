"""What one stack writes, the other loads.

Each stack leaves its artefacts and the answers they gave in $LEGAN_TF_EXCHANGE/<stack>/, if they
are not there yet, and checks those of the other stack; `make test` empties the folder, runs both,
and these tests on stack A once more after B.
"""

from __future__ import annotations

import importlib.metadata
import os
import pathlib
import uuid

import grpc
import keras
import numpy as np
import pytest
import tensorflow as tf

import legan_tf
from legan_tf.data.conditions import of_classes
from legan_tf.graph_ops.pixels import to_float
from legan_tf.models import (
    DepthNetwork,
    FidInception,
    LeganGenerator,
    LightCNN29,
    QualityEstimator,
    StarganGenerator,
    VggFace,
    Vggface2ResNet50,
)
from legan_tf.serving import export, server_files, wire
from legan_tf.serving.local_server import LocalServer, Options
from legan_tf.serving.local_server.options import ANY_PORT
from legan_tf.training.run_folder import load_network

STACK = "keras" + importlib.metadata.version("keras").split(".")[0]
OTHER = {"keras2": "keras3", "keras3": "keras2"}[STACK]
EDITORS = ("legan", "stargan")
TARGETS = {"expression": ["a", "b"], "lighting": "d"}
LEVELS = 1  # Two builds of TensorFlow may round a half to different sides.


def networks() -> dict[str, keras.Model]:
    sizes = {"image_size": 32, "width": 8, "blocks": 1}
    made = {
        "legan": LeganGenerator(
            of_classes(expression=("a", "b"), lighting=("c", "d", "e")), mask_channels=3, **sizes
        ),
        "stargan": StarganGenerator(
            of_classes(expression=("a", "b"), lighting=("c", "d", "e")), output="affine", **sizes
        ),
        "quality": QualityEstimator(image_size=32, width=4, depth=4),
        "depth": DepthNetwork(geometry="depth", **sizes),
        "normal": DepthNetwork(geometry="normal", stem=False, **sizes),
    }
    for network in made.values():
        network.build()
    return made


def judging_networks() -> dict[str, keras.Model]:
    """Those that are neither edited with nor served."""
    made = {
        "lightcnn29": LightCNN29(32, width=0.1),
        "lightcnn29_v1": LightCNN29(32, width=0.1, version=1),
        "vgg_face": VggFace(width=0.03),
        "vggface2_resnet50": Vggface2ResNet50(width=0.06),
        "fid_inception": FidInception(),
    }
    for network in made.values():
        network.build()
    return made


def answers(folder: pathlib.Path, images: np.ndarray) -> dict[str, np.ndarray]:
    """What every artefact in a folder says to the same pictures."""
    said = {}
    for name in (*EDITORS, "quality", "depth", "normal"):
        for form in (f"{name}.keras", f"models/{name}"):
            model = legan_tf.load(folder / form)
            said[form] = model(images, **TARGETS) if name in EDITORS else model(images)
    for form in ("run", "models/with_depth"):
        model = legan_tf.load(folder / form)
        said[form] = model.depth(model(images, **TARGETS))
    for file in sorted(folder.glob("judge-*.keras")):
        network = load_network(file)
        size = (network.image_size, network.image_size)
        said[file.name] = network(tf.image.resize(to_float(images), size)).numpy()
    return said


@pytest.fixture(scope="module")
def exchange(blobs):
    """The folder that both stacks share, once this one has left its artefacts there."""
    if not os.environ.get("LEGAN_TF_EXCHANGE"):
        pytest.skip("needs LEGAN_TF_EXCHANGE, the folder that both stacks share in `make test`")
    folder = pathlib.Path(os.environ["LEGAN_TF_EXCHANGE"])
    if not (folder / STACK).exists():
        aside = folder / f".{STACK}-{uuid.uuid4().hex}"
        write(aside, blobs(45, 37, count=2))
        aside.rename(folder / STACK)
    return folder


def write(folder: pathlib.Path, images: np.ndarray) -> None:
    folder.mkdir(parents=True)
    made = networks()
    for name, network in made.items():
        network.save(folder / f"{name}.keras")
        export.export(network, str(folder / "models"), name)
    export.export(made["stargan"], str(folder / "models"), "with_depth", made["depth"])
    (folder / "run").mkdir()
    made["stargan"].save(folder / "run" / "model.keras")
    made["depth"].save(folder / "run" / "depth.keras")
    for name, network in judging_networks().items():
        network.save(folder / f"judge-{name}.keras")
    np.savez(folder / "images.npz", images=images)
    np.savez(folder / "answers.npz", **answers(folder, images))


@pytest.fixture
def written(exchange):
    """What the other stack has left."""
    folder = exchange / OTHER
    if not folder.is_dir():
        pytest.skip(f"the other stack ({OTHER}) has written nothing yet")
    return folder


def test_read_from_the_other_stack(written):
    folder = written
    images = np.load(folder / "images.npz")["images"]
    expected = np.load(folder / "answers.npz")
    said = answers(folder, images)
    assert set(said) == set(expected.files)
    for form, answer in said.items():
        tolerance = LEVELS if answer.dtype == np.uint8 else 1e-4
        np.testing.assert_allclose(
            answer.astype(np.float64), expected[form], rtol=0, atol=tolerance, err_msg=form
        )


def test_serve_what_the_other_stack_exported(written, tmp_path):
    images = np.load(written / "images.npz")["images"]
    expected = np.load(written / "answers.npz")
    targets = {"expression": np.array([0, 1], np.int32), "lighting": np.array([1, 1], np.int32)}
    server_files.write(str(written / "models"), str(tmp_path))
    options = Options(
        port=ANY_PORT,
        model_config_file=str(tmp_path / "models.config"),
        volume=(f"{written / 'models'}:/models",),
    )
    with LocalServer(options) as server, grpc.insecure_channel(server.address) as channel:
        predict = channel.unary_unary(
            wire.PREDICT,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=wire.PredictResponse.FromString,
        )
        for name in (*EDITORS, "quality", "depth", "normal"):
            given = {"image": images, **(targets if name in EDITORS else {})}
            request = wire.predict_request(name, "serving_default", given)
            outputs = wire.read_answer(predict(request, timeout=60)).outputs
            output = "image" if name in EDITORS else {"quality": "rating"}.get(name, name)
            answer = expected[f"models/{name}"]
            tolerance = LEVELS if answer.dtype == np.uint8 else 1e-4
            np.testing.assert_allclose(
                outputs[output].reshape(answer.shape).astype(np.float64),
                answer,
                rtol=0,
                atol=tolerance,
                err_msg=name,
            )
