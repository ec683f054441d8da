import dataclasses

import pytest
import torch
from toy import random_params, stick_body, toy_camera

from fitloop.body import BodyEstimate, Detections, KeypointKinematics, load_body
from fitloop.body.keypoints import SPIN_24
from fitloop.body.params import JOINT_NAMES, upright
from fitloop.fitting import Fit, FitConfig, Status
from fitloop.fitting.plausibility import Gate, LimbOverlap, PlausibilityConfig, Reprojection, silhouette_overlap
from fitloop.geometry import Camera, project, rotvec_to_rotmat
from fitloop.rendering import load_rasterizer

BODY = stick_body()
EVERYTHING_OFF = PlausibilityConfig(0.0, 0.0, 0.0, 0.0)


def seen(params, camera, convention=SPIN_24, body=BODY):
    pixels = project(KeypointKinematics(body, tuple(filter(None, convention.landmarks)))(params), camera)
    boxes = torch.cat([pixels.amin(1), pixels.amax(1)], -1)
    return Detections(pixels, torch.ones_like(pixels[..., 0]), boxes, convention.name)


def fitted(params, camera, status=Status.CONVERGED, body=BODY):
    count = len(params.betas)
    zeros = torch.zeros(count, dtype=torch.long)
    return Fit(BodyEstimate(params, camera, body.name), torch.ones(count), zeros + int(status), zeros, zeros)


def bent(joint, *angles, people=1):
    params = upright(people)
    pose = params.body_pose.clone()
    pose[:, JOINT_NAMES.index(joint) - 1] = rotvec_to_rotmat(torch.tensor(angles))
    return dataclasses.replace(params, body_pose=pose, transl=torch.tensor([[0.0, 0.0, 4.0]]).expand(people, 3))


def test_the_body_that_made_the_keypoints_has_no_reprojection_error():
    params, camera = random_params(3, seed=1), toy_camera(3)
    assert Reprojection(BODY, "spin24", FitConfig())(params, seen(params, camera), camera).max() < 1e-6


def test_reprojection_is_counted_per_seen_keypoint_or_as_spin_does_over_all():
    params, camera = random_params(2, seed=1), toy_camera(2)
    evidence = seen(params, camera)
    evidence = dataclasses.replace(evidence, keypoints=evidence.keypoints + 10.0)
    half = dataclasses.replace(evidence, confidence=(torch.arange(24) < 12).float().expand(2, 24))
    per_seen, over_all = (Reprojection(BODY, "spin24", FitConfig(), unseen) for unseen in (False, True))
    torch.testing.assert_close(per_seen(params, evidence, camera), per_seen(params, half, camera))
    torch.testing.assert_close(over_all(params, half, camera), 0.5 * over_all(params, evidence, camera))


def test_a_person_of_whom_nothing_was_seen_can_not_be_judged():
    params, camera = random_params(1, seed=1), toy_camera(1)
    evidence = dataclasses.replace(seen(params, camera), confidence=torch.zeros(1, 24))
    assert torch.isinf(Reprojection(BODY, "spin24", FitConfig())(params, evidence, camera)).all()


def test_an_elbow_bent_and_twisted_the_wrong_way_is_an_implausible_pose():
    gate = Gate(BODY, "spin24", PlausibilityConfig(), FitConfig())
    camera = toy_camera(1)
    for params, monster in ((bent("left_knee", 0.3, 0.0, 0.0), False), (bent("left_elbow", 1.5, 2.5, 1.5), True)):
        assert gate(fitted(params, camera), seen(params, camera))["pose_prior"].item() == monster


def test_an_arm_through_the_body_overlaps_and_hanging_arms_do_not():
    body = load_body()
    overlap = LimbOverlap(body)
    assert overlap(upright(1)).item() == 0.0
    hanging = dataclasses.replace(upright(1), body_pose=bent("left_shoulder", 0.0, 0.0, -1.2).body_pose)
    through = upright(1).body_pose.clone()
    through[:, JOINT_NAMES.index("left_shoulder") - 1] = rotvec_to_rotmat(torch.tensor([0.0, 0.0, -1.2]))
    through[:, JOINT_NAMES.index("left_elbow") - 1] = rotvec_to_rotmat(torch.tensor([0.0, 0.0, -1.5]))
    assert overlap(hanging).item() < 0.05
    assert overlap(dataclasses.replace(upright(1), body_pose=through)).item() > 0.1


def test_overlap_does_not_depend_on_where_the_body_is():
    overlap, params = LimbOverlap(BODY), random_params(4, seed=5)
    moved = dataclasses.replace(params, transl=params.transl + 3.0, global_orient=params.global_orient.flip(0))
    torch.testing.assert_close(overlap(params), overlap(moved), atol=1e-5, rtol=0)


@pytest.mark.parametrize("status", [Status.NOT_ENOUGH_EVIDENCE, Status.DEGENERATE])
def test_fits_without_evidence_are_never_believed(status):
    params, camera = random_params(1, seed=1), toy_camera(1)
    reasons = Gate(BODY, "spin24", EVERYTHING_OFF, FitConfig())(fitted(params, camera, status), seen(params, camera))
    assert reasons["evidence"].all() and set(reasons) == {"evidence"}


def test_a_body_mirrored_in_depth_contradicts_the_detectors_landmarks():
    params, camera = random_params(1, seed=2, spread=0.5), toy_camera(1)
    points = KeypointKinematics(BODY, tuple(filter(None, SPIN_24.landmarks)))(params)
    relative = points - points.mean(1, keepdim=True)
    gate = Gate(BODY, "spin24", dataclasses.replace(EVERYTHING_OFF, landmarks=0.05), FitConfig())
    right = dataclasses.replace(seen(params, camera), landmarks=0.5 * relative)
    wrong = dataclasses.replace(right, landmarks=relative * torch.tensor([-1.0, 1.0, 1.0]))
    assert not gate(fitted(params, camera), right)["landmarks"].item()
    assert gate(fitted(params, camera), wrong)["landmarks"].item()


def test_silhouettes_agree_with_the_body_that_drew_them_and_not_with_one_beside_it():
    body, camera = load_body(), Camera(torch.tensor([500.0]), torch.tensor([[160.0, 120.0]]))
    params = dataclasses.replace(upright(1), transl=torch.tensor([[0.1, 0.0, 4.5]]))
    drawn = load_rasterizer("numba")(body(params).vertices, body.faces, camera, (240, 320)).covered
    rows, columns = drawn[0].any(1).nonzero()[:, 0], drawn[0].any(0).nonzero()[:, 0]
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    evidence = dataclasses.replace(
        seen(params, camera, body=body),
        silhouettes=drawn[:, top:bottom, left:right].float(),
        silhouette_boxes=torch.tensor([[left, top, right, bottom]]).float(),
    )
    assert silhouette_overlap(body, BodyEstimate(params, camera), evidence).item() > 0.85
    beside = dataclasses.replace(params, transl=torch.tensor([[0.9, 0.0, 4.5]]))
    assert silhouette_overlap(body, BodyEstimate(beside, camera), evidence).item() < 0.3
