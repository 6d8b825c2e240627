"""Edits the expression and the lighting of pictures of faces with a trained model.

One picture, one target:
  python scripts/edit.py --model=runs/legan --input=me.jpg --expression=smile --output=smiling.png
A folder, or every target on one sheet:
  python scripts/edit.py --model=serving/models/legan --input=faces --lighting=shot07 --output=lit
  python scripts/edit.py --model=runs/legan --input=me.jpg --grid --output=grid.png
"""

from __future__ import annotations

import functools
import sys

from absl import flags

from legan_tf import cli
from legan_tf.errors import UserError

_MODEL = flags.DEFINE_string(
    "model", None, "Run folder, .keras file, or exported model.", required=True
)
_INPUT = flags.DEFINE_string("input", None, "Picture, or folder of pictures.", required=True)
_EXPRESSION = flags.DEFINE_string(
    "expression", None, "Target expression by name; leave out to keep it as it is."
)
_LIGHTING = flags.DEFINE_string(
    "lighting", None, "Target lighting by name; leave out to keep it as it is."
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "Picture to write, or folder to write pictures into.", required=True
)
_GRID = flags.DEFINE_bool(
    "grid", False, "Draw every target on one sheet: rows expressions, columns lightings."
)


def main(_) -> int:
    targets = {"expression": _EXPRESSION.value, "lighting": _LIGHTING.value}
    if _GRID.value == any(targets.values()):
        raise UserError("Give either --grid or --expression and/or --lighting.")
    # Imported here so that a mistyped flag is told at once, not after TensorFlow's start.
    from legan_tf.serving import editing, loading

    editor = loading.load(_MODEL.value)
    if not isinstance(editor, loading.Editor):
        raise UserError(f"--model={_MODEL.value} rates pictures and cannot edit them.")
    if _GRID.value:
        edit = functools.partial(editing.draw_grid, editor)
    else:
        edit = functools.partial(editor, **targets)
    report = editing.edit_files(edit, _INPUT.value, _OUTPUT.value)
    for sentence in report.skipped:
        print(f"Skipped {sentence}", file=sys.stderr)
    if report.written:
        many = len(report.written) > 1
        print(f"{len(report.written)} pictures in {_OUTPUT.value}" if many else report.written[0])
    return 1 if report.skipped else 0


if __name__ == "__main__":
    cli.run(main)
