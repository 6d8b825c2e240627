"""What augmentation can be told, once: as a dataclass and as flags."""

from __future__ import annotations

import dataclasses

from legan_tf import options
from legan_tf.options import option

POLICIES = ("balance", "vary")


@dataclasses.dataclass(frozen=True)
class AugmentOptions:
    """The options of ``scripts/augment.py``; each field is a flag."""

    policy: str = option(
        "balance",
        "balance: fill rare expressions of train up to the commonest; vary: one edit of each "
        "picture of train, same person, expression and light drawn.",
        POLICIES,
    )
    quality_model: str = option("", "Run folder, .keras file or export of a Q to rate the edits.")
    quality_above: float = option(
        0.0, "Take only edits that Q rates at least so, 1 to 10; 0 to take all."
    )
    tries: int = option(
        4, "With --quality_above: edits to try for each that is wanted, on average of a class."
    )
    batch_size: int = option(64, "Edits made, and after a stop repeated, together.")
    seed: int = option(
        0, "Seed of sources and targets, and of the split where the manifest has none."
    )

    def check(self) -> None:
        """Checks every value and every rule between values.

        Raises:
            UserError: Something does not fit; the message names the flags and is complete.
        """
        problems = options.wrong_values(self)
        if self.quality_above and not self.quality_model:
            problems.append(
                f"--quality_above={self.quality_above:g} needs --quality_model, which rates the "
                "edits"
            )
        if self.quality_above and not 1 <= self.quality_above <= 10:
            problems.append(f"--quality_above={self.quality_above:g}: ratings are 1 to 10")
        for name in ("tries", "batch_size"):
            if getattr(self, name) < 1:
                problems.append(f"--{name}={getattr(self, name)}: must be more than 0")
        if self.seed < 0:
            problems.append(f"--seed={self.seed}: must not be negative")
        options.refuse(problems)
