"""Readers of truth: SPIN's data set files, LSP Extended, open-bench, COCO annotations."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fitloop.body import BodyParams
from fitloop.body.keypoints import LSP_14, SPIN_24
from fitloop.evaluation.archives import check_rows, params_from_rotvecs, read_arrays, words
from fitloop.evaluation.people import Joints3D, Keypoints2D, People, clean_points
from fitloop.evaluation.protocols import Protocol
from fitloop.geometry import Camera

_SPIN_WORDS = {"maskname": "mask", "partname": "parts", "gender": "gender"}
_GENDERS = {"m": "male", "f": "female", "0": "male", "1": "female", "male": "male", "female": "female"}


def read_truth(protocol: Protocol, path: Path) -> People:
    """Read the truth that a protocol needs.

    Args:
        protocol: Says which layout to expect.
        path: The file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, lacks something, or holds nobody.
    """
    match protocol.truth:
        case "spin":
            people = read_spin_truth(path)
        case "bench":
            people = read_bench_truth(path)
        case "lspet":
            people = read_lspet_truth(path)
        case "coco":
            people = read_coco_truth(path)
    if len(people) == 0:
        raise ValueError(f"{path} holds nobody; {protocol.name} needs at least one person.")
    return people


def read_spin_truth(path: Path) -> People:
    """A data set file of SPIN: imgname, center, scale, and any of S, part, pose, shape, gender, maskname, partname.

    ``S`` holds SPIN's 24 annotated joints relative to the pelvis. ``pose`` and ``shape`` become parameters of SMPL.
    """
    arrays = read_arrays(path)
    rows = check_rows(path, arrays, ("imgname", "center", "scale"))
    half = 100.0 * np.asarray(arrays["scale"], np.float32)[:, None]
    center = np.asarray(arrays["center"], np.float32)
    joints = keypoints = params = None
    if "S" in arrays:
        joints = Joints3D(*clean_points(arrays["S"], 3), SPIN_24.name, centred=True)
    if "part" in arrays:
        keypoints = Keypoints2D(*clean_points(arrays["part"], 2), SPIN_24.name)
    if "pose" in arrays and "shape" in arrays:
        params = params_from_rotvecs(arrays["pose"], arrays["shape"])
    labels = {name: words(arrays[key]) for key, name in _SPIN_WORDS.items() if key in arrays}
    if "gender" in labels:
        labels["gender"] = tuple(_gender(path, word) for word in labels["gender"])
    return People(
        photos=words(arrays["imgname"]),
        count=rows,
        body=None if params is None else "smpl",
        params=params,
        joints=joints,
        keypoints=keypoints,
        boxes=torch.from_numpy(np.concatenate([center - half, center + half], -1)),
        labels=labels,
        values={key: arrays[key] for key in ("sequence", "frame") if key in arrays},
    )


def _gender(path: Path, word: str) -> str:
    if word.lower() not in _GENDERS:
        raise ValueError(f"{path}: gender {word!r} is unknown; known: {', '.join(_GENDERS)}.")
    return _GENDERS[word.lower()]


def read_bench_truth(path: Path) -> People:
    """The truth of open-bench: the parameters of every rendered person; docs/evaluation.md lists the arrays."""
    arrays = read_arrays(path)
    numbers = ("global_orient", "body_pose", "betas", "transl", "focal", "principal_point", "boxes")
    rows = check_rows(path, arrays, (*numbers, "photo", "person", "grade"))
    if "body" not in arrays:
        raise ValueError(f"{path} lacks body, the name of the body that its parameters belong to.")
    floats = {key: torch.from_numpy(np.asarray(arrays[key], np.float32)) for key in numbers}
    extra = ("image_size", "visibility", "sequence", "frame")
    return People(
        photos=words(arrays["photo"]),
        persons=words(arrays["person"]),
        count=rows,
        body=str(arrays["body"]),
        params=BodyParams(*(floats[key] for key in numbers[:4])),
        camera=Camera(floats["focal"], floats["principal_point"]),
        boxes=floats["boxes"],
        labels={"grade": words(arrays["grade"])},
        values={key: arrays[key] for key in extra if key in arrays},
    )


def read_lspet_truth(path: Path) -> People:
    """LSP Extended: names (N), joints (N, 14, 3) x, y, visible in LSP's order, full-image pixels."""
    arrays = read_arrays(path)
    rows = check_rows(path, arrays, ("names", "joints"))
    order = words(arrays["order"]) if "order" in arrays else LSP_14.keypoints
    if set(order) != set(LSP_14.keypoints):
        known = ", ".join(LSP_14.keypoints)
        raise ValueError(f"{path}: joints are {', '.join(order)}, expected those of LSP: {known}.")
    joints = arrays["joints"][:, [order.index(name) for name in LSP_14.keypoints]]
    keypoints = Keypoints2D(*clean_points(joints, 2), LSP_14.name)
    return People(words(arrays["names"]), count=rows, keypoints=keypoints, boxes=boxes_of(keypoints))


def read_coco_truth(path: Path) -> People:
    """COCO annotations: one row per person that is no crowd and has a labelled keypoint or a mask of polygons."""
    tree = read_json(path)
    if not isinstance(tree, dict) or not {"images", "annotations"} <= tree.keys():
        raise ValueError(f"{path} is not a COCO annotation file: it needs images and annotations.")
    names = {image["id"]: str(image["file_name"]) for image in tree["images"]}
    sizes = {image["id"]: (image["height"], image["width"]) for image in tree["images"]}
    used = [a for a in tree["annotations"] if not a.get("iscrowd") and (_labelled(a) or _polygons(a))]
    points = np.array([a["keypoints"] if _labelled(a) else [0.0] * 51 for a in used], np.float32)
    boxes = np.array([a["bbox"] for a in used], np.float32).reshape(len(used), 4)
    return People(
        photos=tuple(names[a["image_id"]] for a in used),
        persons=tuple(str(a["id"]) for a in used),
        count=len(used),
        keypoints=Keypoints2D(*clean_points(points.reshape(len(used), 17, 3), 2), "coco17"),
        boxes=torch.from_numpy(np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], -1)),
        labels={"image_id": tuple(str(a["image_id"]) for a in used)},
        values={"image_size": np.array([sizes[a["image_id"]] for a in used], np.int64).reshape(len(used), 2)},
        outlines=tuple(_polygons(a) for a in used),
    )


def _labelled(annotation: dict[str, Any]) -> bool:
    return any(annotation.get("keypoints", [])[2::3])


def _polygons(annotation: dict[str, Any]) -> tuple[tuple[float, ...], ...]:
    shapes = annotation.get("segmentation")
    return tuple(tuple(shape) for shape in shapes) if isinstance(shapes, list) else ()


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not JSON.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not readable JSON: {error}.") from error


def boxes_of(keypoints: Keypoints2D) -> torch.Tensor:
    """Box around the observed keypoints of each person, (people, 4) x y x y; NaN where there are none."""
    seen = (keypoints.confidence > 0)[..., None]
    low = torch.where(seen, keypoints.points, torch.inf).amin(-2)
    high = torch.where(seen, keypoints.points, -torch.inf).amax(-2)
    boxes = torch.cat([low, high], -1)
    return torch.where(torch.isfinite(boxes), boxes, torch.nan)
