"""Copies of the images that are rated high enough."""

from __future__ import annotations

import os
import shutil

from legan_tf.data import storage
from legan_tf.data.parallel import OnProgress
from legan_tf.data.resumable import file_version, remove_leftovers
from legan_tf.errors import UserError
from legan_tf.uses.scoring.database import RatingDatabase


def claim_folder(database: RatingDatabase, folder: str, threshold: float) -> None:
    """Stores the threshold of a folder of copies, or compares it with the stored one.

    Raises:
        UserError: The folder holds other files, or copies made with another threshold.
    """
    name, value = f"keep_dir {os.path.realpath(folder)}", f"{threshold:g}"
    before = database.setting(name)
    if before is None:
        if os.path.isdir(folder) and os.listdir(folder):
            raise UserError(
                f"--keep_dir={folder}: holds files that are no copies of "
                f"--output={database.output}; name a new folder."
            )
        database.set_setting(name, value)
    elif before != value:
        raise UserError(
            f"--keep_dir={folder}: was begun with --keep_above={before}, now it is {value}; name a "
            "new folder."
        )


def copy_images(
    database: RatingDatabase, source: str, folder: str, threshold: float, on_progress: OnProgress
) -> int:
    """Copies the images rated ``threshold`` or more, each with the time of the original.

    Copies that exist already are not made again, and nothing is removed.

    Args:
        database: The ratings.
        source: The folder that was rated.
        folder: The folder of the copies, which keep their relative paths.
        threshold: The lowest rating to copy.
        on_progress: Called with the number of images done and their total.

    Returns:
        The number of images with such a rating.

    Raises:
        UserError: An image cannot be copied.
    """
    remove_leftovers(folder, ())
    count = int((database.ratings() >= threshold).sum())
    chosen = (path for path, rating in database.rated() if rating >= threshold)
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
        on_progress(done, count)
    return count
