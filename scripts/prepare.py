"""Prepares data for training; the word before the flags says what to do.

Example: python scripts/prepare.py manifest --source=rafd --data_dir=RaFD --output=rafd.csv

manifest: reads the folder of a published data set and lists its pictures with labels and splits.
"""

from __future__ import annotations

from absl import flags

from legan_tf import cli
from legan_tf.data.readers import config

_DATA_DIR = flags.DEFINE_string("data_dir", "", "Folder of the data set, as its authors give it.")
_OUTPUT = flags.DEFINE_string("output", "manifest.csv", "The manifest to write.")
_SEED = flags.DEFINE_integer("seed", 0, "Decides every split that the data set does not decide.")
config.define_flags()
flags.adopt_module_key_flags(config)


def _manifest() -> None:
    from legan_tf.data.readers.make import make_manifest

    options = config.from_flags()
    print(make_manifest(_DATA_DIR.value, _OUTPUT.value, options, _SEED.value, cli.bar))


_COMMANDS = {"manifest": _manifest}


def main(argv) -> None:
    _COMMANDS[argv[1]]()


if __name__ == "__main__":
    cli.run(main, commands=tuple(_COMMANDS))
