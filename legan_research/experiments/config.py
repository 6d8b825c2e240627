"""Options of ``scripts/experiment.py``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from legan_tf.command_line import options
from legan_tf.command_line.options import NOT_NEGATIVE, POSITIVE, Options, between, option
from legan_tf.evaluation.config import EvaluationConfig
from legan_tf.uses.augment.config import RATING_OR_0

SIZES: Mapping[str, Mapping[str, int]] = {
    "expression": {"people": 300, "pictures": 335, "test_people": 150, "steps": 300},
    "verification": {"people": 150, "pictures": 4, "test_people": 100, "steps": 600},
}
"""Default sizes of each experiment."""
FOLDS = 10
"""Folds of people for verification, as in LFW."""
_MAX_PEOPLE = 1_000_000  # Rendered people of one seed and split.


@dataclasses.dataclass(frozen=True)
class ExperimentOptions(Options):
    """The options of ``scripts/experiment.py``; each field is a flag."""

    seeds: int = option(
        3, "expression, verification: trainings of each arm, on other people each.", limit=POSITIVE
    )
    data_seed: int = option(
        5000,
        "The first seed of the rendered people, none of whom the model may have learnt from.",
        limit=between(0, 1_000_000),
    )
    people: int = option(
        0,
        "expression, verification: rendered people to train on; 0 for 300 (expression) or 150 "
        "(verification).",
        limit=NOT_NEGATIVE,
    )
    pictures: int = option(
        0,
        "expression: real pictures of the commonest class, 0 for 335; verification: of each "
        "person, 0 for 4.",
        limit=NOT_NEGATIVE,
    )
    test_people: int = option(
        0,
        "expression, verification: rendered people to test with; 0 for 150 (expression) or 100 "
        "(verification).",
        limit=NOT_NEGATIVE,
    )
    steps: int = option(
        0,
        "expression, verification: updates of each training; 0 for 300 (expression) or 600 "
        "(verification).",
        limit=NOT_NEGATIVE,
    )
    quality_model: str = option(
        "",
        "expression, filter: run folder, .keras file or export of Q; if empty, the one that the "
        "model was trained with.",
    )
    quality_above: float = option(
        0.0,
        "expression: the lowest rating of the edits of the arm that Q chooses; 0 for the lower "
        "quartile of the ratings of all edits.",
        limit=RATING_OR_0,
    )
    rated: int = option(2000, "filter: rendered faces with known damage.", limit=POSITIVE)
    edits: int = option(2000, "filter: edits of unseen people.", limit=POSITIVE)
    judges: str = option(
        "", "filter: folder of the face judge, trained there if missing; OUTPUT/judges if empty."
    )
    judge_steps: int = option(800, "filter: updates of a face judge that is trained.")
    identity_model: str = option(
        "", "filter: a face network in the judge's place; see docs/evaluation.md."
    )
    features: str = option("face", "filter: network of FID and KID; see docs/evaluation.md.")

    def check(self, experiment: str) -> None:
        """Checks every value and every rule between values.

        Args:
            experiment: ``expression``, ``verification`` or ``filter``.

        Raises:
            UserError: Something does not fit; the message names the flags and is complete.
        """
        problems = self.problems()
        for name in ("people", "test_people"):
            if getattr(self, name) > _MAX_PEOPLE:
                problems.append(f"--{name}={getattr(self, name)}: must be at most {_MAX_PEOPLE}")
        if experiment == "verification" and 0 < self.test_people < 2 * FOLDS:
            problems.append(
                f"--test_people={self.test_people}: {FOLDS} folds of two people or more need "
                f"{2 * FOLDS}"
            )
        if experiment == "expression" and self.pictures == 1:
            problems.append("--pictures=1: no class would be rarer than the commonest; give 2")
        if experiment == "verification" and self.people == 1:
            problems.append("--people=1: there must be two or more to tell apart")
        for name in ("edits", "rated"):
            if experiment == "filter" and 0 < getattr(self, name) < 20:
                problems.append(
                    f"--{name}={getattr(self, name)}: a tenth of them is dropped; give 20 or more"
                )
        options.refuse(problems)

    def sized(self, experiment: str) -> ExperimentOptions:
        """Returns these options with the default sizes of an experiment instead of 0."""
        sizes = {n: getattr(self, n) or size for n, size in SIZES.get(experiment, {}).items()}
        return dataclasses.replace(self, **sizes)

    def for_evaluation(self, cache: str) -> EvaluationConfig:
        """Returns the configuration of the evaluation of edits.

        Args:
            cache: Folder of cached results.
        """
        shared = ("edits", "judges", "judge_steps", "identity_model", "features")
        return EvaluationConfig(
            seed=self.data_seed, cache=cache, **{name: getattr(self, name) for name in shared}
        )
