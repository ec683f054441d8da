"""Training of the displacement network on a few made-up photos: batches, resuming, weights."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from refinement_scenes import BODY, standing
from sample_scenes import ROWS, samples

import fitloop.pipelines.train_refinement as training
from fitloop.body.keypoints import MEDIAPIPE_33
from fitloop.geometry import project
from fitloop.pipelines.console.endings import TrainingStopped
from fitloop.pipelines.lessons.displacement_batches import BatchConfig, RefinementBatches
from fitloop.pipelines.lessons.erring_bodies import SampleConfig, estimates_to_rows, load_chunks, rows_to_estimates
from fitloop.pipelines.lessons.seen_people import SeenPeople
from fitloop.pipelines.train_refinement import RefinementTrainConfig, train
from fitloop.refinement import load_network
from fitloop.refinement.network import NetworkConfig
from fitloop.regressor.keypoint_encoder import KEYPOINT_NAMES


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    for name, seed in (("training", 0), ("held-out", 1)):
        samples(seed).save(folder / name, 0)
    return folder


def config(folder: Path, **changed) -> RefinementTrainConfig:
    small = NetworkConfig(widths=(8, 8, 8), blocks=(1, 1, 1))
    usual = {"steps": 2, "batch_size": 2, "pool": 8, "evaluate_every": 2, "save_every": 1, "held_out_photos": 32}
    return RefinementTrainConfig(
        samples=SampleConfig(folder), out=folder, network=small, batches=BatchConfig(size=32), **{**usual, **changed}
    )


def test_bodies_come_back_from_their_rows_of_numbers():
    truth = standing((0.0, 0.0, 3.0), (1.0, 0.0, 4.0))
    again = rows_to_estimates(estimates_to_rows(truth), truth.body)
    torch.testing.assert_close(again.params.rotations, truth.params.rotations)
    torch.testing.assert_close(again.params.transl, truth.params.transl)
    torch.testing.assert_close(again.camera.principal_point, truth.camera.principal_point)


def test_photos_are_read_back_and_unfinished_chunks_are_not(folder, tmp_path):
    written = samples(0)
    written.save(tmp_path, 3)
    (tmp_path / "masks-00004.npy").write_bytes(b"unfinished")
    (read,) = load_chunks(tmp_path)
    np.testing.assert_array_equal(read.estimates, written.estimates)
    with pytest.raises(ValueError, match="no samples"):
        RefinementBatches(tmp_path / "nothing", BODY)


def test_the_truth_of_a_batch_leads_from_the_drawn_body_to_the_true_one(folder):
    batches = RefinementBatches(folder / "training", BODY, varied=False)
    rows = batches.rows([(0, 1), (0, 2)])
    still = batches.batch(rows, rows.truth, torch.Generator().manual_seed(0))
    assert still.truth.abs().amax() < 0.01 and 300 < still.weight[0].sum() < 6000
    moved = replace(rows.truth, params=replace(rows.truth.params, transl=rows.truth.params.transl - 0.03))
    batch = batches.batch(rows, moved, torch.Generator().manual_seed(0))
    seen = batch.weight > 0
    # 3 cm to the left and up at 3 m: back to the right and down, by the crop's scale.
    assert (batch.truth[:, 0][seen] > 0.5).float().mean() > 0.95
    assert (batch.truth[:, 1][seen] > 0.5).float().mean() > 0.95


def test_people_as_seen_stay_consistent_when_turned_and_mirrored(folder):
    people = SeenPeople(folder / "training", BODY, turned=20.0, jitter=0.0)
    drawn = people(32, torch.Generator().manual_seed(0))
    same = people(32, torch.Generator().manual_seed(0))
    torch.testing.assert_close(drawn.keypoints, same.keypoints)
    seen = drawn.confidence > 0
    assert seen.sum(-1).unique().tolist() == [len(set(MEDIAPIPE_33.landmarks))]
    exact = project(drawn.points, drawn.camera)
    torch.testing.assert_close(drawn.keypoints[seen], exact[seen], atol=0.02, rtol=0)
    hips = [KEYPOINT_NAMES.index(name) for name in ("left_hip", "right_hip")]
    relative = drawn.points - drawn.points[:, hips].mean(1, keepdim=True)
    middle = drawn.landmarks[:, hips].mean(1, keepdim=True)
    torch.testing.assert_close((drawn.landmarks - middle)[seen], relative[seen], atol=1e-4, rtol=0)
    straight = SeenPeople(folder / "training", BODY, turned=0.0, jitter=0.0)(64, torch.Generator().manual_seed(0))
    assert len(straight.points[:, 0, 0].round(decimals=3).unique()) == 2 * ROWS, "mirrored people stand elsewhere"


def test_people_whom_the_detector_took_for_others_are_left_out(folder, tmp_path):
    chunk = load_chunks(folder / "training")[0]
    wrong = chunk.keypoints.copy()
    wrong[0, :, :2] += 500.0
    wrong[1, :, 2] = 0.0
    replace(chunk, keypoints=wrong).save(tmp_path, 0)
    assert len(SeenPeople(tmp_path, BODY)) == ROWS - 2
    wrong[:, :, 2] = 0.0
    replace(chunk, keypoints=wrong).save(tmp_path, 0)
    with pytest.raises(ValueError, match="saw nobody"):
        SeenPeople(tmp_path, BODY)


def test_batches_repeat_for_the_same_generator_and_vary_otherwise(folder):
    batches = RefinementBatches(folder / "training", BODY)
    first, same, other = (batches(2, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    torch.testing.assert_close(first.inputs, same.inputs)
    assert (first.inputs - other.inputs).abs().mean() > 0.01
    assert all(torch.isfinite(value).all() for value in (first.inputs, first.truth, first.weight))


def test_training_goes_on_where_it_stopped_and_leaves_weights(folder, tmp_path, monkeypatch):
    for name in ("training", "held-out"):
        (tmp_path / name).symlink_to(folder / name)
    monkeypatch.setattr(training, "_draw_missing", lambda config, body: None)
    errors = train(config(tmp_path))
    assert errors["unrefined_pixels"] > 0
    steps = []
    taken = training.RefinementTraining.gradient

    def counted(learning, step):
        steps.append(step)
        return taken(learning, step)

    monkeypatch.setattr(training.RefinementTraining, "gradient", counted)
    train(config(tmp_path, steps=3))
    assert steps == [2]
    assert load_network(tmp_path / "displacement.safetensors").config.widths == (8, 8, 8)


def test_training_that_diverges_stops_and_keeps_the_best(folder, tmp_path, monkeypatch):
    for name in ("training", "held-out"):
        (tmp_path / name).symlink_to(folder / name)
    monkeypatch.setattr(training, "_draw_missing", lambda config, body: None)
    far = iter([1.0, 5.0, 5.0, 5.0])
    errors = lambda learning: {"held_out_loss": -1.0, "held_out_pixels": next(far)}  # noqa: E731
    monkeypatch.setattr(training.RefinementTraining, "evaluate", errors)
    with pytest.raises(TrainingStopped, match="held_out_pixels on held-out people was 1.0 at the start"):
        train(config(tmp_path, steps=20, evaluate_every=1))
    assert load_network(tmp_path / "displacement.safetensors").config.widths == (8, 8, 8)


def test_impossible_settings_are_refused(tmp_path):
    with pytest.raises(ValueError, match="at least 1"):
        config(tmp_path, reuse=0)
