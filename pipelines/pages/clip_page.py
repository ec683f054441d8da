"""``clip.html``: the film of a clip and its bodies in 3D along one time line, without network."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import torch

from fitloop.body import Body, BodyParams, Motion
from fitloop.body.files import whole_file
from fitloop.body.mirror import rest_pelvis
from fitloop.geometry import rotmat_to_rotvec
from fitloop.rendering.pages import write_html
from fitloop.rendering.shading import PERSON_COLORS
from fitloop.rendering.viewer import viewer_body

POSE_UNIT = np.pi / 32767
SHAPE_UNIT = 1.0 / 2000.0
"""Of the 16-bit numbers of poses (radians) and shapes; `clip.js` has the same."""


@dataclass(frozen=True)
class Film:
    """The drawn clip that the page plays."""

    address: str
    """Relative to the page."""
    size: tuple[int, int]
    """Height and width of the frames that the motions' cameras belong to."""
    frames: int
    frame_rate: float
    start: float = 0.0
    """Seconds of the motions' times at which the film begins."""


@dataclass(frozen=True)
class ClipTrack:
    """One person of a clip."""

    motion: Motion
    stages: Mapping[str, BodyParams]
    """One row per row of the motion, the last stage last; all people have the same stages."""


@dataclass(frozen=True)
class _File:
    name: str
    link: str


@dataclass(frozen=True)
class _Row:
    track: int
    start: float
    end: float
    seen: int
    frames: int
    files: tuple[_File, ...]


def write_clip_page(path: Path, name: str, body: Body, film: Film, tracks: Sequence[ClipTrack]) -> None:
    """Write a page and beside it the script with its bodies, about 200 bytes per person, stage and frame.

    Files beside the page that are called after a track (``0.bvh``) are linked.

    Args:
        path: Ends in .html; the script is called the same and ends in .js.
        name: Of the clip.
        body: The body model of the motions.
        film: The drawn clip.
        tracks: Of everybody; may be empty.

    Raises:
        ValueError: If the stages of two people differ, or have other numbers of rows than the motion.
        OSError: If a file cannot be written.
    """
    stages = _stage_names(tracks)
    record = {
        "frames": film.frames,
        "rate": film.frame_rate,
        "stages": stages,
        "people": [_person(track, film) for track in tracks],
        **_view(tracks, film, body),
    }
    script = path.with_suffix(".js")
    with whole_file(script) as file:
        text = json.dumps(record, separators=(",", ":"), allow_nan=False)
        file.write_text(f"fitloopClip.arrive({text});\n", encoding="utf-8")
    write_html(
        path,
        "fitloop.pipelines",
        "clip.html",
        name=name,
        frames=film.frames,
        rate=film.frame_rate,
        size=film.size,
        video=film.address,
        data=quote(script.name),
        body=viewer_body(body),
        people=[_row(track.motion, path.parent) for track in tracks],
        world=any(track.motion.to_world_rotation is not None for track in tracks) or not tracks,
    )


def _stage_names(tracks: Sequence[ClipTrack]) -> list[str]:
    names = [list(track.stages) for track in tracks]
    if any(other != names[0] for other in names):
        raise ValueError(f"All people of a clip have the same stages, got {sorted(set(map(tuple, names)))}.")
    for track in tracks:
        rows = {stage: len(params.transl) for stage, params in track.stages.items()}
        if set(rows.values()) != {len(track.motion.times)}:
            raise ValueError(f"Track {track.motion.track} has {len(track.motion.times)} rows, its stages have {rows}.")
    return names[0] if names else ["nobody"]


def _person(track: ClipTrack, film: Film) -> dict[str, Any]:
    motion = track.motion
    return {
        "track": motion.track,
        "color": PERSON_COLORS[motion.track % len(PERSON_COLORS)],
        "first": round((float(motion.times[0]) - film.start) * film.frame_rate),
        "frames": len(motion.times),
        "seen": _encode(motion.seen.cpu().numpy().astype(np.uint8)),
        "stages": {stage: _stage(params) for stage, params in track.stages.items()},
    }


def _stage(params: BodyParams) -> dict[str, str]:
    params = params.detach().to("cpu", torch.float32)
    poses = rotmat_to_rotvec(params.rotations).flatten(1).numpy() / POSE_UNIT
    betas = params.betas.numpy() / SHAPE_UNIT
    return {
        "pose": _encode(np.nan_to_num(poses).round().clip(-32767, 32767).astype("<i2")),
        "betas": _encode(np.nan_to_num(betas).round().clip(-32767, 32767).astype("<i2")),
        "transl": _encode(np.nan_to_num(params.transl.numpy()).astype("<f4")),
    }


def _view(tracks: Sequence[ClipTrack], film: Film, body: Body) -> dict[str, Any]:
    """What the viewer starts from: the clip's camera, turning about the middle of all places."""
    height, width = film.size
    scene = {"body": body.name, "size": [width, height], "view": [0, 0, width, height]}
    if not tracks:
        focal = float(max(film.size))
        return {
            "scene": scene | {"focal": focal, "principal": [width / 2, height / 2]},
            "centre": [0, 0, 3],
            "depth": 4,
        }
    motions = [track.motion for track in tracks]
    body = body.to("cpu", torch.float32)
    pelvises = [
        rest_pelvis(body, params.betas) + params.transl
        for params in (motion.params.detach().to("cpu", torch.float32) for motion in motions)
    ]
    places = torch.cat(pelvises)
    camera = motions[0].camera[0]
    scene |= {"focal": float(camera.focal), "principal": [float(place) for place in camera.principal_point]}
    middle = ((places.amin(0) + places.amax(0)) / 2.0).tolist()
    return {"scene": scene, "centre": middle, "depth": max(1.0, float(places[:, 2].max()) + 1.0)}


def _row(motion: Motion, folder: Path) -> _Row:
    files = sorted(file for file in folder.glob(f"{motion.track}.*") if file.is_file())
    return _Row(
        motion.track,
        float(motion.times[0]),
        float(motion.times[-1]),
        int(motion.seen.sum()),
        len(motion.times),
        tuple(_File(file.name, quote(file.name)) for file in files),
    )


def _encode(values: np.ndarray) -> str:
    return base64.b64encode(values.tobytes()).decode("ascii")
