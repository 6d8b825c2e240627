"""Trains Q, an identity network, a classifier, LEGAN or StarGAN, or resumes a run.

Example: python scripts/train.py --flagfile=configs/legan.flags --workdir=runs/legan
"""

from legan_tf import cli
from legan_tf.training import config


def main(argv):
    from legan_tf.training.train import train

    return train(config.from_flags())


if __name__ == "__main__":
    config.define_flags()
    cli.run(main)
