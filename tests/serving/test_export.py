from __future__ import annotations

import collections
import concurrent.futures
import io
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import kernels
from tensorflow_serving.apis import prediction_log_pb2

import legan_tf
from legan_tf.data import storage
from legan_tf.data.conditions import of_classes
from legan_tf.errors import UserError
from legan_tf.graph_ops.target import TARGETS, graphs_for
from legan_tf.models import StarganGenerator, copy_of
from legan_tf.serving import export, model_card, publishing, signatures
from legan_tf.training import systems

INVALID_ARGUMENT = 3


@pytest.fixture(scope="module")
def served(serving_root):
    return tf.saved_model.load(str(serving_root / "legan" / "1"))


@pytest.fixture(scope="module")
def tiny():
    network = StarganGenerator(
        of_classes(expression=("a", "b"), lighting=("c", "d")), image_size=8, width=2, blocks=0
    )
    network.build()
    return network


def test_written_tensors_answer_as_keras_does(generator, served, blobs):
    images = blobs(16, 16, count=3)
    inputs = {
        "image": tf.constant(images),
        "expression": tf.constant([0, 2, -1]),
        "lighting": tf.constant([1, -1, 0]),
    }
    answer = served.signatures["serving_default"](**inputs)
    with graphs_for("any"):
        before = signatures.build(generator).signatures["serving_default"](**inputs)
    np.testing.assert_array_equal(answer["image"], before["image"])
    direct = generator(
        {
            "image": tf.constant(images.astype(np.float32) / 127.5 - 1),
            "expression": tf.constant([[1.0, 0, 0], [0, 0, 1], [0, 0, 0]]),
            "lighting": tf.constant([[0.0, 1], [0, 0], [1, 0]]),
        },
        training=False,
    )["image"].numpy()
    expected = np.clip(np.round((direct + 1) * 127.5), 0, 255).astype(np.uint8)
    assert set(answer) == {"image"}
    assert np.unique(expected).size > 100
    # Outside a graph the same operations may round a half to the other side.
    np.testing.assert_allclose(answer["image"], expected, rtol=0, atol=1)
    assert (answer["image"].numpy() != expected).mean() < 0.01


def test_written_bytes_answer_as_tensors_do(served, blobs):
    images = [blobs(40, 23)[0], blobs(17, 90)[0]]
    contents = []
    for image in images:
        content = io.BytesIO()
        Image.fromarray(image).save(content, "PNG")
        contents.append(content.getvalue())
    answer = served.signatures["serving_bytes"](
        image_bytes=tf.constant(contents),
        expression=tf.constant(["scream", ""]),
        lighting=tf.constant(["", "left"]),
    )["image_bytes"].numpy()
    for content, image, expression, lighting in zip(answer, images, (2, -1), (-1, 0)):
        expected = served.signatures["serving_default"](
            image=tf.constant(image[None]),
            expression=tf.constant([expression]),
            lighting=tf.constant([lighting]),
        )["image"][0]
        edited = np.asarray(Image.open(io.BytesIO(content)))
        # Another batch size may sum in another order and round a half to the other side.
        np.testing.assert_allclose(edited, expected, rtol=0, atol=1)


@pytest.mark.parametrize(
    ("name", "geometry", "by_tensor", "by_png"),
    [
        ("depth", "depth", "serving_default", "serving_bytes"),
        ("legan_normal", "normal", "depth", "depth_bytes"),
    ],
)
def test_written_maps_are_the_network_s(
    serving_root, mappers, blobs, name, geometry, by_tensor, by_png
):
    images = blobs(23, 40, count=3)
    with graphs_for("any"):
        before = signatures.build(mappers[geometry]).signatures
        expected = before["serving_default"](image=tf.constant(images))[geometry]
    assert np.unique(expected).size > 50
    served = tf.saved_model.load(str(serving_root / name / "1")).signatures
    answer = served[by_tensor](image=tf.constant(images))
    assert set(answer) == {geometry}
    np.testing.assert_array_equal(answer[geometry], expected)
    by_bytes = [tf.io.encode_png(image).numpy() for image in images]
    pngs = served[by_png](image_bytes=tf.constant(by_bytes))[f"{geometry}_bytes"]
    decoded = [tf.io.decode_png(png) for png in pngs]
    # Another batch size may sum in another order and round a half to the other side.
    np.testing.assert_allclose(decoded, expected, rtol=0, atol=1)


def test_an_editor_edits_the_same_with_a_depth_network_beside_it(serving_root, served, blobs):
    inputs = {
        "image": tf.constant(blobs(30, 21, count=2)),
        "expression": tf.constant([1, -1]),
        "lighting": tf.constant([0, 1]),
    }
    both = tf.saved_model.load(str(serving_root / "legan_normal" / "1")).signatures
    assert set(both) == {*served.signatures, "depth", "depth_bytes"}
    np.testing.assert_array_equal(
        both["serving_default"](**inputs)["image"],
        served.signatures["serving_default"](**inputs)["image"],
    )


@pytest.fixture(scope="module")
def by_target(tmp_path_factory):
    """Signatures of an editor that has layers for every algorithm, exported for each target."""
    keras.utils.set_random_seed(0)
    network = StarganGenerator(
        of_classes(expression=("a", "b"), lighting=("c", "d")), image_size=16, width=32, blocks=1
    )
    network.build()
    root = tmp_path_factory.mktemp("targets")
    versions = {
        target: export.export(network, str(root), target, target=target) for target in TARGETS
    }
    return {
        target: (version, tf.saved_model.load(version).signatures)
        for target, version in versions.items()
    }


def nodes_of(function):
    graph = function.graph.as_graph_def()
    return [*graph.node, *(node for part in graph.library.function for node in part.node_def)]


def test_exports_for_every_target_answer_the_same(by_target, blobs):
    inputs = {
        "image": tf.constant(blobs(40, 31, count=3)),
        "expression": tf.constant([0, 1, 0]),
        "lighting": tf.constant([1, 1, 0]),
    }
    answers, made_of = {}, {}
    for target, (version, served) in by_target.items():
        with open(os.path.join(version, publishing.LABELS_FILE), encoding="utf-8") as file:
            assert json.load(file)["target"] == target
        answers[target] = served["serving_default"](**inputs)["image"].numpy().astype(int)
        operations = collections.Counter(node.op for node in nodes_of(served["serving_default"]))
        made_of[target] = operations["Conv2D"]
    assert np.ptp(answers["cpu"]) > 50
    for target in ("any", "gpu"):
        # Rounding in another order may turn half a level.
        assert np.abs(answers[target] - answers["cpu"]).max() <= 1
        assert (answers[target] != answers["cpu"]).mean() < 0.01
    # One more for the code beside the image, one less for the small map that is halved; the two of
    # the residual block are Winograd's.
    assert made_of["any"] == made_of["gpu"] and made_of["cpu"] == made_of["gpu"] - 2


def _lacks_gpu_kernel(node) -> bool:
    """Whether TensorFlow would run a node on the processor, by the kernels that are registered."""
    return not any(
        kernel.device_type in ("GPU", "DEFAULT")
        and all(
            node.attr[limit.name].type in limit.allowed_values.list.type
            for limit in kernel.constraint
        )
        for kernel in kernels.get_registered_kernels_for_op(node.op).kernel
    )


# Texts, of which the sentences of checks are made: GPUs have none.
TEXTS = {"AsString", "StringJoin", "ReduceJoin"}


@pytest.mark.skipif(not tf.test.is_built_with_cuda(), reason="TensorFlow was built without GPUs")
@pytest.mark.parametrize("target", ["any", "gpu"])
def test_every_operation_on_pictures_has_a_gpu_kernel(by_target, serving_root, target):
    signatures = [by_target[target][1][name] for name in ("serving_default", "vectors")]
    if target == "any":
        for name, offered in (("legan_normal", ("masks", "depth")), ("quality", ("score",))):
            served = tf.saved_model.load(str(serving_root / name / "1")).signatures
            signatures += [served[name] for name in offered]
    for signature in signatures:
        nodes = nodes_of(signature)
        assert any(node.op == "Conv2D" for node in nodes)
        assert any(node.op == "BatchMatMulV2" for node in nodes)
        lacking = {
            node.op
            for node in nodes
            if _lacks_gpu_kernel(node) and tf.string.as_datatype_enum not in _types(node)
        }
        assert lacking <= TEXTS


def _types(node) -> set[int]:
    return {value.type for value in node.attr.values()}


@pytest.mark.gpu
@pytest.mark.parametrize("target", ["any", "gpu"])
def test_a_gpu_answers_as_a_processor_does(by_target, blobs, target):
    inputs = {
        "image": tf.constant(blobs(40, 31, count=3)),
        "expression": tf.constant([0, 1, 0]),
        "lighting": tf.constant([1, 1, 0]),
    }
    answers = []
    for device in ("CPU:0", "GPU:0"):
        with tf.device(device):
            served = tf.saved_model.load(by_target[target][0]).signatures["serving_default"]
            answers.append(served(**inputs)["image"].numpy().astype(int))
    # Convolutions round factors to TF32 there.
    assert np.abs(answers[0] - answers[1]).max() <= 2
    assert np.abs(answers[0] - answers[1]).mean() < 0.1


@pytest.mark.parametrize("name", ["legan_normal", "quality"])
def test_loading_warns_of_nothing(serving_root, name, caplog):
    tf.saved_model.load(str(serving_root / name / "1"))
    assert not [record.message for record in caplog.records if record.name == "tensorflow"]


def test_labels_travel_with_the_version(serving_root):
    labels = json.loads((serving_root / "legan" / "1" / "assets.extra/labels.json").read_text())
    assert labels == {
        "kind": "editor",
        "architecture": "LeganGenerator",
        "image_size": 16,
        "conditions": [
            {"kind": "class", "name": "expression", "names": ["neutral", "smile", "scream"]},
            {"kind": "class", "name": "lighting", "names": ["left", "right"]},
        ],
        "keeps_unnamed": True,
        "geometry": "",
        "target": "any",
        "face_lines": [],
    }
    labels = json.loads((serving_root / "legan_normal/1/assets.extra/labels.json").read_text())
    assert (labels["kind"], labels["architecture"]) == ("editor", "LeganGenerator")
    assert labels["geometry"] == "normal"
    labels = json.loads((serving_root / "depth" / "1" / "assets.extra/labels.json").read_text())
    assert labels == {
        "kind": "depth",
        "architecture": "DepthNetwork",
        "image_size": 16,
        "conditions": [],
        "keeps_unnamed": False,
        "geometry": "depth",
        "target": "any",
        "face_lines": [],
    }


def test_versions_count_up_and_none_is_overwritten(tmp_path, quality):
    root = str(tmp_path)
    first = pathlib.Path(export.export(quality, root, "m"))
    assert first == tmp_path / "m" / "1"
    before = (first / "saved_model.pb").read_bytes()
    (tmp_path / "m" / "7").mkdir()
    (tmp_path / "m" / ".unfinished-by-another").mkdir()
    (tmp_path / "m" / "notes").mkdir()
    assert pathlib.Path(export.export(quality, root, "m")) == tmp_path / "m" / "8"
    assert (first / "saved_model.pb").read_bytes() == before
    assert sorted(os.listdir(tmp_path / "m")) == [".unfinished-by-another", "1", "7", "8", "notes"]
    assert publishing.versions(str(tmp_path / "m")) == [1, 8]


def test_old_versions_are_removed_once_the_new_one_is_there(tmp_path, quality, monkeypatch):
    for number in (1, 2):
        (tmp_path / "m" / str(number)).mkdir(parents=True)
        (tmp_path / "m" / str(number) / "saved_model.pb").write_bytes(b"an older one")
    assert export.export(quality, str(tmp_path), "m", keep=1) == str(tmp_path / "m" / "3")
    assert sorted(os.listdir(tmp_path / "m")) == ["2", "3"]
    with pytest.raises(UserError, match="-1 older versions cannot be kept"):
        export.export(quality, str(tmp_path), "m", keep=-1)

    rmtree = shutil.rmtree

    def denied(path, **options):
        if ".removed-" in path:
            raise PermissionError(13, "Permission denied")
        rmtree(path, **options)

    monkeypatch.setattr(shutil, "rmtree", denied)
    with pytest.raises(UserError, match=r"m/4 is published, but .*\.removed-2-\w+: cannot be rem"):
        export.export(quality, str(tmp_path), "m", keep=1)
    assert publishing.versions(str(tmp_path / "m")) == [3, 4]


def test_two_exports_at_once_both_succeed(tmp_path, quality, mappers):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        jobs = [
            pool.submit(export.export, network, str(tmp_path), "m")
            for network in (quality, mappers["depth"])
        ]
    assert sorted(job.result() for job in jobs) == [str(tmp_path / "m" / n) for n in "12"]
    kinds = {legan_tf.load(job.result()).kind for job in jobs}
    assert kinds == {"scorer", "depth"}
    assert all(publishing.verify(job.result()) == [] for job in jobs)


@pytest.mark.parametrize("name", ["legan", "quality", "depth", "unlit_depth"])
def test_the_warm_up_file_is_one_that_servers_read(serving_root, name):
    """By the official messages: one request per signature, to the served name, that it answers."""
    version = serving_root / name / "1"
    model = tf.saved_model.load(str(version))
    records = tf.data.TFRecordDataset(str(version / publishing.WARMUP_FILE))
    seen = []
    for record in records.as_numpy_iterator():
        log = prediction_log_pb2.PredictionLog.FromString(record)
        request = log.predict_log.request
        assert log.WhichOneof("log_type") == "predict_log"
        assert request.model_spec.name == name and not request.model_spec.HasField("version")
        signature = request.model_spec.signature_name
        inputs = {key: tf.constant(tf.make_ndarray(t)) for key, t in request.inputs.items()}
        answer = model.signatures[signature](**inputs)
        assert all(len(value) == 2 for value in answer.values())
        seen.append(signature)
    assert sorted(seen) == sorted(model.signatures)
    assert (version / publishing.WARMUP_FILE).stat().st_size < 200_000


def test_what_answers_otherwise_than_the_network_is_not_published(tmp_path, monkeypatch, quality):
    save = tf.saved_model.save

    def save_another(module, folder, signatures):
        # As when a variable were stored wrongly.
        for weight in module.weights:
            weight.assign_add(tf.ones_like(weight))
        save(module, folder, signatures=signatures)
        for weight in module.weights:
            weight.assign_sub(tf.ones_like(weight))

    monkeypatch.setattr(tf.saved_model, "save", save_another)
    with pytest.raises(RuntimeError, match="'rating' of the written signature .* nothing was publ"):
        export.export(quality, str(tmp_path), "m")
    assert os.listdir(tmp_path / "m") == []


def test_checksums_are_those_of_sha256sum(serving_root):
    version = serving_root / "legan" / "1"
    done = subprocess.run(
        ["sha256sum", "-c", "--strict", publishing.SUMS_FILE],
        cwd=version,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    files = {str(path.relative_to(version)) for path in version.rglob("*") if path.is_file()}
    assert {line.partition(":")[0] for line in done.stdout.splitlines()} == files - {
        publishing.SUMS_FILE
    }
    assert {publishing.LABELS_FILE, publishing.CARD_FILE, publishing.WARMUP_FILE} < files


def test_a_card_tells_what_a_version_is(serving_root, generator):
    card = (serving_root / "legan" / "1" / publishing.CARD_FILE).read_text()
    assert card.startswith("# legan\n")
    for told in (
        f"LeganGenerator, {generator.count_params():,} parameters",
        "| Works at | 16 x 16 pixels |",
        "| Graphs for | any device |",
        "| Expression | neutral, smile, scream |",
        "| `serving_default` | `image` uint8 [B, ?, ?, 3]; `expression` int32 [B]; "
        "`lighting` int32 [B] | `image` uint8 [B, 16, 16, 3] |",
        "| `labels` | `row` int32 [B] | `labels` string [B] |",
        f"tensorflow {tf.__version__}",
        "consenting people",
        "not for deception",
        "33,554,432 pixels at most",
        "The flags of its training are not known.",
    ):
        assert told in card, told
    signatures_told = set(re.findall(r"^\| `(\w+)` \|", card, re.MULTILINE))
    model = saved_model_pb2.SavedModel.FromString(
        (serving_root / "legan" / "1" / "saved_model.pb").read_bytes()
    )
    assert signatures_told == set(model.meta_graphs[0].signature_def) - {"__saved_model_init_op"}


def test_a_card_tells_how_the_network_was_trained_and_judged(tmp_path, tiny):
    run = tmp_path / "run"
    (run / "evaluation").mkdir(parents=True)
    config = systems.make(
        model="stargan",
        workdir=str(run),
        manifest="/home/someone/faces.csv",
        train_steps=70,
        width=2,
    )
    (run / "flags.txt").write_text(config.to_flagfile() + "--of_a_later_release=1\n")
    (run / "inputs.json").write_text('{"manifest": "abc123"}')
    (run / "record.jsonl").write_text('{"started": "2024-05-06T07:08:09", "data": ["12 people"]}\n')
    tiny.save(run / "model.keras")
    report = {
        "kind": "scorer",
        "model": {
            "name": "m",
            "path": "/home/someone",
            "sha256": storage.sha256(str(run / "model.keras")),
        },
        "figures": {"mae": 0.125},
        "data": {"rated": 9, "name": "set", "image_size": 8, "seed": 0},
    }
    (run / "evaluation" / "report.json").write_text(json.dumps(report))

    servable = signatures.build(tiny)

    def card() -> str:
        return model_card.write("m", servable, tiny, None, str(run), "")

    told = card()
    assert "```\n12 people\n```" in told
    shown = re.findall(r"^--(\w+=\S+)$", told, re.MULTILINE)
    assert shown[0] == "model=stargan"
    assert set(shown[1:]) == {"width=2", "train_steps=70", "manifest=faces.csv"}
    assert "sha256 of what `--manifest` names: abc123" in told
    assert "| mean absolute error ↓ | 0.125 |" in told and "9 rated pictures" in told
    assert "someone" not in told
    report["model"]["sha256"] = "another"
    (run / "evaluation" / "report.json").write_text(json.dumps(report))
    assert "was on another state of it" in card() and "0.125" not in card()

    # Damage there is told, and keeps nothing from being served.
    for content in (b"[]", b'{"model": 3}', b"{", b"\xff"):
        (run / "evaluation" / "report.json").write_bytes(content)
        told = card()
        assert "## Evaluation\n\nWhat stood beside the network is damaged (" in told
        assert "--train_steps=70" in told
    for damaged in ("inputs.json", "record.jsonl", "flags.txt"):
        (run / damaged).write_bytes(b"\xff")
        assert "## Training\n\nWhat stood beside the network is damaged (" in card()
        (run / damaged).unlink()


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "a b"])
def test_names_that_are_no_folder_are_refused(tmp_path, tiny, name):
    with pytest.raises(UserError, match="cannot name a served model"):
        export.export(tiny, str(tmp_path), name)
    assert os.listdir(tmp_path) == []


def test_diverged_networks_are_refused(tmp_path, tiny, generator, mappers):
    def broken(network):
        copy = copy_of(network, "broken")
        weights = copy.get_weights()
        weights[0][0] = np.nan
        copy.set_weights(weights)
        return copy

    for arguments in (
        {"network": broken(tiny)},
        {"network": broken(mappers["depth"])},
        {"network": generator, "depth": broken(mappers["depth"])},
    ):
        with pytest.raises(UserError, match="diverged"):
            export.export(serving_root=str(tmp_path), name="m", **arguments)
    assert os.listdir(tmp_path) == []


def test_a_root_that_cannot_be_written_is_told(tmp_path, tiny):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot be written"):
        export.export(tiny, str(tmp_path / "file"), "m")


def tensors(version: pathlib.Path, name: str) -> tuple[dict[str, str], dict[str, str]]:
    """Names of the graph tensors behind the inputs and the outputs of a signature."""
    model = saved_model_pb2.SavedModel.FromString((version / "saved_model.pb").read_bytes())
    signature = model.meta_graphs[0].signature_def[name]
    inputs = {key: info.name for key, info in signature.inputs.items()}
    return inputs, {key: info.name for key, info in signature.outputs.items()}


def as_file(array: np.ndarray) -> bytes:
    if array.dtype != object:
        return array.tobytes()
    return b"".join(struct.pack("=Q", len(text)) + text for text in array)


def strings_of(content: bytes) -> list[bytes]:
    """What ``as_file`` makes of strings, read back."""
    found, at = [], 0
    while at < len(content):
        (length,) = struct.unpack_from("=Q", content, at)
        found.append(content[at + 8 : at + 8 + length])
        at += 8 + length
    return found


def compiler() -> str:
    found = shutil.which("gcc") or shutil.which("cc")
    if found is None:
        pytest.skip("needs a C compiler (gcc or cc) to build the C API program")
    return found


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The C program, built against the headers and libraries that TensorFlow brings along."""
    binary = tmp_path_factory.mktemp("c_api") / "saved_model_c_api"
    libraries = tf.sysconfig.get_lib()
    command = [compiler(), "-std=c11", "-Wall", "-Werror", "-o", str(binary)]
    command += [str(pathlib.Path(__file__).with_name("saved_model_c_api.c"))]
    command += [f"-isystem{tf.sysconfig.get_include()}", f"-L{libraries}"]
    command += ["-l:libtensorflow_cc.so.2", "-l:libtensorflow_framework.so.2"]
    command += [f"-Wl,-rpath,{libraries}"]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return binary


@pytest.fixture
def run_c(tmp_path, program):
    """Runs a signature in the C program; returns what became of it, the answer in ``out``."""

    def run(version: pathlib.Path, signature: str, output: str, **inputs: np.ndarray):
        names, results = tensors(version, signature)
        assert set(names) == set(inputs)
        command = [program, version, results[output], tmp_path / "out"]
        for key, array in inputs.items():
            (tmp_path / key).write_bytes(as_file(array))
            kind = tf.string if array.dtype == object else tf.as_dtype(array.dtype)
            dimensions = "x".join(map(str, array.shape))
            command += [names[key], kind.as_datatype_enum, dimensions, tmp_path / key]
        return subprocess.run([str(part) for part in command], capture_output=True, text=True)

    return run


IDS = {"expression": np.array([1, -1], np.int32), "lighting": np.array([0, 1], np.int32)}
VECTORS = {
    "expression": np.array([[0.25, 0.5, 0], [0, 0, 0]], np.float32),
    "lighting": np.array([[1, 0], [0.5, 0.5]], np.float32),
}


@pytest.mark.parametrize(
    ("name", "signature", "output", "attributes"),
    [
        ("legan", "serving_default", "image", IDS),
        ("legan", "vectors", "image", VECTORS),
        ("legan", "masks", "expression_mask_values", IDS),
        ("depth", "serving_default", "depth", {}),
        ("legan_normal", "depth", "normal", {}),
        ("quality", "score", "rating", {}),
    ],
)
def test_the_c_api_answers_as_python_does(
    tmp_path, run_c, serving_root, blobs, name, signature, output, attributes
):
    version = serving_root / name / "1"
    inputs = {"image": blobs(30, 21, count=2), **attributes}
    done = run_c(version, signature, output, **inputs)
    assert done.returncode == 0, done.stderr
    served = tf.saved_model.load(str(version)).signatures[signature]
    expected = served(**{key: tf.constant(value) for key, value in inputs.items()})[output].numpy()
    answer = np.frombuffer((tmp_path / "out").read_bytes(), expected.dtype)
    if expected.dtype == np.uint8:
        assert np.unique(expected).size > 20
        np.testing.assert_array_equal(answer, expected.ravel())
    else:
        assert len(expected) == 2 and np.all(expected[0] != expected[1])
        np.testing.assert_allclose(answer, expected.ravel(), rtol=0, atol=1e-5)


def test_the_c_api_reads_and_writes_pictures(tmp_path, run_c, serving_root, served, blobs):
    version = serving_root / "legan" / "1"
    pictures = [tf.io.encode_png(blobs(24, 31)[0]), tf.io.encode_jpeg(blobs(18, 17, seed=1)[0])]
    pictures = [picture.numpy() for picture in pictures]
    inputs = {
        "image_bytes": np.array(pictures, object),
        "expression": np.array([b"smile", b""], object),
        "lighting": np.array([b"", b"right"], object),
    }
    done = run_c(version, "serving_bytes", "image_bytes", **inputs)
    assert done.returncode == 0, done.stderr
    given = {key: tf.constant(value.tolist()) for key, value in inputs.items()}
    expected = served.signatures["serving_bytes"](**given)["image_bytes"].numpy()
    assert strings_of((tmp_path / "out").read_bytes()) == expected.tolist()

    inputs["image_bytes"] = np.array([pictures[0], pictures[1][:-9]], object)
    refused = run_c(version, "serving_bytes", "image_bytes", **inputs)
    assert refused.returncode == INVALID_ARGUMENT
    assert "Row 1: image_bytes is cut short or damaged." in refused.stderr


def test_the_c_api_refuses_what_python_does(run_c, serving_root, blobs):
    wrong = {**IDS, "expression": np.array([1, 9], np.int32)}
    images = blobs(30, 21, count=2)
    refused = run_c(serving_root / "legan" / "1", "serving_default", "image", image=images, **wrong)
    assert refused.returncode == INVALID_ARGUMENT
    assert "Row 1: unknown expression id 9; known are 0 to 2" in refused.stderr
