"""Benchmark of the local server, compared with the same SavedModel called in process."""

from __future__ import annotations

import dataclasses
import os
import tempfile

import keras
import numpy as np
import tensorflow as tf

from legan_research.benchmarks import load
from legan_research.benchmarks.local_server import running
from legan_research.benchmarks.paired import PAIRS, Comparison, compare
from legan_tf.data.conditions import of_classes
from legan_tf.graph_ops.target import current_target
from legan_tf.models import LeganGenerator
from legan_tf.serving import Client, export, server_files, wire

ROWS = 8
"""Images in a request."""
_NAMES = ("neutral", "smile", "surprise"), ("left", "front", "right")
_FORMS = {
    "64 x 64, small": {"image_size": 64, "width": 16, "blocks": 2, "mask_channels": 3},
    "128 x 128, the paper's": {"image_size": 128, "width": 64, "blocks": 6, "mask_channels": 64},
}
"""Generators of ``configs/quickstart.flags`` and of ``configs/legan.flags``."""
_LOADED = next(iter(_FORMS))


@dataclasses.dataclass(frozen=True)
class Result:
    """The result of ``benchmark``.

    Attributes:
        comparisons: Server and call in process, for each size of the network.
        loads: Rows of a Markdown table, head first, of the load tests.
        sizes: Sentences on the bytes of an image on the wire.
    """

    comparisons: tuple[Comparison, ...]
    loads: tuple[str, ...]
    sizes: tuple[str, ...]


def benchmark(pairs: int = PAIRS, clients: int = 8, seconds: float = 120.0) -> Result:
    """Times the server and the call in process, and runs load tests.

    The networks are untrained, which does not affect the times. The server uses the files that
    ``scripts/publish.py files`` writes.

    Args:
        pairs: Number of timed pairs.
        clients: Number of concurrent clients of a load test.
        seconds: Duration of a load test.
    """
    images = np.random.default_rng(0).integers(0, 256, (ROWS, 128, 128, 3), np.uint8)
    comparisons, loads, sizes = [], [load.HEAD], []
    with tempfile.TemporaryDirectory() as folder:
        root = os.path.join(folder, "models")
        for name, form in zip("ab", _FORMS.values()):
            network = LeganGenerator(
                of_classes(expression=_NAMES[0], lighting=_NAMES[1]),
                upsampling="pixelshuffle",
                **form,
            )
            keras.utils.set_random_seed(0)
            network.build()
            export.export(network, root, name, target=current_target())
        server_files.write(root, folder)
        with (
            running(folder) as address,
            Client(address, timeout=120.0) as client,
        ):
            for name, (what, form) in zip("ab", _FORMS.items()):
                client.wait_until_available(60.0, models=[name])
                rows = images[:, : form["image_size"], : form["image_size"]]
                comparisons.append(_compare(what, root, name, address, rows, pairs))
                sizes.append(_wire_sizes(what, rows))
            size, label = _FORMS[_LOADED]["image_size"], "one by one"
            for rows in (1, ROWS):
                result = load.load(address, "a", size, clients, rows, seconds, label)
                loads.append(result.as_row(label))
    return Result(tuple(comparisons), tuple(loads), tuple(sizes))


def _compare(
    what: str, root: str, name: str, address: str, images: np.ndarray, pairs: int
) -> Comparison:
    model = tf.saved_model.load(os.path.join(root, name, "1"))
    signature = model.signatures["serving_default"]
    targets = np.ones(len(images), np.int32)

    def in_process() -> np.ndarray:
        ids = tf.constant(targets)
        return signature(image=tf.constant(images), expression=ids, lighting=ids)["image"].numpy()

    with Client(address, editor=name, timeout=120.0) as client:

        def served() -> np.ndarray:
            return client.edit(images, targets, targets)

        apart = int(np.abs(served().astype(int) - in_process()).max())
        return compare(
            f"{len(images)} edits, {what}",
            ("client and server", served),
            ("SavedModel in process", in_process),
            pairs,
            note=f"answers at most {apart} of 255 apart",
        )


def _wire_sizes(what: str, images: np.ndarray) -> str:
    """Bytes of an image on the wire in each representation."""
    as_bytes = wire.to_tensor(images).ByteSize() / len(images)
    as_floats = wire.to_tensor(images.astype(np.float32)).ByteSize() / len(images)
    # TensorFlow Serving encodes numbers one by one: two bytes from 128 on.
    as_numbers = as_bytes + np.count_nonzero(images >= 128) / len(images)
    return (
        f"A picture of noise, {what}: {as_bytes:,.0f} bytes as uint8, {as_numbers:,.0f} as uint8 "
        f"numbers one by one, {as_floats:,.0f} as float32 ({as_floats / as_bytes:.2f} times)."
    )
