"""Batched Levenberg-Marquardt for many small independent problems. Knows nothing of bodies.

Every row has its own damping, accepts or rejects its own steps and stops by itself; rows that have stopped are taken
out of the batch, so they cost nothing more. A row that goes wrong is flagged and never touches its neighbours.

The model of a step is ``E(x) + g d + d' H d / 2`` with the Gauss-Newton ``H``, and the damped system
``(H + damping * diag H) d = -g`` (Marquardt 1963) is solved by Cholesky. Damping follows the agreement of the model
with what the step really gained (Nielsen 1999): it falls fast while they agree and grows ever faster while steps fail.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

AnyProblem = TypeVar("AnyProblem", bound="Problem")


class Status(IntEnum):
    """How a row ended."""

    CONVERGED = 0
    """The last accepted step, or the best step there is, gains less than the tolerance."""
    MAX_STEPS = 1
    """Still gaining when the steps were used up: good, not finished."""
    STALLED = 2
    """No step lowers the energy though the model says one should: rounding, or a kink. The best point is kept."""
    NOT_ENOUGH_EVIDENCE = 3
    """Too little was observed to fit anything; the start is returned."""
    DEGENERATE = 4
    """The evidence does not determine a solution (coinciding points, no finite energy); the start is returned."""


class Quadratic(NamedTuple):
    """Second-order model of each row's energy at a point."""

    energy: Float[Tensor, "rows"]
    gradient: Float[Tensor, "rows unknowns"]
    hessian: Float[Tensor, "rows unknowns unknowns"]
    """Positive semi-definite, as Gauss-Newton gives it."""


@runtime_checkable
class Problem(Protocol):
    """Independent problems, one per row."""

    def evaluate(self, state: Tensor) -> Quadratic:
        """Model the energy of each row around its ``state``; the solver may write into what it gets."""
        ...

    def move(self, state: Tensor, step: Tensor) -> Tensor:
        """Apply a step to each row's ``state``: addition, or a retraction on a manifold; returns a new tensor."""
        ...

    def __getitem__(self: AnyProblem, rows: Tensor) -> AnyProblem:
        """Keep only some rows."""
        ...


@dataclass(frozen=True)
class SolverConfig:
    """When to stop and how boldly to go."""

    max_steps: int = 50
    """Steps tried per row, rejected ones included."""
    tolerance: float = 1e-4
    """Relative gain of energy below which a row has converged."""
    damping: float = 1e-2
    """At the start, relative to the diagonal of the Gauss-Newton matrix."""
    max_damping: float = 1e8
    """Beyond it no step can help: the row has stalled."""

    def __post_init__(self) -> None:
        if self.max_steps < 0:
            raise ValueError(f"max_steps must not be negative, got {self.max_steps}.")
        for name in ("tolerance", "damping", "max_damping"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}.")


class Minimum(NamedTuple):
    """Where each row ended."""

    state: Float[Tensor, "rows numbers"]
    energy: Float[Tensor, "rows"]
    """Never above the start's."""
    status: Int[Tensor, "rows"]
    """Codes of `Status`."""
    steps: Int[Tensor, "rows"]
    """Steps tried."""


class _Rows(NamedTuple):
    """The rows still at work; ``index`` says where each lies in the whole batch."""

    index: Tensor
    state: Tensor
    energy: Tensor
    gradient: Tensor
    hessian: Tensor
    damping: Tensor
    growth: Tensor
    status: Tensor
    """A code of `Status`, or -1 while the row is at work."""
    steps: Tensor

    def take(self, rows: Tensor) -> "_Rows":
        return _Rows(*(field.index_select(0, rows) for field in self))


AT_WORK = -1


def minimize(problem: Problem, start: Float[Tensor, "rows numbers"], config: SolverConfig = SolverConfig()) -> Minimum:
    """Minimise every row's energy.

    Args:
        problem: The rows' energies.
        start: Any representation that ``problem`` understands; not modified.
        config: When to stop.
    """
    rows = _begin(problem, start, config)
    found = Minimum(start.clone(), rows.energy.clone(), torch.full_like(rows.status, AT_WORK), rows.steps.clone())
    for _ in range(config.max_steps):
        working = rows.status == AT_WORK
        count = int(working.count_nonzero())
        if count == 0:
            break
        if count <= 0.85 * len(working):
            _store(found, rows.take((~working).nonzero()[:, 0]))
            keep = working.nonzero()[:, 0]
            rows, problem = rows.take(keep), problem[keep]
        rows = _advance(problem, rows, config)
    _store(found, rows)
    found.status[found.status == AT_WORK] = Status.MAX_STEPS
    return found


def _begin(problem: Problem, start: Tensor, config: SolverConfig) -> _Rows:
    model = problem.evaluate(start)
    count, device = len(start), start.device
    status = torch.full((count,), AT_WORK, device=device)
    status[~torch.isfinite(model.energy)] = Status.DEGENERATE
    return _Rows(
        torch.arange(count, device=device),
        start,
        *model,
        torch.full_like(model.energy, config.damping),
        torch.full_like(model.energy, 2.0),
        status,
        torch.zeros_like(status),
    )


def _store(found: Minimum, rows: _Rows) -> None:
    found.state[rows.index] = rows.state
    found.energy[rows.index] = rows.energy
    found.status[rows.index] = rows.status
    found.steps[rows.index] = rows.steps


def _advance(problem: Problem, rows: _Rows, config: SolverConfig) -> _Rows:
    """Try one step in every row."""
    step, predicted = _damped_step(rows)
    state = problem.move(rows.state, step)
    model = problem.evaluate(state)
    gain = rows.energy - model.energy
    working = rows.status == AT_WORK
    better = working & (gain > 0) & torch.isfinite(model.gradient).all(-1)
    quality = torch.where(better, gain / predicted.clamp_min(1e-30), 0.0)
    shrink = (1.0 - (2.0 * quality - 1.0).clamp(-1.0, 1.0) ** 3).clamp_min(0.1)
    damping = torch.where(better, (rows.damping * shrink).clamp_min(1e-8), rows.damping * rows.growth)
    tolerance = config.tolerance * rows.energy
    # A short step under heavy damping proves nothing, so a small prediction counts only where damping is light.
    flat = (predicted <= tolerance) & (rows.damping <= 1.0)
    converged = flat | (better & (gain <= tolerance) & (quality > 0.25))
    status = torch.where(damping > config.max_damping, int(Status.STALLED), AT_WORK)
    status = torch.where(converged, int(Status.CONVERGED), status)
    energy, gradient, hessian = model
    refused = (~better).nonzero()[:, 0]
    if len(refused):
        # What the problem returned is fresh, so only the few refused rows need copying.
        state, energy, gradient, hessian = (
            new.index_copy_(0, refused, old.index_select(0, refused))
            for new, old in (
                (state, rows.state),
                (energy, rows.energy),
                (gradient, rows.gradient),
                (hessian, rows.hessian),
            )
        )
    return _Rows(
        rows.index,
        state,
        energy,
        gradient,
        hessian,
        damping,
        torch.where(better, 2.0, 2.0 * rows.growth),
        torch.where(working, status, rows.status),
        rows.steps + working,
    )


def _damped_step(rows: _Rows) -> tuple[Tensor, Tensor]:
    """The step of each row and the gain its model predicts."""
    diagonal = rows.hessian.diagonal(dim1=-2, dim2=-1)
    # Unknowns without any curvature get a little, relative to the others, so that the system can be solved.
    scale = diagonal + 1e-7 * diagonal.amax(-1, keepdim=True) + 1e-30
    added = rows.damping[:, None] * scale
    # The factorisation copies anyway, so the diagonal is damped in place and put back: one pass over memory less.
    undamped = diagonal.clone()
    diagonal.add_(added)
    factor, _ = torch.linalg.cholesky_ex(rows.hessian)
    diagonal.copy_(undamped)
    half = torch.linalg.solve_triangular(factor, -rows.gradient[..., None], upper=False)
    step = torch.linalg.solve_triangular(factor.mT, half, upper=True)[..., 0]
    predicted = 0.5 * (step * (added * step - rows.gradient)).sum(-1)
    return step, predicted
