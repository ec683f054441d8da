"""A motion small enough to check by hand."""

from dataclasses import replace

import torch

from fitloop.body import Motion, load_body, upright
from fitloop.geometry import Camera, rotvec_to_rotmat

BODY = load_body("open")
FRAMES, RATE = 12, 30.0


def make_motion(world: bool = True, seed: int = 0, frames: int = FRAMES) -> Motion:
    """Somebody who turns more than once and walks to the right, before a tilted camera."""
    generator = torch.Generator().manual_seed(seed)
    still, along = upright(frames), torch.linspace(0.0, 1.0, frames)
    turns = rotvec_to_rotmat(2.0 * along[:, None, None] * torch.randn(1, 24, 3, generator=generator))
    spin = rotvec_to_rotmat(9.0 * along[:, None] * torch.tensor([0.1, 1.0, 0.1]))
    params = replace(
        still,
        global_orient=still.global_orient @ spin,
        body_pose=turns[:, 1:],
        betas=torch.randn(1, 10, generator=generator).expand(frames, 10).contiguous(),
        transl=torch.stack([2.0 * along - 1.0, 0.2 + 0.0 * along, 4.0 + along], 1),
    )
    camera = Camera(torch.full((frames,), 600.0), torch.tensor([[320.0, 240.0]]).expand(frames, 2).contiguous())
    tilt = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]) @ rotvec_to_rotmat(
        torch.tensor([0.2, 0.0, 0.1])
    )
    seen = torch.arange(frames) != 3
    motion = Motion(params, camera, 0.5 + torch.arange(frames) / RATE, seen, RATE, track=2)
    if not world:
        return motion
    return replace(motion, to_world_rotation=tilt, to_world_translation=torch.tensor([0.1, -2.0, 1.4]))
