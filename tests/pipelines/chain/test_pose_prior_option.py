"""The option that names the pose prior of fits."""

import pytest

from fitloop.pipelines.chain.config import StagesConfig


def test_a_prior_without_fits_is_refused():
    assert StagesConfig(pose_prior="both").pose_prior == "both"
    with pytest.raises(ValueError, match="leave out --no-fit"):
        StagesConfig(pose_prior="vae", fit=False)
