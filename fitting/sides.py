"""Left and right over the frames of a clip: what a detector exchanged in some of them is put right by the others.

A network that looks at one frame may take somebody for turned around: then left and right are exchanged in 2D, and the
body that explains the same picture is the mirrored one, with near and far exchanged (Necker's reversal). It may also
exchange the legs or the arms alone. Each frame has these four readings; the chain of readings in which neighbours
agree best, and which trusts the detector as long as nothing speaks against it, is found by dynamic programming (Viterbi
1967).
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from fitloop.body import Detections, convention_named

_LIMBS = {"legs": ("knee", "ankle", "heel", "toe", "foot"), "arms": ("elbow", "wrist", "pinky", "index", "thumb")}
_MAIN = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
READINGS = ("as seen", "turned", "legs", "arms")


@dataclass(frozen=True)
class SidesConfig:
    """What it costs to contradict neighbours, and the detector."""

    pixels: float = 0.1
    """Distance of a keypoint from one frame to the next, over the box's longer side, that costs 1."""
    metres: float = 0.2
    """Distance of a 3D landmark from one frame to the next that costs 1."""
    limit: float = 4.0
    """The most that a keypoint costs: somebody may jump."""
    doubt: float = 3.0
    """Per second in which the detector is contradicted."""


def mend_sides(
    detections: Detections, frame_rate: float, config: SidesConfig = SidesConfig()
) -> tuple[Detections, Bool[np.ndarray, "frames"]]:
    """Exchange left and right where the neighbours of a frame say so.

    Args:
        detections: One person, one row per frame, in order; confidence 0 where nothing was seen.
        frame_rate: Rows per second.
        config: Costs.

    Returns:
        The same with sides put right, and which frames were changed.
    """
    seen = (detections.confidence > 0).any(-1).cpu().numpy().nonzero()[0]
    changed = np.zeros(len(detections.boxes), dtype=bool)
    flip = convention_named(detections.convention).flip
    if len(seen) < 3 or list(flip) == list(range(len(flip))):
        return detections, changed
    orders = _orders(detections.convention)
    chain = _cheapest(*_costs(detections, seen, orders, frame_rate, config))
    chosen = np.zeros(len(changed), dtype=int)
    chosen[seen] = chain
    order = torch.from_numpy(orders[chosen]).to(detections.boxes.device)
    return _reordered(detections, order, torch.from_numpy(chosen == 1)), chosen > 0


def _orders(convention: str) -> Int[np.ndarray, "readings keypoints"]:
    """Which keypoint each takes its place from, by reading."""
    found = convention_named(convention)
    flip, every = np.array(found.flip), np.arange(len(found.keypoints))
    rows = [every, flip]
    for parts in _LIMBS.values():
        of_limb = np.array([any(part in name for part in parts) for name in found.keypoints])
        rows.append(np.where(of_limb, flip, every))
    return np.stack(rows)


def _reordered(
    detections: Detections, order: Int[torch.Tensor, "frames keypoints"], turned: Bool[torch.Tensor, "frames"]
) -> Detections:
    points = detections.keypoints.gather(1, order[..., None].expand(-1, -1, 2))
    mended = replace(detections, keypoints=points, confidence=detections.confidence.gather(1, order))
    if detections.landmarks is None:
        return mended
    landmarks = detections.landmarks.gather(1, order[..., None].expand(-1, -1, 3))
    signs = torch.ones_like(landmarks)
    signs[turned.to(signs.device), :, 2] = -1.0
    given = detections.landmark_confidence
    return replace(
        mended,
        landmarks=landmarks * signs,
        landmark_confidence=None if given is None else given.gather(1, order),
    )


def _costs(
    detections: Detections,
    seen: Int[np.ndarray, "seen"],
    orders: Int[np.ndarray, "readings keypoints"],
    frame_rate: float,
    config: SidesConfig,
) -> tuple[Float[np.ndarray, "seen readings"], Float[np.ndarray, "steps readings readings"]]:
    """What each reading of a frame costs, and each pair of readings of neighbours."""
    names = convention_named(detections.convention).keypoints
    main = [row for row, name in enumerate(names) if any(name.endswith(f"_{part}") for part in _MAIN)]
    own = orders[:, main]
    points = detections.keypoints.double().cpu().numpy()[seen][:, own]
    weight = detections.confidence.double().cpu().numpy()[seen][:, own]
    boxes = detections.boxes.double().cpu().numpy()[seen]
    sides = np.maximum((boxes[:, 2:] - boxes[:, :2]).max(-1), 1.0)
    # Where somebody is walks on by itself; what changes sides is the arrangement around the middle.
    middle = (points[:, :1] * weight[:, :1, :, None]).sum(2, keepdims=True)
    points = points - middle / np.maximum(weight[:, :1].sum(2), 1e-6)[..., None, None]
    both = np.sqrt(weight[:-1, :, None] * weight[1:, None])
    off = np.linalg.norm(points[1:, None] - points[:-1, :, None], axis=-1) / sides[1:, None, None, None]
    pair = _mean(np.minimum(off / config.pixels, config.limit), both)
    if detections.landmarks is not None:
        landmarks = detections.landmarks.double().cpu().numpy()[seen][:, own]
        landmarks[:, 1, :, 2] *= -1.0
        apart = np.linalg.norm(landmarks[1:, None] - landmarks[:-1, :, None], axis=-1)
        pair = pair + _mean(np.minimum(apart / config.metres, config.limit), both)
    # After a gap neighbours may differ: they say less.
    pair = pair / np.maximum(np.diff(seen), 1)[:, None, None]
    sure = weight[:, 0].mean(-1)
    alone = np.outer(sure, np.array([0.0, 1.0, 0.7, 0.7])) * (config.doubt / frame_rate)
    return alone, pair


def _mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return (values * weights).sum(-1) / np.maximum(weights.sum(-1), 1e-6)


def _cheapest(
    alone: Float[np.ndarray, "frames readings"], pair: Float[np.ndarray, "steps readings readings"]
) -> Int[np.ndarray, "frames"]:
    """The readings whose costs are least in sum."""
    total, came = alone[0], []
    for step in range(len(pair)):
        ways = total[:, None] + pair[step]
        came.append(ways.argmin(0))
        total = ways.min(0) + alone[step + 1]
    chain = [int(total.argmin())]
    for before in reversed(came):
        chain.append(int(before[chain[-1]]))
    return np.array(chain[::-1])
