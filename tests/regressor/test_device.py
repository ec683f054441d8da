"""Regressors work where the body lies."""

import pytest
import torch
from fitting_scenes import estimate_of, see
from pretend import PRETEND
from toy import random_params

from fitloop.body import Image, load_body
from fitloop.geometry import camera_of
from fitloop.regressor import load_regressor

BODY = load_body("open")


@pytest.mark.parametrize("name", ["keypoints", "proxy", "mean"])
def test_a_guess_on_another_device_is_the_guess_on_a_cpu(pretend_device, name):
    seen = see(BODY, estimate_of(random_params(2, seed=0), BODY), "mediapipe33")
    pixels = torch.randint(256, (480, 640, 3), generator=torch.Generator().manual_seed(0)).byte().numpy()
    image = Image(pixels, camera_of(640, 480), "a.jpg")
    expected = load_regressor(name, BODY)(image, seen, image.camera)
    moved = load_regressor(name, BODY.to(PRETEND))
    found = moved(image, seen.to(PRETEND), image.camera.to(PRETEND))
    assert found.params.transl.device == PRETEND
    for part in ("global_orient", "body_pose", "betas", "transl"):
        torch.testing.assert_close(getattr(found.params, part).cpu(), getattr(expected.params, part))
