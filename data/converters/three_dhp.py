"""MPI-INF-3DHP (Mehta et al. 2017): training sequences of eight subjects, test sequences of six."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fitloop.body.keypoints import THREE_DHP_17
from fitloop.data.converters.people import Person, crop_of_points, gather, need, read_hdf5, read_mat, to_spin24
from fitloop.data.spin_format import SpinDataset
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


def convert_3dhp_train(folder: Path, stride: int = STRIDE) -> SpinDataset:
    """Convert ``S<1-8>/Seq<1-2>/annot.mat`` for the frames in ``imageFrames/video_<camera>/frame_<number>.jpg``.

    People with all 17 joints inside the photo are kept, of these every tenth. Unlike SPIN's, this converter reads a
    frame's annotation by the number in its name, so that missing frames do not shift the others.

    Args:
        folder: As downloaded, frames extracted from the videos starting at 1.
        stride: Keep one of so many.

    Raises:
        FileNotFoundError: If no sequence is there.
        ValueError: If an annotation file is not 3DHP's.
    """
    sequences = sorted(folder.glob("S*/Seq*/annot.mat"))
    if not sequences:
        need(folder / "S1" / "Seq1" / "annot.mat", "3DHP's training annotations")
    everybody = (person for path in sequences for person in _training_people(folder, path))
    return gather("mpi_inf_3dhp_train", (person for number, person in enumerate(everybody) if number % stride == 0))


def _training_people(folder: Path, path: Path) -> Iterator[Person]:
    flat = read_mat(path, "annot2", "3DHP's 2D annotations")
    solid = read_mat(path, "annot3", "3DHP's 3D annotations")
    for camera in CAMERAS:
        frames = sorted((path.parent / "imageFrames" / f"video_{camera}").glob("frame_*.jpg"))
        if not frames:
            continue
        if len(flat) <= camera or np.size(flat[camera]) % (2 * len(TRAINING_JOINTS)):
            raise ValueError(f"{path}: annot2 of camera {camera} is not (frames, 56); is it 3DHP's annotation file?")
        points_2d = np.asarray(flat[camera], np.float64).reshape(-1, len(TRAINING_JOINTS), 2)
        points_3d = np.asarray(solid[camera], np.float64).reshape(-1, len(TRAINING_JOINTS), 3) / 1000.0
        for frame in frames:
            number = int(frame.stem.removeprefix("frame_")) - 1
            if not 0 <= number < len(points_2d):
                raise ValueError(f"{frame} has no annotation: {path} has frames 1 to {len(points_2d)}.")
            name = frame.relative_to(folder).as_posix()
            person = _person(name, points_2d[number], points_3d[number], TRAINING_JOINTS, (SIDE, SIDE))
            if person is not None:
                yield person


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
    if flat.ndim != 4 or flat.shape[2:] != (len(TEST_JOINTS), 2) or solid.shape[2:] != (len(TEST_JOINTS), 3):
        raise ValueError(f"{path}: annot2 has shape {flat.shape}, expected (frames, 1, 17, 2).")
    valid = np.flatnonzero(arrays["valid_frame"].ravel())
    if not len(valid):
        return []
    names = [(path.parent / "imageSequence" / f"img_{frame + 1:06d}.jpg").relative_to(folder) for frame in valid]
    first = gather("3dhp", [Person(names[0].as_posix(), np.zeros(2), 1.0, np.zeros((24, 3)))])
    # All frames of a sequence have one size, so one header says it.
    width, height = photo_sizes(first, folder)[0].tolist()
    rows = (
        _person(name.as_posix(), flat[frame, 0], solid[frame, 0] / 1000.0, TEST_JOINTS, (width, height))
        for name, frame in zip(names, valid, strict=True)
    )
    return [row for row in rows if row is not None]


def _person(
    name: str, points: np.ndarray, joints: np.ndarray, names: tuple[str, ...], size: tuple[int, int]
) -> Person | None:
    """A person with everything inside the photo, 3D relative to the pelvis; None for others."""
    table = tuple(name if name in THREE_DHP_17.keypoints else None for name in names)
    used = [column for column, known in enumerate(table) if known is not None]
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
