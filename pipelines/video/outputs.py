"""Files of a clip: motions for animation programs, and clips to look at."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch

from fitloop.body import Body
from fitloop.data.video import ClipReader
from fitloop.geometry import Camera
from fitloop.pipelines.folder.config import RunConfig
from fitloop.pipelines.folder.pictures import shrink
from fitloop.pipelines.pages.clip_page import ClipTrack, Film, write_clip_page
from fitloop.pipelines.video.motions import TrackBodies
from fitloop.pipelines.video.tracks import ClipEvidence
from fitloop.rendering.clips import ClipWriter, SideView, draw_tracks, side_by_side
from fitloop.rendering.motion_files import write_bvh, write_motion_glb, write_motion_npz

OVERLAY_SIDE = 1280
"""Longer side of the drawn clips at most, pixels."""


def motion_folder(out: Path, clip: str) -> Path:
    """Where the files of a clip lie."""
    return out / "motion" / clip


def write_motions(config: RunConfig, clip: str, bodies: Sequence[TrackBodies], body: Body) -> None:
    """Write every motion of a clip: arrays always, BVH and animated glTF where meshes are wanted."""
    folder = motion_folder(config.out, clip)
    for one in bodies:
        stem = str(one.motion.track)
        write_motion_npz(folder / f"{stem}.npz", one.motion, body)
        if "meshes" in config.outputs:
            write_bvh(folder / f"{stem}.bvh", one.motion, body)
            write_motion_glb(folder / f"{stem}.glb", one.motion, body)


def write_page(
    config: RunConfig,
    clip: str,
    evidence: ClipEvidence,
    bodies: Sequence[TrackBodies],
    body: Body,
    size: tuple[int, int],
) -> None:
    """Write ``clip.html``, which plays the overlay and the bodies together.

    Args:
        config: Names the folder.
        clip: Its name.
        evidence: Of the clip.
        bodies: Of its tracks.
        body: Whose parameters they are.
        size: Height and width of the frames.
    """
    rate = bodies[0].motion.frame_rate
    film = Film("overlay.mp4", size, len(evidence.frames), rate, float(evidence.frames[0]) / rate)
    held = any(one.motion.to_world_rotation is not None for one in bodies)
    tracks = []
    for one in bodies:
        stages = {"regressed": one.regressed.params}
        stages |= {} if one.tuned is None else {"tuned": one.tuned.estimate.params}
        stages["smoothed"] = one.fitted.estimate.params
        # Where nobody's feet are held the motion is the smoothed one.
        tracks.append(ClipTrack(one.motion, stages | ({"feet held": one.motion.params} if held else {})))
    write_clip_page(motion_folder(config.out, clip) / "clip.html", clip, body, film, tracks)


def write_clips(
    config: RunConfig,
    clip: str,
    reader: ClipReader,
    bodies: Sequence[TrackBodies],
    body: Body,
    advance: Callable[[int], None],
) -> None:
    """Draw the bodies over the clip, and beside it with a view from the side, reading the clip once more.

    Args:
        config: Names the folder.
        clip: Its name.
        reader: Of the clip.
        bodies: At least one.
        body: Whose parameters they are.
        advance: Told how many frames were done.
    """
    folder, rate = motion_folder(config.out, clip), reader.info.frame_rate
    view = SideView.of([one.motion for one in bodies], body.to("cpu"))
    with ExitStack() as open_clips:
        over = open_clips.enter_context(ClipWriter(folder / "overlay.mp4", rate))
        beside = open_clips.enter_context(ClipWriter(folder / "side_by_side.mp4", rate))
        for frame in reader.frames():
            pixels, scale = shrink(frame.pixels, OVERLAY_SIDE)
            drawn, side = _draw(pixels, scale, frame.index, bodies, body.to("cpu"), view)
            over.write(drawn)
            beside.write(side_by_side(pixels, drawn, side))
            advance(1)


def _draw(
    pixels: np.ndarray, scale: float, index: int, bodies: Sequence[TrackBodies], body: Body, view: SideView
) -> tuple[np.ndarray, np.ndarray]:
    """A frame with the bodies over it, and a view of them from the side."""
    there = [one for one in bodies if one.evidence.frames[0] <= index <= one.evidence.frames[-1]]
    tracks, half = [one.motion.track for one in there], (pixels.shape[0], max(pixels.shape[1] // 2, 64))
    rows = [one.motion.params[[index - int(one.evidence.frames[0])]] for one in there]
    vertices = torch.cat([body(row).vertices for row in rows]) if rows else torch.zeros(0, len(body.template), 3)
    camera = bodies[0].motion.camera[0]
    small = Camera(camera.focal * scale, camera.principal_point * scale)
    drawn = draw_tracks(pixels, vertices, body.faces, small, tracks) if rows else pixels
    return drawn, view.draw(vertices, body.faces, half, tracks)
