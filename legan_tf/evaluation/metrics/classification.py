"""Accuracy and confusion matrix of predicted conditions against the requested ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from legan_tf.data.conditions import UNKNOWN
from legan_tf.evaluation.metrics.registry import register
from legan_tf.evaluation.tables import PERCENT


@register("expression", "expression", "higher", "predicted_expression requested_expression",
          order=(130, 10), source="Bodur et al.")  # fmt: skip
@register("lighting", "lighting", "higher", "predicted_lighting requested_lighting",
          order=(150, 20))  # fmt: skip
def accuracy(predicted: np.ndarray, wanted: np.ndarray) -> float:
    """Share of pictures whose predicted class is the requested one, higher is better.

    Unknown labels do not count. Equal to the bit to the share on the diagonal of
    ``sklearn.metrics.confusion_matrix``.

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


@register("expression_six", "expression (six of eight)", "higher",
          "expression_logits requested_expression six_expressions", order=(140, None),
          source="Bodur et al.")  # fmt: skip
def accuracy_over(logits: np.ndarray, wanted: np.ndarray, kept: Sequence[int]) -> float:
    """The same over six of AffectNet's eight expressions, or any classes, higher is better.

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
    logits, wanted, classes = np.asarray(logits), np.asarray(wanted), np.unique(kept)
    if logits.ndim != 2 or wanted.shape != logits.shape[:1]:
        raise ValueError(
            f"logits must be [n, classes] and wanted [n], not {logits.shape} and {wanted.shape}"
        )
    count = logits.shape[1]
    if not classes.size or classes[0] < 0 or classes[-1] >= count:
        raise ValueError(f"kept classes must be from 0 to {count - 1}, not {classes.tolist()}")
    counts = np.isin(wanted, classes)
    if not counts.any():
        return float("nan")
    read = classes[np.argmax(logits[counts][:, classes], axis=1)]
    return float(np.mean(read == wanted[counts]))


@register("accuracy", "accuracy", "higher", "", decimals=1, unit=PERCENT, network="classifier",
          order=(120, None), source="Bodur et al.")  # fmt: skip
def expression_generation_rate(metrics: Mapping[str, float]) -> float | None:
    """`expression_six` of a report if it has one, else `expression`; of comparisons only.

    Args:
        metrics: Those of a row of the report, by key.

    Returns:
        0 to 1; None if it has neither.
    """
    return metrics.get("expression_six", metrics.get("expression"))


@register("attributes", "attributes", "higher", "predicted_attributes requested_attributes",
          order=(152, 22))  # fmt: skip
def attributes_as_requested(predicted: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Mean share of binary attributes that are predicted as requested, higher is better.

    Args:
        predicted: int [n,N], 0 or 1; negative where unknown, which does not count.
        wanted: int [n,N], likewise.

    Returns:
        float64 [n], 0 to 1; NaN where nothing counts.
    """
    known = (predicted >= 0) & (wanted >= 0)
    right = np.sum(known & (predicted == wanted), axis=1)
    return np.where(known.any(axis=1), right / np.maximum(known.sum(axis=1), 1), np.nan)


@register("attributes_changed", "attributes changed", "higher",
          "predicted_attributes requested_attributes source_attributes",
          order=(154, 24))  # fmt: skip
def changes_as_requested(predicted: np.ndarray, wanted: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Mean share of changed binary attributes that are predicted as requested, higher is better.

    Arguments and returned values as of ``attributes_as_requested``; ``own`` are the source's.
    """
    return attributes_as_requested(predicted, np.where(wanted != own, wanted, UNKNOWN))


@register("attributes_kept", "attributes kept", "higher",
          "predicted_attributes requested_attributes source_attributes",
          order=(156, 26))  # fmt: skip
def kept_as_requested(predicted: np.ndarray, wanted: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Mean share of kept binary attributes that are predicted as the source's, higher is better.

    Arguments and returned values as of ``attributes_as_requested``; ``own`` are the source's.
    """
    return attributes_as_requested(predicted, np.where(wanted == own, wanted, UNKNOWN))


@register("light_kept", "light kept", "higher", "expression_edit_lighting source_lighting",
          order=(190, 90))  # fmt: skip
@register("expression_kept", "expression kept", "higher",
          "lighting_edit_expression source_expression", order=(200, 100))  # fmt: skip
def is_kept(predicted: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Share of pictures whose predicted class is that of the source, higher is better.

    Args:
        predicted: int [n].
        own: int [n].

    Returns:
        bool [n], where the two are equal.
    """
    return predicted == own


def confusion_matrix(wanted: np.ndarray, read: np.ndarray, classes: int) -> np.ndarray:
    """Counts how often each class was predicted where each was requested (Bodur et al., Fig. 8).

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
