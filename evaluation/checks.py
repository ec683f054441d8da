"""What is wrong with results before they are scored: another unit, joint order, side or axis."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from fitloop.body.keypoints import CONVENTIONS, mirrored
from fitloop.data.human_ranges import doubt_betas, doubt_focal
from fitloop.evaluation.joints import pa_mpjpe
from fitloop.evaluation.people import ScoredPeople
from fitloop.evaluation.placing import Placed

_ENOUGH = 8
"""Fewest points per person from which an order can be judged."""
_MANY = 10
"""Fewest people from which sides and axes can be judged: one person may well be estimated the wrong way round."""
_LIMBS = (
    *(("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle")),
    *(("shoulder", "hip"),),
)


@dataclass(frozen=True)
class Suspicion:
    """Something that makes scores meaningless."""

    kind: str
    """``unit``, ``order``, ``sides``, ``axes`` or ``body``."""
    sentence: str


def spread(points: Float[Tensor, "people joints 3"], known: Bool[Tensor, "people joints"]) -> float:
    """Median over people of the root-mean-square distance of their joints to the middle, in the points' unit."""
    weight = known.to(points.dtype)[..., None]
    total = weight.sum(-2).clamp_min(1.0)
    middle = (weight * points).sum(-2) / total
    squares = (weight * (points - middle[:, None]).square()).sum((-2, -1)) / total[:, 0]
    return float(squares.sqrt().median())


def suspect_unit(
    points: Float[Tensor, "people joints 3"],
    target: Float[Tensor, "people joints 3"],
    known: Bool[Tensor, "people joints"],
) -> Suspicion | None:
    """Compare sizes: people of the estimate are about as large as those of the truth, unless the unit differs."""
    found, expected = spread(points, known), spread(target, known)
    if expected <= 0 or found <= 0:
        return None
    # People differ by a factor of three at most, units by ten: the gap between leaves no doubt.
    ratio = found / expected
    names = {(300.0, 3000.0): "millimetres", (30.0, 300.0): "centimetres"}
    for (low, high), unit in names.items():
        if low < ratio < high:
            return Suspicion("unit", f"the joints are {ratio:.0f} times as large as the truth: they are in {unit}")
    if ratio > 3.0 or ratio < 1.0 / 3.0:
        told = f"the joints are {ratio:.3g} times as large as the truth: which unit are they in?"
        return Suspicion("unit", told)
    return None


def bone_mismatch(
    points: Float[Tensor, "people joints dims"],
    target: Float[Tensor, "people joints dims"],
    known: Bool[Tensor, "people joints"],
    names: tuple[str, ...],
) -> float:
    """How far median limb lengths are from the truth's: mean absolute log2 of their ratios about the common one."""
    logs = []
    for side in ("left", "right"):
        for first, second in _LIMBS:
            pair = (f"{side}_{first}", f"{side}_{second}")
            if pair[0] in names and pair[1] in names:
                i, j = names.index(pair[0]), names.index(pair[1])
                both = known[:, i] & known[:, j]
                if both.any():
                    ours, theirs = (_median_length(p[both, i] - p[both, j]) for p in (points, target))
                    logs.append(torch.log2(ours / theirs))
    if not logs:
        return 0.0
    # The common ratio is size, or a unit; only what remains speaks of mixed-up joints.
    together = torch.stack(logs)
    return float((together - together.median()).abs().mean())


def _median_length(bones: Tensor) -> Tensor:
    return torch.linalg.vector_norm(bones, dim=-1).median().clamp_min(1e-6)


def suspect_order(
    points: Float[Tensor, "people joints dims"],
    target: Float[Tensor, "people joints dims"],
    known: Bool[Tensor, "people joints"],
    names: tuple[str, ...],
) -> Suspicion | None:
    """Look for joints in another order: limbs of impossible length, which the order of another convention would mend.

    Args:
        points: Estimate, as declared.
        target: Truth.
        known: Where both sides have a joint.
        names: Declared name of each joint.
    """
    if len(names) < _ENOUGH:
        return None
    found = bone_mismatch(points, target, known, names)
    # Limbs of real people differ by a few percent; half an octave on average is no anatomy.
    if found < 0.5:
        return None
    better: list[tuple[float, str]] = []
    for name, convention in CONVENTIONS.items():
        if len(convention) == len(names) and set(convention.keypoints) >= set(names):
            moved = [convention.index(joint) for joint in names]
            better.append((bone_mismatch(points[:, moved], target, known, names), name))
    hint = f"; in the order of {min(better)[1]} they would fit" if better and min(better)[0] < 0.3 else ""
    return Suspicion("order", f"the limbs have impossible lengths: the joints are in another order{hint}")


def suspect_sides(
    points: Float[Tensor, "people joints 3"],
    target: Float[Tensor, "people joints 3"],
    known: Bool[Tensor, "people joints"],
    names: tuple[str, ...],
) -> Suspicion | None:
    """Look for left and right swapped: swapping them back would clearly lower PA-MPJPE of nine people in ten."""
    if len(points) < _MANY or len(names) < _ENOUGH or any(mirrored(name) not in names for name in names):
        return None
    # Swapping must help both sides, so a joint counts only where its twin is known too.
    swap = [names.index(mirrored(name)) for name in names]
    weights = (known & known[:, swap]).to(points.dtype)
    given = pa_mpjpe(points, target, weights)
    swapped = pa_mpjpe(points[:, swap], target, weights)
    if float((swapped < 0.7 * given).float().mean()) > 0.9 and float(given.nanmedian()) > 30.0:
        return Suspicion("sides", "left and right are swapped: exchanging them lowers PA-MPJPE by more than 30 %")
    return None


def suspect_places(
    points: Float[Tensor, "people joints dims"],
    target: Float[Tensor, "people joints dims"],
    known: Bool[Tensor, "people joints"],
    names: tuple[str, ...],
) -> Suspicion | None:
    """Look for joints that lie where others belong: of nobody's order, or of limbs that happen to be as long.

    Each joint's distance to every true one is averaged over people, as bodies lie about their middles, in units of
    their size; the cheapest assignment then says which true joint each one really is (Kuhn 1955).

    Args:
        points: Estimate, as declared.
        target: Truth.
        known: Where both sides have a joint.
        names: Declared name of each joint.
    """
    if len(points) < _MANY or len(names) < _ENOUGH:
        return None
    weight = known.to(points.dtype)[..., None]
    total = weight.sum(1, keepdim=True).clamp_min(1.0)
    ours, theirs = (
        torch.where(known[..., None], p - (weight * p).sum(1, keepdim=True) / total, 0.0) for p in (points, target)
    )
    # Units of the person's size make a child's wrong joint weigh as much as an adult's.
    size = (theirs.square().sum((1, 2)) / total[:, 0, 0]).sqrt().clamp_min(1e-6)
    pairs = known[:, :, None] & known[:, None]
    distances = torch.cdist(ours / size[:, None, None], theirs / size[:, None, None]) * pairs
    cost = (distances.sum(0) / pairs.sum(0).clamp_min(1)).where(pairs.any(0), 10.0)
    rows, columns = map(torch.from_numpy, linear_sum_assignment(cost.numpy()))
    # Half the declared distance: joints that lie close together anyway, as hip and pelvis, change places for nothing.
    wrong = rows[(cost[rows, columns] < 0.5 * cost.diagonal()) & known.any(0)]
    if len(wrong) < max(3, len(names) // 8):
        return None
    first = int(wrong[0])
    told = f"what is called {names[first]} lies where {names[int(columns[first])]} belongs"
    return Suspicion("order", f"{len(wrong)} joints lie where others belong: the joints are in another order; {told}")


def suspect_axes(
    points: Float[Tensor, "people joints 3"],
    target: Float[Tensor, "people joints 3"],
    weights: Float[Tensor, "people joints"],
) -> Suspicion | None:
    """Look for other axes (y up, not down): a half turn about x would halve the error of nine people in ten."""
    if len(points) < _MANY:
        return None
    # y up and z backwards, as graphics has it, is a half turn about x and no reflection.
    flip = torch.tensor([1.0, -1.0, -1.0], dtype=points.dtype)
    given = ((points - target).norm(dim=-1) * weights).sum(-1)
    turned = ((points * flip - target).norm(dim=-1) * weights).sum(-1)
    if float((turned < 0.5 * given).float().mean()) > 0.9:
        return Suspicion("axes", "y points up and z backwards: camera axes with y down and z forward are expected")
    return None


def suspect(placed: Placed, goal: Placed, names: tuple[str, ...]) -> list[Suspicion]:
    """Everything suspicious about some results.

    Args:
        placed: Joints of the estimate.
        goal: Joints of the truth, row by row.
        names: Of the joints.
    """
    weights = placed.weights * goal.weights
    known = weights > 0
    if known.any():
        points, target = placed.joints, goal.joints
        found = [suspect_unit(points, target, known) or suspect_order(points, target, known, names)]
        # The coarse faults come first: with another unit or order the finer tests would say nonsense.
        if found == [None]:
            found = [suspect_sides(points, target, known, names), suspect_axes(points, target, weights)]
        if found == [None, None]:
            found = [suspect_places(points, target, known, names)]
    else:
        known = (placed.pixel_weights * goal.pixel_weights) > 0
        found = [suspect_order(placed.pixels, goal.pixels, known, names)] if len(known) >= _MANY else [None]
        if found == [None]:
            found = [suspect_places(placed.pixels, goal.pixels, known, names)]
    return [suspicion for suspicion in found if suspicion is not None]


def suspect_bodies(estimate: ScoredPeople) -> list[Suspicion]:
    """Shapes and focal lengths that nobody has: told, never refused, for a result is scored as it is.

    Args:
        estimate: People with parameters, maybe cameras.
    """
    doubts = []
    if estimate.params is not None:
        doubts.append(doubt_betas(estimate.params.betas.numpy()))
    if estimate.camera is not None:
        # The principal point is the photo's middle, or near it, and the only size that a camera knows.
        longest = 2.0 * estimate.camera.principal_point.numpy().max(-1, initial=0.0)
        doubts.append(doubt_focal(estimate.camera.focal.numpy(), longest))
    return [Suspicion("body", doubt.sentence) for doubt in doubts if doubt is not None and doubt.grave]
