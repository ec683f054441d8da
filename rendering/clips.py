"""Clips to look at: bodies of several people over the frames of a video, seen from the side, and written as MP4."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from fitloop.body import Body, Motion
from fitloop.body.files import whole_file
from fitloop.body.mirror import rest_pelvis
from fitloop.geometry import Camera
from fitloop.rendering.export import checked_path
from fitloop.rendering.overlays import OverlayStyle, draw_overlay
from fitloop.rendering.shading import PERSON_COLORS

Frame = UInt8[np.ndarray, "height width 3"]
GAP = 4
"""Pixels of white between pictures side by side."""
_GREY, _GREY_BELOW = 243, 214
_REACH = 1.15
"""Metres from the pelvis that a body may reach, and that the view from the side shows around all places."""
_FAR = 8.0


class ClipWriter:
    """Writes RGB frames as H.264 that browsers play while it loads; the file is there whole or not at all.

    with ClipWriter(path, frame_rate=30.0) as clip:
        for frame in frames:
            clip.write(frame)

    Sizes that are odd, which yuv420p cannot hold, are padded by repeating the last row or column.
    """

    def __init__(self, path: str | Path, frame_rate: float, quality: int = 20) -> None:
        """Say where to and how.

        Args:
            path: Ends in .mp4.
            frame_rate: Frames per second, constant.
            quality: x264's constant rate factor: 18 is nearly without loss, 28 is small.

        Raises:
            ValueError: If the name ends otherwise or the rate is not positive.
            ModuleNotFoundError: If PyAV is not installed.
        """
        import av

        if not frame_rate > 0:
            raise ValueError(f"A clip has a positive frame rate, got {frame_rate}.")
        self.path, self.rate, self.quality = checked_path(path, ".mp4"), frame_rate, quality
        self.frames = 0
        self._av = av
        self._container: Any = None
        self._stream: Any = None
        self._size = (0, 0)

    def __enter__(self) -> "ClipWriter":
        self._file = whole_file(self.path)
        part = self._file.__enter__()
        self._container = self._av.open(str(part), "w", format="mp4", options={"movflags": "+faststart"})
        return self

    def write(self, frame: Frame) -> None:
        """Append a frame.

        Args:
            frame: RGB; all of one size.

        Raises:
            ValueError: If its size is not that of the first one.
            OSError: If the disk is full.
        """
        stream = self._begin(frame) if self._stream is None else self._stream
        if frame.shape[:2] != self._size:
            raise ValueError(f"Frames of a clip have one size, got {frame.shape[:2]} after {self._size}.")
        odd = (frame.shape[0] % 2, frame.shape[1] % 2)
        if any(odd):
            frame = np.pad(frame, ((0, odd[0]), (0, odd[1]), (0, 0)), mode="edge")
        picture = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
        # The colours of the stream's own tags, else players guess by the size.
        picture = picture.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
        picture.pts = self.frames
        self._container.mux(stream.encode(picture))
        self.frames += 1

    def _begin(self, frame: np.ndarray) -> Any:
        self._size = (frame.shape[0], frame.shape[1])
        rate = Fraction(self.rate).limit_denominator(1001)
        stream = self._container.add_stream("libx264", rate=rate)
        stream.height, stream.width = (side + side % 2 for side in self._size)
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": str(self.quality), "preset": "veryfast"}
        context = stream.codec_context
        context.colorspace, context.color_range, context.color_primaries, context.color_trc = 1, 1, 1, 1
        context.thread_count = 1
        self._stream = stream
        return stream

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        except BaseException as failed:
            self._container.close()
            self._file.__exit__(type(failed), failed, failed.__traceback__)
            raise
        if kind is not None:
            self._container.close()
        self._file.__exit__(kind, error, trace)

    def _finish(self) -> None:
        if self._stream is None:
            raise ValueError(f"{self.path.name} would hold no frame; write one at least.")
        self._container.mux(self._stream.encode(None))
        self._container.close()


def track_colors(tracks: Sequence[int]) -> Float[Tensor, "people 3"]:
    """The colour of each track, sRGB in [0, 1]: the same in every frame and file."""
    return torch.tensor([PERSON_COLORS[track % len(PERSON_COLORS)] for track in tracks]).reshape(-1, 3)


def draw_tracks(
    pixels: Frame,
    vertices: Float[Tensor, "people vertices 3"],
    faces: Int[Tensor, "faces 3"],
    camera: Camera,
    tracks: Sequence[int],
    samples: int = 1,
) -> Frame:
    """Draw the bodies of a frame over it, each in the colour of its track.

    Args:
        pixels: RGB; left untouched.
        vertices: Camera frame, metres.
        faces: Counter-clockwise seen from outside.
        camera: Of the frame: one for all or one per person.
        tracks: Number of each person.
        samples: Per pixel along each axis; 1 is fast, and moving edges do not show it.
    """
    return draw_overlay(pixels, vertices, faces, camera, track_colors(tracks), OverlayStyle(samples=samples))


@dataclass(frozen=True)
class SideView:
    """A far camera on the right of the clip's camera that sees all places of all people at one scale."""

    center: Float[Tensor, "3"]
    """What it looks at: camera frame of the clip, metres."""
    extent: tuple[float, float]
    """Metres up and across that it sees."""
    to_level: Float[Tensor, "3 3"] | None = None
    """Clip's camera to one with the same heading that is level, where the vertical is known."""

    @staticmethod
    def of(motions: Sequence[Motion], body: Body) -> "SideView":
        """See everybody of a clip from first to last.

        Raises:
            ValueError: If there is nobody.
        """
        if not motions:
            raise ValueError("A view from the side needs somebody to look at, got no motion.")
        level = _level(motions[0])
        places = (
            torch.cat([rest_pelvis(body, m.params.betas) + m.params.transl for m in motions]).detach().cpu().float()
        )
        places = places if level is None else places @ level.mT
        low, high = places.amin(0) - _REACH, places.amax(0) + _REACH
        return SideView((low + high) / 2.0, (float((high - low)[1]), float((high - low)[2])), level)

    def draw(
        self,
        vertices: Float[Tensor, "people vertices 3"],
        faces: Int[Tensor, "faces 3"],
        size: tuple[int, int],
        tracks: Sequence[int],
    ) -> Frame:
        """Draw the bodies of a frame on plain grey.

        Args:
            vertices: Camera frame of the clip, metres.
            faces: Counter-clockwise seen from outside.
            size: Height and width in pixels.
            tracks: Number of each person.
        """
        height, width = size
        shade = np.linspace(_GREY, _GREY_BELOW, height).astype(np.uint8)[:, None, None]
        ground = np.broadcast_to(shade, (height, width, 3)).copy()
        vertices = vertices if self.to_level is None else vertices @ self.to_level.mT.to(vertices)
        x, y, z = (vertices - self.center.to(vertices)).unbind(-1)
        # Nearly parallel: limbs keep their proportions wherever a person stands.
        distance = _FAR * max(self.extent)
        turned = torch.stack([z, y, distance - x], -1)
        focal = distance * min(height / self.extent[0], width / self.extent[1])
        camera = Camera(vertices.new_tensor(focal), vertices.new_tensor([width / 2.0, height / 2.0]))
        return draw_overlay(ground, turned, faces, camera, track_colors(tracks), OverlayStyle(1.0, 1))


def _level(motion: Motion) -> Tensor | None:
    """Rotation from the clip's camera to a level one that looks the same way."""
    if motion.to_world_rotation is None:
        return None
    down = -motion.to_world_rotation[2].detach().cpu().float()
    right = torch.linalg.cross(down, torch.tensor([0.0, 0.0, 1.0]))
    if float(right.norm()) < 1e-3:
        return None
    right = right / right.norm()
    return torch.stack([right, down, torch.linalg.cross(right, down)])


def side_by_side(*pictures: UInt8[np.ndarray, "_ _ 3"]) -> UInt8[np.ndarray, "_ _ 3"]:
    """Pictures of one height beside one another, such as photo, overlay and the view from the side.

    Raises:
        ValueError: If their heights differ.
    """
    heights = sorted({picture.shape[0] for picture in pictures})
    if len(heights) != 1:
        raise ValueError(f"Pictures side by side have one height, got {heights}.")
    gap = np.full((heights[0], GAP, 3), 255, np.uint8)
    parts = [part for picture in pictures for part in (gap, picture)][1:]
    return np.concatenate(parts, axis=1)
