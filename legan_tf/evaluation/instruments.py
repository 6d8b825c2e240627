"""The networks that look at edits, and what they saw, kept for the next time."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable

import numpy as np

from legan_tf.data.faceset import FaceSet
from legan_tf.errors import UserError
from legan_tf.evaluation.cache import Cache
from legan_tf.evaluation.config import EvaluationConfig
from legan_tf.evaluation.features import (
    PictureNetwork,
    face_features,
    load_feature_network,
    picture_network,
)
from legan_tf.evaluation.judges import train_judges
from legan_tf.evaluation.lpips import Lpips, load_lpips
from legan_tf.evaluation.metrics.images import mean_absolute_error, psnr, ssim
from legan_tf.models import AttributeClassifier, FaceNetwork, Network, QualityEstimator
from legan_tf.training.run import load_network

SHARD = 256
"""Pictures that are looked at before what was seen is written."""

Count = Callable[[int], None]
"""Called with the number of pictures that were looked at since the last call."""

KINDS = {
    "classifier": AttributeClassifier,
    "identity": FaceNetwork,
    "quality": QualityEstimator,
}


@dataclasses.dataclass(frozen=True)
class Instruments:
    """Networks that no editor was trained against; none where a kind is not at hand.

    Attributes:
        classifier: Gives logits of ``expression`` and ``lighting``.
        columns: For each attribute, which of the classifier's logits are those of the face set's
            classes, in the face set's order.
        face: Gives embeddings of faces.
        quality: Gives ratings.
        features: Gives the features of FID and KID; none to take the angles of ``face``.
        lpips: The perceptual distance of two pictures.
    """

    classifier: PictureNetwork | None
    columns: dict[str, np.ndarray]
    face: PictureNetwork | None
    quality: PictureNetwork | None
    features: PictureNetwork | None
    lpips: Lpips | None

    @property
    def descriptions(self) -> dict[str, dict[str, str]]:
        """What each network is, by kind; those that are not at hand are left out."""
        every = {
            "classifier": self.classifier,
            "face": self.face,
            "quality": self.quality,
            "features": self.features or self.face,
            "lpips": self.lpips,
        }
        return {name: n.description for name, n in every.items() if n is not None}

    def in_classes(self, logits: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns the classifier's logits in the classes of the face set."""
        return {name: logits[name][:, columns] for name, columns in self.columns.items()}

    def read(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Returns logits of ``expression`` and ``lighting``, in the classes of the face set.

        Args:
            images: uint8 [n,H,W,3], n at least 1.
        """
        return self.in_classes(self.classifier(images))

    @property
    def missing(self) -> list[str]:
        """A sentence for each kind that is not at hand, with what to do."""
        lost = {
            "classifier": "Expression and lighting as read need --classifier_model.",
            "face": "Match score, identity distance and person found need --identity_model.",
            "quality": "Ratings need --quality_model.",
            "lpips": "LPIPS needs --lpips, --lpips_trunk and --lpips_heads.",
        }
        return [text for name, text in lost.items() if getattr(self, name) is None]


def load_instruments(config: EvaluationConfig, judges_dir: str, faces: FaceSet) -> Instruments:
    """Loads the networks that a configuration names, or trains the judges.

    Args:
        config: The configuration.
        judges_dir: Folder of the judges of rendered faces.
        faces: The faces whose edits they will look at.

    Raises:
        UserError: A network cannot be loaded, is of another kind, or does not know a class of the
            faces.
        UnavailableError: One of them needs tensorflow-gan, which does not work here.
    """
    networks = {}
    for kind, wanted in KINDS.items():
        path = getattr(config, f"{kind}_model")
        if path:
            networks[kind] = _load(kind, path, wanted)
    if config.dataset == "rendered":
        absent = [kind for kind in KINDS if kind not in networks]
        networks.update(train_judges(judges_dir, faces, config.judge_steps, absent))
    columns = {}
    if "classifier" in networks:
        columns = _columns(networks["classifier"], faces, config.classifier_model)
    features = None if config.features == "face" else load_feature_network(config.features)
    lpips = None
    if config.lpips:
        lpips = load_lpips(config.lpips, config.lpips_trunk, config.lpips_heads)
    seen = {kind: picture_network(network) for kind, network in networks.items()}
    return Instruments(
        seen.get("classifier"),
        columns,
        seen.get("identity"),
        seen.get("quality"),
        features,
        lpips,
    )


def _load(kind: str, path: str, wanted: type) -> Network:
    try:
        network = load_network(path)
    except UserError as error:
        raise UserError(f"--{kind}_model={error}") from error
    if not isinstance(network, wanted):
        raise UserError(
            f"--{kind}_model={path}: it holds a {type(network).__name__}, not a {wanted.__name__}"
        )
    return network


def _columns(classifier: AttributeClassifier, faces: FaceSet, path: str) -> dict[str, np.ndarray]:
    columns = {}
    for attribute, known, names in (
        ("expression", classifier.expressions, faces.expressions),
        ("lighting", classifier.lightings, faces.lightings),
    ):
        unknown = [name for name in names if name not in known]
        if unknown:
            raise UserError(
                f"--classifier_model={path}: it cannot tell the {attribute} {', '.join(unknown)} "
                f"of {faces.name}; it knows {', '.join(known)}."
            )
        columns[attribute] = np.array([known.index(name) for name in names], np.int64)
    return columns


class Looker:
    """Looks at pictures with every instrument, each picture once with each."""

    def __init__(self, instruments: Instruments, cache: Cache, count: Count) -> None:
        """Takes the networks.

        Args:
            instruments: What to look with.
            cache: Where what was seen is kept.
            count: Told of the pictures looked at.
        """
        self.instruments = instruments
        self.cache = cache
        self._count = count

    def look(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Looks at some pictures.

        Args:
            images: uint8 [n,S,S,3], n at least 1.

        Returns:
            One row per picture, where the network is at hand: ``expression`` and ``lighting``
            (logits in the classes of the face set), ``face`` (embeddings), ``rating``, and
            ``features``.
        """
        tools, content = self.instruments, sha256_of(images)

        def see(network: PictureNetwork) -> dict[str, np.ndarray]:
            def compute() -> dict[str, np.ndarray]:
                given = network(images)
                return given if isinstance(given, dict) else {"given": given}

            return self.cache.arrays({"network": network.description, "images": content}, compute)

        seen = {}
        if tools.classifier:
            seen = tools.in_classes(see(tools.classifier))
        if tools.face:
            seen["face"] = see(tools.face)["given"]
        if tools.quality:
            seen["rating"] = see(tools.quality)["given"]
        if tools.features:
            seen["features"] = see(tools.features)["given"]
        elif tools.face:
            seen["features"] = face_features(seen["face"])
        self._count(len(images))
        return seen

    def compare(self, images: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
        """Compares pictures with the true ones, pair by pair.

        Args:
            images: uint8 [n,S,S,3], n at least 1.
            truth: The same shape.

        Returns:
            ``ssim``, ``psnr``, ``l1`` and, where it is at hand, ``lpips``; float [n] each.
        """
        likeness = {
            "ssim": ssim(images, truth),
            "psnr": psnr(images, truth),
            "l1": mean_absolute_error(images, truth),
        }
        lpips = self.instruments.lpips
        if lpips:
            key = {
                "network": lpips.description,
                "pairs": [sha256_of(images), sha256_of(truth)],
            }
            kept = self.cache.arrays(key, lambda: {"lpips": lpips(images, truth)})
            likeness["lpips"] = kept["lpips"]
        return likeness


def sha256_of(images: np.ndarray) -> str:
    """Returns the sha256 of pictures, as a key of what was seen in them."""
    digest = hashlib.sha256(f"{images.dtype} {images.shape} ".encode())
    digest.update(np.ascontiguousarray(images).tobytes())
    return digest.hexdigest()
