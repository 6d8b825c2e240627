"""Trains LEGAN, StarGAN, Q and the other systems, or resumes a run; --model selects the system.

Example: python scripts/train.py --flagfile=configs/legan.flags --workdir=runs/legan
The flags of one system: python scripts/train.py --model=quality --helpshort
docs/extending.md says which files lead from here to the losses.
"""

from __future__ import annotations

from legan_tf.command_line import cli
from legan_tf.training import systems
from legan_tf.training.train import train


def main(_) -> int:
    return train(systems.from_flags())


def select_flags(argv):
    # Called from here, so that --helpshort counts the flags among those of this program.
    return systems.select_flags(argv)


if __name__ == "__main__":
    cli.run(main, select_flags=select_flags)
