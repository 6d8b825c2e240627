"""Writes the papers' tables for any set of models, with the published figures beside them.

Example: python scripts/compare.py --models=LEGAN=runs/a+runs/b,StarGAN=runs/c --output=runs/tables

A model that was trained with several seeds is one line: NAME=PATH+PATH. What has been judged is
kept in OUTPUT, or in --judges and --cache, so that the next comparison judges new models only.
"""

from __future__ import annotations

from absl import flags

from legan_tf.command_line import cli, options
from legan_tf.evaluation.config import EvaluationConfig

_MODELS = flags.DEFINE_string(
    "models",
    None,
    "Models with commas between them, each PATH or NAME=PATH; a run folder, .keras file, export, "
    "or the folder of a report. NAME=PATH+PATH is several runs of one setting that differ in their "
    "seed: one line, mean ± standard deviation. For example 'StarGAN=runs/s0+runs/s1,depth "
    "0.1=runs/d0+runs/d1'.",
    required=True,
)
_OUTPUT = flags.DEFINE_string("output", None, "Folder of the tables.", required=True)
_PREFERENCES = flags.DEFINE_string(
    "preferences", "", "CSV with the columns model,preference: what people preferred, 0 to 1."
)
options.define_flags(EvaluationConfig)


def main(_) -> None:
    from legan_tf.evaluation.compare_models import compare_models
    from legan_tf.serving.loading import load
    from legan_tf.training import devices

    devices.claim_one()
    config = options.from_flags(EvaluationConfig)
    print(compare_models(load, _MODELS.value, _OUTPUT.value, _PREFERENCES.value, config))


if __name__ == "__main__":
    cli.run(main)
