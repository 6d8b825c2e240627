"""Trains a small LEGAN on rendered faces, evaluates it, exports it and edits a picture with it.

Example: python scripts/quickstart.py --workdir=runs/quickstart
"""

from __future__ import annotations

import os
import time

from absl import flags

from legan_tf.command_line import cli

_WORKDIR = flags.DEFINE_string("workdir", "runs/quickstart", "Folder of all outputs.")
_FLAGFILE = flags.DEFINE_string(
    "training", "configs/quickstart.flags", "Flag file of the training."
)
_SEED = flags.DEFINE_integer(
    "seed", 0, "Seed of the training.", lower_bound=0, upper_bound=1_000_000
)


def main(_) -> int:
    from legan_tf.serving import quickstart

    began = time.monotonic()
    status = quickstart.run(_WORKDIR.value, _FLAGFILE.value, _SEED.value)
    if not status:
        minutes = (time.monotonic() - began) / 60
        print(f"Done in {minutes:.1f} minutes; everything is in {os.path.abspath(_WORKDIR.value)}")
    return status


if __name__ == "__main__":
    cli.run(main)
