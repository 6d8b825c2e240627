"""Files that somebody else made for the worse are refused, and nothing in them is run."""

from __future__ import annotations

import io
import json
import pathlib
import sys
import tracemalloc
import zipfile

import h5py
import keras
import numpy as np
import pytest

import legan_tf
from legan_tf.errors import UserError
from legan_tf.evaluation.image_networks import load_face_network, load_feature_network
from legan_tf.evaluation.lpips_network import load_lpips
from legan_tf.models import QualityEstimator, vgg19_taps
from legan_tf.models.model_files import check_model_file, load_model
from legan_tf.training.run_folder import load_network

DENSE = {"name": "d", "units": 1, "activation": "linear"}
METADATA = json.dumps({"keras_version": keras.__version__, "date_saved": ""})


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """A module that leaves a file when it is imported; the name of that file."""
    sprung = tmp_path / "sprung"
    (tmp_path / "trap_of_test.py").write_text(
        f"open({str(sprung)!r}, 'w').close()\n"
        "class Trap:\n    from_config = classmethod(lambda cls, config: cls())\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "trap_of_test", raising=False)
    yield sprung
    assert not sprung.exists()


def weights_file(fill=lambda file: None):
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        fill(file)
    return content.getvalue()


def write(path, config, weights=None, compression=zipfile.ZIP_STORED, more=()):
    """Writes a ``.keras`` file, or an HDF5 file that describes a network."""
    text = config if isinstance(config, str) else json.dumps(config)
    if path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            file.attrs["model_config"] = text
        return path
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("metadata.json", METADATA)
        archive.writestr("config.json", text)
        archive.writestr("model.weights.h5", weights_file() if weights is None else weights)
        for name in more:
            archive.writestr(name, b"x")
    return path


def item(name, module="keras.layers", registered=None, /, **config):
    return {"module": module, "class_name": name, "config": config, "registered_name": registered}


def sequential(*layers, **more):
    start = item("InputLayer", batch_input_shape=[None, 4], name="i")
    model = item("Sequential", "keras", name="s", layers=[start, *layers])
    return {**model, **more}


def dense(**config):
    return item("Dense", **{**DENSE, **config})


TRAP = item("Trap", "trap_of_test")
FUNCTION = {"class_name": "function", "registered_name": "function"}
CONFIGS = {
    "the network itself": ("Trap, trap_of_test", TRAP),
    "a module that prints": ("Zen, this", item("Zen", "this")),
    "a process": ("Popen, subprocess", item("Popen", "subprocess", args=["touch", "sprung"])),
    "a layer": ("Trap, trap_of_test", sequential(TRAP)),
    "a layer in a wrapper": (
        "Trap, trap_of_test",
        sequential(item("TimeDistributed", layer=TRAP, name="t")),
    ),
    "a function": (
        "system, os",
        sequential(dense(activation={**FUNCTION, "module": "os", "config": "system"})),
    ),
    "a builtin function": (
        "eval, builtins",
        sequential(dense(activation={**FUNCTION, "module": "builtins", "config": "eval"})),
    ),
    "a function by name": ("trap_of_test.f", sequential(dense(activation="trap_of_test.f"))),
    "an initializer": ("Trap, trap_of_test", sequential(dense(kernel_initializer=TRAP))),
    "a regularizer": ("Trap, trap_of_test", sequential(dense(kernel_regularizer=TRAP))),
    "a type": ("Trap, trap_of_test", sequential(dense(dtype=TRAP))),
    "a Lambda in a nested network": (
        "Lambda, keras.layers",
        sequential(item("Sequential", "keras", name="n", layers=[item("Lambda", function="x")])),
    ),
    "an operation": ("TFOpLambda", sequential(item("TFOpLambda", function="io.write_file"))),
    "a slice": ("SlicingOpLambda", sequential(item("SlicingOpLambda", function="__getitem__"))),
    "an operation of Keras 3": (
        "Add, keras.src.ops.numpy",
        sequential(item("Add", "keras.src.ops.numpy", "Add")),
    ),
    "marshalled code": (
        "__lambda__",
        sequential(dense(activation={"class_name": "__lambda__", "config": {"value": "4wE="}})),
    ),
    "a type of tensors": (
        "__typespec__",
        sequential(dense(units={"class_name": "__typespec__", "config": []})),
    ),
    "a registered name of others": (
        "Dense, keras.layers, mine>Dense",
        sequential(item("Dense", "keras.layers", "mine>Dense", **DENSE)),
    ),
    "a registered name of ours": (
        "Trap, trap_of_test, legan_tf>LeganGenerator",
        item("Trap", "trap_of_test", "legan_tf>LeganGenerator"),
    ),
    "a module under a name of ours": (
        "LeganGenerator, trap_of_test",
        item("LeganGenerator", "trap_of_test", "legan_tf>LeganGenerator"),
    ),
    # It would load the path in its own configuration.
    "a layer that reads files": (
        "RandomEdit",
        sequential(
            item("RandomEdit", "legan_tf.uses.keras_layers", "legan_tf>RandomEdit", editor="/x")
        ),
    ),
    "an optimizer": (
        "Trap, trap_of_test",
        sequential(dense(), compile_config={"optimizer": TRAP, "loss": "mse"}),
    ),
    "a nested optimizer": (
        "Trap, trap_of_test",
        sequential({**sequential(dense()), "compile_config": {"optimizer": TRAP}}),
    ),
    "a shape": (
        "Trap, trap_of_test",
        sequential({**dense(), "build_config": {"input_shape": TRAP}}),
    ),
    "a module alone": ("trap_of_test", sequential({"module": "trap_of_test", "config": {}})),
}


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("place", CONFIGS)
def test_a_configuration_that_names_code_is_refused(tmp_path, trap, place, suffix):
    named, config = CONFIGS[place]
    path = write(tmp_path / f"m{suffix}", config)
    with pytest.raises(UserError, match=f"^{path}: its configuration names '{named}.*could run"):
        load_model(str(path))


def test_every_place_that_reads_a_file_of_a_network_refuses_it(tmp_path, trap):
    path = str(write(tmp_path / "model.keras", sequential(TRAP)))
    named = "model.keras: its configuration names 'Trap, trap_of_test"
    for read in (legan_tf.load, load_network, load_face_network, load_feature_network):
        for place in (path, str(tmp_path)):
            with pytest.raises(UserError, match=named):
                read(place)
    other = tmp_path / "other.h5"
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file["layer"] = h5py.ExternalLink(str(other), "/")
    path = str(tmp_path / "weights.h5")
    for flag, read in {
        "--vgg_weights": vgg19_taps,
        "--features": load_feature_network,
        "--identity_model": load_face_network,
        "--lpips_trunk": lambda path: load_lpips("squeeze", path, path),
    }.items():
        with pytest.raises(UserError, match=f"^{flag}.*weights.h5: holds a link in place"):
            read(path)


def linked(kind, there):
    def fill(file):
        if kind == "external link":
            file["weights"] = h5py.ExternalLink(there, "/secret")
        elif kind == "soft link":
            file["weights"] = h5py.SoftLink("/elsewhere")
        elif kind == "external storage":
            file.create_dataset("weights", (4,), "u1", external=[(there, 0, 4)])
        else:
            layout = h5py.VirtualLayout((4,), "u1")
            layout[:] = h5py.VirtualSource(there, "secret", (4,))
            file.create_virtual_dataset("weights", layout)

    return fill


@pytest.mark.parametrize("kind", ["external link", "soft link", "external storage", "virtual"])
@pytest.mark.parametrize("inside", [False, True])
def test_weights_that_lie_in_another_file_are_refused(tmp_path, kind, inside):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["secret"] = np.arange(4, dtype=np.uint8)
    weights = weights_file(linked(kind, str(tmp_path / "other.h5")))
    path = tmp_path / ("m.keras" if inside else "m.h5")
    if inside:
        write(path, sequential(dense()), weights)
    else:
        path.write_bytes(weights)
    with pytest.raises(UserError, match=f"^{path}: .* 'weights'.*; give a file with all in it"):
        check_model_file(str(path))


def peak_of(action):
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("inside", [False, True])
def test_weights_that_are_declared_but_not_there_are_refused(tmp_path, inside):
    def fill(file):
        file.create_dataset("a/vars/0", (2**38,), "f4", chunks=(2**10,))

    path = tmp_path / ("m.keras" if inside else "m.h5")
    if inside:
        write(path, sequential(dense()), weights_file(fill))
    else:
        path.write_bytes(weights_file(fill))
    with pytest.raises(UserError, match=f"^{path}: unpacks to more than 8 times its size"):
        check_model_file(str(path))


def test_groups_that_hold_themselves_are_walked_once(tmp_path):
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file["a/b"] = np.zeros(3)
        file["a/a"] = file["a"]
    assert check_model_file(str(tmp_path / "m.h5")) is False


def set_sizes(content, old, new):
    return content.replace(old.to_bytes(4, "little"), new.to_bytes(4, "little"))


def test_archives_that_unpack_to_more_than_they_are_are_refused(tmp_path):
    path = tmp_path / "m.keras"

    def refused(message):
        def read():
            with pytest.raises(UserError, match=f"^{path}: {message}"):
                load_model(str(path))

        assert peak_of(read) < 2**23

    write(path, sequential(dense()), bytes(2**28), zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2**20
    refused("is compressed")
    content = write(path, sequential(dense()), bytes(77777)).read_bytes()
    path.write_bytes(set_sizes(content, 77777, 2**31))
    refused("declares wrong sizes of its parts")
    with pytest.warns(UserWarning, match="Duplicate name"):
        write(path, sequential(dense()), more=["config.json"])
    refused("holds one part twice")
    for name in ("../../sprung", "/etc/sprung", "assets/sprung", "a" * 60000):
        write(path, sequential(dense()), more=[name])
        refused(f"holds '{name[:80]}', which no file of Keras does")


def test_configurations_that_are_too_much_are_refused(tmp_path):
    path = tmp_path / "m.keras"
    layer = json.dumps(sequential(dense()))
    for text, message in {
        "[" * 100_000 + "]" * 100_000: "nested more than 200 deep",
        '{"a":' * 300 + "1" + "}" * 300: "nested more than 200 deep",
        layer + " " * 2**24: "has a configuration of",
        layer[:-1]: "is not a .keras file, or is damaged",
    }.items():
        write(path, text)
        with pytest.raises(UserError, match=f"^{path}: .*{message}"):
            load_model(str(path))


def test_files_that_are_cut_short_are_refused(tmp_path):
    network = QualityEstimator(16, 4, 3)
    network.build()
    network.save(tmp_path / "q.keras")
    content = (tmp_path / "q.keras").read_bytes()
    inner = zipfile.ZipFile(tmp_path / "q.keras").read("model.weights.h5")
    for end in (0, 10, len(content) // 2, len(content) - 1):
        (tmp_path / "q.keras").write_bytes(content[:end])
        with pytest.raises(UserError, match="q.keras: is not a .keras file, or is damaged"):
            load_model(str(tmp_path / "q.keras"))
    for end in (0, 10, len(inner) // 2, len(inner) - 1):
        write(tmp_path / "q.keras", sequential(dense()), inner[:end])
        with pytest.raises(UserError, match="q.keras: is not a .keras file, or is damaged"):
            load_model(str(tmp_path / "q.keras"))


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_networks_of_plain_layers_are_loaded_as_they_are(tmp_path, suffix):
    layers = keras.layers
    inner = keras.Sequential(
        [layers.Dense(4, activation="gelu"), layers.Dropout(0.1)], name="inner"
    )
    image = keras.Input((8, 8, 3))
    x = layers.Rescaling(scale=[1.0, 2.0, 3.0])(image)
    x = layers.Conv2D(4, 3, activation="swish", kernel_regularizer="l2")(x)
    x = layers.Conv2D(4, 3, kernel_initializer="he_normal", kernel_constraint="max_norm")(x)
    x = layers.LeakyReLU()(layers.BatchNormalization()(x))
    x = layers.Concatenate()([layers.GlobalMaxPooling2D()(x), layers.GlobalAveragePooling2D()(x)])
    x = inner(x)
    model = keras.Model(image, layers.Add()([x, layers.Activation(keras.activations.relu)(x)]))
    model.compile(keras.optimizers.Adam(), keras.losses.MeanSquaredError(), metrics=["mae"])
    path = str(tmp_path / pathlib.Path("m").with_suffix(suffix))
    model.save(path)
    images = np.random.default_rng(0).random((2, 8, 8, 3), np.float32)
    np.testing.assert_array_equal(load_model(path)(images), model(images))


@pytest.mark.parametrize("name", ["MobileNet", "InceptionV3", "VGG16", "DenseNet121", "ResNet50V2"])
def test_networks_of_keras_applications_may_be_loaded(tmp_path, name):
    make = getattr(keras.applications, name)
    network = make(weights=None, include_top=False, input_shape=(96, 96, 3))
    assert check_model_file(str(write(tmp_path / "m.h5", network.to_json())))
