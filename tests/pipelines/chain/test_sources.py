from fitloop.body import load_body
from fitloop.fitting import AFTER_REGRESSION, FitConfig
from fitloop.pipelines.chain.sources import fit_after
from fitloop.regressor import load_regressor


def test_a_guess_is_held_on_to_but_the_mean_pose_is_not():
    body = load_body("open")
    assert fit_after(load_regressor("keypoints", body)) == AFTER_REGRESSION
    assert fit_after(load_regressor("mean", body)) == FitConfig()
    assert AFTER_REGRESSION.stages[-1].start_prior > 0 == FitConfig().stages[-1].start_prior
