"""Profile of StarGAN's training step, and the peak performance of the machine."""

from __future__ import annotations

import collections
import dataclasses
import glob
import os
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping

import tensorflow as tf

from legan_research.benchmarks import training
from legan_research.benchmarks.paired import PAIRS, figure, table
from legan_tf.cli import Progress
from legan_tf.training.options import PRECISIONS
from legan_tf.training.systems.stargan import Stargan

PRODUCTS, MOVES, OPTIMIZERS, REST = (
    "convolutions and matrix products",
    "moving, cutting and joining tensors",
    "optimizers",
    "normalisation, activations, losses",
)
KINDS = (PRODUCTS, MOVES, OPTIMIZERS, REST)
_SIDE = 4096
"""Size of the square matrices whose product measures the peak."""
_IMAGES, _IMAGE_SIZE, _CHANNELS = 16, 64, 256
"""Size of the 3 x 3 convolution that measures the peak."""
_BUSIEST = 12
# Operations are named NAME:TYPE; containers only wait for the operations inside them.
_OPERATION = re.compile(r"([^:\s]+):(\w+)")
_CONTAINERS = re.compile(r"PartitionedCall|RemoteCall|^(Stateless)?(If|While)$")
_TYPES = (
    (PRODUCTS, re.compile(r"Conv[23]D|MatMul|Einsum")),
    (OPTIMIZERS, re.compile(r"^Resource(Apply|Scatter)|^Assign(Add|Sub)?VariableOp")),
    (
        MOVES,
        re.compile(
            r"Transpose|Concat|Slice|Pad(V2)?$|PadGrad|Pack$|Split|Tile|Reshape|Gather|Copy"
            r"|SpaceToDepth|DepthToSpace|Patches|ToBatch|ToSpace|Reverse|BroadcastTo|Identity|^Cast$"
        ),
    ),
)
_OPTIMIZER_NAME = re.compile(r"(^|/)(adam|optimizer)", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Profile:
    """Profile of a training step.

    Attributes:
        config: The trained configuration.
        wall: Median seconds of a step without the profiler.
        processor: Median CPU seconds of all cores.
        multiply_adds: Number of multiply-adds, from the function of that name.
        operations: Seconds by type of operation, with the profiler. They are no shares of the wall
            time, since several operations may run at once.
        kinds: Seconds by ``KINDS``.
    """

    config: Stargan
    wall: float
    processor: float
    multiply_adds: int
    operations: Mapping[str, float]
    kinds: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class Peak:
    """Peak performance of the machine in one precision, in GFLOP/s.

    A multiply-add is two operations.
    """

    matmul: float
    convolution: float


def benchmark(repeats: int = PAIRS, config: Stargan = training.CONFIG) -> str:
    """Profiles the step in both precisions; returns the tables.

    Args:
        repeats: Steps to take the median wall time of.
        config: What is trained; the precision is set here.
    """
    progress = Progress(2 * len(PRECISIONS), "profile")
    profiles, peaks = {}, {}
    for done, precision in enumerate(PRECISIONS):
        peaks[precision] = peak(precision)
        progress.update(2 * done + 1)
        profiles[precision] = profiled(dataclasses.replace(config, precision=precision), repeats)
        progress.update(2 * done + 2)
    return markdown(profiles, peaks)


def profiled(config: Stargan, repeats: int) -> Profile:
    """Takes training steps, watched and not.

    Args:
        config: A configuration of StarGAN.
        repeats: Steps to take the medians of.
    """
    made = training.Training.of(config)
    step = made.step()
    step()
    times = []
    for _ in range(repeats):
        began = time.perf_counter(), time.process_time()
        step()
        times.append((time.perf_counter() - began[0], time.process_time() - began[1]))
    wall, processor = (statistics.median(one) for one in zip(*times))
    operations: collections.Counter = collections.Counter()
    kinds = collections.Counter(dict.fromkeys(KINDS, 0.0))
    for (name, kind), seconds in _profile(step).items():
        operations[kind] += seconds
        kinds[kind_of(name, kind)] += seconds
    attributes = len(made.trainer.generator.expressions)
    count = multiply_adds(config, attributes)
    return Profile(config, wall, processor, count, dict(operations), dict(kinds))


def _profile(call: Callable[[], object]) -> collections.Counter:
    """Seconds of the operations of a call, by name and type, from TensorFlow's profiler."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    options = tf.profiler.experimental.ProfilerOptions(host_tracer_level=2, python_tracer_level=0)
    seconds: collections.Counter = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder, options):
            call()
        (file,) = glob.glob(os.path.join(folder, "**", "*.xplane.pb"), recursive=True)
        space = xplane_pb2.XSpace()
        with open(file, "rb") as content:
            space.ParseFromString(content.read())
    for plane in space.planes:
        for line in plane.lines:
            for event in line.events:
                found = _OPERATION.fullmatch(plane.event_metadata[event.metadata_id].name)
                if found and not _CONTAINERS.search(found[2]):
                    seconds[found.groups()] += event.duration_ps / 1e12
    return seconds


def kind_of(name: str, kind: str) -> str:
    """Returns the element of ``KINDS`` for an operation, by its name in the graph and its type."""
    if _OPTIMIZER_NAME.search(name):
        return OPTIMIZERS
    return next((known for known, pattern in _TYPES if pattern.search(kind)), REST)


def generator_layers(config: Stargan, attributes: int) -> list[int]:
    """Returns the multiply-adds of StarGAN's convolutions on one image, from first to last.

    At the border, what meets the padding is counted too.

    Args:
        config: Its sizes are used.
        attributes: Classes in the code.
    """
    full, half, quarter = ((config.image_size // by) ** 2 for by in (1, 2, 4))
    width = config.width
    ends = [full * 49 * (3 + attributes) * width, full * 49 * width * 3]
    scaled = [half * 16 * 2 * width**2, quarter * 16 * 8 * width**2]
    blocks = [quarter * 9 * 16 * width**2] * (2 * config.blocks)
    return [ends[0], *scaled, *blocks, *scaled[::-1], ends[1]]


def discriminator_layers(config: Stargan, attributes: int) -> list[int]:
    """Returns those of the discriminator, the last two those of its heads.

    Args:
        config: Its sizes are used.
        attributes: Classes that it tells.
    """
    layers, seen, side = [], 3, config.image_size
    for level in range(config.d_depth):
        side, channels = side // 2, config.d_width * 2**level
        layers.append(side**2 * 16 * seen * channels)
        seen = channels
    return [*layers, side**2 * 9 * seen, side**2 * seen * attributes]


def multiply_adds(config: Stargan, attributes: int) -> int:
    """Counts those of a training step, as if every convolution were computed as it is defined.

    For D, every update takes a pass over real and edited images, the gradients of all kernels and
    of all inputs but the first. On the images between them it takes a pass, the gradient by the
    image, a pass that follows how that gradient's length changes, and the gradients of the kernels;
    without the classes, and both passes end before the realness, whose value nothing needs. A leaky
    ReLU, made of straight lines, lets nothing back through the first pass. Each update sees fresh
    edits. Those of the last one teach G: by D's gradient, and by a second pass of G back to the
    original.

    Args:
        config: A configuration of StarGAN with the gradient penalty in each step.
        attributes: Classes.
    """
    edit = generator_layers(config, attributes)
    judge = discriminator_layers(config, attributes)
    once, scored, trunk = sum(judge), sum(judge[:-1]), sum(judge[:-2])
    critic = 2 * (3 * once - judge[0]) + 2 * scored + 2 * trunk + sum(edit)
    # Both passes of G, of which the critic has made the first, and the way back.
    generator = sum(edit) + 4 * sum(edit) - edit[0] + 2 * once
    return config.batch_size * (config.critic_steps * critic + generator)


def peak(precision: str, repeats: int = 7, scale: float = 1.0) -> Peak:
    """Measures a large matrix product and a large convolution, the best of several calls.

    Args:
        precision: One of ``PRECISIONS``.
        repeats: How many calls of each.
        scale: Factor on their size.
    """
    dtype = tf.as_dtype(precision)
    side, images = max(1, int(scale * _SIDE)), max(1, int(scale * _IMAGES))

    def values(*shape: int) -> tf.Tensor:
        return tf.cast(tf.random.stateless_uniform(shape, (0, 0), -1.0, 1.0), dtype)

    matrix = values(side, side)
    pictures = values(images, _IMAGE_SIZE, _IMAGE_SIZE, _CHANNELS)
    kernel = values(3, 3, _CHANNELS, _CHANNELS)
    product = tf.function(lambda: tf.matmul(matrix, matrix)[0, 0])
    convolution = tf.function(lambda: tf.nn.conv2d(pictures, kernel, 1, "SAME")[0, 0, 0, 0])
    counts = side**3, images * (3 * _IMAGE_SIZE * _CHANNELS) ** 2
    rates = []
    for call, count in zip((product, convolution), counts):
        call()
        seconds = []
        for _ in range(repeats):
            began = time.perf_counter()
            call().numpy()
            seconds.append(time.perf_counter() - began)
        rates.append(2e-9 * count / min(seconds))
    return Peak(*rates)


def markdown(profiles: Mapping[str, Profile], peaks: Mapping[str, Peak]) -> str:
    """Returns the tables.

    Args:
        profiles: By precision.
        peaks: By precision.
    """
    head = ["", *profiles]
    rows: dict[str, list[str]] = collections.defaultdict(list)
    for precision, one in profiles.items():
        most = max(peaks[precision].matmul, peaks[precision].convolution)
        rate = 2e-9 * one.multiply_adds / one.wall
        rows["step"].append(f"{one.wall:.3g} s")
        rows["cores at work"].append(f"{one.processor / one.wall:.2f}")
        rows["multiply-adds, in plain convolutions"].append(
            f"{figure(1e-9 * one.multiply_adds)} * 10^9"
        )
        rows["achieved"].append(f"{figure(rate)} GFLOP/s")
        rows["peak, a product of large matrices"].append(
            f"{figure(peaks[precision].matmul)} GFLOP/s"
        )
        rows["peak, a large 3 x 3 convolution"].append(
            f"{figure(peaks[precision].convolution)} GFLOP/s"
        )
        rows["achieved of the peak"].append(f"{100 * rate / most:.0f} %")
        total = sum(one.kinds.values())
        for kind in KINDS:
            rows[kind].append(f"{100 * one.kinds[kind] / total:.1f} %")
    lines = table(head, [[name, *cells] for name, cells in rows.items()])
    for precision, one in profiles.items():
        total = sum(one.operations.values())
        busiest = collections.Counter(one.operations).most_common(_BUSIEST)
        lines += ["", *table([f"operation, {precision}", "share"], [
            [name, f"{100 * seconds / total:.1f} %"] for name, seconds in busiest
        ])]  # fmt: skip
    note = "Shares are of the time in operations, of which several may run at once."
    return "\n".join([*lines, "", note]) + "\n"
