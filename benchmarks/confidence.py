"""What a keypoint's confidence promises: a table fitted to drawn people, and how it holds on photos.

    fitloop synthesize --assets ASSETS --out DRAWN --count 400 --seed 4711 --scene.acrobatic 0.3 --scene.roll 10
    python -m benchmarks.confidence --drawn DRAWN
    python -m benchmarks.confidence --drawn DRAWN --lspet LSPET --diagram reliability.png

A keypoint is right within 5 % of the longer side of the box around all points of the person. The first three quarters
of the drawn people fit the table; the others and LSP Extended only measure. "Error" is the expected calibration
error: the mean distance of confidence and share in ten bins, weighted by their size.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageDraw
import torch
import tyro
from jaxtyping import Bool, Float
from sklearn.linear_model import LogisticRegression

from fitloop.body.keypoints import LSP_14, MEDIAPIPE_33
from fitloop.data.images import load_image
from fitloop.detection import MediapipeDetector
from fitloop.detection.confidence import KINDS, OF_KEYPOINT, WITHIN, evidence_of, probability
from fitloop.detection.looks import Person

_SMALLEST = 60.0
_FIT = 0.75
_BINS = 10
_EVERY = 10


@dataclass(frozen=True)
class Options:
    """What to measure on."""

    drawn: Path
    """Folder that ``fitloop synthesize`` made."""
    lspet: Path | None = None
    """Folder with joints.npz and images/ of LSP Extended: measured only, nothing is fitted to it."""
    people: int = 600
    """Drawn people at most."""
    diagram: Path | None = None
    """Where to draw the reliability diagram."""


@dataclass(frozen=True)
class Judged:
    """One person, and which keypoints are where they should be."""

    person: Person
    right: Bool[np.ndarray, "33"]
    known: Bool[np.ndarray, "33"]
    """Whether there is truth for a keypoint, inside the photo."""


def judge(
    detector: MediapipeDetector, path: Path, box: np.ndarray, truth: Float[np.ndarray, "33 2"], side: float
) -> Judged:
    """See the person in a box; ``truth`` is in pixels, NaN where unknown, and ``side`` what distances are shares of."""
    image = load_image(path)
    height, width = image.pixels.shape[:2]
    person = detector.people_in_boxes(image, torch.from_numpy(box[None]))[0]
    seen = person.pose.keypoints
    inside = ((seen >= 0.0) & (seen <= (width, height))).all(-1)
    off = np.linalg.norm(seen - truth, axis=-1) / side
    return Judged(person, off < WITHIN, np.isfinite(off) & inside)


def drawn_people(detector: MediapipeDetector, folder: Path, most: int) -> list[Judged]:
    """Drawn people of whom a third or more is to be seen."""
    with np.load(folder / "truth.npz", allow_pickle=False) as file:
        photos, boxes, points, share, names = (
            file[key] for key in ("photo", "boxes", "landmarks_2d", "visible_share", "landmark_names")
        )
    columns = [names.tolist().index(landmark) for landmark in MEDIAPIPE_33.landmarks]
    judged = []
    for row in np.flatnonzero((share >= 0.3) & ((boxes[:, 2:] - boxes[:, :2]).max(1) >= _SMALLEST))[:most]:
        side = float(np.ptp(points[row], axis=0).max())
        judged.append(judge(detector, folder / "photos" / str(photos[row]), boxes[row], points[row, columns], side))
    return judged


def lspet_people(detector: MediapipeDetector, folder: Path) -> list[Judged]:
    """Every tenth person of LSP Extended."""
    with np.load(folder / "joints.npz", allow_pickle=False) as file:
        photos, joints, order = file["names"], file["joints"].astype(float), file["order"].tolist()
    judged = []
    for row in range(0, len(photos), _EVERY):
        there = joints[row, joints[row, :, 2] > 0, :2]
        low, high = there.min(0), there.max(0)
        side = float((high - low).max())
        truth = np.full((33, 2), np.nan)
        for name in set(LSP_14.keypoints) & set(MEDIAPIPE_33.keypoints):
            x, y, known = joints[row, order.index(name)]
            truth[MEDIAPIPE_33.index(name)] = (x, y) if known else np.nan
        box = np.concatenate([low - 0.1 * side, high + 0.1 * side])
        judged.append(judge(detector, folder / "images" / str(photos[row]), box, truth, side))
    return judged


def fit_table(judged: list[Judged]) -> dict[str, tuple[float, ...]]:
    """A logistic regression per kind of keypoint; `fitloop.detection.confidence` says of what."""
    evidence = np.stack([evidence_of(one.person) for one in judged])
    right, known = np.stack([one.right for one in judged]), np.stack([one.known for one in judged])
    table = {}
    for kind in KINDS:
        rows = known & (np.array(OF_KEYPOINT) == kind)
        model = LogisticRegression(C=1.0, fit_intercept=False, max_iter=2000).fit(evidence[rows], right[rows])
        table[kind] = tuple(float(value) for value in model.coef_[0].round(3))
    return table


def bins_of(confidence: np.ndarray, right: np.ndarray) -> list[tuple[float, float, int]]:
    """Mean confidence, share that is right, and count, of each bin of confidence that holds any."""
    at = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    rows = [at == number for number in range(_BINS)]
    return [(float(confidence[r].mean()), float(right[r].mean()), int(r.sum())) for r in rows if r.any()]


def calibration_error(bins: list[tuple[float, float, int]]) -> float:
    """Mean distance of confidence and share that is right, weighted by the bins' sizes."""
    total = sum(count for _, _, count in bins)
    return sum(abs(promised - kept) * count for promised, kept, count in bins) / total


def draw(diagrams: dict[str, list[tuple[float, float, int]]], path: Path) -> None:
    """Confidence to the right, share that is right upwards; the diagonal is honest."""
    side, colours = 480, ("black", "red", "blue", "orange")
    picture = PIL.Image.new("RGB", (side, side), "white")
    pen = PIL.ImageDraw.Draw(picture)
    pen.line([(0, side), (side, 0)], fill="lightgrey", width=2)
    for number, (name, bins) in enumerate(diagrams.items()):
        points = [(promised * side, (1.0 - kept) * side) for promised, kept, _ in bins]
        pen.line(points, fill=colours[number % len(colours)], width=3)
        pen.text((10, 10 + 16 * number), name, fill=colours[number % len(colours)])
    picture.save(path)


def main(arguments: list[str]) -> int:
    """Fit, print and draw; return the exit code."""
    options = tyro.cli(Options, args=arguments)
    torch.set_num_threads(1)
    detector = MediapipeDetector()
    drawn = drawn_people(detector, options.drawn, options.people)
    split = int(_FIT * len(drawn))
    table = fit_table(drawn[:split])
    for kind, weights in table.items():
        print(f'    "{kind}": {weights},')
    sets = {"drawn, held out": drawn[split:]}
    if options.lspet is not None:
        sets["LSP Extended"] = lspet_people(detector, options.lspet)
    diagrams = {}
    for name, judged in sets.items():
        known, right = np.stack([one.known for one in judged]), np.stack([one.right for one in judged])
        fitted = np.stack([probability(one.person, table) for one in judged])
        before = np.stack([np.minimum(one.person.pose.visibility, one.person.pose.presence) for one in judged])
        for label, confidence in (("fitted", fitted), ("smaller of visibility and presence", before)):
            diagrams[f"{name}, {label}"] = bins_of(confidence[known], right[known])
            error = 100.0 * calibration_error(diagrams[f"{name}, {label}"])
            print(f"{name}, {label}: {known.sum()} keypoints, error {error:.1f} %")
            print("   " + "  ".join(f"{p:.2f}:{k:.2f} ({n})" for p, k, n in diagrams[f"{name}, {label}"]))
    if options.diagram is not None:
        draw(diagrams, options.diagram)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
