"""A picture of the autoencoder: what it rebuilds, what it invents, and the way from one pose to another."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fitloop.body import Body, BodyParams
from fitloop.data.mocap import Mocap, full_pose
from fitloop.fitting import load_pose_prior
from fitloop.geometry import camera_of, rotvec_to_rotmat
from fitloop.rendering.overlays import draw_overlay
from fitloop.rendering.shading import person_colors

COLUMNS = 8
_SIZE = 200


def draw_priors(path: Path, body: Body, mocap: Mocap) -> None:
    """Write a PNG of five rows: held-out poses, the same rebuilt, drawn ones, and two ways between held-out poses.

    Args:
        path: Where to write.
        body: Whose mean shape poses.
        mocap: Poses that training did not see.
    """
    prior = load_pose_prior("vae")
    poses = full_pose(mocap.sample(COLUMNS, torch.Generator().manual_seed(3)))[:, 1:].double()
    codes = prior.encode(poses.flatten(1))
    share = torch.linspace(0.0, 1.0, COLUMNS, dtype=torch.float64)[:, None]
    rows = [
        rotvec_to_rotmat(poses),
        prior.decode(codes),
        prior.sample(COLUMNS, torch.Generator().manual_seed(0)),
        *(prior.decode((1.0 - share) * codes[a] + share * codes[b]) for a, b in ((0, 1), (2, 5))),
    ]
    pictures = [
        np.concatenate([_figure(body, pose, row) for pose in row_poses], 1) for row, row_poses in enumerate(rows)
    ]
    Image.fromarray(np.concatenate(pictures)).save(path)


def _figure(body: Body, pose: Tensor, row: int) -> np.ndarray:
    facing = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    turned = facing @ rotvec_to_rotmat(torch.tensor([0.0, 0.5, 0.0]))
    place = torch.tensor([0.0, -0.2, 4.2])
    params = BodyParams(turned[None], pose.float()[None], torch.zeros(1, body.num_betas), place[None])
    paper = np.full((_SIZE, _SIZE, 3), 255, np.uint8)
    camera = camera_of(_SIZE, _SIZE, 1.7 * _SIZE)
    return draw_overlay(paper, body(params).vertices, body.faces, camera, person_colors(5)[row : row + 1])
