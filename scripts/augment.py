"""Augments a training set with a model's edits of its train pictures.

Rare expressions filled up to the most common one, with edits that Q rates 5 or more:
  python scripts/augment.py --policy=balance --model=runs/legan --manifest=faces.csv \
      --output=augmented --quality_model=runs/quality --quality_above=5
One edit of each picture of train, for face recognition:
  python scripts/augment.py --policy=vary --model=runs/legan --manifest=faces.csv --output=varied
"""

from __future__ import annotations

from absl import flags

from legan_tf.command_line import cli, options
from legan_tf.uses.augment.config import AugmentOptions

_MODEL = flags.DEFINE_string(
    "model", None, "Run folder, .keras file or export of an editor.", required=True
)
_MANIFEST = flags.DEFINE_string(
    "manifest", None, "The training set; see docs/data.md.", required=True
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "Folder of the edits and of the manifest with both.", required=True
)
_DATA_DIR = flags.DEFINE_string(
    "data_dir", "", "Folder that the manifest's paths start from; its own if empty."
)
_CROP = flags.DEFINE_string("crop", "", "As in training: left,top,right,bottom as fractions.")
options.define_flags(AugmentOptions)


def main(_) -> None:
    chosen = options.from_flags(AugmentOptions)
    chosen.check()
    options.parse_crop(_CROP.value)
    # Imported late: wrong flags are reported before TensorFlow is loaded.
    from legan_tf.serving.loading import load
    from legan_tf.training import devices
    from legan_tf.uses.augment.augment import Source, augment

    devices.claim_one()
    made = augment(
        load(_MODEL.value),
        Source(_MANIFEST.value, _DATA_DIR.value, _CROP.value),
        _OUTPUT.value,
        chosen,
        load(chosen.quality_model) if chosen.quality_model else None,
        bar=cli.bar,
    )
    print(made.report)


if __name__ == "__main__":
    cli.run(main)
