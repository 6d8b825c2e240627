"""The papers' tables for any set of models, with the published figures beside them.

Example: python scripts/compare.py --models=LEGAN=runs/a+runs/b,StarGAN=runs/c --output=runs/tables
"""

from __future__ import annotations

from absl import flags

from legan_tf import cli, options
from legan_tf.evaluation.config import EvaluationConfig

_MODELS = flags.DEFINE_string(
    "models",
    None,
    "Models with commas between them, each PATH, NAME=PATH or NAME=PATH+PATH for several seeds; a "
    "run folder, .keras file, export, or the folder of a report.",
    required=True,
)
_OUTPUT = flags.DEFINE_string("output", None, "Folder of the tables.", required=True)
_PREFERENCES = flags.DEFINE_string(
    "preferences", "", "CSV with the columns model,preference: what people preferred, 0 to 1."
)
options.define_flags(EvaluationConfig)


def main(_) -> None:
    from legan_tf.evaluation.comparison import compare_models
    from legan_tf.serving.loading import load

    config = options.from_flags(EvaluationConfig)
    print(compare_models(load, _MODELS.value, _OUTPUT.value, _PREFERENCES.value, config))


if __name__ == "__main__":
    cli.run(main)
