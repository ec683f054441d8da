import json

import numpy as np
import pytest
import torch
from toy import random_params
from toy_bench import make_truth, photo_names, write_results

from fitloop.body import JOINT_NAMES
from fitloop.body.keypoints import LSP_14
from fitloop.evaluation.own_results import OwnResults
from fitloop.evaluation.people import ScoredPeople
from fitloop.evaluation.protocols import METRICS, PROTOCOLS, protocol_named
from fitloop.evaluation.results import read_results
from fitloop.evaluation.truth import read_bench_truth, read_coco_truth, read_lspet_truth, read_spin_truth, read_truth
from fitloop.geometry import rotmat_to_rotvec

BENCH, P2 = PROTOCOLS["open-bench"], PROTOCOLS["h36m-p2"]
NOBODY = ScoredPeople((), count=0)


def spin_arrays(count=3):
    generator = np.random.default_rng(0)
    return {
        "imgname": np.array(photo_names(count)),
        "center": np.full((count, 2), 500.0),
        "scale": np.full(count, 2.0),
        "S": np.concatenate([generator.normal(0, 0.3, (count, 24, 3)), np.ones((count, 24, 1))], -1),
    }


def coco_tree(people=((1, 1), (1, 2))):
    points = [[50.0 + number, 60.0, 2.0] for number in range(17)]
    square = [[10.0, 10.0, 20.0, 10.0, 20.0, 40.0, 10.0, 40.0]]
    return {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 100, "height": 80}],
        "annotations": [
            {"image_id": image, "id": person, "bbox": [10, 10, 10, 30], "iscrowd": 0, "keypoints": sum(points, [])}
            | {"segmentation": square}
            for image, person in people
        ],
    }


def test_every_protocol_says_what_it_compares():
    assert set(PROTOCOLS) == {
        *("h36m-p1", "h36m-p2", "3dpw", "mpi-inf-3dhp", "lsp", "rich", "open-bench", "lspet", "coco"),
        "open-bench-video",
    }
    for protocol in PROTOCOLS.values():
        assert set(protocol.metrics) <= set(METRICS) and protocol.source and protocol.gender_rule and protocol.box_rule
    assert PROTOCOLS["3dpw"].joints[:3] == ("right_ankle", "right_knee", "right_hip")
    assert len(PROTOCOLS["h36m-p1"].joints) == 14 and len(PROTOCOLS["mpi-inf-3dhp"].joints) == 17


def test_an_unknown_protocol_names_the_known_ones():
    with pytest.raises(ValueError, match="Unknown protocol 'h36m'.*h36m-p1"):
        protocol_named("h36m")


def test_a_spin_file_gives_boxes_and_centred_joints(tmp_path):
    np.savez(tmp_path / "h36m.npz", **spin_arrays())
    truth = read_spin_truth(tmp_path / "h36m.npz")
    assert truth.boxes[0].tolist() == [300.0, 300.0, 700.0, 700.0]
    assert truth.joints.centred and truth.joints.convention == "spin24" and truth.joints.points.shape == (3, 24, 3)


def test_a_spin_file_with_parameters_and_genders_gives_bodies(tmp_path):
    params = random_params(2, seed=3)
    pose = rotmat_to_rotvec(params.rotations).reshape(2, 72).numpy()
    arrays = spin_arrays(2) | {"pose": pose, "shape": params.betas.numpy(), "gender": np.array(["m", "f"])}
    np.savez(tmp_path / "3dpw.npz", **arrays)  # pyright: ignore[reportArgumentType]
    truth = read_spin_truth(tmp_path / "3dpw.npz")
    torch.testing.assert_close(truth.params.rotations, params.rotations, atol=1e-5, rtol=0)
    assert truth.labels["gender"] == ("male", "female") and truth.body == "smpl"


def test_the_bench_truth_round_trips(tmp_path):
    arrays = make_truth(4)
    np.savez(tmp_path / "truth.npz", **arrays)
    truth = read_bench_truth(tmp_path / "truth.npz")
    np.testing.assert_array_equal(truth.params.body_pose, arrays["body_pose"])
    assert truth.labels["grade"][1] == "loose clothes" and truth.persons[0] == "0" and truth.body == "stick-1"


def test_a_truth_file_that_lacks_something_is_refused_by_name(tmp_path):
    arrays = make_truth(2)
    del arrays["grade"]
    np.savez(tmp_path / "truth.npz", **arrays)
    with pytest.raises(ValueError, match="lacks grade"):
        read_bench_truth(tmp_path / "truth.npz")
    np.savez(tmp_path / "rows.npz", **(make_truth(2) | {"transl": np.zeros((3, 3))}))  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="differ in their number of rows"):
        read_bench_truth(tmp_path / "rows.npz")


def test_an_empty_truth_is_refused(tmp_path):
    arrays = {key: value[:0] if np.ndim(value) else value for key, value in make_truth(1).items()}
    np.savez(tmp_path / "truth.npz", **arrays)
    with pytest.raises(ValueError, match="holds nobody"):
        read_truth(BENCH, tmp_path / "truth.npz")


def test_lspet_is_read_in_lsps_order_and_what_is_not_annotated_stays_out(tmp_path):
    joints = np.random.default_rng(0).uniform(0, 200, (2, 14, 3)).astype(np.float32)
    joints[..., 2] = 1.0
    joints[0, 0, 2] = 0.0
    order = LSP_14.keypoints[::-1]
    np.savez(tmp_path / "joints.npz", names=np.array(["a.jpg", "b.jpg"]), joints=joints, order=np.array(order))
    truth = read_lspet_truth(tmp_path / "joints.npz")
    assert truth.keypoints.confidence[0].tolist() == [1.0] * 13 + [0.0]
    np.testing.assert_allclose(truth.boxes[1, :2], joints[1, :, :2].min(0))
    np.testing.assert_allclose(truth.keypoints.points[1, 0], joints[1, -1, :2])


def test_coco_annotations_give_keypoints_boxes_and_outlines(tmp_path):
    (tmp_path / "coco.json").write_text(json.dumps(coco_tree()))
    truth = read_coco_truth(tmp_path / "coco.json")
    assert truth.photos == ("a.jpg", "a.jpg") and truth.boxes[0].tolist() == [10, 10, 20, 40]
    assert truth.outlines[0][0][:2] == (10.0, 10.0) and truth.values["image_size"][0].tolist() == [80, 100]


@pytest.mark.parametrize("text", ["", "[1", "[]", '{"images": []}'])
def test_broken_annotations_are_refused(tmp_path, text):
    (tmp_path / "coco.json").write_text(text)
    with pytest.raises(ValueError, match="not valid JSON|not a COCO annotation file"):
        read_coco_truth(tmp_path / "coco.json")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file .*truth.npz"):
        read_truth(BENCH, tmp_path / "truth.npz")
    with pytest.raises(FileNotFoundError, match="no results at"):
        read_results(tmp_path / "out", BENCH, NOBODY)


def test_a_truncated_file_is_refused(tmp_path):
    np.savez(tmp_path / "truth.npz", **make_truth(2))
    data = (tmp_path / "truth.npz").read_bytes()
    (tmp_path / "truth.npz").write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match="cannot be read"):
        read_bench_truth(tmp_path / "truth.npz")


def test_a_pickle_inside_a_results_file_is_not_run(tmp_path):
    np.savez(tmp_path / "evil.npz", joints=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match="cannot be read"):
        read_results(tmp_path / "evil.npz", BENCH, NOBODY)


def test_spins_results_file_is_known_by_its_arrays(tmp_path):
    np.savez(
        tmp_path / "spin.npz", pred_joints=np.zeros((3, 14, 3)) + 0.1, pose=np.zeros((3, 72)), betas=np.zeros((3, 10))
    )
    people = read_results(tmp_path / "spin.npz", P2, NOBODY).read(None)["result"]
    assert people.joints.centred and people.joints.convention == "3dhp17[:14]" and people.photos is None
    assert people.params.body_pose.shape == (3, 23, 3, 3)


def test_a_plain_file_says_its_convention_or_is_asked_to(tmp_path):
    np.savez(tmp_path / "plain.npz", joints=np.ones((2, 24, 3)))
    with pytest.raises(ValueError, match="24 points.*smpl24, spin24"):
        read_results(tmp_path / "plain.npz", BENCH, NOBODY)
    people = read_results(tmp_path / "plain.npz", BENCH, NOBODY, "smpl24").read(None)["result"]
    assert people.joints.convention == "smpl24" and people.notices == ()
    np.savez(tmp_path / "thirteen.npz", joints=np.ones((2, 13, 3)))
    guessed = read_results(tmp_path / "thirteen.npz", BENCH, NOBODY).notices
    assert guessed[0].startswith("its 13 points per person are taken to be the joints of open-bench")
    with pytest.raises(ValueError, match="unknown convention 'openpose'"):
        read_results(tmp_path / "plain.npz", BENCH, NOBODY, "openpose")
    with pytest.raises(ValueError, match="coco17 has 17 points, the file has 24"):
        read_results(tmp_path / "plain.npz", BENCH, NOBODY, "coco17")


def test_a_file_of_something_else_is_refused(tmp_path):
    np.savez(tmp_path / "other.npz", weights=np.ones(3))
    with pytest.raises(ValueError, match="no known results file: it has weights"):
        read_results(tmp_path / "other.npz", BENCH, NOBODY)
    (tmp_path / "other.txt").write_text("hello")
    with pytest.raises(ValueError, match="expected a folder"):
        read_results(tmp_path / "other.txt", BENCH, NOBODY)


def test_coco_results_find_their_photo_through_the_truth(tmp_path):
    (tmp_path / "coco.json").write_text(json.dumps(coco_tree()))
    truth = read_coco_truth(tmp_path / "coco.json")
    rows = [{"image_id": 1, "keypoints": [1.0] * 51, "score": 0.9, "category_id": 1}]
    (tmp_path / "results.json").write_text(json.dumps(rows))
    people = read_results(tmp_path / "results.json", PROTOCOLS["coco"], truth).read({"a.jpg"})["result"]
    assert people.photos == ("a.jpg",)
    (tmp_path / "results.json").write_text(json.dumps([rows[0] | {"image_id": 7}]))
    with pytest.raises(ValueError, match="no image_id belongs to a photo"):
        read_results(tmp_path / "results.json", PROTOCOLS["coco"], truth)
    (tmp_path / "results.json").write_text(json.dumps([rows[0] | {"keypoints": [1.0] * 12}]))
    with pytest.raises(ValueError, match=r"expected 51 numbers.*\[12\]"):
        read_results(tmp_path / "results.json", PROTOCOLS["coco"], truth)
    (tmp_path / "results.json").write_text("[]")
    with pytest.raises(ValueError, match="holds nobody"):
        read_results(tmp_path / "results.json", PROTOCOLS["coco"], truth)


def test_a_run_without_fitting_has_no_fitted_stage(tmp_path):
    write_results(tmp_path / "out", make_truth(2))
    assert OwnResults(tmp_path / "out").stages == ("regressed", "fitted", "landmarks")
    for path in (tmp_path / "out").rglob("*.npz"):
        with np.load(path) as file:
            arrays = {key: file[key] for key in file.files}
        np.savez(path, **(arrays | {"status": np.array(["not_fitted"])}))  # pyright: ignore[reportArgumentType]
    assert OwnResults(tmp_path / "out").stages == ("regressed", "landmarks")


def test_a_folder_without_people_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds nobody"):
        OwnResults(tmp_path)


def test_results_of_different_bodies_are_not_joined(tmp_path):
    write_results(tmp_path / "out", make_truth(2))
    path = next((tmp_path / "out").rglob("*.npz"))
    with np.load(path) as file:
        arrays = {key: file[key] for key in file.files}
    np.savez(path, **(arrays | {"body": np.array("smpl-1")}))  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="must agree in body, found smpl-1, stick-1"):
        OwnResults(tmp_path / "out").read(None)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"transl": np.zeros((3, 3), np.float32)}, "hold 1 people, but transl does not"),
        ({"landmarks": None}, "'people/0001.jpg' lack landmarks"),
        ({"betas": np.zeros((1, 11), np.float32)}, "differ in the shape of betas"),
    ],
)
def test_results_files_that_disagree_are_named(tmp_path, change, words):
    write_results(tmp_path / "out", make_truth(2))
    path = tmp_path / "out" / "results" / "people" / "0001.jpg.npz"
    with np.load(path) as file:
        arrays = {key: file[key] for key in file.files} | change
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    with pytest.raises(ValueError, match=words):
        OwnResults(tmp_path / "out").read(None)


def test_one_photos_results_file_can_be_read_alone(tmp_path):
    write_results(tmp_path / "out", make_truth(2))
    path = tmp_path / "out" / "results" / "people" / "0001.jpg.npz"
    assert OwnResults(path).read(None)["fitted"].photos == ("people/0001.jpg",)
    assert len(JOINT_NAMES) == 24


def test_a_bare_array_is_refused(tmp_path):
    np.save(tmp_path / "bare.npy", np.ones(3))
    (tmp_path / "bare.npy").rename(tmp_path / "bare.npz")
    with pytest.raises(ValueError, match="one bare array"):
        read_results(tmp_path / "bare.npz", BENCH, NOBODY)
