"""Random weights under the names and in the shapes of published PyTorch files.

Written out from the published code, without a look at this package. Test modules load it with
runpy: they are no package.
"""

from __future__ import annotations

import numpy as np

CELEBA = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Male", "Young")


class Weights(dict):
    """Tensors by name, filled in the order in which a network is written down."""

    def __init__(self, seed: int, gain: float = 2.0) -> None:
        super().__init__()
        self.gain = gain  # such that what comes out is about 1
        self.rng = np.random.default_rng(seed)

    def kernel(self, name: str, *shape: int, bias: bool = False, transposed: bool = False) -> None:
        fan = np.prod(shape[2:]) * shape[0] / 4 if transposed else np.prod(shape[1:])
        kernel = self.rng.standard_normal(shape, np.float32)
        self[f"{name}.weight"] = kernel * np.float32(np.sqrt(self.gain / fan))
        if bias:
            self[f"{name}.bias"] = 0.1 * self.rng.standard_normal(shape[0], np.float32)

    def norm(self, name: str, channels: int) -> None:
        self[f"{name}.weight"] = self.rng.uniform(0.5, 1.5, channels).astype(np.float32)
        self[f"{name}.bias"] = 0.2 * self.rng.standard_normal(channels, np.float32)
        self[f"{name}.running_mean"] = 0.2 * self.rng.standard_normal(channels, np.float32)
        self[f"{name}.running_var"] = self.rng.uniform(0.5, 1.5, channels).astype(np.float32)
        self[f"{name}.num_batches_tracked"] = np.array(7)


def lightcnn29(version: int = 2, people: int = 5, seed: int = 0) -> Weights:
    """AlfredXiangWu/LightCNN; the published files name 79077 and 80013 people."""
    made = Weights(seed, gain=0.6 if version == 1 else 0.4)

    def mfm(name: str, before: int, after: int, size: int) -> None:
        made.kernel(f"{name}.filter", 2 * after, before, size, size, bias=True)

    mfm("conv1", 1, 48, 5)
    plan = [(1, 48, 96), (2, 96, 192), (3, 192, 128), (4, 128, 128)]
    for number, channels, following in plan:
        for block in range(number):
            mfm(f"block{number}.{block}.conv1", channels, channels, 3)
            mfm(f"block{number}.{block}.conv2", channels, channels, 3)
        mfm(f"group{number}.conv_a", channels, channels, 1)
        mfm(f"group{number}.conv", channels, following, 3)
    if version == 2:
        made.kernel("fc", 256, 8 * 8 * 128, bias=True)
    else:
        made.kernel("fc.filter", 512, 8 * 8 * 128, bias=True)
    made.kernel("fc2", people, 256, bias=version == 1)
    return made


def stargan_generator(attributes: int, width: int = 64, blocks: int = 6, seed: int = 1) -> Weights:
    """yunjey/stargan, Generator."""
    made = Weights(seed)
    made.kernel("main.0", width, 3 + attributes, 7, 7)
    made.norm("main.1", width)
    made.kernel("main.3", 2 * width, width, 4, 4)
    made.norm("main.4", 2 * width)
    made.kernel("main.6", 4 * width, 2 * width, 4, 4)
    made.norm("main.7", 4 * width)
    for block in range(9, 9 + blocks):
        for convolution in (0, 3):
            made.kernel(f"main.{block}.main.{convolution}", 4 * width, 4 * width, 3, 3)
            made.norm(f"main.{block}.main.{convolution + 1}", 4 * width)
    last = 9 + blocks
    made.kernel(f"main.{last}", 4 * width, 2 * width, 4, 4, transposed=True)
    made.norm(f"main.{last + 1}", 2 * width)
    made.kernel(f"main.{last + 3}", 2 * width, width, 4, 4, transposed=True)
    made.norm(f"main.{last + 4}", width)
    made.kernel(f"main.{last + 6}", 3, width, 7, 7)
    made[f"main.{last + 6}.weight"] *= np.float32(0.3)  # or the tanh hides what goes into it
    return made


def stargan_discriminator(
    attributes: int, image_size: int = 128, width: int = 64, depth: int = 6, seed: int = 2
) -> Weights:
    """yunjey/stargan, Discriminator."""
    made = Weights(seed)
    before = 3
    for level in range(depth):
        made.kernel(f"main.{2 * level}", width * 2**level, before, 4, 4, bias=True)
        before = width * 2**level
    made.kernel("conv1", 1, before, 3, 3)
    side = image_size // 2**depth
    made.kernel("conv2", attributes, before, side, side)
    return made


def ganimation_generator(
    width: int = 64, blocks: int = 6, replicate: bool = False, seed: int = 8
) -> Weights:
    """albertpumarola/GANimation or donydchen/ganimation_replicate, generator of 17 action units."""
    made, body = Weights(seed), "model" if replicate else "main"
    block_name = "conv_block" if replicate else "main"
    plan = [("0", (width, 20, 7, 7)), ("3", (2 * width, width, 4, 4))]
    plan.append(("6", (4 * width, 2 * width, 4, 4)))
    for block in range(9, 9 + blocks):
        square = (4 * width, 4 * width, 3, 3)
        plan += [(f"{block}.{block_name}.{convolution}", square) for convolution in (0, 3)]
    last = 9 + blocks
    plan.append((f"{last}", (4 * width, 2 * width, 4, 4)))
    plan.append((f"{last + 3}", (2 * width, width, 4, 4)))
    for place, shape in plan:
        name, transposed = f"{body}.{place}", place in (f"{last}", f"{last + 3}")
        channels = shape[1] if transposed else shape[0]
        made.kernel(name, *shape, transposed=transposed)
        if replicate:
            made[f"{name}.bias"] = made.rng.standard_normal(channels, np.float32)
        else:
            head, _, number = name.rpartition(".")
            made.norm(f"{head}.{int(number) + 1}", channels)
    color, mask = ("color_top.0", "au_top.0") if replicate else ("img_reg.0", "attetion_reg.0")
    made.kernel(color, 3, width, 7, 7)
    made.kernel(mask, 1, width, 7, 7)
    made[f"{color}.weight"] *= np.float32(0.3)
    return made


def ganimation_discriminator(
    image_size: int = 128, width: int = 64, depth: int = 6, replicate: bool = False, seed: int = 9
) -> Weights:
    """The discriminator of the same."""
    given = stargan_discriminator(17, image_size, width, depth, seed)
    if not replicate:
        return given
    renamed = Weights(seed)
    for name, tensor in given.items():
        name = name.replace("conv1", "dis_top").replace("conv2", "aus_top")
        renamed[name.replace("main", "model")] = tensor
    return renamed


def vgg_face(width: float = 1.0, people: int = 5, seed: int = 3) -> Weights:
    """vgg_face_dag; the published file names 2622 people."""
    made, before = Weights(seed), 3
    for stage, (count, channels) in enumerate(
        ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)), start=1
    ):
        for i in range(1, count + 1):
            made.kernel(f"conv{stage}_{i}", int(channels * width), before, 3, 3, bias=True)
            before = int(channels * width)
    made["conv1_1.weight"] /= np.float32(128)  # sees values up to 255
    made.kernel("fc6", int(4096 * width), 7 * 7 * before, bias=True)
    made.kernel("fc7", int(4096 * width), int(4096 * width), bias=True)
    made.kernel("fc8", people, int(4096 * width), bias=True)
    return made


def vggface2_resnet50(width: float = 1.0, people: int = 5, seed: int = 4) -> Weights:
    """resnet50_ft_dag; the published file names 8631 people."""
    made = Weights(seed)

    def convolution(name: str, after: int, before: int, size: int) -> None:
        made.kernel(name, after, before, size, size)
        made.norm(f"{name}_bn", after)
        if name.endswith("increase"):
            made[f"{name}_bn.weight"] *= np.float32(0.3)  # or sixteen sums grow without end

    before = int(64 * width)
    convolution("conv1_7x7_s2", before, 3, 7)
    made["conv1_7x7_s2.weight"] /= np.float32(128)  # sees values up to 255
    for stage, blocks, channels in ((2, 3, 64), (3, 4, 128), (4, 6, 256), (5, 3, 512)):
        channels = int(channels * width)
        for block in range(1, blocks + 1):
            name = f"conv{stage}_{block}"
            convolution(f"{name}_1x1_reduce", channels, before, 1)
            convolution(f"{name}_3x3", channels, channels, 3)
            convolution(f"{name}_1x1_increase", 4 * channels, channels, 1)
            if block == 1:
                convolution(f"{name}_1x1_proj", 4 * channels, before, 1)
            before = 4 * channels
    made.kernel("classifier", people, before, 1, 1, bias=True)
    return made


def fid_inception(seed: int = 5) -> Weights:
    """mseitzer/pytorch-fid, FID's InceptionV3, under torchvision's names."""
    made = Weights(seed, gain=1.2)

    def convolution(name: str, before: int, after: int, height: int, width: int = 0) -> int:
        made.kernel(f"{name}.conv", after, before, height, width or height)
        made.norm(f"{name}.bn", after)
        return after

    convolution("Conv2d_1a_3x3", 3, 32, 3)
    convolution("Conv2d_2a_3x3", 32, 32, 3)
    convolution("Conv2d_2b_3x3", 32, 64, 3)
    convolution("Conv2d_3b_1x1", 64, 80, 1)
    convolution("Conv2d_4a_3x3", 80, 192, 3)
    for name, before, pooled in (("5b", 192, 32), ("5c", 256, 64), ("5d", 288, 64)):
        block = f"Mixed_{name}.branch"
        convolution(f"{block}1x1", before, 64, 1)
        convolution(f"{block}5x5_1", before, 48, 1)
        convolution(f"{block}5x5_2", 48, 64, 5)
        convolution(f"{block}3x3dbl_1", before, 64, 1)
        convolution(f"{block}3x3dbl_2", 64, 96, 3)
        convolution(f"{block}3x3dbl_3", 96, 96, 3)
        convolution(f"{block}_pool", before, pooled, 1)
    convolution("Mixed_6a.branch3x3", 288, 384, 3)
    convolution("Mixed_6a.branch3x3dbl_1", 288, 64, 1)
    convolution("Mixed_6a.branch3x3dbl_2", 64, 96, 3)
    convolution("Mixed_6a.branch3x3dbl_3", 96, 96, 3)
    for name, between in (("6b", 128), ("6c", 160), ("6d", 160), ("6e", 192)):
        block = f"Mixed_{name}.branch"
        convolution(f"{block}1x1", 768, 192, 1)
        convolution(f"{block}7x7_1", 768, between, 1)
        convolution(f"{block}7x7_2", between, between, 1, 7)
        convolution(f"{block}7x7_3", between, 192, 7, 1)
        convolution(f"{block}7x7dbl_1", 768, between, 1)
        convolution(f"{block}7x7dbl_2", between, between, 7, 1)
        convolution(f"{block}7x7dbl_3", between, between, 1, 7)
        convolution(f"{block}7x7dbl_4", between, between, 7, 1)
        convolution(f"{block}7x7dbl_5", between, 192, 1, 7)
        convolution(f"{block}_pool", 768, 192, 1)
    convolution("Mixed_7a.branch3x3_1", 768, 192, 1)
    convolution("Mixed_7a.branch3x3_2", 192, 320, 3)
    convolution("Mixed_7a.branch7x7x3_1", 768, 192, 1)
    convolution("Mixed_7a.branch7x7x3_2", 192, 192, 1, 7)
    convolution("Mixed_7a.branch7x7x3_3", 192, 192, 7, 1)
    convolution("Mixed_7a.branch7x7x3_4", 192, 192, 3)
    for name, before in (("7b", 1280), ("7c", 2048)):
        block = f"Mixed_{name}.branch"
        convolution(f"{block}1x1", before, 320, 1)
        convolution(f"{block}3x3_1", before, 384, 1)
        convolution(f"{block}3x3_2a", 384, 384, 1, 3)
        convolution(f"{block}3x3_2b", 384, 384, 3, 1)
        convolution(f"{block}3x3dbl_1", before, 448, 1)
        convolution(f"{block}3x3dbl_2", 448, 384, 3)
        convolution(f"{block}3x3dbl_3a", 384, 384, 1, 3)
        convolution(f"{block}3x3dbl_3b", 384, 384, 3, 1)
        convolution(f"{block}_pool", before, 192, 1)
    made.kernel("fc", 1008, 2048, bias=True)
    return made


def codes(count: int, attributes: int) -> np.ndarray:
    """Random codes of attributes, float32 [count,attributes]."""
    return np.random.default_rng(1).uniform(0, 1, (count, attributes)).astype(np.float32)


def pictures(count: int, size: int, seed: int = 9) -> np.ndarray:
    """Random images in [-1, 1], float32 [count,size,size,3]."""
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, (count, size, size, 3)).astype(np.float32)


OUTPUTS = {
    # The first numbers of the embedding of ``pictures(1, 128)``.
    "lightcnn29_v1": (-0.142893, -1.164817, 1.449795, -1.863429, 2.898742, 1.729337, 1.518538),
    "lightcnn29_v2": (-1.321226, -0.756045, 0.792632, -0.91865, 1.279564, -0.670746, 0.609825),
    # Of ``stargan_generator(8, 8, 2)`` and ``codes(1, 8)``: green of every fourth pixel of row 16.
    "stargan_generator": (-0.144162, -0.110581, -0.172999, -0.242052, -0.299939, 0.078273),
    # Of ``stargan_discriminator(7, 64, 8, 3)``: the logits.
    "stargan_discriminator": (
        0.227929,
        0.329359,
        1.686016,
        0.081526,
        -0.71266,
        -0.236003,
        -0.509266,
    ),
    # Of ``vgg_face(0.125)`` and ``pictures(1, 224)``.
    "vgg_face": (2.528647, 0.0, 2.399011, 0.0, 0.0, 0.0, 7.528182, 3.715584),
    "vggface2_resnet50": (0.629607, 0.070809, 4.080582, 2.527502, 6.312588, 14.177402, 6.644721),
    # Of ``pictures(1, 299)``.
    "fid_inception": (0.0, 1.428911, 0.006019, 0.001387, 0.0, 0.0, 0.0, 0.0),
}
"""What the PyTorch networks give, for where PyTorch is not installed; its tests hold them true."""
