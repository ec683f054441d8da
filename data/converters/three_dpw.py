"""3DPW (von Marcard et al. 2018), from its sequence files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from fitloop.body.safe_pickle import load_array_lists
from fitloop.data.converters.people import Person, crop_of_points, gather, need
from fitloop.data.spin_dataset import SpinDataset
from fitloop.data.spin_fields import POSE_SIZE, SHAPE_SIZE
from fitloop.geometry import rotmat_to_rotvec, rotvec_to_rotmat

KEYS = ("sequence", "poses", "betas", "genders", "cam_poses", "campose_valid", "poses2d")


def convert_3dpw(folder: Path, split: Literal["train", "validation", "test"] = "test") -> SpinDataset:
    """Convert ``sequenceFiles/<split>/*.pkl``: frames with a valid camera, root turned into the camera's frame.

    Boxes come from the detected keypoints; frames without any are left out. There are no annotated keypoints.

    Raises:
        FileNotFoundError: If there is no sequence file.
        ValueError: If a file is truncated, hostile, or not 3DPW's.
    """
    place = folder / "sequenceFiles" / split
    paths = sorted(place.glob("*.pkl"))
    if not paths:
        need(place / "*.pkl", "3DPW's sequence files")
    return gather(f"3dpw_{split}", (person for path in paths for person in _people(path)))


def _people(path: Path) -> Iterator[Person]:
    content = load_array_lists(path, KEYS)
    sequence = str(content["sequence"][0])
    cameras = np.stack(content["cam_poses"]).reshape(-1, 4, 4)[:, :3, :3]
    lengths = {key: len(content[key]) for key in ("poses", "betas", "genders", "campose_valid", "poses2d")}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{path}: the number of people differs: {lengths}.")
    for person in range(lengths["poses"]):
        poses = content["poses"][person]
        if poses.shape != (len(cameras), POSE_SIZE):
            raise ValueError(f"{path}: poses have shape {poses.shape}, expected {(len(cameras), POSE_SIZE)}.")
        poses = _into_camera(poses.astype(np.float64), cameras)
        betas = content["betas"][person].ravel()[:SHAPE_SIZE]
        for frame in np.flatnonzero(content["campose_valid"][person]):
            points = content["poses2d"][person][frame].T
            # A box of one point has no size.
            points = points[points[:, 2] > 0, :2]
            if len(points) < 2:
                continue
            center, scale = crop_of_points(points)
            name = f"imageFiles/{sequence}/image_{frame:05d}.jpg"
            gender = str(content["genders"][person])
            none = np.zeros((24, 3))
            yield Person(name, center, scale, none, pose=poses[frame], betas=betas, gender=gender)


def _into_camera(poses: np.ndarray, cameras: np.ndarray) -> np.ndarray:
    """Turn the root from the world into each frame's camera."""
    root = torch.from_numpy(cameras.astype(np.float64)) @ rotvec_to_rotmat(torch.from_numpy(poses[:, :3]))
    return np.concatenate([rotmat_to_rotvec(root).numpy(), poses[:, 3:]], 1)
