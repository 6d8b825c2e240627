"""Rates the naturalness of the pictures of a folder by Q, and copies the best.

A table of all ratings:
  python scripts/score.py --model=runs/quality --input=faces --output=scores.csv
Also copies of pictures rated 5 or more, and a sheet of pictures from the worst to the best:
  python scripts/score.py --model=runs/quality --input=faces --output=scores.csv \
      --keep_above=5 --keep_dir=natural --sheet=sheet.png
"""

from __future__ import annotations

from absl import flags

from legan_tf.command_line import cli, options
from legan_tf.uses.scoring.config import ScoringConfig

_MODEL = flags.DEFINE_string(
    "model", None, "Run folder, .keras file or export of Q.", required=True
)
options.define_flags(ScoringConfig)


def main(_) -> int:
    config = options.from_flags(ScoringConfig)
    # Checked first: wrong flags are reported before TensorFlow is loaded.
    config.check()
    from legan_tf.serving.loading import load
    from legan_tf.training import devices
    from legan_tf.uses.scoring.score import score_folder

    devices.claim_one()
    report = score_folder(load(_MODEL.value), config)
    for line in report.lines:
        print(line)
    return 1 if report.skipped else 0


if __name__ == "__main__":
    cli.run(main)
