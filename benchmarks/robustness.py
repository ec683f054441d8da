"""Random and degenerate problems: nothing may raise, nothing may be NaN, every status must be honest.

python -m benchmarks robustness --json OUT
"""

import logging

import torch
from torch import Tensor

from benchmarks.metrics import Metric
from fitloop.body import Body, BodyEstimate, BodyParams, Detections, convention_named
from fitloop.fitting import Fit, Status, fit
from fitloop.geometry import Camera, rotvec_to_rotmat

logger = logging.getLogger(__name__)

CHUNK = 2000
KINDS = ("plain", "missing", "collinear", "behind", "identical", "unseen", "huge", "not_finite", "box", "two")


def random_problems(body: Body, count: int, seed: int) -> tuple[Detections, BodyEstimate, list[str]]:
    """Problems that go round the kinds in turn.

    Args:
        body: The body to fit.
        count: How many.
        seed: Of everything.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    convention = "coco17"
    keypoints = 300.0 + 150.0 * normal(count, len(convention_named(convention)), 2)
    confidence = torch.rand(keypoints.shape[:2], generator=generator)
    transl = torch.tensor([0.0, 0.0, 4.0]) + normal(count, 3)
    kinds = [KINDS[row % len(KINDS)] for row in range(count)]
    boxes = torch.cat([keypoints.amin(1), keypoints.amax(1)], -1)
    for row, kind in enumerate(kinds):
        _spoil(kind, keypoints[row], confidence[row], boxes[row], transl[row], generator)
    params = BodyParams(
        rotvec_to_rotmat(2.0 * normal(count, 3)), rotvec_to_rotmat(normal(count, 23, 3)), normal(count, 10), transl
    )
    camera = Camera(torch.full((count,), 800.0), torch.full((count, 2), 300.0))
    return Detections(keypoints, confidence, boxes, convention), BodyEstimate(params, camera, body.name), kinds


def _spoil(
    kind: str, keypoints: Tensor, confidence: Tensor, boxes: Tensor, transl: Tensor, generator: torch.Generator
) -> None:
    """Turn one random problem, in place, into one of its kind."""
    kept = {"missing": 0.4, "unseen": 0.0}
    confidence *= torch.rand(len(confidence), generator=generator) < kept.get(kind, 1.0)
    transl[2] *= -1.0 if kind == "behind" else 1.0
    keypoints *= 1e6 if kind == "huge" else 1.0
    if kind == "two":
        confidence[2:] = 0.0
    if kind == "identical":
        keypoints.copy_(keypoints[:1].clone())
    if kind == "collinear":
        keypoints.copy_(300.0 + keypoints[:, :1] * torch.tensor([1.0, 0.5]))
    if kind == "not_finite":
        keypoints[::2] = torch.nan
        keypoints[1::4] = torch.inf
    if kind == "box":
        boxes.copy_(torch.tensor([100.0, 100.0, 100.0, 0.0]))


def finite(result: Fit) -> Tensor:
    """Whether every number of each row is finite."""
    params = result.estimate.params
    parts = (params.rotations.flatten(1), params.betas, params.transl, result.energy[:, None])
    return torch.stack([torch.isfinite(part).all(-1) for part in parts]).all(0)


def honest(result: Fit, kinds: list[str]) -> Tensor:
    """Whether rows that cannot be fitted say so."""
    expected = {
        "identical": {Status.DEGENERATE},
        "collinear": {Status.DEGENERATE},
        "unseen": {Status.NOT_ENOUGH_EVIDENCE},
        "two": {Status.NOT_ENOUGH_EVIDENCE},
    }
    fitted = {Status.CONVERGED, Status.MAX_STEPS, Status.STALLED, Status.NOT_ENOUGH_EVIDENCE, Status.DEGENERATE}
    codes = result.status.tolist()
    return torch.tensor([code in expected.get(kind, fitted) for code, kind in zip(codes, kinds, strict=True)])


def run(body: Body, count: int) -> list[Metric]:
    """Fit all problems, and some of them again alone and among others."""
    ok = right = 0
    ended = torch.zeros(len(Status), dtype=torch.long)
    for number, begin in enumerate(range(0, count, CHUNK)):
        detections, init, kinds = random_problems(body, min(CHUNK, count - begin), number)
        result = fit(body, detections, init)
        ok += int(finite(result).sum())
        right += int(honest(result, kinds).sum())
        ended += torch.bincount(result.status, minlength=len(Status))
        logger.info("%d of %d problems", begin + len(kinds), count)
    detections, init, _ = random_problems(body, 200, 0)
    first, second = fit(body, detections, init), fit(body, detections, init)
    same = torch.equal(first.energy, second.energy)
    plain = torch.arange(0, 200, len(KINDS))
    apart = fit(body, detections[plain], init[plain])
    moved = float(((apart.energy - first.energy[plain]).abs() / (1.0 + first.energy[plain])).max())
    metrics = [
        Metric("robustness.problems", float(count), "problems", "none"),
        Metric("robustness.not_finite", float(count - ok), "problems", "lower", 0.0),
        Metric("robustness.wrong_status", float(count - right), "problems", "lower", 0.0),
        Metric("robustness.runs_differ", float(not same), "0 or 1", "lower", 0.0),
        Metric("robustness.neighbours", moved, "relative change of energy", "lower", 1.0),
    ]
    return metrics + [
        Metric(f"robustness.{status.name.lower()}", float(ended[status]), "problems", "none") for status in Status
    ]
