"""Standard problems with known minima; the solver must not know what they are about."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from fitloop.fitting.solver import Quadratic, SolverConfig, Status, minimize
from fitloop.geometry.rotations import rotmat_to_rotvec, rotvec_to_rotmat

TIGHT = SolverConfig(max_steps=300, tolerance=1e-12)


@dataclass(frozen=True)
class Residuals:
    """Sum of squares of a residual function of unknowns that add; Jacobians by autograd."""

    function: Callable[..., Tensor]
    data: Tensor

    def __getitem__(self, rows):
        return replace(self, data=self.data[rows])

    def move(self, state, step):
        return state + step

    def evaluate(self, state):
        def one(x, data):
            value = self.function(x, data)
            return value, value

        jacobian, residual = torch.func.vmap(torch.func.jacrev(one, has_aux=True))(state, self.data)
        gradient = 2.0 * (jacobian.mT @ residual[..., None])[..., 0]
        return Quadratic(residual.square().sum(-1), gradient, 2.0 * jacobian.mT @ jacobian)


def rosenbrock(x, data):
    return torch.stack([10.0 * (x[1] - x[0] ** 2), 1.0 - x[0]]) * data


def powell(x, data):
    return data * torch.stack(
        [x[0] + 10.0 * x[1], 5.0**0.5 * (x[2] - x[3]), (x[1] - 2.0 * x[2]) ** 2, 10.0**0.5 * (x[0] - x[3]) ** 2]
    )


def helical_valley(x, data):
    theta = torch.atan2(x[1], x[0]) / (2.0 * torch.pi)
    return data * torch.stack([10.0 * (x[2] - 10.0 * theta), 10.0 * (x[:2].norm() - 1.0), x[2]])


def exponential_curve(x, data):
    time = torch.linspace(0.0, 2.0, data.shape[-1], dtype=data.dtype)
    return x[0] * torch.exp(x[1] * time) - data


@pytest.mark.parametrize(
    ("function", "start", "minimum", "atol"),
    [
        (rosenbrock, [-1.2, 1.0], [1.0, 1.0], 1e-6),
        (powell, [3.0, -1.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0], 1e-2),
        (helical_valley, [-1.0, 0.5, 0.0], [1.0, 0.0, 0.0], 1e-6),
    ],
)
def test_it_finds_the_minimum_of_classic_problems(function, start, minimum, atol):
    starts = torch.tensor([start, [s + 0.1 for s in start]], dtype=torch.float64)
    found = minimize(Residuals(function, torch.ones(2, 1, dtype=torch.float64)), starts, TIGHT)
    torch.testing.assert_close(found.state, torch.tensor([minimum] * 2, dtype=torch.float64), atol=atol, rtol=0)
    assert (found.energy < 1e-8).all()


def test_it_fits_curves_whose_rows_need_different_numbers_of_steps():
    truth = torch.tensor([[1.0, -1.0], [3.0, 0.5], [0.2, 1.5], [5.0, -3.0]], dtype=torch.float64)
    time = torch.linspace(0.0, 2.0, 20, dtype=torch.float64)
    data = truth[:, :1] * torch.exp(truth[:, 1:] * time)
    found = minimize(Residuals(exponential_curve, data), torch.ones(4, 2, dtype=torch.float64), TIGHT)
    torch.testing.assert_close(found.state, truth, atol=1e-6, rtol=0)
    assert len(set(found.steps.tolist())) > 1


@dataclass(frozen=True)
class RotationAverage:
    """Squared rotation-vector distances to several rotations, on the manifold."""

    rotations: Tensor

    def __getitem__(self, rows):
        return RotationAverage(self.rotations[rows])

    def move(self, state, step):
        return (state.unflatten(-1, (3, 3)) @ rotvec_to_rotmat(step)).flatten(-2)

    def evaluate(self, state):
        residual = rotmat_to_rotvec(self.rotations.mT @ state.unflatten(-1, (3, 3))[:, None])
        gradient = 2.0 * residual.sum(-2)
        count = 2.0 * self.rotations.shape[1]
        hessian = count * torch.eye(3, dtype=state.dtype).expand(len(state), 3, 3)
        return Quadratic(residual.square().sum((-2, -1)), gradient, hessian)


def test_it_averages_rotations_on_their_manifold():
    generator = torch.Generator().manual_seed(0)
    axis = torch.randn(5, 1, 3, generator=generator, dtype=torch.float64)
    spread = torch.linspace(-0.6, 0.6, 7, dtype=torch.float64)[:, None]
    middle = rotvec_to_rotmat(torch.randn(5, 3, generator=generator, dtype=torch.float64))
    rotations = middle[:, None] @ rotvec_to_rotmat(axis * spread)
    start = torch.eye(3, dtype=torch.float64).expand(5, 3, 3).flatten(-2)
    found = minimize(RotationAverage(rotations), start, TIGHT)
    torch.testing.assert_close(found.state, middle.flatten(-2), atol=1e-6, rtol=0)


def test_a_batch_gives_what_the_single_rows_give():
    starts = torch.randn(6, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 2.0
    problem = Residuals(rosenbrock, torch.ones(6, 1, dtype=torch.float64))
    together = minimize(problem, starts, SolverConfig(max_steps=15))
    for row in range(6):
        alone = minimize(problem[torch.tensor([row])], starts[row : row + 1], SolverConfig(max_steps=15))
        torch.testing.assert_close(alone.state[0], together.state[row], atol=1e-9, rtol=1e-9)
        assert alone.steps[0] == together.steps[row]
        assert alone.status[0] == together.status[row]


def test_rows_that_are_not_finite_are_flagged_and_leave_the_others_alone():
    starts = torch.tensor([[-1.2, 1.0], [float("nan"), 0.0], [-1.2, 1.0]], dtype=torch.float64)
    weights = torch.tensor([[1.0], [1.0], [float("inf")]], dtype=torch.float64)
    found = minimize(Residuals(rosenbrock, weights), starts, TIGHT)
    alone = minimize(Residuals(rosenbrock, weights[:1]), starts[:1], TIGHT)
    assert found.status.tolist() == [alone.status[0], Status.DEGENERATE, Status.DEGENERATE]
    torch.testing.assert_close(found.state[:1], alone.state, atol=1e-12, rtol=0)
    torch.testing.assert_close(found.state[2], starts[2])


def test_the_energy_never_rises_and_the_start_is_not_modified():
    starts = torch.randn(20, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64) * 5.0
    before = starts.clone()
    problem = Residuals(rosenbrock, torch.ones(20, 1, dtype=torch.float64))
    energies = [minimize(problem, starts, SolverConfig(max_steps=n, tolerance=1e-12)).energy for n in range(12)]
    torch.testing.assert_close(energies[0], problem.evaluate(starts).energy)
    assert all((later <= earlier).all() for earlier, later in zip(energies, energies[1:], strict=False))
    assert torch.equal(starts, before)


@dataclass(frozen=True)
class Wrong:
    """A gradient that points uphill: no step can help."""

    def __getitem__(self, rows):
        return self

    def move(self, state, step):
        return state + step

    def evaluate(self, state):
        eye = torch.eye(2, dtype=state.dtype).expand(len(state), 2, 2)
        return Quadratic(state.square().sum(-1) + 1.0, -2.0 * state, 2.0 * eye)


def test_a_row_without_a_useful_step_stalls_where_it_is():
    start = torch.ones(2, 2, dtype=torch.float64)
    found = minimize(Wrong(), start, SolverConfig(max_steps=100))
    assert (found.status == Status.STALLED).all()
    assert torch.equal(found.state, start)


def test_running_out_of_steps_is_said():
    problem = Residuals(rosenbrock, torch.ones(1, 1, dtype=torch.float64))
    found = minimize(problem, torch.tensor([[-1.2, 1.0]], dtype=torch.float64), SolverConfig(max_steps=2))
    assert found.status.tolist() == [Status.MAX_STEPS]
    assert found.steps.tolist() == [2]


@pytest.mark.parametrize("change", [{"max_steps": -1}, {"tolerance": 0.0}, {"damping": -1.0}])
def test_settings_that_make_no_sense_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        SolverConfig(**change)
