"""Everything that a training run can be told, once: as a dataclass and as flags."""

from __future__ import annotations

import dataclasses
import os

from absl import flags

from legan_tf import options
from legan_tf.errors import UserError
from legan_tf.options import option, parse_crop

MODELS = ("legan", "stargan", "quality", "identity", "classifier", "depth")
GANS = ("legan", "stargan")
"""The editors."""
ADVERSARIAL = (*GANS, "depth")
"""What is trained against a discriminator."""
SUPERVISED = ("quality", "identity", "classifier")
"""What is trained on labels alone."""
DATASETS = ("rendered", "manifest")
EXPRESSION_SETS = ("multipie", "affectnet")
PRECISIONS = ("float32", "bfloat16")


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """The options of ``scripts/train.py``; each field is a flag of the same name."""

    model: str = option(
        "legan",
        "What to train. The defaults are LEGAN's; StarGAN's are in configs/stargan.flags.",
        MODELS,
    )
    workdir: str = option("", "Run folder; a run that is there already is resumed.", free=True)
    dataset: str = option("rendered", "Faces rendered by this package, or a manifest.", DATASETS)
    manifest: str = option("", "CSV file of --dataset=manifest; see docs/data.md.")
    data_dir: str = option(
        "", "Folder that the manifest's paths start from; its own if empty.", free=True
    )
    crop: str = option(
        "", "left,top,right,bottom as fractions of each image, cut out before it is made square."
    )
    image_size: int = option(128, "Height and width of the images in pixels.")
    people: int = option(200, "Rendered people to train on.")
    expressions: str = option("multipie", "Expression classes of rendered faces.", EXPRESSION_SETS)
    merge_flashless: bool = option(
        True, "Make Multi-PIE's two flashless shots, which are alike, one class: 19 of 20 remain."
    )
    edit_lighting: bool = option(
        True, "Whether the editor learns light too; without, lighting labels are not looked at."
    )
    batch_size: int = option(16, "Global batch size, over all replicas.")
    train_steps: int = option(
        40_000,
        "Generator updates (LEGAN, StarGAN, depth) or updates (the other models).",
        free=True,
    )
    seed: int = option(0, "Seed of data, weights and draws.")
    precision: str = option(
        "float32", "Arithmetic of the layers; weights stay float32.", PRECISIONS
    )
    replicas: int = option(
        0, "Replicas of MirroredStrategy; 0 for all GPUs, or one CPU replica.", free=True
    )
    deterministic: bool = option(
        False, "Make every operation repeatable bit for bit; slower on a GPU.", free=True
    )
    steps_per_execution: int = option(1, "Steps between returns to Python.", free=True)
    dry_run: bool = option(
        False, "Check everything, print the plan and stop; writes nothing.", free=True
    )
    log_every: int = option(100, "Steps between lines of metrics.jsonl.", free=True)
    sample_every: int = option(1000, "Steps between sample pictures.", free=True)
    checkpoint_every: int = option(1000, "Steps between checkpoints.", free=True)
    keep_checkpoints: int = option(3, "Checkpoints to keep.", free=True)

    start_from: str = option(
        "",
        "Q, identity network, classifier: run folder or .keras file of one of the same form, whose "
        "weights training begins with; random weights if empty.",
    )
    learning_rate: float = option(1e-4, "Adam's learning rate, of both networks.")
    beta_1: float = option(0.5, "Adam's first decay.")
    beta_2: float = option(0.999, "Adam's second decay.")
    schedule: str = option(
        "linear",
        "Constant then linear to 0; what StarGAN's released code does; or constant.",
        ("linear", "stargan", "constant"),
    )

    width: int = option(64, "Generator: channels at full size.")
    blocks: int = option(6, "Generator: residual blocks of each hourglass.")
    mask_channels: int = option(64, "LEGAN: channels of each mask.")
    image_to_synthesis: bool = option(
        False, "LEGAN: the synthesis hourglass also sees the image (ours)."
    )
    output: str = option(
        "direct",
        "Generator: paint the image, or give a gain and an offset per pixel (ours).",
        ("direct", "affine"),
    )
    upsampling: str = option(
        "",
        "Generator: how it doubles the size; empty for LEGAN's pixelshuffle or StarGAN's "
        "transposed.",
        ("", "pixelshuffle", "nearest", "transposed"),
    )
    stem: bool = option(True, "Generator: 7 x 7 convolutions at full size at both ends.")
    d_width: int = option(64, "Discriminator: channels of the first convolution.")
    d_depth: int = option(6, "Discriminator: convolutions.")
    fake_class: bool = option(
        False, "Discriminator: a class 'generated' in each attribute head (ours)."
    )

    critic_steps: int = option(5, "Discriminator updates for each generator update.")
    adversarial: str = option("wgan-gp", "Adversarial loss.", ("wgan-gp", "hinge"))
    adversarial_weight: float = option(1.0, "Weight of L_adv.")
    attribute_weight: float = option(1.0, "Weight of L_cls.")
    reconstruction_weight: float = option(10.0, "Weight of L_rec.")
    identity_weight: float = option(10.0, "Weight of L_id; 0 needs no identity network.")
    quality_weight: float = option(1.0, "Weight of L_qual; 0 needs no Q.")
    quality_target: float = option(8.0, "Rating from 1 to 10 that L_qual pulls to.")
    penalty_weight: float = option(10.0, "Weight of the gradient penalty, or of R1 with hinge.")
    penalty_every: int = option(1, "Generator steps between penalties, each then as much stronger.")
    ema_decay: float = option(0.999, "Decay of the averaged generator; 0 for none.")
    keep_share: float = option(
        0.0, "Share of targets that leave an attribute as it is (ours); lets edits name only one."
    )
    balance: bool = option(True, "Let the expressions take turns in training.")

    depth_weight: float = option(
        0.0,
        "LEGAN, StarGAN: weight of what the depth discriminator says of an edit's depth (Bodur et "
        "al.); 0 needs no depth network and no maps.",
    )
    geometry: str = option(
        "depth",
        "Depth network: whether its maps show depth or surface normals.",
        ("depth", "normal"),
    )
    depth_model: str = option(
        "",
        "Run folder of --model=depth; if empty, a depth network is trained first, with the data "
        "and sizes of the run.",
    )
    freeze_depth: bool = option(
        False, "Keep the depth network as it is while it guides; its discriminator goes on."
    )
    confidence_penalty: float = option(
        0.0, "Depth discriminator: strength of the penalty on being sure of an expression."
    )
    pixel_weight: float = option(100.0, "Depth network: weight of L_pix to true maps.")
    perceptual_weight: float = option(
        1.0, "Depth network: weight of L_per to true maps; 0 needs no VGG19."
    )
    vgg_weights: str = option(
        "imagenet",
        "Depth network: VGG19 of L_per: imagenet, as Keras downloads it; the path of that file; "
        "or random, for trials.",
    )
    depth_supervision: float = option(
        0.0,
        "Guided by depth: factor on L_pix and L_per, which keep the depth network to true maps "
        "(ours).",
    )
    depth_cycle_to_editor: bool = option(
        False, "Guided by depth: the depth network's L_rec teaches the editor too."
    )

    quality_model: str = option(
        "",
        "Run folder or .keras file of Q; if empty, a small Q is trained on rendered faces first.",
    )
    identity_model: str = option(
        "",
        "Run folder or .keras file of a face network; if empty, a small one is trained first.",
    )
    auxiliary_steps: int = option(600, "Updates of each network that is trained first.")
    rated_faces: int = option(8000, "Q on rendered faces: damaged pictures to rate.")
    q_width: int = option(64, "Q: channels of the first convolution.")
    q_depth: int = option(6, "Q: convolutions.")
    fc_activation: str = option(
        "none", "Q: activation of the first dense layer.", ("none", "lrelu")
    )
    margin: str = option(
        "epsilon",
        "Q: variant of the margin loss; see legan_tf.losses.margin_loss.",
        (
            "epsilon",
            "epsilon-squared",
            "squared-minus-variance",
            "squared-minus-std",
            "relative",
        ),
    )
    identity_width: float = option(1.0, "Identity network: factor on LightCNN-29's channels.")
    classifier_width: int = option(24, "Classifier: channels of the first convolution.")
    flip: bool = option(
        False, "Mirror half of the images; not for classifiers and editors of light."
    )
    zoom: float = option(
        1.0,
        "Q and identity: train on random parts of the images, magnified up to so many times, 1 to "
        "8; 1 for whole images.",
    )

    @property
    def loaded_size(self) -> int:
        """Height and width of the images to train on, in pixels: enough for what is magnified."""
        return round(self.image_size * self.zoom)

    @property
    def learns_lighting(self) -> bool:
        """Whether labels of light are looked at."""
        return self.model != "depth" and (self.model not in GANS or self.edit_lighting)

    @property
    def map_kind(self) -> str:
        """``depth`` or ``normal`` where training needs such maps, else empty."""
        guided = self.model in GANS and self.depth_weight
        return self.geometry if self.model == "depth" or guided else ""

    @property
    def needs_vgg(self) -> bool:
        """Whether training compares maps in the features of VGG19."""
        guided = self.map_kind and self.depth_supervision and not self.freeze_depth
        return bool(self.perceptual_weight and (self.model == "depth" or guided))

    def to_flagfile(self) -> str:
        """Returns the text of a flag file that gives this configuration."""
        lines = []
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            text = str(value).lower() if isinstance(value, bool) else str(value)
            lines.append(f"--{field.name}={text}\n")
        return "".join(lines)

    def check(self) -> None:
        """Checks every value and every rule between values.

        Raises:
            UserError: Something does not fit; the message names the flags and is complete.
        """
        problems = options.wrong_values(self)
        positive = ("image_size", "people", "batch_size", "train_steps", "steps_per_execution",
                    "log_every", "sample_every", "checkpoint_every", "keep_checkpoints",
                    "width", "mask_channels", "d_width", "d_depth", "critic_steps",
                    "penalty_every", "auxiliary_steps", "rated_faces", "q_width", "q_depth",
                    "classifier_width", "learning_rate", "identity_width")  # fmt: skip
        problems += [
            f"--{name}={getattr(self, name)}: must be more than 0"
            for name in positive
            if not getattr(self, name) > 0
        ]
        not_negative = ("seed", "replicas", "blocks", "adversarial_weight", "attribute_weight",
                        "reconstruction_weight", "identity_weight", "quality_weight",
                        "penalty_weight", "depth_weight", "confidence_penalty", "pixel_weight",
                        "perceptual_weight", "depth_supervision")  # fmt: skip
        problems += [
            f"--{name}={getattr(self, name)}: must not be negative"
            for name in not_negative
            if not getattr(self, name) >= 0
        ]
        problems += [
            f"--{name}={getattr(self, name)}: must be at least 0 and less than 1"
            for name in ("beta_1", "beta_2", "ema_decay", "keep_share")
            if not 0 <= getattr(self, name) < 1
        ]
        if not 1 <= self.quality_target <= 10:
            problems.append(f"--quality_target={self.quality_target}: ratings are 1 to 10")
        if not self.workdir:
            problems.append("--workdir: name the run folder")
        if self.dataset == "manifest" and not self.manifest:
            problems.append("--dataset=manifest needs --manifest=FILE")
        if self.dataset == "rendered" and (self.manifest or self.crop):
            problems.append("--manifest and --crop belong to --dataset=manifest")
        try:
            parse_crop(self.crop)
        except UserError as error:
            problems.append(str(error))
        if self.seed >= 2**31:
            problems.append(f"--seed={self.seed}: must be less than 2**31")
        if self.dataset == "rendered" and 0 < self.image_size < 16:
            problems.append(f"--image_size={self.image_size}: rendered faces need 16 or more")
        if self.people > 1_000_000:
            problems.append(f"--people={self.people}: there are 1,000,000 to render at most")
        if self.replicas > 0 and self.batch_size % self.replicas:
            problems.append(
                f"--batch_size={self.batch_size} must be a multiple of --replicas={self.replicas}"
            )
        for name in ("train_steps", "log_every", "sample_every", "checkpoint_every"):
            if self.steps_per_execution > 0 and getattr(self, name) % self.steps_per_execution:
                problems.append(
                    f"--{name}={getattr(self, name)} must be a multiple of "
                    f"--steps_per_execution={self.steps_per_execution}"
                )
        halvings = {**dict.fromkeys(ADVERSARIAL, self.d_depth), "quality": self.q_depth}
        depth = halvings.get(self.model)
        if depth is not None and depth > 0 and self.image_size % 2**depth:
            flag = "q_depth" if self.model == "quality" else "d_depth"
            problems.append(
                f"--image_size={self.image_size} cannot be halved --{flag}={depth} times"
            )
        if self.model in ADVERSARIAL and self.image_size % 4:
            problems.append(f"--image_size={self.image_size} must be a multiple of 4")
        if self.model in ADVERSARIAL and 0 < self.image_size < 8:
            problems.append(f"--image_size={self.image_size} must be 8 or more")
        if self.model == "classifier" and self.image_size & (self.image_size - 1):
            problems.append(f"--image_size={self.image_size} must be a power of two here")
        uses_identity = self.model == "identity" or (
            self.model in GANS and self.identity_weight and not self.identity_model
        )
        if uses_identity and self.image_size % 16:
            problems.append(f"--image_size={self.image_size} must be a multiple of 16 for LightCNN")
        lit = self.model == "classifier" or (self.model in GANS and self.edit_lighting)
        if self.flip and lit:
            problems.append(f"--flip would put the light on the wrong side for {self.model}")
        if self.model == "legan" and not self.edit_lighting:
            problems.append("--noedit_lighting belongs to stargan: LEGAN is made for both")
        if self.freeze_depth and self.depth_supervision:
            problems.append("--depth_supervision teaches what --freeze_depth keeps as it is")
        downloaded = self.vgg_weights in ("imagenet", "random")
        if self.needs_vgg and not downloaded and not os.path.isfile(self.vgg_weights):
            problems.append(
                f"--vgg_weights={self.vgg_weights}: there is no such file; imagenet and random "
                "need none"
            )
        if self.depth_weight and self.model not in GANS:
            problems.append(f"--depth_weight guides editors, not {self.model}")
        if self.needs_vgg and self.image_size < 16:
            problems.append(f"--image_size={self.image_size}: VGG19 needs 16 or more")
        if self.start_from and self.model not in SUPERVISED:
            problems.append(f"--start_from belongs to {', '.join(SUPERVISED)}, not to {self.model}")
        start = os.path.realpath(self.start_from)
        if self.start_from and os.path.realpath(self.workdir) in (start, os.path.dirname(start)):
            problems.append(
                f"--start_from={self.start_from} is in --workdir, which would be written over; "
                "name another --workdir"
            )
        if not 1 <= self.zoom <= 8:
            problems.append(f"--zoom={self.zoom:g}: must be 1 to 8")
        elif self.zoom > 1 and self.model not in ("quality", "identity"):
            problems.append(f"--zoom belongs to quality and identity, not to {self.model}")
        options.refuse(problems)


def from_flagfile(path: str) -> TrainConfig:
    """Reads a flag file, a run's ``flags.txt`` say.

    Raises:
        UserError: The file is missing, or holds what is no flag of training.
    """
    if not os.path.isfile(path):
        raise UserError(f"{path}: there is no such flag file")
    values = flags.FlagValues()
    options.define_flags(TrainConfig, values)
    try:
        values(["", f"--flagfile={path}"])
    except flags.Error as error:
        raise UserError(f"{path}: {error}") from error
    return options.from_flags(TrainConfig, values)
