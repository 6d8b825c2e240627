"""Prepares data for training; the word before the flags says what to do.

Example: python scripts/prepare.py manifest --source=rafd --data_dir=RaFD --output=rafd.csv

manifest: reads the folder of a published data set and lists its pictures with labels and splits.
check: reports what would stop or spoil a training; with --output=FOLDER also in plots.
align: finds the faces in pictures and brings all of them into the same position.
depth: makes depth and normal maps of pictures, from meshes that were fitted to them or without any.
records: stores the pictures of a manifest as training sees them, in TFRecords.
"""

from __future__ import annotations

import dataclasses

from absl import flags

from legan_tf.command_line import cli, options
from legan_tf.data.align.config import AlignOptions
from legan_tf.data.depth.config import DepthMapOptions
from legan_tf.data.readers.registry import reader_options

_MANIFEST = flags.DEFINE_string("manifest", "", "The manifest to read; see docs/data.md.")
_DATA_DIR = flags.DEFINE_string(
    "data_dir",
    "",
    "Folder of the data set, as its authors give it; or that the manifest's paths start from.",
)
_OUTPUT = flags.DEFINE_string(
    "output", "", "Where to write: a folder; of manifest, the file, manifest.csv if empty."
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of every split that the data set does not define.")
_IMAGE_SIZE = flags.DEFINE_integer(
    "image_size",
    None,
    "Height and width in pixels. Default is 128; of align, what is usual in its --convention; of "
    "depth, for meshes without a picture, 256.",
)
_CROP = flags.DEFINE_string("crop", "", "As in training: left,top,right,bottom as fractions.")
_MODEL = flags.DEFINE_string(
    "model", "", "check: the system to be trained; all that can be if empty."
)
_INPUT = flags.DEFINE_string("input", "", "align: a folder of pictures, instead of a manifest.")
_MESHES = flags.DEFINE_string(
    "meshes", "", "depth: a folder of meshes, or a manifest with a column 'mesh'."
)
_PICTURES = flags.DEFINE_string(
    "pictures",
    "",
    "depth: instead of meshes, a folder of pictures, or a manifest: a head is fitted to each face.",
)
_WORKERS = flags.DEFINE_integer(
    "workers", 0, "align, depth, records: processes; 0 for one per processor."
)
_ACTION_UNITS_FILE = flags.DEFINE_string(
    "action_units_file",
    "",
    "check, records: CSV of the pictures' action units, by OpenFace, py-feat or LibreFace, with a "
    "column path.",
)
_SHARDS = flags.DEFINE_integer("shards", 0, "records: files per split; 0 for about 150 MB each.")
_READER_OPTIONS = reader_options()


options.define_flags(_READER_OPTIONS)


@dataclasses.dataclass(frozen=True)
class _FaceOptions(DepthMapOptions, AlignOptions):
    """The flags of both, that of the finder once."""


options.define_flags(_FaceOptions)


def _training_size() -> int:
    return 128 if _IMAGE_SIZE.value is None else _IMAGE_SIZE.value


def _manifest() -> None:
    from legan_tf.data.readers.make_manifest import make_manifest

    output = _OUTPUT.value or "manifest.csv"
    reader = options.from_flags(_READER_OPTIONS)
    print(make_manifest(_DATA_DIR.value, output, reader, _SEED.value, cli.bar))


def _check() -> None:
    from legan_tf.data.check.report import check_dataset
    from legan_tf.training import systems

    found = check_dataset(
        _MANIFEST.value,
        _DATA_DIR.value or None,
        _OUTPUT.value,
        _MODEL.value,
        options.parse_crop(_CROP.value),
        _training_size(),
        _SEED.value,
        cli.bar,
        systems.needs(),
        _ACTION_UNITS_FILE.value,
    )
    print(found.text)
    if found.error:
        raise found.error


def _align() -> None:
    from legan_tf.data.align.dataset import Source, align_pictures

    print(
        align_pictures(
            Source(_MANIFEST.value, _INPUT.value, _DATA_DIR.value, _SEED.value),
            _OUTPUT.value,
            _IMAGE_SIZE.value,
            options.from_flags(AlignOptions),
            _WORKERS.value,
            cli.bar,
        )
    )


def _depth() -> None:
    from legan_tf.data.depth.dataset import Source, make_depth

    print(
        make_depth(
            Source(_MESHES.value, _DATA_DIR.value, _SEED.value, _PICTURES.value),
            _OUTPUT.value,
            _IMAGE_SIZE.value,
            options.from_flags(DepthMapOptions),
            _WORKERS.value,
            cli.bar,
        )
    )


def _records() -> None:
    from legan_tf.data.tfrecord_writer import write_records

    print(
        write_records(
            _MANIFEST.value,
            _DATA_DIR.value,
            _OUTPUT.value,
            _training_size(),
            options.parse_crop(_CROP.value),
            _SHARDS.value,
            _SEED.value,
            _WORKERS.value,
            cli.bar,
            _ACTION_UNITS_FILE.value,
        )
    )


_COMMANDS = {
    "manifest": _manifest,
    "check": _check,
    "align": _align,
    "depth": _depth,
    "records": _records,
}
# --data_dir, --output and --seed are for all of them.
_FLAGS = {
    "manifest": options.names(_READER_OPTIONS),
    "check": ("manifest", "image_size", "crop", "model", "action_units_file"),
    "align": ("manifest", "input", "image_size", "workers", *options.names(AlignOptions)),
    "depth": ("meshes", "pictures", "image_size", "workers", *options.names(DepthMapOptions)),
    "records": ("manifest", "image_size", "crop", "workers", "shards", "action_units_file"),
}


def main(argv) -> None:
    _COMMANDS[argv[1]]()


if __name__ == "__main__":
    cli.run(main, commands=_FLAGS)
