"""Part maps: which part of the body each pixel shows, in one to 24 parts (after Omran et al. 2018).

A map holds the index in `JOINT_NAMES` of the joint that moves what the pixel shows, and `NOBODY` where it shows no one:
what `fitloop.rendering.part_map` draws of `Body.face_parts`. Fewer parts are unions of these 24.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from fitloop.body.mirror import MIRRORED_JOINTS
from fitloop.body.params import JOINT_NAMES, NUM_JOINTS

NOBODY = -1


def _of_both_sides(group: str, *joints: str) -> dict[str, tuple[str, ...]]:
    return {f"{side}_{group}": tuple(f"{side}_{joint}" for joint in joints) for side in ("left", "right")}


_HEAD = ("neck", "head")
_TRUNK = ("pelvis", "spine1", "spine2", "spine3", "left_collar", "right_collar")
_ARM, _LEG = ("shoulder", "elbow", "wrist", "hand"), ("hip", "knee", "ankle", "foot")
_LIMBS = {**_of_both_sides("arm", *_ARM), **_of_both_sides("leg", *_LEG)}
PART_GROUPS: dict[int, dict[str, tuple[str, ...]]] = {
    1: {"person": JOINT_NAMES},
    3: {
        "head_and_trunk": (*_HEAD, *_TRUNK),
        "arms": (*_LIMBS["left_arm"], *_LIMBS["right_arm"]),
        "legs": (*_LIMBS["left_leg"], *_LIMBS["right_leg"]),
    },
    6: {"head": _HEAD, "trunk": _TRUNK, **_LIMBS},
    12: {
        "head": _HEAD,
        "trunk": _TRUNK,
        **_of_both_sides("upper_arm", "shoulder"),
        **_of_both_sides("forearm_and_hand", "elbow", "wrist", "hand"),
        **_of_both_sides("thigh", "hip"),
        **_of_both_sides("shank", "knee"),
        **_of_both_sides("foot", "ankle", "foot"),
    },
    NUM_JOINTS: {name: (name,) for name in JOINT_NAMES},
}
"""Parts by their number: each part's name and the joints that move it. With three, left and right are one."""


def group_parts(labels: Int[Tensor, "*batch height width"], parts: int) -> Int[Tensor, "*batch height width"]:
    """Merge the 24 parts of a map into fewer.

    Args:
        labels: `JOINT_NAMES`' indices, `NOBODY` where there is no one.
        parts: A key of `PART_GROUPS`.

    Returns:
        Index of the group in `PART_GROUPS`, `NOBODY` where there is no one.

    Raises:
        ValueError: If there is no such grouping, or a label is unknown.
    """
    if parts not in PART_GROUPS:
        raise ValueError(f"There is no grouping into {parts} parts; known: {', '.join(map(str, PART_GROUPS))}.")
    check_labels(labels)
    return _look_up(labels, [_group_of(name, parts) for name in JOINT_NAMES])


def mirror_parts(labels: Int[Tensor, "*batch height width"]) -> Int[Tensor, "*batch height width"]:
    """The map of the mirrored photo: left and right exchange places and names."""
    return _look_up(labels.flip(-1), MIRRORED_JOINTS)


def check_labels(labels: Int[Tensor, "*batch height width"]) -> None:
    """Raise a `ValueError` that names what a part map should not hold."""
    if not labels.numel():
        return
    low, high = int(labels.min()), int(labels.max())
    if low < NOBODY or high >= NUM_JOINTS:
        raise ValueError(
            f"A part map holds labels from {NOBODY} (nobody) to {NUM_JOINTS - 1} ({JOINT_NAMES[-1]}), this one holds "
            f"{low if low < NOBODY else high}; relabel its parts by the joints that move them (JOINT_NAMES)."
        )


def check_masks(masks: Tensor, size: tuple[int, int]) -> None:
    """Refuse masks that cannot be those of people in photos of this height and width.

    Raises:
        ValueError: If the size is another, or a mask is empty; names its row.
    """
    if tuple(masks.shape[-2:]) != size:
        found = " x ".join(map(str, masks.shape[-2:]))
        raise ValueError(
            f"The masks are {found} pixels, the photos {size[0]} x {size[1]}; give masks of the photos' own size."
        )
    empty = (~masks.bool().flatten(-2).any(-1)).flatten().nonzero()[:, 0].tolist()
    if empty:
        raise ValueError(f"The mask of person {empty[0]} is empty; leave people out of whom no pixel is seen.")


def _group_of(name: str, parts: int) -> int:
    return next(number for number, joints in enumerate(PART_GROUPS[parts].values()) if name in joints)


def _look_up(labels: Tensor, table: Sequence[int]) -> Tensor:
    shifted = torch.tensor([NOBODY, *table], dtype=labels.dtype, device=labels.device)
    return shifted[labels.long() + 1]
