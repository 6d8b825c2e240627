"""Benchmark of the input pipeline: records, files, memory, the renderer and a training step."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from legan_research.benchmarks.paired import PAIRS, Comparison, compare, with_rates
from legan_research.benchmarks.training import Training
from legan_tf import models
from legan_tf.command_line.cli import bar
from legan_tf.data import attributes
from legan_tf.data.faceset import FaceSet
from legan_tf.data.images import Image
from legan_tf.data.manifest import read_manifest, to_csv
from legan_tf.data.manifest_faces import manifest_faces
from legan_tf.data.rendered import rendered_faces
from legan_tf.data.tfrecord_writer import MANIFEST, write_records
from legan_tf.training.systems.legan import Legan
from legan_tf.training.systems.quality import most_convolutions

PEOPLE = 5
"""Rendered people, under every expression and light: 570 pictures."""
FILE_SIZE = 350
"""Height and width of the single files, in pixels; every other one is a JPEG, the rest PNG."""
UPDATES = 25
"""Updates whose images one timed call reads."""


def benchmark(
    pairs: int = PAIRS,
    config: Legan | None = None,
    file_size: int = FILE_SIZE,
    updates: int = UPDATES,
) -> list[Comparison]:
    """Times batches from files, records, memory and the renderer, and LEGAN's training step.

    Args:
        pairs: Number of timed pairs.
        config: Training configuration; default is LEGAN as in the paper, at 128 x 128.
        file_size: Height and width of the single files, in pixels.
        updates: Updates whose images one timed call reads, and training steps of one timed call;
            without a GPU that is one step.
    """
    config = config or Legan.of()
    size, batch_size = config.image_size, config.batch_size
    read_count = updates * batch_size * config.critic_steps
    trained = updates
    if not tf.config.list_physical_devices("GPU"):
        # An update with the paper's batch takes ten minutes of CPU time, and the images per second
        # of a CPU do not depend on the batch.
        config, trained = config.replace(batch_size=1), 1
    taken = config.batch_size * config.critic_steps
    with tempfile.TemporaryDirectory() as folder:
        files = _write_files(folder, file_size)
        out = os.path.join(folder, "records")
        write_records(files, "", out, size, None, 0, 0, 1, bar)
        records = os.path.join(out, MANIFEST)

        def split(file: str, pool: int) -> FaceSet:
            return manifest_faces(read_manifest(file), "train", size, max_pool_bytes=pool)

        def reading(faces: FaceSet) -> Callable[[], None]:
            reads = config.replace(batch_size=batch_size, train_steps=updates)
            batches = reads.batches(faces, 0)

            def read() -> None:
                for _ in batches:
                    pass

            return read

        memory = split(records, 1 << 40)
        from_memory = ("from memory", reading(memory))
        from_records = ("records, as needed", reading(split(records, 0)))
        from_files = (
            f"PNG and JPEG of {file_size} pixels, as needed",
            reading(split(files, 0)),
        )
        read = f"{read_count} pictures of {size} pixels in batches"
        kept = f"{len(memory)} pictures of {size} pixels into memory"
        kept_records = ("records", lambda: split(records, 1 << 40))
        results = [
            compare(read, from_records, from_files, pairs),
            compare(read, from_memory, from_records, pairs),
            compare(kept, kept_records, ("files", lambda: split(files, 1 << 40)), pairs),
            compare(kept, kept_records, ("rendered", lambda: _rendered(size)), pairs),
        ]
        fed = compare(
            f"the {taken} pictures of one update",
            from_records,
            ("LEGAN's training step", _training(config, memory, folder, trained)),
            pairs,
        )
    share = taken / read_count
    fed = dataclasses.replace(
        fed,
        first_s=tuple(s * share for s in fed.first_s),
        second_s=tuple(s / trained for s in fed.second_s),
    )
    counts = (read_count, read_count, len(memory), len(memory), taken)
    return [with_rates(result, count) for result, count in zip([*results, fed], counts)]


def _rendered(size: int) -> FaceSet:
    """Returns the faces, rendered at every call; ``rendered_split`` would cache them."""
    expressions, lightings = attributes.MULTIPIE_EXPRESSIONS, attributes.lightings()
    return rendered_faces("train", PEOPLE, expressions, lightings, size, seed=0)


def _write_files(folder: str, size: int) -> str:
    """Writes rendered faces, alternately PNG and JPEG, and returns their manifest."""
    faces = _rendered(size)
    lines = []
    for index, picture in enumerate(faces.images(np.arange(len(faces)))):
        name = f"{index}.{('png', 'jpg')[index % 2]}"
        Image.fromarray(picture).save(os.path.join(folder, name), quality=95)
        lines.append(
            {
                "path": name,
                **{n: names[faces.labels[n][index]] for n, names in faces.classes().items()},
                "split": "train",
            }
        )
    file = os.path.join(folder, "faces.csv")
    with open(file, "wb") as text:
        text.write(to_csv(lines))
    return file


def _training(config: Legan, faces: FaceSet, folder: str, steps: int) -> Callable[[], None]:
    """Returns a callable that makes training steps on a batch in memory."""
    size = config.image_size
    # Untrained, in the sizes of the paper.
    networks = {
        "quality_model": models.QualityEstimator(size, depth=most_convolutions(size)),
        "identity_model": models.LightCNN29(size),
    }
    given = {name: os.path.join(folder, f"{name}.keras") for name in networks}
    for name, network in networks.items():
        network.build()
        network.save(given[name])
    step = Training.of(config.replace(**given), faces).step()

    def train() -> None:
        for _ in range(steps):
            step()

    return train
