"""Rendered bodies against annotated masks."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Int
from PIL import Image, ImageDraw
from torch import Tensor

from fitloop.body import JOINT_NAMES
from fitloop.evaluation.masks import IGNORED, PART_NAMES, Confusion, confusion, mask_iou, part_of_joint
from fitloop.evaluation.people import ScoredPeople
from fitloop.evaluation.placing import Bodies
from fitloop.rendering import Rasterizer, load_rasterizer


@dataclass(frozen=True)
class MaskSource:
    """Where the masks of the truth are, and what draws the estimate."""

    folder: Path | None = None
    """Folder that the truth's mask and part files are relative to; not needed for polygons."""
    part_order: tuple[str, ...] = PART_NAMES
    """What the labels 0, 1, ... of the part files mean."""
    rasterizer: Rasterizer | None = None
    """``auto`` if not given."""


@dataclass(frozen=True)
class MaskTotals:
    """Pixels of all photos so far."""

    foreground: Confusion = Confusion(torch.zeros(2, 2, dtype=torch.int64))
    parts: Confusion = Confusion(torch.zeros(len(PART_NAMES), len(PART_NAMES), dtype=torch.int64))

    def __add__(self, other: "MaskTotals") -> "MaskTotals":
        return MaskTotals(self.foreground + other.foreground, self.parts + other.parts)

    def metrics(self) -> dict[str, float]:
        """Accuracy and macro F1 of what was counted."""
        found = {}
        for name, table in (("foreground", self.foreground), ("part", self.parts)):
            if table.counts.sum() > 0:
                found |= {f"{name}_accuracy": table.accuracy, f"{name}_f1": table.macro_f1}
        return found


def score_masks(
    truth: ScoredPeople, estimate: ScoredPeople, bodies: Bodies, source: MaskSource
) -> tuple[Tensor, MaskTotals]:
    """Silhouette IoU of each person, and pixel counts over all of them.

    Args:
        truth: People with masks; those without get NaN.
        estimate: Their results, row by row; without parameters and camera there is nothing to draw.
        bodies: Pose the parameters.
        source: Masks and rasterizer.

    Raises:
        FileNotFoundError: If a mask file is missing.
    """
    column, totals = torch.full((len(truth),), torch.nan), MaskTotals()
    if estimate.params is None or estimate.camera is None:
        return column, totals
    rasterizer = source.rasterizer or load_rasterizer()
    for row in range(len(truth)):
        target = person_mask(_sized(truth, row, estimate), row, source)
        if target is None:
            continue
        labels = drawn_parts(estimate, row, bodies, rasterizer, (target.shape[0], target.shape[1]))
        column[row] = mask_iou(labels > 0, target)
        parts = part_labels(truth, row, source)
        totals += MaskTotals(
            confusion((labels > 0).long(), target.long(), 2),
            MaskTotals().parts if parts is None else confusion(labels, parts, len(PART_NAMES)),
        )
    return column, totals


def _sized(truth: ScoredPeople, row: int, estimate: ScoredPeople) -> ScoredPeople:
    """The truth with the size of the photo that the results were made from, where an annotation file has none."""
    theirs, ours = truth.values.get("image_size"), estimate.values.get("image_size")
    if theirs is None or ours is None or theirs[row].all():
        return truth
    return replace(truth, values=truth.values | {"image_size": np.where(theirs > 0, theirs, ours)})


def person_mask(truth: ScoredPeople, row: int, source: MaskSource) -> Bool[Tensor, "height width"] | None:
    """The annotated mask of a person, from polygons or from a file; None where there is none."""
    sizes = truth.values.get("image_size")
    if truth.outlines is not None and truth.outlines[row] and sizes is not None and sizes[row].all():
        height, width = (int(side) for side in sizes[row])
        canvas = Image.new("1", (width, height))
        for outline in truth.outlines[row]:
            ImageDraw.Draw(canvas).polygon([float(value) for value in outline], fill=1)
        return torch.from_numpy(np.array(canvas, np.bool_))
    picture = _read(truth, "mask", row, source)
    return None if picture is None else picture > 0


def part_labels(truth: ScoredPeople, row: int, source: MaskSource) -> Int[Tensor, "height width"] | None:
    """The annotated parts of a person as numbers of `PART_NAMES`; None where there are none."""
    picture = _read(truth, "parts", row, source)
    if picture is None:
        return None
    # Labels that nobody named are ignored, 255 among them.
    table = torch.full((256,), IGNORED, dtype=torch.int64)
    table[: len(source.part_order)] = torch.tensor([PART_NAMES.index(name) for name in source.part_order])
    return table[picture]


def _read(truth: ScoredPeople, kind: str, row: int, source: MaskSource) -> Tensor | None:
    if kind not in truth.labels or source.folder is None:
        return None
    path = source.folder / truth.labels[kind][row]
    if not path.is_file():
        raise FileNotFoundError(f"The {kind} file {path} is missing: give the data set's folder with --masks.")
    pixels = np.array(Image.open(path))
    # Masks saved as colour pictures repeat the label in every channel.
    return torch.from_numpy(pixels[..., 0] if pixels.ndim == 3 else pixels).long()


def drawn_parts(
    estimate: ScoredPeople, row: int, bodies: Bodies, rasterizer: Rasterizer, size: tuple[int, int]
) -> Int[Tensor, "height width"]:
    """Part of the body that each pixel sees, as numbers of `PART_NAMES`; 0 for background."""
    assert estimate.params is not None and estimate.camera is not None
    body = bodies.fitting(estimate.body or "", estimate.params)
    mesh = body(estimate.params[row])
    fragments = rasterizer(mesh.vertices, body.faces, estimate.camera[row], size)
    numbers = part_of_joint()
    part_of_face = torch.tensor([numbers[name] for name in JOINT_NAMES])[body.face_parts]
    return torch.where(fragments.covered, part_of_face[fragments.face_ids.clamp_min(0).long()], 0)
