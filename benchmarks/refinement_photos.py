"""Refinement on everyday photos: annotated masks and withheld keypoints judge it; both are unknown to the network."""

import json
import statistics
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from PIL import Image as PillowImage
from PIL import ImageDraw
from torch import Tensor

from benchmarks.refinement_people import best_match
from fitloop.body import Body, BodyEstimate, Detections, Image
from fitloop.data import load_image
from fitloop.detection import MediapipeDetector
from fitloop.fitting import AFTER_REGRESSION, fit
from fitloop.geometry import Camera
from fitloop.pipelines.chain.refining import make_refiner
from fitloop.pipelines.folder.pictures import shrink
from fitloop.refinement import Photo, Reason
from fitloop.refinement.gate import withhold
from fitloop.refinement.refiner import Refiner
from fitloop.refinement.subjects import Refined
from fitloop.regressor import load_regressor
from fitloop.rendering import draw_overlay, load_rasterizer
from fitloop.rendering.flow import draw_flow

SMALLEST = 100.0
"""Pixels of height of the people that are looked at."""
PICTURES = 10
"""One person in so many is drawn."""


@dataclass(frozen=True)
class Annotated:
    """One person of a photo with a mask."""

    box: Tensor
    mask: Bool[Tensor, "height width"]


def annotated_people(tree: dict[str, Any], photo: dict[str, Any]) -> list[Annotated]:
    """People of a photo that have a polygon and are tall enough; groups are left out."""
    found = []
    for entry in tree["annotations"]:
        shape = entry["segmentation"]
        if entry["image_id"] != photo["id"] or entry.get("iscrowd") or isinstance(shape, dict):
            continue
        x, y, width, height = entry["bbox"]
        if height < SMALLEST:
            continue
        canvas = PillowImage.new("1", (photo["width"], photo["height"]))
        for outline in shape:
            ImageDraw.Draw(canvas).polygon([float(value) for value in outline], fill=1)
        mask = torch.from_numpy(np.array(canvas, np.bool_))
        found.append(Annotated(torch.tensor([x, y, x + width, y + height], dtype=torch.float32), mask))
    return found


def photo_report(body: Body, folder: Path, limit: int, out: Path) -> dict[str, Any]:
    """Refine everybody who is annotated and found.

    Args:
        body: The open body.
        folder: ``images/`` and ``annotations.json``.
        limit: Photos at most.
        out: Where pictures go.

    Returns:
        Means over people before and after, with and without the gate, and how often each verdict came.
    """
    tree = json.loads((folder / "annotations.json").read_text(encoding="utf-8"))
    detector, regressor, refiner = MediapipeDetector(), load_regressor("keypoints", body), make_refiner(body)
    rows: list[dict[str, float]] = []
    reasons: dict[str, int] = {}
    people = 0
    for entry in tree["images"][:limit]:
        listed = annotated_people(tree, entry)
        if not listed:
            continue
        image = load_image(folder / "images" / entry["file_name"])
        seen = detector(image)
        people += len(listed)
        matched = [(person, best_match(seen.boxes, person.box)) for person in listed]
        for person, row in matched:
            if row is None:
                continue
            kept = withhold(seen[row : row + 1], 3)
            camera = image.camera.map(lambda value: value[None])
            guess = regressor(image, kept, camera)
            fitted = fit(body, kept, guess, AFTER_REGRESSION).estimate
            pixels = torch.from_numpy(image.pixels)
            photo = Photo(pixels, kept.silhouettes, kept.silhouette_boxes)
            refined = refiner(photo, kept, fitted, guess=guess)
            hidden = seen[row : row + 1]
            hidden = replace(hidden, confidence=hidden.confidence * (kept.confidence == 0))
            rows.append(_scores(refiner, person, hidden, fitted, refined))
            reason = Reason(int(refined.reason[0])).name.lower()
            reasons[reason] = reasons.get(reason, 0) + 1
            if len(rows) % PICTURES == 1:
                draw_person(body, image, fitted, refined, out / f"{len(rows):03d}-{reason}.png")
    names = [name for name in rows[0] if not name.endswith("_kept")]
    stages = {stage: {name: rows_mean(rows, stage, name) for name in ("iou", "withheld")} for stage in _stages(names)}
    taken = [row for row in rows if row["accepted"]]
    if taken:
        stages |= {
            f"{stage}, of those taken": {name: rows_mean(taken, stage, name) for name in ("iou", "withheld")}
            for stage in ("fitted", "refined")
        }
    return {
        "errors": stages,
        "reasons": reasons,
        "about": {
            "annotated": people,
            "people": len(rows),
            "share_taken": statistics.fmean(r["accepted"] for r in rows),
        },
    }


def _stages(names: list[str]) -> list[str]:
    return sorted({name.split(".")[0] for name in names if "." in name})


def rows_mean(rows: list[dict[str, float]], stage: str, name: str) -> float:
    """Mean over people of whom the number is known."""
    values = [row[f"{stage}.{name}"] for row in rows]
    known = [value for value in values if value == value]
    return statistics.fmean(known) if known else float("nan")


def _scores(
    refiner: Refiner, person: Annotated, hidden: Detections, fitted: BodyEstimate, refined: Refined
) -> dict[str, float]:
    rasterizer = load_rasterizer("auto")
    found = {"accepted": float(refined.accepted[0])}
    for stage, estimate in (
        *(("fitted", fitted), ("refined", refined.estimate)),
        ("refined, no gate", refined.proposal),
    ):
        vertices = refiner.body(estimate.params).vertices
        size = person.mask.shape
        covered = rasterizer(vertices, refiner.body.faces, estimate.camera, (size[0], size[1])).covered[0]
        shared = (covered & person.mask).sum() / (covered | person.mask).sum().clamp_min(1)
        found[f"{stage}.iou"] = 100.0 * float(shared)
        found[f"{stage}.withheld"] = 100.0 * float(refiner.keypoint_error(hidden, estimate)[0])
    return found


def draw_person(body: Body, image: Image, fitted: BodyEstimate, refined: Refined, path: Path) -> None:
    """Photo, fitted body, displacements and proposed body side by side, around the person."""
    small, scale = shrink(image.pixels, 900)
    panels = [small]
    for estimate in (fitted, refined.proposal):
        camera = Camera(estimate.camera.focal * scale, estimate.camera.principal_point * scale)
        panels.append(draw_overlay(small, body(estimate.params).vertices, body.faces, camera))
    panels.insert(2, draw_flow(small, scale, refined.flow))
    crop = refined.look.crop
    center, half = crop.center[0] * scale, 0.6 * float(crop.side[0]) * scale
    low = [max(0, int(value - half)) for value in center]
    high = [int(value + half) for value in center]
    cut = [panel[low[1] : high[1], low[0] : high[0]] for panel in panels]
    path.parent.mkdir(parents=True, exist_ok=True)
    PillowImage.fromarray(np.concatenate(cut, 1)).save(path)
