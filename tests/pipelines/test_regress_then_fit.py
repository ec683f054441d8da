"""The main job end to end on keypoint files of known bodies: no detector, everything else for real."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage
from toy import stick_body

from fitloop.body import KeypointKinematics, convention_named, load_body, upright
from fitloop.data import load_image
from fitloop.geometry import camera_of, project, rotvec_to_rotmat
from fitloop.pipelines.chain.config import StagesConfig
from fitloop.pipelines.regress_then_fit import Stages, main, predict

SIZE = (480, 640)


@pytest.fixture(scope="module")
def truth():
    """Two people with an arm and a leg moved, 4 m away."""
    params = replace(upright(2), transl=torch.tensor([[-0.7, 0.1, 4.0], [0.7, 0.1, 4.5]]))
    pose = params.body_pose.clone()
    turns = {15: (0.0, 0.0, -1.0), 16: (0.0, 0.0, 1.1), 0: (-0.5, 0.0, 0.0), 3: (0.7, 0.0, 0.0)}
    for joint, turn in turns.items():
        pose[:, joint] = rotvec_to_rotmat(torch.tensor(turn))
    return replace(params, body_pose=pose)


@pytest.fixture
def photos(tmp_path, truth) -> Path:
    """A photo and OpenPose's file of its people."""
    folder = tmp_path / "photos"
    folder.mkdir()
    PillowImage.fromarray(np.full((*SIZE, 3), 128, np.uint8)).save(folder / "two.png")
    points = _pixels(truth)
    people = [{"pose_keypoints_2d": torch.cat([p, torch.ones(len(p), 1)], 1).flatten().tolist()} for p in points]
    (tmp_path / "two_keypoints.json").write_text(json.dumps({"version": 1.3, "people": people}))
    return folder


def _pixels(params) -> torch.Tensor:
    landmarks = tuple(filter(None, convention_named("body25").landmarks))
    camera = camera_of(SIZE[1], SIZE[0]).map(lambda value: value.expand(2, *value.shape))
    return project(KeypointKinematics(load_body(), landmarks)(params), camera)


def _config(photos: Path, **changed) -> StagesConfig:
    return StagesConfig(keypoints=photos.parent / "two_keypoints.json", **changed)


@pytest.mark.parametrize("regressor", ["keypoints", "mean"])
def test_fitted_bodies_fall_on_the_keypoints_that_made_them(photos, truth, regressor):
    people = predict(load_image(photos / "two.png"), Stages(_config(photos, regressor=regressor)))
    assert len(people) == 2 and people.fitted is not None
    wanted = _pixels(truth)
    before = (_pixels(people.regressed.params) - wanted).norm(dim=-1).mean()
    after = (_pixels(people.fitted.estimate.params) - wanted).norm(dim=-1).mean()
    assert after < 5.0 and after < before


def test_the_regressor_starts_nearer_than_the_mean_pose(photos, truth):
    image, body = load_image(photos / "two.png"), load_body()
    joints = body(truth).joints
    errors = {}
    for regressor in ("keypoints", "mean"):
        people = predict(image, Stages(_config(photos, regressor=regressor, fit=False)))
        guess = body(people.regressed.params).joints
        errors[regressor] = (guess - guess[:, :1] - joints + joints[:, :1]).norm(dim=-1).mean()
    assert errors["keypoints"] < 0.8 * errors["mean"]


def test_without_fitting_the_regression_is_the_result(photos):
    people = predict(load_image(photos / "two.png"), Stages(_config(photos, fit=False)))
    arrays = people.to_arrays()
    np.testing.assert_array_equal(arrays["body_pose"], arrays["regressed_body_pose"])
    assert arrays["status"].tolist() == ["not_fitted", "not_fitted"] and np.isnan(arrays["energy"]).all()


def test_a_body_file_of_the_user_is_fitted_too(photos, tmp_path):
    body = stick_body(pose_correctives=True)
    fields = {
        **{"v_template": body.template, "shapedirs": body.shapedirs, "posedirs": body.posedirs},
        **{"J_regressor": body.joint_regressor, "weights": body.lbs_weights, "f": body.faces},
    }
    tree = np.array([[-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21], range(24)])
    np.savez(tmp_path / "mine.npz", kintree_table=tree, **{k: v.numpy() for k, v in fields.items() if v is not None})
    people = predict(load_image(photos / "two.png"), Stages(_config(photos, body=str(tmp_path / "mine.npz"))))
    assert people.estimate.body.startswith("smpl-")
    assert people.fitted is not None and torch.isfinite(people.fitted.energy).all()


def test_the_program_writes_what_it_promises(photos, tmp_path, capsys):
    out = tmp_path / "out"
    options = ["--images", str(photos), "--out", str(out), "--keypoints", str(tmp_path / "two_keypoints.json")]
    assert main(options) == 0
    assert {"config.yaml", "index.html", "meshes", "overlays", "page", "people.parquet", "results", "run.json"} == {
        path.name for path in out.iterdir()
    }
    with np.load(out / "results" / "two.png.npz", allow_pickle=False) as found:
        assert found["joints_3d"].shape == (2, 24, 3) and str(found["convention"]) == "body25"
    assert "2 people in 1 photo." in capsys.readouterr().out
    assert main(["--config", str(out / "config.yaml"), "--out", str(tmp_path / "again")]) == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [("{", "two_keypoints.json"), ('{"people": [{"pose_keypoints_2d": [1, 2]}]}', "two_keypoints.json")],
)
def test_broken_keypoint_files_are_a_sentence(photos, tmp_path, capsys, content, words):
    (tmp_path / "two_keypoints.json").write_text(content)
    options = ["--images", str(photos), "--out", str(tmp_path / "out")]
    assert main([*options, "--keypoints", str(tmp_path / "two_keypoints.json")]) in (1, 2)
    assert words in capsys.readouterr().err


def test_keypoints_outside_the_photo_are_told(photos, tmp_path, capsys):
    path = tmp_path / "two_keypoints.json"
    tree = json.loads(path.read_text())
    tree["people"][0]["pose_keypoints_2d"][0] = 5000.0
    path.write_text(json.dumps(tree))
    assert main(["--images", str(photos), "--out", str(tmp_path / "out"), "--keypoints", str(path)]) == 0
    assert "outside" in capsys.readouterr().err


def test_a_missing_body_or_regressor_is_a_sentence(photos, tmp_path, capsys):
    for option in ("--body", "--regressor"):
        arguments = ["--images", str(photos), "--keypoints", str(tmp_path / "two_keypoints.json")]
        assert main([*arguments, "--out", str(tmp_path / option), option, str(tmp_path / "missing.npz")]) == 2
        assert "missing.npz" in capsys.readouterr().err
