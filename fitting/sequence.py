"""One person over the frames of a video: the fits of neighbouring frames hold on to one another."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from fitloop.body import Body, BodyEstimate, Detections
from fitloop.fitting.config import FitConfig
from fitloop.fitting.coordinates import ORIENT, exponential, pack, unpack
from fitloop.fitting.evidence import make_evidence
from fitloop.fitting.problem import BodyProblem
from fitloop.fitting.smplify import Fit, fit, fitter_of
from fitloop.fitting.solver import Status, minimize
from fitloop.geometry import rotmat_to_rotvec


@dataclass(frozen=True)
class SequenceConfig:
    """How `fit_sequence` smooths."""

    fit: FitConfig = FitConfig()
    """How each frame is fitted before and while smoothing."""
    rotation: float = 30.0
    """Per radian that a joint turns, and per unit that the shape changes, from frame to frame."""
    place: float = 60.0
    """Per metre that the body moves from frame to frame."""
    rounds: int = 6
    """Sweeps over the even and then the odd frames."""

    def __post_init__(self) -> None:
        if min(self.rotation, self.place, self.rounds) < 0:
            raise ValueError(f"rotation, place and rounds must not be negative, got {self}.")


def fit_sequence(
    body: Body, detections: Detections, init: BodyEstimate, config: SequenceConfig = SequenceConfig()
) -> Fit:
    """Fit the frames of one person and smooth them together.

    The energy is the sum of the frames' energies plus ``rotation^2`` and ``place^2`` times the squared differences of
    neighbouring frames. While its neighbours rest, a frame sees them as one anchor half way between them, so the even
    frames are minimised side by side, then the odd ones: block coordinate descent. Frames without evidence are carried
    by their neighbours and keep their status.

    Args:
        body: The body model.
        detections: One row per frame, in order.
        init: One row per frame.
        config: Weights.

    Returns:
        One row per frame; ``energy`` is that of the frame alone, without smoothness.

    Raises:
        ValueError: If there is not exactly one batch axis, or as `fit` does.
    """
    if init.params.transl.ndim != 2:
        raise ValueError(f"A sequence has one batch axis of frames, got {tuple(init.params.transl.shape[:-1])}.")
    alone = fit(body, detections, init, config.fit)
    if len(alone.energy) < 2 or not bool(_fitted(alone).any()):
        return alone
    dtype = body.template.dtype
    with torch.no_grad():
        fitter = fitter_of(body, detections.convention, config.fit)
        evidence, _ = make_evidence(detections.detach().to(dtype), init.detach().to(dtype), fitter.usable)
        state = _fill(pack(alone.estimate.params.to(dtype)), _fitted(alone))
        last = fitter.stages[-1]
        tables = fitter.prepare(
            replace(last.stage, start_prior=config.rotation * 2**0.5, place_prior=config.place * 2**0.5)
        )
        frames = torch.arange(len(state), device=state.device)
        for _ in range(config.rounds):
            for rows in (frames[0::2], frames[1::2]):
                anchor = _between(state, rows)
                problem = BodyProblem(tables, evidence.take(rows), anchor)
                state[rows] = minimize(problem, state[rows], last.stage.solver).state
        energy = BodyProblem(last, evidence, state).evaluate(state).energy.clamp_max(torch.finfo(dtype).max)
    like = init.params.transl.dtype
    return replace(alone, estimate=replace(alone.estimate, params=unpack(state).to(like)), energy=energy.to(like))


def _fitted(result: Fit) -> Tensor:
    return result.status < int(Status.NOT_ENOUGH_EVIDENCE)


def _fill(state: Float[Tensor, "frames numbers"], fitted: Tensor) -> Float[Tensor, "frames numbers"]:
    """Frames without a fit start as the nearest frame with one."""
    frames = torch.arange(len(state), device=state.device)
    distance = (frames[:, None] - frames).abs() + len(state) * ~fitted
    return state[distance.argmin(1)]


def _between(state: Float[Tensor, "frames numbers"], rows: Int[Tensor, "rows"]) -> Float[Tensor, "rows numbers"]:
    """Half way between the neighbours of each frame; the ends have one neighbour, on both sides."""
    count = len(state)
    before, after = torch.where(rows > 0, rows - 1, 1), torch.where(rows < count - 1, rows + 1, count - 2)
    middle = 0.5 * (state[before] + state[after])
    first, second = (state[side, ORIENT].view(-1, 3, 3) for side in (before, after))
    half, _ = exponential(0.5 * rotmat_to_rotvec(first.mT @ second))
    middle[:, ORIENT] = (first @ half).flatten(1)
    return middle
