"""Imports published PyTorch weights into a .keras file of this package.

Example: python scripts/import_weights.py --network=lightcnn29_v2 \
    --source=LightCNN_29Layers_V2_checkpoint.pth.tar --output=lightcnn29.keras
"""

from __future__ import annotations

from absl import flags

from legan_tf.command_line import cli
from legan_tf.errors import UserError
from legan_tf.models.pretrained import weight_files

_NETWORK = flags.DEFINE_enum(
    "network", None, list(weight_files.WEIGHT_FILES), "What the file holds."
)
_SOURCE = flags.DEFINE_string("source", None, "File that torch.save wrote.")
_OUTPUT = flags.DEFINE_string("output", None, ".keras file to write.")
_ATTRIBUTES = flags.DEFINE_list(
    "attributes",
    [],
    "StarGAN: names of attributes of which several may hold at once, in the order of its code.",
)
_EXPRESSIONS = flags.DEFINE_list(
    "expressions", [], "StarGAN: names of its expressions, in the order of its code."
)
_LIGHTINGS = flags.DEFINE_list("lightings", [], "StarGAN: names of its lightings, which follow.")
_IMAGE_SIZE = flags.DEFINE_integer(
    "image_size", 128, "StarGAN's generator: height and width that it was trained on, in pixels."
)
_LIST = flags.DEFINE_boolean(
    "list", False, "Tell which files are known, where to get them and who may use them."
)


def main(_) -> None:
    if _LIST.value:
        print(weight_files.as_text())
        return
    given = {"network": _NETWORK.value, "source": _SOURCE.value, "output": _OUTPUT.value}
    missing = [f"--{flag}" for flag, value in given.items() if not value]
    if missing:
        raise UserError(f"give {', '.join(missing)}; --list tells which files are known.")

    from legan_tf.data.conditions import ATTRIBUTES, BinaryCondition, of_classes
    from legan_tf.models.pretrained.import_weights import import_weights

    conditions = of_classes(expression=_EXPRESSIONS.value, lighting=_LIGHTINGS.value)
    if _ATTRIBUTES.value:
        conditions = (BinaryCondition(ATTRIBUTES, tuple(_ATTRIBUTES.value)), *conditions)
    print(import_weights(**given, conditions=conditions, image_size=_IMAGE_SIZE.value))


if __name__ == "__main__":
    cli.run(main)
