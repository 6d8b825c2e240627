from __future__ import annotations

import csv
import itertools

import pytest
from PIL import Image

from legan_tf.data import attributes, manifest
from legan_tf.data.check import validation
from legan_tf.data.manifest_faces import manifest_faces
from legan_tf.data.readers.make_manifest import make_manifest
from legan_tf.data.readers.registry import reader_options
from legan_tf.data.rendered import rendered_faces
from legan_tf.data.splits import SPLITS

SIZE = 24


@pytest.fixture(scope="session")
def faces():
    """684 different pictures: 6 people, each under every expression and light."""
    split = rendered_faces(
        "train", 6, attributes.MULTIPIE_EXPRESSIONS, attributes.lightings(), SIZE, 0
    )
    return split.images(range(len(split)))


class DataSet:
    """A folder laid out like a published data set, with rendered faces in its files."""

    def __init__(self, folder, faces):
        self.folder = folder / "data"
        self.output = folder / "made" / "manifest.csv"
        self._faces = itertools.cycle(faces)
        self.progress = []

    def add(self, *paths):
        for path in paths:
            file = self.folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(next(self._faces)).save(file, quality=100)
        return self

    def text(self, path, content, encoding="utf-8"):
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode(encoding))
        return self

    def read(self, source, seed=0, **options):
        """Makes the manifest; returns its rows (filled cells only) by path, and the report."""
        self.progress.clear()

        def bar(label):
            return lambda done, total: self.progress.append((label, done, total))

        report = make_manifest(
            str(self.folder),
            str(self.output),
            reader_options()(source=source, **options),
            seed,
            bar,
        )
        prefix = "" if options.get("paths_from") == "data_dir" else "../data/"
        with open(self.output, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        for row in rows:
            assert tuple(row)[: len(manifest.COLUMNS)] == manifest.COLUMNS
            for column in ("path", "depth", "normal"):
                row[column] = row[column][len(prefix) * row[column].startswith(prefix) :]
        return {row.pop("path"): {k: v for k, v in row.items() if v} for row in rows}, report

    def load(self, needs=()):
        """Checks the manifest as training does; returns its splits as face sets."""
        read = manifest.read_manifest(str(self.output))
        validation.check_manifest(read, needs)
        return {split: manifest_faces(read, split, SIZE) for split in SPLITS}


@pytest.fixture
def dataset(tmp_path, faces):
    return DataSet(tmp_path, faces)


@pytest.fixture
def dropped():
    """Reads what a report says was dropped: how many, by reason."""

    def read(report):
        lines = [line for line in report.splitlines() if line.startswith("dropped ")]
        counts = {}
        for line in lines:
            count, rest = line[len("dropped ") :].split(": ", 1)
            counts[rest.split(";")[0]] = int(count)
        return counts

    return read
