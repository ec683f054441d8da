from dataclasses import replace

import torch
from toy import random_params, stick_body, toy_camera

from fitloop.body import KeypointKinematics, convention_named
from fitloop.geometry import project
from fitloop.regressor.placement import place_body

NAMES = tuple(filter(None, convention_named("coco17").landmarks))


def evidence(*batch: int, seed: int = 0):
    params, camera = random_params(*batch, seed=seed), toy_camera(*batch)
    kinematics = KeypointKinematics(stick_body(), NAMES)
    keypoints = project(kinematics(params), camera)
    return params, kinematics, keypoints, torch.ones(*batch, len(NAMES)), camera


def lost(params):
    return replace(params, transl=torch.tensor([0.5, -0.4, 6.0]).expand_as(params.transl))


def test_a_body_is_put_where_its_keypoints_say():
    params, kinematics, keypoints, confidence, camera = evidence(5)
    placed = place_body(lost(params), kinematics, keypoints, confidence, camera)
    torch.testing.assert_close(placed.transl, params.transl, atol=1e-3, rtol=1e-3)


def test_two_wild_keypoints_do_not_move_the_body():
    params, kinematics, keypoints, confidence, camera = evidence(5)
    keypoints = keypoints.clone()
    keypoints[:, 3] += 200.0
    keypoints[:, 9] -= 150.0
    placed = place_body(lost(params), kinematics, keypoints, confidence, camera)
    assert float((placed.transl - params.transl).norm(dim=-1).max()) < 0.1


def test_unobserved_keypoints_have_no_say():
    params, kinematics, keypoints, confidence, camera = evidence(2)
    keypoints, confidence = keypoints.clone(), confidence.clone()
    keypoints[:, :6], confidence[:, :6] = -5000.0, 0.0
    placed = place_body(lost(params), kinematics, keypoints, confidence, camera)
    torch.testing.assert_close(placed.transl, params.transl, atol=1e-3, rtol=1e-3)


def test_fewer_than_three_keypoints_leave_the_body_where_it_is():
    params, kinematics, keypoints, confidence, camera = evidence(2)
    confidence = torch.zeros_like(confidence)
    confidence[:, :2] = 1.0
    placed = place_body(lost(params), kinematics, keypoints, confidence, camera)
    assert torch.equal(placed.transl, lost(params).transl)


def test_a_batch_gives_what_single_people_give():
    params, kinematics, keypoints, confidence, camera = evidence(3)
    together = place_body(lost(params), kinematics, keypoints, confidence, camera)
    alone = place_body(lost(params)[1:2], kinematics, keypoints[1:2], confidence[1:2], camera[1:2])
    torch.testing.assert_close(together.transl[1:2], alone.transl)


def test_a_body_upside_down_stays_about_as_far_as_guessed():
    params, kinematics, keypoints, confidence, camera = evidence(4)
    flip = torch.diag(torch.tensor([-1.0, -1.0, 1.0]))
    wrong = replace(params, global_orient=flip @ params.global_orient)
    placed = place_body(wrong, kinematics, keypoints, confidence, camera)
    ratio = placed.transl[:, 2] / params.transl[:, 2]
    assert bool((ratio > 0.4).all()) and bool((ratio < 2.2).all())
    middle = project(kinematics(placed), camera).mean(1)
    assert float((middle - keypoints.mean(1)).norm(dim=-1).max()) < 200.0


def test_no_point_of_a_body_passes_the_lens():
    params, kinematics, keypoints, confidence, camera = evidence(5)
    center = camera.principal_point[:, None]
    near = replace(params, transl=torch.tensor([0.0, 0.0, 0.7]).expand_as(params.transl))
    placed = place_body(near, kinematics, (keypoints - center) * 20.0 + center, confidence, camera)
    assert float(kinematics(placed)[..., 2].amin()) > 0.199
