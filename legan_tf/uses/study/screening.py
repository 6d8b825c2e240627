"""Who answered with care, by rules that are told."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Sequence

import numpy as np

from legan_tf.evaluation.metrics.ratings import NATURAL
from legan_tf.uses.study.answers import Answer
from legan_tf.uses.study.config import FEWEST, ScreenOptions
from legan_tf.uses.study.design import BROKEN, REAL, REPEAT, Question
from legan_tf.uses.study.study_file import Study

_FEWEST_ALIKE = 10
"""Answers of a kind that must be there before all being the same means something."""


@dataclasses.dataclass(frozen=True)
class Rater:
    """What can be told of one person; numbers are NaN where there is nothing to tell them from.

    Attributes:
        name: Their number and token, or worker's id.
        answers: How many questions they answered.
        asked: How many they were asked.
        controls: How many of them were controls.
        controls_right: Share of the controls that were answered as it is obvious.
        repeat_gap: Mean absolute difference of two ratings of one picture.
        repeat_same: Share of the choices that came again which were answered alike.
        seconds: Median time of an answer.
        same_rating: Share of the commonest rating among their ratings.
        same_place: Share of the commonest place among their choices.
        reasons: Why their answers do not count; empty if they do.
    """

    name: str
    answers: int
    asked: int
    controls: int
    controls_right: float
    repeat_gap: float
    repeat_same: float
    seconds: float
    same_rating: float
    same_place: float
    reasons: tuple[str, ...] = ()


def screen(study: Study, answers: Sequence[Answer], options: ScreenOptions) -> dict[str, Rater]:
    """Looks at each person's answers by themselves.

    Args:
        study: What they were asked.
        answers: Of all people, one to each question at most.
        options: The limits.

    Returns:
        By name, in the order of the names.
    """
    whose: dict[str, list[Answer]] = collections.defaultdict(list)
    for answer in answers:
        whose[answer.rater].append(answer)
    return {name: _judged(study, name, whose[name], options) for name in sorted(whose)}


def repeats(study: Study, answers: Sequence[Answer]) -> tuple[list[int], list[bool]]:
    """Compares the answers to questions that came again.

    Args:
        study: What was asked.
        answers: Of one person or more.

    Returns:
        The absolute difference of each two ratings, and of each two choices whether they are alike.
    """
    given = {(a.rater, a.list, a.trial): a.value for a in answers}
    gaps, alike = [], []
    for answer in answers:
        question = study.lists[answer.list][answer.trial]
        first = given.get((answer.rater, answer.list, question.of))
        if question.role == REPEAT and first is not None:
            if question.is_choice:
                alike.append(answer.value == first)
            else:
                gaps.append(abs(answer.value - first))
    return gaps, alike


def answered_right(question: Question, value: str | int) -> bool | None:
    """Returns whether a control was answered as it is obvious; nothing of other questions."""
    if question.role == REAL:
        return value >= NATURAL
    if question.role == BROKEN:
        return value < NATURAL
    return value == question.right if question.right else None


def _judged(study: Study, name: str, answers: Sequence[Answer], options: ScreenOptions) -> Rater:
    questions = [study.lists[answer.list][answer.trial] for answer in answers]
    right = [answered_right(q, answer.value) for q, answer in zip(questions, answers)]
    right = [value for value in right if value is not None]
    gaps, alike = repeats(study, answers)
    rated = [answer.value for q, answer in zip(questions, answers) if not q.is_choice]
    places = [q.pictures.index(a.value) for q, a in zip(questions, answers) if q.is_choice]
    rater = Rater(
        name=name,
        answers=len(answers),
        asked=sum(len(study.lists[number]) for number in {answer.list for answer in answers}),
        controls=len(right),
        controls_right=_mean(right),
        repeat_gap=_mean(gaps),
        repeat_same=_mean(alike),
        seconds=float(np.median([answer.ms for answer in answers]) / 1000),
        same_rating=_commonest(rated),
        same_place=_commonest(places),
    )
    reasons = []
    if len(right) >= FEWEST and rater.controls_right < options.controls_right:
        reasons.append(f"{sum(right)} of {len(right)} controls right")
    if len(gaps) >= FEWEST and rater.repeat_gap > options.repeat_gap:
        reasons.append(f"repeated ratings differ by {rater.repeat_gap:.1f} on average")
    if len(alike) >= FEWEST and rater.repeat_same < options.repeat_same:
        reasons.append(f"{sum(alike)} of {len(alike)} repeated choices alike")
    if rater.seconds < options.min_seconds:
        reasons.append(f"half of the answers took {rater.seconds:.2f} s or less")
    if len(rated) >= _FEWEST_ALIKE and rater.same_rating > options.same_answer:
        reasons.append(f"{100 * rater.same_rating:.0f} % of the ratings are one number")
    if len(places) >= _FEWEST_ALIKE and rater.same_place > options.same_answer:
        reasons.append(f"{100 * rater.same_place:.0f} % of the choices are one place")
    return dataclasses.replace(rater, reasons=tuple(reasons))


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def _commonest(values: Sequence[int]) -> float:
    return max(collections.Counter(values).values()) / len(values) if values else float("nan")
