"""The people that a network learns from while a fitter runs beside it: evidence, cameras and what truth there is."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from fitloop.body import Body, BodyParams, Detections
from fitloop.data.mixed import Mixture, proportional, spin_mixture, weighted
from fitloop.data.spin_format import POSE_SIZE, SpinDataset
from fitloop.data.spin_images import photo_sizes
from fitloop.data.spin_masks import GRID, person_masks
from fitloop.geometry import Camera, TensorRecord, concatenate, rotvec_to_rotmat
from fitloop.geometry.cameras import default_focal
from fitloop.pipelines.spin.config import DataConfig
from fitloop.pipelines.spin.store import StoreKey

SPIN_FOCAL = 5000.0 / 224.0
"""Where nothing is known of the photo, a camera far away as SPIN's: focal length over the side of the crop."""


@dataclass(frozen=True)
class ObservedPeople(TensorRecord):
    """One row per person; index it to get a batch."""

    evidence: Detections
    """Full-image pixels."""
    camera: Camera
    truth: BodyParams
    """Camera frame; only orientation, pose and betas, and only where `has_truth`."""
    has_truth: Float[Tensor, "people"]
    """1 where pose and betas are known."""
    joints_3d: Float[Tensor, "people 24 4"]
    """x, y, z in metres, camera axes, relative to the pelvis, and confidence; order of `SPIN_24`."""

    def __len__(self) -> int:
        return len(self.has_truth)


@dataclass(frozen=True)
class Crowd:
    """ObservedPeople of all data sets, one after the other, and where their photos lie."""

    samples: ObservedPeople
    photos: tuple[Path | None, ...]
    """One per row; None where no folder was given."""
    names: tuple[str, ...]
    """Of the data sets."""
    sizes: tuple[int, ...]
    """People of each data set."""

    def __len__(self) -> int:
        return len(self.photos)

    def photos_of(self, rows: Int[Tensor, "people"]) -> tuple[Path | None, ...]:
        """Where the photos of some rows are."""
        return tuple(self.photos[row] for row in rows.tolist())

    def first(self, count: int) -> "Crowd":
        """At most so many people, as one data set."""
        if len(self) <= count:
            return self
        return Crowd(self.samples[slice(0, count)], self.photos[:count], ("+".join(self.names),), (count,))

    def key(self, body: Body) -> StoreKey:
        """What a store of these people's fits belongs to."""
        prints = []
        for start, size in zip(Mixture(self.sizes, self._equal()).starts, self.sizes, strict=True):
            prints.append(_fingerprint(self.samples[slice(start, start + size)]))
        return StoreKey(body.name, body.num_betas, tuple(zip(self.names, self.sizes, prints, strict=True)))

    def _equal(self) -> tuple[float, ...]:
        return tuple(1.0 / len(self.sizes) for _ in self.sizes)

    def shares(self, config: DataConfig) -> tuple[float, ...]:
        """How often each data set is drawn from."""
        if config.spin_mixture:
            names = [_spin_name(name) for name in self.names]
            return spin_mixture(dict(zip(names, self.sizes, strict=True))).shares
        return (weighted(self.sizes, config.weights) if config.weights else proportional(self.sizes)).shares


def _spin_name(name: str) -> str:
    known = {"h36m_train": "h36m", "mpi_inf_3dhp_train": "mpi-inf-3dhp"}
    return known.get(name, name)


def _fingerprint(samples: ObservedPeople) -> str:
    digest = hashlib.sha256()
    for tensor in (samples.evidence.keypoints, samples.evidence.confidence, samples.evidence.boxes):
        digest.update(tensor.contiguous().numpy().tobytes())
    for tensor in (samples.camera.focal, samples.camera.principal_point):
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def make_crowd(datasets: list[SpinDataset], images: list[Path | None], body: Body, masks: bool = False) -> Crowd:
    """Gather data sets.

    Args:
        datasets: At least one.
        images: Folder of each one's photos, or None.
        body: Pose and betas of another body are left out.
        masks: Read the masks that data sets name, too; whose has none gets an empty one.

    Raises:
        FileNotFoundError: If a mask is missing.
        ValueError: If photos are missing, two data sets have one name, or a mask has another size than its photo.
    """
    names = tuple(dataset.name for dataset in datasets)
    if len(set(names)) < len(names):
        raise ValueError(f"Data sets need different names, got {names}; rename a file.")
    with_openpose = any(dataset.openpose is not None for dataset in datasets)
    parts, photos = [], []
    for dataset, folder in zip(datasets, images, strict=True):
        samples = _samples(dataset, folder, body, with_openpose)
        parts.append(_with_masks(samples, dataset, folder) if masks else samples)
        photos += [None if folder is None else folder / name for name in dataset.image_names]
    return Crowd(concatenate(parts), tuple(photos), names, tuple(len(dataset) for dataset in datasets))


def _samples(dataset: SpinDataset, folder: Path | None, body: Body, with_openpose: bool) -> ObservedPeople:
    people = len(dataset)
    sizes = dataset.photo_sizes
    if sizes is None and folder is not None:
        sizes = photo_sizes(dataset, folder)
    joints = np.zeros((people, 24, 4), np.float32) if dataset.joints_3d is None else dataset.joints_3d
    mine = dataset.body in (body.name, body.name.split("-")[0])
    known = dataset.has_params if dataset.has_params is not None and mine else np.zeros(people, bool)
    return ObservedPeople(
        dataset.detections(with_openpose),
        _cameras(dataset, sizes),
        _truth(dataset, body) if mine else _nothing(people, body),
        torch.from_numpy(known.astype(np.float32)),
        torch.from_numpy(joints.astype(np.float32)),
    )


def _with_masks(samples: ObservedPeople, dataset: SpinDataset, folder: Path | None) -> ObservedPeople:
    evidence = samples.evidence
    if folder is None or dataset.mask_names is None:
        empty = torch.zeros(len(dataset), GRID, GRID)
        return replace(samples, evidence=replace(evidence, silhouettes=empty, silhouette_boxes=evidence.boxes))
    sizes = photo_sizes(dataset, folder).astype(np.float32)
    grids, boxes = (torch.from_numpy(array) for array in person_masks(dataset, folder, sizes))
    return replace(samples, evidence=replace(evidence, silhouettes=grids, silhouette_boxes=boxes))


def _cameras(dataset: SpinDataset, sizes: np.ndarray | None) -> Camera:
    if sizes is None:
        focal = SPIN_FOCAL * 200.0 * dataset.scales
        return Camera(torch.from_numpy(focal.astype(np.float32)), torch.from_numpy(dataset.centers))
    focal = np.array([default_focal(int(width), int(height)) for width, height in sizes], np.float32)
    return Camera(torch.from_numpy(focal), torch.from_numpy((sizes / 2.0).astype(np.float32)))


def _truth(dataset: SpinDataset, body: Body) -> BodyParams:
    if dataset.pose is None or dataset.betas is None:
        return _nothing(len(dataset), body)
    rotations = rotvec_to_rotmat(torch.from_numpy(dataset.pose).reshape(-1, POSE_SIZE // 3, 3))
    betas = torch.from_numpy(dataset.betas)
    return BodyParams(rotations[:, 0], rotations[:, 1:], betas, torch.zeros_like(betas[:, :3]))


def _nothing(people: int, body: Body) -> BodyParams:
    eye = torch.eye(3).expand(people, 24, 3, 3)
    return BodyParams(eye[:, 0], eye[:, 1:], torch.zeros(people, body.num_betas), torch.zeros(people, 3))


def split(dataset: SpinDataset, share: float = 0.1) -> tuple[SpinDataset, SpinDataset]:
    """Keep a share of the photos apart; which ones depends on their names alone, and no photo is on both sides.

    Raises:
        ValueError: If one side is left empty.
    """
    limit = int(share * 2**32)
    marks = [int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) for name in dataset.image_names]
    apart = np.array([mark < limit for mark in marks])
    if apart.all() or not apart.any():
        raise ValueError(
            f"{dataset.name} has {len(set(dataset.image_names))} photos, too few to keep some apart; give --held-out."
        )
    return dataset.take(~apart), replace(dataset.take(apart), name=f"{dataset.name}_held_out")


@dataclass(frozen=True)
class Deal:
    """Which rows each shard visits in which order: the same for any number of processes."""

    mixture_sizes: tuple[int, ...]
    shares: tuple[float, ...]
    shards: int
    batch_size: int
    seed: int

    @property
    def steps_per_epoch(self) -> int:
        """So many that an epoch draws as many people as the data sets in use have; at least one."""
        people = sum(size for size, share in zip(self.mixture_sizes, self.shares, strict=True) if share > 0)
        return max(1, people // self.batch_size)

    def rows(self, epoch: int, shard: int) -> Int[Tensor, "steps people"]:
        """Rows of a shard for each step of an epoch.

        Raises:
            ValueError: If a data set has fewer people than shards.
        """
        starts = Mixture(self.mixture_sizes, self.shares).starts
        own = [
            torch.arange(start, start + size)[(torch.arange(start, start + size) % self.shards) == shard]
            for start, size in zip(starts, self.mixture_sizes, strict=True)
        ]
        if min(len(rows) for rows in own) == 0:
            raise ValueError(
                f"A data set of {min(self.mixture_sizes)} people cannot be dealt into {self.shards} shards."
            )
        mixture = Mixture(tuple(len(rows) for rows in own), self.shares)
        generator = torch.Generator().manual_seed(seed_of(self.seed, epoch, shard))
        per_shard = self.batch_size // self.shards
        drawn = mixture.epoch(generator, self.steps_per_epoch * per_shard)
        return torch.cat(own)[drawn].unflatten(0, (self.steps_per_epoch, per_shard))


def seed_of(*numbers: int) -> int:
    """One seed from several numbers."""
    digest = hashlib.sha256(",".join(str(number) for number in numbers).encode()).hexdigest()
    return int(digest[:15], 16)
