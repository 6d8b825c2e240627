"""Groups of training options that several systems share."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from legan_tf.command_line.options import (
    BELOW_ONE,
    NOT_NEGATIVE,
    POSITIVE,
    Options,
    between,
    listed,
    option,
    parse_crop,
)
from legan_tf.errors import UserError
from legan_tf.losses.adversarial import PENALTIES
from legan_tf.losses.terms import EDITOR, term_options

DATASETS = ("rendered", "manifest")
EXPRESSION_SETS = ("multipie", "affectnet")
AUTO = "auto"
PRECISIONS = ("float32", "bfloat16")
"""Arithmetic of a run; without float16, whose losses would have to be scaled."""


@dataclasses.dataclass(frozen=True)
class RunOptions(Options):
    """The run folder, the length of the run, and the device."""

    workdir: str = option("", "Run folder; a run that is there already is resumed.", free=True)
    batch_size: int = option(16, "Global batch size, over all replicas.", limit=POSITIVE)
    train_steps: int = option(
        40_000,
        "Training steps: updates of the network, of the generator where there is a discriminator.",
        free=True,
        limit=POSITIVE,
    )
    seed: int = option(0, "Seed of data, weights and draws.", limit=NOT_NEGATIVE)
    precision: str = option(
        "float32",
        "Arithmetic of the layers; weights stay float32. bfloat16: for NVIDIA GPUs since Ampere "
        "(compute capability 8.0) and processors with AMX; elsewhere float32 may be faster. "
        "auto: bfloat16 where a step takes a tenth less time than in float32, measured at the "
        "start.",
        (*PRECISIONS, AUTO),
    )
    tensor_float_32: bool = option(
        True,
        "Let GPUs since Ampere round what they multiply to TensorFloat-32; never with "
        "--deterministic, nor when a network is judged.",
        free=True,
    )
    replicas: int = option(
        0,
        "Replicas of MirroredStrategy; 0 for all GPUs, or one CPU replica.",
        free=True,
        limit=NOT_NEGATIVE,
    )
    deterministic: bool = option(
        False, "Make every operation repeatable bit for bit; slower on a GPU.", free=True
    )
    xla: bool = option(
        False,
        "Compile losses and gradients with XLA; for GPUs, on processors several times slower.",
        free=True,
    )
    steps_per_execution: int = option(
        1, "Steps between returns to Python.", free=True, limit=POSITIVE
    )
    dry_run: bool = option(
        False, "Check everything, print the plan and stop; writes nothing.", free=True
    )
    log_every: int = option(100, "Steps between lines of metrics.jsonl.", free=True, limit=POSITIVE)
    sample_every: int = option(1000, "Steps between sample pictures.", free=True, limit=POSITIVE)
    checkpoint_every: int = option(1000, "Steps between checkpoints.", free=True, limit=POSITIVE)
    keep_checkpoints: int = option(3, "Checkpoints to keep.", free=True, limit=POSITIVE)

    def problems(self) -> list[str]:
        """Adds the rules of the run."""
        problems = super().problems()
        if not self.workdir:
            problems.append("--workdir: name the run folder")
        if self.seed >= 2**31:
            problems.append(f"--seed={self.seed}: must be less than 2**31")
        if self.replicas > 0 and self.batch_size % self.replicas:
            problems.append(
                f"--batch_size={self.batch_size} must be a multiple of --replicas={self.replicas}"
            )
        if self.xla and self.deterministic:
            problems.append(
                "--xla does not go with --deterministic: what it compiles may round otherwise "
                "at the next start; leave one of them out"
            )
        for name in ("train_steps", "log_every", "sample_every", "checkpoint_every"):
            if self.steps_per_execution > 0 and getattr(self, name) % self.steps_per_execution:
                problems.append(
                    f"--{name}={getattr(self, name)} must be a multiple of "
                    f"--steps_per_execution={self.steps_per_execution}"
                )
        return problems


@dataclasses.dataclass(frozen=True)
class DataOptions(Options):
    """The faces to train on."""

    image_size: int = option(128, "Height and width of the images in pixels.", limit=POSITIVE)
    dataset: str = option("rendered", "Faces rendered by this package, or a manifest.", DATASETS)
    manifest: str = option("", "CSV file of --dataset=manifest; see docs/data.md.")
    data_dir: str = option(
        "", "Folder that the manifest's paths start from; its own if empty.", free=True
    )
    crop: str = option(
        "", "left,top,right,bottom as fractions of each image, cut out before it is made square."
    )
    memory_gib: float = option(
        4.0,
        "Most memory for the pictures and maps of a manifest's split, in GiB; a larger one is read "
        "from its files as it is needed.",
        free=True,
        limit=NOT_NEGATIVE,
    )
    check_again: bool = option(
        False,
        "Check every picture of the manifest, also those that an earlier check has found whole and "
        "that have the same size and time.",
        free=True,
    )
    people: int = option(200, "Rendered people to train on.", limit=POSITIVE)
    expressions: str = option("multipie", "Expression classes of rendered faces.", EXPRESSION_SETS)
    lights: str = option(
        "", "CSV of lights to show rendered faces in, in place of Multi-PIE's; see docs/data.md."
    )
    snapshots: bool = option(
        False,
        "Rendered faces as in snapshots: turned heads, expressions weak to strong, glasses, busy "
        "backgrounds, a camera's noise and compression (ours).",
    )
    layers: str = option(
        "",
        "Folder of photographs, of one person each, that give rendered people their hair, neck, "
        "clothes and background; see docs/data.md (ours).",
    )
    merge_flashless: bool = option(
        True, "Make Multi-PIE's two flashless shots, which are alike, one class: 19 of 20 remain."
    )
    flip: bool = option(
        False, "Mirror half of the images; not for classifiers and editors of light."
    )

    @property
    def memory_bytes(self) -> int:
        """Most memory for the pictures and maps of a split."""
        return int(self.memory_gib * 2**30)

    def problems(self) -> list[str]:
        """Adds the rules of the data."""
        problems = super().problems()
        if self.dataset == "manifest" and not self.manifest:
            problems.append("--dataset=manifest needs --manifest=FILE")
        if self.dataset == "manifest" and (self.lights or self.snapshots or self.layers):
            problems.append("--lights, --snapshots and --layers belong to --dataset=rendered")
        if self.dataset == "rendered" and (self.manifest or self.crop):
            problems.append("--manifest and --crop belong to --dataset=manifest")
        try:
            parse_crop(self.crop)
        except UserError as error:
            problems.append(str(error))
        if self.dataset == "rendered" and 0 < self.image_size < 16:
            problems.append(f"--image_size={self.image_size}: rendered faces need 16 or more")
        if self.people > 1_000_000:
            problems.append(f"--people={self.people}: there are 1,000,000 to render at most")
        return problems


@dataclasses.dataclass(frozen=True)
class OptimizerOptions(Options):
    """Adam and its learning rate."""

    learning_rate: float = option(1e-4, "Adam's learning rate, of all networks.", limit=POSITIVE)
    beta_1: float = option(0.5, "Adam's first decay.", limit=BELOW_ONE)
    beta_2: float = option(0.999, "Adam's second decay.", limit=BELOW_ONE)
    schedule: str = option(
        "linear",
        "Constant for half of the run then linear to 0; what StarGAN's released code does; "
        "GANimation's, linear after two thirds; or constant.",
        ("linear", "stargan", "ganimation", "constant"),
    )


@dataclasses.dataclass(frozen=True)
class HourglassOptions(Options):
    """The generator's hourglass networks."""

    width: int = option(64, "Generator: channels at full size.", limit=POSITIVE)
    blocks: int = option(6, "Generator: residual blocks of each hourglass.", limit=NOT_NEGATIVE)
    upsampling: str = option(
        "",
        "Generator: how it doubles the size; empty for LEGAN's pixelshuffle or StarGAN's "
        "transposed.",
        ("", "pixelshuffle", "nearest", "transposed"),
    )
    stem: bool = option(True, "Generator: 7 x 7 convolutions at full size at both ends.")


@dataclasses.dataclass(frozen=True)
class DiscriminatorOptions(Options):
    """The discriminator's size."""

    d_width: int = option(64, "Discriminator: channels of the first convolution.", limit=POSITIVE)
    d_depth: int = option(6, "Discriminator: convolutions.", limit=POSITIVE)
    fake_class: bool = option(
        False, "Discriminator: a class 'generated' in each head of classes (ours)."
    )


@dataclasses.dataclass(frozen=True)
class AdversarialOptions(Options):
    """The losses of every system with a discriminator, and how its networks take turns."""

    adversarial: str = option("wgan-gp", "Adversarial loss.", tuple(PENALTIES))
    adversarial_weight: float = option(1.0, "Weight of L_adv.", limit=NOT_NEGATIVE)
    attribute_weight: float = option(1.0, "Weight of L_cls.", limit=NOT_NEGATIVE)
    reconstruction_weight: float = option(10.0, "Weight of L_rec.", limit=NOT_NEGATIVE)
    penalty_weight: float = option(
        10.0, "Weight of the gradient penalty, or of R1 with hinge.", limit=NOT_NEGATIVE
    )
    penalty_every: int = option(
        1, "Generator steps between penalties, each then as much stronger.", limit=POSITIVE
    )
    critic_steps: int = option(
        5, "Discriminator updates for each generator update, n_critic.", limit=POSITIVE
    )
    ema_decay: float = option(
        0.999, "Decay of the generator's moving average (EMA); 0 for none.", limit=BELOW_ONE
    )
    balance: bool = option(
        True, "Let the classes of the first condition, the expressions, take turns in training."
    )


@dataclasses.dataclass(frozen=True)
class ConditionOptions(Options):
    """The conditions that an editor is told and a discriminator reads."""

    conditions: str = option(
        "expression,lighting",
        "Labels to learn, with commas: expression, lighting, and attributes, which are there or "
        "not.",
    )
    attributes: str = option(
        "", "Of the condition attributes, those to learn, with commas; all of the data if empty."
    )

    @property
    def condition_names(self) -> tuple[str, ...]:
        """The conditions, in order."""
        return tuple(listed(self.conditions))

    def problems(self) -> list[str]:
        """Adds the rules of names."""
        problems = super().problems()
        for flag, given in (("conditions", self.conditions), ("attributes", self.attributes)):
            found = listed(given)
            if len(set(found)) < len(found):
                problems.append(f"--{flag}={given}: names one of them twice")
        if not self.condition_names:
            problems.append("--conditions: name at least one")
        if self.attributes and "attributes" not in self.condition_names:
            problems.append("--attributes needs attributes among --conditions")
        return problems


@dataclasses.dataclass(frozen=True)
class EditorLosses(Options):
    """LEGAN's losses beyond StarGAN's."""

    identity_weight: float = option(
        10.0, "Weight of L_id; 0 needs no identity network.", limit=NOT_NEGATIVE
    )
    quality_weight: float = option(1.0, "Weight of L_qual; 0 needs no Q.", limit=NOT_NEGATIVE)
    quality_target: float = option(
        8.0, "Rating from 1 to 10 that L_qual pulls to.", limit=between(1, 10)
    )


if TYPE_CHECKING:
    EditorTerms = Options
else:
    EditorTerms = term_options(EDITOR)
