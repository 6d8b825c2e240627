"""Metrics of face verification: whether two pictures show one person, by their likeness.

Every function takes the likeness of n pairs of pictures, higher for more alike, and whether each
pair shows one person. A pair is called the same from a threshold on. A ValueError is raised where
the two differ in shape, a likeness is not finite, or all pairs are of one kind.
"""

from __future__ import annotations

import numpy as np
from sklearn.metrics import roc_auc_score, roc_curve


def auc(likeness: np.ndarray, same: np.ndarray) -> float:
    """Area under the curve of true over false acceptances, higher is better.

    The share of right answers where one pair of either kind is given, ties counted half.

    Args:
        likeness: float [n].
        same: bool [n].

    Returns:
        0 to 1, 0.5 by chance.
    """
    likeness, same = _checked(likeness, same)
    return float(roc_auc_score(same, likeness))


def true_accept_rate(likeness: np.ndarray, same: np.ndarray, false_accept_rate: float) -> float:
    """Share of the same pairs that are accepted where few others are (IJB-B), higher is better.

    Args:
        likeness: float [n].
        same: bool [n].
        false_accept_rate: Of the other pairs at most this share may be accepted, 0 to 1.

    Returns:
        0 to 1, at the lowest threshold that keeps to it; nothing is interpolated.

    Raises:
        ValueError: The rate is not from 0 to 1.
    """
    if not 0 <= false_accept_rate <= 1:
        raise ValueError(f"false_accept_rate must be 0 to 1, not {false_accept_rate}")
    likeness, same = _checked(likeness, same)
    false, true, _ = roc_curve(same, likeness, drop_intermediate=False)
    return float(true[false <= false_accept_rate].max())


def best_threshold(likeness: np.ndarray, same: np.ndarray) -> float:
    """Returns the likeness from which on most answers are right if pairs are called the same.

    Args:
        likeness: float [n].
        same: bool [n].

    Returns:
        Half-way between that likeness and the next lower one, so that unseen pairs in the gap are
        divided evenly; of equally good ones the highest. Infinite where it is best to accept none.
    """
    likeness, same = _checked(likeness, same)
    false, true, thresholds = roc_curve(same, likeness, drop_intermediate=False)
    right = true * same.sum() + (1 - false) * (~same).sum()
    # The shares are rounded; equal counts must stay equal.
    best = int(np.argmax(np.round(right)))
    if best == 0:
        return float("inf")
    below = likeness[likeness < thresholds[best]]
    return float((thresholds[best] + below.max()) / 2 if below.size else thresholds[best])


def fold_accuracies(likeness: np.ndarray, same: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Share of right answers in each fold, with the threshold of all others (LFW's protocol).

    Args:
        likeness: float [n].
        same: bool [n].
        fold: int [n], two folds or more; each rest of them holds both kinds of pairs.

    Returns:
        float64 [folds], 0 to 1, in the order of the folds' numbers.

    Raises:
        ValueError: There is one fold only, or the pairs are not [n].
    """
    likeness, same = _checked(likeness, same)
    fold = np.asarray(fold)
    folds = np.unique(fold)
    if fold.shape != likeness.shape or len(folds) < 2:
        raise ValueError(f"fold must be [n] with two folds or more, not {fold.shape}, {len(folds)}")
    accuracies = []
    for number in folds:
        here = fold == number
        threshold = best_threshold(likeness[~here], same[~here])
        accuracies.append(np.mean((likeness[here] >= threshold) == same[here]))
    return np.array(accuracies)


def _checked(likeness: np.ndarray, same: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Likeness as float64 [n] and whether the pairs are the same as bool [n]."""
    likeness, same = np.asarray(likeness, np.float64), np.asarray(same, bool)
    if likeness.ndim != 1 or likeness.shape != same.shape:
        raise ValueError(f"likeness and same must be [n], not {likeness.shape} and {same.shape}")
    if not np.isfinite(likeness).all():
        raise ValueError("likeness must be finite")
    if same.all() or not same.any():
        raise ValueError("there must be pairs of one person and of two")
    return likeness, same
