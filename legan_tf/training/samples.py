"""Sample pictures of a training: edits or maps of fixed people."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw

from legan_tf.data.conditions import Condition
from legan_tf.data.faceset import FaceSet
from legan_tf.graph_ops.pixels import mask_to_grey, to_float, to_uint8
from legan_tf.models import AttributeGenerator, DepthNetwork

COLUMNS = 7
HEADER = 14
SHOWN_UNITS = ("AU01", "AU04", "AU12", "AU26", "AU45")
"""Action units that samples show alone, at their strongest."""


def _targets(faces: FaceSet, index: int) -> list[tuple[Condition, str, dict[str, np.ndarray]]]:
    """The edits to show of a picture: the condition changed, what to, and the labels to ask for.

    Every value of the first condition, and some of each other, spread over all. A label that is not
    known is taken to be 0.
    """
    own = {name: np.maximum(labels[index], 0) for name, labels in faces.labels.items()}
    targets: list[tuple[Condition, str, dict[str, np.ndarray]]] = []
    for condition in faces.conditions:
        changes = list(zip(condition.names, condition.variations(own[condition.name])))
        if targets:
            spread = np.linspace(0, len(changes) - 1, min(COLUMNS, len(changes)))
            changes = [changes[place] for place in spread.round().astype(int)]
        targets += [(condition, name, {**own, condition.name: label}) for name, label in changes]
    return targets


def sample_grid(
    generator: AttributeGenerator,
    faces: FaceSet,
    indices: np.ndarray,
    depth: DepthNetwork | None = None,
) -> np.ndarray:
    """Edits fixed pictures.

    Args:
        generator: The generator.
        faces: Whom to edit; people that it was not trained on, where there are any.
        indices: The pictures to edit.
        depth: The network that maps input and edits to depth, if maps are to be shown.

    Returns:
        uint8 [H,W,3]. For each picture a row with the input and edits of one condition each; below
        it, for rendered faces, the true pictures; then the masks of these conditions if the
        generator has any; then the maps, and the true ones where they are known.
    """
    rows, names = [], []
    for index in indices:
        source = faces.images(np.array([index]))[0]
        targets = _targets(faces, index)
        asked = {name: np.stack([t[name] for _, _, t in targets]) for name in faces.labels}
        codes = generator.codes({name: tf.constant(labels) for name, labels in asked.items()})
        image = tf.repeat(to_float(tf.constant(source))[None], len(targets), 0)
        edited = generator({"image": image, **codes})
        blank = np.full_like(source, 255)
        rows.append([source, *to_uint8(edited["image"]).numpy()])
        if faces.truth is not None:
            rows.append([blank, *(faces.truth(index, target) for _, _, target in targets)])
        masks = [edited.get(f"{condition.name}_mask") for condition, _, _ in targets]
        if all(mask is not None for mask in masks):
            grey = [mask_to_grey(mask[place : place + 1]) for place, mask in enumerate(masks)]
            rows.append([blank, *(mask.numpy()[0].repeat(3, -1) for mask in grey)])
        if depth is not None:
            shown = tf.concat([to_float(tf.constant(source))[None], edited["image"]], 0)
            rows.append(list(to_uint8(depth.to_map(shown)).numpy()))
        if depth is not None and faces.maps is not None:
            of_targets = [blank] * len(targets)
            if faces.true_map is not None:
                of_targets = [faces.true_map(index, target) for _, _, target in targets]
            rows.append([faces.map_images(np.array([index]))[0], *of_targets])
        names = [name for _, name, _ in targets]
    return _headed(rows, ["input", *names])


def unit_grid(generator: AttributeGenerator, faces: FaceSet, indices: np.ndarray) -> np.ndarray:
    """Edits fixed pictures by a generator that is told action units.

    Args:
        generator: The generator.
        faces: Whom to edit.
        indices: The pictures to edit.

    Returns:
        uint8 [H,W,3]. For each picture a row with the input, an edit to each class that the
        generator knows, and one to each of ``SHOWN_UNITS`` alone; below it, for rendered faces, the
        true pictures of the classes; then the masks of what is kept.
    """
    condition = generator.conditions[0]
    targets: list[tuple[str, np.ndarray]] = []
    if condition.asked_by is not condition:
        classes = condition.asked_by.names
        vectors = np.asarray(condition.told(tf.range(len(classes))))
        targets += zip(classes, vectors)
    alone = condition.variations(np.zeros(condition.size, np.float32))
    targets += [
        (name, vector) for name, vector in zip(condition.names, alone) if name in SHOWN_UNITS
    ]
    names = [name for name, _ in targets]
    codes = generator.codes({condition.name: tf.constant(np.stack([v for _, v in targets]))})
    rows = []
    for index in indices:
        source = faces.images(np.array([index]))[0]
        image = tf.repeat(to_float(tf.constant(source))[None], len(targets), 0)
        edited = generator({"image": image, **codes})
        blank = np.full_like(source, 255)
        rows.append([source, *to_uint8(edited["image"]).numpy()])
        known = faces.names(condition.asked_by.name)
        if faces.truth is not None and known:
            wanted = [
                {condition.asked_by.name: known.index(n)} if n in known else None for n in names
            ]
            rows.append([blank, *(faces.truth(index, one) if one else blank for one in wanted)])
        for name in generator.mask_names:
            # Not stretched: a saturated mask has to look like one.
            grey = to_uint8(2.0 * edited[name] - 1.0).numpy().repeat(3, -1)
            rows.append([blank, *grey])
    return _headed(rows, ["input", *names])


def map_grid(network: DepthNetwork, faces: FaceSet, indices: np.ndarray) -> np.ndarray:
    """Maps fixed pictures to depth, and maps back to pictures.

    Args:
        network: The depth network.
        faces: Whose pictures, with maps.
        indices: The pictures.

    Returns:
        uint8 [H,W,3], a row for each picture: the picture, its true map, the predicted map, the
        picture predicted of that, and the one predicted of the true map.
    """
    rows = []
    for index in indices:
        picture, true = (load(np.array([index])) for load in (faces.images, faces.map_images))
        read = network.to_map(to_float(tf.constant(picture)))
        painted = network.to_rgb(tf.concat([read, to_float(tf.constant(true))], 0))
        rows.append([picture[0], true[0], *to_uint8(tf.concat([read, painted], 0)).numpy()])
    return _headed(rows, ["input", "true map", "map", "back", "from true"])


def _headed(rows: list[list[np.ndarray]], names: list[str]) -> np.ndarray:
    """Pictures of one size in rows, under the names of the columns."""
    size = rows[0][0].shape[0]
    picture = np.concatenate([np.concatenate(row, 1) for row in rows], 0)
    canvas = Image.new("RGB", (picture.shape[1], picture.shape[0] + HEADER), "white")
    canvas.paste(Image.fromarray(picture), (0, HEADER))
    draw = ImageDraw.Draw(canvas)
    for column, name in enumerate(names):
        draw.text((column * size + 2, 1), name[: size // 6], fill="black")
    return np.asarray(canvas)
