"""The networks that look at edits, and what they saw, kept for the next time."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Collection

import numpy as np

from legan_tf.data.faceset import FaceSet
from legan_tf.errors import UserError
from legan_tf.evaluation.cache import Cache
from legan_tf.evaluation.config import EvaluationConfig
from legan_tf.evaluation.features import (
    PictureNetwork,
    as_features,
    face_features,
    load_face_network,
    load_feature_network,
    picture_network,
)
from legan_tf.evaluation.judges import JUDGES, doubt_of_identity, train_judges
from legan_tf.evaluation.lpips import Lpips, load_lpips
from legan_tf.evaluation.maps import MAP_FIGURES, MapReader, compare_maps
from legan_tf.evaluation.metrics.images import mean_absolute_error, psnr, ssim
from legan_tf.models import AttributeClassifier, QualityEstimator
from legan_tf.training.run_folder import load_network_of

KINDS = (*JUDGES, "lpips")
"""What pictures are looked at with, besides the network of FID."""
SHARD = 256
"""Pictures that are looked at before what was seen is written."""

Count = Callable[[int], None]
"""Called with the number of pictures that were looked at since the last call."""


@dataclasses.dataclass(frozen=True)
class Instruments:
    """Networks that no editor was trained against; none where a kind is not at hand.

    Attributes:
        classifier: Gives logits of ``expression`` and ``lighting``.
        columns: For each attribute that both know, which of the classifier's logits are those of
            the face set's classes, in the face set's order.
        face: Gives embeddings of faces.
        quality: Gives ratings.
        features: Gives the features of FID and KID; none to take the angles of ``face``.
        lpips: The perceptual distance of two pictures.
        depth: Gives maps of depth or normals.
        doubts: A sentence for each network that is at hand and not to be believed.
    """

    classifier: PictureNetwork | None
    columns: dict[str, np.ndarray]
    face: PictureNetwork | None
    quality: PictureNetwork | None
    features: PictureNetwork | None
    lpips: Lpips | None
    depth: MapReader | None = None
    doubts: tuple[str, ...] = ()

    @property
    def descriptions(self) -> dict[str, dict[str, str]]:
        """What each network is, by kind; those that are not at hand are left out."""
        every = {
            "classifier": self.classifier,
            "face": self.face,
            "quality": self.quality,
            "features": self.features or (as_features(self.face) if self.face else None),
            "lpips": self.lpips,
            "depth": self.depth,
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

    def missing(self, kinds: Collection[str] = KINDS) -> list[str]:
        """Returns a sentence for each of ``kinds`` that is not at hand, with what to do."""
        lost = {
            "classifier": (
                self.classifier,
                "Expression and lighting as read need --classifier_model.",
            ),
            "identity": (
                self.face,
                "Match score, identity distance and person found need --identity_model.",
            ),
            "quality": (self.quality, "Ratings need --quality_model."),
            "lpips": (self.lpips, "LPIPS needs --lpips, --lpips_trunk and --lpips_heads."),
        }
        return [text for kind, (network, text) in lost.items() if kind in kinds and not network]


def load_instruments(
    config: EvaluationConfig,
    judges_dir: str,
    faces: FaceSet,
    kinds: Collection[str] = KINDS,
) -> Instruments:
    """Loads the networks that a configuration names, or trains the judges.

    Args:
        config: The configuration.
        judges_dir: Folder of the judges of rendered faces.
        faces: The faces whose edits they will look at.
        kinds: Which of ``KINDS`` there is use for; what FID needs is loaded anyway.

    Raises:
        UserError: A network cannot be loaded, is of another kind, or does not know a class of the
            faces; or there is none to compare sets by.
        UnavailableError: One of them needs tensorflow-gan, which does not work here.
    """
    needs_face = config.features == "face"
    if needs_face and config.dataset == "manifest" and not config.identity_model:
        raise UserError(
            "--features=face needs --identity_model with a manifest; or give --features=inception "
            "or a path"
        )
    wanted = [kind for kind in JUDGES if kind in kinds or (kind == "identity" and needs_face)]
    given = {kind: getattr(config, f"{kind}_model") for kind in wanted}
    # What is given is loaded before judges are trained, which takes long.
    features = None if needs_face else load_feature_network(config.features)
    lpips = None
    if config.lpips and "lpips" in kinds:
        lpips = load_lpips(config.lpips, config.lpips_trunk, config.lpips_heads)
        _check_lpips_size(lpips, config.lpips, faces.image_size)
    networks: dict[str, PictureNetwork] = {}
    columns: dict[str, np.ndarray] = {}
    doubt = ""
    if given.get("classifier"):
        classifier = load_network_of("classifier_model", given["classifier"], AttributeClassifier)
        columns = _columns(classifier, faces, f"--classifier_model={given['classifier']}")
        networks["classifier"] = picture_network(classifier)
    if given.get("identity"):
        networks["identity"] = load_face_network(given["identity"])
    if given.get("quality"):
        networks["quality"] = picture_network(
            load_network_of("quality_model", given["quality"], QualityEstimator)
        )
    if config.dataset == "rendered":
        absent = [kind for kind in wanted if not given[kind]]
        judges = train_judges(judges_dir, faces, config.judge_steps, absent)
        if "classifier" in judges:
            columns = _columns(judges["classifier"], faces, f"--judges={judges_dir}")
        networks.update({kind: picture_network(network) for kind, network in judges.items()})
        doubt = doubt_of_identity(judges_dir) if "identity" in judges else ""
    return Instruments(
        networks.get("classifier"),
        columns,
        networks.get("identity"),
        networks.get("quality"),
        features,
        lpips,
        doubts=(doubt,) if doubt else (),
    )


def _check_lpips_size(lpips: Lpips, name: str, image_size: int) -> None:
    try:
        lpips.network.check_size(image_size, image_size)
    except ValueError as error:
        raise UserError(f"--lpips={name}: {error}") from error


def _columns(classifier: AttributeClassifier, faces: FaceSet, told: str) -> dict[str, np.ndarray]:
    """The logits of the faces' classes; none for an attribute that either knows nothing of."""
    columns = {}
    for attribute, known, names in (
        ("expression", classifier.expressions, faces.expressions),
        ("lighting", classifier.lightings, faces.lightings),
    ):
        if not known or not names:
            continue
        unknown = [name for name in names if name not in known]
        if unknown:
            raise UserError(
                f"{told}: it cannot tell the {attribute} {', '.join(unknown)} "
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

    def compare_maps(self, images: np.ndarray, true: np.ndarray) -> dict[str, np.ndarray]:
        """Compares the maps that are read in pictures with the true ones; needs a depth network.

        Args:
            images: uint8 [n,S,S,3], n at least 1.
            true: The true maps, of the same shape; none is empty.

        Returns:
            Those of ``MAP_FIGURES`` that there are for its kind of map, float64 [n] each.
        """
        reader = self.instruments.depth
        key = {"maps_by": reader.description, "images": sha256_of(images)}
        kept = self.cache.arrays(key, lambda: {"maps": reader(images)})
        found = compare_maps(kept["maps"], true, reader.geometry)
        return {name: found[name] for name in MAP_FIGURES if name in found}


def sha256_of(array: np.ndarray) -> str:
    """Returns the sha256 of an array, as a key of what depends on it."""
    digest = hashlib.sha256(f"{array.dtype} {array.shape} ".encode())
    digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
