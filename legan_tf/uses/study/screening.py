"""Screening: raters are excluded whose answers show that they were careless."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Sequence

import numpy as np

from legan_tf.evaluation.metrics.ratings import NATURAL
from legan_tf.uses.study.answers import Answer
from legan_tf.uses.study.config import MIN_CONTROLS, ScreenOptions
from legan_tf.uses.study.design import ASKED, CONTROLS, OBVIOUS, REAL, REPEAT
from legan_tf.uses.study.study_file import Study

_MIN_SAME = 10
"""Least number of answers of a kind to screen for uniformity."""


@dataclasses.dataclass(frozen=True)
class Rater:
    """Statistics of one rater; unknown values are NaN.

    Attributes:
        name: Number and token, or worker id of Mechanical Turk.
        answers: Number of questions answered.
        asked: Number of questions asked.
        controls: Number of controls answered.
        controls_right: Share of the controls that were answered correctly.
        repeat_gap: Mean absolute difference of two ratings of one image.
        repeat_same: Share of the repeated choices with the same answer.
        seconds: Median response time.
        same_rating: Share of the most frequent rating among the ratings.
        same_place: Share of the most frequent place among the choices.
        reasons: Reasons for exclusion; empty if the answers count.
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
    """Judges each rater by the answers to controls and repeats, response times and uniformity.

    Args:
        study: The study.
        answers: Answers of all raters, at most one of each to a question.
        options: The limits.

    Returns:
        The raters by name, sorted.
    """
    of_rater: dict[str, list[Answer]] = collections.defaultdict(list)
    for answer in answers:
        of_rater[answer.rater].append(answer)
    return {name: _judge(study, name, of_rater[name], options) for name in sorted(of_rater)}


def repeats(study: Study, answers: Sequence[Answer]) -> tuple[list[int], list[bool]]:
    """Compares the answers to repeated questions with the first ones.

    Args:
        study: The study.
        answers: Answers of one rater or more.

    Returns:
        The absolute differences of ratings, and for choices whether they are the same.
    """
    given: dict[tuple[object, ...], Answer] = {}
    for answer in answers:
        question = study.question(answer)
        given[question.role, answer.rater, answer.list, frozenset(question.pictures)] = answer
    gaps, same = [], []
    for (role, *about), again in given.items():
        first = given.get((ASKED, *about))
        if role == REPEAT and first is not None:
            if study.question(again).is_choice:
                same.append(again.value == first.value)
            else:
                gaps.append(abs(int(again.value) - int(first.value)))
    return gaps, same


def _is_correct(study: Study, answer: Answer) -> bool | None:
    """Returns whether a control was answered correctly; None for other questions."""
    role = study.question(answer).role
    if role == OBVIOUS:
        return study.pictures[str(answer.value)].model == REAL
    if role in CONTROLS:
        return (int(answer.value) >= NATURAL) == (role == REAL)
    return None


def _judge(study: Study, name: str, answers: Sequence[Answer], options: ScreenOptions) -> Rater:
    judged = [_is_correct(study, answer) for answer in answers]
    right = [correct for correct in judged if correct is not None]
    gaps, same = repeats(study, answers)
    asked = [(study.question(answer), answer.value) for answer in answers]
    rated = [int(value) for question, value in asked if not question.is_choice]
    places = [
        question.pictures.index(str(value)) for question, value in asked if question.is_choice
    ]
    rater = Rater(
        name=name,
        answers=len(answers),
        asked=sum(len(study.lists[number]) for number in {answer.list for answer in answers}),
        controls=len(right),
        controls_right=_mean(right),
        repeat_gap=_mean(gaps),
        repeat_same=_mean(same),
        seconds=float(np.median([answer.ms for answer in answers]) / 1000),
        same_rating=_mode_share(rated),
        same_place=_mode_share(places),
    )
    reasons = []
    if len(right) >= MIN_CONTROLS and rater.controls_right < options.controls_right:
        reasons.append(f"{sum(right)} of {len(right)} controls right")
    if len(gaps) >= MIN_CONTROLS and rater.repeat_gap > options.repeat_gap:
        reasons.append(f"repeated ratings differ by {rater.repeat_gap:.1f} on average")
    if rater.seconds < options.min_seconds:
        reasons.append(f"half of the answers took {rater.seconds:.2f} s or less")
    if len(rated) >= _MIN_SAME and rater.same_rating > options.same_answer:
        reasons.append(f"{100 * rater.same_rating:.0f} % of the ratings are one number")
    if len(places) >= _MIN_SAME and rater.same_place > options.same_answer:
        reasons.append(f"{100 * rater.same_place:.0f} % of the choices are one place")
    return dataclasses.replace(rater, reasons=tuple(reasons))


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def _mode_share(values: Sequence[int]) -> float:
    return max(collections.Counter(values).values()) / len(values) if values else float("nan")
