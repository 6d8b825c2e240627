"""Experimental design of a study: the questions of each rater and their order."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from legan_tf.errors import UserError
from legan_tf.uses.study.config import MAX_RATERS, MIN_CONTROLS, StudyOptions

ASKED, REPEAT = "asked", "repeat"
REAL, BROKEN, OBVIOUS = "real", "broken", "obvious"
"""Controls: an image to rate natural, one to rate unnatural, and a real one among broken ones."""
CONTROLS = (REAL, BROKEN, OBVIOUS)

_REPEAT_DISTANCE = 3
"""A question is repeated at least this fraction, 1/3, of its part later."""


@dataclasses.dataclass(frozen=True)
class Question:
    """A question to a rater.

    Attributes:
        pictures: Ids of the images shown, in order: one to rate, or several to choose from.
        role: ``asked``, ``repeat`` (the pictures of a question before), or one of ``CONTROLS``.
    """

    pictures: tuple[str, ...]
    role: str = ASKED

    @property
    def is_choice(self) -> bool:
        """Whether the question is a choice; else it is a rating."""
        return len(self.pictures) > 1


@dataclasses.dataclass(frozen=True)
class Control:
    """A real image and heavily damaged versions of it.

    Attributes:
        real: Id of the real image.
        broken: Ids of the damaged ones: one fewer than models, at least one.
    """

    real: str
    broken: tuple[str, ...]


def controls_needed(options: StudyOptions, count: int) -> int:
    """Returns the number of controls for ``count`` questions of one kind."""
    if not count or not options.controls or not options.real:
        return 0
    return max(MIN_CONTROLS, round(options.controls * count))


def _repeats(options: StudyOptions, count: int) -> int:
    if not options.repeats:
        return 0
    return min(max(1, round(options.repeats * count)), count // _REPEAT_DISTANCE)


def plan_raters(options: StudyOptions, models: int, sources: int) -> tuple[int, int, int]:
    """Determines the number of raters.

    Args:
        options: The options.
        models: Number of models.
        sources: Number of images of each model.

    Returns:
        The number of raters, and the maximum numbers of choices and of ratings of one rater,
        without repeats and controls.

    Raises:
        UserError: The raters are too few for the answers per image or the questions per rater, or
            so many that some would have no question.
    """
    totals = {
        "choices_per_source": sources * (options.questions != "rating"),
        "ratings_per_image": models * sources * (options.questions != "choice"),
    }
    totals = {flag: count * getattr(options, flag) for flag, count in totals.items()}
    least, flag = max((getattr(options, flag), flag) for flag in totals if totals[flag])
    most = max(totals.values())
    given = options.raters
    if given and not least <= given <= most:
        raise UserError(
            f"--raters={given}: must be {least} to {most}: nobody is asked the same twice but to "
            f"compare (--{flag}), and there are {most} questions."
        )
    for raters in [given] if given else range(least, MAX_RATERS + 1):
        choices, ratings = (-(-total // raters) for total in totals.values())
        extra = sum(_repeats(options, n) + controls_needed(options, n) for n in (choices, ratings))
        each = choices + ratings + extra
        if each <= options.trials:
            return raters, choices, ratings
    raise UserError(
        f"--trials={options.trials}: each of {raters} raters would be asked {each} questions; give "
        "more of either, or ask fewer people each time (--ratings_per_image, --choices_per_source)."
    )


def draw_lists(
    edits: Mapping[str, Mapping[str, str]],
    controls: Sequence[Control],
    raters: int,
    options: StudyOptions,
) -> list[list[Question]]:
    """Draws the list of questions of each rater.

    The design is balanced: every image is rated by exactly ``ratings_per_image`` raters, every
    source is in the choices of ``choices_per_source``, and the numbers of questions of two raters
    differ by at most one of each kind. In the choices each model is in each place equally often (a
    difference of at most one over all raters, nearly so for each). Raters alternate between
    choices first and ratings first.

    Args:
        edits: Ids of the images by model and source; all models have the same sources.
        controls: At least as many as a rater sees of a kind; empty without controls. If there are
            enough, choices and ratings get different ones, since a rater who has seen an image
            damaged recognises it.
        raters: Number of raters.
        options: The options.

    Returns:
        The questions of each rater, in order.
    """
    rng = np.random.default_rng([7100, options.seed])
    models, sources = list(edits), list(next(iter(edits.values())))
    places = [sources[i] for i in rng.permutation(len(sources))]
    choices: list[list[tuple[str, ...]]] = [[] for _ in range(raters)]
    ratings: list[list[tuple[str, ...]]] = [[] for _ in range(raters)]
    if options.questions != "rating":
        shared = _share(len(places), options.choices_per_source, raters, [0] * len(places), rng)
        order: list[int] = []
        for rater, tasks in enumerate(shared):
            for task in tasks:
                # A Latin square: each order is the one before, shifted by one.
                done = sum(map(len, choices)) % len(models)
                if done == 0:
                    order = [int(i) for i in rng.permutation(len(models))]
                shown = order[done:] + order[:done]
                choices[rater].append(tuple(edits[models[m]][places[task]] for m in shown))
    if options.questions != "choice":
        pairs = [(int(m), s) for s in places for m in rng.permutation(len(models))]
        groups = [m for m, _ in pairs]
        shared = _share(len(pairs), options.ratings_per_image, raters, groups, rng)
        for rater, tasks in enumerate(shared):
            ratings[rater] = [(edits[models[pairs[t][0]]][pairs[t][1]],) for t in tasks]
    needed = [
        max(controls_needed(options, len(own)) for own in part) for part in (choices, ratings)
    ]
    to_choose = to_rate = controls
    if len(controls) >= sum(needed) > max(needed):
        split = len(controls) * needed[0] // sum(needed)
        to_choose, to_rate = controls[:split], controls[split:]
    obvious, natural = _choice_controls(to_choose, len(models)), _rating_controls(to_rate)
    lists = []
    for rater in range(raters):
        own = np.random.default_rng([7101, options.seed, rater])
        parts = []
        for asked, extra in ((choices[rater], obvious), (ratings[rater], natural)):
            count = len(asked)
            drawn = list(itertools.islice(extra, controls_needed(options, count)))
            parts.append(_part(asked, drawn, _repeats(options, count), own))
        lists.append([*parts[rater % 2], *parts[1 - rater % 2]])
    return lists


def _share(
    tasks: int, each: int, raters: int, groups: Sequence[int], rng: np.random.Generator
) -> list[list[int]]:
    """Assigns each task to the ``each`` raters with the fewest tasks, then the fewest of its group.

    So no rater ever has more than one task more than another.
    """
    shared: list[list[int]] = [[] for _ in range(raters)]
    load = np.zeros(raters, int)
    of_group = np.zeros((raters, max(groups, default=0) + 1), int)
    for task in range(tasks):
        group = groups[task]
        for rater in np.lexsort((rng.random(raters), of_group[:, group], load))[:each]:
            shared[rater].append(task)
            load[rater] += 1
            of_group[rater, group] += 1
    return shared


def _choice_controls(controls: Sequence[Control], models: int) -> Iterator[Question]:
    """Yields choices without end: all controls equally often, with the answer in each place."""
    for turn in itertools.count():
        control = controls[turn % len(controls)]
        shown = list(control.broken[: models - 1])
        shown.insert(turn % models, control.real)
        yield Question(tuple(shown), OBVIOUS)


def _rating_controls(controls: Sequence[Control]) -> Iterator[Question]:
    """Yields ratings without end: all controls equally often, real and broken in turn."""
    count = len(controls)
    for turn in itertools.count():
        # Without the shift, with an even count an image would be broken in each round or in none.
        control = controls[(turn + (0 if count % 2 else turn // count)) % count]
        broken = turn % 2
        yield Question((control.broken[0] if broken else control.real,), BROKEN if broken else REAL)


def _part(
    asked: Sequence[tuple[str, ...]],
    controls: Sequence[Question],
    repeats: int,
    rng: np.random.Generator,
) -> list[Question]:
    """Questions of one kind in order: controls spread evenly, repeats far from the first time."""
    count = len(asked)
    shuffled = [asked[i] for i in rng.permutation(count)]
    placed = [(float(place), Question(pictures)) for place, pictures in enumerate(shuffled)]
    for turn, control in zip(rng.permutation(len(controls)), controls):
        step = count / len(controls)
        placed.append((float((turn + rng.uniform(0.05, 0.95)) * step), control))
    for place in rng.permutation(count // _REPEAT_DISTANCE)[:repeats]:
        pictures = shuffled[place]
        shift = int(rng.integers(1, len(pictures))) if len(pictures) > 1 else 0
        again = Question(pictures[shift:] + pictures[:shift], REPEAT)
        placed.append((float(rng.uniform(count * (1 - 1 / _REPEAT_DISTANCE), count)), again))
    return [question for _, question in sorted(placed, key=lambda one: one[0])]
