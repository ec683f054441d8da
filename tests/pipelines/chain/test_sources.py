import pytest

from fitloop.body import load_body
from fitloop.fitting import AFTER_REGRESSION, FitConfig
from fitloop.pipelines.chain.config import StagesConfig
from fitloop.pipelines.chain.sources import FOUR_TURNS, fit_after
from fitloop.regressor import load_regressor


def test_a_guess_is_held_on_to_but_the_mean_pose_is_not():
    body = load_body("open")
    assert fit_after(load_regressor("keypoints", body)).stages == AFTER_REGRESSION.stages
    assert fit_after(load_regressor("mean", body)).stages == FitConfig().stages
    assert AFTER_REGRESSION.stages[-1].start_prior > 0 == FitConfig().stages[-1].start_prior


def test_the_mean_pose_is_turned_four_times_and_its_limbs_are_mirrored():
    config = fit_after(load_regressor("mean", load_body("open")))
    assert config.starts == FOUR_TURNS and len(config.limb_flips) == 4
    assert fit_after(load_regressor("mean", load_body("open")), "one") == FitConfig()


def test_a_guess_is_one_start_and_turned_around_only_in_doubt():
    keypoints = load_regressor("keypoints", load_body("open"))
    config = fit_after(keypoints)
    assert config.starts == ("init",) and config.doubtful_starts == ("side",)
    assert fit_after(keypoints, "one") == AFTER_REGRESSION
    assert fit_after(keypoints, "four").starts == ("init", *FOUR_TURNS)


def test_starts_without_a_fit_are_refused():
    with pytest.raises(ValueError, match="--starts would be ignored"):
        StagesConfig(fit=False, starts="four")


def test_less_than_one_thread_is_refused():
    with pytest.raises(ValueError, match="--threads must be at least 1, got -1"):
        StagesConfig(threads=-1)
