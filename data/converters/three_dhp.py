"""MPI-INF-3DHP (Mehta et al. 2017): training sequences of eight subjects, test sequences of six."""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fitloop.body.keypoints import THREE_DHP_17
from fitloop.data.converters.frames import (
    TEST_PATTERN,
    TRAINING_PATTERN,
    Frame,
    test_frames,
    training_frames,
)
from fitloop.data.converters.people import Person, crop_of_points, gather, need, read_hdf5, read_mat, to_spin24
from fitloop.data.spin_dataset import SpinDataset
from fitloop.data.spin_images import photo_sizes

TRAINING_JOINTS = (
    *("spine3", "spine4", "spine2", "spine", "pelvis", "neck", "jaw", "head"),
    *("left_clavicle", "left_shoulder", "left_elbow", "left_wrist", "left_hand"),
    *("right_clavicle", "right_shoulder", "right_elbow", "right_wrist", "right_hand"),
    *("left_hip", "left_knee", "left_ankle", "left_foot", "left_toe"),
    *("right_hip", "right_knee", "right_ankle", "right_foot", "right_toe"),
)
"""The 28 annotated joints; the head and its top are `SPIN_24`'s jaw and head."""
CAMERAS = (0, 1, 2, 4, 5, 6, 7, 8)
"""The chest-height cameras that SPIN uses."""
SIDE = 2048
"""Pixels of a training photo, both ways."""
STRIDE = 10

_logger = logging.getLogger(__name__)


def convert_3dhp_train(folder: Path, stride: int = STRIDE) -> SpinDataset:
    """Convert ``S<1-8>/Seq<1-2>/annot.mat`` for the frames in ``imageFrames/video_<camera>/frame_<number>.jpg``.

    Where there are none, pictures are looked for whose path says subject, sequence, camera and frame in this order,
    as ``imageSequence/img_S1_Seq1_video_0_000001.png`` does (`fitloop.data.converters.frames`).

    People with all 17 joints inside the photo are kept, of these every tenth. Unlike SPIN's, this converter reads a
    frame's annotation by the number in its name, so that missing frames do not shift the others.

    Args:
        folder: As downloaded, frames extracted from the videos starting at 1.
        stride: Keep one of so many.

    Raises:
        FileNotFoundError: If no sequence is there, or no frame of any.
        ValueError: If an annotation file is not 3DHP's.
    """
    sequences = sorted(folder.glob("S*/Seq*/annot.mat"))
    if not sequences:
        need(folder / "S1" / "Seq1" / "annot.mat", "3DHP's training annotations")
    frames = {(path, camera): training_frames(folder, path.parent, camera) for path in sequences for camera in CAMERAS}
    if not any(frames.values()):
        raise FileNotFoundError(f"{folder} has 3DHP's annotations but no frames. {TRAINING_PATTERN}")
    everybody = (person for path in sequences for person in _training_people(folder, path, frames))
    return gather("mpi_inf_3dhp_train", (person for number, person in enumerate(everybody) if number % stride == 0))


def _training_people(folder: Path, path: Path, frames: dict[tuple[Path, int], list[Frame]]) -> Iterator[Person]:
    flat = np.atleast_1d(read_mat(path, "annot2", "3DHP's 2D annotations"))
    solid = np.atleast_1d(read_mat(path, "annot3", "3DHP's 3D annotations"))
    for camera in CAMERAS:
        if not frames[path, camera]:
            continue
        points_2d = _of_camera(path, "annot2", flat, camera, 2)
        points_3d = _of_camera(path, "annot3", solid, camera, 3) / 1000.0
        if len(points_2d) != len(points_3d):
            raise ValueError(
                f"{path}: camera {camera} has {len(points_2d)} frames in annot2 and {len(points_3d)} in annot3."
            )
        for frame in frames[path, camera]:
            number = frame.number - 1
            if not 0 <= number < len(points_2d):
                raise ValueError(f"{frame.path} has no annotation: {path} has frames 1 to {len(points_2d)}.")
            name = frame.path.relative_to(folder).as_posix()
            person = _person(name, points_2d[number], points_3d[number], TRAINING_JOINTS, (SIDE, SIDE))
            if person is not None:
                yield person


def _of_camera(path: Path, key: str, cameras: np.ndarray, camera: int, axes: int) -> np.ndarray:
    width = axes * len(TRAINING_JOINTS)
    if (
        len(cameras) <= camera
        or np.size(cameras[camera]) % width
        or np.asarray(cameras[camera]).dtype.kind not in "iuf"
    ):
        raise ValueError(f"{path}: {key} of camera {camera} is not (frames, {width}); is it 3DHP's annotation file?")
    return np.asarray(cameras[camera], np.float64).reshape(-1, len(TRAINING_JOINTS), axes)


TEST_JOINTS = (
    *("head", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist"),
    *("right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "pelvis", "spine", "jaw"),
)


def convert_3dhp_test(folder: Path) -> SpinDataset:
    """Convert ``mpi_inf_3dhp_test_set/TS<1-6>/annot_data.mat`` (HDF5; needs h5py): valid frames with all joints inside.

    Raises:
        FileNotFoundError: If no sequence is there.
        ValueError: If an annotation file is not 3DHP's, or a photo is missing.
    """
    root = folder / "mpi_inf_3dhp_test_set"
    sequences = sorted((root if root.is_dir() else folder).glob("TS*/annot_data.mat"))
    if not sequences:
        need(root / "TS1" / "annot_data.mat", "3DHP's test annotations")
    people: list[Person] = []
    for path in sequences:
        people += _test_people(folder, path)
    return gather("mpi_inf_3dhp_valid", people)


def _test_people(folder: Path, path: Path) -> list[Person]:
    arrays = read_hdf5(path, ("annot2", "univ_annot3", "valid_frame"), "3DHP's test annotations")
    flat, solid = arrays["annot2"], arrays["univ_annot3"]
    if flat.ndim != 4 or flat.shape[2:] != (len(TEST_JOINTS), 2) or solid.shape != (*flat.shape[:3], 3):
        raise ValueError(
            f"{path}: annot2 and univ_annot3 have shapes {flat.shape} and {solid.shape}, expected (frames, 1, 17, 2) "
            "and (frames, 1, 17, 3)."
        )
    valid = np.flatnonzero(arrays["valid_frame"].ravel()[: len(flat)])
    if not len(valid):
        return []
    pictures = {frame.number: frame.path.relative_to(folder).as_posix() for frame in test_frames(path.parent)}
    names = {frame: pictures[frame + 1] for frame in valid.tolist() if frame + 1 in pictures}
    if not names:
        raise FileNotFoundError(f"{path.parent} has 3DHP's annotations but no frame of them. {TEST_PATTERN}")
    if len(names) < len(valid):
        _logger.warning("%s: %d of %d valid frames have no photo.", path, len(valid) - len(names), len(valid))
    first = gather("3dhp", [Person(next(iter(names.values())), np.zeros(2), 1.0, np.zeros((24, 3)))])
    # All frames of a sequence have one size, so one header says it.
    width, height = photo_sizes(first, folder)[0].tolist()
    rows = (
        _person(name, flat[frame, 0], solid[frame, 0] / 1000.0, TEST_JOINTS, (width, height))
        for frame, name in names.items()
    )
    return [row for row in rows if row is not None]


def _person(
    name: str, points: np.ndarray, joints: np.ndarray, names: tuple[str, ...], size: tuple[int, int]
) -> Person | None:
    """A person with everything inside the photo, 3D relative to the pelvis; None for others."""
    table = tuple(name if name in THREE_DHP_17.keypoints else None for name in names)
    used = [column for column, known in enumerate(table) if known is not None]
    # As in SPIN: what the photo cuts off has an annotation all the same, but no evidence.
    if not ((points[used] >= 0) & (points[used] < size)).all():
        return None
    center, scale = crop_of_points(points[used])
    sure = np.ones((len(points), 1))
    joints = joints - joints[names.index("pelvis")]
    return Person(
        name,
        center,
        scale,
        to_spin24(np.concatenate([points, sure], 1), table),
        joints_3d=to_spin24(np.concatenate([joints, sure], 1), table),
    )
