"""Readers of the photos that encoders are measured on."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.encoders import EncodersConfig, draw_detections, read_truth, table
from benchmarks.photographed import annotated_people, evenly, lspet_people
from fitloop.body import BodyEstimate, BodyParams, KeypointKinematics, convention_named, load_body
from fitloop.geometry import Camera, project


def test_rows_are_spread_evenly_and_all_are_taken_where_there_are_few():
    assert evenly(10, 3).tolist() == [0, 4, 9]
    assert evenly(3, 10).tolist() == [0, 1, 2]


def test_lspet_people_have_boxes_a_tenth_larger_and_unseen_joints_stay_out(tmp_path):
    joints = np.zeros((2, 14, 3), np.float32)
    joints[:, :10] = np.concatenate([np.linspace([10, 20], [60, 120], 10), np.ones((10, 1))], 1)
    np.savez(tmp_path / "joints.npz", names=np.array(["a.jpg", "b.jpg"]), joints=joints)
    people = lspet_people(tmp_path, 5)
    assert [path.name for path in people.paths] == ["a.jpg", "b.jpg"]
    torch.testing.assert_close(people.annotations.boxes[0], torch.tensor([10.0, 20.0, 60.0, 120.0]))
    torch.testing.assert_close(people.boxes[1], torch.tensor([0.0, 10.0, 70.0, 130.0]))
    assert people.annotations.confidence.sum(-1).tolist() == [10.0, 10.0]


def test_annotated_people_leave_out_crowds_and_people_without_keypoints(tmp_path):
    seen = [5.0, 6.0, 2.0] * 17
    person = {"image_id": 1, "bbox": [1, 2, 3, 4], "keypoints": seen, "num_keypoints": 17, "iscrowd": 0}
    annotations = [person, {**person, "iscrowd": 1}, {**person, "num_keypoints": 2}]
    tree = {"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": annotations}
    (tmp_path / "annotations.json").write_text(json.dumps(tree))
    people = annotated_people(tmp_path, 10)
    assert people.paths == (tmp_path / "images" / "a.jpg",)
    assert people.boxes.tolist() == [[1.0, 2.0, 4.0, 6.0]]


@pytest.fixture
def bench(tmp_path):
    body = load_body("open")
    eye = torch.eye(3)
    upright = torch.diag(torch.tensor([1.0, -1.0, -1.0]))[None]
    params = BodyParams(upright, eye.expand(1, 23, 3, 3), torch.zeros(1, 10), torch.tensor([[0.0, 0.2, 4.0]]))
    truth = BodyEstimate(params, Camera(torch.tensor([200.0]), torch.tensor([[80.0, 60.0]])), body.name)
    for folder in ("photos", "masks"):
        (tmp_path / folder).mkdir()
    Image.new("RGB", (160, 120)).save(tmp_path / "photos/000000.jpg")
    mask = np.zeros((120, 160), np.uint8)
    mask[20:100, 60:100] = 1
    Image.fromarray(mask).save(tmp_path / "masks/000000.png")
    arrays = {key: value.numpy() for key, value in vars(params).items()}
    np.savez(
        tmp_path / "truth.npz",
        **arrays,
        focal=truth.camera.focal.numpy(),
        principal_point=truth.camera.principal_point.numpy(),
        boxes=np.array([[60.0, 20.0, 100.0, 100.0]], np.float32),
        photo=np.array(["000000.jpg"]),
        person=np.array(["000000-0"]),
        body=np.array(body.name),
    )
    return tmp_path, body, truth


def test_drawn_people_come_with_their_own_mask_and_a_detector_that_errs_little(bench):
    folder, body, truth = bench
    read, shown = read_truth(folder, 10, body)
    torch.testing.assert_close(read.params.transl, truth.params.transl)
    # The square around the box is 1.2 times 80 pixels; the mask covers 40 x 80 of it.
    assert 0.3 < float(shown.masks.mean()) < 0.4
    seen = draw_detections(body, read, shown, "coco17", 0.0)
    names = tuple(str(name) for name in convention_named("coco17").landmarks)
    exact = project(KeypointKinematics(body, names)(truth.params), truth.camera)
    off = (seen.keypoints - exact).norm(dim=-1)[seen.confidence > 0]
    assert 0.0 < float(off.median()) < 8.0
    assert seen.silhouettes is not None and seen.silhouette_boxes is not None


def test_people_of_another_body_are_refused(bench):
    folder, body, _ = bench
    with np.load(folder / "truth.npz") as file:
        arrays = {**dict(file), "body": np.array("somebody else's")}
    np.savez(folder / "truth.npz", **arrays)
    with pytest.raises(ValueError, match="somebody else's"):
        read_truth(folder, 10, body)


def test_there_must_be_something_to_measure_on():
    with pytest.raises(ValueError, match="--truth"):
        EncodersConfig()
    assert table(("a", "b"), [("1", "2")]).splitlines() == ["| a | b |", "|---|---|", "| 1 | 2 |"]
