"""Draws the learning curves of several runs in one picture.

Example: python scripts/curves.py --runs=runs/legan,runs/stargan --output=curves.png
"""

from __future__ import annotations

from absl import flags

from legan_tf.command_line import cli

_RUNS = flags.DEFINE_list("runs", None, "Run folders, with commas between them.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "PNG file to write.", required=True)
_METRICS = flags.DEFINE_list(
    "metrics", [], "Figures of metrics.jsonl to draw; if empty, the losses that all runs have."
)


def main(_) -> None:
    from legan_tf.evaluation.curves import learning_curves

    learning_curves(_RUNS.value, _OUTPUT.value, _METRICS.value)
    print(_OUTPUT.value)


if __name__ == "__main__":
    cli.run(main)
