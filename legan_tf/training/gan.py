"""The training step of LEGAN and StarGAN.

``train_step`` is the order of updates, ``discriminator_loss`` and ``generator_loss`` are L_D and
L_G. The symbols are the papers': x is a real image, c its labels, ĉ those asked for,
x̂ = G(x, ĉ) the edit and G(x̂, c) the edit undone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from legan_tf import losses
from legan_tf.data import conditions
from legan_tf.data.faceset import FaceSet
from legan_tf.graph_ops.resizing import resize
from legan_tf.losses.adversarial import CHANCE, PENALTIES
from legan_tf.losses.terms import EDITOR, active_terms
from legan_tf.models import AttributeGenerator, Discriminator, FaceNetwork, QualityEstimator
from legan_tf.models.layers import PACKAGE
from legan_tf.training.options import AdversarialOptions, EditorLosses, EditorTerms
from legan_tf.training.run_folder import NETWORK_FILE
from legan_tf.training.samples import sample_grid
from legan_tf.training.trainer import Batch, Role, Trainer

ADVERSARIAL_TERMS = (
    "discriminator",
    "penalty",
    "discriminator_attributes",
    "generator",
    "attributes",
    "reconstruction",
)
"""Loss terms of every generator and its discriminator, in the training log."""
AT_CHANCE = 0.975
"""Share of the loss of guessing above which a discriminator is said to tell nothing."""

Images = dict  # of tensors, by name: what generators return


class AdversarialTrainer(Trainer):
    """Generators and discriminators, updated in turn.

    Attributes:
        adversarial: The weights of the adversarial losses.
    """

    adversarial: AdversarialOptions

    def generate(self, batch: Batch) -> Images:
        """Returns what the generators make of a batch."""
        raise NotImplementedError

    def discriminator_losses(self, batch: Batch, fake: Images) -> dict[str, tf.Tensor]:
        """Returns the losses of the discriminators, by the names of their optimizers."""
        raise NotImplementedError

    def generator_losses(self, batch: Batch, fake: Images) -> dict[str, tf.Tensor]:
        """Returns the losses of the generators, by the names of their optimizers.

        Each is differentiated for the networks of its optimizer only.
        """
        raise NotImplementedError

    def samples(self, faces: FaceSet, indices: np.ndarray) -> np.ndarray:
        """Returns a sheet, uint8 [H,W,3], of the networks' output for fixed pictures."""
        raise NotImplementedError

    # There is no control flow to convert, and looking for it takes as long as the rest of tracing.
    @tf.autograph.experimental.do_not_convert
    def train_step(self, data: Batch) -> dict[str, tf.Tensor]:
        """Updates D n_critic times, then G once, on the images that D has judged last.

        Straight-line code, as MirroredStrategy needs it.

        Args:
            data: A batch of ``editing_batches``, each value [B, n_critic, ...].

        Returns:
            The running mean of every term in ``terms``, unweighted.
        """
        n_critic = data["image"].shape[1]
        batches = [{name: v[:, step] for name, v in data.items()} for step in range(n_critic)]
        if n_critic > 1:
            # G does not change between two updates of its own: one pass for all batches but the
            # last, whose images are made under the tape.
            early = {n: tf.reshape(v[:, :-1], [-1, *v.shape[2:]]) for n, v in data.items()}
            made = {
                name: tf.reshape(values, [-1, n_critic - 1, *values.shape[1:]])
                for name, values in self.through_xla(lambda: self.generate(early)).items()
            }
            for step, batch in enumerate(batches[:-1]):
                self.update_discriminators(batch, {n: v[:, step] for n, v in made.items()})
        batch = batches[-1]
        with tf.GradientTape(persistent=True) as tape:
            fake = self.through_xla(lambda: self.generate(batch))
            with tape.stop_recording():
                self.update_discriminators(batch, fake)
            total = self.through_xla(lambda: self.generator_losses(batch, fake))
        self.apply({name: tape.gradient(total[name], self.variables_of(name)) for name in total})
        self.update_averages()
        return self.results()

    def update_discriminators(self, batch: Batch, fake: Images) -> None:
        """Updates every discriminator once."""
        fake = {name: tf.stop_gradient(images) for name, images in fake.items()}

        def gradients() -> dict[str, list[tf.Tensor]]:
            with tf.GradientTape(persistent=True) as tape:
                total = self.discriminator_losses(batch, fake)
            return {name: tape.gradient(total[name], self.variables_of(name)) for name in total}

        self.apply(self.through_xla(gradients))

    def discriminator_loss(
        self,
        D: Discriminator,
        batch: Batch,
        real: tf.Tensor,
        fake: tf.Tensor,
        beta: float = 0.0,
        prefix: str = "",
    ) -> tf.Tensor:
        """L_D = λ_adv L_adv + λ_cls L_cls(x, c) + λ_gp L_gp (StarGAN, equations 1, 2 and 5).

        Args:
            D: The discriminator.
            batch: Has the labels c of the real images, and the gradient penalty's place.
            real: float32 [B,S,S,3], x.
            fake: float32 [B,S,S,3], x̂.
            beta: Strength of the confidence penalty (Bodur et al., equation 11).
            prefix: Beginning of the terms' names in the training log.
        """
        w, count = self.adversarial, tf.shape(real)[0]
        judged = D(tf.concat([real, fake], 0), training=True)
        of_real = {name: values[:count] for name, values in judged.items()}
        of_fake = {name: values[count:] for name, values in judged.items()}

        L_adv = losses.discriminator_adversarial_loss(
            of_real["realness"], of_fake["realness"], w.adversarial
        )
        L_cls = self.classification(D, of_real, batch, beta)
        if D.fake_class:
            L_cls += self.generated_class(D, of_fake)
        total = w.adversarial_weight * self.logged_mean(f"{prefix}discriminator", L_adv)
        total += w.attribute_weight * self.logged_mean(f"{prefix}discriminator_attributes", L_cls)
        if w.penalty_weight:
            L_gp = self.lazily(lambda: self.penalty(D, real, fake, batch["alpha"]), count)
            total += w.penalty_weight * self.logged_mean(f"{prefix}penalty", L_gp)
        return total

    def penalty(
        self, D: Discriminator, real: tf.Tensor, fake: tf.Tensor, alpha: tf.Tensor
    ) -> tf.Tensor:
        """L_gp, that of WGAN-GP or R1, float32 [B]."""

        def scores(images: tf.Tensor) -> tf.Tensor:
            return D(images, training=True)["realness"]

        return PENALTIES[self.adversarial.adversarial](scores, real, fake, alpha)

    def lazily(self, penalty: Callable[[], tf.Tensor], count: tf.Tensor) -> tf.Tensor:
        """Returns a penalty in one of ``penalty_every`` steps, as many times stronger, else 0."""
        every = self.adversarial.penalty_every
        if every == 1:
            return penalty()
        due = self.g_optimizer.iterations % every == 0
        return tf.cond(due, lambda: every * penalty(), lambda: tf.zeros([count]))

    def adversarial_and_classification(
        self,
        D: Discriminator,
        fake: tf.Tensor,
        wanted: Mapping[str, tf.Tensor],
        beta: float = 0.0,
        prefix: str = "",
    ) -> tf.Tensor:
        """λ_adv L_adv + λ_cls L_cls(x̂, ĉ), the part of L_G that D decides (equations 1 and 3).

        Args:
            D: The discriminator.
            fake: float32 [B,S,S,3], x̂.
            wanted: The labels that it should have, by condition.
            beta: Strength of the confidence penalty.
            prefix: Beginning of the terms' names in the training log.
        """
        w, judged = self.adversarial, D(fake, training=True)
        L_adv = losses.generator_adversarial_loss(judged["realness"])
        L_cls = self.classification(D, judged, wanted, beta)
        total = w.adversarial_weight * self.logged_mean(f"{prefix}generator", L_adv)
        return total + w.attribute_weight * self.logged_mean(f"{prefix}attributes", L_cls)

    def classification(
        self,
        D: Discriminator,
        judged: Mapping[str, tf.Tensor],
        labels: Mapping[str, tf.Tensor],
        beta: float = 0.0,
    ) -> tf.Tensor:
        """L_cls, float32 [B], summed over the conditions that D reads."""
        terms = []
        for condition in D.conditions:
            logits, of_condition = judged[condition.name], labels[condition.name]
            term = losses.condition_loss(condition, logits, of_condition)
            if beta and condition.exclusive:
                term += beta * losses.confidence_penalty(logits, of_condition)
            terms.append(term)
        return tf.add_n(terms)

    def generated_class(self, D: Discriminator, judged: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Cross entropy, float32 [B], of the class "generated", the last of each softmax."""
        terms = []
        for condition in (one for one in D.conditions if one.exclusive):
            logits = judged[condition.name]
            generated = tf.fill([tf.shape(logits)[0]], condition.size)
            terms.append(losses.classification_loss(logits, generated))
        return tf.add_n(terms)

    def warnings(self, means: Mapping[str, float]) -> list[str]:
        """Returns a sentence for each discriminator that tells nothing; see ``Trainer``."""
        w = self.adversarial
        chance = CHANCE.get(w.adversarial)
        if chance is None or not (w.adversarial_weight and w.penalty_weight):
            return []
        return [
            f"--penalty_weight={w.penalty_weight:g}: the {name} tells real from generated no "
            f"better than by chance (guessing has a {w.adversarial} loss of {chance:g}), so L_adv "
            "trains nothing; a smaller weight lets it learn"
            for name in self.terms
            if name.endswith("discriminator") and means.get(name, 0.0) > AT_CHANCE * chance
        ]


@keras.saving.register_keras_serializable(package=PACKAGE)
class EditorGAN(AdversarialTrainer):
    """LEGAN, StarGAN and StarGAN with L_qual: they differ in the generator and the weights."""

    roles = {
        "generator": Role("g_optimizer", averaged=True, file=NETWORK_FILE),
        "discriminator": Role("d_optimizer", discriminator=True),
        "quality": Role(),
        "identity": Role(),
    }
    option_groups = {
        "adversarial": AdversarialOptions,
        "editing": EditorLosses,
        "edit_terms": EditorTerms,
    }

    def __init__(
        self,
        generator: AttributeGenerator,
        discriminator: Discriminator,
        quality: QualityEstimator | None = None,
        identity: FaceNetwork | None = None,
        adversarial: AdversarialOptions | None = None,
        editing: EditorLosses | None = None,
        edit_terms: EditorTerms | None = None,
        name: str | None = "editor_gan",
        networks: Mapping[str, keras.Model | None] | None = None,
        decays: Mapping[str, float] | None = None,
        frozen: Collection[str] = (),
    ) -> None:
        """Takes the networks.

        Args:
            generator: G.
            discriminator: D.
            quality: Q, frozen here; needed where L_qual has a weight.
            identity: The face network of L_id, frozen here; needed where L_id has a weight.
            adversarial: The weights of L_adv, L_cls, L_gp and L_rec.
            editing: The weights of L_id and L_qual.
            edit_terms: The weights of registered loss terms; see ``losses.terms``.
            name: Name of the Keras model.
            networks: Those that a subclass adds, as ``Trainer`` takes them.
            decays: Of these.
            frozen: Of these.

        Raises:
            ValueError: A weight is positive and its network is missing.
        """
        adversarial, editing = adversarial or AdversarialOptions(), editing or EditorLosses()
        for kind, network in (("quality", quality), ("identity", identity)):
            weight = getattr(editing, f"{kind}_weight")
            if weight and network is None:
                raise ValueError(f"{kind}_weight is {weight}, but there is no {kind} network")
        super().__init__(
            {
                "generator": generator,
                "discriminator": discriminator,
                "quality": quality if editing.quality_weight else None,
                "identity": identity if editing.identity_weight else None,
                **(networks or {}),
            },
            {"generator": adversarial.ema_decay, **(decays or {})},
            frozen,
            name,
        )
        self.adversarial, self.editing = adversarial, editing
        self.edit_terms = edit_terms or EditorTerms()

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the losses that ``train_step`` reports."""
        names = list(ADVERSARIAL_TERMS)
        names += ["identity"] * bool(self.editing.identity_weight)
        names += ["naturalness", "preservation"] * bool(self.editing.quality_weight)
        return (*names, *(term.name for term in active_terms(EDITOR, self.edit_terms)))

    def samples(self, faces: FaceSet, indices: np.ndarray) -> np.ndarray:
        """Returns ``sample_grid`` of the generator, or of its average."""
        return sample_grid(self.used("generator"), faces, indices)

    def generate(self, batch: Batch) -> Images:
        """x̂ = G(x, ĉ), as ``edited``, and what else G returns, such as LEGAN's masks."""
        G = self.generator
        asked = {one.name: batch[f"target_{one.name}"] for one in G.conditions}
        made = dict(G({"image": batch["image"], **G.codes(asked)}, training=True))
        return {"edited": made.pop("image"), **made}

    def discriminator_losses(self, batch: Batch, fake: Images) -> dict[str, tf.Tensor]:
        """L_D."""
        D = self.discriminator
        return {"d_optimizer": self.discriminator_loss(D, batch, batch["image"], fake["edited"])}

    def generator_losses(self, batch: Batch, fake: Images) -> dict[str, tf.Tensor]:
        """L_G."""
        return {"g_optimizer": self.generator_loss(batch, fake)}

    def generator_loss(self, batch: Batch, fake: Images) -> tf.Tensor:
        """L_G = λ_adv L_adv + λ_cls L_cls + λ_rec L_rec + λ_id L_id + λ_qual L_qual (LEGAN, 4).

        StarGAN's, equation 6, is the first three.
        """
        G, Q, F = self.generator, self.quality, self.identity
        w, x, edited = self.editing, batch["image"], fake["edited"]
        total = self.adversarial_and_classification(self.discriminator, edited, self.wanted(batch))
        back = dict(G({"image": edited, **G.codes(batch)}, training=True))
        undone = back.pop("image")
        undoable = self.undoable(batch)
        L_rec = tf.where(undoable, losses.reconstruction_loss(x, undone), 0.0)
        total += self.adversarial.reconstruction_weight * self.logged_mean("reconstruction", L_rec)
        if w.identity_weight:
            L_id = losses.identity_loss(_read_by(F, x), _read_by(F, edited))
            total += w.identity_weight * self.logged_mean("identity", L_id)
        if w.quality_weight:
            natural = losses.quality_naturalness_loss(_read_by(Q, edited), w.quality_target)
            kept = losses.quality_preservation_loss(_read_by(Q, x), _read_by(Q, undone))
            L_qual = self.logged_mean("naturalness", natural)
            L_qual += self.logged_mean("preservation", tf.where(undoable, kept, 0.0))
            total += w.quality_weight * L_qual
        tensors = {**fake, "original": x, "reconstructed": undone, "undoable": undoable}
        for term in active_terms(EDITOR, self.edit_terms):
            weight = getattr(self.edit_terms, term.weight)
            total += weight * self.logged_mean(term.name, term.function(tensors))
        return total + self.further_losses(fake, back, undoable)

    def further_losses(self, fake: Images, back: Images, undoable: tf.Tensor) -> tf.Tensor | float:
        """Returns the weighted losses of what a generator makes beside images; none here.

        Args:
            fake: What it made of the edits.
            back: What it made beside the image where it undid them.
            undoable: bool [B], whether an edit can be undone.
        """
        return 0.0

    def wanted(self, batch: Batch) -> dict[str, tf.Tensor]:
        """The labels that edits should have: ĉ, and c where ĉ leaves a condition as it is."""
        return {
            one.name: conditions.wanted(batch[one.name], batch[f"target_{one.name}"])
            for one in self.generator.conditions
        }

    def undoable(self, batch: Batch) -> tf.Tensor:
        """Whether edits can be undone, bool [B]: what was changed is known of the source."""
        return tf.reduce_all(
            [
                conditions.known(batch[one.name], batch[f"target_{one.name}"])
                for one in self.generator.conditions
            ],
            0,
        )


def _read_by(network: Any, images: tf.Tensor) -> tf.Tensor:
    """What a network reads in images, resized to its size."""
    size = network.image_size
    if images.shape[1] != size:
        images = resize(images, (size, size), "triangle")
    return network(images)
