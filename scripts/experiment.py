"""Measures the effect of augmentation and filtering on rendered faces; the command comes first.

Example: python scripts/experiment.py expression --model=runs/rendered --output=runs/expression

expression: an expression classifier, with rare expressions filled by edits.
verification: a face recognition network, with an edit of each image.
filter: damage found by Q, and FID of edits without those that it rates lowest.
"""

from __future__ import annotations

from absl import flags

from legan_research.experiments.config import ExperimentOptions
from legan_tf.command_line import cli, options

_MODEL = flags.DEFINE_string(
    "model", None, "Run folder or .keras file of an editor.", required=True
)
_OUTPUT = flags.DEFINE_string("output", None, "Folder of all results.", required=True)
options.define_flags(ExperimentOptions)


def _expression(chosen: ExperimentOptions) -> str:
    from legan_research.experiments.expression import expression_experiment

    return expression_experiment(_MODEL.value, _OUTPUT.value, chosen, cli.bar)


def _verification(chosen: ExperimentOptions) -> str:
    from legan_research.experiments.verification import verification_experiment

    return verification_experiment(_MODEL.value, _OUTPUT.value, chosen, cli.bar)


def _filter(chosen: ExperimentOptions) -> str:
    from legan_research.experiments.filter import filter_experiment

    return filter_experiment(_MODEL.value, _OUTPUT.value, chosen, cli.bar)


_COMMANDS = {"expression": _expression, "verification": _verification, "filter": _filter}
_TRAININGS = ("seeds", "people", "pictures", "test_people", "steps")
# --data_seed is for all of them.
_FLAGS = {
    "expression": (*_TRAININGS, "quality_model", "quality_above"),
    "verification": _TRAININGS,
    "filter": (
        "quality_model",
        "rated",
        "edits",
        "judges",
        "judge_steps",
        "identity_model",
        "features",
    ),
}


def main(argv) -> None:
    chosen = options.from_flags(ExperimentOptions)
    chosen.check(argv[1])
    print(_COMMANDS[argv[1]](chosen))


if __name__ == "__main__":
    cli.run(main, commands=_FLAGS)
