"""Prepares data for training; the word before the flags says what to do.

Example: python scripts/prepare.py manifest --source=rafd --data_dir=RaFD --output=rafd.csv

manifest: reads the folder of a published data set and lists its pictures with labels and splits.
check: looks for what would stop or spoil a training; with --output=FOLDER also in pictures.
align: finds the faces in pictures and brings all of them into the same position.
records: stores the pictures of a manifest as training sees them, in a few large files.
"""

from __future__ import annotations

from absl import flags

from legan_tf import cli
from legan_tf.data.align import config as align_config
from legan_tf.data.readers import config
from legan_tf.options import parse_crop
from legan_tf.training.config import MODELS

_DATA_DIR = flags.DEFINE_string("data_dir", "", "Folder of the data set, as its authors give it.")
_OUTPUT = flags.DEFINE_string("output", "manifest.csv", "The manifest, or the folder, to write.")
_SEED = flags.DEFINE_integer("seed", 0, "Decides every split that the data set does not decide.")
_MANIFEST = flags.DEFINE_string("manifest", "", "The manifest to read; see docs/data.md.")
_CROP = flags.DEFINE_string("crop", "", "As in training: left,top,right,bottom as fractions.")
_IMAGE_SIZE = flags.DEFINE_integer("image_size", 128, "Height and width in training, in pixels.")
_MODEL = flags.DEFINE_enum(
    "model", "", ("", *MODELS), "check: what is to be trained; all that can be if empty."
)
_INPUT = flags.DEFINE_string("input", "", "align: a folder of pictures, instead of a manifest.")
_WORKERS = flags.DEFINE_integer("workers", 0, "align, records: processes; 0 for one per processor.")
config.define_flags()
flags.adopt_module_key_flags(config)
align_config.define_flags()
flags.adopt_module_key_flags(align_config)
_RUNNERS = ("DirectRunner", "DataflowRunner", "FlinkRunner", "SparkRunner")
_SHARDS = flags.DEFINE_integer("shards", 0, "records: files per split; 0 for about 150 MB each.")
_RUNNER = flags.DEFINE_enum(
    "runner", "", ("", *_RUNNERS), "records: Apache Beam's runner, in place of processes here."
)
_BEAM_OPTIONS = flags.DEFINE_string(
    "beam_options",
    "",
    "records: what Beam is told, as on a command line: '--region=… --project=…'.",
)


def _manifest() -> None:
    from legan_tf.data.readers.make import make_manifest

    options = config.from_flags()
    print(make_manifest(_DATA_DIR.value, _OUTPUT.value, options, _SEED.value, cli.bar))


def _check() -> None:
    from legan_tf.data.doctor.examine import examine

    found = examine(
        _MANIFEST.value,
        _DATA_DIR.value or None,
        _OUTPUT.value if _OUTPUT.present else "",
        _MODEL.value,
        parse_crop(_CROP.value),
        _IMAGE_SIZE.value,
        _SEED.value,
        cli.bar,
    )
    print(found.text)
    if found.error:
        raise found.error


def _align() -> None:
    from legan_tf.data.align.make import Source, align_pictures

    print(
        align_pictures(
            Source(_MANIFEST.value, _INPUT.value, _DATA_DIR.value, _SEED.value),
            _OUTPUT.value if _OUTPUT.present else "",
            _IMAGE_SIZE.value if _IMAGE_SIZE.present else 0,
            align_config.from_flags(),
            _WORKERS.value,
            cli.bar,
        )
    )


def _records() -> None:
    from legan_tf.data.make_records import make_records
    from legan_tf.data.parallel import Workers

    print(
        make_records(
            _MANIFEST.value,
            _DATA_DIR.value,
            _OUTPUT.value if _OUTPUT.present else "",
            _IMAGE_SIZE.value,
            parse_crop(_CROP.value),
            _SHARDS.value,
            _SEED.value,
            Workers(flags.FLAGS.workers, _RUNNER.value, _BEAM_OPTIONS.value),
            cli.bar,
        )
    )


_COMMANDS = {"manifest": _manifest, "check": _check, "align": _align, "records": _records}


def main(argv) -> None:
    _COMMANDS[argv[1]]()


if __name__ == "__main__":
    cli.run(main, commands=tuple(_COMMANDS))
