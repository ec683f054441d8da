"""Keypoints of data sets with truth as COCO annotations, for `fitloop run --keypoints`: fits if no detector errs.

python -m benchmarks.given_keypoints lspet --data lspet_dev --out lspet.json
python -m benchmarks.given_keypoints open-bench --data open-bench --out open-bench.json
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from PIL import Image

from fitloop.body.files import whole_file
from fitloop.body.keypoints import CONVENTIONS, LSP_14, MEDIAPIPE_33, Convention


@dataclass(frozen=True)
class Lspet:
    """Annotated joints of LSP Extended, one person per photo."""

    data: Path
    """Folder with ``joints.npz`` and ``images/``."""
    out: Path
    every: int = 1
    """Take every so manieth photo only."""

    def __call__(self) -> None:
        """Write the annotations."""
        with np.load(self.data / "joints.npz", allow_pickle=False) as file:
            names, joints, order = (file[key] for key in ("names", "joints", "order"))
        columns = [list(order).index(name) for name in LSP_14.keypoints]
        rows = range(0, len(names), self.every)
        sizes = [Image.open(self.data / "images" / str(names[row])).size for row in rows]
        write_annotations(self.out, LSP_14, [str(names[row]) for row in rows], sizes, joints[rows][:, columns])


@dataclass(frozen=True)
class OpenBench:
    """Exact keypoints of open-bench with noise; what is hidden in the picture is left out."""

    data: Path
    """Folder with ``truth.npz``."""
    out: Path
    noise: float = 0.01
    """Standard deviation, share of the longer side of each person's box."""
    convention: str = MEDIAPIPE_33.name
    """Which keypoints."""
    seed: int = 0

    def __call__(self) -> None:
        """Write the annotations."""
        with np.load(self.data / "truth.npz", allow_pickle=False) as file:
            truth = {key: file[key] for key in file.files}
        convention = CONVENTIONS[self.convention]
        known = [str(name) for name in truth["landmark_names"]]
        columns = [known.index(str(landmark)) for landmark in convention.landmarks]
        points, seen = truth["landmarks_2d"][:, columns], truth["visibility"][:, columns] == 2
        side = (truth["boxes"][:, 2:] - truth["boxes"][:, :2]).max(1)
        noise = np.random.default_rng(self.seed).normal(0.0, self.noise, points.shape)
        keypoints = np.concatenate([points + noise * side[:, None, None], seen[..., None]], -1)
        sizes = [(int(width), int(height)) for height, width in truth["image_size"]]
        photos = [str(name) for name in truth["photo"]]
        write_annotations(self.out, convention, photos, sizes, keypoints, truth["boxes"])


def write_annotations(
    out: Path,
    convention: Convention,
    photos: Sequence[str],
    sizes: Sequence[tuple[int, int]],
    keypoints: np.ndarray,
    boxes: np.ndarray | None = None,
) -> None:
    """Write people as COCO annotations.

    Args:
        out: The JSON file.
        convention: Names the keypoints.
        photos: Of each person.
        sizes: Width and height of each person's photo.
        keypoints: (people, keypoints, 3) x, y in pixels and confidence; unseen ones are written as 0, 0, 0.
        boxes: (people, 4) x y x y.
    """
    number = {photo: place for place, photo in enumerate(dict.fromkeys(photos))}
    size_of = dict(zip(photos, sizes, strict=True))
    people: list[dict[str, Any]] = []
    for row, photo in enumerate(photos):
        points = np.where(keypoints[row, :, 2:] > 0, keypoints[row], 0.0)
        person: dict[str, Any] = {"id": row, "image_id": number[photo], "category_id": 1, "iscrowd": 0}
        person["keypoints"] = [round(float(value), 2) for value in points.ravel()]
        if boxes is not None:
            left, top, right, bottom = (float(edge) for edge in boxes[row])
            person["bbox"] = [left, top, right - left, bottom - top]
        people.append(person)
    photos_told = [
        {"id": place, "file_name": photo, "width": size_of[photo][0], "height": size_of[photo][1]}
        for photo, place in number.items()
    ]
    category = {"id": 1, "name": "person", "keypoints": list(convention.keypoints)}
    with whole_file(out) as path:
        tree = {"images": photos_told, "annotations": people, "categories": [category]}
        path.write_text(json.dumps(tree), encoding="utf-8")


def main() -> int:
    """Run what the command line names."""
    tyro.extras.subcommand_cli_from_dict({"lspet": Lspet, "open-bench": OpenBench})()
    return 0


if __name__ == "__main__":
    sys.exit(main())
