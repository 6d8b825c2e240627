"""Loading a trained network for use, from a run folder, a ``.keras`` file or an export."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from legan_tf.data import storage
from legan_tf.data.conditions import UNKNOWN
from legan_tf.errors import UserError, first_line
from legan_tf.graph_ops.pixels import to_float, to_uint8
from legan_tf.models import Network
from legan_tf.runtime.compat import float32_policy
from legan_tf.serving import publishing, signatures
from legan_tf.serving.graph_checks import MAX_ROWS
from legan_tf.serving.inputs import as_list, same_size
from legan_tf.serving.labels import DEPTH, EDITOR, SCORER, Labels
from legan_tf.serving.preprocessing import prepare, prepare_differentiably
from legan_tf.training.run_folder import DEPTH_FILE, load_network, network_file

_BATCH = 16
_RANGE_SLACK = 1e-3


class _Model:
    """A network by its signatures, whatever it was loaded from.

    Attributes:
        path: The path that was loaded.
        sha256: sha256 of the network's file, or of the export's files.
        kind: ``editor``, ``scorer`` or ``depth``.
        image_size: Height and width of the images that the network works on, in pixels.
        geometry: Kind of its maps, ``depth`` or ``normal``; nothing if it makes none.
    """

    def __init__(
        self, path: str, file: str, labels: Labels, signatures: Mapping[str, Any], owner: Any
    ) -> None:
        """Takes the path asked for, the file found, the signatures by name and their owner."""
        self.path = path
        self.sha256 = storage.sha256(file)
        self.kind, self.image_size, self.geometry = labels.kind, labels.image_size, labels.geometry
        self._labels = labels
        self._signatures = signatures
        self._owner = owner

    def _run(
        self, signature: str, image: np.ndarray, ids: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Runs a signature on uint8 [B, H, W, 3] in small batches, to bound the memory."""
        run = self._signatures[signature]
        parts = []
        for start in range(0, len(image), _BATCH):
            rows = slice(start, start + _BATCH)
            inputs = {name: tf.constant(value[rows]) for name, value in ids.items()}
            parts.append(run(image=tf.constant(image[rows]), **inputs))
        return {name: np.concatenate([p[name].numpy() for p in parts]) for name in parts[0]}

    def _run_tensors(self, output: str, empty: tf.Tensor, **inputs: tf.Tensor) -> tf.Tensor:
        """Runs ``serving_default`` on tensors of any number of rows, ``MAX_ROWS`` at a time.

        Args:
            output: Name of the output to return.
            empty: The output for no rows.
            **inputs: Tensors by name, each with a first axis of rows.
        """
        run, rows = self._signatures["serving_default"], tf.shape(inputs["image"])[0]

        def run_rows(start: tf.Tensor, done: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            stop = start + MAX_ROWS
            part = {name: value[start:stop] for name, value in inputs.items()}
            return stop, tf.concat([done, run(**part)[output]], 0)

        _, done = tf.while_loop(
            lambda start, _: start < rows,
            run_rows,
            (tf.constant(0), empty),
            shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, *empty.shape[1:]])),
        )
        return done

    def _use(
        self,
        images: Any,
        output: str,
        signature: str = "serving_default",
        targets: Mapping[str, Any] | None = None,
    ) -> Any:
        """Returns an output of a signature for one picture or several, of any sizes.

        Args:
            images: See ``Editor.__call__``.
            output: Name of the output.
            signature: Name of the signature.
            targets: By condition, of a signature that takes them; see ``Labels.all_ids``.
        """
        batch, single = as_list(images)
        ids = {} if targets is None else self._labels.all_ids(targets, len(batch))
        result: Any = None
        for rows, stack in same_size(batch):
            chosen = {name: value[rows] for name, value in ids.items()}
            answer = self._run(signature, stack, chosen)[output]
            if result is None:
                result = np.empty((len(batch), *answer.shape[1:]), answer.dtype)
            result[rows] = answer
        return result[0] if single else result

    def _maps(self, images: Any, signature: str) -> np.ndarray:
        """Returns the maps of pictures; see ``DepthEstimator.__call__``."""
        maps = self._use(images, self.geometry, signature)
        return maps[..., 0] if self.geometry == "depth" else maps


class Editor(_Model):
    """Edits pictures of faces under conditions, such as an expression and a lighting.

    Attributes:
        conditions: What it edits, by whose names it is asked: of a model that is told action units
            the expressions, if it knows what stands for them.
        expressions: Names of the expressions that it can edit to, in the order of their ids.
        lightings: Names of the lightings, likewise.
        told: What its network is told: the same, but for these.
        keeps_unnamed: Whether a condition may be left unnamed, which keeps it as it is.
        face_lines: Heights of eyes and mouth in the pictures that it was trained on, as shares of
            their height; empty if unknown.
    """

    def __init__(self, *loaded: Any) -> None:
        """Takes what ``_Model`` takes."""
        super().__init__(*loaded)
        labels = self._labels
        asked_by = (condition.asked_by for condition in labels.conditions)
        self.conditions = tuple(condition for condition in asked_by if condition.names)
        self.told = labels.conditions
        self.expressions, self.lightings = labels.expressions, labels.lightings
        self.keeps_unnamed, self.face_lines = labels.keeps_unnamed, labels.face_lines

    def names(self, condition: str) -> tuple[str, ...]:
        """Returns the names of a condition's classes or attributes; none without it."""
        return self._labels.names(condition)

    def __call__(self, images: Any, **targets: Any) -> np.ndarray:
        """Edits one picture or several.

        Args:
            images: A path, a PIL image or an array for one picture, a list of these or an array
                for several; see ``inputs.as_list``. The middle square is resized.
            **targets: By condition, one for all pictures or one each: of an expression or a
                lighting its name or id, of attributes ``"Smiling=1,Young=0"`` or a mapping, of
                ``action_units`` ``"AU12=3,AU25=2"`` or a mapping, of 0 to 5, or 17 numbers of 0 to
                1; None, as what is not named, leaves it as it is.

        Returns:
            uint8 [image_size, image_size, 3] for one picture, [B, image_size, image_size, 3] for
            several.

        Raises:
            UserError: A picture, a condition or a target cannot be used.
        """
        return self._use(images, "image", targets=targets)

    def edit(self, image: tf.Tensor, **labels: tf.Tensor | None) -> tf.Tensor:
        """Edits tensors, in a graph or out of one: in ``tf.data``, in a layer.

        Args:
            image: uint8 [B, H, W, 3], or float in [-1, 1], which is rounded to eight bits. Any
                size: the middle square is resized to ``image_size``.
            **labels: The target labels by condition, int32: of an expression or a lighting the
                ids [B], of attributes 0 or 1 [B, N]; -1 leaves it as it is. Of action units
                float32 [B, N] of 0 to 1. None, as what is not named, leaves that of all.

        Returns:
            uint8 [B, image_size, image_size, 3]; the same as of ``__call__``, up to rounding. There
            is no gradient.

        Raises:
            UserError: The model has no such condition.
            tf.errors.InvalidArgumentError: Float pictures are not in [-1, 1], or a target is
                unknown, or left out where the model cannot leave it as it is.
        """
        image = _eight_bits(tf.convert_to_tensor(image))
        rows = tf.shape(image)[0]
        targets = {
            condition.name: tf.repeat(tf.constant(condition.unknown(1)), rows, 0)
            for condition in self._labels.conditions
        }
        for name, label in labels.items():
            if label is not None:
                condition, label = self._labels.condition(name), tf.convert_to_tensor(label)
                label = label if name == condition.name else condition.told(label)
                targets[condition.name] = tf.cast(label, condition.dtype)
        return self._run_tensors(
            "image",
            tf.zeros([0, self.image_size, self.image_size, 3], tf.uint8),
            image=image,
            **targets,
        )

    def depth(self, images: Any) -> np.ndarray:
        """Estimates depth or normal maps, by the network that was trained with this editor.

        Args:
            images: One picture or several, edits for instance; see ``__call__``.

        Returns:
            See ``DepthEstimator.__call__``.

        Raises:
            UserError: There is no such network, or a picture cannot be used.
        """
        if not self.geometry:
            raise UserError(
                f"{self.path}: has no depth network; the folder of a run with --depth_weight above "
                f"0 holds one ({DEPTH_FILE}), and so does its export."
            )
        return self._maps(images, "depth")

    def grid(self, image: Any) -> np.ndarray:
        """Edits one picture to every target.

        Args:
            image: One picture; see ``__call__``.

        Returns:
            uint8 [N, M, image_size, image_size, 3]: an axis for the names of each of
            ``conditions``, such as expressions and lightings; the second has one entry where there
            is no second condition. Of attributes each is there alone: the others are left as they
            are, or not there if the model cannot leave them.

        Raises:
            UserError: See ``__call__``.
        """
        batch, single = as_list(image)
        if not single:
            raise UserError(f"A grid is made of one picture; {len(batch)} were given.")
        # What a model cannot leave as it is is class 0, or not there.
        start = UNKNOWN if self.keeps_unnamed else 0
        each = [one.variations(np.full_like(one.unknown(1)[0], start)) for one in self.conditions]
        shape = tuple(map(len, each))
        places = np.indices(shape).reshape(len(shape), -1)
        targets = {
            condition.name: rows[place]
            for condition, rows, place in zip(self.conditions, each, places)
        }
        count = places.shape[1]
        # Resized here, once, as the graph would for every target: at its own size it stays.
        picture = to_uint8(prepare(batch[0][None], self.image_size)).numpy()[0]
        copies = np.broadcast_to(picture, (count, *picture.shape))
        ids = self._labels.all_ids(targets, count)
        edited = self._run("serving_default", copies, ids)["image"]
        return edited.reshape(*shape, *[1] * (2 - len(shape)), *edited.shape[1:])


class Scorer(_Model):
    """Predicts how natural people would find pictures of faces.

    Attributes:
        differentiable: Whether ``rate`` has a gradient: of run folders and ``.keras`` files, not of
            exports.
    """

    def __init__(self, *loaded: Any, network: Network | None = None) -> None:
        """Takes what ``_Model`` takes, and the network itself, which an export does not hold."""
        super().__init__(*loaded)
        self._network = None
        self.differentiable = network is not None
        if network is not None:
            # Traced once, whatever the form of the pictures and wherever it is called from.
            self._network = tf.function(
                lambda image: network(image, training=False),
                input_signature=[tf.TensorSpec([None, self.image_size, self.image_size, 3])],
                autograph=False,
            )

    def rate(self, image: tf.Tensor, clip: bool = False) -> tf.Tensor:
        """Rates tensors, in a graph or out of one: in a loss, a metric, in ``tf.data``.

        Args:
            image: uint8 [B, H, W, 3], or float in [-1, 1]. Any size: the middle square is resized
                to ``image_size``.
            clip: Whether floats beyond [-1, 1], as of a generator that overshoots, count as the
                bound, without a gradient; otherwise they are refused.

        Returns:
            float32 [B], the same as of ``__call__``, up to rounding: where there is a gradient,
            float pictures are not rounded to eight bits.

        Raises:
            UserError: Pictures are neither uint8 nor float.
            tf.errors.InvalidArgumentError: Float pictures are not in [-1, 1]. XLA leaves this
                check out.
        """
        image = tf.convert_to_tensor(image)
        exact = image.dtype == tf.uint8
        if not exact and not image.dtype.is_floating:
            raise UserError(f"Pictures must be uint8, or float in [-1, 1], not {image.dtype.name}.")
        if not exact:
            image = tf.clip_by_value(image, -1.0, 1.0) if clip else _in_range(image)
        if self._network is None:
            image = image if exact else to_uint8(image)
            return self._run_tensors("rating", tf.zeros([0]), image=image)
        image = to_float(image) if exact else tf.cast(image, tf.float32)
        square = prepare_differentiably(image, self.image_size)
        return self._network(to_float(to_uint8(square)) if exact else square)

    def __call__(self, images: Any) -> np.ndarray | np.float32:
        """Rates one picture or several.

        Args:
            images: One picture or several; see ``Editor.__call__``.

        Returns:
            Rating on the scale of 1 (looks fake) to 10 (hyper-realistic), not bounded to it:
            float32 for one picture, float32 [B] for several.

        Raises:
            UserError: A picture cannot be used.
        """
        return self._use(images, "rating")


class DepthEstimator(_Model):
    """Estimates depth or normal maps of pictures of faces."""

    def __call__(self, images: Any) -> np.ndarray:
        """Estimates the maps of one picture or several.

        Args:
            images: One picture or several; see ``Editor.__call__``.

        Returns:
            Depth, larger is nearer and 0 is background: uint8 [image_size, image_size] for one
            picture, with a leading axis for several. Or normals n as (n + 1) * 127.5, x to the
            right, y up and z to the viewer, black is background: uint8 with a last axis of 3;
            ``data.maps.map_to_normals`` brings them to length 1.

        Raises:
            UserError: A picture cannot be used.
        """
        return self._maps(images, "serving_default")


def load(path: str | os.PathLike[str]) -> Editor | Scorer | DepthEstimator:
    """Loads a trained network for use.

    Args:
        path: A run folder (its ``model.keras`` is used, and ``depth.keras`` beside it), a
            ``.keras`` file, a served model's folder (its newest version is used) or one version of
            it. The last two are programs (SavedModels), which may read and write files: load them
            only from whom you would run a program.

    Returns:
        An ``Editor`` for generators, a ``Scorer`` for the quality estimator, a ``DepthEstimator``
        for depth networks.

    Raises:
        UserError: There is nothing at ``path``, or no model of these kinds; the message starts
            with the path.
    """
    path = os.fspath(path)
    version = _exported_version(path)
    if version is None:
        file = network_file(path)
        # In float32, whatever precision the caller trains in.
        with float32_policy():
            network, depth = load_network(file), depth_beside(path)
        try:
            servable = signatures.build(network, depth)
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
        labels, owner, offered = servable.labels, servable, servable.signatures
        if labels.kind == SCORER:
            network.trainable = False
            return Scorer(path, file, labels, offered, owner, network=network)
    else:
        file = version
        labels = _read_labels(version)
        try:
            owner = tf.saved_model.load(version)
        except Exception as error:  # The error depends on which part is damaged.
            raise UserError(f"{version}: is a damaged export ({first_line(error)}).") from error
        offered = owner.signatures
    return _KINDS[labels.kind](path, file, labels, offered, owner)


_KINDS = {
    EDITOR: Editor,
    SCORER: Scorer,
    DEPTH: DepthEstimator,
}


def depth_beside(path: str) -> Network | None:
    """Returns the depth network in a run folder beside the network itself, if there is one.

    Args:
        path: A run folder, or a file, which has none.

    Raises:
        UserError: It is damaged; the message starts with the path.
    """
    file = os.path.join(path, DEPTH_FILE)
    return load_network(file) if os.path.isfile(file) else None


def _eight_bits(image: tf.Tensor) -> tf.Tensor:
    """Rounds float pictures in [-1, 1] to uint8; refuses others, which would be clipped."""
    return image if image.dtype == tf.uint8 else to_uint8(_in_range(image))


def _in_range(image: tf.Tensor) -> tf.Tensor:
    """Returns float pictures in [-1, 1] as they are and refuses others."""
    low, high = (tf.cast(bound(image), tf.float32) for bound in (tf.reduce_min, tf.reduce_max))
    # Of no picture at all, the lowest value is above the highest.
    fits = (low > high) | ((low >= -1 - _RANGE_SLACK) & (high <= 1 + _RANGE_SLACK))
    # A list: XLA, which leaves assertions out, does not compile the joining of strings.
    message = [
        "Float pictures must lie in [-1, 1]; give uint8 for values of 0 to 255. These go from"
    ]
    with tf.control_dependencies([tf.debugging.Assert(fits, [message, low, "to", high])]):
        return tf.identity(image)


def _exported_version(path: str) -> str | None:
    if not os.path.isdir(path):
        return None
    if os.path.isfile(os.path.join(path, "saved_model.pb")):
        return path
    versions = publishing.versions(path)
    return os.path.join(path, str(versions[-1])) if versions else None


def _read_labels(version: str) -> Labels:
    file = os.path.join(version, publishing.LABELS_FILE)
    try:
        with open(file, encoding="utf-8") as stream:
            return Labels.from_json(stream.read())
    except OSError as error:
        raise UserError(f"{version}: is not an export of this package: no {file}.") from error
    except ValueError as error:
        raise UserError(f"{file}: is damaged ({first_line(error)}).") from error
