"""Import of published PyTorch weights into networks of this package."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence

from legan_tf.data import storage
from legan_tf.data.conditions import ATTRIBUTES, Condition
from legan_tf.errors import UserError
from legan_tf.files import UNFINISHED
from legan_tf.models.network import Network
from legan_tf.models.pretrained.pytorch_conversion import LAYOUTS
from legan_tf.models.pretrained.pytorch_files import read_tensors
from legan_tf.models.pretrained.weight_files import WEIGHT_FILES


def import_weights(
    network: str,
    source: str,
    output: str,
    conditions: Sequence[Condition] = (),
    image_size: int = 128,
) -> str:
    """Writes a network with the weights of a PyTorch file without executing code from it.

    Args:
        network: One of ``WEIGHT_FILES``.
        source: The file.
        output: The ``.keras`` file to write, only if the import succeeds.
        conditions: StarGAN only: what its code stands for, in that order. Each has the name of the
            flag that names its classes or attributes, without the plural's s.
        image_size: StarGAN's generator only, which works at any size: height and width of the
            images that it was trained on, in pixels.

    Returns:
        A report for people.

    Raises:
        UserError: The file cannot be read or is not one of that network, or the output cannot be
            written; the message names the flag.
    """
    if network not in WEIGHT_FILES:
        raise UserError(f"--network={network}: choose from {', '.join(WEIGHT_FILES)}.")
    if not output.endswith(".keras"):
        raise UserError(f"--output={output}: must end in .keras.")
    for condition in conditions:
        flag = f"--{flag_of(condition)}={','.join(condition.names)}"
        if not network.startswith("stargan"):
            raise UserError(f"{flag}: {network} has no attributes to name.")
        if len(set(condition.names)) != condition.size or "" in condition.names:
            raise UserError(f"{flag}: every name must be there, and once.")
    if image_size % 4 or image_size < 8:
        raise UserError(f"--image_size={image_size}: must be a multiple of 4, at least 8.")
    known = WEIGHT_FILES[network]
    try:
        tensors = read_tensors(source)
        sha256 = storage.sha256(source)
        try:
            layout = LAYOUTS[network](tensors, conditions, image_size)
        except ValueError as error:
            raise UserError(f"{source}: as a file of {known.title}, {error}.") from error
        left_out = layout.fill(source, f"a file of {known.title}", tensors)
    except UserError as error:
        raise UserError(f"--source: {error}") from error
    _save(layout.network, output)
    lines = [
        f"{output}: {known.title}, {layout.network.count_params():,} numbers.",
        f"From {source}, sha256 {sha256}: {_verdict(sha256, known.sha256)}.",
    ]
    for what, names in left_out.items():
        more = f" and {len(names) - 1} more" if names[1:] else ""
        lines.append(f"Left out: {what} ({names[0]}{more}).")
    return "\n".join([*lines, f"Licence: {known.licence}.", f"Use: {known.use}."])


def _verdict(sha256: str, published: str) -> str:
    if not published:
        return "that of the published file is not known to us"
    if sha256 == published:
        return "the published file"
    return f"other weights than the published file, whose sha256 is {published}"


def _save(network: Network, output: str) -> None:
    """Writes the network beside its place and renames it."""
    folder = os.path.dirname(output) or "."
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=folder) as aside:
            temporary = os.path.join(aside, os.path.basename(output))
            network.save(temporary)
            os.replace(temporary, output)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"--output={output}: cannot be written ({reason}).") from error


def flag_of(condition: Condition) -> str:
    """Returns the flag of ``scripts/import_weights.py`` that names a condition."""
    return condition.name if condition.name == ATTRIBUTES else f"{condition.name}s"
