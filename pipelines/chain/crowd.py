"""Fitting the people of several photos in one batch."""

from collections.abc import Hashable, Sequence
from dataclasses import replace
from itertools import accumulate, groupby

from fitloop.body import BodyEstimate
from fitloop.fitting import FitConfig, fit
from fitloop.geometry import concatenate
from fitloop.pipelines.chain.people import People


def fit_together(crowd: Sequence[People], config: FitConfig) -> list[People]:
    """Fit the regressed bodies of photos that share a body and a kind of evidence.

    Args:
        crowd: Neighbours with the same kind of evidence (convention, landmarks or not) form one batch; guesses that say
            how sure they are and others do not mix.
        config: Of the fit.

    Returns:
        The same photos with their fits; photos without people have none to show, so they stay as they are.
    """
    fitted: list[People] = []
    for _, group in groupby(crowd, key=_kind):
        members = list(group)
        if any(len(people) for people in members):
            members = _fit_alike(members, config)
        fitted += members
    return fitted


def _kind(people: People) -> Hashable:
    seen = people.detections
    told = people.start.uncertainty is not None
    return seen.convention, seen.landmarks is None, seen.silhouettes is None, people.body.name, told


def _fit_alike(crowd: Sequence[People], config: FitConfig) -> list[People]:
    evidence = concatenate([people.detections for people in crowd])
    start = concatenate([people.start for people in crowd])
    result = fit(crowd[0].body, evidence, start, config)
    ends = accumulate(len(people) for people in crowd)
    rows = [slice(end - len(people), end) for people, end in zip(crowd, ends, strict=True)]
    return [
        replace(people, fitted=result[row], notices=people.notices + _unheard(people.start))
        for people, row in zip(crowd, rows, strict=True)
    ]


def _unheard(guess: BodyEstimate) -> tuple[str, ...]:
    """A sentence for each person of whom the regressor does not say in numbers how sure it is."""
    told = guess.uncertainty
    if told is None:
        return ()
    return tuple(
        f"Person {row}: the regressor's uncertainty is not a positive number, so the fit holds on to all joints alike."
        for row in (~told.sound).nonzero()[:, 0].tolist()
    )
