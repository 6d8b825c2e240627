"""Trains Q, an identity network, a classifier, LEGAN or StarGAN, or resumes a run.

Example: python scripts/train.py --flagfile=configs/legan.flags --workdir=runs/legan
"""

from __future__ import annotations

from absl import flags

from legan_tf import cli
from legan_tf.training import config

config.define_flags()
flags.adopt_module_key_flags(config)


def main(_) -> int:
    # Imported here so that a mistyped flag is told at once, not after TensorFlow's start.
    from legan_tf.training.train import train

    return train(config.from_flags())


if __name__ == "__main__":
    cli.run(main)
