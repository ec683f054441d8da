"""People that the embedded detector finds, people that are no one, runs of networks, time, and keypoint error.

    python -m benchmarks detection --data PHOTOS --overlays OUT
    python -m benchmarks detection --data PHOTOS --gate

``PHOTOS`` holds ``images/`` and ``annotations.json`` in COCO's layout, with every person of a photo annotated.

Rule: a body's hip centre, moved into the photo where it lies outside (annotated boxes end at the photo's edge), is
inside the annotated box made 2 % of the photo's longer side wider all around. "Strict" moves and widens nothing.
Bodies and boxes are matched one to one by the smallest mean
distance of their boxes' sides, over the annotated box's longer side. Recall counts annotated people at least
``--height`` pixels tall that are no group (``iscrowd``). A body is false if it matches no annotated person of any size;
bodies with the hip centre in a group are not counted.

Keypoint error is the mean distance of a found person's annotated joints from shoulders to ankles over the longer side
of the annotated box. Processor seconds count, not wall time, since machines are shared; the networks of the old
pyramid search (commit 35c4b91) ran 160 times and 2.5 seconds a photo.
"""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
import PIL.ImageDraw
import torch
import tyro
from scipy.optimize import linear_sum_assignment

from benchmarks.metrics import BASELINE, Metric, regressions, write_metrics
from fitloop.body import Detections, Image, convention_named
from fitloop.body.keypoints import COCO_17
from fitloop.data.images import load_image
from fitloop.detection import MediapipeConfig, MediapipeDetector
from fitloop.geometry import camera_of

_COLOURS = ("red", "lime", "cyan", "yellow", "magenta", "orange", "deepskyblue", "white", "springgreen", "pink")


@dataclass(frozen=True)
class Options:
    """What to measure."""

    data: Path
    """Folder with images/ and annotations.json."""
    height: float = 100.0
    """People at least this many pixels tall count for recall."""
    shifts: int = 1
    """Look at every photo so often, each time moved by another fraction of a pixel, and count all looks: what lies near
    a threshold falls on one side or the other by chance, for about one person in twenty."""
    only: str = ""
    """Take only photos whose file name starts with this."""
    overlays: Path | None = None
    """Where to draw every photo with its people."""
    json: Path | None = None
    """Write the metrics here."""
    gate: bool = False
    """Exit with 1 if a metric is worse than the committed baseline by more than its tolerance."""
    update_baseline: bool = False
    """Write the committed baseline."""
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


@dataclass
class Measured:
    """Everything that is counted over photos; halves are photos of even and of odd place in the list."""

    halves: tuple[Tally, Tally] = field(default_factory=lambda: (Tally(), Tally()))
    strict: Tally = field(default_factory=Tally)
    errors: list[float] = field(default_factory=list)
    """Of each found person with annotated joints, shares of the box's longer side."""
    seconds: list[float] = field(default_factory=list)
    """Processor seconds of each photo."""

    @property
    def tally(self) -> Tally:
        """Of all photos."""
        first, second = self.halves
        return Tally(*(getattr(first, f.name) + getattr(second, f.name) for f in fields(Tally)))

    def metrics(self, runs: dict[str, int]) -> list[Metric]:
        """What the gate compares."""
        tally, count = self.tally, len(self.seconds)
        found, false = tally.hit / max(tally.wanted, 1), tally.false / max(tally.bodies, 1)
        error = float(np.median(self.errors)) if self.errors else float("nan")
        return [
            Metric("detection.found", 100.0 * found, "% of people", "higher", 0.03),
            Metric("detection.false", 100.0 * false, "% of bodies", "lower", 0.3),
            Metric("detection.keypoint_error", 100.0 * error, "% of box side, median", "lower", 0.1),
            Metric("detection.runs", sum(runs.values()) / count, "runs a photo", "lower", 0.05),
            *(Metric(f"detection.runs.{name}", value / count, "runs a photo", "none") for name, value in runs.items()),
            Metric("detection.seconds", float(np.mean(self.seconds)), "processor seconds a photo", "lower", 0.5),
        ]


def keypoint_errors(people: Detections, found: dict[int, int], listed: list[dict[str, Any]]) -> list[float]:
    """Mean distance of shoulders to ankles over the annotated box's longer side, of found people with keypoints."""
    convention = convention_named(people.convention)
    names = COCO_17.keypoints[5:]
    columns = [convention.index(name) for name in names]
    errors = []
    for row, place in found.items():
        joints = np.array(listed[place].get("keypoints") or np.zeros(51), dtype=float).reshape(17, 3)[5:]
        known = joints[:, 2] > 0
        if known.any():
            off = np.linalg.norm(people.keypoints[row, columns].double().numpy() - joints[:, :2], axis=-1)[known]
            errors.append(float(off.mean() / max(listed[place]["bbox"][2:])))
    return errors


def shifted(image: Image, number: int) -> Image:
    """The photo moved by a fraction of a pixel that only the number decides; as it is for number 0."""
    if number == 0:
        return image
    right, down = np.random.default_rng(number).uniform(-0.5, 0.5, 2)
    height, width = image.pixels.shape[:2]
    to_photo = np.array([[1.0, 0.0, right], [0.0, 1.0, down]])
    pixels = cv2.warpAffine(image.pixels, to_photo, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return replace(image, pixels=np.asarray(pixels, np.uint8))


def looks(options: Options) -> Iterator[tuple[int, Path, Image, list[dict[str, Any]]]]:
    """Place in the list, path, pixels and annotated people of every photo, once per shift."""
    annotations = json.loads((options.data / "annotations.json").read_text())
    photos = [photo for photo in annotations["images"] if photo["file_name"].startswith(options.only)]
    for number, photo in enumerate(photos):
        path = options.data / "images" / photo["file_name"]
        image = load_image(path)
        listed = [a for a in annotations["annotations"] if a["image_id"] == photo["id"]]
        for shift in range(options.shifts):
            yield number, path, shifted(image, shift), listed


def measure(options: Options, detector: MediapipeDetector) -> Measured:
    """Look at every photo."""
    measured = Measured()
    for number, path, image, listed in looks(options):
        start = time.process_time()
        people = detector(image)
        measured.seconds.append(time.process_time() - start)
        boxes, groups = _boxes(listed, False), _boxes(listed, True)
        given = hip_centres(people)
        hips = in_photo(given, image.pixels)
        found = match(people, hips, boxes, 0.02 * max(image.pixels.shape))
        measured.halves[number % 2].add(hips, found, boxes, groups, options.height)
        measured.strict.add(given, match(people, given, boxes), boxes, groups, options.height)
        measured.errors += keypoint_errors(people, found, [a for a in listed if not a.get("iscrowd")])
        if options.overlays is not None:
            draw(path, people, boxes, found, options.overlays)
    return measured


def main(arguments: list[str]) -> int:
    """Measure and print; return the exit code."""
    options = tyro.cli(Options, args=arguments)
    torch.set_num_threads(1)
    detector = MediapipeDetector(options.detector)
    # Reading the networks is no photo's time.
    detector(Image(np.zeros((64, 64, 3), np.uint8), camera_of(64, 64), "warm-up"))
    before = detector.runs
    measured = measure(options, detector)
    metrics = measured.metrics({name: runs - before[name] for name, runs in detector.runs.items()})
    print(f"{len(measured.seconds)} looks at photos, people at least {options.height:g} px tall: {measured.tally}")
    for name, tally in zip(("Even", "Odd"), measured.halves, strict=True):
        print(f"{name} photos: {tally}")
    print(f"Strict: {measured.strict}")
    for metric in metrics:
        print(f"{metric.key:28s} {metric.value:8.2f} {metric.unit}")
    if options.json is not None:
        write_metrics(metrics, options.json)
    baseline = json.loads(BASELINE.read_text())
    if options.update_baseline:
        kept = [Metric(**entry) for entry in baseline if not entry["key"].startswith("detection.")]
        write_metrics(kept + metrics, BASELINE)
    worse = regressions(metrics, baseline) if options.gate else []
    for sentence in worse:
        print(sentence)
    return 1 if worse else 0


def _boxes(listed: list[dict[str, Any]], groups: bool) -> np.ndarray:
    rows = [a["bbox"] for a in listed if bool(a.get("iscrowd")) == groups]
    boxes = np.array(rows, dtype=float).reshape(-1, 4)
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], -1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
