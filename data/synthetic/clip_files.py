"""Synthetic clips on disk: an MP4 each, and the truth of every person in every frame."""

from pathlib import Path

import numpy as np
import PIL.Image

from fitloop.body.files import whole_file
from fitloop.data.synthetic.clips import Clip
from fitloop.data.synthetic.files import PER_PERSON, join_truth, truth_arrays
from fitloop.rendering.clips import ClipWriter

PER_FRAME = (*PER_PERSON, "sequence", "frame", "time", "camera_rotation", "camera_center")
"""Arrays with one row per person and frame."""
QUALITY = 17
"""x264's rate factor: what compression leaves is not what is to be measured."""
_THUMB, _MOMENTS = 240, 4


def write_clip(folder: Path, clip: Clip, number: int, frame_rate: float) -> None:
    """Draw a clip and write it and last its truth; both whole or not at all.

    Args:
        folder: Gets clips/ and truth/.
        clip: From `arrange_clip`.
        number: Of the clip.
        frame_rate: Frames per second.

    Raises:
        OSError: If a file cannot be written.
    """
    name, tables, shown = f"{number:06d}.mp4", [], []
    body, count = clip.assets.dressmaker.body.name, len(clip.path.centers)
    with ClipWriter(folder / "clips" / name, frame_rate, QUALITY) as video:
        for frame, photo in enumerate(clip.frames()):
            video.write(photo.pixels)
            arrays = truth_arrays(photo, f"{name}/{frame:06d}", body, clip.kind)
            tables.append(arrays | _of_frame(clip, number, frame, frame_rate))
            if frame in {round(part * (count - 1) / (_MOMENTS - 1)) for part in range(_MOMENTS)}:
                shown.append(photo.pixels)
    with whole_file(folder / "strips" / f"{number:06d}.jpg") as file:
        PIL.Image.fromarray(np.concatenate(shown, 1)).save(file, "JPEG", quality=88)
    joined = {key: np.concatenate([table[key] for table in tables]) for key in PER_FRAME}
    shared = {key: value for key, value in tables[0].items() if key not in PER_FRAME}
    with whole_file(folder / "truth" / f"{number:06d}.npz") as file:
        np.savez_compressed(file, **joined, **shared)  # pyright: ignore[reportArgumentType]


def _of_frame(clip: Clip, number: int, frame: int, frame_rate: float) -> dict[str, np.ndarray]:
    people = len(clip.roles)
    rotation = clip.path.rotations[frame] @ clip.plan.rotation
    center = clip.plan.rotation.T @ clip.path.centers[frame]
    return {
        # One person of one clip is one sequence: what belongs together over time.
        "person": np.array([f"{number:06d}-{person}" for person in range(people)]),
        "sequence": np.array([f"{number:06d}-{person}" for person in range(people)]),
        "frame": np.full(people, frame),
        "time": np.full(people, frame / frame_rate),
        "camera_rotation": np.tile(rotation.astype(np.float32), (people, 1, 1)),
        "camera_center": np.tile(center.astype(np.float32), (people, 1)),
    }


def join_clips(folder: Path, clips: int) -> None:
    """Write truth.npz with the people of all clips, those of one sequence after one another, and contact.jpg."""
    arrays = join_truth([folder / "truth" / f"{number:06d}.npz" for number in range(clips)], PER_FRAME)
    order = np.lexsort((arrays["frame"], arrays["sequence"]))
    arrays = {key: value[order] if key in PER_FRAME else value for key, value in arrays.items()}
    with whole_file(folder / "truth.npz") as file:
        np.savez_compressed(file, **arrays)  # pyright: ignore[reportArgumentType]
    strips = []
    for number in range(clips):
        with PIL.Image.open(folder / "strips" / f"{number:06d}.jpg") as strip:
            strips.append(strip.resize((_MOMENTS * _THUMB, round(_MOMENTS * _THUMB * strip.height / strip.width))))
    sheet = PIL.Image.new("RGB", (_MOMENTS * _THUMB, sum(strip.height for strip in strips)))
    top = 0
    for strip in strips:
        sheet.paste(strip, (0, top))
        top += strip.height
    with whole_file(folder / "contact.jpg") as file:
        sheet.save(file, "JPEG", quality=88)
