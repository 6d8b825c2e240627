"""The networks that evaluate pictures: classifier, face network, Q, features, LPIPS and depth."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

import numpy as np

from legan_tf.data.faceset import FaceSet
from legan_tf.errors import UserError
from legan_tf.evaluation.config import EvaluationConfig
from legan_tf.evaluation.image_networks import (
    ImageNetwork,
    as_features,
    image_network,
    load_face_network,
    load_feature_network,
)
from legan_tf.evaluation.judge_training import JUDGES, doubt_of_identity, train_judges
from legan_tf.evaluation.lpips_network import LpipsNetwork, load_lpips
from legan_tf.evaluation.map_predictor import MapPredictor
from legan_tf.models import AttributeClassifier, QualityEstimator
from legan_tf.training.run_folder import load_network_of

KINDS = (*JUDGES, "lpips")
"""Kinds of networks that can be chosen; the network of FID is always loaded."""


@dataclasses.dataclass(frozen=True)
class JudgeNetworks:
    """Networks that no editor was trained against; None for kinds that are not available.

    Attributes:
        classifier: Returns logits by condition.
        columns: By condition that classifier and face set know: the columns of the logits that
            belong to the face set's names, in its order; -1 where the classifier lacks one.
        face: Returns embeddings of faces.
        quality: Returns ratings.
        features: Returns the features of FID and KID; None to take the angles of ``face``.
        lpips: The perceptual distance of two pictures.
        depth: Returns maps of depth or normals.
        doubts: A sentence for each network whose results are unreliable.
    """

    classifier: ImageNetwork | None
    columns: dict[str, np.ndarray]
    face: ImageNetwork | None
    quality: ImageNetwork | None
    features: ImageNetwork | None
    lpips: LpipsNetwork | None
    depth: MapPredictor | None = None
    doubts: tuple[str, ...] = ()

    @property
    def descriptions(self) -> dict[str, dict[str, str]]:
        """Descriptions of the available networks by kind."""
        every = {
            "classifier": self.classifier,
            "face": self.face,
            "quality": self.quality,
            "features": self.features or (as_features(self.face) if self.face else None),
            "lpips": self.lpips,
            "depth": self.depth,
        }
        return {name: n.description for name, n in every.items() if n is not None}

    def in_names(self, logits: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns the classifier's logits in the names of the face set, NaN where it lacks one."""
        return {
            name: np.where(columns < 0, np.nan, logits[name][:, columns])
            for name, columns in self.columns.items()
        }

    def missing(self, kinds: Collection[str] = KINDS) -> list[str]:
        """Returns a sentence for each of ``kinds`` that is not available, with what to do."""
        networks = {
            "classifier": (
                self.classifier,
                "Expression, lighting and attributes as read need --classifier_model.",
            ),
            "identity": (
                self.face,
                "Match score, identity distance and person found need --identity_model.",
            ),
            "quality": (self.quality, "Ratings need --quality_model."),
            "lpips": (self.lpips, "LPIPS needs --lpips, --lpips_trunk and --lpips_heads."),
        }
        return [text for kind, (network, text) in networks.items() if kind in kinds and not network]


def load_judge_networks(
    config: EvaluationConfig,
    judges_dir: str,
    faces: FaceSet,
    kinds: Collection[str] = KINDS,
) -> JudgeNetworks:
    """Loads the networks that a configuration names, or trains the judges.

    Args:
        config: The configuration.
        judges_dir: Folder of the judges of rendered faces.
        faces: The faces whose edits they will evaluate.
        kinds: Which of ``KINDS`` are needed; what FID needs is loaded anyway.

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
    # Loaded before judges are trained, which takes long.
    features = None if needs_face else load_feature_network(config.features)
    lpips = None
    if config.lpips and "lpips" in kinds:
        lpips = load_lpips(config.lpips, config.lpips_trunk, config.lpips_heads)
        _check_lpips_size(lpips, config.lpips, faces.image_size)
    networks: dict[str, ImageNetwork] = {}
    columns: dict[str, np.ndarray] = {}
    doubt = ""
    if given.get("classifier"):
        classifier = load_network_of("classifier_model", given["classifier"], AttributeClassifier)
        columns = _columns(classifier, faces, f"--classifier_model={given['classifier']}")
        networks["classifier"] = image_network(classifier)
    if given.get("identity"):
        networks["identity"] = load_face_network(given["identity"])
    if given.get("quality"):
        networks["quality"] = image_network(
            load_network_of("quality_model", given["quality"], QualityEstimator)
        )
    if config.dataset == "rendered":
        absent = [kind for kind in wanted if not given[kind]]
        judges = train_judges(
            judges_dir,
            faces,
            config.judge_steps,
            absent,
            config.snapshots,
            config.lights,
            config.layers,
        )
        if "classifier" in judges:
            columns = _columns(judges["classifier"], faces, f"--judges={judges_dir}")
        networks.update({kind: image_network(network) for kind, network in judges.items()})
        doubt = doubt_of_identity(judges_dir) if "identity" in judges else ""
    return JudgeNetworks(
        networks.get("classifier"),
        columns,
        networks.get("identity"),
        networks.get("quality"),
        features,
        lpips,
        doubts=(doubt,) if doubt else (),
    )


def _check_lpips_size(lpips: LpipsNetwork, name: str, image_size: int) -> None:
    try:
        lpips.network.check_size(image_size, image_size)
    except ValueError as error:
        raise UserError(f"--lpips={name}: {error}") from error


def _columns(classifier: AttributeClassifier, faces: FaceSet, flag: str) -> dict[str, np.ndarray]:
    """The columns of the faces' names, by condition that classifier and faces know."""
    columns = {}
    for condition in faces.conditions:
        known = classifier.names(condition.name)
        lacking = [name for name in condition.names if name not in known]
        if known and lacking and condition.name in faces.classes():
            raise UserError(
                f"{flag}: it cannot tell the {condition.name} {', '.join(lacking)} "
                f"of {faces.name}; it knows {', '.join(known)}."
            )
        if len(lacking) < condition.size:
            columns[condition.name] = np.array(
                [-1 if name in lacking else known.index(name) for name in condition.names], np.int64
            )
    return columns
