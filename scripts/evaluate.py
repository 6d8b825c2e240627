"""Judges an editor, Q, a depth network, or pictures that another program made.

Example: python scripts/evaluate.py --model=runs/legan --output=runs/legan/evaluation
"""

from __future__ import annotations

from absl import flags

from legan_tf.command_line import cli, options
from legan_tf.errors import UserError
from legan_tf.evaluation.config import EvaluationConfig

_MODEL = flags.DEFINE_string(
    "model",
    None,
    "Run folder, .keras file or export of an editor or Q; run folder or .keras file of a depth "
    "network.",
)
_PICTURES = flags.DEFINE_string(
    "pictures", None, "In place of a model: a folder of pictures to compare with the real ones."
)
_OUTPUT = flags.DEFINE_string("output", None, "Folder of the report.", required=True)
options.define_flags(EvaluationConfig)


def main(_) -> None:
    config = options.from_flags(EvaluationConfig)
    config.check()
    if (_MODEL.value is None) == (_PICTURES.value is None):
        raise UserError("give either --model or --pictures.")
    from legan_tf.evaluation.evaluate import evaluate
    from legan_tf.evaluation.evaluate_depth import evaluate_depth
    from legan_tf.evaluation.evaluate_pictures import evaluate_pictures
    from legan_tf.evaluation.evaluate_scorer import evaluate_scorer
    from legan_tf.evaluation.report import as_markdown
    from legan_tf.serving.loading import load
    from legan_tf.training import devices

    devices.claim_one()
    if _PICTURES.value is not None:
        report = evaluate_pictures(_PICTURES.value, _OUTPUT.value, config)
    else:
        model = load(_MODEL.value)
        judge = {"editor": evaluate, "scorer": evaluate_scorer, "depth": evaluate_depth}[model.kind]
        report = judge(model, _OUTPUT.value, config)
    print(as_markdown(report))


if __name__ == "__main__":
    cli.run(main)
