"""Synthetic photos on disk: plain pictures and plain arrays that anything can read."""

from pathlib import Path

import numpy as np
import PIL.Image

from fitloop.body import JOINT_NAMES
from fitloop.body.files import whole_file
from fitloop.data.synthetic.truth import LANDMARKS, Person, SyntheticPhoto

PER_PERSON = (
    *("global_orient", "body_pose", "betas", "transl", "focal", "principal_point", "boxes", "image_size"),
    *("joints_3d", "landmarks_3d", "landmarks_2d", "visibility", "visible_share"),
    *("photo", "person", "grade", "garments", "background"),
)
"""Arrays with one row per person."""


def truth_arrays(photo: SyntheticPhoto, name: str, body: str, grade: str) -> dict[str, np.ndarray]:
    """Everything that is known of a photo's people, as plain arrays; docs/synthetic.md lists them.

    Args:
        photo: The photo.
        name: Its file name.
        body: Name of the body that the parameters belong to.
        grade: Difficulty of the photo, or what kind of photo it is.
    """
    people, count = photo.people, len(photo.people)
    stacked = {
        "global_orient": [person.params.global_orient.numpy() for person in people],
        "body_pose": [person.params.body_pose.numpy() for person in people],
        "betas": [person.params.betas.numpy() for person in people],
        "transl": [person.params.transl.numpy() for person in people],
        "boxes": [person.box for person in people],
        "joints_3d": [person.joints for person in people],
        "landmarks_3d": [person.landmarks_3d for person in people],
        "landmarks_2d": [person.landmarks_2d for person in people],
    }
    stem = Path(name).stem
    return {
        **{key: np.stack(values).astype(np.float32) for key, values in stacked.items()},
        "focal": np.full(count, photo.view.focal, np.float32),
        "principal_point": np.tile(np.array(photo.view.principal_point, np.float32), (count, 1)),
        "image_size": np.tile(np.array(photo.view.size, np.int32), (count, 1)),
        "visibility": np.stack([person.visibility for person in people]),
        "visible_share": np.array([person.visible_share for person in people], np.float32),
        "photo": np.array([name] * count),
        "person": np.array([f"{stem}-{number}" for number in range(count)]),
        "grade": np.array([grade] * count),
        "garments": np.array([" ".join(person.garments) for person in people]),
        "background": np.array([photo.background] * count),
        **{"body": np.array(body), "landmark_names": np.array(LANDMARKS), "joint_names": np.array(JOINT_NAMES)},
    }


def write_photo(folder: Path, photo: SyntheticPhoto, arrays: dict[str, np.ndarray]) -> None:
    """Write a photo, its mask, its maps if there are any, and last its truth; every file whole or not at all.

    Args:
        folder: Gets photos/, masks/, maps/ and truth/.
        photo: The photo.
        arrays: From `truth_arrays`.
    """
    name = str(arrays["photo"][0])
    stem = Path(name).stem
    with whole_file(folder / "photos" / name) as file:
        PIL.Image.fromarray(photo.pixels).save(file, "JPEG", quality=95)
    with whole_file(folder / "masks" / f"{stem}.png") as file:
        PIL.Image.fromarray(_numbered(photo)).save(file, "PNG")
    if photo.maps is not None:
        with whole_file(folder / "maps" / f"{stem}.npz") as file:
            np.savez_compressed(
                file,
                parts=photo.maps.parts,
                depth=photo.maps.depth.astype(np.float16),
                normals=np.round(127.0 * photo.maps.normals).astype(np.int8),
                full_masks=np.packbits(np.stack([_alone(person) for person in photo.people]), axis=-1),
            )
    with whole_file(folder / "truth" / f"{stem}.npz") as file:
        np.savez_compressed(file, **arrays)  # pyright: ignore[reportArgumentType]


def _alone(person: Person) -> np.ndarray:
    return person.mask if person.full_mask is None else person.full_mask


def _numbered(photo: SyntheticPhoto) -> np.ndarray:
    """0 where there is nobody, else the number of the person from 1."""
    picture = np.zeros(photo.view.size, np.uint8)
    for number, person in enumerate(photo.people, start=1):
        picture[person.mask] = number
    return picture


def join_truth(paths: list[Path], rows: tuple[str, ...] = PER_PERSON) -> dict[str, np.ndarray]:
    """Put the people of many truth files into one set of arrays, in the order given.

    Args:
        paths: At least one file.
        rows: Arrays with one row per person; the others are the same in all files.
    """
    tables: list[dict[str, np.ndarray]] = []
    for path in paths:
        with np.load(path, allow_pickle=False) as file:
            tables.append({key: file[key] for key in file.files})
    shared = {key: value for key, value in tables[0].items() if key not in rows}
    return {**{key: np.concatenate([table[key] for table in tables]) for key in rows}, **shared}
