"""What numbers about people can be: ranges with their reasons, by which another unit or layout is noticed.

Medians over a set decide whether the file means something else, and refuse it; a few people out of range are faults of
theirs, and are told. Everything takes plain arrays, so that data sets, truth and results are judged by the same rules.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

LIMB = (0.05, 1.2)
"""Metres, median over a person's limb segments and over people: a baby's forearm has 7 cm, a giant's thigh 0.7 m."""
OFFSET = 1.0
"""Metres from the pelvis to the origin of joints that are relative to the pelvis: the hips' own middle is 0.1 off."""
TURN = 2.0 * np.pi + 0.1
"""Radians, largest joint of a person: an axis-angle vector beyond a full turn says what a shorter one would."""
BETA = 15.0
"""Standard deviations, largest coefficient, median over people: fits end below 5, and beyond 10 no mesh is human."""
WILD_BETA = 50.0
"""Standard deviations: a single person beyond it has no shape at all."""
CROP = (0.3, 30.0)
"""Side of the crop over the extent of the person's keypoints, median: SPIN's is 1.2 times the box, and a close-up
with few keypoints has ten."""
EXTENT = 8.0
"""Pixels: keypoints of people that are smaller are no pixels but shares of a crop (-1 to 1, or 0 to 1)."""
FOCAL = (0.2, 50.0)
"""Focal length over the longer side of the photo: a fish-eye has 0.3, the longest telephoto lens 40."""
_SEGMENTS = tuple(
    (f"{side}_{first}", f"{side}_{second}")
    for side in ("left", "right")
    for first, second in (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"))
)


@dataclass(frozen=True)
class Doubt:
    """What cannot be in a set of people."""

    sentence: str
    """What it is, and what to do."""
    grave: bool
    """The file means something else; else only the people of ``rows`` are meant."""
    rows: Bool[np.ndarray, "people"]


def doubt_joints(
    points: Float[np.ndarray, "people joints 3"], known: Bool[np.ndarray, "people joints"], names: tuple[str, ...]
) -> Doubt | None:
    """Judge the size of people by their limb segments.

    Args:
        points: As the file has them, supposed to be metres.
        known: Where there is a joint.
        names: Of the joints.
    """
    lengths = _limb_lengths(points, known, names)
    if not np.isfinite(lengths).any():
        return None
    # All joints in one place is a placeholder of whoever made the file, not a size.
    low, high = LIMB
    middle = float(np.nanmedian(lengths))
    odd = np.isfinite(lengths) & (lengths > 0) & ((lengths < low) | (lengths > high))
    if middle > 0 and not low <= middle <= high:
        unit = next((unit for unit, scale in _UNITS.items() if 0.1 <= middle * scale <= 0.7), None)
        hint = f": they are in {unit}, divide them by {1 / _UNITS[unit]:g}" if unit else ": which unit are they in?"
        return Doubt(f"limbs are {middle:.3g} long (median; people have {low} to {high} metres){hint}", True, odd)
    if odd.any():
        return Doubt(
            f"limbs of impossible length: {lengths[odd][0]:.3g} (people have {low} to {high} metres)", False, odd
        )
    return None


_UNITS = {"millimetres": 1e-3, "centimetres": 1e-2, "kilometres": 1e3}


def _limb_lengths(points: np.ndarray, known: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """Median length of each person's limb segments; NaN where none has both ends."""
    columns = []
    for first, second in _SEGMENTS:
        if first in names and second in names:
            i, j = names.index(first), names.index(second)
            length = np.linalg.norm(points[:, i].astype(np.float64) - points[:, j], axis=-1)
            columns.append(np.where(known[:, i] & known[:, j], length, np.nan))
    lengths = np.full(len(points), np.nan)
    if columns:
        table = np.stack(columns, 1)
        some = np.isfinite(table).any(1)
        lengths[some] = np.nanmedian(table[some], 1)
    return lengths


def doubt_centre(
    points: Float[np.ndarray, "people joints 3"], known: Bool[np.ndarray, "people joints"], names: tuple[str, ...]
) -> Doubt | None:
    """Look for joints that are not relative to the pelvis, as they should be: camera or world coordinates.

    Args:
        points: Metres.
        known: Where there is a joint.
        names: Of the joints; without hips nothing is known.
    """
    columns = [names.index(name) for name in ("left_hip", "right_hip") if name in names]
    if not columns:
        return None
    # Without any limb the joints are a placeholder, and lie nowhere.
    whole = known[:, columns].all(1) & (np.nan_to_num(_limb_lengths(points, known, names)) > 0)
    distance = np.where(whole, np.linalg.norm(points[:, columns].mean(1), axis=-1), 0.0)
    if not whole.any() or float(np.median(distance[whole])) <= OFFSET:
        return None
    told = f"hips are {np.median(distance[whole]):.3g} m off the origin (median): subtract each person's pelvis"
    return Doubt(told, True, distance > OFFSET)


def doubt_pose(pose: Float[np.ndarray, "people numbers"]) -> Doubt | None:
    """Judge axis-angle vectors, supposed to be radians, by the largest joint of each person.

    Args:
        pose: Three numbers per joint.
    """
    if not len(pose):
        return None
    turns = np.linalg.norm(pose.reshape(len(pose), -1, 3).astype(np.float64), axis=-1).max(1)
    odd = turns > TURN
    if float(np.median(turns)) > TURN:
        told = f"joints turn by {np.median(turns):.3g} radians (median of the largest; a full turn is 6.28)"
        return Doubt(f"{told}: they are in degrees, convert them with np.deg2rad", True, odd)
    return Doubt("a joint turns by more than a full turn", False, odd) if odd.any() else None


def doubt_betas(betas: Float[np.ndarray, "people betas"]) -> Doubt | None:
    """Judge shape coefficients, supposed to be standard deviations.

    Args:
        betas: Of each person.
    """
    if not betas.size:
        return None
    largest = np.abs(betas.astype(np.float64)).max(1)
    if float(np.median(largest)) > BETA:
        told = f"shape coefficients reach {np.median(largest):.3g} standard deviations (median; people stay below 5)"
        return Doubt(f"{told}: they belong to another body or scale", True, largest > BETA)
    odd = largest > WILD_BETA
    told = f"shape coefficients beyond {WILD_BETA:.0f} standard deviations"
    return Doubt(told, False, odd) if odd.any() else None


def doubt_crops(
    sides: Float[np.ndarray, "people"],
    points: Float[np.ndarray, "people keypoints 2"],
    seen: Bool[np.ndarray, "people keypoints"],
) -> Doubt | None:
    """Judge crops by the keypoints within: another unit of ``scale``, or keypoints that are no pixels.

    Args:
        sides: Pixels, as SPIN's scale says.
        points: Full-image pixels.
        seen: Where a keypoint is observed.
    """
    enough = seen.sum(1) >= 3
    if not enough.any():
        wide = sides > 20_000.0
        told = "crops are more than 20,000 pixels wide: scale is in pixels, divide it by 200"
        return Doubt(told, True, wide) if len(sides) and float(np.median(wide)) > 0.5 else None
    inside = np.where(seen[..., None], points, np.nan)[enough]
    extent = (np.nanmax(inside, 1) - np.nanmin(inside, 1)).max(1).astype(np.float64)
    share = sides[enough] / np.maximum(extent, 1e-6)
    low, high = CROP
    odd = np.zeros(len(sides), bool)
    # Of a face alone the crop may well be of the whole person, so that single wide crops say nothing.
    odd[enough] = share < low
    middle = float(np.median(share))
    if low <= middle <= high:
        return Doubt("crops much smaller than the keypoints", False, odd) if odd.any() else None
    if float(np.median(extent)) < EXTENT:
        told = f"keypoints of a person span {np.median(extent):.2g} pixels (median): they are shares of a crop"
        return Doubt(f"{told}; give full-image pixels", True, odd)
    told = f"crops are {middle:.3g} times as wide as the person's keypoints (median; SPIN's are about 1.2)"
    hint = "scale is in pixels, divide it by 200" if middle > high else "multiply scale until it is side / 200 pixels"
    return Doubt(f"{told}: {hint}", True, odd)


def doubt_focal(focal: Float[np.ndarray, "people"], sides: Float[np.ndarray, "people"]) -> Doubt | None:
    """Judge focal lengths, supposed to be pixels.

    Args:
        focal: Of each person's camera.
        sides: Longer side of the photo, pixels; people with 0 are not judged.
    """
    some = sides > 0
    if not some.any():
        return None
    share = np.where(some, focal / np.where(some, sides, 1.0), 1.0).astype(np.float64)
    low, high = FOCAL
    odd = (share < low) | (share > high)
    middle = float(np.median(share[some]))
    if low <= middle <= high:
        told = f"focal lengths that no lens has (pixels over the photo's longer side: {low} to {high})"
        return Doubt(told, False, odd) if odd.any() else None
    told = f"focal lengths are {middle:.3g} times the photo's longer side (median; lenses have {low} to {high})"
    hint = ": they are in millimetres, multiply by pixels per millimetre" if middle < low else ""
    return Doubt(f"{told}{hint}", True, odd)
