"""Benchmarks of StarGAN's generator against PyTorch, and of Q against a NIMA model."""

from __future__ import annotations

import functools
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

from legan_research.benchmarks import training
from legan_research.benchmarks.paired import PAIRS, Comparison, compare, with_rates
from legan_research.benchmarks.torch_stargan import TorchStargan
from legan_tf.data.conditions import of_classes
from legan_tf.graph_ops.target import current_target
from legan_tf.models import QualityEstimator, StarganGenerator
from legan_tf.runtime.hardware import usable_cores
from legan_tf.serving import client, export, local_server
from legan_tf.training.datasets import EXPRESSIONS
from legan_tf.training.devices import POLICIES
from legan_tf.training.options import PRECISIONS
from legan_tf.training.systems.quality import Quality
from legan_tf.training.systems.stargan import Stargan

BATCH_SIZES = (1, 8)
SCORED = 32
"""Images rated at once."""
_MODEL, _TARGET = "stargan", 1
_RATINGS = np.arange(1.0, 11.0, dtype=np.float32)


def benchmark(pairs: int = PAIRS) -> list[Comparison]:
    """Times edits and ratings; the networks are untrained, which takes as long.

    Args:
        pairs: Number of timed pairs.

    Raises:
        UserError: PyTorch is not installed.
    """
    return [*edits(pairs), ratings(pairs)]


def edits(
    pairs: int,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    config: Stargan = training.CONFIG,
) -> list[Comparison]:
    """Times edits in process, in every precision, and served, with every batch size.

    Args:
        pairs: Number of timed pairs.
        batch_sizes: Images edited at once.
        config: Sizes of images and generator.

    Raises:
        UserError: PyTorch or a package of the client or the local server is not installed.
    """
    results = []
    attributes = len(EXPRESSIONS[config.expressions])
    with TorchStargan(config, attributes, usable_cores()) as theirs:
        for name, edit in editors(config):
            for batch_size in batch_sizes:
                result = compare(
                    f"edits at {config.image_size} x {config.image_size}, batch {batch_size}",
                    (name, edit(batch_size)),
                    (f"PyTorch {theirs.version}, float32", theirs.forward(batch_size)),
                    pairs,
                )
                results.append(with_rates(result, batch_size))
    return results


def ratings(pairs: int, config: Quality | None = None) -> Comparison:
    """Times Q and NIMA on MobileNet (Talebi and Milanfar, 2018) on the same images.

    Args:
        pairs: Number of timed pairs.
        config: Sizes of images and Q.
    """
    config = config or Quality.of()
    size = config.image_size
    quality = QualityEstimator(size, config.q_width, config.q_depth)
    quality.build()
    trunk = keras.applications.MobileNet((size, size, 3), include_top=False, weights=None)
    shares = keras.layers.Dense(len(_RATINGS), activation="softmax")
    nima = keras.Sequential([trunk, keras.layers.GlobalAveragePooling2D(), shares])
    images = tf.constant(_pictures(SCORED, size) / 127.5 - 1.0, tf.float32)
    rate = tf.function(lambda: quality(images), autograph=False)
    judge = tf.function(lambda: tf.linalg.matvec(nima(images, training=False), _RATINGS))
    result = compare(
        f"ratings at {size} x {size}, batch {SCORED}",
        (f"Q, {quality.count_params():,} parameters", lambda: rate().numpy()),
        (f"NIMA on MobileNet, {nima.count_params():,}", lambda: judge().numpy()),
        pairs,
    )
    return with_rates(result, SCORED)


_Edit = Callable[[int], Callable[[], np.ndarray]]


def editors(config: Stargan) -> Iterator[tuple[str, _Edit]]:
    """Yields the name of each editor and what maps a batch size to a timed callable.

    In process it returns float32 [B, S, S, 3], -1 to 1; served uint8, until the next is asked for.

    Args:
        config: Sizes of images and generator.
    """
    for precision in PRECISIONS:
        yield f"legan_tf in process, {precision}", _in_process(_generator(config, precision))
    with tempfile.TemporaryDirectory() as root:
        export.export(_generator(config, "float32"), root, _MODEL, target=current_target())
        options = local_server.Options(
            port=-1, model_name=_MODEL, model_base_path=os.path.join(root, _MODEL)
        )
        with local_server.LocalServer(options) as server:
            with client.Client(server.address, editor=_MODEL, timeout=120.0) as connected:
                edit = functools.partial(connected.edit, expression=_TARGET)
                yield (
                    "legan_tf, client and server",
                    lambda count: functools.partial(edit, _pictures(count, config.image_size)),
                )


def _generator(config: Stargan, precision: str) -> StarganGenerator:
    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy(POLICIES[precision])
    try:
        keras.utils.set_random_seed(0)
        names = EXPRESSIONS[config.expressions]
        network = StarganGenerator(
            of_classes(expression=names), config.image_size, config.width, config.blocks
        )
        network.build()
    finally:
        keras.mixed_precision.set_global_policy(before)
    return network


def _in_process(network: StarganGenerator) -> _Edit:
    @tf.function(autograph=False)
    def traced(images: tf.Tensor, codes: tf.Tensor) -> tf.Tensor:
        return network({"image": images, "expression": codes})["image"]

    def of_batch(batch_size: int) -> Callable[[], np.ndarray]:
        images = tf.constant(_pictures(batch_size, network.image_size) / 127.5 - 1.0, tf.float32)
        codes = tf.one_hot([_TARGET] * batch_size, len(network.names("expression")))
        return lambda: traced(images, codes).numpy()

    return of_batch


def _pictures(count: int, size: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)
