"""Options of an evaluation, as a dataclass and as flags."""

from __future__ import annotations

import dataclasses
import os

from legan_tf.command_line import options
from legan_tf.command_line.options import option, parse_crop
from legan_tf.data.class_vectors import EXEMPLAR
from legan_tf.errors import UserError
from legan_tf.evaluation.class_policy import POLICIES, TRUTH
from legan_tf.training.options import DATASETS

LPIPS_NETWORKS = ("", "alex", "vgg", "squeeze")
SPLITS = ("train", "val", "test")
_OF_EDITS = ("judges", "judge_steps", "classifier_model", "identity_model", "quality_model",
             "depth_model", "features", "lpips", "lpips_trunk", "lpips_heads")  # fmt: skip
"""The flags of networks that judge edits."""
_JUDGED_BY = {
    "scorer": "Q is judged by people's ratings",
    "depth": "a depth network is judged by true maps",
}
"""What is judged without them, by the kind of the model."""


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
    """The options of ``scripts/evaluate.py`` and ``scripts/compare.py``; each field is a flag."""

    dataset: str = option("rendered", "Faces rendered by this package, or a manifest.", DATASETS)
    manifest: str = option("", "CSV file of --dataset=manifest; see docs/data.md.")
    data_dir: str = option("", "Folder that the manifest's paths start from; its own if empty.")
    crop: str = option(
        "", "left,top,right,bottom as fractions of each image, cut out before it is made square."
    )
    split: str = option("test", "Whose faces of the manifest to edit.", SPLITS)
    lights: str = option("", "CSV of lights of rendered faces, as --lights of a training.")
    snapshots: bool = option(False, "Rendered faces as in snapshots, as --snapshots of a training.")
    layers: str = option("", "Photographs round rendered faces, as --layers of a training.")
    edits: int = option(
        2000, "Edits to judge; of Q, pictures to rate; of a depth network, pictures to read."
    )
    seed: int = option(0, "Seed of rendered people, and of sources and targets.")
    judges: str = option(
        "",
        "With rendered faces: folder of the judging networks, trained there if missing; "
        "OUTPUT/judges if empty.",
    )
    judge_steps: int = option(800, "Updates of each judge that is trained.")
    classifier_model: str = option(
        "", "Run folder or .keras file of the classifier that reads the edits, in a judge's place."
    )
    identity_model: str = option(
        "",
        "Run folder or .keras file of LightCNN-29, or any Keras model that embeds faces, in a "
        "judge's place.",
    )
    quality_model: str = option("", "Run folder or .keras file of Q, in a judge's place.")
    depth_model: str = option(
        "",
        "Run folder or .keras file of a depth network that reads the shape of edits; if empty, the "
        "depth.keras in the run folder of the model, if it was trained with one.",
    )
    features: str = option(
        "face",
        "Network of FID and KID: face for the face network, inception for InceptionV3 as Keras "
        "downloads it, or a path; see docs/evaluation.md.",
    )
    lpips: str = option("", "Network of LPIPS; none if empty.", LPIPS_NETWORKS)
    lpips_trunk: str = option("", "Weights of that network; see docs/evaluation.md.")
    lpips_heads: str = option("", "LPIPS' linear weights for it (.pth).")
    class_policy: str = option(
        EXEMPLAR,
        "What a model of action units is told for an expression: those of a random training "
        "picture, the mean or medoid of all, FACS' table, or (of rendered faces, an oracle) the "
        "true ones.",
        POLICIES,
    )
    action_units_file: str = option(
        "",
        "Of a manifest's pictures, for the way back of a model of action units; as in training.",
    )
    cache: str = option(
        "", "Folder of what has been computed already; OUTPUT/cache if empty. May be shared."
    )

    def check(self, kind: str = "editor") -> None:
        """Checks every value and every rule between values.

        Args:
            kind: What is judged: ``scorer``, ``depth``, or anything else for edits.

        Raises:
            UserError: Something does not fit; the message names the flags and is complete.
        """
        if kind in _JUDGED_BY:
            self._refuse_judges(_JUDGED_BY[kind])
        problems = options.wrong_values(self)
        for name in ("edits", "judge_steps"):
            if getattr(self, name) < 1:
                problems.append(f"--{name}={getattr(self, name)}: must be more than 0")
        if self.edits == 1:
            problems.append("--edits=1: sets of pictures cannot be compared by one; give 2 or more")
        if not 0 <= self.seed <= 1_000_000:
            problems.append(f"--seed={self.seed}: must be 0 to 1000000")
        if self.dataset == "manifest" and not self.manifest:
            problems.append("--dataset=manifest needs --manifest=FILE")
        if self.dataset == "rendered" and (self.manifest or self.crop or self.data_dir):
            problems.append("--manifest, --data_dir and --crop belong to --dataset=manifest")
        if self.dataset == "manifest" and (self.lights or self.snapshots or self.layers):
            problems.append("--lights, --snapshots and --layers belong to --dataset=rendered")
        if self.dataset == "manifest" and self.judges:
            problems.append(
                "--judges belongs to --dataset=rendered; give --classifier_model, "
                "--identity_model and --quality_model trained on photographs"
            )
        if self.dataset == "rendered" and self.action_units_file:
            problems.append("--action_units_file belongs to --dataset=manifest")
        if self.dataset == "manifest" and self.class_policy == TRUTH:
            problems.append(f"--class_policy={TRUTH} belongs to --dataset=rendered")
        try:
            parse_crop(self.crop)
        except UserError as error:
            problems.append(str(error))
        paths = {name: getattr(self, name) for name in ("lpips_trunk", "lpips_heads")}
        for name, path in paths.items():
            if bool(path) != bool(self.lpips):
                problems.append(f"--lpips={self.lpips} and --{name}={path}: give all three or none")
            elif path and not os.path.exists(path):
                problems.append(f"--{name}={path}: there is no such file")
        options.refuse(problems)

    def _refuse_judges(self, reason: str) -> None:
        default = EvaluationConfig()
        given = [
            f"--{name}={getattr(self, name)}"
            for name in _OF_EDITS
            if getattr(self, name) != getattr(default, name)
        ]
        if given:
            raise UserError(f"{reason} and not by other networks: leave out {', '.join(given)}.")
