"""Learning curves of run folders, drawn in one picture."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

import numpy as np

from legan_tf.data import storage
from legan_tf.errors import UserError
from legan_tf.evaluation.plots.learning import learning_curves_figure
from legan_tf.plotting.drawing import as_png
from legan_tf.training.run_folder import METRICS_FILE

SPEED = "images_per_second"


def read_curves(folder: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Reads the metrics that a run logged during training.

    Truncated lines, as of a killed process, are skipped.

    Args:
        folder: A run folder.

    Returns:
        By metric, in the order of the file: its steps, int64 [n], and its values, float64 [n], NaN
        where the value was not finite.

    Raises:
        UserError: There is no ``metrics.jsonl`` in the folder, it cannot be read, or it has no
            metric.
    """
    path = storage.join(folder, METRICS_FILE)
    if not storage.exists(path):
        raise UserError(f"{path}: no such file; name the folder of a run that has been training.")
    found: dict[str, list[tuple[int, float]]] = {}
    for line in storage.read_bytes(path).splitlines():
        try:
            figures = json.loads(line)
            step = int(figures.pop("step"))
            logged = {name: np.nan if x is None else float(x) for name, x in figures.items()}
        except (ValueError, TypeError, KeyError, AttributeError):
            continue
        for name, value in logged.items():
            found.setdefault(name, []).append((step, value))
    if not found:
        raise UserError(
            f"{path}: has no line with figures yet; a run writes the first after --log_every steps."
        )
    curves = {}
    for name, pairs in found.items():
        steps, values = zip(*pairs)
        curves[name] = (np.array(steps, np.int64), np.array(values, np.float64))
    return curves


def learning_curves(runs: Sequence[str], output: str, metrics: Sequence[str] = ()) -> None:
    """Draws the learning curves of several runs in one picture.

    Args:
        runs: Run folders, of the same model or of others.
        output: PNG file to write.
        metrics: Metrics to draw; a run is left out of the panels of metrics that it lacks. If
            empty, all that the runs share but speed and learning rates.

    Raises:
        UserError: A run cannot be read or is named twice, a metric is not known, a run has none of
            them, the runs share none, or ``output`` cannot be written.
    """
    if not runs:
        raise UserError("--runs: name one run folder or more, with commas between them.")
    if not output.lower().endswith(".png"):
        raise UserError(f"--output={output}: must end in .png, which is what is written.")
    folders = [os.path.normpath(run) for run in runs]
    for folder in folders:
        if folders.count(folder) > 1:
            raise UserError(f"--runs: {folder} is named twice; name each run once.")
    read = {folder: read_curves(folder) for folder in folders}
    wanted = list(metrics) or _shared(read)
    known = sorted({name for curves in read.values() for name in curves})
    for name in wanted:
        if name not in known:
            raise UserError(f"--metrics: no run has {name!r}; there are {', '.join(known)}.")
    for folder, curves in read.items():
        if not set(wanted) & set(curves):
            raise UserError(
                f"--metrics: {folder} has none of {', '.join(wanted)}; it has {', '.join(curves)}."
            )
    chosen = {
        name: {metric: curves[metric] for metric in wanted if metric in curves}
        for name, curves in zip(_names(folders), read.values())
    }
    picture = as_png(learning_curves_figure(chosen))
    try:
        storage.write_bytes(output, picture)
    except storage.StorageError as error:
        raise UserError(f"--output={error}") from error


def _shared(read: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]) -> list[str]:
    """The metrics of all runs but speed and learning rates, in the order of the first run."""
    first, *others = read.values()
    shared = [
        name
        for name in first
        if name not in (SPEED, "rate")
        and not name.endswith("_rate")
        and all(name in curves for curves in others)
    ]
    if not shared:
        known = "; ".join(f"{folder} has {', '.join(curves)}" for folder, curves in read.items())
        raise UserError(f"--runs: these runs share no loss, so choose with --metrics: {known}.")
    return shared


def _names(folders: Sequence[str]) -> list[str]:
    """The last part of each path, or the whole paths if two of these are equal."""
    names = [os.path.basename(os.path.abspath(folder)) for folder in folders]
    return names if len(set(names)) == len(names) else list(folders)
