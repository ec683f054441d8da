"""One person over the frames of a clip: one shape, and accelerations that cost something, over windows without seams.

The energy is the sum of the frames' own energies (`fitloop.fitting.smplify`) plus ``turn^2`` and ``place^2`` times the
squared second differences of joint angles and place. Unlike a filter over time it cannot lag, and unlike a cost on
speeds (`fitloop.fitting.sequence`) it leaves an even motion alone. It is minimised by Levenberg-Marquardt over all
frames of a window at once: the matrix has a block per frame and two diagonals beside it, so a banded Cholesky
factorisation solves it exactly.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import pi

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.linalg import solveh_banded
from torch import Tensor

from fitloop.body import Body, BodyEstimate, Detections
from fitloop.fitting.config import AFTER_REGRESSION, FitConfig
from fitloop.fitting.coordinates import ORIENT, TRANSL, TURNS, exponential, logarithm, pack, unpack
from fitloop.fitting.evidence import make_evidence, spreads_of
from fitloop.fitting.grip import make_grip
from fitloop.fitting.problem import BodyProblem
from fitloop.fitting.shape import shared_betas
from fitloop.fitting.smplify import Fit, fit, fitter_of
from fitloop.fitting.solver import Quadratic, Status
from fitloop.geometry import rotmat_to_rotvec

REFERENCE_RATE = 30.0
"""Frames per second for which the weights are told; at others they keep the same accelerations as dear."""


@dataclass(frozen=True)
class MotionConfig:
    """How `fit_motion` fits and smooths."""

    fit: FitConfig = AFTER_REGRESSION
    """How each frame is fitted before and while smoothing."""
    turn: float = 120.0
    """Per radian of the second difference of a joint's angle, at 30 frames a second."""
    place: float = 700.0
    """Per metre of the second difference of the place across the view, at 30 frames a second."""
    depth: float = 700.0
    """The same along the view, where a single camera sees least."""
    hold: float = 1.0
    """Per radian, and ten times per metre, that a frame without evidence departs from the middle of its neighbours."""
    window: int = 240
    """Frames solved together."""
    overlap: int = 60
    """Frames of a window that are solved again in the next one, knowing what follows them."""
    max_steps: int = 12
    """Steps of each window, rejected ones included."""
    tolerance: float = 3e-4
    """Relative gain of energy below which a window has converged."""

    def __post_init__(self) -> None:
        if min(self.turn, self.place, self.depth, self.hold) < 0:
            raise ValueError(f"turn, place, depth and hold must not be negative, got {self}.")
        if not 2 <= self.overlap < self.window - 2:
            raise ValueError(
                f"overlap must be at least 2 and at least 3 below window, got {self.overlap} and {self.window}."
            )


def fit_motion(
    body: Body,
    detections: Detections,
    init: BodyEstimate,
    frame_rate: float = REFERENCE_RATE,
    config: MotionConfig = MotionConfig(),
) -> Fit:
    """Fit the frames of one person with one shape and smooth them together.

    Frames without enough evidence are bridged by their neighbours and keep their status.

    Args:
        body: The body model.
        detections: One row per frame, in order and evenly spaced; full-image pixels.
        init: One row per frame, usually the regressor's output; camera frame.
        frame_rate: Rows per second.
        config: Weights and windows.

    Returns:
        One row per frame, ``betas`` the same in all; ``energy`` is that of the frame alone, without smoothness.

    Raises:
        ValueError: If there is not exactly one batch axis, the rate is not positive, or as `fit` does.
    """
    if init.params.transl.ndim != 2:
        raise ValueError(f"A motion has one batch axis of frames, got {tuple(init.params.transl.shape[:-1])}.")
    if not frame_rate > 0:
        raise ValueError(f"frame_rate must be positive frames per second, got {frame_rate}.")
    alone = fit(body, detections, init, config.fit)
    seen = alone.status < int(Status.NOT_ENOUGH_EVIDENCE)
    if not bool(seen.any()):
        return alone
    dtype = body.template.dtype
    with torch.no_grad():
        betas = shared_betas(alone, detections.confidence.detach())
        init, found = _of_shape(init, betas), _of_shape(alone.estimate, betas)
        solver = _Solver(body, detections.detach().to(dtype), init.detach().to(dtype), frame_rate, config)
        state = bridged(pack(found.params.detach().to(dtype)), seen)
        for window in windows(len(state), config.window, config.overlap):
            state = solver.solve(state, seen, *window)
        energy = solver.energy(state)
    like = init.params.transl.dtype
    return replace(alone, estimate=replace(alone.estimate, params=unpack(state).to(like)), energy=energy.to(like))


def _of_shape(estimate: BodyEstimate, betas: Float[Tensor, "betas"]) -> BodyEstimate:
    given = estimate.params
    return replace(estimate, params=replace(given, betas=betas.to(given.betas).expand_as(given.betas)))


def windows(frames: int, window: int, overlap: int) -> Iterator[tuple[int, int]]:
    """First frame and end of each window; all but the first begin where the last one's overlap does."""
    start = 0
    while True:
        end = min(start + window, frames)
        yield start, end
        if end == frames:
            return
        start = end - overlap


def bridged(state: Float[Tensor, "frames numbers"], seen: Bool[Tensor, "frames"]) -> Float[Tensor, "frames numbers"]:
    """Packed bodies in which frames that were not seen lie evenly between the nearest ones that were.

    Args:
        state: Of all frames, see `fitloop.fitting.coordinates.pack`.
        seen: At least one.
    """
    known = seen.nonzero()[:, 0]
    frames = torch.arange(len(state), device=state.device)
    at = torch.searchsorted(known, frames)
    after, before = known[at.clamp_max(len(known) - 1)], known[(at - 1).clamp_min(0)]
    before, after = torch.where(frames < known[0], after, before), torch.where(frames > known[-1], before, after)
    span = (after - before).clamp_min(1)
    share = ((frames - before) / span).to(state.dtype)[:, None]
    filled = state[before] + share * (state[after] - state[before])
    first = state[before][:, ORIENT].view(-1, 3, 3)
    turned, _ = exponential(share * rotmat_to_rotvec(first.mT @ state[after][:, ORIENT].view(-1, 3, 3)))
    filled[:, ORIENT] = (first @ turned).flatten(1)
    return torch.where(seen[:, None], state, filled)


class _Solver:
    """Levenberg-Marquardt over the frames of a window."""

    def __init__(
        self, body: Body, detections: Detections, init: BodyEstimate, frame_rate: float, config: MotionConfig
    ) -> None:
        fitter = fitter_of(body, detections.convention, config.fit)
        self.config = config
        self.evidence, _ = make_evidence(detections, init, fitter.usable)
        spreads = spreads_of(init)
        stage = (config.fit.stages if spreads is None else config.fit.told_stages or config.fit.stages)[-1]
        self.tables = fitter.prepare(replace(stage, free=("global_orient", "body_pose", "transl")))
        self.grip = make_grip(stage, self.tables.hold, self.tables.unknowns, spreads)
        self.anchor = pack(init.params)
        joints = torch.tensor(self.tables.landmarks.free, device=self.anchor.device)
        columns = (3 * joints[:, None] + torch.arange(3, device=joints.device)).flatten()
        place = torch.arange(TRANSL.start, TRANSL.stop, device=joints.device)
        self.columns = torch.cat([columns, place])
        """Where the unknowns lie in a packed body; the root's are its turn from frame to frame."""
        pace = (frame_rate / REFERENCE_RATE) ** 2
        turns = torch.full((len(columns),), config.turn)
        across = torch.tensor([config.place, config.place, config.depth])
        self.weights = (pace * torch.cat([turns, across])).square().to(self.anchor)
        lean = torch.cat([torch.ones(len(columns)), torch.full((3,), 10.0)])
        self.hold = (config.hold * lean).square().to(self.anchor)

    def _problem(self, rows: Tensor) -> BodyProblem:
        grip = None if self.grip is None else self.grip.take(rows)
        return BodyProblem(self.tables, self.evidence.take(rows), self.anchor[rows], grip)

    def energy(self, state: Tensor) -> Tensor:
        """Of each frame alone."""
        found = []
        # A window's worth at a time: the matrices of a long clip would fill the memory.
        for rows in torch.arange(len(state), device=state.device).split(self.config.window):
            found.append(self._problem(rows).evaluate(state[rows]).energy)
        return torch.cat(found).clamp_max(torch.finfo(state.dtype).max)

    def solve(self, state: Tensor, seen: Tensor, start: int, end: int) -> Tensor:
        """Solve the frames of a window; the two before it stay as they are, and the window goes on from them."""
        past = min(start, 2)
        rows = torch.arange(start - past, end, device=state.device)
        there, frames = seen[rows[past:]], state[rows]
        problem = self._problem(rows[past:])
        middle, damping = frames[past:], 1e-3
        energy, gradient, hessian = self._model(problem, frames, there, middle)
        for _ in range(self.config.max_steps):
            step = self._step(gradient, hessian, damping, past)
            moved = torch.cat([frames[:past], problem.move(frames[past:], step)])
            model = self._model(problem, moved, there, middle)
            gain = float(energy - model.energy)
            if not gain > 0:
                damping *= 8.0
                if damping > 1e4:
                    break
                continue
            frames, damping = moved, max(damping / 5.0, 1e-7)
            done = gain < self.config.tolerance * float(energy)
            energy, gradient, hessian = model
            if done:
                break
        return torch.cat([state[:start], frames[past:], state[end:]])

    def _model(self, problem: BodyProblem, frames: Tensor, seen: Tensor, middle: Tensor) -> Quadratic:
        """Energy, gradient and the frames' own blocks; the first rows of ``frames`` may be fixed."""
        past, weights = len(frames) - len(seen), self.weights
        own = problem.evaluate(frames[past:])
        shown = seen.to(frames.dtype)
        gradient, hessian = own.gradient * shown[:, None], own.hessian * shown[:, None, None]
        energy = torch.where(seen, own.energy, 0.0).sum()
        # Without evidence there is nothing for the priors to hold against: such frames follow their neighbours.
        leans = self.hold * (1.0 - shown[:, None])
        off = self._differences(middle, frames[past:])
        energy = energy + (leans * off.square()).sum()
        gradient = gradient + 2.0 * leans * off
        hessian.diagonal(dim1=1, dim2=2).add_(2.0 * leans)
        bends = self._differences(frames[:-1], frames[1:]).diff(dim=0)
        energy = energy + (weights * bends.square()).sum()
        pulls = 2.0 * weights * bends
        whole = torch.zeros(len(frames), pulls.shape[1], dtype=pulls.dtype, device=pulls.device)
        for at, factor in enumerate((1.0, -2.0, 1.0)):
            whole[at : at + len(pulls)] += factor * pulls
        return Quadratic(energy, gradient + whole[past:], hessian)

    def _differences(self, before: Tensor, after: Tensor) -> Tensor:
        """From row to row, in the coordinates of a step: radians and metres."""
        offset = after - before
        turns = offset[:, :TURNS].unflatten(1, (TURNS // 3, 3))
        # An angle beyond pi is told the other way round: the shorter of the two ways is the one that was gone.
        vectors = after[:, :TURNS].unflatten(1, (TURNS // 3, 3))
        other = turns - 2.0 * pi * torch.nn.functional.normalize(vectors, dim=-1)
        turns = torch.where(other.norm(dim=-1, keepdim=True) < turns.norm(dim=-1, keepdim=True), other, turns).clone()
        first, second = (rows[:, ORIENT].view(-1, 3, 3) for rows in (before, after))
        turns[:, 0] = logarithm(first.mT @ second)
        return torch.cat([turns.flatten(1), offset[:, TURNS:]], dim=1)[:, self.columns]

    def _step(self, gradient: Tensor, hessian: Tensor, damping: float, past: int) -> Tensor:
        frames, size = gradient.shape
        diagonal = hessian.diagonal(dim1=1, dim2=2)
        scale = diagonal + 1e-6 * diagonal.amax() + 1e-9
        blocks = (hessian + torch.diag_embed(damping * scale)).double().cpu().numpy()
        # Frame by frame, what the second differences add lies on three diagonals, one per frame apart.
        stencil, weights = _second_differences(frames, past), 2.0 * self.weights.double().cpu().numpy()
        reach = min(frames - 1, 2)
        band = np.zeros((max(reach, 1) * size + 1, frames * size))
        columns = np.arange(frames)[:, None] * size + np.arange(size)
        for below in range(size):
            band[below, columns[:, : size - below]] = np.diagonal(blocks, -below, axis1=1, axis2=2)
        for apart in range(reach + 1):
            band[apart * size, columns[: frames - apart]] += np.diagonal(stencil, -apart)[:, None] * weights
        right = -gradient.double().cpu().numpy().ravel()
        step = solveh_banded(band, right, overwrite_ab=True, lower=True, check_finite=False)
        return torch.from_numpy(step.reshape(frames, size)).to(gradient)


def _second_differences(frames: int, past: int) -> Float[np.ndarray, "frames frames"]:
    """The matrix of the sum of squared second differences, for the free frames behind ``past`` fixed ones."""
    differences = np.diff(np.eye(frames + past), n=2, axis=0)
    return (differences.T @ differences)[past:, past:]
