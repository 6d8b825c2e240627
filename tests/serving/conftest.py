from __future__ import annotations

import fcntl
import os
import pathlib
import re
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from legan_tf.data.conditions import of_classes
from legan_tf.models import DepthNetwork, LeganGenerator, QualityEstimator, StarganGenerator
from legan_tf.serving import export
from legan_tf.serving.labels import EDITOR, Labels

EXPRESSIONS = ("neutral", "smile", "scream")
LIGHTINGS = ("left", "right")


@pytest.fixture(scope="session")
def generator():
    keras.utils.set_random_seed(1)
    network = LeganGenerator(
        of_classes(expression=EXPRESSIONS, lighting=LIGHTINGS),
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
    network = StarganGenerator(of_classes(expression=EXPRESSIONS), image_size=16, width=4, blocks=0)
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
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        # Exporting takes its time, so the first worker does it for all; they only read it.
        shared = shared.parent
    root, aside = shared / "served", shared / "served.unfinished"
    with open(shared / "served.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            export.export(mappers["depth"], str(aside), "depth")
            export.export(unlit, str(aside), "unlit_depth", mappers["depth"])
            export.export(generator, str(aside), "legan_normal", mappers["normal"])
            assert export.export(generator, str(aside), "legan") == str(aside / "legan" / "1")
            assert export.export(quality, str(aside), "quality") == str(aside / "quality" / "1")
            aside.rename(root)
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


@pytest.fixture(scope="session")
def server(serving_root, tmp_path_factory):
    """The local server with the models of ``serving_root``, all loaded, and the demo page."""
    # Late, as everything that few tests need: it brings gRPC.
    from legan_tf.serving.local_server import LocalServer, Options

    models = tmp_path_factory.mktemp("server") / "models.config"
    models.write_text(model_config(serving_root, sorted(p.name for p in serving_root.iterdir())))
    options = Options(
        port=-1,
        rest_api_port=-1,
        model_config_file=str(models),
        grpc_max_threads=4,
        static_dir=str(pathlib.Path(__file__).parents[2] / "serving" / "demo"),
    )
    with LocalServer(options) as running:
        yield running


def model_config(root, names) -> str:
    """Returns the text of a ``ModelServerConfig`` that serves models below a folder."""
    configs = "".join(
        f'  config {{ name: "{n}" base_path: "{root / n}" model_platform: "tensorflow" }}\n'
        for n in names
    )
    return f"model_config_list {{\n{configs}}}\n"


@pytest.fixture
def server_process(tmp_path):
    """Starts local servers as processes and kills them after the test.

    ``server_process(*flags)`` returns the process once it listens; ``address`` and ``rest_address``
    tell where (empty: not), and ``log`` returns what it has said so far. Give ``--port=-1`` at
    first and ``--port`` of ``address`` to start it again in the same place.
    """
    processes = []

    def start(*flags: str) -> subprocess.Popen:
        log = tmp_path / f"server-{len(processes)}.log"
        command = [sys.executable, "-m", "legan_tf.serving.local_server", *flags]
        with open(log, "w") as stream:
            process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT)
        processes.append(process)
        deadline = time.monotonic() + 120
        while not (said := re.search(r"Listening on .*", log.read_text())):
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        process.address = "".join(re.findall(r"(\S+) \(gRPC\)", said[0])[:1])
        process.rest_address = "".join(re.findall(r"http://(\S+) \(REST\)", said[0]))
        process.log = log.read_text
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()


PAINTED = {"neutral": 50, "smile": 100, "wink": 150}
HELD = 101


@pytest.fixture(scope="session")
def paint():
    """Writes versions of tiny editors whose pictures tell what was asked of them.

    Red is the level of the expression in ``PAINTED``, green is that of the picture, blue is how
    many pictures came in the request. Black pictures are refused. Requests with a picture of level
    ``HELD`` say that they have begun, by a file ``begun-ID`` in the folder ``gate``, where ID is
    that of their first expression, and are not answered before there is a file ``go-ID``.
    """

    def write(root, version: int, expressions, size: int = 8, gate="") -> None:
        conditions = of_classes(expression=expressions)
        labels = Labels(EDITOR, "Painter", size, conditions, True).to_json()
        levels = [PAINTED[name] for name in expressions]

        def refuse(wrong, rows, sentence):
            numbers = tf.strings.as_string(tf.boolean_mask(tf.range(rows), wrong))
            told = tf.strings.reduce_join("Row " + numbers + sentence, separator=" ")
            return tf.debugging.Assert(~tf.reduce_any(wrong), [told])

        def hold(expression):
            id_ = tf.strings.as_string(expression[0])
            with tf.control_dependencies([tf.io.write_file(f"{gate}/begun-" + id_, "")]):
                go = tf.identity(f"{gate}/go-" + id_)
            return tf.while_loop(
                lambda file: tf.equal(tf.size(tf.io.matching_files(file)), 0),
                lambda file: (file,),
                (go,),
            )[0]

        @tf.function(
            input_signature=[
                tf.TensorSpec([None, None, None, 3], tf.uint8, "image"),
                tf.TensorSpec([None], tf.int32, "expression"),
            ]
        )
        def serving_default(image, expression):
            rows = tf.shape(image)[0]
            black = tf.reduce_max(image, axis=[1, 2, 3]) == 0
            checks = [
                refuse(black, rows, ": is black."),
                refuse(expression >= len(levels), rows, ": unknown expression."),
                tf.debugging.assert_equal(tf.shape(image)[1:3], [size, size]),
            ]
            with tf.control_dependencies(checks):
                held = tf.reduce_any(image[..., 1] == HELD)
                waited = tf.cond(held & bool(gate), lambda: hold(expression), lambda: "")
            with tf.control_dependencies([waited]):
                red = tf.gather(levels, expression)
            red = red[:, None, None] * tf.ones_like(image[..., 0], tf.int32)
            green = tf.cast(image[..., 1], tf.int32)
            painted = tf.stack([red, green, tf.fill(tf.shape(green), rows)], axis=-1)
            return {"image": tf.cast(painted, tf.uint8)}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, "row")])
        def tell(row):
            return {"labels": tf.fill(tf.shape(row), labels)}

        signatures = {"serving_default": serving_default, "labels": tell}
        aside = root / "painter" / f".unfinished-{version}"
        tf.saved_model.save(tf.Module(), str(aside), signatures)
        aside.rename(root / "painter" / str(version))

    return write
