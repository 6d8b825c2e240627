"""Copies of the images that are rated high enough."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping

from legan_tf.data import storage
from legan_tf.data.drop_report import printable
from legan_tf.data.parallel import OnProgress
from legan_tf.data.resumable import file_version, remove_leftovers
from legan_tf.errors import UserError


def copy_images(
    ratings: Mapping[str, float],
    source: str,
    folder: str,
    threshold: float,
    on_progress: OnProgress,
) -> int:
    """Copies the images rated ``threshold`` or more, each with the time of the original.

    Copies that exist already are not made again, and nothing is ever removed.

    Args:
        ratings: Ratings by path, relative to ``source``.
        source: The folder that was rated.
        folder: The folder of the copies, which keep their relative paths.
        threshold: The lowest rating to copy.
        on_progress: Called with the number of images done and their total.

    Returns:
        The number of images with such a rating.

    Raises:
        UserError: The folder holds a file that is none of these images, or one cannot be copied.
    """
    chosen = [path for path, rating in ratings.items() if rating >= threshold]
    wanted = {os.path.join(folder, path) for path in chosen}
    remove_leftovers(folder, ())
    for inside, _, names in os.walk(folder):
        for other in (os.path.join(inside, name) for name in names):
            if other not in wanted:
                raise UserError(
                    f"--keep_dir={folder}: holds {printable(other)}, which is none of the pictures "
                    f"rated {threshold:g} or more; remove it, or name a new folder."
                )
    for done, path in enumerate(chosen, start=1):
        original, target = os.path.join(source, path), os.path.join(folder, path)
        existing = file_version(target)
        if existing is None or existing != file_version(original):
            try:
                with storage.atomic_path(target) as temporary:
                    shutil.copy2(original, temporary)
            except OSError as error:
                raise UserError(
                    f"{original}: cannot be copied to {target} ({error.strerror}); the same "
                    "command goes on from here."
                ) from error
        on_progress(done, len(chosen))
    return len(chosen)
