"""Edits of one attribute, and how far they keep the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from legan_tf.command_line.cli import counter
from legan_tf.data.faceset import FaceSet
from legan_tf.evaluation.edit_plan import ATTRIBUTES, Edit
from legan_tf.evaluation.image_networks import BATCH
from legan_tf.evaluation.metrics.registry import compute
from legan_tf.evaluation.metrics.surface import light_coefficients

Classify = Callable[[np.ndarray], dict[str, np.ndarray]]
"""Maps uint8 [n,S,S,3] to the predicted ``expression`` and ``lighting``, int [n] each."""
INPUTS = (
    "light",
    "true_light",
    "expression_edit_lighting",
    "source_lighting",
    "lighting_edit_expression",
    "source_expression",
)
"""Inputs of metrics, as in ``metrics.registry.INPUTS``, that come from edits of one attribute."""


def one_attribute_edits(
    editor: Edit,
    faces: FaceSet,
    count: int,
    seed: int,
    changing: Sequence[str] = ATTRIBUTES,
) -> dict[str, dict[str, np.ndarray]]:
    """Edits the expression alone, then the light alone, of the same random pictures.

    The target of the attribute is uniform over the classes that the source does not have. The
    class of the other attribute is given to the model, as not every model can do without.

    Args:
        editor: The model.
        faces: Rendered faces with two or more expressions and two or more lights.
        count: Edits of each kind.
        seed: Seed of sources and targets.
        changing: Which attributes to change, each alone.

    Returns:
        By changed attribute: ``index``, ``expression`` and ``lighting`` (as requested), int
        [count], and uint8 [count,S,S,3] ``edit``, ``copy`` (the input) and ``truth``.

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
            "truth": np.stack(
                [
                    faces.truth(int(i), {"expression": expression, "lighting": lighting})
                    for i, expression, lighting in wanted
                ]
            ),
        }
    return made


def one_attribute_metrics(
    made: dict[str, dict[str, np.ndarray]], faces: FaceSet, classify: Classify
) -> dict[str, dict[str, np.ndarray]]:
    """Computes the metrics of the attribute that should not change.

    Args:
        made: Returned by ``one_attribute_edits``.
        faces: The edited faces, with true surfaces.
        classify: An independent classifier of the classes of ``faces``.

    Returns:
        For ``edit``, ``copy`` and ``truth``, [count] each: of edits of the expression,
        ``light_error`` (float64, lower is better) and ``light_kept`` (bool); of edits of the light,
        ``expression_kept`` (bool). The light of edits is on the target's true surface. A copy's
        light error is not zero, as its surface is not the target's.

    Raises:
        ValueError: The faces have no true surfaces.
    """
    if faces.surface is None:
        raise ValueError(f"{faces.name} has no true surfaces: only rendered faces have")
    pictures = sum(len(part["index"]) for part in made.values())
    count = counter(3 * pictures, "judging what stayed")
    lights = _lights(made["expression"], faces) if "expression" in made else {}
    found: dict[str, dict[str, np.ndarray]] = {}
    for name in ("edit", "copy", "truth"):
        inputs = {}
        for changed, kept in (("expression", "lighting"), ("lighting", "expression")):
            if changed not in made:
                continue
            images, classes = made[changed][name], []
            for start in range(0, len(images), BATCH):
                classes.append(classify(images[start : start + BATCH])[kept])
                count(len(classes[-1]))
            inputs[f"{changed}_edit_{kept}"] = np.concatenate(classes)
            inputs[f"source_{kept}"] = made[changed][kept]
        if lights:
            inputs.update(light=lights[name], true_light=lights["truth"])
        found[name] = compute("editor", inputs)
    return found


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
