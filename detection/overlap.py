"""Which poses are of the same person."""

import numpy as np
from jaxtyping import Bool, Float


def similarity(
    keypoints: Float[np.ndarray, "keypoints 2"],
    others: Float[np.ndarray, "people keypoints 2"],
    size: float,
    tolerance: float,
) -> Float[np.ndarray, "people"]:
    """Mean closeness of keypoints, in [0, 1]: object keypoint similarity with one tolerance for all (COCO, 2014).

    Args:
        keypoints: One person, pixels.
        others: Further people, pixels.
        size: Size of the person in pixels.
        tolerance: Distance over ``size`` at which a keypoint counts exp(-1/2).
    """
    distance = np.linalg.norm(others - keypoints, axis=-1)
    return np.exp(-((distance / (size * tolerance)) ** 2) / 2.0).mean(-1)


def distinct(
    keypoints: Float[np.ndarray, "people keypoints 2"],
    sizes: Float[np.ndarray, "people"],
    scores: Float[np.ndarray, "people"],
    limit: float,
    tolerance: float,
) -> Bool[np.ndarray, "people"]:
    """Keep, best score first, each pose that is less than ``limit`` similar to every better one that was kept."""
    kept: list[int] = []
    for row in np.argsort(-scores, kind="stable"):
        if not kept or similarity(keypoints[row], keypoints[kept], float(sizes[row]), tolerance).max() < limit:
            kept.append(int(row))
    mask = np.zeros(len(scores), dtype=bool)
    mask[kept] = True
    return mask
