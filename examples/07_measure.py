"""Measure a method: MPJPE and PA-MPJPE of fitted bodies whose truth is known, because this program made them."""

import torch

import fitloop
from fitloop.body import JOINT_NAMES, KeypointKinematics, convention_named, upright
from fitloop.geometry import project, rotvec_to_rotmat

generator = torch.Generator().manual_seed(0)
body, count = fitloop.load_body(), 16
still = upright(count)
truth = fitloop.BodyParams(
    still.global_orient,
    rotvec_to_rotmat(0.25 * torch.randn(count, 23, 3, generator=generator)),
    torch.randn(count, 10, generator=generator),
    torch.tensor([0.0, 0.0, 4.0]).expand(count, 3),
)
camera = fitloop.Camera(torch.full((count,), 800.0), torch.tensor([320.0, 240.0]).expand(count, 2))

convention = convention_named("coco17")
exact = project(KeypointKinematics(body, tuple(filter(None, convention.landmarks)))(truth), camera)
pixels = exact + 3.0 * torch.randn(exact.shape, generator=generator)
boxes = torch.cat([pixels.amin(1), pixels.amax(1)], -1)
seen = fitloop.Detections(pixels, torch.ones(count, 17), boxes, "coco17")

guess = fitloop.load_regressor("keypoints", body)(None, seen, camera)
joints = KeypointKinematics(body, JOINT_NAMES)
for name, estimate in (("regressed", guess), ("fitted", fitloop.fit(body, seen, guess).estimate)):
    points, target = (placed - placed[:, :1] for placed in (joints(estimate.params), joints(truth)))
    errors = fitloop.mpjpe(points, target).mean(), fitloop.pa_mpjpe(points, target).mean()
    print(f"{name}: MPJPE {errors[0]:.0f} mm, PA-MPJPE {errors[1]:.0f} mm")
