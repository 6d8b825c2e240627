"""Edits the expression and the lighting of faces by a trained model, or maps their depth.

One picture, one target:
  python scripts/edit.py --model=runs/legan --input=me.jpg --expression=smile --output=smiling.png
A folder, or every target on one sheet:
  python scripts/edit.py --model=serving/models/legan --input=faces --lighting=shot07 --output=lit
  python scripts/edit.py --model=runs/legan --input=me.jpg --grid --output=grid.png
Depth or normals of pictures, or of the edits of a model that was trained with depth:
  python scripts/edit.py --model=runs/depth --input=faces --output=maps
  python scripts/edit.py --model=runs/depth_stargan --input=faces --expression=smile \
      --output=smiling --depth=smiling_depth
"""

from __future__ import annotations

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
_DEPTH = flags.DEFINE_string(
    "depth", None, "Picture or folder for the depth (or normal) maps of the edits."
)


def main(_) -> int:
    targets = {"expression": _EXPRESSION.value, "lighting": _LIGHTING.value}
    if _GRID.value and any(targets.values()):
        raise UserError("Give either --grid or --expression and/or --lighting.")
    if _DEPTH.value and not any(targets.values()):
        raise UserError(
            "--depth is for the maps of edits: give --expression and/or --lighting, too; for maps "
            "of the pictures as they are, --model=RUN/depth.keras without --depth."
        )
    # Imported here so that a mistyped flag is reported at once, not after TensorFlow's start.
    from legan_tf.serving import editing, loading
    from legan_tf.training import devices

    devices.claim(1)
    model = loading.load(_MODEL.value)
    report = editing.use_model(
        model, _INPUT.value, _OUTPUT.value, targets, _GRID.value, _DEPTH.value or ""
    )
    for message in report.skipped:
        print(f"Skipped {message}", file=sys.stderr)
    for line in report.lines(_OUTPUT.value, _DEPTH.value or ""):
        print(line)
    return 1 if report.skipped else 0


if __name__ == "__main__":
    cli.run(main)
