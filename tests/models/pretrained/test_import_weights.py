"""Files in the published layouts into networks: what fits gives PyTorch's numbers."""

from __future__ import annotations

import os
import pathlib
import pickle
import runpy
import subprocess
import sys

import keras
import numpy as np
import pytest

import legan_tf
from legan_tf.data.conditions import ATTRIBUTES, BinaryCondition, of_classes
from legan_tf.errors import UserError
from legan_tf.models import LightCNN29
from legan_tf.models.model_files import load_model
from legan_tf.models.pretrained import pytorch_conversion
from legan_tf.models.pretrained.import_weights import import_weights
from legan_tf.models.pretrained.weight_files import WEIGHT_FILES, as_text

ROOT = pathlib.Path(__file__).parents[3]
saved = runpy.run_path(str(ROOT / "tests/torch_writer.py"))["saved"]
published = runpy.run_path(str(ROOT / "tests/published_networks.py"))
pictures, OUTPUTS = published["pictures"], published["OUTPUTS"]
NAMES = ("happy", "sad", "angry", "calm", "afraid")
LIGHTS = ("left", "right", "above")
CLASSES = of_classes(expression=NAMES)


def stargan(attributes: int = 5) -> dict[str, np.ndarray]:
    return published["stargan_generator"](attributes, 4, 1)


def write(path: pathlib.Path, tensors: object, form: str = "zip") -> str:
    path.write_bytes(saved(dict(tensors) if isinstance(tensors, dict) else tensors, form))
    return str(path)


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """Imports a network from random weights, once; returns its file and what was told."""
    folder = tmp_path_factory.mktemp("imported")
    files = {}

    def imported(network: str) -> tuple[str, str]:
        if network not in files:
            checkpoint = {}
            if network.startswith("lightcnn"):
                weights = published["lightcnn29"](int(network[-1]))
                state = {f"module.{name}": tensor for name, tensor in weights.items()}
                checkpoint = {"epoch": 80, "arch": "LightCNN", "state_dict": state, "prec1": 97.5}
            source = folder / f"{network}.pth"
            write(source, checkpoint or published[network](), "pickles" if checkpoint else "zip")
            output = str(folder / f"{network}.keras")
            files[network] = output, import_weights(network, str(source), output)
            source.unlink()
        return files[network]

    return imported


@pytest.mark.parametrize(
    ("network", "size", "numbers"),
    [
        ("lightcnn29_v1", 128, 12_573_280),
        ("lightcnn29_v2", 128, 10_475_872),
        ("vggface2_resnet50", 224, 23_481_472),
        ("fid_inception", 299, 21_768_352),
    ],
)
def test_an_imported_network_gives_what_pytorch_gives(imported, network, size, numbers):
    file, told = imported(network)
    loaded = load_model(file)
    assert loaded.count_params() == numbers
    assert f"{numbers:,} numbers" in told and WEIGHT_FILES[network].licence in told
    assert ("other weights than the published file" in told) is (network == "fid_inception")
    expected = OUTPUTS[network]
    given = loaded(pictures(1, size)).numpy()[0, : len(expected)]
    np.testing.assert_allclose(given, expected, rtol=0, atol=1e-4)


def test_vgg_face_gives_what_pytorch_gives():
    layout = pytorch_conversion.vgg_face(width=0.125)
    left_out = layout.fill("a.pth", "VGG-Face", published["vgg_face"](0.125))
    assert left_out == {
        "the layer that names the people it was trained on": ["fc8.weight", "fc8.bias"]
    }
    expected = OUTPUTS["vgg_face"]
    given = layout.network(pictures(1, 224)).numpy()[0, : len(expected)]
    np.testing.assert_allclose(given, expected, rtol=0, atol=1e-4)


def test_stargan_generator_gives_what_pytorch_gives_and_edits(tmp_path):
    weights = published["stargan_generator"](8, 8, 2)
    output = str(tmp_path / "new" / "g.keras")
    flags = {"conditions": of_classes(expression=NAMES, lighting=LIGHTS), "image_size": 32}
    told = import_weights("stargan_generator", write(tmp_path / "g.ckpt", weights), output, **flags)
    assert "running means and variances" in told and "(main.1.running_mean and 17 more)" in told
    assert os.listdir(tmp_path / "new") == ["g.keras"]
    network, code = load_model(output), published["codes"](1, 8)
    inputs = {"image": pictures(1, 32), "expression": code[:, :5], "lighting": code[:, 5:]}
    given = network(inputs)["image"].numpy()[0, 16, ::4, 1]
    expected = OUTPUTS["stargan_generator"]
    np.testing.assert_allclose(given[: len(expected)], expected, rtol=0, atol=1e-4)
    editor = legan_tf.load(output)
    assert network.conditions == of_classes(expression=NAMES, lighting=LIGHTS)
    assert not editor.keeps_unnamed
    assert editor(pictures(1, 32)[0], expression="sad", lighting="above").shape == (32, 32, 3)


def test_stargan_of_before_running_statistics_is_the_same_network(tmp_path):
    weights = stargan()
    plain = {name: t for name, t in weights.items() if name.endswith(("weight", "bias"))}
    for name, tensors in (("old", plain), ("new", weights)):
        source = write(tmp_path / f"{name}.ckpt", tensors)
        output = str(tmp_path / f"{name}.keras")
        import_weights("stargan_generator", source, output, CLASSES)
    old, new = (load_model(str(tmp_path / f"{name}.keras")) for name in ("old", "new"))
    for one, other in zip(old.get_weights(), new.get_weights()):
        np.testing.assert_array_equal(one, other)


def test_stargan_discriminator_gives_what_pytorch_gives(tmp_path):
    source = write(tmp_path / "d.ckpt", published["stargan_discriminator"](7, 64, 8, 3))
    output = str(tmp_path / "d.keras")
    conditions = of_classes(expression=NAMES, lighting=LIGHTS[:2])
    import_weights("stargan_discriminator", source, output, conditions)
    network = load_model(output)
    assert (network.image_size, network.width, network.depth) == (64, 8, 3)
    judged = network(pictures(1, 64))
    logits = np.concatenate([judged["expression"][0], judged["lighting"][0]])
    np.testing.assert_allclose(logits, OUTPUTS["stargan_discriminator"], rtol=0, atol=1e-4)


def test_ganimation_of_both_codes_is_one_network(tmp_path):
    made = published["ganimation_generator"]
    replicate = made(4, 1, replicate=True)
    # The same kernels under the other names, with scales of 1 and offsets of 0.
    plain = made(4, 1)
    kernels = iter(t for t in replicate.values() if t.ndim == 4)
    for name, tensor in plain.items():
        if tensor.ndim == 4:
            plain[name] = next(kernels)
        elif name.endswith("weight"):
            plain[name] = np.ones_like(tensor)
        elif name.endswith("bias"):
            plain[name] = np.zeros_like(tensor)
    outputs, given = [], {"image": pictures(1, 16), "action_units": published["codes"](1, 17)}
    for name, weights in (("plain", plain), ("replicate", replicate)):
        output = str(tmp_path / f"{name}.keras")
        source = write(tmp_path / f"{name}.pth", weights)
        told = import_weights("ganimation_generator", source, output, image_size=16)
        outputs.append(load_model(output)(given))
    assert "biases before a normalisation" in told and "running" not in told
    for name, values in outputs[0].items():
        np.testing.assert_array_equal(values, outputs[1][name])
    image, mask, colors = (
        outputs[0][name].numpy() for name in ("image", "action_units_mask", "colors")
    )
    np.testing.assert_allclose(image, mask * given["image"] + (1 - mask) * colors, atol=1e-5)
    editor = legan_tf.load(output)
    assert editor(pictures(1, 16)[0], action_units="AU12=3").shape == (16, 16, 3)


def test_ganimation_discriminator_of_both_codes(tmp_path):
    read = []
    for replicate in (False, True):
        weights = published["ganimation_discriminator"](64, 8, 3, replicate)
        output = str(tmp_path / "d.keras")
        import_weights("ganimation_discriminator", write(tmp_path / "d.pth", weights), output)
        network = load_model(output)
        assert (network.image_size, network.conditions[0].size) == (64, 17)
        read.append(network(pictures(1, 64)))
    np.testing.assert_array_equal(read[0]["action_units"], read[1]["action_units"])
    np.testing.assert_array_equal(read[0]["realness"], read[1]["realness"])


def test_a_ganimation_of_other_action_units_is_refused(tmp_path):
    weights = published["ganimation_generator"](4, 0)
    weights["main.0.weight"] = weights["main.0.weight"][:, :15]
    source = write(tmp_path / "g.pth", weights)
    with pytest.raises(UserError, match="it knows 12 action units; only the 17 of OpenFace"):
        import_weights("ganimation_generator", source, str(tmp_path / "g.keras"))


def test_a_network_of_before_there_were_versions_still_loads():
    config = {"image_size": 16, "width": 0.05, "name": "lightcnn29"}
    network = LightCNN29.from_config(config)
    assert network.version == 2
    assert network.get_config() == {**config, "version": 2}


def without(name: str):
    return lambda tensors: {key: t for key, t in tensors.items() if key != name}


def with_tensor(name: str, tensor: np.ndarray):
    return lambda tensors: {**tensors, name: tensor}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (without("main.4.weight"), "is not a file of StarGAN's generator: it lacks main.4.weight."),
        (without("main.0.weight"), "as a file of StarGAN's generator, it has no main.0.weight of"),
        (with_tensor("extra", np.ones(2, np.float32)), "it also has extra"),
        (
            with_tensor("main.3.weight", np.ones((8, 4, 3, 3), np.float32)),
            r"main.3.weight is \(8, 4, 3, 3\), not \(8, 4, 4, 4\)",
        ),
        (
            with_tensor("main.4.bias", np.full(8, np.nan, np.float32)),
            "main.4.bias does not hold finite numbers only",
        ),
        (with_tensor("main.4.bias", np.ones(8, np.int64)), "main.4.bias does not hold finite"),
        (with_tensor("main.4.bias", np.full(8, 1e300)), "main.4.bias does not hold finite"),
        (
            with_tensor("main.0.weight", np.ones((300, 8, 7, 7), np.float32)),
            r"main.0.weight is \(300, 8, 7, 7\), not \(256, 8, 7, 7\)",
        ),
        (with_tensor("main.0.weight", np.ones(3, np.float32)), "it has no main.0.weight of"),
        (lambda _: published["stargan_discriminator"](5, 16, 4, 2), "it has no main.0.weight of"),
        (lambda _: {}, "it has no main.0.weight of"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_in_words(tmp_path, change, told):
    source, output = tmp_path / "g.ckpt", tmp_path / "out" / "g.keras"
    write(source, change(stargan()))
    with pytest.raises(UserError, match=told) as error:
        import_weights("stargan_generator", str(source), str(output), CLASSES)
    assert str(error.value).startswith(f"--source: {source}: ") and "\n" not in str(error.value)
    assert not output.parent.exists()


@pytest.mark.parametrize("network", ["lightcnn29_v1", "fid_inception", "vggface2_resnet50"])
def test_another_networks_file_is_refused(tmp_path, network):
    source = write(tmp_path / "a.pth", stargan())
    with pytest.raises(
        UserError, match=f"is not a file of {WEIGHT_FILES[network].title}: it lacks"
    ):
        import_weights(network, source, str(tmp_path / "a.keras"))


def test_version_1_of_lightcnn_is_not_taken_for_version_2(tmp_path):
    source = write(tmp_path / "a.pth", published["lightcnn29"](1))
    told = "it lacks fc.weight and 1 more; it also has fc.filter.weight and 1 more"
    with pytest.raises(UserError, match=told):
        import_weights("lightcnn29_v2", source, str(tmp_path / "a.keras"))


def test_a_variance_below_zero_is_refused():
    weights = published["vggface2_resnet50"](0.125)
    weights["conv3_2_3x3_bn.running_var"][3] = -1
    layout = pytorch_conversion.vggface2_resnet50(0.125)
    with pytest.raises(UserError, match="^a.pth: conv3_2_3x3_bn.running_var holds variances below"):
        layout.fill("a.pth", "ResNet-50", weights)


def test_truncated_missing_and_hostile_files_are_refused(tmp_path):
    content = saved(dict(stargan()))

    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'ran'}",)

    files = {
        "cut": content[: len(content) // 2],
        "text": b"<html>too many downloads</html>",
        "evil": pickle.dumps({"state_dict": Evil()}, 2),
        "absent": None,
    }
    for name, data in files.items():
        if data is not None:
            (tmp_path / name).write_bytes(data)
        with pytest.raises(UserError, match=f"^--source: {tmp_path / name}: "):
            import_weights(
                "stargan_generator",
                str(tmp_path / name),
                str(tmp_path / "g.keras"),
                CLASSES,
            )
    assert not (tmp_path / "ran").exists() and not (tmp_path / "g.keras").exists()


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ({"network": "resnet"}, "--network=resnet: choose from lightcnn29_v2, "),
        ({}, "knows 5 attributes: name them in the order of its code, with --attributes"),
        ({"conditions": of_classes(expression=NAMES[:3])}, "knows 5 attributes, but 3 are named"),
        (
            {"conditions": of_classes(expression=NAMES, lighting=LIGHTS)},
            "knows 5 attributes, but 8 are named",
        ),
        (
            {"conditions": of_classes(lighting=("a", "a", "b", "c", "d"))},
            "--lightings=a,a,b,c,d: every name must be there, and once",
        ),
        ({"image_size": 30}, "--image_size=30: must be a multiple of 4"),
        ({"output": "g.h5"}, "--output=g.h5: must end in .keras"),
        (
            {"network": "fid_inception", "conditions": (BinaryCondition(ATTRIBUTES, NAMES),)},
            "--attributes=happy,.*: fid_inception has no attributes to name",
        ),
        ({"conditions": CLASSES, "output": "FILE/g.keras"}, "--output=.*: cannot be written"),
    ],
)
def test_flags_that_do_not_fit_are_refused_in_words(tmp_path, flags, told):
    source = write(tmp_path / "g.ckpt", stargan())
    flags = {"network": "stargan_generator", "output": str(tmp_path / "g.keras"), **flags}
    flags["output"] = flags["output"].replace("FILE", source)
    with pytest.raises(UserError, match=told):
        import_weights(source=source, **flags)
    assert os.listdir(tmp_path) == ["g.ckpt"]


def test_an_output_that_is_there_is_replaced_only_by_a_whole_one(tmp_path):
    output = tmp_path / "g.keras"
    output.write_bytes(b"precious")
    source = write(tmp_path / "g.ckpt", without("main.1.bias")(stargan()))
    with pytest.raises(UserError):
        import_weights("stargan_generator", source, str(output), CLASSES)
    assert output.read_bytes() == b"precious"
    source = write(tmp_path / "g.ckpt", stargan())
    import_weights("stargan_generator", source, str(output), CLASSES)
    assert keras.models.load_model(output).names("expression") == NAMES


def script(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts/import_weights.py"), *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=ROOT,
    )


def test_the_script_imports_lists_and_says_what_is_missing(tmp_path):
    listed = script("--list")
    assert listed.returncode == 0 and listed.stdout == as_text() + "\n"
    assert all(name in listed.stdout for name in WEIGHT_FILES)
    assert listed.stdout.count("sha256   unknown") == len(WEIGHT_FILES) - 1
    refused = script("--network=vgg_face")
    assert refused.returncode == 2 and "give --source, --output" in refused.stderr
    source, output = write(tmp_path / "g.ckpt", stargan()), tmp_path / "g.keras"
    names = ",".join(published["CELEBA"])
    made = script(
        "--network=stargan_generator",
        f"--source={source}",
        f"--output={output}",
        f"--attributes={names}",
    )
    assert made.returncode == 0, made.stderr
    assert "StarGAN's generator" in made.stdout
    (condition,) = keras.models.load_model(output).conditions
    assert condition == BinaryCondition(ATTRIBUTES, published["CELEBA"])
