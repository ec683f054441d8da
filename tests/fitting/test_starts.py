import torch
from toy import random_params, rest_joints, stick_body

from fitloop.body import KeypointKinematics
from fitloop.body.params import JOINT_NAMES
from fitloop.fitting.coordinates import pack, unpack
from fitloop.fitting.prior import load_pose_prior
from fitloop.fitting.starts import LIMBS, flip_limb, make_starts

MEAN = load_pose_prior().mean


def test_starts_lie_end_to_end_and_the_first_is_the_given_one():
    given = pack(random_params(3, dtype=torch.float64))
    states = make_starts(given, ("init", "side", "mean", "back"), MEAN)
    assert states.shape == (12, given.shape[1])
    assert torch.equal(states[:3], given)


def test_the_side_start_turns_the_body_about_its_own_axis():
    given = random_params(3, dtype=torch.float64)
    turned = unpack(make_starts(pack(given), ("side",), MEAN))
    up = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
    torch.testing.assert_close(turned.global_orient @ up, given.global_orient @ up)
    across = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    torch.testing.assert_close(turned.global_orient @ across, -(given.global_orient @ across))


def test_the_mean_start_faces_the_camera_and_the_back_start_does_not():
    given = pack(random_params(2, dtype=torch.float64))
    forward = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    front = unpack(make_starts(given, ("mean",), MEAN)).global_orient @ forward
    back = unpack(make_starts(given, ("back",), MEAN)).global_orient @ forward
    assert (front[:, 2] < -0.99).all()
    assert (back[:, 2] > 0.99).all()


def test_a_flipped_limb_looks_the_same_from_afar_and_lies_at_the_mirrored_depth():
    body = stick_body().to(torch.float64)
    params = random_params(4, dtype=torch.float64)
    rest = body.rest_joints(params.betas)
    kinematics = KeypointKinematics(body, JOINT_NAMES)
    before = kinematics(params)
    for limb, names in LIMBS.items():
        flipped = unpack(flip_limb(pack(params), limb, rest))
        after = kinematics(flipped)
        top, middle, end = (JOINT_NAMES.index(name) for name in names)
        torch.testing.assert_close(after[..., :2][:, [middle, end]], before[..., :2][:, [middle, end]])
        for above, below in ((top, middle), (middle, end)):
            torch.testing.assert_close(
                after[:, below, 2] - after[:, above, 2], before[:, above, 2] - before[:, below, 2]
            )
        still = [j for j, name in enumerate(JOINT_NAMES) if name.split("_")[0] != limb.split("_")[0]]
        torch.testing.assert_close(after[:, still], before[:, still])


def test_flipping_twice_brings_the_joints_back():
    body = stick_body().to(torch.float64)
    params = random_params(2, dtype=torch.float64)
    rest = rest_joints().double().expand(2, -1, -1)
    twice = flip_limb(flip_limb(pack(params), "left_arm", rest), "left_arm", rest)
    kinematics = KeypointKinematics(body, ("left_elbow", "left_wrist"))
    flat = pack(params)
    flat[:, -10:] = 0.0
    twice[:, -10:] = 0.0
    torch.testing.assert_close(kinematics(unpack(twice)), kinematics(unpack(flat)), atol=1e-7, rtol=0)
