"""How good a segmentation of body parts is: overlap and F-score."""

from jaxtyping import Int
from torch import Tensor

from fitloop.body.part_maps import PART_GROUPS, group_parts


def part_scores(
    found: Int[Tensor, "people height width"], truth: Int[Tensor, "people height width"], parts: int = 24
) -> dict[str, float]:
    """Overlap of part maps with true ones; pixels of all people are counted together, then parts are averaged.

    Args:
        found: Labels of `fitloop.body.part_maps`.
        truth: Of the same pixels.
        parts: How many parts to merge them into first.

    Returns:
        ``iou`` and ``f_score`` in percent, means over the parts that truth shows.

    Raises:
        ValueError: If there is no such grouping, a label is unknown, or no part is shown.
    """
    found, truth = group_parts(found, parts), group_parts(truth, parts)
    ious, scores = list[float](), list[float]()
    for part in range(len(PART_GROUPS[parts])):
        one, other = found == part, truth == part
        if not bool(other.any()):
            continue
        both, sizes = int((one & other).sum()), int(one.sum() + other.sum())
        ious.append(both / (sizes - both))
        scores.append(2.0 * both / sizes)
    if not ious:
        raise ValueError("The true part maps show nobody: there is no overlap to measure.")
    return {"iou": 100.0 * sum(ious) / len(ious), "f_score": 100.0 * sum(scores) / len(scores)}
