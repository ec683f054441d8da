"""The command that fits pose priors."""

import numpy as np
import pytest

from fitloop.body.assets import verify_assets
from fitloop.fitting import load_pose_prior
from fitloop.fitting.vae_prior import VaePrior
from fitloop.pipelines.train_prior import main


@pytest.fixture
def mocap(tmp_path):
    generator, clips = np.random.default_rng(0), 12
    path = tmp_path / "cmu_poses.npz"
    np.savez(
        path,
        pose=(0.2 * generator.standard_normal((240, 22, 3))).astype(np.float16),
        clip_start=np.arange(clips) * 20,
        clip_len=np.full(clips, 20),
        clip_source=np.array(["toy"] * clips),
        clip_quality=np.array(["asf"] * clips),
        distinct=np.ones(240, bool),
        clip_id=np.array([f"clip {n}" for n in range(clips)]),
        clip_subject=np.array([f"Subject #{n}" for n in range(clips)]),
    )
    return path


def test_both_kinds_are_written_side_by_side_and_load(tmp_path, mocap, capsys):
    out = tmp_path / "priors"
    given = ["--mocap", str(mocap), "--out", str(out)]
    small = ["--vae.width", "16", "--vae.steps", "3", "--vae.batch-size", "32", "--samples", "200"]
    assert main([*given, "--kind", "vae", *small]) == 0
    assert main([*given, "--kind", "gmm", "--components", "2", "--samples", "300"]) == 0
    assert "pose_prior.npz" in capsys.readouterr().out
    assert verify_assets(out) == []
    prior = load_pose_prior(out / "pose_prior_vae.safetensors")
    assert isinstance(prior, VaePrior)
    assert prior.encoder.first.shape == (16, 63)
    assert "two hidden layers of 16" in (out / "pose_prior_vae.md").read_text()
    assert len(load_pose_prior(out / "pose_prior.npz").mean) == 69


def test_what_cannot_be_trained_is_told_in_a_sentence(tmp_path, mocap, capsys):
    assert main(["--mocap", str(tmp_path / "absent.npz"), "--out", str(tmp_path)]) == 2
    assert "absent.npz does not exist" in capsys.readouterr().err
    few = ["--mocap", str(mocap), "--out", str(tmp_path), "--kind", "vae", "--samples", "10"]
    assert main(few) == 2
    assert "at least 256 poses" in capsys.readouterr().err
