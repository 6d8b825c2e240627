"""What is read from faces against what was wanted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def accuracy(predicted: np.ndarray, wanted: np.ndarray) -> float:
    """Share of predictions that are right, higher is better; unknown labels do not count.

    Equal to the bit to the share on the diagonal of ``sklearn.metrics.confusion_matrix``.

    Args:
        predicted: int [n].
        wanted: int [n]; negative where unknown.

    Returns:
        0 to 1; NaN if no label is known.
    """
    known = np.asarray(wanted) >= 0
    if not known.any():
        return float("nan")
    return float(np.mean(np.asarray(predicted)[known] == np.asarray(wanted)[known]))


def accuracy_over(logits: np.ndarray, wanted: np.ndarray, kept: Sequence[int]) -> float:
    """Share of pictures of some of the classes that are read right, higher is better.

    Pictures of the other classes do not count, and the classifier chooses among the kept classes
    alone, as one that was trained on no others would. So Bodur et al. judge AffectNet, over six
    expressions of eight without contempt and disgust; what their classifier may answer they do not
    say, so this reading is ours. Over all classes it is ``accuracy`` to the bit, and over some that
    of the pictures and logits of these alone.

    Args:
        logits: float [n,C], a classifier's scores of all classes.
        wanted: int [n], 0 to C - 1; negative where unknown, which does not count either.
        kept: Classes that count, in any order.

    Returns:
        0 to 1; NaN if no picture is of a kept class.

    Raises:
        ValueError: The shapes do not fit, there is no class to keep or it is out of range.
    """
    logits, wanted, kept = np.asarray(logits), np.asarray(wanted), np.unique(kept)
    if logits.ndim != 2 or wanted.shape != logits.shape[:1]:
        raise ValueError(
            f"logits must be [n, classes] and wanted [n], not {logits.shape} and {wanted.shape}"
        )
    classes = logits.shape[1]
    if not kept.size or kept[0] < 0 or kept[-1] >= classes:
        raise ValueError(f"kept classes must be from 0 to {classes - 1}, not {kept.tolist()}")
    counts = np.isin(wanted, kept)
    if not counts.any():
        return float("nan")
    read = kept[np.argmax(logits[counts][:, kept], axis=1)]
    return float(np.mean(read == wanted[counts]))


def confusion_matrix(wanted: np.ndarray, read: np.ndarray, classes: int) -> np.ndarray:
    """Counts how often each class was read where each was wanted (Bodur et al., Fig. 8).

    Equal to ``sklearn.metrics.confusion_matrix`` of the pictures whose label is known.

    Args:
        wanted: int [n], 0 to classes - 1; negative where unknown, which is left out.
        read: int [n], 0 to classes - 1, in the order of ``wanted``.
        classes: C, at least 1.

    Returns:
        int64 [C,C], rows wanted, columns read.

    Raises:
        ValueError: The two differ in shape, or hold what is no class.
    """
    wanted, read = np.asarray(wanted), np.asarray(read)
    if wanted.ndim != 1 or read.shape != wanted.shape:
        raise ValueError(f"wanted and read must be [n], not {wanted.shape} and {read.shape}")
    known = wanted >= 0
    wanted, read = wanted[known].astype(np.int64), read[known].astype(np.int64)
    for name, values in (("wanted", wanted), ("read", read)):
        if values.size and not 0 <= values.min() <= values.max() < classes:
            raise ValueError(
                f"{name} must be from 0 to {classes - 1}, not {values.min()} to {values.max()}"
            )
    counts = np.bincount(wanted * classes + read, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.int64)
