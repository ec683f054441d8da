"""Skeletons that move as BVH text (Biovision hierarchy)."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.body import Body, BodyParams
from fitloop.body.files import whole_file
from fitloop.body.mirror import rest_pelvis
from fitloop.body.params import JOINT_PARENTS
from fitloop.geometry.rotations import rotmat_to_euler

_ENDS = {
    "head": "head_top",
    "left_foot": "left_big_toe",
    "right_foot": "right_big_toe",
    "left_hand": "left_middle_tip",
    "right_hand": "right_middle_tip",
}
"""Landmark at which the bone of each last joint ends."""
_STUB = 0.05
"""Metres of the last bones of a body that lacks the landmark."""
_TURNS = "Zrotation Xrotation Yrotation"


def write_bvh_file(path: Path, body: Body, params: BodyParams, frame_rate: float) -> None:
    """Write bodies as BVH: the T-pose's bones, then six numbers of the root and three of every other joint a frame.

    Args:
        path: Where to.
        body: The body model.
        params: One row per frame, of one shape, in a frame with y up, metres.
        frame_rate: Rows per second.

    Raises:
        OSError: If the file cannot be written; then none is left behind.
    """
    order = _depth_first(0)
    angles = rotmat_to_euler(params.rotations, "ZXY").numpy().astype(np.float64)
    # Angles that jump by a full turn would make programs that blend frames spin.
    angles = np.unwrap(angles, axis=0, period=360.0)[:, order]
    places = (rest_pelvis(body, params.betas) + params.transl).numpy()
    rows = np.concatenate([places, angles.reshape(len(places), -1)], 1)
    head = [
        *("HIERARCHY", *_joint(body, _offsets(body, params.betas[0]), 0, "")),
        *("MOTION", f"Frames: {len(rows)}", f"Frame Time: {1.0 / frame_rate:.8f}"),
    ]
    with whole_file(path) as part, part.open("w", encoding="ascii", newline="\n") as file:
        file.write("\n".join(head) + "\n")
        np.savetxt(file, rows, fmt="%.6f")


def _depth_first(joint: int) -> list[int]:
    children = [child for child, parent in enumerate(JOINT_PARENTS) if parent == joint]
    return [joint, *(found for child in children for found in _depth_first(child))]


def _offsets(body: Body, betas: Float[Tensor, "betas"]) -> dict[str, Float[Tensor, "3"]]:
    """Of each joint from its parent, and of each end from its last joint, by name; metres."""
    joints = body.rest_joints(betas)
    found = {
        name: joints[number] - joints[parent] if parent >= 0 else torch.zeros(3)
        for number, (name, parent) in enumerate(zip(body.joint_names, JOINT_PARENTS, strict=True))
    }
    vertices = body.template + torch.einsum("vcb,b->vc", body.shapedirs, betas)
    for last, landmark in _ENDS.items():
        if landmark in body.landmark_names:
            place = body.landmark_weights[body.landmark_names.index(landmark)] @ vertices
            found[f"{last} end"] = place - joints[body.joint_names.index(last)]
        else:
            found[f"{last} end"] = _STUB * found[last] / found[last].norm()
    return found


def _joint(body: Body, offsets: dict[str, Tensor], joint: int, indent: str) -> list[str]:
    """Lines of a joint and all below it."""
    name, inner = body.joint_names[joint], indent + "\t"
    children = [child for child, parent in enumerate(JOINT_PARENTS) if parent == joint]
    channels = f"3 {_TURNS}" if joint else f"6 Xposition Yposition Zposition {_TURNS}"
    lines = [
        *(f"{indent}{'JOINT' if joint else 'ROOT'} {name}", f"{indent}{{"),
        *(f"{inner}OFFSET {_numbers(offsets[name])}", f"{inner}CHANNELS {channels}"),
    ]
    for child in children:
        lines += _joint(body, offsets, child, inner)
    if not children:
        end = _numbers(offsets[f"{name} end"])
        lines += [f"{inner}End Site", f"{inner}{{", f"{inner}\tOFFSET {end}", f"{inner}}}"]
    return [*lines, f"{indent}}}"]


def _numbers(values: Tensor) -> str:
    return " ".join(f"{value:.6f}" for value in values.tolist())
