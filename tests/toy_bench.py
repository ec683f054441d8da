"""Small made-up benchmarks: people in front of a camera, and results that are wrong by a known amount."""

from dataclasses import replace

import numpy as np
import torch
from toy import random_params, stick_body, toy_camera

from fitloop.body import JOINT_NAMES, BodyParams, KeypointKinematics
from fitloop.evaluation.placing import Bodies
from fitloop.geometry import Camera, project, rotvec_to_rotmat

GRADES = ("easy", "loose clothes", "occluded", "truncated", "acrobatic")


def bodies(*more):
    return Bodies({body.name: body for body in (stick_body(), *more)})


def disturbed(params: BodyParams, noise: float, seed: int = 7) -> BodyParams:
    generator = torch.Generator().manual_seed(seed)
    count = params.transl.shape[0]
    turns = rotvec_to_rotmat(noise * torch.randn(count, 23, 3, generator=generator))
    return replace(params, body_pose=params.body_pose @ turns)


def boxes_of(params, camera, body):
    points = project(KeypointKinematics(body, JOINT_NAMES)(params), camera)
    return torch.cat([points.amin(1) - 5.0, points.amax(1) + 5.0], -1)


def photo_names(count):
    return [f"people/{row:04d}.jpg" for row in range(count)]


def make_truth(count=12, seed=0, body=None):
    """Arrays of an open-bench truth file."""
    body = body or stick_body()
    params, camera = random_params(count, seed=seed), toy_camera(count)
    return {
        **estimate_arrays(params, camera, ""),
        "boxes": boxes_of(params, camera, body).numpy(),
        "photo": np.array(photo_names(count)),
        "person": np.array(["0"] * count),
        "grade": np.array([GRADES[row % 5] for row in range(count)]),
        "visibility": np.ones((count, 24), np.float32),
        "image_size": np.tile([480, 640], (count, 1)),
        "body": np.array(body.name),
    }


def estimate_arrays(params: BodyParams, camera: Camera, prefix: str):
    values = {
        **{"global_orient": params.global_orient, "body_pose": params.body_pose, "betas": params.betas},
        **{"transl": params.transl, "focal": camera.focal, "principal_point": camera.principal_point},
    }
    return {prefix + key: value.numpy() for key, value in values.items()}


def params_of(truth) -> BodyParams:
    keys = ("global_orient", "body_pose", "betas", "transl")
    return BodyParams(*(torch.from_numpy(truth[key]) for key in keys))


def write_results(folder, truth, body=None, regressed=0.3, fitted=0.1, seed=7):
    """A run's folder: one results file per photo, with both stages and the detector's landmarks."""
    body = body or stick_body()
    params = params_of(truth)
    camera = Camera(torch.from_numpy(truth["focal"]), torch.from_numpy(truth["principal_point"]))
    from fitloop.body.keypoints import MEDIAPIPE_33

    first, second = disturbed(params, regressed, seed), disturbed(params, fitted, seed)
    landmarks = KeypointKinematics(body, tuple(filter(None, MEDIAPIPE_33.landmarks)))(first)
    hips = [MEDIAPIPE_33.index("left_hip"), MEDIAPIPE_33.index("right_hip")]
    relative = landmarks - landmarks[:, hips].mean(1, keepdim=True)
    pixels = project(landmarks, camera)
    ones = torch.ones(*pixels.shape[:2], 1)
    arrays = {
        **estimate_arrays(second, camera, ""),
        **estimate_arrays(first, camera, "regressed_"),
        "boxes": truth["boxes"],
        "keypoints": torch.cat([pixels, ones], -1).numpy(),
        "landmarks": torch.cat([relative, ones], -1).numpy(),
        "energy": np.linspace(1.0, 9.0, len(pixels)).astype(np.float32),
        "status": np.array(["converged"] * len(pixels)),
    }
    for photo in dict.fromkeys(truth["photo"].tolist()):
        rows = truth["photo"] == photo
        path = folder / "results" / f"{photo}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        chosen = {key: value[rows] for key, value in arrays.items()}
        np.savez(path, **chosen, body=body.name, convention="mediapipe33", image_size=[480, 640], photo=photo)
    return folder
