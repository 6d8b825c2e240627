"""Edits of one attribute, and what they do to the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from legan_tf.cli import counter
from legan_tf.data.faceset import FaceSet
from legan_tf.evaluation.features import BATCH
from legan_tf.evaluation.metrics.surface import light_coefficients, light_error
from legan_tf.evaluation.plan import ATTRIBUTES, Edit

Reader = Callable[[np.ndarray], dict[str, np.ndarray]]
"""Maps uint8 [n,S,S,3] to ``expression`` and ``lighting``, int [n] each, as read from them."""


def one_attribute_edits(
    editor: Edit,
    faces: FaceSet,
    count: int,
    seed: int,
    changing: Sequence[str] = ATTRIBUTES,
) -> dict[str, dict[str, np.ndarray]]:
    """Edits the expression alone, then the light alone, of the same random pictures.

    The target of the attribute is uniform over the classes that the source does not have. The
    other attribute is asked to be what it is, by its name: not every model can leave one unnamed.

    Args:
        editor: The model.
        faces: Rendered faces with two or more expressions and two or more lights.
        count: Edits of each kind.
        seed: Seed of sources and targets.
        changing: Which attributes to change, each alone.

    Returns:
        For each of ``changing``, the attribute that was to change: ``index``,
        ``expression`` and ``lighting`` (what was asked for), int [count], and uint8
        [count,S,S,3] ``edit``, ``copy`` (the input as it is) and ``truth``.

    Raises:
        ValueError: The faces have no truth, or an attribute has only one class.
    """
    if faces.truth is None:
        raise ValueError(f"{faces.name} has no true pictures: only rendered faces have")
    classes = {"expression": len(faces.expressions), "lighting": len(faces.lightings)}
    if min(classes.values()) < 2:
        raise ValueError("changing one attribute needs two classes or more of each")
    rng = np.random.default_rng(seed)
    index = rng.integers(len(faces), size=count)
    sources = faces.images(index)
    own = {"expression": faces.expression[index], "lighting": faces.lighting[index]}
    progress = counter(len(changing) * count, "editing one attribute")
    made = {}
    for changed in changing:
        known = classes[changed]
        # One to known - 1 classes further on: any other one, each as likely.
        further = rng.integers(1, known, size=count)
        asked = {**own, changed: (own[changed] + further) % known}
        edited = []
        for start in range(0, count, BATCH):
            part = slice(start, start + BATCH)
            edited.append(editor(sources[part], **{key: ids[part] for key, ids in asked.items()}))
            progress(len(edited[-1]))
        wanted = zip(index, asked["expression"], asked["lighting"])
        made[changed] = {
            "index": index,
            **asked,
            "edit": np.concatenate(edited),
            "copy": sources,
            "truth": np.stack([faces.truth(*(int(i) for i in edit)) for edit in wanted]),
        }
    return made


def judge_one_attribute_edits(
    made: dict[str, dict[str, np.ndarray]], faces: FaceSet, read: Reader
) -> dict[str, dict[str, np.ndarray]]:
    """Judges how far the attribute that was to stay did stay.

    Args:
        made: What ``one_attribute_edits`` gave.
        faces: The faces that were edited, with true surfaces.
        read: What an independent classifier reads, as ids of the classes of ``faces``.

    Returns:
        For ``edit``, ``copy`` and ``truth``, [count] each: of edits of the expression,
        ``light_error`` (float64, the light on the target's true surface against that of the true
        picture, lower is better) and ``light_kept`` (bool, read as the source's); of edits of
        the light, ``expression_kept`` (bool, read as the source's). The shares kept are their
        means, 0 to 1, higher is better. A copy's light error is not zero, as its surface is not
        the target's.

    Raises:
        ValueError: The faces have no true surfaces.
    """
    if faces.surface is None:
        raise ValueError(f"{faces.name} has no true surfaces: only rendered faces have")
    pictures = sum(len(part["index"]) for part in made.values())
    count = counter(3 * pictures, "judging what stayed")
    figures: dict[str, dict[str, np.ndarray]] = {}
    for name in ("edit", "copy", "truth"):
        figures[name] = {}
        for changed, kept, label in (
            ("expression", "lighting", "light_kept"),
            ("lighting", "expression", "expression_kept"),
        ):
            if changed not in made:
                continue
            images, right = made[changed][name], []
            for start in range(0, len(images), BATCH):
                part = slice(start, start + BATCH)
                right.append(read(images[part])[kept] == made[changed][kept][part])
                count(len(right[-1]))
            figures[name][label] = np.concatenate(right)
    if "expression" in made:
        lights = _lights(made["expression"], faces)
        for name in figures:
            figures[name]["light_error"] = light_error(lights[name], lights["truth"])
    return figures


def _lights(made: dict[str, np.ndarray], faces: FaceSet) -> dict[str, np.ndarray]:
    """Coefficients, float64 [n,9], of the light on edits, copies and true pictures."""
    lights: dict[str, list[np.ndarray]] = {"edit": [], "copy": [], "truth": []}
    for start in range(0, len(made["index"]), BATCH):
        part = slice(start, start + BATCH)
        surface = faces.surface(made["index"][part], made["expression"][part])
        for name, coefficients in lights.items():
            coefficients.append(
                light_coefficients(made[name][part], surface.normals, surface.albedo, surface.mask)
            )
    return {name: np.concatenate(coefficients) for name, coefficients in lights.items()}
