"""Fitting people together, with what the regressor says of how sure it is."""

from dataclasses import replace

import torch
from fitting_scenes import estimate_of, see, start_near
from toy import random_params, stick_body

from fitloop.body.records import Uncertainty
from fitloop.fitting import AFTER_REGRESSION
from fitloop.pipelines.chain.crowd import fit_together
from fitloop.pipelines.chain.people import People

BODY = stick_body()


def guessed(name: str, count: int, spread: float | None = 0.3) -> People:
    truth = estimate_of(random_params(count, seed=count), BODY)
    guess = estimate_of(start_near(truth.params), BODY)
    if spread is not None:
        guess = replace(guess, uncertainty=Uncertainty(torch.full((count, 24), spread), torch.ones(count)))
    return People(name, BODY, see(BODY, truth), guess, None)


def bodies(people: People) -> torch.Tensor:
    assert people.fitted is not None
    return people.fitted.estimate.params.body_pose


def test_an_uncertainty_that_is_not_a_number_is_told_of_its_person_alone():
    people = guessed("a.jpg", 3)
    told = people.regressed.uncertainty
    assert told is not None
    told.rotations[1, 5] = torch.nan
    other, found = fit_together([guessed("b.jpg", 2), people], AFTER_REGRESSION)
    assert other.notices == ()
    assert len(found.notices) == 1 and found.notices[0].startswith("Person 1: the regressor's uncertainty is not")
    assert bool(torch.isfinite(bodies(found)).all())


def test_guesses_that_say_how_sure_they_are_are_fitted_apart_from_silent_ones():
    silent, told = guessed("a.jpg", 2, None), guessed("b.jpg", 3)
    mixed = fit_together([silent, told], AFTER_REGRESSION)
    alone = [fit_together([people], AFTER_REGRESSION)[0] for people in (silent, told)]
    for one, other in zip(mixed, alone, strict=True):
        torch.testing.assert_close(bodies(one), bodies(other), atol=1e-4, rtol=0)


def test_a_sure_guess_is_held_firmer():
    moved = []
    for spread in (0.1, 1.0):
        people = guessed("a.jpg", 4, spread)
        (found,) = fit_together([people], AFTER_REGRESSION)
        moved.append(float((bodies(found) - people.regressed.params.body_pose).norm()))
    assert moved[0] < 0.7 * moved[1]
