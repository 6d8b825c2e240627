"""Import of published PyTorch weights into networks of this package."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence

import numpy as np

from legan_tf.data import storage
from legan_tf.errors import UserError
from legan_tf.files import UNFINISHED
from legan_tf.models import Network
from legan_tf.models.pretrained import layouts
from legan_tf.models.pretrained.torch_files import read_tensors
from legan_tf.models.pretrained.weight_files import WEIGHT_FILES


def import_weights(
    network: str,
    source: str,
    output: str,
    expressions: Sequence[str] = (),
    lightings: Sequence[str] = (),
    image_size: int = 128,
) -> str:
    """Writes a network with the weights of a PyTorch file without executing code from it.

    Args:
        network: One of ``WEIGHT_FILES``.
        source: The file.
        output: The ``.keras`` file to write, only if the import succeeds.
        expressions: StarGAN only: names of the first attributes, in the order of the code.
        lightings: StarGAN only: names of the others.
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
    if network in layouts.LAYOUTS and (expressions or lightings):
        raise UserError(f"--expressions and --lightings: {network} has no attributes to name.")
    if not output.endswith(".keras"):
        raise UserError(f"--output={output}: must end in .keras.")
    _check_names(expressions, lightings)
    if image_size % 4 or image_size < 8:
        raise UserError(f"--image_size={image_size}: must be a multiple of 4, at least 8.")
    known = WEIGHT_FILES[network]
    try:
        tensors = read_tensors(source)
        sha256 = storage.sha256(source)
        try:
            layout = _layout(network, tensors, expressions, lightings, image_size)
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


def _check_names(expressions: Sequence[str], lightings: Sequence[str]) -> None:
    for flag, names in (("expressions", expressions), ("lightings", lightings)):
        if len(set(names)) != len(names) or "" in names:
            raise UserError(f"--{flag}={','.join(names)}: every name must be there, and once.")


def _layout(
    network: str,
    tensors: Mapping[str, np.ndarray],
    expressions: Sequence[str],
    lightings: Sequence[str],
    image_size: int,
) -> layouts.Layout:
    if network == "stargan_generator":
        return layouts.stargan_generator(tensors, expressions, lightings, image_size)
    if network == "stargan_discriminator":
        return layouts.stargan_discriminator(tensors, expressions, lightings)
    return layouts.LAYOUTS[network]()


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
        raise UserError(f"--output={output}: cannot be written ({error.strerror or error}).") from (
            error
        )
