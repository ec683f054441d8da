"""The benchmark on photos with true 3D joints, on a made-up truth."""

from dataclasses import replace

import numpy as np
import torch
from PIL import Image

from benchmarks.detection import keypoint_errors
from benchmarks.real3d import JOINTS, _errors, load_scenes
from fitloop.body import Detections
from fitloop.body.keypoints import BODY_25, COCO_17


def write_truth(folder) -> np.ndarray:
    names = [name for name in BODY_25.keypoints if name != "mid_hip"]
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 1, len(names), 3)).astype(np.float32)
    points[..., 2] += 4.0
    seen = np.ones((1, 1, len(names), 3), np.float32)
    seen[..., :2] = points[..., :2] / points[..., 2:] * 500.0 + (100.0, 150.0)
    seen[0, 0, names.index("left_wrist"), 2] = 0.0
    (folder / "frames").mkdir()
    Image.new("RGB", (200, 300)).save(folder / "frames" / "cam01_0000.jpg")
    K = np.diag([500.0, 500.0, 1.0]).astype(np.float32)[None]
    np.savez(folder / "truth.npz", joints=names, cameras=["cam01"], joints_3d=points, keypoints_openpose=seen, K=K)
    return points[0, 0]


def test_the_truth_itself_has_no_error_and_is_not_turned(tmp_path):
    write_truth(tmp_path)
    scenes = load_scenes(tmp_path, "known")
    columns = [BODY_25.index(name) for name in JOINTS]
    joints = scenes[0].joints[None]
    errors = _errors(scenes, joints, scenes[0].exact.keypoints[:, columns])
    assert float(errors.mpjpe) < 1e-3 and float(errors.pa_mpjpe) < 1e-3 and float(errors.pixels) < 1e-6
    assert not errors.turned.any()
    mirrored = _errors(scenes, joints * torch.tensor([-1.0, 1.0, -1.0]), scenes[0].exact.keypoints[:, columns])
    assert mirrored.turned.all() and float(mirrored.pa_mpjpe) < 1e-2


def test_the_guessed_focal_length_is_the_diagonal(tmp_path):
    write_truth(tmp_path)
    assert float(load_scenes(tmp_path, "known")[0].image.camera.focal) == 500.0
    assert float(load_scenes(tmp_path, "guessed")[0].image.camera.focal) == np.float32(np.hypot(200, 300))


def test_keypoint_errors_are_shares_of_the_annotated_box():
    points = torch.arange(34.0).reshape(1, 17, 2)
    people = Detections(points, torch.ones(1, 17), torch.zeros(1, 4), COCO_17.name)
    joints = np.concatenate([points[0].numpy() + (3.0, 4.0), np.full((17, 1), 2.0)], 1)
    joints[16, 2] = 0.0
    listed = [{"bbox": [0, 0, 20, 50], "keypoints": joints.ravel().tolist()}]
    assert keypoint_errors(people, {0: 0}, listed) == [0.1]
    assert keypoint_errors(replace(people), {}, listed) == []
