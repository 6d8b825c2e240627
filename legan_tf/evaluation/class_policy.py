"""How an editor that is told action units is asked for a class, such as an expression.

No paper says how a class became action units, and what is chosen decides the figures; so the policy
is an option, and is printed beside them.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from legan_tf.data import class_vectors
from legan_tf.data.class_vectors import EXEMPLAR
from legan_tf.data.conditions import UNKNOWN, RangeCondition
from legan_tf.data.faceset import FaceSet
from legan_tf.errors import UserError
from legan_tf.evaluation.edit_plan import EditPlan, Labels, pictures_of

TRUTH = "truth"
"""The action units of the true picture: an oracle, which only rendered faces have."""
POLICIES = (*class_vectors.POLICIES, TRUTH)
_EXAMPLES = 7120


@dataclasses.dataclass(frozen=True)
class ClassPolicy:
    """What an editor is told in place of the classes that edits ask for.

    Attributes:
        condition: What it is told.
        name: One of ``POLICIES``.
        seed: Seed of the examples.
    """

    condition: RangeCondition
    name: str
    seed: int

    @classmethod
    def of(cls, editor: Any, name: str, seed: int) -> ClassPolicy | None:
        """Returns the policy of an editor; none for one that is told classes.

        Raises:
            UserError: The editor does not know what stands for classes, or FACS does not.
        """
        told = [one for one in getattr(editor, "told", ()) if isinstance(one, RangeCondition)]
        if not told:
            return None
        (condition,) = told
        if condition.classes is None:
            raise UserError(
                f"{editor.path} was trained on pictures without expressions, and does not know "
                "what to be told for one; train it on data with the column expression."
            )
        policy = cls(condition, name, seed)
        if name != TRUTH:
            for place in range(len(condition.classes.names)):
                condition.vector_of(place, name)
        return policy

    def with_plan(self, plan: EditPlan, faces: FaceSet) -> EditPlan:
        """Returns a plan with what the editor is told for each edit, and for each way back."""
        back = self.of_pictures(faces, plan.index)
        told = self.told(faces, plan.index, plan.labels)
        return dataclasses.replace(plan, told=told, told_back=back)

    def told(self, faces: FaceSet, index: np.ndarray, labels: Labels) -> Labels:
        """Returns what stands for the classes that edits ask for.

        Args:
            faces: The faces.
            index: int [n], the pictures to edit.
            labels: The labels that the edits should have, of the face set.

        Returns:
            float32 [n, N] by the name of the condition, NaN where the class is not known.

        Raises:
            UserError: There is no true picture, for ``truth``.
        """
        if self.name == TRUTH:
            rows = pictures_of(faces, faces.identity[index], labels)
            if np.any(rows < 0):
                raise UserError(
                    f"--class_policy={TRUTH}: {np.sum(rows < 0)} of {len(rows)} edits have no true "
                    "picture; choose another policy."
                )
            return self.of_pictures(faces, rows)
        by_class = self.condition.asked_by
        places = by_class.translated(labels[by_class.name], faces.names(by_class.name))
        # One number for each picture of the faces: in whatever part of a plan, it is the same.
        numbers = np.random.default_rng([_EXAMPLES, self.seed]).integers(2**31, size=len(faces))
        found = self.condition.unknown(len(index))
        for row in np.flatnonzero(places != UNKNOWN):
            number = int(numbers[index[row]]) if self.name == EXEMPLAR else 0
            found[row] = self.condition.vector_of(int(places[row]), self.name, number)
        return {self.condition.name: found}

    def of_pictures(self, faces: FaceSet, index: np.ndarray) -> Labels:
        """Returns the action units of pictures, NaN where they are not known."""
        known = faces.unit_labels()
        if known is None:
            return {self.condition.name: self.condition.unknown(len(index))}
        condition, labels = known
        return {self.condition.name: self.condition.translated(labels[index], condition.names)}

    def to_dict(self) -> dict[str, Any]:
        """Returns a description for a report."""
        return {
            "name": self.name,
            "seed": self.seed,
            "condition": self.condition.name,
            "source": self.condition.source,
        }
