"""Body files: the open body that comes with the project, or the user's SMPL file."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from fitloop.body.assets import asset_path
from fitloop.body.model import Body
from fitloop.body.params import JOINT_NAMES


def load_body(source: str | Path = "open") -> Body:
    """Load a body model.

        body = fitloop.load_body()  # the open body
        mine = fitloop.load_body("SMPL_NEUTRAL.pkl")

    Args:
        source: ``open`` for the body that comes with the project, else the path of a SMPL file (.pkl or .npz).

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not a SMPL body, is truncated, or holds anything but arrays.
    """
    if str(source) == "open":
        return _open_body()
    from fitloop.body.smpl import load_smpl

    return load_smpl(Path(source))


@lru_cache(maxsize=1)
def _open_body() -> Body:
    with np.load(asset_path("open_body.npz"), allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}
    vertices = arrays["template"].shape[0]
    weights = np.zeros((vertices, len(JOINT_NAMES)), np.float32)
    np.add.at(weights, (np.arange(vertices)[:, None], arrays["lbs_indices"].astype(int)), arrays["lbs_weights"])
    landmarks = tuple(str(name) for name in arrays["keypoint_names"])
    return Body(
        name=str(arrays["name"]),
        template=torch.from_numpy(arrays["template"].astype(np.float32)),
        shapedirs=torch.from_numpy(arrays["shapedirs"].astype(np.float32)),
        posedirs=None,
        joint_regressor=_dense(arrays, "joint_regressor", (len(JOINT_NAMES), vertices)),
        lbs_weights=torch.from_numpy(weights),
        faces=torch.from_numpy(arrays["faces"].astype(np.int64)),
        landmark_names=landmarks,
        landmark_weights=_dense(arrays, "keypoint", (len(landmarks), vertices)),
        uv=torch.from_numpy(arrays["uv"].astype(np.float32)),
        uv_faces=torch.from_numpy(arrays["uv_faces"].astype(np.int64)),
        base_vertices=torch.from_numpy(arrays["base_vertices"].astype(np.int64)),
    )


def _dense(arrays: dict[str, np.ndarray], prefix: str, shape: tuple[int, int]) -> torch.Tensor:
    table = np.zeros(shape, np.float32)
    rows, columns = arrays[f"{prefix}_rows"].astype(int), arrays[f"{prefix}_cols"].astype(int)
    np.add.at(table, (rows, columns), arrays[f"{prefix}_values"])
    return torch.from_numpy(table)
