"""Sample pictures of a training: edits or maps of fixed people."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw

from legan_tf.data.faceset import FaceSet
from legan_tf.graph_ops.pixels import to_float, to_uint8
from legan_tf.models import AttributeGenerator, DepthNetwork
from legan_tf.models.legan import mask_to_grey

COLUMNS = 7
HEADER = 14


def _targets(faces: FaceSet, index: int) -> list[tuple[int, int]]:
    """Every expression under the picture's own light, then lights spread over the classes.

    A label that is not known is taken to be the first class.
    """
    expression, lighting = (
        max(int(labels[index]), 0) for labels in (faces.expression, faces.lighting)
    )
    spread = np.linspace(0, len(faces.lightings) - 1, min(COLUMNS, len(faces.lightings)))
    return [
        *((e, lighting) for e in range(len(faces.expressions))),
        *((expression, int(light)) for light in spread.round()),
    ]


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
        uint8 [H,W,3]. For each picture a row with the input, every expression and some lights;
        below it, for rendered faces, the true pictures; then the masks if the generator has any:
        those of expression for the expressions, those of lighting for the lights; then the maps,
        and the true ones where they are known.
    """
    rows, names = [], []
    for index in indices:
        source = faces.images(np.array([index]))[0]
        targets = _targets(faces, index)
        expressions, lights = (tf.constant([t[i] for t in targets]) for i in (0, 1))
        edited = generator(
            {
                "image": tf.repeat(to_float(tf.constant(source))[None], len(targets), 0),
                **generator.codes({"expression": expressions, "lighting": lights}),
            }
        )
        blank = np.full_like(source, 255)
        rows.append([source, *to_uint8(edited["image"]).numpy()])
        if faces.truth is not None:
            rows.append(
                [
                    blank,
                    *(
                        faces.truth(index, {"expression": expression, "lighting": light})
                        for expression, light in targets
                    ),
                ]
            )
        if "expression_mask" in edited:
            half = len(faces.expressions)
            masks = [
                *mask_to_grey(edited["expression_mask"][:half]).numpy().repeat(3, -1),
                *mask_to_grey(edited["lighting_mask"][half:]).numpy().repeat(3, -1),
            ]
            rows.append([blank, *masks])
        if depth is not None:
            shown = tf.concat([to_float(tf.constant(source))[None], edited["image"]], 0)
            rows.append(list(to_uint8(depth.to_map(shown)).numpy()))
        if depth is not None and faces.maps is not None:
            of_targets = [blank] * len(targets)
            if faces.true_map is not None:
                of_targets = [
                    faces.true_map(index, {"expression": expression}) for expression, _ in targets
                ]
            rows.append([faces.map_images(np.array([index]))[0], *of_targets])
        names = [faces.expressions[e] for e, _ in targets[: len(faces.expressions)]]
        names += [faces.lightings[light] for _, light in targets[len(faces.expressions) :]]
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
