"""A person's motion as files of animation programs: AMASS's arrays, BVH, and a moving rigged body as binary glTF."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.body import Body, BodyParams, Motion
from fitloop.body.files import whole_file
from fitloop.body.mirror import rest_pelvis
from fitloop.geometry import Camera, rotmat_to_rotvec, rotvec_to_rotmat
from fitloop.rendering.bvh import write_bvh_file
from fitloop.rendering.export import checked_path
from fitloop.rendering.gltf_file import GltfFile
from fitloop.rendering.rigged import rigged_tree, rotation_channels
from fitloop.rendering.shading import PERSON_COLORS

_UP_OF_CAMERA = ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, -1.0, 0.0))
"""Camera axes (y down, z forward) to axes with z up: x stays, the camera looks along y."""
_Y_UP = ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, -1.0, 0.0))
"""z up to y up, as glTF and BVH have it: who looks along -y then faces z."""


def to_world(motion: Motion) -> tuple[Float[Tensor, "3 3"], Float[Tensor, "3"]]:
    """Camera to the frame of motion files with z up, metres.

    The motion's own world where it is known; else the camera's frame with z up, the camera at the origin looking
    along y, so that the files of all people of a clip fit together either way.
    """
    if motion.to_world_rotation is None or motion.to_world_translation is None:
        return torch.tensor(_UP_OF_CAMERA), torch.zeros(3)
    return motion.to_world_rotation.detach().cpu().float(), motion.to_world_translation.detach().cpu().float()


def move_params(
    params: BodyParams, rotation: Float[Tensor, "3 3"], translation: Float[Tensor, "3"], body: Body
) -> BodyParams:
    """The same bodies in another frame, in which a point x lies at ``rotation @ x + translation``.

    Args:
        params: One row per frame.
        rotation: Old frame to new frame.
        translation: Metres.
        body: The body model; its rest pelvis is what ``transl`` is added to.
    """
    pelvis = rest_pelvis(body, params.betas)
    place = (pelvis + params.transl) @ rotation.mT + translation
    return replace(params, global_orient=rotation @ params.global_orient, transl=place - pelvis)


def write_motion_npz(path: str | Path, motion: Motion, body: Body) -> None:
    """Write a motion in AMASS's layout, with what AMASS has no place for beside it; docs/motion_files.md lists it.

    Args:
        path: Ends in .npz.
        motion: Of one person.
        body: The body model of the motion.

    Raises:
        ValueError: If the name ends otherwise, or the motion is empty, of another body or of several shapes.
        OSError: If the file cannot be written; then none is left behind.
    """
    path = checked_path(path, ".npz")
    motion, body = _checked(motion, body)
    rotation, translation = to_world(motion)
    params = move_params(motion.params, rotation, translation, body)
    arrays = {
        "poses": rotmat_to_rotvec(params.rotations).flatten(1).numpy(),
        "trans": params.transl.numpy(),
        "betas": params.betas[0].numpy(),
        "mocap_frame_rate": np.array(motion.frame_rate, np.float64),
        "gender": np.array("neutral"),
        "body": np.array(motion.body),
        "track": np.array(motion.track, np.int64),
        "seen": motion.seen.numpy(),
        "times": motion.times.numpy(),
        "focal": motion.camera.focal.numpy(),
        "principal_point": motion.camera.principal_point.numpy(),
        "world_known": np.array(motion.to_world_rotation is not None),
        "to_world_rotation": rotation.numpy(),
        "to_world_translation": translation.numpy(),
    }
    with whole_file(path) as file:
        np.savez_compressed(file, **arrays)  # pyright: ignore[reportArgumentType]


def read_motion_npz(path: str | Path, body: Body) -> Motion:
    """Read back what `write_motion_npz` wrote; a file of AMASS alone does not know its camera.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it lacks arrays, or holds a motion of another body.
    """
    with np.load(path, allow_pickle=False) as file:
        needed = {"poses", "trans", "betas", "mocap_frame_rate", "body", "seen", "times", "focal", "to_world_rotation"}
        missing = sorted(needed - set(file.files))
        if missing:
            raise ValueError(f"{path} has no {', '.join(missing)}; expected a motion that fitloop wrote.")
        found = {key: file[key] for key in file.files}
    if str(found["body"]) != body.name:
        raise ValueError(f"{path} holds a motion of body {str(found['body'])!r}, not of {body.name!r}.")
    rotations = rotvec_to_rotmat(torch.from_numpy(found["poses"]).unflatten(1, (-1, 3)))
    betas = torch.from_numpy(found["betas"]).expand(len(rotations), -1)
    there = BodyParams(rotations[:, 0], rotations[:, 1:], betas, torch.from_numpy(found["trans"]))
    rotation, translation = (torch.from_numpy(found[f"to_world_{part}"]) for part in ("rotation", "translation"))
    known = bool(found["world_known"])
    return Motion(
        params=move_params(there, rotation.mT, -rotation.mT @ translation, body),
        camera=Camera(torch.from_numpy(found["focal"]), torch.from_numpy(found["principal_point"])),
        times=torch.from_numpy(found["times"]),
        seen=torch.from_numpy(found["seen"]),
        frame_rate=float(found["mocap_frame_rate"]),
        to_world_rotation=rotation if known else None,
        to_world_translation=translation if known else None,
        body=body.name,
        track=int(found["track"]),
    )


def write_bvh(path: str | Path, motion: Motion, body: Body) -> None:
    """Write a motion as BVH: metres, y up, SMPL's joint names, offsets of the person's own shape.

    The root has an offset of 0 and six channels, so its position channels are its place, whichever way a program reads
    them. Every joint turns by z, x, y (``Rz Rx Ry``) from the T-pose that faces z.

    Args:
        path: Ends in .bvh.
        motion: Of one person; one row gives one frame.
        body: The body model of the motion.

    Raises:
        ValueError: As `write_motion_npz`.
        OSError: As `write_motion_npz`.
    """
    path = checked_path(path, ".bvh")
    motion, body = _checked(motion, body)
    write_bvh_file(path, body, _upright(motion, body), motion.frame_rate)


def write_motion_glb(
    path: str | Path, motion: Motion, body: Body, color: tuple[float, float, float] | None = None
) -> None:
    """Write a moving, rigged body as binary glTF: metres, y up, one key a frame, beginning at 0 seconds.

    The rest pose is the T-pose at the origin with the soles at height 0; the animation ``motion`` turns every joint and
    carries the pelvis. Linear blend skinning is all that glTF has: SMPL's pose correctives are left out.

    Args:
        path: Ends in .glb.
        motion: Of one person.
        body: The body model of the motion.
        color: sRGB in [0, 1]; by default that of the track on overlays.

    Raises:
        ValueError: As `write_motion_npz`.
        OSError: As `write_motion_npz`.
    """
    path = checked_path(path, ".glb")
    motion, body = _checked(motion, body)
    params = _upright(motion, body)
    color = PERSON_COLORS[motion.track % len(PERSON_COLORS)] if color is None else color
    file = GltfFile()
    tree = rigged_tree(file, body, params.betas[0], torch.tensor(color).expand(len(body.template), 3))
    tree["animations"] = [_moving(file, params, rest_pelvis(body, params.betas), motion.frame_rate)]
    content = file.encode(tree)
    with whole_file(path) as part:
        part.write_bytes(content)


def _moving(file: GltfFile, params: BodyParams, pelvis: Tensor, frame_rate: float) -> dict[str, Any]:
    times = torch.arange(len(params.transl), dtype=torch.float64) / frame_rate
    clock = file.add(times.float().numpy(), "SCALAR", bounds=True)
    samplers, channels = rotation_channels(file, clock, params.rotations, "LINEAR")
    places = file.add((pelvis + params.transl).numpy(), "VEC3")
    samplers.append({"input": clock, "output": places, "interpolation": "LINEAR"})
    channels.append({"sampler": len(samplers) - 1, "target": {"node": 1, "path": "translation"}})
    return {"name": "motion", "samplers": samplers, "channels": channels}


def _upright(motion: Motion, body: Body) -> BodyParams:
    """Bodies with y up, metres."""
    rotation, translation = to_world(motion)
    turn = torch.tensor(_Y_UP)
    return move_params(motion.params, turn @ rotation, turn @ translation, body)


def _checked(motion: Motion, body: Body) -> tuple[Motion, Body]:
    """Motion and body on the CPU, single precision."""
    if motion.body != body.name:
        raise ValueError(f"The motion is of body {motion.body!r}, not of {body.name!r}.")
    if len(motion.times) == 0:
        raise ValueError("The motion has no frames; leave this track out.")
    if motion.frame_rate <= 0:
        raise ValueError(f"A motion has a positive frame rate, got {motion.frame_rate}.")
    motion = motion.detach().to("cpu", torch.float32)
    # A skeleton has one set of bones for the whole motion.
    if not torch.allclose(motion.params.betas, motion.params.betas[:1], atol=1e-4):
        raise ValueError("The motion changes its shape; one person has one row of betas, repeated.")
    return motion, body.to("cpu", torch.float32)
