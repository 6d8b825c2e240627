"""Edits the expression and the light of faces in photographs; or by a trained network.

A photograph, at its own size, with nothing to train:
  python scripts/edit.py --input=me.jpg --expression=smile --output=smiling.jpg
  python scripts/edit.py --input=me.jpg --lighting=left --face=all --output=lit.jpg --mask=where.png
  python scripts/edit.py --input=holiday --expression=neutral --strength=.8 --output=neutral
  python scripts/edit.py --input=me.jpg --grid --output=sheet.png
By a network, with faces that fill the frame:
  python scripts/edit.py --model=runs/legan --input=me.jpg --expression=smile --output=smiling.png
  python scripts/edit.py --model=runs/celeba --input=me.jpg --attributes=Smiling=1,Young=0 \
      --output=old.png
  python scripts/edit.py --model=runs/ganimation --input=me.jpg --action_units=AU12=3,AU25=2 \
      --output=smiling.png
  python scripts/edit.py --model=runs/legan --input=me.jpg --grid --output=grid.png
Depth or normals of pictures, or of the edits of a network that was trained with depth:
  python scripts/edit.py --model=runs/depth --input=faces --output=maps
  python scripts/edit.py --model=runs/depth_stargan --input=faces --expression=smile \
      --output=smiling --depth=smiling_depth
"""

from __future__ import annotations

import sys

from absl import flags

from legan_tf.command_line import cli
from legan_tf.errors import UserError
from legan_tf.serving.picture_files import Report

_INPUT = flags.DEFINE_string("input", None, "Picture, or folder of pictures.", required=True)
_OUTPUT = flags.DEFINE_string(
    "output", None, "Picture to write, or folder to write pictures into.", required=True
)
_EXPRESSION = flags.DEFINE_string(
    "expression", None, "Target expression by name; leave out to keep it as it is."
)
_LIGHTING = flags.DEFINE_string(
    "lighting",
    None,
    "Target lighting by name; leave out to keep it as it is. Without --model also a direction: "
    "azimuth=-60,elevation=20,ambient=.1",
)
_ATTRIBUTES = flags.DEFINE_string(
    "attributes", None, "With --model: attributes to change, as Smiling=1,Young=0."
)
_GRID = flags.DEFINE_bool("grid", False, "Draw every target on one sheet.")
_MODEL = flags.DEFINE_string(
    "model", None, "Edit by a network: run folder, .keras file, or exported model."
)
_DEPTH = flags.DEFINE_string(
    "depth",
    None,
    "With --model: picture or folder for the depth (or normal) maps of the edits.",
)
_STRENGTH = flags.DEFINE_float("strength", 1.0, "Without --model: how much of the expression.")
_ACTION_UNITS = flags.DEFINE_string(
    "action_units",
    None,
    "In place of --expression: without --model as AU12=.8,AU6=.5, of 0 to 1 (up to 2 exaggerates); "
    "with a model that is told action units as AU12=3,AU25=2, intensities of 0 to 5.",
)
_FACE = flags.DEFINE_string(
    "face", "largest", "Without --model: largest, all, or a number; 1 is the face at the left."
)
_MASK = flags.DEFINE_string(
    "mask", None, "Without --model: picture or folder for masks of what was changed."
)
_FINDER = flags.DEFINE_string("finder", "tflite", "Without --model: tflite or mediapipe.")
_LANDMARKS = flags.DEFINE_string(
    "landmarks",
    None,
    "Without --model: CSV of 68 or 468 points for each picture, not to find them.",
)
_HEAD = flags.DEFINE_string(
    "head", "", "Without --model: another head; a folder of ICT-FaceKit, or a file."
)
_STATISTICS = flags.DEFINE_string(
    "statistics", "", "Without --model: what build_head.py learn wrote, with its expressions."
)

_OF_PHOTOGRAPHS = tuple("strength face mask finder landmarks head statistics".split())


def main(_) -> int:
    for name in _OF_PHOTOGRAPHS:
        if _MODEL.value is not None and flags.FLAGS[name].present:
            raise UserError(f"--{name} is for edits without --model; leave one of them out.")
    named = (_EXPRESSION.value, _LIGHTING.value, _ATTRIBUTES.value, _ACTION_UNITS.value)
    if _GRID.value and any(named):
        raise UserError("Give either --grid or what to edit, such as --expression.")
    report = _edit_photographs() if _MODEL.value is None else _use_network()
    for note in report.notes:
        print(f"Warning: {note}", file=sys.stderr)
    for message in report.skipped:
        print(f"Skipped {message}", file=sys.stderr)
    for line in report.lines(_OUTPUT.value, _DEPTH.value or _MASK.value or ""):
        print(line)
    return 1 if report.skipped else 0


def _edit_photographs() -> Report:
    if _ATTRIBUTES.value:
        raise UserError("--attributes needs --model, a network that was trained with them.")
    if _DEPTH.value:
        raise UserError(
            "--depth needs --model; scripts/prepare.py depth makes depth maps of photographs."
        )
    named = (_EXPRESSION.value, _LIGHTING.value, _ACTION_UNITS.value)
    if not _GRID.value and not any(named):
        raise UserError("Say what to edit: --expression, --action_units, --lighting, or --grid.")
    if _LANDMARKS.value and any(flags.FLAGS[name].present for name in ("face", "finder")):
        raise UserError("--landmarks tells the face; leave out --face and --finder.")
    if _GRID.value and _MASK.value:
        raise UserError("--mask is for edits; leave it out with --grid.")
    # Imported here so that a mistyped flag is reported at once.
    from legan_tf.head import expressions
    from legan_tf.uses.photographs import edit_files, photograph_editor

    if _EXPRESSION.value and not _STATISTICS.value:
        expressions.expression_units(_EXPRESSION.value)
    target = photograph_editor.Target(
        _EXPRESSION.value, _LIGHTING.value, _STRENGTH.value, _ACTION_UNITS.value
    )
    open_editor = photograph_editor.opener(
        _FACE.value, _LANDMARKS.value or "", _FINDER.value, _HEAD.value, _STATISTICS.value
    )
    if _GRID.value:
        return edit_files.draw_grids(open_editor, _INPUT.value, _OUTPUT.value, _STRENGTH.value)
    return edit_files.edit_files(
        open_editor, target, _INPUT.value, _OUTPUT.value, _MASK.value or ""
    )


def _use_network() -> Report:
    flags_of_conditions = _EXPRESSION, _LIGHTING, _ATTRIBUTES, _ACTION_UNITS
    targets = {flag.name: flag.value for flag in flags_of_conditions if flag.value}
    if _DEPTH.value and not targets:
        raise UserError(
            "--depth is for the maps of edits: give what to edit, such as --expression, too; for "
            "maps of the pictures as they are, --model=RUN/depth.keras without --depth."
        )
    from legan_tf.serving import editing, loading
    from legan_tf.training import devices

    devices.claim(1)
    model = loading.load(_MODEL.value)
    return editing.use_model(
        model, _INPUT.value, _OUTPUT.value, targets, _GRID.value, _DEPTH.value or ""
    )


if __name__ == "__main__":
    cli.run(main)
