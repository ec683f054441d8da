"""Share of annotated people that the embedded detector finds, and share of its people that are no one.

    python -m benchmarks.detection --data PHOTOS --overlays OUT

``PHOTOS`` holds ``images/`` and ``annotations.json`` in COCO's layout, with every person of a photo annotated.

Rule: a body's hip centre, moved into the photo where it lies outside (annotated boxes end at the photo's edge), is
inside the annotated box made 2 % of the photo's longer side wider all around. "Strict" moves and widens nothing.
Bodies and boxes are matched one to one by the smallest mean
distance of their boxes' sides, over the annotated box's longer side. Recall counts annotated people at least
``--height`` pixels tall that are no group (``iscrowd``). A body is false if it matches no annotated person of any size;
bodies with the hip centre in a group are not counted.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageDraw
import tyro
from scipy.optimize import linear_sum_assignment

from fitloop.body import Detections, convention_named
from fitloop.data.images import load_image
from fitloop.detection import MediapipeConfig, load_detector

_COLOURS = ("red", "lime", "cyan", "yellow", "magenta", "orange", "deepskyblue", "white", "springgreen", "pink")


@dataclass(frozen=True)
class Options:
    """What to measure."""

    data: Path
    """Folder with images/ and annotations.json."""
    height: float = 100.0
    """People at least this many pixels tall count for recall."""
    only: str = ""
    """Take only photos whose file name starts with this."""
    overlays: Path | None = None
    """Where to draw every photo with its people."""
    detector: MediapipeConfig = MediapipeConfig()
    """Settings of the detector."""


@dataclass
class Tally:
    """Counts over photos."""

    wanted: int = 0
    hit: int = 0
    bodies: int = 0
    false: int = 0

    def add(
        self, hips: np.ndarray, found: dict[int, int], boxes: np.ndarray, groups: np.ndarray, height: float
    ) -> None:
        """Count one photo."""
        tall = [row for row, box in enumerate(boxes) if box[3] - box[1] >= height]
        self.wanted += len(tall)
        self.hit += len(set(tall) & set(found.values()))
        in_group = np.asarray(inside(hips, groups).any(-1))
        counted = [row for row in range(len(hips)) if row in found or not in_group[row]]
        self.bodies += len(counted)
        self.false += len([row for row in counted if row not in found])

    def __str__(self) -> str:
        found = f"found {self.hit} of {self.wanted} ({self.hit / max(self.wanted, 1):.1%})"
        return f"{found}, of {self.bodies} bodies {self.false} are no one ({self.false / max(self.bodies, 1):.1%})"


def hip_centres(people: Detections) -> np.ndarray:
    """Middle of the hips of each person, pixels."""
    convention = convention_named(people.convention)
    hips = people.keypoints[:, [convention.index("left_hip"), convention.index("right_hip")]]
    return hips.mean(1).double().numpy()


def in_photo(hips: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """The nearest points of the photo."""
    height, width = pixels.shape[:2]
    return hips.clip(0.0, (width - 1.0, height - 1.0))


def inside(points: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Which point lies in which box (x y x y)."""
    return np.asarray(((points[:, None] >= boxes[:, :2]) & (points[:, None] <= boxes[:, 2:])).all(-1))


def match(people: Detections, hips: np.ndarray, boxes: np.ndarray, margin: float = 0.0) -> dict[int, int]:
    """Row of ``boxes`` (x y x y) that each person belongs to; people that belong to none are left out."""
    possible = inside(hips, boxes + margin * np.array([-1.0, -1.0, 1.0, 1.0]))
    sides = (boxes[:, 2:] - boxes[:, :2]).max(-1) if len(boxes) else np.zeros(0)
    distance = np.abs(people.boxes.double().numpy()[:, None] - boxes).mean(-1) / np.maximum(sides, 1.0)
    rows, columns = linear_sum_assignment(np.where(possible, distance, 1e6))
    return {int(row): int(column) for row, column in zip(rows, columns, strict=True) if possible[row, column]}


def draw(path: Path, people: Detections, boxes: np.ndarray, found: dict[int, int], out: Path) -> None:
    """Draw annotated boxes (white if found, red if not) and people (false ones marked) over the photo."""
    picture = PIL.Image.open(path).convert("RGB")
    pen = PIL.ImageDraw.Draw(picture)
    for row, box in enumerate(boxes):
        pen.rectangle(box.tolist(), outline="white" if row in found.values() else "red", width=2)
    convention = convention_named(people.convention)
    for person in range(len(people.boxes)):
        points = people.keypoints[person].tolist()
        colour = _COLOURS[person % len(_COLOURS)]
        for first, second in convention.skeleton:
            ends = [tuple(points[convention.index(name)]) for name in (first, second)]
            pen.line(ends, fill=colour, width=2)
        if person not in found:
            pen.text(
                tuple(points[convention.index("left_hip")]), "no one", fill="white", stroke_width=1, stroke_fill="black"
            )
    out.mkdir(parents=True, exist_ok=True)
    picture.save((out / path.name).with_suffix(".png"))


def main(options: Options) -> None:
    """Measure and print."""
    annotations = json.loads((options.data / "annotations.json").read_text())
    photos = [photo for photo in annotations["images"] if photo["file_name"].startswith(options.only)]
    detector = load_detector("mediapipe", options.detector)
    detector(load_image(options.data / "images" / photos[0]["file_name"]))
    tally, strict = Tally(), Tally()
    seconds: list[float] = []
    worked = 0.0
    for photo in photos:
        image = load_image(options.data / "images" / photo["file_name"])
        start, start_work = time.perf_counter(), time.process_time()
        people = detector(image)
        seconds.append(time.perf_counter() - start)
        worked += time.process_time() - start_work
        listed = [a for a in annotations["annotations"] if a["image_id"] == photo["id"]]
        boxes, groups = _boxes(listed, False), _boxes(listed, True)
        given = hip_centres(people)
        hips = in_photo(given, image.pixels)
        found = match(people, hips, boxes, 0.02 * max(image.pixels.shape))
        tally.add(hips, found, boxes, groups, options.height)
        strict.add(given, match(people, given, boxes), boxes, groups, options.height)
        if options.overlays is not None:
            draw(options.data / "images" / photo["file_name"], people, boxes, found, options.overlays)
    print(f"{len(photos)} photos, people at least {options.height:g} px tall: {tally}")
    print(f"Strict: {strict}")
    print(f"seconds per photo: median {np.median(seconds):.2f}; processor seconds: mean {worked / len(photos):.2f}")


def _boxes(listed: list[dict[str, Any]], groups: bool) -> np.ndarray:
    rows = [a["bbox"] for a in listed if bool(a.get("iscrowd")) == groups]
    boxes = np.array(rows, dtype=float).reshape(-1, 4)
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], -1)


if __name__ == "__main__":
    main(tyro.cli(Options))
