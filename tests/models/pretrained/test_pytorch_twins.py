"""Every network that can be imported, beside the PyTorch network that its weights are from.

The twins are written from the published architectures; they run where PyTorch is installed.
"""

from __future__ import annotations

import pathlib
import runpy

import numpy as np
import pytest

from legan_tf.data.conditions import of_classes
from legan_tf.models.model_files import load_model
from legan_tf.models.pretrained import pytorch_conversion
from legan_tf.models.pretrained.import_weights import import_weights

torch = pytest.importorskip("torch")
nn, functional = torch.nn, torch.nn.functional

TESTS = pathlib.Path(__file__).parents[2]
published = runpy.run_path(str(TESTS / "published_networks.py"))
pictures = published["pictures"]
TOLERANCE = 1e-4


class Mfm(nn.Module):
    def __init__(self, before, after, size=3, dense=False):
        super().__init__()
        self.after = after
        self.filter = (
            nn.Linear(before, 2 * after)
            if dense
            else nn.Conv2d(before, 2 * after, size, padding=size // 2)
        )

    def forward(self, x):
        first, second = torch.split(self.filter(x), self.after, 1)
        return torch.max(first, second)


class Group(nn.Module):
    def __init__(self, before, after):
        super().__init__()
        self.conv_a, self.conv = Mfm(before, before, 1), Mfm(before, after, 3)

    def forward(self, x):
        return self.conv(self.conv_a(x))


class LightBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1, self.conv2 = Mfm(channels, channels), Mfm(channels, channels)

    def forward(self, x):
        return self.conv2(self.conv1(x)) + x


class LightCNN(nn.Module):
    def __init__(self, version, people):
        super().__init__()
        self.version = version
        self.conv1 = Mfm(1, 48, 5)
        for number, (channels, after) in enumerate(
            ((48, 96), (96, 192), (192, 128), (128, 128)), start=1
        ):
            blocks = nn.Sequential(*(LightBlock(channels) for _ in range(number)))
            setattr(self, f"block{number}", blocks)
            setattr(self, f"group{number}", Group(channels, after))
        self.fc = nn.Linear(8192, 256) if version == 2 else Mfm(8192, 256, dense=True)
        self.fc2 = nn.Linear(256, people, bias=version == 1)

    def pool(self, x):
        if self.version == 1:
            return functional.max_pool2d(x, 2, 2, ceil_mode=True)
        return functional.max_pool2d(x, 2) + functional.avg_pool2d(x, 2)

    def forward(self, x):
        x = self.pool(self.conv1(x))
        x = self.pool(self.group1(self.block1(x)))
        x = self.pool(self.group2(self.block2(x)))
        x = self.group3(self.block3(x))
        x = self.pool(self.group4(self.block4(x)))
        return self.fc(x.view(x.size(0), -1))


class StarganBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            instance_norm(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            instance_norm(channels),
        )

    def forward(self, x):
        return x + self.main(x)


def instance_norm(channels):
    return nn.InstanceNorm2d(channels, affine=True, track_running_stats=True)


class StarganGenerator(nn.Module):
    def __init__(self, attributes, width, blocks):
        super().__init__()
        made = [nn.Conv2d(3 + attributes, width, 7, padding=3, bias=False)]
        made += [instance_norm(width), nn.ReLU()]
        for _ in range(2):
            made += [nn.Conv2d(width, 2 * width, 4, stride=2, padding=1, bias=False)]
            width *= 2
            made += [instance_norm(width), nn.ReLU()]
        made += [StarganBlock(width) for _ in range(blocks)]
        for _ in range(2):
            made += [nn.ConvTranspose2d(width, width // 2, 4, stride=2, padding=1, bias=False)]
            width //= 2
            made += [instance_norm(width), nn.ReLU()]
        made += [nn.Conv2d(width, 3, 7, padding=3, bias=False), nn.Tanh()]
        self.main = nn.Sequential(*made)

    def forward(self, x, code):
        planes = code[:, :, None, None].repeat(1, 1, x.size(2), x.size(3))
        return self.main(torch.cat([x, planes], dim=1))


class StarganDiscriminator(nn.Module):
    def __init__(self, attributes, image_size, width, depth):
        super().__init__()
        made, before = [], 3
        for level in range(depth):
            made += [nn.Conv2d(before, width * 2**level, 4, stride=2, padding=1)]
            made += [nn.LeakyReLU(0.01)]
            before = width * 2**level
        self.main = nn.Sequential(*made)
        self.conv1 = nn.Conv2d(before, 1, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(before, attributes, image_size // 2**depth, bias=False)

    def forward(self, x):
        features = self.main(x)
        return self.conv1(features), self.conv2(features).flatten(1)


class GanimationGenerator(nn.Module):
    """Of either code: the replicate's norms have no weights, and its convolutions biases."""

    def __init__(self, width, blocks, replicate):
        super().__init__()
        inner = "conv_block" if replicate else "main"

        def block(channels):
            return [*step(nn.Conv2d, channels, channels, 3, 1), nn.ReLU(),
                    *step(nn.Conv2d, channels, channels, 3, 1)]  # fmt: skip

        def step(kind, before, after, size, padding, stride=1):
            norm = nn.InstanceNorm2d(after) if replicate else instance_norm(after)
            return [kind(before, after, size, stride, padding, bias=replicate), norm]

        class Block(nn.Module):
            def __init__(self, channels):
                super().__init__()
                self.add_module(inner, nn.Sequential(*block(channels)))

            def forward(self, x):
                return x + getattr(self, inner)(x)

        made = [*step(nn.Conv2d, 20, width, 7, 3), nn.ReLU()]
        for _ in range(2):
            made += [*step(nn.Conv2d, width, 2 * width, 4, 1, 2), nn.ReLU()]
            width *= 2
        made += [Block(width) for _ in range(blocks)]
        for _ in range(2):
            made += [*step(nn.ConvTranspose2d, width, width // 2, 4, 1, 2), nn.ReLU()]
            width //= 2
        heads = [nn.Sequential(nn.Conv2d(width, n, 7, padding=3, bias=False)) for n in (3, 1)]
        names = ("model", "color_top", "au_top") if replicate else (
            "main", "img_reg", "attetion_reg")  # fmt: skip
        self.names = names
        for name, module in zip(names, (nn.Sequential(*made), *heads)):
            setattr(self, name, module)

    def forward(self, x, code):
        body, color, mask = (getattr(self, name) for name in self.names)
        planes = code[:, :, None, None].repeat(1, 1, x.size(2), x.size(3))
        features = body(torch.cat([x, planes], dim=1))
        kept = torch.sigmoid(mask(features))
        return kept * x + (1 - kept) * torch.tanh(color(features)), kept


class Taken:
    """Tensors that tell which of them were never asked for."""

    def __init__(self, tensors):
        self.tensors = {name: torch.from_numpy(tensor) for name, tensor in tensors.items()}
        self.unused = set(tensors)

    def __getitem__(self, name):
        self.unused.discard(name)
        return self.tensors[name]

    def convolution(self, name, x, **kwargs):
        bias = self[f"{name}.bias"] if f"{name}.bias" in self.tensors else None
        return functional.conv2d(x, self[f"{name}.weight"], bias, **kwargs)

    def norm(self, name, x, epsilon):
        parts = (self[f"{name}.{p}"] for p in ("running_mean", "running_var", "weight", "bias"))
        return functional.batch_norm(x, *parts, eps=epsilon)


def vgg_face(t, x):
    mean = torch.tensor([129.186279296875, 104.76238250732422, 93.59396362304688])
    x = (x + 1) * 127.5 - mean[:, None, None]
    for stage, count in enumerate((2, 2, 3, 3, 3), start=1):
        for i in range(1, count + 1):
            x = functional.relu(t.convolution(f"conv{stage}_{i}", x, padding=1))
        x = functional.max_pool2d(x, 2, 2)
    x = x.view(x.size(0), -1)
    for name in ("fc6", "fc7"):
        x = functional.relu(functional.linear(x, t[f"{name}.weight"], t[f"{name}.bias"]))
    return x


def vggface2_resnet50(t, x):
    def convolution(name, x, **kwargs):
        return t.norm(f"{name}_bn", t.convolution(name, x, **kwargs), 1e-5)

    x = (x + 1) * 127.5 - torch.tensor([131.0912, 103.8827, 91.4953])[:, None, None]
    x = functional.relu(convolution("conv1_7x7_s2", x, stride=2, padding=3))
    x = functional.max_pool2d(x, 3, 2, padding=0, ceil_mode=True)
    for stage, blocks in zip((2, 3, 4, 5), (3, 4, 6, 3)):
        for block in range(1, blocks + 1):
            name, stride = f"conv{stage}_{block}", 2 if stage > 2 and block == 1 else 1
            y = functional.relu(convolution(f"{name}_1x1_reduce", x, stride=stride))
            y = functional.relu(convolution(f"{name}_3x3", y, padding=1))
            y = convolution(f"{name}_1x1_increase", y)
            x = convolution(f"{name}_1x1_proj", x, stride=stride) if block == 1 else x
            x = functional.relu(x + y)
    return functional.avg_pool2d(x, 7, 1).flatten(1)


def fid_inception(t, x):
    def convolution(name, x, **kwargs):
        return functional.relu(
            t.norm(f"{name}.bn", t.convolution(f"{name}.conv", x, **kwargs), 1e-3)
        )

    def mean(x):
        return functional.avg_pool2d(x, 3, 1, padding=1, count_include_pad=False)

    def chain(block, x, *steps):
        for name, *padding in steps:
            x = convolution(f"{block}.branch{name}", x, padding=tuple(padding) or 0)
        return x

    wide, high = (0, 3), (3, 0)
    x = convolution("Conv2d_1a_3x3", x, stride=2)
    x = convolution("Conv2d_2a_3x3", x)
    x = functional.max_pool2d(convolution("Conv2d_2b_3x3", x, padding=1), 3, 2)
    x = convolution("Conv2d_4a_3x3", convolution("Conv2d_3b_1x1", x))
    x = functional.max_pool2d(x, 3, 2)
    for b in ("Mixed_5b", "Mixed_5c", "Mixed_5d"):
        parts = [
            chain(b, x, ("1x1",)),
            chain(b, x, ("5x5_1",), ("5x5_2", 2, 2)),
            chain(b, x, ("3x3dbl_1",), ("3x3dbl_2", 1, 1), ("3x3dbl_3", 1, 1)),
            chain(b, mean(x), ("_pool",)),
        ]
        x = torch.cat(parts, 1)
    b = "Mixed_6a"
    y = chain(b, x, ("3x3dbl_1",), ("3x3dbl_2", 1, 1))
    y = convolution(f"{b}.branch3x3dbl_3", y, stride=2)
    x = torch.cat(
        [convolution(f"{b}.branch3x3", x, stride=2), y, functional.max_pool2d(x, 3, 2)], 1
    )
    for b in ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"):
        twice = [("7x7dbl_1",), ("7x7dbl_2", *high), ("7x7dbl_3", *wide)]
        twice += [("7x7dbl_4", *high), ("7x7dbl_5", *wide)]
        parts = [
            chain(b, x, ("1x1",)),
            chain(b, x, ("7x7_1",), ("7x7_2", *wide), ("7x7_3", *high)),
            chain(b, x, *twice),
            chain(b, mean(x), ("_pool",)),
        ]
        x = torch.cat(parts, 1)
    b = "Mixed_7a"
    y = chain(b, x, ("7x7x3_1",), ("7x7x3_2", *wide), ("7x7x3_3", *high))
    parts = [
        convolution(f"{b}.branch3x3_2", chain(b, x, ("3x3_1",)), stride=2),
        convolution(f"{b}.branch7x7x3_4", y, stride=2),
        functional.max_pool2d(x, 3, 2),
    ]
    x = torch.cat(parts, 1)
    for b in ("Mixed_7b", "Mixed_7c"):
        y = chain(b, x, ("3x3_1",))
        z = chain(b, x, ("3x3dbl_1",), ("3x3dbl_2", 1, 1))
        pooled = mean(x) if b == "Mixed_7b" else functional.max_pool2d(x, 3, 1, padding=1)
        parts = [
            chain(b, x, ("1x1",)),
            chain(b, y, ("3x3_2a", 0, 1)),
            chain(b, y, ("3x3_2b", 1, 0)),
            chain(b, z, ("3x3dbl_3a", 0, 1)),
            chain(b, z, ("3x3dbl_3b", 1, 0)),
            chain(b, pooled, ("_pool",)),
        ]
        x = torch.cat(parts, 1)
    return x.mean(dim=(2, 3))


def loaded(twin, weights):
    """The twin with the weights: load_state_dict refuses other names and shapes."""
    twin.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in weights.items()})
    return twin


def channels_first(images):
    return torch.from_numpy(images.transpose(0, 3, 1, 2).copy())


def same(ours, theirs):
    """Compares, and tells the error where output is shown."""
    ours, theirs = np.asarray(ours), theirs.numpy()
    assert np.abs(theirs).mean() > 0.01, "nothing to compare"
    error = np.abs(ours - theirs).max()
    print(f"largest error {error:.1e}, values up to {np.abs(theirs).max():.3g}")
    assert error < TOLERANCE


def remembered(name, output):
    """Checks what is compared with where PyTorch is not installed."""
    expected = published["OUTPUTS"][name]
    np.testing.assert_allclose(output.numpy()[: len(expected)], expected, rtol=0, atol=TOLERANCE)


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


def imported(tmp_path, network, root, **flags):
    torch.save(root, tmp_path / "source.pth")
    output = str(tmp_path / "network.keras")
    import_weights(network, str(tmp_path / "source.pth"), output, **flags)
    return load_model(output)


@pytest.mark.parametrize("version", [1, 2])
def test_lightcnn(tmp_path, version):
    twin = loaded(LightCNN(version, 5), published["lightcnn29"](version)).eval()
    state = {f"module.{name}": tensor for name, tensor in twin.state_dict().items()}
    checkpoint = {"epoch": 80, "arch": "LightCNN", "state_dict": state, "prec1": 97.5}
    network = imported(tmp_path, f"lightcnn29_v{version}", checkpoint)
    images = pictures(3, 128)
    grey = ((images + 1) / 2) @ np.array([0.299, 0.587, 0.114], np.float32)
    expected = twin(torch.from_numpy(grey[:, None]))
    remembered(f"lightcnn29_v{version}", expected[0])
    same(network(images), expected)


@pytest.mark.parametrize(
    ("width", "blocks", "size", "lightings"), [(8, 2, 32, 3), (64, 6, 128, 3), (4, 1, 16, 0)]
)
def test_stargan_generator(tmp_path, width, blocks, size, lightings):
    weights = published["stargan_generator"](5 + lightings, width, blocks)
    # As the reference code uses it, also to test: never in PyTorch's eval mode.
    twin = loaded(StarganGenerator(5 + lightings, width, blocks), weights).train()
    names = tuple("abcdefgh")
    network = imported(
        tmp_path,
        "stargan_generator",
        twin.state_dict(),
        conditions=of_classes(expression=names[:5], lighting=names[5 : 5 + lightings]),
        image_size=size,
    )
    images = pictures(2, size)
    code = published["codes"](2, 5 + lightings)
    edited = network({"image": images, "expression": code[:, :5], "lighting": code[:, 5:]})
    expected = twin(channels_first(images), torch.from_numpy(code)).permute(0, 2, 3, 1)
    if width == 8:
        remembered("stargan_generator", expected[0, 16, ::4, 1])
    same(edited["image"], expected)


@pytest.mark.parametrize("replicate", [False, True])
@pytest.mark.parametrize(("width", "blocks", "size"), [(8, 2, 32), (64, 6, 128)])
def test_ganimation_generator(tmp_path, width, blocks, size, replicate):
    weights = published["ganimation_generator"](width, blocks, replicate)
    twin = loaded(GanimationGenerator(width, blocks, replicate), weights).train()
    network = imported(tmp_path, "ganimation_generator", twin.state_dict(), image_size=size)
    images, code = pictures(2, size), published["codes"](2, 17)
    edited = network({"image": images, "action_units": code})
    image, mask = twin(channels_first(images), torch.from_numpy(code))
    same(edited["image"], image.permute(0, 2, 3, 1))
    same(edited["action_units_mask"], mask.permute(0, 2, 3, 1))


@pytest.mark.parametrize("replicate", [False, True])
def test_ganimation_discriminator(tmp_path, replicate):
    weights = published["ganimation_discriminator"](64, 8, 3, replicate)
    plain = published["ganimation_discriminator"](64, 8, 3)
    twin = loaded(StarganDiscriminator(17, 64, 8, 3), plain)
    tensors = {name: torch.from_numpy(tensor) for name, tensor in weights.items()}
    network = imported(tmp_path, "ganimation_discriminator", tensors)
    images = pictures(2, 64)
    judged, (realness, units) = network(images), twin(channels_first(images))
    same(judged["realness"], realness[:, 0])
    same(judged["action_units"], units)


@pytest.mark.parametrize(
    ("size", "width", "depth", "lightings"), [(64, 8, 3, 2), (128, 64, 6, 0), (256, 16, 6, 4)]
)
def test_stargan_discriminator(tmp_path, size, width, depth, lightings):
    attributes = 5 + lightings
    weights = published["stargan_discriminator"](attributes, size, width, depth)
    twin = loaded(StarganDiscriminator(attributes, size, width, depth), weights)
    names = tuple("abcdefghi")
    network = imported(
        tmp_path,
        "stargan_discriminator",
        twin.state_dict(),
        conditions=of_classes(expression=names[:5], lighting=names[5:attributes]),
    )
    assert network.image_size == size
    images = pictures(2, size)
    judged = network(images)
    realness, logits = twin(channels_first(images))
    if width == 8:
        remembered("stargan_discriminator", logits[0])
    same(judged["realness"], realness[:, 0])
    same(judged["expression"], logits[:, :5])
    if lightings:
        same(judged["lighting"], logits[:, 5:])


def filled(layout, weights):
    layout.fill("", "", weights)
    return layout.network


def test_vgg_face():
    weights = published["vgg_face"](width=0.125)
    taken = Taken(weights)
    images = pictures(2, 224)
    expected = vgg_face(taken, channels_first(images))
    remembered("vgg_face", expected[0])
    assert taken.unused == {"fc8.weight", "fc8.bias"}
    same(filled(pytorch_conversion.vgg_face(0.125), weights)(images), expected)


def test_vggface2_resnet50(tmp_path):
    weights = published["vggface2_resnet50"]()
    taken = Taken(weights)
    images = pictures(2, 224)
    expected = vggface2_resnet50(taken, channels_first(images))
    remembered("vggface2_resnet50", expected[0])
    assert all(
        name.endswith("num_batches_tracked") or name.startswith("classifier.")
        for name in taken.unused
    )
    same(imported(tmp_path, "vggface2_resnet50", taken.tensors)(images), expected)


def test_fid_inception(tmp_path):
    weights = published["fid_inception"]()
    taken = Taken(weights)
    images = pictures(2, 299)
    expected = fid_inception(taken, channels_first(images))
    remembered("fid_inception", expected[0])
    assert all(
        name.endswith("num_batches_tracked") or name.startswith("fc.") for name in taken.unused
    )
    same(imported(tmp_path, "fid_inception", taken.tensors)(images), expected)
