"""Options of ``scripts/augment.py``."""

from __future__ import annotations

import dataclasses

from legan_tf.command_line.options import NOT_NEGATIVE, POSITIVE, Limit, Options, option

POLICIES = ("balance", "vary")
RATING_OR_0 = Limit(lambda value: not value or 1 <= value <= 10, "ratings are 1 to 10")


@dataclasses.dataclass(frozen=True)
class AugmentOptions(Options):
    """The options of ``scripts/augment.py``; each field is a flag."""

    policy: str = option(
        "balance",
        "balance: fill rare expressions of train (what the model edits first) up to the commonest; "
        "vary: one edit of each picture of train, same person, expression and light drawn.",
        POLICIES,
    )
    quality_model: str = option("", "Run folder, .keras file or export of a Q to rate the edits.")
    quality_above: float = option(
        0.0,
        "Minimum rating by Q of an edit, 1 to 10; 0 to take all.",
        limit=RATING_OR_0,
    )
    tries: int = option(
        4,
        "With --quality_above: edits tried for each one wanted, on average of a class.",
        limit=POSITIVE,
    )
    batch_size: int = option(64, "Batch size; an interrupted batch is repeated.", limit=POSITIVE)
    seed: int = option(
        0,
        "Seed of sources and targets, and of the split where the manifest has none.",
        limit=NOT_NEGATIVE,
    )

    def problems(self) -> list[str]:
        """Returns a sentence for each rule that the values break."""
        problems = super().problems()
        if self.quality_above and not self.quality_model:
            problems.append(
                f"--quality_above={self.quality_above:g} needs --quality_model, which rates the "
                "edits"
            )
        return problems
