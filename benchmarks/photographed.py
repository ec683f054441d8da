"""People of photos whose keypoints somebody annotated."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fitloop.body import Detections


@dataclass(frozen=True)
class Photographed:
    """One row per person."""

    paths: tuple[Path, ...]
    boxes: Tensor
    """x y x y, around the whole person."""
    annotations: Detections
    """Keypoints; the boxes are tight around them."""


def evenly(count: int, wanted: int) -> np.ndarray:
    """At most ``wanted`` of ``count`` rows, spread evenly."""
    return np.linspace(0, count - 1, min(count, wanted)).round().astype(int)


def lspet_people(folder: Path, people: int) -> Photographed:
    """People of LSP Extended: one per photo, 14 joints, boxes a tenth larger than the joints' on each side."""
    with np.load(folder / "joints.npz", allow_pickle=False) as file:
        rows = evenly(len(file["joints"]), people)
        joints, names = torch.from_numpy(file["joints"][rows].astype(np.float32)), file["names"][rows]
    annotations = _annotations(joints, joints[..., 2] > 0, "lsp14")
    margin = 0.1 * (annotations.boxes[:, 2:] - annotations.boxes[:, :2]).amax(-1, keepdim=True)
    grown = torch.cat([annotations.boxes[:, :2] - margin, annotations.boxes[:, 2:] + margin], -1)
    return Photographed(tuple(folder / "images" / str(name) for name in names), grown, annotations)


def annotated_people(folder: Path, people: int) -> Photographed:
    """People of a COCO-like file that have keypoints and boxes."""
    tree = json.loads((folder / "annotations.json").read_text())
    files = {photo["id"]: folder / "images" / photo["file_name"] for photo in tree["images"]}
    found = [entry for entry in tree["annotations"] if entry.get("num_keypoints", 0) >= 5 and not entry["iscrowd"]]
    found = [found[row] for row in evenly(len(found), people)]
    keypoints = torch.tensor([entry["keypoints"] for entry in found], dtype=torch.float32).view(-1, 17, 3)
    boxes = torch.tensor([entry["bbox"] for entry in found])
    boxes = torch.cat([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], -1)
    annotations = _annotations(keypoints, keypoints[..., 2] > 0, "coco17")
    return Photographed(tuple(files[entry["image_id"]] for entry in found), boxes, annotations)


def _annotations(keypoints: Tensor, visible: Tensor, convention: str) -> Detections:
    points = keypoints[..., :2]
    low = torch.where(visible[..., None], points, torch.inf).amin(-2)
    high = torch.where(visible[..., None], points, -torch.inf).amax(-2)
    return Detections(points, visible.float(), torch.cat([low, high], -1), convention)
