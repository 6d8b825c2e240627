"""Modes of identity: principal components of random plausible heads of MakeHuman's sliders."""

from __future__ import annotations

import itertools

import numpy as np

from legan_tf.data.head_assets.makehuman import BaseMesh, Source, read_target
from legan_tf.data.parallel import OnProgress

RACES = ("caucasian", "african", "asian")
SEXES = ("female", "male")
AGES = ("young", "old")
_AMOUNTS = ("min", "average", "max")
_FOLDERS = (
    "head nose eyes mouth cheek chin forehead eyebrows ears neck asym".split()
)  # fmt: skip
# Sliders of pose, place or age, which other parameters have, or that break the mesh.
_EXCLUDED = (
    "head-age",
    "head-angle",
    "head-trans",
    "measure-neck",
    "neck-trans",
    "neck-height",
    "asymm",
    "asym-top",
    "forehead-nubian",
)
_OPPOSITES = (
    ("decr", "incr"),
    ("down", "up"),
    ("in", "out"),
    ("backward", "forward"),
    ("concave", "convex"),
    ("compress", "uncompress"),
    ("pointed", "round"),
    ("square", "triangle"),
)
_DEVIATION = 0.22  # Of a slider; 1 is MakeHuman's end stop.
_SIDE_DEVIATION = 0.05  # Of a slider of one half, about that of both.
_LIMIT = 0.95


def macro_targets(source: Source, count: int) -> dict[tuple[str, str, str], np.ndarray]:
    """Returns the targets of race, sex and age, ``[n, 3]`` each."""
    paths = source.targets("macrodetails")
    return {
        key: read_target(paths["-".join(key)], count)
        for key in itertools.product(RACES, SEXES, AGES)
    }


def average_adult(base: BaseMesh, macro: dict[tuple[str, str, str], np.ndarray]) -> np.ndarray:
    """Returns the mean of the young adults of all races and both sexes, ``[n, 3]``."""
    young = [target for (_, _, age), target in macro.items() if age == "young"]
    return base.vertices + np.mean(young, 0)


def random_heads(
    source: Source,
    base: BaseMesh,
    rows: np.ndarray,
    macro: dict[tuple[str, str, str], np.ndarray],
    samples: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Returns random plausible heads.

    Args:
        source: Where the targets are.
        base: The mesh.
        rows: The vertices wanted.
        macro: The targets of race, sex and age.
        samples: How many heads, S.
        rng: The source of chance.

    Returns:
        float32 ``[S, len(rows), 3]`` in decimetres.
    """
    targets: list[np.ndarray] = []
    weights: list[np.ndarray] = []
    race = rng.dirichlet([0.55] * len(RACES), samples)
    male = rng.beta(0.5, 0.5, samples)
    old = np.minimum(rng.beta(0.9, 1.6, samples), _LIMIT)
    of_sex = {"female": 1 - male, "male": male}
    of_age = {"young": 1 - old, "old": old}
    for (name, sex, age), target in macro.items():
        targets.append(target[rows])
        weights.append(race[:, RACES.index(name)] * of_sex[sex] * of_age[age])

    muscle = _amounts(rng.normal(0.5, 0.12, samples))
    weight = _amounts(np.clip(rng.normal(0.5, 0.2, samples), 0.05, 0.98))
    paths = source.targets("macrodetails")
    for sex, age, strong, heavy in itertools.product(SEXES, AGES, _AMOUNTS, _AMOUNTS):
        name = f"universal-{sex}-{age}-{strong}muscle-{heavy}weight"
        targets.append(read_target(paths[name], len(base.vertices))[rows])
        weights.append(of_sex[sex] * of_age[age] * muscle[strong] * weight[heavy])

    for name, weight_of in _sliders(source.targets(*_FOLDERS), samples, rng):
        targets.append(read_target(name, len(base.vertices))[rows])
        weights.append(weight_of)
    table = np.stack(weights, 1).astype(np.float32)
    heads = table @ np.stack(targets).reshape(len(targets), -1)
    return heads.reshape(samples, len(rows), 3) + base.vertices[rows].astype(np.float32)


def _amounts(share: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the weights of the least, the mean and the greatest amount for shares 0 to 1."""
    return {
        "min": np.maximum(0, 1 - 2 * share),
        "average": np.maximum(0, 1 - np.abs(2 * share - 1)),
        "max": np.maximum(0, 2 * share - 1),
    }


def _sliders(
    paths: dict[str, str], samples: int, rng: np.random.Generator
) -> list[tuple[str, np.ndarray]]:
    """Returns the path and the random weights ``[samples]`` of each target of the sliders."""
    chosen: list[tuple[str, np.ndarray]] = []
    common: dict[str, np.ndarray] = {}
    done: set[str] = set()
    for name in paths:
        if name in done or any(each in name for each in _EXCLUDED):
            continue
        if name.startswith("asym-"):
            chosen.append((paths[name], np.maximum(rng.normal(0, 0.15, samples), 0)))
            continue
        both = name[2:] if name.startswith(("l-", "r-")) else name
        if both not in common:
            common[both] = rng.normal(0, _DEVIATION, samples)
        value = common[both]
        if both != name:
            value = value + rng.normal(0, _SIDE_DEVIATION, samples)
        value = np.clip(value, -_LIMIT, _LIMIT) * (0.5 if name.startswith("neck") else 1)
        pair = _opposites(name, paths)
        if pair:
            done.update(pair)
            chosen += [
                (paths[pair[0]], np.maximum(-value, 0)),
                (paths[pair[1]], np.maximum(value, 0)),
            ]
        else:
            chosen.append((paths[name], 0.8 * np.maximum(value, 0)))
    return chosen


def _opposites(name: str, paths: dict[str, str]) -> tuple[str, str] | None:
    """Returns the names of the two targets of a slider, or nothing where it has one."""
    stem, _, end = name.rpartition("-")
    for low, high in _OPPOSITES:
        if end in (low, high) and f"{stem}-{low}" in paths and f"{stem}-{high}" in paths:
            return f"{stem}-{low}", f"{stem}-{high}"
    return None


def modes_of(
    heads: np.ndarray,
    reference: np.ndarray,
    aligned_by: np.ndarray,
    importance: np.ndarray,
    count: int,
    on_progress: OnProgress | None = None,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Principal components of heads, with place, turn and size taken out.

    Args:
        heads: ``[S, n, 3]``.
        reference: A head to start the alignment from, ``[n, 3]``.
        aligned_by: Weights of the vertices in the alignment, ``[n]``.
        importance: Weights of the vertices in the variance, ``[n]``.
        count: How many components, K.
        on_progress: Called with the number of heads aligned, and their total.

    Returns:
        The mean ``[n, 3]``; the components, each of unit variance, float64 ``[K, n, 3]``; and the
        share of the variance that they hold.
    """
    samples = len(heads)
    aligned = np.empty(heads.shape, np.float32)
    for index, head in enumerate(heads):
        aligned[index] = _align(head, reference, aligned_by)
        if on_progress:
            on_progress(index + 1, samples)
    mean = aligned.mean(0, dtype=np.float64)
    for index in range(samples):
        aligned[index] = _align(aligned[index], mean, aligned_by)
    mean = aligned.mean(0, dtype=np.float64)
    centred = aligned - mean.astype(np.float32)
    weighted = (centred * np.sqrt(importance)[:, None].astype(np.float32)).reshape(samples, -1)
    variances, directions = np.linalg.eigh((weighted @ weighted.T).astype(np.float64))
    variances, directions = variances[::-1], directions[:, ::-1][:, :count]
    # The sign of a component is free; the heaviest head is on the positive side.
    heaviest = np.abs(directions).argmax(0)
    directions = directions * np.sign(directions[heaviest, np.arange(directions.shape[1])])
    modes = np.tensordot(directions.T, centred.astype(np.float64), 1) / np.sqrt(samples)
    return mean, modes, float(variances[:count].sum() / variances.sum())


def _align(head: np.ndarray, onto: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns the head after the similarity that takes it closest to another one (Umeyama)."""
    share = (weights / weights.sum())[:, None]
    here, there = (share * head).sum(0), (share * onto).sum(0)
    moved, goal = head - here, onto - there
    left, stretch, right = np.linalg.svd((share * moved).T @ goal)
    proper = np.sign(np.linalg.det(left @ right))
    rotation = left @ np.diag([1, 1, proper]) @ right
    size = (stretch * [1, 1, proper]).sum() / (share * moved**2).sum()
    return size * moved @ rotation + there
