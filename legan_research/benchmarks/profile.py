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
from legan_research.benchmarks.peak import Peak, peak
from legan_tf.command_line.cli import Progress
from legan_tf.training.options import PRECISIONS
from legan_tf.training.systems.stargan import Stargan

PRODUCTS, MOVES, OPTIMIZERS, REST = (
    "convolutions and matrix products",
    "moving, cutting and joining tensors",
    "optimizers",
    "normalisation, activations, losses",
)
KINDS = (PRODUCTS, MOVES, OPTIMIZERS, REST)
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
        wall: Median seconds of a step without the profiler.
        processor: Median CPU seconds of all cores.
        multiply_adds: Number of multiply-adds, from the function of that name.
        operations: Seconds by type of operation, with the profiler. They are no shares of the wall
            time, since several operations may run at once.
        kinds: Seconds by ``KINDS``.
    """

    wall: float
    processor: float
    multiply_adds: int
    operations: Mapping[str, float]
    kinds: Mapping[str, float]


def benchmark(repeats: int = PAIRS, config: Stargan = training.CONFIG) -> str:
    """Profiles the step in both precisions; returns the tables.

    Args:
        repeats: Number of timed steps.
        config: Configuration whose precision is replaced.
    """
    progress = Progress(2 * len(PRECISIONS), "profile")
    profiles, peaks = {}, {}
    for done, precision in enumerate(PRECISIONS):
        peaks[precision] = peak(precision)
        progress.update(2 * done + 1)
        profiles[precision] = profiled(config.replace(precision=precision), repeats)
        progress.update(2 * done + 2)
    return markdown(profiles, peaks)


def profiled(config: Stargan, repeats: int) -> Profile:
    """Times training steps without the profiler and one with it.

    Args:
        config: A configuration of StarGAN.
        repeats: Number of timed steps.
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
    count = multiply_adds(config, len(made.trainer.generator.names("expression")))
    return Profile(wall, processor, count, dict(operations), dict(kinds))


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

    Products with the padding at the border are counted too.

    Args:
        config: Configuration with the sizes.
        attributes: Number of classes.
    """
    full, half, quarter = ((config.image_size // by) ** 2 for by in (1, 2, 4))
    width = config.width
    ends = [full * 49 * (3 + attributes) * width, full * 49 * width * 3]
    scaled = [half * 16 * 2 * width**2, quarter * 16 * 8 * width**2]
    blocks = [quarter * 9 * 16 * width**2] * (2 * config.blocks)
    return [ends[0], *scaled, *blocks, *scaled[::-1], ends[1]]


def discriminator_layers(config: Stargan, attributes: int) -> list[int]:
    """Returns the multiply-adds of the discriminator's convolutions, its two heads last.

    Args:
        config: Configuration with the sizes.
        attributes: Number of classes.
    """
    layers, seen, side = [], 3, config.image_size
    for level in range(config.d_depth):
        side, channels = side // 2, config.d_width * 2**level
        layers.append(side**2 * 16 * seen * channels)
        seen = channels
    return [*layers, side**2 * 9 * seen, side**2 * seen * attributes]


def multiply_adds(config: Stargan, attributes: int) -> int:
    """Returns the multiply-adds of a training step with every convolution computed directly.

    An update of D takes a forward pass over real and edited images and the gradients of all kernels
    and of all inputs but the first. The gradient penalty, on interpolated images, takes a forward
    pass, the gradient with respect to the image, the forward pass of the second derivative and the
    gradients of the kernels: all without the class head, and the forward passes without the
    realness head, whose value is not needed. The second derivative of a leaky ReLU is 0, so nothing
    flows back through the first pass. Each update has new edits. The update of G uses the last
    ones: it takes D's gradient, and a second pass of G for the reconstruction.

    Args:
        config: A configuration of StarGAN with the gradient penalty in each step.
        attributes: Number of classes.
    """
    edit = generator_layers(config, attributes)
    judge = discriminator_layers(config, attributes)
    once, scored, trunk = sum(judge), sum(judge[:-1]), sum(judge[:-2])
    discriminator = 2 * (3 * once - judge[0]) + 2 * scored + 2 * trunk + sum(edit)
    # Both passes of G, the first of which is counted with D, and their gradients.
    generator = sum(edit) + 4 * sum(edit) - edit[0] + 2 * once
    return config.batch_size * (config.critic_steps * discriminator + generator)


def markdown(profiles: Mapping[str, Profile], peaks: Mapping[str, Peak]) -> str:
    """Returns the tables of profiles and peaks, both by precision."""
    head = ["", *profiles]
    rows: dict[str, list[str]] = collections.defaultdict(list)
    for precision, one in profiles.items():
        most = max(peaks[precision].matmul, peaks[precision].convolution)
        rate = 2e-9 * one.multiply_adds / one.wall
        rows["step"].append(f"{one.wall:.3g} s")
        rows["cores at work"].append(f"{one.processor / one.wall:.2f}")
        multiply_adds = f"{figure(1e-9 * one.multiply_adds)} * 10^9"
        rows["multiply-adds, in plain convolutions"].append(multiply_adds)
        for name, flops in (
            ("achieved", rate),
            ("peak, a product of large matrices", peaks[precision].matmul),
            ("peak, a large 3 x 3 convolution", peaks[precision].convolution),
        ):
            rows[name].append(f"{figure(flops)} GFLOP/s")
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
    note = "Shares are of the time in operations; several may run at once."
    return "\n".join([*lines, "", note]) + "\n"
