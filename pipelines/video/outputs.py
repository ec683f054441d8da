"""Files of a clip's motions."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fitloop.body import Body
from fitloop.body.files import whole_file
from fitloop.body.motion import Motion
from fitloop.pipelines.video.motions import TrackBodies


def write_motions(config: Any, clip: str, bodies: Sequence[TrackBodies], body: Body) -> None:
    """Write every motion of a clip below ``motion/CLIP/``."""
    for one in bodies:
        folder = config.out / "motion" / clip
        write_plain(folder / f"{one.motion.track}.npz", one.motion)


def write_plain(path: Path, motion: Motion) -> None:
    """The record as plain arrays."""
    params = motion.params
    with whole_file(path) as file:
        np.savez(
            file,  # pyright: ignore[reportArgumentType]
            **{name: getattr(params, name).numpy() for name in ("global_orient", "body_pose", "betas", "transl")},
            times=motion.times.numpy(),
            seen=motion.seen.numpy(),
            frame_rate=np.array(motion.frame_rate),
        )
