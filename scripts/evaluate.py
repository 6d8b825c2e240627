"""Judges a trained editor on rendered people that it has not seen.

Example: python scripts/evaluate.py --model=runs/legan --output=runs/legan/evaluation
"""

from __future__ import annotations

from absl import flags

from legan_tf import cli

_MODEL = flags.DEFINE_string(
    "model", None, "Run folder, .keras file or export of an editor.", required=True
)
_OUTPUT = flags.DEFINE_string("output", None, "Folder of the report.", required=True)
_JUDGES = flags.DEFINE_string(
    "judges",
    "",
    "Folder of the judging networks, trained there if missing; OUTPUT/judges if empty.",
)
_JUDGE_STEPS = flags.DEFINE_integer("judge_steps", 800, "Updates of each judge.", lower_bound=1)
_EDITS = flags.DEFINE_integer("edits", 2000, "Edits to judge.", lower_bound=1)
_SEED = flags.DEFINE_integer(
    "seed", 0, "Seed of people, sources and targets.", lower_bound=0, upper_bound=1_000_000
)


def main(_) -> None:
    import legan_tf
    from legan_tf.errors import UserError
    from legan_tf.evaluation.evaluate import as_markdown, evaluate

    editor = legan_tf.load(_MODEL.value)
    if editor.kind != "editor":
        raise UserError(f"--model={_MODEL.value}: this is a {editor.kind}, not an editor")
    report = evaluate(
        editor, _OUTPUT.value, _JUDGES.value, _JUDGE_STEPS.value, _EDITS.value, _SEED.value
    )
    print(as_markdown(report))


if __name__ == "__main__":
    cli.run(main)
