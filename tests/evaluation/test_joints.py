import numpy as np
import pytest
import scipy.optimize
import scipy.spatial
import torch

from fitloop.evaluation.alignment import align_root, align_scale, align_scale_translation, align_similarity
from fitloop.evaluation.joints import (
    acceleration_error,
    mpjpe,
    n_mpjpe,
    pa_mpjpe,
    pck,
    pck_auc,
    point_errors,
    pve,
    pve_t_sc,
)

METRICS = [mpjpe, pa_mpjpe, n_mpjpe]


def make_pair(*batch, joints=14, seed=0, noise=0.1):
    generator = torch.Generator().manual_seed(seed)
    target = torch.randn(*batch, joints, 3, generator=generator, dtype=torch.float64)
    return target + noise * torch.randn(*batch, joints, 3, generator=generator, dtype=torch.float64), target


def scipy_similarity(points, target):
    """Best similarity by numerical search over rotation vector, log scale and shift."""
    from scipy.spatial.transform import Rotation

    def residual(x):
        return (np.exp(x[3]) * Rotation.from_rotvec(x[:3]).apply(points) + x[4:] - target).ravel()

    best = scipy.optimize.least_squares(residual, np.zeros(7), xtol=1e-14, ftol=1e-14, gtol=1e-14)
    return residual(best.x).reshape(-1, 3)


def test_mpjpe_of_a_known_shift_is_its_length_in_millimetres():
    points = torch.zeros(5, 3)
    target = points + torch.tensor([0.003, 0.004, 0.0])
    assert mpjpe(points, target).item() == pytest.approx(5.0)


def test_mpjpe_counts_only_joints_that_have_truth():
    points, target = torch.zeros(3, 3), torch.tensor([[0.001, 0, 0], [0.003, 0, 0], [torch.nan] * 3])
    assert mpjpe(points, target, torch.tensor([1.0, 1.0, 0.0])).item() == pytest.approx(2.0)


def test_a_person_without_any_truth_gets_nan():
    assert torch.isnan(mpjpe(torch.zeros(3, 3), torch.zeros(3, 3), torch.zeros(3)))


def test_pa_mpjpe_agrees_with_a_numerical_search_over_similarities():
    points, target = make_pair(6, noise=0.05)
    for row in range(6):
        error = np.linalg.norm(scipy_similarity(points[row].numpy(), target[row].numpy()), axis=-1).mean()
        assert pa_mpjpe(points[row], target[row]).item() == pytest.approx(1000 * error, rel=1e-6)


def test_pa_residual_agrees_with_scipys_procrustes_disparity():
    points, target = make_pair(noise=0.3)
    _, _, disparity = scipy.spatial.procrustes(target.numpy(), points.numpy())
    residual = (align_similarity(points, target) - target).square().sum() / (target - target.mean(0)).square().sum()
    assert residual.item() == pytest.approx(disparity, rel=1e-9)


def test_pa_mpjpe_does_not_mirror():
    target = make_pair(noise=0.0)[1]
    mirrored = target * torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)
    assert pa_mpjpe(mirrored, target).item() > 100.0


def test_pa_mpjpe_ignores_scale_rotation_and_place():
    points, target = make_pair(4)
    angle = torch.tensor(0.7, dtype=torch.float64)
    turn = torch.tensor([[angle.cos(), -angle.sin(), 0], [angle.sin(), angle.cos(), 0], [0, 0, 1]], dtype=torch.float64)
    torch.testing.assert_close(pa_mpjpe(2.5 * points @ turn.T + 3.0, target), pa_mpjpe(points, target))


def test_pa_mpjpe_aligns_only_on_joints_that_count():
    points, target = make_pair(noise=0.0)
    points[3] += 5.0
    weights = torch.ones(14, dtype=torch.float64)
    weights[3] = 0.0
    assert pa_mpjpe(points, target, weights).item() == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("metric", METRICS)
def test_a_joint_without_truth_may_be_no_number(metric):
    points, target = make_pair()
    weights = torch.ones(14, dtype=torch.float64)
    weights[[2, 5]] = 0.0
    expected = metric(points, target, weights)
    points[2], target[5] = torch.nan, torch.nan
    torch.testing.assert_close(metric(points, target, weights), expected)


@pytest.mark.parametrize("metric", [pa_mpjpe, n_mpjpe])
def test_errors_of_a_set_below_a_micrometre_are_those_of_a_large_one(metric):
    points, target = make_pair(noise=0.3)
    torch.testing.assert_close(metric(1e-9 * points, 1e-9 * target), 1e-9 * metric(points, target))


def test_scale_alignment_is_the_minimum_over_scales():
    points, target = make_pair(noise=0.4)
    best = scipy.optimize.minimize_scalar(lambda s: float((s * points - target).square().sum()))
    torch.testing.assert_close(align_scale(points, target), best.x * points, rtol=1e-6, atol=1e-8)  # pyright: ignore[reportAttributeAccessIssue]


def test_n_mpjpe_forgives_a_wrong_size_and_nothing_else():
    target = make_pair(noise=0.0)[1]
    assert n_mpjpe(1.3 * target, target).item() == pytest.approx(0.0, abs=1e-9)
    assert n_mpjpe(-target, target).item() > 500.0


def test_scale_translation_takes_centroid_and_spread_of_the_truth():
    points, target = make_pair(noise=0.4)
    moved = align_scale_translation(points * 3.0 + 1.0, target)
    torch.testing.assert_close(moved.mean(-2), target.mean(-2))
    torch.testing.assert_close(moved.var(-2).sum(), target.var(-2).sum())


def test_pve_t_sc_is_zero_for_a_body_of_another_size_and_pve_is_not():
    target = make_pair(noise=0.0, joints=100)[1]
    assert pve_t_sc(1.1 * target, target).item() == pytest.approx(0.0, abs=1e-9)
    assert pve(1.1 * target, target).item() > 50.0


def test_pck_is_strict_and_hand_computed():
    errors = torch.tensor([0.0, 149.9, 150.0, 151.0])
    assert pck(errors).item() == pytest.approx(0.5)
    assert pck(errors, weights=torch.tensor([1.0, 0.0, 1.0, 0.0])).item() == pytest.approx(0.5)


def test_auc_is_the_mean_of_31_pck_values():
    errors = torch.linspace(0.5, 200.0, 57)
    by_hand = np.mean([(errors.numpy() < threshold).mean() for threshold in np.linspace(0, 150, 31)])
    assert pck_auc(errors).item() == pytest.approx(by_hand, rel=1e-6)
    assert pck_auc(torch.zeros(3)).item() == pytest.approx(30 / 31)


def test_acceleration_error_agrees_with_numpys_second_difference():
    points, target = make_pair(9)
    by_hand = np.linalg.norm(np.diff(points.numpy(), 2, axis=0) - np.diff(target.numpy(), 2, axis=0), axis=-1).mean(-1)
    np.testing.assert_allclose(acceleration_error(points, target).numpy(), 1000 * by_hand, rtol=1e-9)


def test_acceleration_drops_a_joint_whose_neighbouring_frame_has_no_truth():
    points, target = make_pair(5, joints=2)
    weights = torch.ones(5, 2, dtype=torch.float64)
    weights[0, 0] = 0.0
    only_second = acceleration_error(points[:, 1:], target[:, 1:])
    assert acceleration_error(points, target, weights)[0].item() == pytest.approx(only_second[0].item())


def test_acceleration_needs_three_frames():
    with pytest.raises(ValueError, match="at least 3"):
        acceleration_error(torch.zeros(2, 4, 3), torch.zeros(2, 4, 3))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("batch", [(), (1,), (2, 3)])
def test_a_batch_gives_what_the_single_ones_give(metric, batch):
    points, target = make_pair(*batch)
    together = metric(points, target)
    assert together.shape == batch
    singles = [metric(p, t) for p, t in zip(points.reshape(-1, 14, 3), target.reshape(-1, 14, 3), strict=True)]
    torch.testing.assert_close(together.flatten(), torch.stack(singles))


def test_root_alignment_removes_each_sets_own_root():
    points, target = make_pair(3)
    first, second = align_root(points, target, points[:, 0], target[:, 0])
    assert first[:, 0].abs().max() == 0 and second[:, 0].abs().max() == 0
    torch.testing.assert_close(point_errors(first, second)[:, 0], torch.zeros(3, dtype=torch.float64))


def test_a_joint_without_weight_may_be_anything():
    points, target = make_pair(3)
    weights = torch.ones(3, 14, dtype=torch.float64)
    weights[:, 5] = 0.0
    spoiled = points.clone()
    spoiled[:, 5] = torch.nan
    for metric in (mpjpe, pa_mpjpe):
        torch.testing.assert_close(metric(spoiled, target, weights), metric(points, target, weights))
