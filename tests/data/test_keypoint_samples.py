from dataclasses import replace

import numpy as np
import pytest
import torch
from toy import stick_body

from fitloop.body import convention_named
from fitloop.body.keypoints import mirrored
from fitloop.data.detector_noise import NEAR, DetectorNoise, NoiseConfig, limb_of, looseness_of
from fitloop.data.keypoint_samples import LIMBS, KeypointSampler, KeypointSampling, boxes_of, mocap_poses
from fitloop.data.mocap import Mocap
from fitloop.geometry import project

NAMES = tuple(name for name in convention_named("smpl24").landmarks if name)
PERFECT = NoiseConfig(
    jitter=(0.0, 0.0), convention_bias=0.0, outliers=0.0, swap=0.0, missed_limb=0.0, missed_keypoint=0.0, occluder=0.0,
    crop=0.0, landmark_error=0.0, landmarks=1.0, guessing=0.0,
)  # fmt: skip
ALL = (("smpl24", 1.0),)


def toy_mocap(frames: int = 40) -> Mocap:
    rng = np.random.default_rng(0)
    pose = (0.3 * rng.standard_normal((frames, 22, 3))).astype(np.float32)
    pose[:, 0] = 0.0
    clip = np.repeat([0, 1], [frames // 4, frames - frames // 4])
    return Mocap(pose, clip, ("a", "b"), ("first", "second"), ("asf", "asf"))


def sampler(**changes) -> KeypointSampler:
    return KeypointSampler(stick_body(), NAMES, mocap_poses(toy_mocap()), KeypointSampling(**changes))


def draw(count: int = 64, seed: int = 0, **changes):
    return sampler(**changes)(count, torch.Generator().manual_seed(seed))


def test_the_same_generator_gives_the_same_people():
    first, second, other = draw(seed=1), draw(seed=1), draw(seed=2)
    assert torch.equal(first.keypoints, second.keypoints)
    assert torch.equal(first.params.betas, second.params.betas)
    assert not torch.equal(first.params.betas, other.params.betas)


def test_a_perfect_detector_sees_the_truth():
    samples = draw(noise=PERFECT, conventions=ALL, size=(0.2, 0.5))
    seen = samples.confidence > 0
    assert float(seen.float().mean()) > 0.8
    torch.testing.assert_close(samples.keypoints[seen], project(samples.points, samples.camera)[seen])
    hips = [NAMES.index("left_hip"), NAMES.index("right_hip")]
    relative = samples.points - samples.points[:, hips].mean(1, keepdim=True)
    torch.testing.assert_close(samples.landmarks, relative, atol=1e-5, rtol=0)


def test_the_points_are_the_bodys():
    samples = draw()
    expected = stick_body()(samples.params).joints
    torch.testing.assert_close(samples.points, expected, atol=1e-5, rtol=0)


def test_people_stand_upright_unless_tumbled():
    upright = draw(256, tumbled=0.0).points
    head_above_feet = upright[:, NAMES.index("head"), 1] < upright[:, NAMES.index("left_ankle"), 1]
    assert float(head_above_feet.float().mean()) > 0.95
    tumbled = draw(256, tumbled=1.0).points
    head_above_feet = tumbled[:, NAMES.index("head"), 1] < tumbled[:, NAMES.index("left_ankle"), 1]
    assert 0.3 < float(head_above_feet.float().mean()) < 0.95


def test_people_face_every_way():
    rotations = draw(512, tumbled=0.0).params.global_orient
    facing = torch.atan2(rotations[:, 0, 2], rotations[:, 2, 2])
    counts = torch.histc(facing, 4, -torch.pi, torch.pi)
    assert float(counts.min()) > 80


def test_crossed_people_have_limbs_of_others_and_trunks_of_their_own():

    def poses(chance: float):
        return draw(256, crossed=chance, pose_spread=0.0, hand_spread=0.0).params.body_pose

    whole, crossed = poses(1e-9), poses(1.0)
    moved = (whole - crossed).flatten(2).abs().amax(-1) > 1e-6
    for limb in LIMBS:
        assert float(moved[:, [number - 1 for number in limb]].float().mean()) > 0.5
    trunk = [number - 1 for number in range(1, 24) if all(number not in limb for limb in LIMBS)]
    assert len(trunk) == 7 and not bool(moved[:, trunk].any())
    some = (whole - poses(0.3)).flatten(2).abs().amax(-1) > 1e-6
    shares = [float(some[:, limb[0] - 1].float().mean()) for limb in LIMBS]
    assert all(0.1 < share < 0.5 for share in shares)


def test_only_keypoints_of_the_drawn_convention_are_seen():
    samples = draw(conventions=(("coco17", 1.0),))
    known = torch.tensor([name in convention_named("coco17").landmarks for name in NAMES])
    assert bool((samples.confidence[:, ~known] == 0).all())
    assert bool((samples.confidence[:, known] > 0).any(0).all())


def test_nothing_outside_the_photo_is_surely_seen():
    samples = draw(256, noise=PERFECT, conventions=ALL, size=(1.2, 1.3))
    size = 2.0 * samples.camera.principal_point[:, None]
    beyond = ((samples.keypoints < -0.11 * size) | (samples.keypoints > 1.11 * size)).any(-1)
    assert bool((samples.confidence[beyond] == 0).all())
    assert float((samples.confidence == 0).float().mean()) > 0.1


def test_half_of_the_detectors_have_landmarks():
    samples = draw(512, noise=replace(PERFECT, landmarks=0.5))
    share = (samples.landmark_confidence > 0).any(-1).float().mean()
    assert 0.4 < float(share) < 0.6


def test_samples_can_be_written_in_a_convention():
    samples = draw(8, noise=PERFECT, conventions=ALL, size=(0.2, 0.4))
    detections = samples.detections(NAMES, "coco17")
    assert detections.confidence.shape == (8, 17)
    wrist = convention_named("coco17").index("left_wrist")
    torch.testing.assert_close(detections.keypoints[:, wrist], samples.keypoints[:, NAMES.index("left_wrist")])
    assert bool((detections.confidence[:, convention_named("coco17").index("nose")] == 0).all())
    seen = detections.confidence > 0
    inside = (detections.keypoints >= detections.boxes[:, None, :2]) & (
        detections.keypoints <= detections.boxes[:, None, 2:]
    )
    assert bool(inside.all(-1)[seen].all())


def test_boxes_of_nobody_are_empty():
    assert torch.equal(boxes_of(torch.ones(1, 3, 2), torch.zeros(1, 3)), torch.zeros(1, 4))


def test_long_clips_do_not_drown_short_ones():
    mocap = toy_mocap(4000)
    marked = replace(mocap, pose=mocap.pose * (mocap.clip == 0)[:, None, None])
    rotations = mocap_poses(marked)(4000, torch.Generator().manual_seed(0))
    short = (rotations[:, 1] - torch.eye(3)).abs().amax((-1, -2)) > 1e-6
    # The first clip has a quarter of the frames, and (1/4)^0.5 against (3/4)^0.5 of the weight.
    assert float(short.float().mean()) == pytest.approx(0.366, abs=0.03)


def test_half_of_the_poses_are_mirrored():
    mocap = toy_mocap()
    bent = replace(mocap, pose=np.zeros_like(mocap.pose))
    bent.pose[:, 18] = (0.0, -1.0, 0.0)
    rotations = mocap_poses(bent)(1000, torch.Generator().manual_seed(0))
    left = (rotations[:, 18] - torch.eye(3)).abs().amax((-1, -2)) > 0.1
    right = (rotations[:, 19] - torch.eye(3)).abs().amax((-1, -2)) > 0.1
    assert bool((left ^ right).all())
    assert 0.4 < float(left.float().mean()) < 0.6


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"conventions": (("coco99", 1.0),)}, "Unknown keypoint convention 'coco99'"),
        ({"size": (0.0, 1.0)}, "size must be"),
        ({"crossed": 1.5}, "crossed is a chance"),
    ],
)
def test_impossible_sampling_is_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        KeypointSampling(**wrong)


@pytest.mark.parametrize(
    ("landmark", "limb"),
    [
        ("left_heel", "left_leg"),
        ("right_wrist", "right_arm"),
        ("left_hip", "torso"),
        ("nose", "head"),
        ("neck", "torso"),
    ],
)
def test_landmarks_belong_to_limbs(landmark, limb):
    assert limb_of(landmark) == limb
    assert looseness_of("left_wrist") > looseness_of("left_shoulder")


def noisy_pixels(config: NoiseConfig, people: int = 400) -> tuple[torch.Tensor, torch.Tensor]:
    truth = torch.zeros(people, len(NAMES), 2)
    found, confidence = DetectorNoise(NAMES, config).pixels(
        truth, torch.full((people,), 100.0), torch.Generator().manual_seed(0)
    )
    return found.norm(dim=-1), confidence


def test_larger_noise_is_larger():
    errors = [float(noisy_pixels(NoiseConfig().scaled(factor))[0].mean()) for factor in (0.5, 1.0, 2.0)]
    assert errors[0] < errors[1] < errors[2]
    assert 0.7 < errors[1] < 2.5


def test_wrists_are_worse_than_shoulders_and_doubt_follows_error():
    error, confidence = noisy_pixels(NoiseConfig(swap=0.0))
    assert float(error[:, NAMES.index("left_wrist")].mean()) > 1.2 * float(
        error[:, NAMES.index("left_shoulder")].mean()
    )
    unsure = confidence < 1.0
    high, low = error[unsure & (confidence > 0.8)].mean(), error[unsure & (confidence < 0.5)].mean()
    assert float(low) > float(high)


def test_swaps_exchange_left_and_right():
    truth = torch.arange(2.0 * len(NAMES)).unflatten(0, (1, -1, 2)).expand(50, -1, -1)
    config = replace(PERFECT, swap=1.0)
    found, _ = DetectorNoise(NAMES, config).pixels(truth, torch.ones(50), torch.Generator().manual_seed(0))
    wrist, other = NAMES.index("left_wrist"), NAMES.index(mirrored("left_wrist"))
    torch.testing.assert_close(found[:, wrist], truth[:, other])
    torch.testing.assert_close(found[:, NAMES.index("neck")], truth[:, NAMES.index("neck")])


def test_missed_limbs_are_missed_as_a_whole():
    config = replace(PERFECT, missed_limb=0.5)
    points = torch.rand(200, len(NAMES), 2, generator=torch.Generator().manual_seed(0))
    seen = DetectorNoise(NAMES, config).seen(points, torch.Generator().manual_seed(0))
    arm = [number for number, name in enumerate(NAMES) if limb_of(name) == "left_arm"]
    assert bool((seen[:, arm].all(1) | ~seen[:, arm].any(1)).all())
    assert 0.3 < float(seen[:, arm[0]].float().mean()) < 0.7
    assert bool(seen[:, NAMES.index("spine2")].all())


def test_errors_of_the_landmarks_lie_mostly_in_depth_and_have_the_known_size():
    truth = draw(500, tumbled=0.0).points
    truth = truth - truth[:, 1:3].mean(1, keepdim=True)
    found = DetectorNoise(NAMES).world(truth, torch.Generator().manual_seed(0))
    error = found - truth
    assert 0.07 < float(error.norm(dim=-1).mean()) < 0.15
    assert float(error[..., 2].abs().mean()) > 1.5 * float(error[..., 0].abs().mean())


GUESSING = NoiseConfig(guessing=1.0, swap=0.0, landmarks=0.0)


def guessed(config: NoiseConfig = GUESSING, people: int = 1000) -> tuple[torch.Tensor, torch.Tensor]:
    """Errors as a share of the height, and confidences."""
    truth = 100.0 * torch.rand(people, len(NAMES), 2, generator=torch.Generator().manual_seed(1))
    found, confidence = DetectorNoise(NAMES, config).detect(
        truth, torch.full((people,), 100.0), torch.Generator().manual_seed(0)
    )
    return (found - truth).norm(dim=-1) / 100.0, confidence


def test_a_guessing_detector_names_every_keypoint():
    error, confidence = guessed()
    assert bool((confidence > 0).all()) and bool((confidence < 1).all())
    assert float((error > 0.1).float().mean()) > 0.05


@pytest.mark.parametrize(("low", "high"), [(0.05, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 0.8), (0.8, 0.9), (0.9, 1.0)])
def test_its_confidence_is_the_chance_of_being_near(low, high):
    error, confidence = guessed(people=4000)
    asked = (confidence > low) & (confidence <= high)
    right = float((error[asked] < NEAR).float().mean())
    assert abs(right - float(confidence[asked].mean())) < 0.1


def test_without_guessing_what_is_not_seen_is_missed_and_nothing_else_changes():
    config = replace(GUESSING, guessing=0.0)
    noise, truth = DetectorNoise(NAMES, config), torch.rand(50, len(NAMES), 2)
    height, generator = torch.full((50,), 100.0), torch.Generator().manual_seed(0)
    found, confidence = noise.detect(truth, height, generator)
    generator = torch.Generator().manual_seed(0)
    plain, sure = noise.pixels(truth, height, generator)
    assert torch.equal(found, plain) and torch.equal(confidence, sure * noise.seen(truth, generator))
    assert bool((confidence == 0).any())


def test_a_part_of_the_detectors_guesses_and_a_part_is_annotators():
    _, confidence = guessed(NoiseConfig(guessing=0.4, missed_keypoint=0.3))
    names_all, sure = (confidence > 0).all(1), ((confidence == 1) | (confidence == 0)).all(1)
    assert 0.3 < float(names_all.float().mean()) < 0.5
    assert 0.12 < float(sure.float().mean()) < 0.3
