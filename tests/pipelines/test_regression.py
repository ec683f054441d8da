from body import load_body
from fitting import AFTER_REGRESSION, FitConfig
from pipelines.regression import fit_after
from regressor import load_regressor


def test_a_guess_is_held_on_to_but_the_mean_pose_is_not():
    body = load_body("open")
    assert fit_after(load_regressor("keypoints", body)) == AFTER_REGRESSION
    assert fit_after(load_regressor("mean", body)) == FitConfig()
    assert AFTER_REGRESSION.stages[-1].start_prior > 0 == FitConfig().stages[-1].start_prior
