"""The benchmark of the course recipe: its rows, its table, its costs and its picture."""

import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from test_benchmark_real3d import write_truth

import benchmarks.course as course
import benchmarks.course_boxes as course_boxes
import benchmarks.course_examination as course_examination
from benchmarks.course import PRESETS, THEIRS, CourseConfig, small, to_markdown
from benchmarks.course_curve import LABELS, draw_curve
from benchmarks.curves import COLORS
from benchmarks.real3d import load_scenes
from fitloop.body import load_body
from fitloop.pipelines.console.options import load_config
from fitloop.pipelines.training.regressor_config import TrainConfig
from fitloop.regressor import HMRConfig, Weights, save_weights
from fitloop.regressor.regressor import mean_rotations

CONFIG = CourseConfig(mocap=Path("cmu_poses.npz"), assets=Path("assets"))
MEAN = {"score": 0.4, "mpjpe": 300.0, "pa_mpjpe": 140.0}


def figures(score: float, **cost: float) -> dict[str, float]:
    return {"score": score, "mpjpe": 800.0 * score, "pa_mpjpe": 400.0 * score, **cost}


def test_every_row_is_a_preset_that_differs_as_its_name_says():
    rows = {row: small(row, CONFIG) for row in THEIRS}
    assert {row for row, training in rows.items() if training.optimizer == "sgd"} == {"default"}
    assert {row for row, training in rows.items() if training.loss.adversarial} == {"gan"}
    assert {row: training.images.resampled for row, training in rows.items()}["gan"] == 0.5
    assert {row for row, training in rows.items() if training.model.encoder == "resnet18"} == {"default", "resnet18"}
    assert [rows[row].model.head.iterations for row in THEIRS] == [1, 1, 1, 5, 5]
    assert [rows[row].model.width for row in THEIRS] == [32, 32, 16, 16, 16]
    for training in rows.values():
        assert (training.model.image_size, training.steps) == (64, 300)
        _follows_the_recipe(training)


def test_the_preset_to_train_for_long_follows_the_recipe():
    training = load_config(PRESETS / "resnet18.yaml", TrainConfig)
    _follows_the_recipe(training)
    assert (training.model.encoder, training.model.head.iterations) == ("resnet18", 5)


def _follows_the_recipe(training: TrainConfig) -> None:
    images = training.images
    assert training.model.head.dropout > 0 and training.score == "pve" and training.stop_at == 20
    assert images.views.flip and images.views.rotation and images.pixels.channel_noise and images.pixels.occlusion


def test_the_table_stands_beside_theirs_with_the_warning():
    rows = {"mean pose": [figures(0.4)], "gan": [figures(0.3, wall_s=60, cpu_s=40), figures(0.32, wall_s=80, cpu_s=50)]}
    table = to_markdown(rows, CONFIG)
    assert table.startswith("The data differ")
    assert "| mean pose |  | 0.4000 | 320.0 | 160.0 |  |  |" in table
    assert "| gan | 0.023, 0.020; best 0.0197 | 0.3100 (0.0100) | 248.0 (8.0) | 124.0 (4.0) | 70 | 45 |" in table


def test_a_row_that_is_there_is_not_repeated_and_a_stopped_one_goes_on(tmp_path, monkeypatch):
    runs = []

    def stopped_once(training):
        runs.append(training.out)
        if len(runs) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(course, "train", stopped_once)
    monkeypatch.setattr(course, "load_weights", lambda path: type("Weights", (), {"model": None}))
    config = CourseConfig(mocap=Path("m"), assets=Path("a"), out=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        course.figures_of(small("gan", config), config, lambda model: figures(0.3))
    first = json.loads((runs[0] / "cost.json").read_text())
    found = [course.figures_of(small("gan", config), config, lambda model: figures(0.3)) for _ in range(2)]
    assert runs == [runs[0]] * 2 and found[0] == found[1]
    assert found[0]["score"] == 0.3 and found[0]["wall_s"] > first["wall_s"]
    course.figures_of(small("gan", config, seed=1), config, lambda model: figures(0.3))
    assert len(set(runs)) == 2, "another seed is another run"


def test_the_mean_network_says_the_mean_pose_whatever_it_sees(monkeypatch):
    mean = torch.eye(3).repeat(24, 1, 1)
    mean[3] = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    monkeypatch.setattr(course_examination, "split_mocap", lambda path: (None, None))
    monkeypatch.setattr(course_examination, "mean_pose", lambda mocap: mean)
    said = course.mean_network(small("gan", CONFIG))(torch.rand(2, 3, 64, 64))
    torch.testing.assert_close(said.rotations, mean.expand(2, 24, 3, 3))
    assert not said.betas.any()


def test_the_curve_shows_every_error_and_what_to_beat(tmp_path):
    lines = [{"step": step, "pve": 400.0 - step, "mpjpe": 300.0 - step, "pa_mpjpe": 140.0} for step in (0, 50, 100)]
    (tmp_path / "metrics.jsonl").write_text("\n".join(json.dumps(line) for line in lines) + "\n")
    draw_curve(tmp_path / "metrics.jsonl", MEAN, tmp_path / "curve.png")
    pixels = np.asarray(PIL.Image.open(tmp_path / "curve.png").convert("RGB"))
    for color in COLORS[: len(LABELS)]:
        assert (pixels == color).all(-1).sum() > 300
    (tmp_path / "metrics.jsonl").write_text(json.dumps(lines[0]) + "\n")
    with pytest.raises(ValueError, match="no evaluation after the start"):
        draw_curve(tmp_path / "metrics.jsonl", MEAN, tmp_path / "curve.png")


def test_unknown_rows_and_missing_data_are_refused():
    with pytest.raises(ValueError, match="no rows vgg; known: default, resnet18"):
        CourseConfig(mocap=Path("m"), assets=Path("a"), rows=("vgg", "gan"))
    with pytest.raises(ValueError, match="Give --mocap and --assets"):
        CourseConfig()


def test_a_network_that_says_the_mean_pose_is_worth_as_much_as_the_mean_pose(tmp_path, monkeypatch):
    write_truth(tmp_path)
    scene = load_scenes(tmp_path, "known")[0]
    looked: list[torch.Tensor] = []
    monkeypatch.setattr(course_boxes, "see", lambda images, boxes: looked.append(boxes) or scene.exact)
    monkeypatch.setattr(course_examination, "split_mocap", lambda path: (None, None))
    monkeypatch.setattr(course_examination, "mean_pose", lambda mocap: mean_rotations())
    body, network = load_body(), course.mean_network(small("gan", CONFIG))
    save_weights(tmp_path / "mean.safetensors", Weights(network, HMRConfig("resnet18", 1, image_size=64), body.name))
    mean, pixels, keypoints = course_boxes.photo_rows(tmp_path, tmp_path / "mean.safetensors", body)
    assert [mean[1], pixels[1], keypoints[1]] == ["mean", "pixels", "keypoints"]
    assert float(pixels[3]) == pytest.approx(float(mean[3]), abs=0.5), "half precision in the file"
    assert keypoints[3] != mean[3]
    assert torch.equal(looked[0], scene.openpose.boxes), "the detector looks where the boxes are"


def test_weights_are_judged_by_a_run_alone(tmp_path):
    with pytest.raises(ValueError, match="give its folder as --curve"):
        CourseConfig(mocap=Path("m"), assets=Path("a"), truth=tmp_path)
