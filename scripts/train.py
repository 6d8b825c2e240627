"""Trains Q, an identity network, a classifier, LEGAN or StarGAN, or resumes a run.

Example: python scripts/train.py --flagfile=configs/legan.flags --workdir=runs/legan
"""

from __future__ import annotations

from legan_tf import cli, options
from legan_tf.training.config import TrainConfig

options.define_flags(TrainConfig)


def main(_) -> int:
    # Imported here so that a mistyped flag is told at once, not after TensorFlow's start.
    from legan_tf.training.train import train

    return train(options.from_flags(TrainConfig))


if __name__ == "__main__":
    cli.run(main)
