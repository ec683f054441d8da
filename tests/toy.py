"""A stick figure with every landmark: small enough to check by hand, close enough to a person to be fitted."""

import torch
from torch import Tensor

from fitloop.body.keypoints import SURFACE_LANDMARKS
from fitloop.body.model import Body
from fitloop.body.params import JOINT_NAMES, JOINT_PARENTS, NUM_BETAS, BodyParams, upright
from fitloop.geometry.cameras import Camera
from fitloop.geometry.rotations import rotvec_to_rotmat

REST = {
    **{"pelvis": (0.0, 0.0, 0.0), "left_hip": (0.07, -0.08, 0.0), "left_knee": (0.09, -0.48, 0.0)},
    **{"left_ankle": (0.09, -0.88, -0.02), "left_foot": (0.1, -0.94, 0.1), "spine1": (0.0, 0.12, -0.01)},
    **{"spine2": (0.0, 0.26, 0.0), "spine3": (0.0, 0.32, 0.0), "neck": (0.0, 0.53, -0.02), "head": (0.0, 0.62, 0.03)},
    **{"left_collar": (0.07, 0.44, -0.01), "left_shoulder": (0.18, 0.46, -0.02), "left_elbow": (0.44, 0.45, -0.03)},
    **{"left_wrist": (0.7, 0.46, -0.03), "left_hand": (0.78, 0.46, -0.03)},
}


def rest_joints() -> Tensor:
    """T-pose joints (24, 3), metres."""
    rows = []
    for name in JOINT_NAMES:
        mirror = name.startswith("right_")
        x, y, z = REST[name.replace("right_", "left_")]
        rows.append((-x if mirror else x, y, z))
    return torch.tensor(rows)


def stick_body(pose_correctives: bool = False, seed: int = 0) -> Body:
    """A skinned body of 24 joints x 9 vertices: a small octahedron and the joint itself, blended with the parent.

    Args:
        pose_correctives: Give it SMPL's pose-dependent offsets, random and small.
        seed: Of the shape directions and offsets.
    """
    generator = torch.Generator().manual_seed(seed)
    joints = rest_joints()
    corners = torch.tensor([[x, y, z] for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0)])
    offsets = torch.cat([torch.zeros(1, 3), 0.04 * corners])
    template = (joints[:, None] + offsets).flatten(0, 1)
    vertices = len(template)
    owner = torch.arange(24).repeat_interleave(9)
    parent = torch.tensor([max(p, 0) for p in JOINT_PARENTS])[owner]
    weights = torch.zeros(vertices, 24)
    share = torch.where(torch.arange(vertices) % 9 == 0, 1.0, 0.7)
    weights[torch.arange(vertices), owner] += share
    weights[torch.arange(vertices), parent] += 1.0 - share
    regressor = torch.zeros(24, vertices)
    regressor[torch.arange(24), torch.arange(24) * 9] = 1.0
    stature = template[:, :, None] * torch.linspace(0.04, 0.004, NUM_BETAS)
    shapedirs = stature + 0.002 * torch.randn(vertices, 3, NUM_BETAS, generator=generator)
    landmarks = torch.zeros(len(SURFACE_LANDMARKS), vertices)
    for row, name in enumerate(SURFACE_LANDMARKS):
        landmarks[row, _landmark_vertices(name)] = 0.5
    cube = torch.tensor([[1, 2, 3], [3, 2, 4], [5, 7, 6], [7, 8, 6], [1, 5, 2], [2, 5, 6]])
    faces = (cube[None] + 9 * torch.arange(24)[:, None, None]).flatten(0, 1)
    correctives = 0.003 * torch.randn(vertices, 3, 207, generator=generator) if pose_correctives else None
    return Body("stick-1", template, shapedirs, correctives, regressor, weights, faces, SURFACE_LANDMARKS, landmarks)


def _landmark_vertices(name: str) -> list[int]:
    side = "left_" if name.startswith("left") else "right_" if name.startswith("right") else ""
    table = {
        **{"hip": side + "hip", "heel": side + "ankle", "toe": side + "foot", "pelvis": "pelvis", "spine": "spine2"},
        **{"thorax": "spine3", "neck": "neck", "eye": "head", "ear": "head", "mouth": "head", "jaw": "head"},
        **{"nose": "head", "head": "head"},
    }
    joint = next((j for part, j in table.items() if part in name), side + "hand")
    start = 9 * JOINT_NAMES.index(joint)
    spread = sum(map(ord, name)) % 7 + 1
    return [start + spread, start + spread % 8 + 1]


def random_params(*batch: int, seed: int = 0, spread: float = 0.4, dtype: torch.dtype = torch.float32) -> BodyParams:
    """Bodies about 4 m in front of the camera, upright, joints turned by about ``spread`` radians."""
    generator = torch.Generator().manual_seed(seed)
    base = upright(*batch, dtype=dtype)
    turns = spread * torch.randn(*batch, 24, 3, generator=generator).to(dtype)
    rotations = base.rotations @ rotvec_to_rotmat(turns)
    transl = torch.tensor([0.0, 0.0, 4.0]) + 0.3 * torch.randn(*batch, 3, generator=generator)
    betas = 0.8 * torch.randn(*batch, NUM_BETAS, generator=generator)
    return BodyParams(rotations[..., 0, :, :], rotations[..., 1:, :, :], betas.to(dtype), transl.to(dtype))


def toy_camera(*batch: int, dtype: torch.dtype = torch.float32) -> Camera:
    """A 640 x 480 camera with a focal length of 800 pixels."""
    return Camera(
        torch.full(batch, 800.0, dtype=dtype), torch.tensor([320.0, 240.0], dtype=dtype).expand(*batch, 2).clone()
    )
