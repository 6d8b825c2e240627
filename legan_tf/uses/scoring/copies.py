"""Copies of the pictures that are rated high enough."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid

from legan_tf.data.journal import remove_leftovers, stamp
from legan_tf.data.manifest import OnProgress
from legan_tf.errors import UserError
from legan_tf.uses.scoring.database import State


def claim(state: State, folder: str, least: float) -> None:
    """Takes note of what a folder of copies is for, or compares it with what was noted.

    Raises:
        UserError: It holds other files, or copies of what was rated otherwise.
    """
    name, value = f"keep_dir {os.path.realpath(folder)}", f"{least:g}"
    before = state.note(name)
    if before is None:
        if os.path.isdir(folder) and os.listdir(folder):
            raise UserError(
                f"--keep_dir={folder}: holds files that are no copies of --output={state.output}; "
                "name a new folder."
            )
        state.set_note(name, value)
    elif before != value:
        raise UserError(
            f"--keep_dir={folder}: was begun with --keep_above={before}, now it is {value}; name a "
            "new folder."
        )


def copy(state: State, source: str, folder: str, least: float, on_progress: OnProgress) -> int:
    """Copies what is rated so much or more, each file whole or not at all.

    The copies are files of their own, with the time of the original; those that are there are not
    made again. Nothing is ever removed.

    Args:
        state: The ratings.
        source: The folder that was rated.
        folder: Where the copies go, with the same paths below.
        least: The lowest rating.
        on_progress: Told how many are done.

    Returns:
        How many pictures are rated so.

    Raises:
        UserError: A picture cannot be copied.
    """
    remove_leftovers(folder, ())
    count = int((state.ratings() >= least).sum())
    chosen = (path for path, rating in state.rated() if rating >= least)
    for done, path in enumerate(chosen, start=1):
        original, target = os.path.join(source, path), os.path.join(folder, path)
        there = stamp(target)
        if there is None or there != stamp(original):
            try:
                _copy_whole(original, target)
            except OSError as error:
                raise UserError(
                    f"{original}: cannot be copied to {target} ({error.strerror}); the same "
                    "command goes on from here."
                ) from error
        on_progress(done, count)
    return count


def _copy_whole(original: str, target: str) -> None:
    # As ``storage.atomic_path``, which knows no names that are not UTF-8.
    aside = os.path.join(os.path.dirname(target), f".{uuid.uuid4().hex}.part")
    os.makedirs(os.path.dirname(target), exist_ok=True)
    try:
        shutil.copy2(original, aside)
        os.replace(aside, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.remove(aside)
        raise
