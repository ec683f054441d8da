"""People of photos for animation programs: one frame of BVH, or a rigged body in its pose."""

import torch

from fitloop.body import Motion
from fitloop.pipelines.chain.people import People
from fitloop.pipelines.folder.config import RunConfig
from fitloop.rendering.motion_files import write_bvh
from fitloop.rendering.rigged import export_rigged_glb
from fitloop.rendering.shading import PERSON_COLORS

KINDS = ("bvh", "rigged")
"""Outputs, and the folders that they lie in."""
_FRAME_RATE = 30.0


def write_rigs(config: RunConfig, people: People) -> None:
    """Write ``bvh/PHOTO/PERSON.bvh`` and ``rigged/PHOTO/PERSON.glb``, as far as the options ask for them.

    Args:
        config: Names the outputs and the folder.
        people: Of one photo; those whose parameters are not finite are left out.
    """
    if not set(KINDS) & set(config.outputs):
        return
    body = people.body.to("cpu", torch.float32)
    for number in range(len(people)):
        estimate = people.estimate[number : number + 1].detach().to("cpu", torch.float32)
        params = estimate.params
        if not all(bool(part.isfinite().all()) for part in (params.rotations, params.betas, params.transl)):
            continue
        if "bvh" in config.outputs:
            still = Motion(
                params, estimate.camera, torch.zeros(1), torch.ones(1, dtype=torch.bool), _FRAME_RATE, body=body.name
            )
            write_bvh(config.out / "bvh" / people.name / f"{number}.bvh", still, body)
        if "rigged" in config.outputs:
            color = torch.tensor(PERSON_COLORS[number % len(PERSON_COLORS)]).expand(len(body.template), 3)
            path = config.out / "rigged" / people.name / f"{number}.glb"
            export_rigged_glb(path, body, params.betas[0], color, params.rotations)
