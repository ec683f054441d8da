"""Leeds Sports Pose (Johnson and Everingham 2010) and its extension (2011), from their ``joints.mat``."""

from pathlib import Path
from typing import Literal

import numpy as np

from fitloop.body.keypoints import LSP_14
from fitloop.data.converters.people import Person, crop_of_points, gather, need, read_mat, to_spin24
from fitloop.data.spin_format import SpinDataset


def convert_lsp(folder: Path, split: Literal["train", "test"] = "train") -> SpinDataset:
    """Convert LSP: ``joints.mat`` with (3, 14, 2000), photos 1 to 1000 for training, the rest for testing.

    Its third number says that a joint is occluded; its place is annotated all the same, so everything is observed,
    as in SPIN. The test split names the masks of Lassner et al. 2017.

    Raises:
        FileNotFoundError: If ``joints.mat`` is missing.
        ValueError: If it is not LSP's.
    """
    joints = np.asarray(read_mat(folder / "joints.mat", "joints", "LSP's annotations"), np.float64)
    if joints.ndim != 3 or joints.shape[:2] != (3, len(LSP_14)):
        hint = " This is LSP-extended's file: prepare lspet." if joints.shape[:2] == (len(LSP_14), 3) else ""
        raise ValueError(f"{folder}/joints.mat has shape {joints.shape}, expected (3, 14, photos).{hint}")
    # LSP's first thousand photos are for training, by its authors.
    half = joints.shape[2] // 2
    numbers = range(half) if split == "train" else range(half, joints.shape[2])
    people = []
    for number in numbers:
        points = joints[:2, :, number].T
        seen = np.concatenate([points, np.ones((len(LSP_14), 1))], 1)
        center, scale = crop_of_points(points)
        people.append(Person(f"images/im{number + 1:04d}.jpg", center, scale, to_spin24(seen, LSP_14.keypoints)))
    if split == "train":
        return gather("lsp_dataset_original_train", people)
    dataset = gather("lsp_dataset_test", people)
    stems = [Path(name).stem for name in dataset.image_names]
    return SpinDataset(
        **{
            **vars(dataset),
            "mask_names": tuple(f"data/lsp/{stem}_segmentation.png" for stem in stems),
            "part_names": tuple(f"data/lsp/{stem}_part_segmentation.png" for stem in stems),
        }
    )


def convert_lspet(folder: Path, spin_compat: bool = False) -> SpinDataset:
    """Convert LSP-extended or its high-resolution form: ``joints.mat`` with (14, 3, 10000) and photos beside it.

    Args:
        folder: Photos (``im00001.png`` or ``.jpg``, in ``images/`` or beside the file) in the order of the annotations.
        spin_compat: Take joints that are not annotated for observed, as SPIN's own converter does.

    Raises:
        FileNotFoundError: If ``joints.mat`` is missing.
        ValueError: If it is not LSP-extended's, or the number of photos differs.
    """
    joints = np.asarray(read_mat(folder / "joints.mat", "joints", "LSP-extended's annotations"), np.float64)
    if joints.ndim != 3 or joints.shape[:2] != (len(LSP_14), 3):
        raise ValueError(f"{folder}/joints.mat has shape {joints.shape}, expected (14, 3, photos).")
    photos = sorted(p for pattern in ("*.png", "*.jpg", "images/*.jpg") for p in folder.glob(pattern))
    if len(photos) != joints.shape[2]:
        raise ValueError(f"{folder} has {len(photos)} photos for {joints.shape[2]} annotations; they must correspond.")
    names = [photo.relative_to(folder).as_posix() for photo in photos]
    return gather("hr-lspet_train", _annotated(names, joints.transpose(2, 0, 1), spin_compat))


def convert_lspet_dev(folder: Path) -> SpinDataset:
    """Convert a selection of LSP-extended in one ``joints.npz``: ``names``, ``joints`` (people, 14, 3), ``order``.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If it lacks a field, or its joints have other names than LSP's.
    """
    path = need(folder / "joints.npz", "names, joints (people, 14, 3) and order of the joints")
    with np.load(path, allow_pickle=False) as file:
        missing = [key for key in ("names", "joints", "order") if key not in file.files]
        if missing:
            raise ValueError(f"{path} has no {', '.join(missing)}; it has {', '.join(file.files)}.")
        names, joints, order = (file[key] for key in ("names", "joints", "order"))
    if tuple(order) != LSP_14.keypoints or joints.shape != (len(names), len(LSP_14), 3):
        raise ValueError(
            f"{path} has joints {joints.shape} named {', '.join(order)}; expected {(len(names), len(LSP_14), 3)}, "
            f"named {', '.join(LSP_14.keypoints)}."
        )
    return gather("lspet_dev", _annotated([f"images/{name}" for name in names], joints, False))


def _annotated(names: list[str], joints: np.ndarray, everything: bool) -> list[Person]:
    people = []
    for name, points in zip(names, joints, strict=True):
        seen = np.ones(len(points), bool) if everything else points[:, 2] > 0
        # One joint makes no crop.
        if seen.sum() < 2:
            continue
        center, scale = crop_of_points(points[seen, :2])
        placed = np.where(seen[:, None], np.concatenate([points[:, :2], np.ones((len(points), 1))], 1), 0.0)
        people.append(Person(name, center, scale, to_spin24(placed, LSP_14.keypoints)))
    return people
