"""Data sets of rendered faces: a full grid with its ground truth, and damaged, rated faces."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from legan_tf.data import attributes, faceset, maps, parallel
from legan_tf.data.conditions import ATTRIBUTES, UNKNOWN, BinaryCondition, of_classes
from legan_tf.data.parallel import OnProgress
from legan_tf.data.rendered import damage, lights, ratings
from legan_tf.data.rendered.expressions import (
    EXPRESSIONS,
    SHOWN_BY,
    action_units,
    check_expression,
    shown_attributes,
    units,
)
from legan_tf.data.rendered.photograph_layers import PhotographLayers
from legan_tf.data.rendered.photographed import photographed
from legan_tf.data.rendered.shading import shade
from legan_tf.data.rendered.surface import Geometry, geometry
from legan_tf.data.splits import SPLITS

_PEOPLE_PER_SPLIT = 1_000_000
_SHOTS_OF_RATED_FACE = 8  # a geometry costs as much as several pictures of it
_LOCKS = 64
_CAMERA = 7112


def split_people(split: str, people: int, seed: int) -> range:
    """Returns the numbers of the people of one split.

    Args:
        split: train, val or test.
        people: How many, 1 to 1,000,000.
        seed: Different seeds give different people.

    Raises:
        ValueError: There is no such split, or the count is out of range.
    """
    if split not in SPLITS:
        raise ValueError(f"There is no split {split!r}; choose from {', '.join(SPLITS)}.")
    if not 1 <= people <= _PEOPLE_PER_SPLIT:
        raise ValueError(f"people must be 1 to {_PEOPLE_PER_SPLIT:,}, not {people}.")
    if seed < 0:
        raise ValueError(f"seed must be 0 or more, not {seed}.")
    first = (seed * len(SPLITS) + SPLITS.index(split)) * _PEOPLE_PER_SPLIT
    return range(first, first + people)


def identity_name(person: int) -> str:
    """Returns the identity name of a person's number."""
    return f"person{person:05d}"


def run_in_threads(
    work: Callable[[Any], int], items: Sequence[Any], total: int, on_progress: OnProgress | None
) -> None:
    """Calls ``work(item)``, which returns how many of ``total`` units it has done, on all cores."""
    done = 0
    for count in parallel.in_threads(work, items):
        done += count
        if on_progress:
            on_progress(done, total)


def _check_size(image_size: int) -> None:
    """Raises ValueError where faces would be too small to show anything."""
    if image_size < 16:
        raise ValueError(f"image_size must be 16 or more for rendered faces, not {image_size}.")


def _check_class(value: int, names: Sequence[str]) -> None:
    """Raises ValueError where ``value`` is the id of no class."""
    if not 0 <= value < len(names):
        raise ValueError(f"A rendered face has no class {value}; there are {len(names)}.")


def rendered_faces(
    split: str,
    people: int,
    expressions: Sequence[str],
    lightings: Sequence[str],
    image_size: int,
    seed: int,
    on_progress: OnProgress | None = None,
    map_kind: str = "",
    on_demand: bool = False,
    with_attributes: bool = False,
    snapshots: bool = False,
    own_lights: Mapping[str, lights.Light] | None = None,
    layers: PhotographLayers | None = None,
) -> faceset.FaceSet:
    """Renders every person under every expression and light.

    Args:
        split: train, val or test; their people are disjoint.
        people: How many people.
        expressions: Names of expressions, the classes of the set.
        lightings: Names of Multi-PIE shots, or of ``own_lights``, the classes of the set.
        image_size: Height and width, in pixels.
        seed: Different seeds give different people.
        on_progress: Called with the pictures done and their total.
        map_kind: ``depth`` or ``normal`` to have the exact maps of the faces too, without hair,
            ears and neck.
        on_demand: Whether to render each face when it is first loaded, so that training begins at
            once; else all are rendered now, on all cores.
        with_attributes: Whether to label them with those of ``expressions.SHOWN_BY`` too.
        snapshots: Whether heads turn, expressions are of any strength, some people wear glasses,
            backgrounds may be busy, and a camera adds noise, blur, colours and compression.
        own_lights: Lights by name, in place of Multi-PIE's.
        layers: Photographs that give them hair, neck and background in place of drawn ones.

    Returns:
        A face set of people x expressions x lightings pictures, in this order, without ratings.

    Raises:
        ValueError: A name or a number is not acceptable.
        UserError: No photograph of ``layers`` can be used.
    """
    numbers = split_people(split, people, seed)
    expressions, lightings = tuple(expressions), tuple(lightings)
    if not expressions or not lightings:
        raise ValueError("Rendered faces need at least one expression and one light.")
    _check_size(image_size)
    # Unknown names are refused here, not by a thread in the middle of the work.
    for name in expressions:
        check_expression(name)
    shots = [lights.light(name, own_lights) for name in lightings]
    shape = (people, len(expressions), len(lightings))
    total = int(np.prod(shape))
    # Written to, the memory is taken now: where there is too little, that shows at once.
    pictures = np.full((total, image_size, image_size, 3), 0, np.uint8)
    # The surface is the same under every light.
    mapped = total // len(lightings) if map_kind else 0
    surfaces = np.full((mapped, image_size, image_size, 3), 0, np.uint8)

    def render_person(place: int) -> int:
        first = place * len(expressions)
        for row, expression in enumerate(expressions, first):
            face = geometry([numbers[place]], [expression], image_size, snapshots, layers)
            rows = slice(row * len(lightings), (row + 1) * len(lightings))
            pictures[rows] = shade(face, shots)[0]
            if snapshots:
                for number, lighting in enumerate(lightings, rows.start):
                    # One person's pictures are of one camera, so that they can be compared.
                    camera = np.random.default_rng([_CAMERA, numbers[place]])
                    named = (zlib.crc32(name.encode()) for name in (expression, lighting))
                    noise = np.random.default_rng([_CAMERA, numbers[place], *named])
                    pictures[number] = photographed(pictures[number], camera, noise)
            if map_kind:
                surfaces[row] = _maps(face, map_kind)[0]
        return len(expressions) * len(lightings)

    pool = _Pool(render_person, people, on_demand)
    if not on_demand:
        pool.fill(total, on_progress)
    load = pool.load(pictures, total // people)
    identity, expression_of, lighting_of = (
        axis.ravel().astype(np.int32) for axis in np.indices(shape)
    )
    unrated = np.full(total, np.nan, np.float32)

    def wanted_class(index: int, labels: Mapping[str, Any], name: str) -> int:
        value = int(labels.get(name, UNKNOWN))
        own = {"expression": expression_of, "lighting": lighting_of}[name]
        if value == UNKNOWN:
            return int(own[index])
        _check_class(value, {"expression": expressions, "lighting": lightings}[name])
        return value

    def truth(index: int, labels: Mapping[str, Any]) -> np.ndarray:
        wanted = (wanted_class(index, labels, name) for name in ("expression", "lighting"))
        row = np.ravel_multi_index((identity[index], *wanted), shape)
        return load(tf.constant(row, tf.int64)).numpy()

    def true_map(index: int, labels: Mapping[str, Any]) -> np.ndarray:
        expression = wanted_class(index, labels, "expression")
        shown = int(identity[index]) * len(expressions) + expression
        return pool.row(surfaces, len(expressions), shown)

    def surface(indices: np.ndarray, wanted: np.ndarray) -> faceset.Surface:
        for value in wanted:
            _check_class(value, expressions)
        people = [numbers[identity[i]] for i in indices]
        shown = geometry(people, [expressions[e] for e in wanted], image_size, snapshots, layers)
        return faceset.Surface(
            shown.depth, shown.normals, shown.albedo, shown.face_mask, shown.parts, shown.uv
        )

    shown_units = np.array(
        [[action_units(units(n, e, snapshots)) for e in expressions] for n in numbers]
    )
    directions = np.array([shot.direction * bool(shot.flash) for shot in shots], np.float32)
    conditions = of_classes(expression=expressions, lighting=lightings)
    labels = {"expression": expression_of, "lighting": lighting_of}
    if with_attributes:
        binary = BinaryCondition(ATTRIBUTES, tuple(SHOWN_BY))
        shown = binary.labels(
            [shown_attributes(units(n, e, snapshots)) for n in numbers for e in expressions]
        )
        shown = shown.reshape(people, len(expressions), -1)
        conditions, labels[ATTRIBUTES] = (*conditions, binary), shown[identity, expression_of]
    return faceset.FaceSet(
        name=f"rendered/{split}",
        image_size=image_size,
        conditions=conditions,
        labels=labels,
        identities=tuple(identity_name(p) for p in numbers),
        identity=identity,
        rating_mean=unrated,
        rating_std=unrated,
        load=load,
        truth=truth,
        surface=surface,
        map_kind=map_kind,
        maps=pool.load(surfaces, len(expressions), len(lightings)) if map_kind else None,
        action_units=shown_units[identity, expression_of],
        light_directions=directions[lighting_of],
        true_map=true_map if map_kind else None,
    )


def _maps(faces: Geometry, kind: str) -> np.ndarray:
    """Returns the maps of the faces alone, uint8 [N, S, S, 3]."""
    if kind == "normal":
        return maps.normals_to_map(np.where(faces.face_mask[..., None], faces.normals, maps.EMPTY))
    shown = np.where(faces.face_mask, faces.depth, maps.EMPTY)
    return np.stack([maps.depth_to_map(depth) for depth in shown])


class _Pool:
    """Pictures in memory that are rendered in groups, all at once or as they are needed."""

    def __init__(self, render: Callable[[int], int], groups: int, on_demand: bool) -> None:
        """Takes what renders a group into its arrays and returns the number of its pictures."""
        self._render, self._on_demand = render, on_demand
        self._done = np.zeros(groups, bool)
        self._locks = [threading.Lock() for _ in range(_LOCKS)]

    def fill(self, pictures: int, on_progress: OnProgress | None) -> None:
        """Renders everything, on all cores."""
        run_in_threads(self._render, range(len(self._done)), pictures, on_progress)

    def row(self, rows: np.ndarray, per_group: int, index: int) -> np.ndarray:
        """Returns a row of an array, rendered now if it was not yet."""
        group = int(index) // per_group
        if self._on_demand and not self._done[group]:
            with self._locks[group % _LOCKS]:
                if not self._done[group]:
                    self._render(group)
                    self._done[group] = True
        return rows[index]

    def load(
        self, rows: np.ndarray, per_group: int, per_row: int = 1
    ) -> Callable[[tf.Tensor], tf.Tensor]:
        """Returns ``load`` or, of rows that ``per_row`` pictures share, ``maps`` of a face set."""
        if not self._on_demand:
            load = faceset.from_pool(rows)
            return lambda index: load(index // per_row)

        def load_or_render(index: tf.Tensor) -> tf.Tensor:
            picture = tf.numpy_function(
                lambda row: self.row(rows, per_group, row),
                [index // per_row],
                tf.uint8,
                stateful=False,
            )
            return tf.ensure_shape(picture, rows.shape[1:])

        return load_or_render


def rated_faces(
    split: str,
    count: int,
    image_size: int,
    seed: int,
    on_progress: OnProgress | None = None,
    on_demand: bool = False,
) -> faceset.FaceSet:
    """Renders faces with controlled damage and the ratings of three simulated raters.

    People, expressions and lights are drawn at random. One picture in six is undamaged, one in
    four has two kinds of damage, the others one; severities are uniform.

    Args:
        split: train, val or test; their people are disjoint.
        count: How many pictures.
        image_size: Height and width, in pixels.
        seed: Different seeds give different people, damage and raters.
        on_progress: Called with the pictures done and their total.
        on_demand: Whether to render each picture when it is first loaded; else all are rendered
            now, on all cores.

    Returns:
        A face set with mean and population standard deviation (ddof 0) of the three ratings, as
        LEGAN's perceptual labels have them. Its pictures are damaged, so it knows no truth.

    Raises:
        ValueError: A name or a number is not acceptable.
    """
    if count < 1:
        raise ValueError(f"count must be 1 or more, not {count}.")
    _check_size(image_size)
    faces_shown = -(-count // _SHOTS_OF_RATED_FACE)
    numbers = split_people(split, faces_shown, seed)
    expressions, lightings = tuple(EXPRESSIONS), attributes.lightings()
    rng = np.random.default_rng([7004, seed, SPLITS.index(split)])
    identity = rng.integers(len(numbers), size=faces_shown)
    expression = rng.integers(len(expressions), size=faces_shown)
    lighting = rng.integers(len(lightings), size=count)
    severities = [_severities(_damage_rng(seed, numbers[0], row)) for row in range(count)]
    natural = np.array([ratings.naturalness(each) for each in severities])
    pictures = np.full((count, image_size, image_size, 3), 0, np.uint8)

    def render(face: int) -> int:
        rows = range(face * _SHOTS_OF_RATED_FACE, min((face + 1) * _SHOTS_OF_RATED_FACE, count))
        shown = geometry([numbers[identity[face]]], [expressions[expression[face]]], image_size)
        shots = shade(shown, [lightings[lighting[row]] for row in rows])[0]
        for row, shot in zip(rows, shots):
            pictures[row] = _damaged(shot, _damage_rng(seed, numbers[0], row))
        return len(rows)

    pool = _Pool(render, faces_shown, on_demand)
    if not on_demand:
        pool.fill(count, on_progress)
    rated = ratings.rate(natural, ratings.panel(seed), rng)
    face_of = np.arange(count) // _SHOTS_OF_RATED_FACE
    return faceset.FaceSet(
        name=f"rendered-rated/{split}",
        image_size=image_size,
        conditions=of_classes(expression=expressions, lighting=lightings),
        labels={
            "expression": expression[face_of].astype(np.int32),
            "lighting": lighting.astype(np.int32),
        },
        identities=tuple(identity_name(p) for p in numbers),
        identity=identity[face_of].astype(np.int32),
        rating_mean=rated.mean(axis=1).astype(np.float32),
        rating_std=rated.std(axis=1).astype(np.float32),
        load=pool.load(pictures, _SHOTS_OF_RATED_FACE),
    )


def damage_done(split: str, count: int, seed: int) -> list[dict[str, float]]:
    """Returns the damage of each picture of ``rated_faces`` with these arguments.

    Returns:
        The severity, in [0, 1], of each kind of damage, in the order in which it was done.

    Raises:
        ValueError: The split is not known.
    """
    first = split_people(split, 1, seed)[0]
    return [_severities(_damage_rng(seed, first, row)) for row in range(count)]


def _damage_rng(seed: int, first: int, row: int) -> np.random.Generator:
    """Returns the generator of one picture's damage; ``first`` is the split's first person."""
    return np.random.default_rng([7005, seed, first, row])


def _severities(rng: np.random.Generator) -> dict[str, float]:
    how_many = int(rng.choice([0, 1, 2], p=[1 / 6, 7 / 12, 1 / 4]))
    kinds = rng.choice(sorted(damage.DAMAGES), size=how_many, replace=False)
    return {str(kind): float(rng.uniform()) for kind in kinds}


def _damaged(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns a uint8 picture with the damage that ``_severities`` draws."""
    image = picture.astype(np.float32) / 255
    for kind, severity in _severities(rng).items():
        image = damage.DAMAGES[kind](image, severity, rng)
    return np.round(255 * np.clip(image, 0, 1)).astype(np.uint8)
