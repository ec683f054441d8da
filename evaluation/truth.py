"""Readers of truth: SPIN's data set files, LSP Extended, open-bench, COCO annotations."""

from pathlib import Path

import numpy as np
import torch

from fitloop.body.keypoints import COCO_17, LSP_14, SPIN_24
from fitloop.data.archives import check_rows, floats, read_arrays, words
from fitloop.data.coco_people import read_coco_people
from fitloop.data.human_ranges import doubt_betas, doubt_centre, doubt_crops, doubt_focal, doubt_joints
from fitloop.data.spin_dataset import SCALE_UNIT
from fitloop.data.spin_fields import genders_of, photo_names, text_rows
from fitloop.evaluation.body_arrays import bodies_of, check_bodies, params_of_smpl
from fitloop.evaluation.people import Joints3D, Keypoints2D, ScoredPeople, clean_points
from fitloop.evaluation.protocols import Protocol

_SPIN_WORDS = {"maskname": "mask", "partname": "parts", "gender": "gender"}
_SPIN_KEYS = (
    *("imgname", "center", "scale", "S", "part", "pose", "shape", "gender", "maskname", "partname"),
    *("sequence", "frame"),
)
_GENDERS = {"m": "male", "f": "female", "n": "neutral"}


def read_truth(protocol: Protocol, path: Path) -> ScoredPeople:
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


def read_spin_truth(path: Path) -> ScoredPeople:
    """A data set file of SPIN: imgname, center, scale, and any of S, part, pose, shape, gender, maskname, partname.

    ``S`` holds SPIN's 24 annotated joints relative to the pelvis. ``pose`` and ``shape`` become parameters of SMPL.
    """
    arrays = read_arrays(path, known=_SPIN_KEYS)
    present = tuple(key for key in _SPIN_KEYS if key in arrays)
    rows = check_rows(path, arrays, (*("imgname", "center", "scale"), *present))
    center, scale = (floats(path, key, arrays[key]) for key in ("center", "scale"))
    if center.shape != (rows, 2) or scale.size != rows:
        raise ValueError(f"{path}: center and scale have shapes {center.shape} and {scale.shape}, expected (rows, 2).")
    half = 0.5 * SCALE_UNIT * scale.reshape(rows, 1)
    keypoints = params = None
    notices: tuple[str, ...] = ()
    if "part" in arrays:
        keypoints = Keypoints2D(*clean_points(_table(path, arrays, "part"), 2), SPIN_24.name)
        doubt = doubt_crops(2.0 * half[:, 0], keypoints.points.numpy(), keypoints.confidence.numpy() > 0)
        if doubt is not None and doubt.grave:
            raise ValueError(f"{path}: scale is not what it should be: {doubt.sentence}.")
    if "pose" in arrays and "shape" in arrays:
        params, notices = params_of_smpl(path, arrays["pose"], arrays["shape"])
    labels = {name: text_rows(arrays[key]) for key, name in _SPIN_WORDS.items() if key in arrays}
    if "gender" in arrays:
        labels["gender"] = tuple(_GENDERS[letter] for letter in genders_of(path.name, arrays["gender"]))
    return ScoredPeople(
        photos=photo_names(arrays["imgname"]),
        count=rows,
        body=None if params is None else "smpl",
        params=params,
        joints=_joints(path, arrays),
        keypoints=keypoints,
        boxes=torch.from_numpy(np.concatenate([center - half, center + half], -1)),
        labels=labels,
        values={key: arrays[key] for key in ("sequence", "frame") if key in arrays},
        notices=notices,
    )


def _table(path: Path, arrays: dict[str, np.ndarray], key: str) -> np.ndarray:
    """Points of `SPIN_24`, one row per person."""
    if arrays[key].ndim != 3 or arrays[key].shape[1] != len(SPIN_24):
        raise ValueError(f"{path}: {key} has shape {arrays[key].shape}, expected (rows, {len(SPIN_24)}, 3 or 4).")
    return floats(path, key, arrays[key])


def _joints(path: Path, arrays: dict[str, np.ndarray]) -> Joints3D | None:
    """``S``, which must be as large as people are and lie about the pelvis: no score would tell of another unit."""
    if "S" not in arrays:
        return None
    points, confidence = clean_points(_table(path, arrays, "S"), 3)
    known = confidence.numpy() > 0
    for judge in (doubt_joints, doubt_centre):
        doubt = judge(points.numpy(), known, SPIN_24.keypoints)
        if doubt is not None and doubt.grave:
            raise ValueError(f"{path}: S is not what it should be: {doubt.sentence}.")
    return Joints3D(points, confidence, SPIN_24.name, centred=True)


def read_bench_truth(path: Path) -> ScoredPeople:
    """The truth of open-bench: the parameters of every rendered person; docs/evaluation.md lists the arrays."""
    arrays = read_arrays(path)
    numbers = ("global_orient", "body_pose", "betas", "transl", "focal", "principal_point", "boxes")
    rows = check_rows(path, arrays, (*numbers, "photo", "person", "grade"))
    if "body" not in arrays or arrays["body"].size != 1:
        raise ValueError(f"{path} lacks body, the name of the body that its parameters belong to.")
    check_bodies(path, arrays)
    single = {key: floats(path, key, arrays[key]) for key in numbers}
    params, camera = bodies_of(single)
    doubts = (
        doubt_betas(single["betas"]),
        doubt_focal(single["focal"], 2.0 * single["principal_point"].max(1, initial=0)),
    )
    for doubt in doubts:
        if doubt is not None and doubt.grave:
            raise ValueError(f"{path}: {doubt.sentence}.")
    strange = [key for key in numbers if not np.isfinite(single[key]).all()]
    if strange or single["boxes"].shape != (rows, 4):
        raise ValueError(
            f"{path}: {', '.join(strange) or 'boxes'} must be finite numbers, and boxes of shape ({rows}, 4)."
        )
    extra = tuple(key for key in ("image_size", "visibility", "sequence", "frame") if key in arrays)
    check_rows(path, arrays, ("boxes", *extra))
    return ScoredPeople(
        photos=words(arrays["photo"]),
        persons=words(arrays["person"]),
        count=rows,
        body=words(arrays["body"])[0],
        params=params,
        camera=camera,
        boxes=torch.from_numpy(single["boxes"]),
        labels={"grade": words(arrays["grade"])},
        values={key: arrays[key] for key in extra},
    )


def read_lspet_truth(path: Path) -> ScoredPeople:
    """LSP Extended: names (N), joints (N, 14, 3) x, y, visible in LSP's order, full-image pixels."""
    arrays = read_arrays(path)
    rows = check_rows(path, arrays, ("names", "joints"))
    # A copy of the file may have an order of its own, and says so.
    order = words(arrays["order"]) if "order" in arrays else LSP_14.keypoints
    if set(order) != set(LSP_14.keypoints):
        known = ", ".join(LSP_14.keypoints)
        raise ValueError(f"{path}: joints are {', '.join(order)}, expected those of LSP: {known}.")
    joints = arrays["joints"][:, [order.index(name) for name in LSP_14.keypoints]]
    keypoints = Keypoints2D(*clean_points(joints, 2), LSP_14.name)
    return ScoredPeople(words(arrays["names"]), count=rows, keypoints=keypoints, boxes=boxes_of(keypoints))


def read_coco_truth(path: Path) -> ScoredPeople:
    """COCO annotations: one row per person that is no crowd and has a labelled keypoint or a mask of polygons.

    `fitloop.data.coco_people` says who is a person; what is left out is told in the notices.
    """
    file = read_coco_people(path)
    people = file.people
    points = np.array([np.zeros((17, 3)) if p.keypoints is None else p.keypoints for p in people])
    boxes = np.array([p.box for p in people], np.float32).reshape(len(people), 4)
    return ScoredPeople(
        photos=tuple(p.photo for p in people),
        persons=tuple(p.name for p in people),
        count=len(people),
        keypoints=Keypoints2D(*clean_points(points.reshape(len(people), 17, 3), 2), COCO_17.name),
        boxes=torch.from_numpy(boxes),
        labels={"image_id": tuple(p.image_id for p in people)},
        values={"image_size": np.array([p.size or (0, 0) for p in people], np.int64).reshape(len(people), 2)},
        outlines=tuple(p.outlines for p in people),
        notices=file.notices,
    )


def boxes_of(keypoints: Keypoints2D) -> torch.Tensor:
    """Box around the observed keypoints of each person, (people, 4) x y x y; NaN where there are none."""
    seen = (keypoints.confidence > 0)[..., None]
    low = torch.where(seen, keypoints.points, torch.inf).amin(-2)
    high = torch.where(seen, keypoints.points, -torch.inf).amax(-2)
    boxes = torch.cat([low, high], -1)
    return torch.where(torch.isfinite(boxes), boxes, torch.nan)
