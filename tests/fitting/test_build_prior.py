import numpy as np

from fitloop.body.assets import verify_assets
from fitloop.body.params import JOINT_NAMES
from fitloop.fitting import PosePrior, load_pose_prior
from fitloop.fitting.build_prior import added_variance, fit_mixture, write_prior


def test_a_mixture_of_poses_is_fitted_widened_and_written_whole(tmp_path):
    generator = np.random.default_rng(0)
    poses = np.concatenate([generator.normal(m, 0.1, size=(200, 69)) for m in (-1.0, 1.0)])
    poses[:, 63:] = 0.0
    source = tmp_path / "poses.npz"
    source.write_bytes(b"poses")
    write_prior(fit_mixture(poses, 2, 0), tmp_path / "out", source)
    assert verify_assets(tmp_path / "out") == []
    prior = load_pose_prior(tmp_path / "out" / "pose_prior.npz")
    assert isinstance(prior, PosePrior)
    np.testing.assert_allclose(np.sort(prior.means[:, 0].numpy()), [-1.0, 1.0], atol=0.03)
    hands = np.linalg.inv(prior.precisions.numpy())[:, -1, -1]
    np.testing.assert_allclose(hands, added_variance()[-1] + 1e-3, rtol=1e-6)


def test_noisy_joints_are_widened_more_than_others():
    added = dict(zip(JOINT_NAMES[1:], added_variance().reshape(23, 3)[:, 0], strict=True))
    assert added["left_wrist"] > added["left_foot"] > added["left_knee"]
