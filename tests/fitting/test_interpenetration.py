from dataclasses import replace

import pytest
import torch
from fitting_scenes import estimate_of, see
from toy import random_params, stick_body

from fitloop.body.capsules import segment_distance
from fitloop.fitting import FitConfig, StageConfig, fit
from fitloop.fitting.coordinates import pack
from fitloop.fitting.interpenetration import interpenetration, make_capsule_tables, overlap


def capsules_at(*ends):
    """(1, 3, ends) of capsules given by start and end points."""
    return torch.tensor(ends, dtype=torch.float64).mT[None]


@pytest.mark.parametrize("seed", range(5))
def test_the_distance_of_two_axes_is_that_of_their_nearest_points(seed):
    generator = torch.Generator().manual_seed(seed)
    ends = torch.randn(1, 3, 4, generator=generator, dtype=torch.float64)
    found = overlap(ends, torch.full((1, 2), 5.0, dtype=torch.float64), torch.tensor([[0, 1]]))
    steps = torch.linspace(0.0, 1.0, 2001, dtype=torch.float64)[:, None]
    line = ends[0, :, 0] + steps * (ends[0, :, 1] - ends[0, :, 0])
    nearest = segment_distance(line, ends[0, :, 2:].mT)[0].min()
    torch.testing.assert_close(10.0 - found.depth[0, 0], nearest, atol=1e-4, rtol=0)


def test_parallel_capsules_overlap_by_what_their_radii_exceed_their_distance():
    ends = capsules_at([0.0, 0, 0], [0, 1, 0], [0.3, 0, 0], [0.3, 1, 0])
    radius = torch.full((1, 2), 0.2, dtype=torch.float64)
    found = overlap(ends, radius, torch.tensor([[0, 1]]))
    torch.testing.assert_close(found.depth, torch.tensor([[0.1]], dtype=torch.float64))
    apart = overlap(ends, 0.5 * radius, torch.tensor([[0, 1]]))
    assert (apart.depth == 0).all()


def test_the_term_pulls_limbs_out_of_one_another():
    body = stick_body().to(torch.float64)
    truth = random_params(6, seed=4, spread=0.9, dtype=torch.float64)
    tables = make_capsule_tables(body, (0,), True, True)
    worst = int(interpenetration(tables, pack(truth)).argmax())
    estimate = estimate_of(truth[worst : worst + 1], body)
    estimate = replace(estimate, camera=estimate.camera.to(torch.float64))
    detections = see(body, estimate)
    without, with_term = (
        fit(body, detections, estimate, FitConfig(stages=(StageConfig(pose_prior=1.0, interpenetration=weight),)))
        for weight in (0.0, 500.0)
    )
    before, after = (interpenetration(tables, pack(f.estimate.params)) for f in (without, with_term))
    assert after < 0.5 * before
