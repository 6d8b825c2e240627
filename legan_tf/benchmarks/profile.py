"""Where the time of StarGAN's training step goes, beside what the machine can do at most."""

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

from legan_tf.benchmarks import stargan
from legan_tf.benchmarks.paired import PAIRS, figure, table
from legan_tf.cli import Progress
from legan_tf.training.config import PRECISIONS, TrainConfig

PRODUCTS, MOVES, OPTIMIZERS, REST = (
    "convolutions and matrix products",
    "moving, cutting and joining tensors",
    "optimizers",
    "normalisation, activations, losses",
)
KINDS = (PRODUCTS, MOVES, OPTIMIZERS, REST)
_SIDE = 4096
"""Of the square matrices whose product takes the machine to its peak."""
_IMAGES, _IMAGE_SIZE, _CHANNELS = 16, 64, 256
"""Of the 3 x 3 convolution that does."""
_BUSIEST = 12
# An operation is noted as its name and its type; what only waits for operations inside is left out.
_OPERATION = re.compile(r"([^:\s]+):(\w+)")
_CONTAINERS = re.compile(r"PartitionedCall|RemoteCall|^(Stateless)?(If|While)$")
_TYPES = (
    (PRODUCTS, re.compile(r"Conv[23]D|MatMul|Einsum")),
    (OPTIMIZERS, re.compile(r"^Resource(Apply|Scatter)|^Assign(Add|Sub)?VariableOp")),
    (
        MOVES,
        re.compile(
            r"Transpose|Concat|Slice|Pad(V2)?$|PadGrad|Pack$|Split|Tile|Reshape|Gather|Copy"
            r"|SpaceToDepth|DepthToSpace|ToBatch|ToSpace|Reverse|BroadcastTo|Identity|^Cast$"
        ),
    ),
)
_OPTIMIZER_NAME = re.compile(r"(^|/)(adam|optimizer)", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Profile:
    """What one training step does.

    Attributes:
        config: Of what is trained.
        wall: Median seconds of a step that is not watched.
        processor: Those of all cores in it.
        multiply_adds: Of its convolutions and matrix products, in both gradients too and in the
            penalty's second order.
        operations: Seconds by type of operation, of a step that is watched. Where several run at
            once, or one on all cores, these are no shares of the wall time.
        kinds: The same by ``KINDS``.
    """

    config: TrainConfig
    wall: float
    processor: float
    multiply_adds: int
    operations: Mapping[str, float]
    kinds: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class Peak:
    """What the machine does at most in one precision, in 10^9 operations per second.

    A multiply-add is two operations.
    """

    matmul: float
    convolution: float


def benchmark(repeats: int = PAIRS, config: TrainConfig = stargan.CONFIG) -> str:
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


def profiled(config: TrainConfig, repeats: int) -> Profile:
    """Takes training steps, watched and not.

    Args:
        config: A configuration of StarGAN.
        repeats: Steps to take the medians of.
    """
    training = stargan.Training.of(config)
    step = training.step()
    step()
    times = []
    for _ in range(repeats):
        began = time.perf_counter(), time.process_time()
        step()
        times.append((time.perf_counter() - began[0], time.process_time() - began[1]))
    wall, processor = (statistics.median(one) for one in zip(*times))
    operations: collections.Counter = collections.Counter()
    kinds = collections.Counter(dict.fromkeys(KINDS, 0.0))
    for (name, kind), seconds in _watched(step).items():
        operations[kind] += seconds
        kinds[kind_of(name, kind)] += seconds
    graph = traced_step(training)
    return Profile(config, wall, processor, multiply_adds(graph), dict(operations), dict(kinds))


def _watched(call: Callable[[], object]) -> collections.Counter:
    """Seconds by name and type of the operations that a call runs."""
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
                told = _OPERATION.fullmatch(plane.event_metadata[event.metadata_id].name)
                if told and not _CONTAINERS.search(told[2]):
                    seconds[told.groups()] += event.duration_ps / 1e12
    return seconds


def kind_of(name: str, kind: str) -> str:
    """Returns which of ``KINDS`` an operation is of, by its name in the graph and its type."""
    if _OPTIMIZER_NAME.search(name):
        return OPTIMIZERS
    return next((known for known, pattern in _TYPES if pattern.search(kind)), REST)


def traced_step(training: stargan.Training) -> tf.Graph:
    """Returns the graph of a training step on batches of the known size."""

    @tf.function(autograph=False)
    def step(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return training.strategy.run(training.trainer.train_step, (batch,))

    return step.get_concrete_function(training.batch).graph


def multiply_adds(graph: tf.Graph) -> int:
    """Counts those of the convolutions and matrix products in a graph.

    At the border, what meets the padding is counted too.

    Args:
        graph: One whose shapes are known.

    Raises:
        ValueError: The shape of such an operation is not known.
    """
    total = 0
    for operation in graph.get_operations():
        if operation.type not in _FACTORS:
            continue
        factors = _FACTORS[operation.type](operation)
        if None in factors:
            raise ValueError(f"the shapes of {operation.name} are not known")
        product = 1
        for factor in factors:
            product *= factor
        total += product
    return total


def _of_kernel(of_filters: Callable[[tf.Operation], tf.TensorShape], outputs: int) -> Callable:
    """Each output of the convolution, whichever gradient this is, sees the kernel once."""

    def factors(operation: tf.Operation) -> list[int | None]:
        seen = operation.outputs[0] if outputs < 0 else operation.inputs[outputs]
        return [seen.shape.num_elements(), *of_filters(operation)[:3]]

    return factors


def _of_product(operation: tf.Operation) -> list[int | None]:
    inner = operation.inputs[0].shape[0 if operation.get_attr("transpose_a") else 1]
    return [operation.outputs[0].shape.num_elements(), inner]


_FACTORS = {
    "Conv2D": _of_kernel(lambda operation: operation.inputs[1].shape, -1),
    "Conv2DBackpropInput": _of_kernel(lambda operation: operation.inputs[1].shape, 2),
    "Conv2DBackpropFilter": _of_kernel(lambda operation: operation.outputs[0].shape, 2),
    "MatMul": _of_product,
}


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
    rates = []
    for call in (product, convolution):
        count = multiply_adds(call.get_concrete_function().graph)
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
        rows["multiply-adds"].append(f"{figure(1e-9 * one.multiply_adds)} * 10^9")
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
    told = "Shares are of the time in operations, of which several may run at once."
    return "\n".join([*lines, "", told]) + "\n"
