from __future__ import annotations

import hashlib
import pathlib
import re
import runpy

import h5py
import numpy as np
import pytest
import tensorflow as tf

from legan_tf.errors import UserError
from legan_tf.evaluation.lpips_network import load_lpips

saved = runpy.run_path(str(pathlib.Path(__file__).parents[1] / "torch_writer.py"))["saved"]


def fires(*modules: tuple[int, int, int, int]) -> dict[str, tuple[int, ...]]:
    shapes = {}
    for index, before, between, after in modules:
        shapes[f"features.{index}.squeeze"] = (between, before, 1, 1)
        shapes[f"features.{index}.expand1x1"] = (after, between, 1, 1)
        shapes[f"features.{index}.expand3x3"] = (after, between, 3, 3)
    return shapes


# torchvision's convolutions, out of its printed architectures.
KERNELS = {
    "alex": {
        "features.0": (64, 3, 11, 11),
        "features.3": (192, 64, 5, 5),
        "features.6": (384, 192, 3, 3),
        "features.8": (256, 384, 3, 3),
        "features.10": (256, 256, 3, 3),
    },
    "vgg": {
        "features.0": (64, 3, 3, 3),
        "features.2": (64, 64, 3, 3),
        "features.5": (128, 64, 3, 3),
        "features.7": (128, 128, 3, 3),
        "features.10": (256, 128, 3, 3),
        "features.12": (256, 256, 3, 3),
        "features.14": (256, 256, 3, 3),
        "features.17": (512, 256, 3, 3),
        "features.19": (512, 512, 3, 3),
        "features.21": (512, 512, 3, 3),
        "features.24": (512, 512, 3, 3),
        "features.26": (512, 512, 3, 3),
        "features.28": (512, 512, 3, 3),
    },
    "squeeze": {
        "features.0": (64, 3, 3, 3),
        **fires((3, 64, 16, 64), (4, 128, 16, 64), (6, 128, 32, 128), (7, 256, 32, 128)),
        **fires((9, 256, 48, 192), (10, 384, 48, 192), (11, 384, 64, 256), (12, 512, 64, 256)),
    },
}
CHANNELS = {
    "alex": (64, 192, 384, 256, 256),
    "vgg": (64, 128, 256, 512, 512),
    "squeeze": (64, 128, 256, 384, 384, 512, 512),
}
NETS = tuple(KERNELS)


def trunk_tensors(net: str, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    tensors = {}
    for name, shape in KERNELS[net].items():
        kernel = rng.standard_normal(shape, np.float32)
        tensors[f"{name}.weight"] = kernel * np.float32(np.sqrt(2 / np.prod(shape[1:])))
        tensors[f"{name}.bias"] = 0.1 * rng.standard_normal(shape[0], np.float32)
    return tensors | {"classifier.1.weight": np.ones((10, 2), np.float32)}


def head_tensors(net: str) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    return {
        f"lin{i}.model.1.weight": rng.uniform(0, 0.1, (1, c, 1, 1)).astype(np.float32)
        for i, c in enumerate(CHANNELS[net])
    }


def write(path: pathlib.Path, tensors: dict[str, np.ndarray], form: str = "zip") -> str:
    path.write_bytes(saved(tensors, form))
    return str(path)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lpips")
    return {
        net: (
            write(folder / f"{net}.pth", trunk_tensors(net)),
            write(folder / f"{net}_heads.pth", head_tensors(net), "pickles"),
        )
        for net in NETS
    }


@pytest.fixture(scope="module")
def distances(files):
    return {net: load_lpips(net, *files[net]) for net in NETS}


def pictures(count: int, height: int = 64, width: int = 64, seed: int = 0) -> np.ndarray:
    """Smooth ones, so that noise on them is seen."""
    rng = np.random.default_rng(seed)
    coarse = tf.constant(rng.uniform(0, 255, (count, 5, 5, 3)), tf.float32)
    return tf.cast(tf.image.resize(coarse, (height, width)), tf.uint8).numpy()


def noisy(images: np.ndarray, amount: int) -> np.ndarray:
    noise = np.random.default_rng(7).integers(-amount, amount + 1, images.shape)
    return np.clip(images.astype(int) + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("net", NETS)
def test_equal_pictures_are_at_no_distance_and_noise_adds_to_it(distances, net):
    images = pictures(2)
    none, some, more = (distances[net](images, noisy(images, n)) for n in (0, 10, 60))
    assert none.shape == (2,) and none.dtype == np.float32
    np.testing.assert_array_equal(none, [0, 0])
    assert (some > 1e-4).all() and (more > 1.5 * some).all()


@pytest.mark.parametrize("net", NETS)
def test_the_order_of_a_pair_does_not_matter(distances, net):
    one, two = pictures(2), pictures(2, seed=1)
    forth, back = distances[net](one, two), distances[net](two, one)
    assert (forth > 1e-3).all()
    np.testing.assert_allclose(forth, back, rtol=1e-5)


def test_the_other_pictures_do_not_matter(distances):
    # 131,072 pixels go into one batch: 32 of these, so 35 take two.
    one, two = pictures(35, seed=2), pictures(35, seed=3)
    together = distances["squeeze"](one, two)
    alone = [distances["squeeze"](one[i : i + 1], two[i : i + 1])[0] for i in (0, 31, 32, 34)]
    assert together.shape == (35,) and len(set(together)) == 35
    np.testing.assert_allclose(together[[0, 31, 32, 34]], alone, rtol=1e-4)
    assert distances["squeeze"](one[:0], two[:0]).shape == (0,)


def test_a_description_tells_the_files_and_that_scores_are_not_the_published_ones(files, tmp_path):
    trunk, heads = files["alex"]
    again = write(tmp_path / "again.pth", trunk_tensors("alex"))
    other = write(tmp_path / "other.pth", trunk_tensors("alex", seed=1), "pickles")
    first, same, apart = (load_lpips("alex", path, heads) for path in (trunk, again, other))
    assert first.sha256 == same.sha256 != apart.sha256
    digests = [hashlib.sha256(pathlib.Path(path).read_bytes()).digest() for path in (trunk, heads)]
    assert first.sha256 == hashlib.sha256(b"".join(digests)).hexdigest()
    assert first.name == (
        "LPIPS, AlexNet with other weights than torchvision's file and other heads than those of "
        "version 0.1: not the published scores"
    )
    assert first.description == {
        "name": first.name,
        "sha256": first.sha256,
        "input": "at their own size",
    }


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (pictures(2), pictures(3), "differ in shape"),
        (pictures(1).astype(np.float32), pictures(1), "float32"),
        (pictures(1)[..., :1], pictures(1)[..., :1], "uint8"),
        (pictures(1, 30, 64), pictures(1, 30, 64), r"^images of 30 x 64 .* at least 31 x 31$"),
    ],
)
def test_what_cannot_be_compared_is_refused(distances, first, second, told):
    with pytest.raises(ValueError, match=told):
        distances["alex"](first, second)


def told_of(net: str, trunk: str, heads: str) -> str:
    with pytest.raises(UserError) as error:
        load_lpips(net, trunk, heads)
    assert "\n" not in str(error.value)
    return str(error.value)


def without(tensors: dict, name: str) -> dict:
    return {key: tensor for key, tensor in tensors.items() if key != name}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: without(t, "features.8.bias"), "AlexNet: it lacks features.8.bias."),
        (lambda t: {k: t[k] for k in ("features.0.bias",)}, "lacks features.0.weight and 8 more."),
        (lambda t: {**t, "features.4.weight": np.zeros(1)}, "it also has features.4.weight."),
        (
            lambda t: {**t, "features.0.weight": t["features.0.weight"][:, :, :9]},
            r"features.0.weight is \(64, 3, 9, 11\), not \(64, 3, 11, 11\).",
        ),
        (lambda t: {**t, "features.3.bias": np.full(192, np.nan)}, "features.3.bias does not hold"),
        (lambda t: {**t, "features.3.bias": np.zeros(192, int)}, "features.3.bias does not hold"),
    ],
)
def test_a_trunk_that_is_not_torchvisions_is_refused(files, tmp_path, change, told):
    trunk = write(tmp_path / "wrong.pth", change(trunk_tensors("alex")))
    sentence = told_of("alex", trunk, files["alex"][1])
    assert sentence.startswith(f"--lpips_trunk: {trunk}: ")
    assert re.search(told, sentence)


def test_files_of_another_network_are_refused(files):
    assert "--lpips_trunk" in told_of("alex", files["vgg"][0], files["alex"][1])
    sentence = told_of("vgg", files["vgg"][0], files["alex"][1])
    assert sentence.startswith(f"--lpips_heads: {files['alex'][1]}: is not the linear heads")
    assert "lin1.model.1.weight is (1, 192, 1, 1), not (1, 128, 1, 1)" in sentence
    assert "it also has lin5" in told_of("alex", files["alex"][0], files["squeeze"][1])
    swapped = told_of("alex", *files["alex"][::-1])
    assert "it lacks features.0.weight and 9 more; it also has lin0" in swapped


def test_heads_that_are_cut_short_missing_or_negative_are_refused(files, tmp_path):
    trunk, heads = files["alex"]
    short = tmp_path / "short.pth"
    short.write_bytes(pathlib.Path(heads).read_bytes()[:-100])
    assert told_of("alex", trunk, str(short)) == f"--lpips_heads: {short}: is cut short."
    missing = str(tmp_path / "none.pth")
    assert told_of("alex", trunk, missing).startswith(f"--lpips_heads: {missing}: cannot be read")
    assert told_of("alex", missing, heads).startswith(f"--lpips_trunk: {missing}: cannot be read")
    negative = {name: -tensor for name, tensor in head_tensors("alex").items()}
    sentence = told_of("alex", trunk, write(tmp_path / "negative.pth", negative))
    assert "negative.pth: has negative weights" in sentence


def test_a_network_that_does_not_exist_is_refused(files):
    with pytest.raises(ValueError, match="alex, vgg, squeeze, not 'resnet'"):
        load_lpips("resnet", *files["alex"])


def caffe_layers() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Kernels [h,w,in,out] and biases by Caffe's names, from those of torchvision."""
    tensors = trunk_tensors("squeeze", seed=4)
    modules = [(3, 2), (4, 3), (6, 4), (7, 5), (9, 6), (10, 7), (11, 8), (12, 9)]
    names = {f"features.{theirs}": f"fire{ours}" for theirs, ours in modules}
    layers = {}
    for name in KERNELS["squeeze"]:
        module, _, part = name.rpartition(".")
        if part != "0":
            caffe = f"{names[module]}/{'squeeze1x1' if part == 'squeeze' else part}"
        else:
            caffe = "conv1"
        kernel = tensors[f"{name}.weight"].transpose(2, 3, 1, 0)
        layers[caffe] = (kernel, tensors[f"{name}.bias"])
    layers["conv1"] = (layers["conv1"][0] / 60, layers["conv1"][1])  # For inputs of about 60.
    return layers


def write_keras(path: pathlib.Path, layers: dict) -> str:
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in ("input_4", *layers)]
        file.create_group("input_4").attrs["weight_names"] = []
        for name, (kernel, bias) in layers.items():
            group = file.create_group(name)
            group[f"{name}_3/kernel:0"], group[f"{name}_3/bias:0"] = kernel, bias
            names = (f"{name}_3/kernel:0", f"{name}_3/bias:0")
            group.attrs["weight_names"] = [name.encode() for name in names]
    return str(path)


def test_caffes_weights_see_the_pictures_that_caffe_saw(files, tmp_path):
    layers = caffe_layers()
    lpips = load_lpips("squeeze", write_keras(tmp_path / "c.h5", layers), files["squeeze"][1])
    assert "SqueezeNet 1.1 with Caffe's weights" in lpips.name
    assert lpips.name.endswith("not the published scores")
    images = pictures(2, 40, 37)
    blue_first = images[..., ::-1].astype(np.float32) - [104.006, 116.669, 122.679]
    kernel, bias = layers["conv1"]
    seen = tf.nn.conv2d(tf.constant(blue_first, tf.float32), kernel, 2, "VALID") + bias
    taps = lpips.network(images / np.float32(127.5) - 1)
    np.testing.assert_allclose(taps[0], tf.nn.relu(seen), atol=2e-5)
    assert taps[0].numpy().mean() > 0.1
    kernel, bias = lpips.network.get_weights()[-2:]
    np.testing.assert_array_equal(kernel, layers["fire9/expand3x3"][0])
    np.testing.assert_array_equal(bias, layers["fire9/expand3x3"][1])
    np.testing.assert_array_equal(lpips(images, images), [0, 0])


def test_keras_files_that_are_not_caffes_squeezenet_are_refused(files, tmp_path):
    heads = files["squeeze"][1]
    layers = caffe_layers()
    whole = write_keras(tmp_path / "whole.h5", layers)
    assert "is a Keras file; AlexNet is read from" in told_of("alex", whole, files["alex"][1])
    top = write_keras(tmp_path / "top.h5", {**layers, "conv10": layers["conv1"]})
    assert "it also has conv10/kernel and 1 more." in told_of("squeeze", top, heads)
    less = write_keras(tmp_path / "less.h5", without(layers, "fire5/expand3x3"))
    sentence = told_of("squeeze", less, heads)
    assert sentence.startswith(f"--lpips_trunk: {less}: is not SqueezeNet 1.1 without top")
    assert "it lacks fire5/expand3x3/kernel and 1 more." in sentence
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = [1]
    assert "no file of weights that Keras wrote" in told_of(
        "squeeze", str(tmp_path / "other.h5"), heads
    )
    short = tmp_path / "short.h5"
    short.write_bytes(pathlib.Path(whole).read_bytes()[:20_000])
    assert f"--lpips_trunk: {short}: is not a .keras or HDF5 file, or is damaged" in told_of(
        "squeeze", str(short), heads
    )


def torch_twin(net: str, trunk: str, heads: str):
    """LPIPS in PyTorch, from the published architectures."""
    torch = pytest.importorskip("torch")
    nn = torch.nn

    class Fire(nn.Module):
        def __init__(self, before, between, after):
            super().__init__()
            self.squeeze = nn.Conv2d(before, between, 1)
            self.expand1x1 = nn.Conv2d(between, after, 1)
            self.expand3x3 = nn.Conv2d(between, after, 3, padding=1)

        def forward(self, x):
            x = self.squeeze(x).relu()
            return torch.cat([self.expand1x1(x).relu(), self.expand3x3(x).relu()], 1)

    def conv(before, after, *args, **kwargs):
        return [nn.Conv2d(before, after, *args, **kwargs), nn.ReLU()]

    if net == "alex":
        pool, ends = nn.MaxPool2d(3, 2), (1, 4, 7, 9, 11)
        made = [*conv(3, 64, 11, stride=4, padding=2), pool, *conv(64, 192, 5, padding=2), pool]
        made += [*conv(192, 384, 3, padding=1), *conv(384, 256, 3, padding=1)]
        made += conv(256, 256, 3, padding=1)
    elif net == "vgg":
        made, before, ends = [], 3, (3, 8, 15, 22, 29)
        for after in (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512):
            made += conv(before, after, 3, padding=1) if after else [nn.MaxPool2d(2, 2)]
            before = after or before
    else:
        pool, ends = nn.MaxPool2d(3, 2, ceil_mode=True), (1, 4, 7, 9, 10, 11, 12)
        made = [*conv(3, 64, 3, stride=2), pool, Fire(64, 16, 64), Fire(128, 16, 64), pool]
        made += [Fire(128, 32, 128), Fire(256, 32, 128), pool, Fire(256, 48, 192)]
        made += [Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256)]
    features = nn.Sequential(*made)
    state = {
        name[len("features.") :]: tensor
        for name, tensor in torch.load(trunk, weights_only=True).items()
        if name.startswith("features.")
    }
    features.load_state_dict(state, strict=True)
    linear = list(torch.load(heads, weights_only=True).values())
    shift = torch.tensor([-0.030, -0.088, -0.188])[None, :, None, None]
    scale = torch.tensor([0.458, 0.448, 0.450])[None, :, None, None]

    def taps(images):
        x = (torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1 - shift) / scale
        found = []
        for index, layer in enumerate(features):
            x = layer(x)
            found += [x] if index in ends else []
        return found

    def unit(x):
        return x / ((x**2).sum(1, keepdim=True).sqrt() + 1e-10)

    @torch.no_grad()
    def distance(first, second):
        pairs = zip(taps(first), taps(second), linear, strict=True)
        parts = [(w * (unit(a) - unit(b)) ** 2).sum(1).mean((1, 2)) for a, b, w in pairs]
        return sum(parts).numpy(), [tap.detach().permute(0, 2, 3, 1).numpy() for tap in taps(first)]

    return distance


SIZES = [(64, 64), (65, 65), (96, 80), (80, 96), (67, 35)]


@pytest.mark.parametrize("size", [*SIZES, "least"])
@pytest.mark.parametrize("net", NETS)
def test_distances_and_taps_are_those_of_pytorch(files, distances, net, size):
    twin = torch_twin(net, *files[net])
    if size == "least":
        size = (distances[net].network.least_size,) * 2
    one, two = pictures(3, *size), noisy(pictures(3, *size, seed=1), 20)
    wanted, taps = twin(one, two)
    assert (wanted > 0.01).all()
    error = np.abs(distances[net](one, two) - wanted).max()
    assert error < 1e-4, error
    for mine, theirs in zip(distances[net].network(one / np.float32(127.5) - 1), taps, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-4)
