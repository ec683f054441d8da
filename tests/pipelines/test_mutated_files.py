"""No file that people bring ends in a traceback: every run ends in an exit code, and in a sentence if it failed."""

import functools
import json
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, example, given, seed, settings
from hypothesis import strategies as st
from mutations import array_changes, damage, json_changes, write_mutated_json, write_mutated_npz
from toy_bench import make_truth, write_results

from fitloop.body import load_body
from fitloop.body.keypoints import BODY_25, COCO_17
from fitloop.data.coco_people import read_coco_people
from fitloop.evaluation import body_files
from fitloop.pipelines import evaluate, prepare

QUICK = settings(
    max_examples=6,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
MANY = settings(QUICK, max_examples=250, derandomize=False, database=None, phases=(Phase.explicit, Phase.generate))


def coco_tree():
    """Two people of one photo and a dog, as COCO has them."""
    people = []
    for number in range(2):
        corner = 40.0 + 120.0 * number
        points = [[corner + 5 * (k % 4), 20.0 + 9 * k, 2] for k in range(17)]
        box = [corner - 5, 15.0, 30.0, 160.0]
        outline = [corner, 20.0, corner + 20, 20.0, corner + 20, 170.0, corner, 170.0]
        people.append(
            {"id": number + 1, "image_id": 7, "category_id": 1, "iscrowd": 0, "bbox": box}
            | {"keypoints": sum(points, []), "segmentation": [outline]}
        )
    dog = {"id": 9, "image_id": 7, "category_id": 18, "iscrowd": 0, "bbox": [1, 1, 9, 9], "segmentation": [[1.0] * 6]}
    return {
        "images": [{"id": 7, "file_name": "a.jpg", "width": 320, "height": 200}],
        "annotations": [*people, dog],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO_17.keypoints)}, {"id": 18, "name": "dog"}],
    }


def coco_results():
    keys = ("image_id", "category_id", "keypoints", "bbox")
    return [{key: row[key] for key in keys} | {"score": 0.9} for row in coco_tree()["annotations"][:2]]


def spin_arrays(count=3):
    """People standing in a data set of SPIN, with everything that a file may hold."""
    rng = np.random.default_rng(0)
    part = np.concatenate([rng.uniform(20, 180, (count, 24, 2)), np.ones((count, 24, 1))], -1)
    joints = np.concatenate([rng.normal(0, 0.15, (count, 24, 3)), np.ones((count, 24, 1))], -1)
    return {
        "imgname": np.array([f"{row}.jpg" for row in range(count)]),
        **{"center": np.full((count, 2), 100.0), "scale": np.full(count, 1.0), "part": part, "S": joints},
        **{"pose": rng.normal(0, 0.2, (count, 72)), "shape": rng.normal(0, 1, (count, 10))},
        **{"has_smpl": np.ones(count), "gender": np.array(["m", "f", "m"][:count])},
    }


def own_arrays(folder):
    write_results(folder, make_truth(1, body=load_body("open")), body=load_body("open"))
    path = next(folder.rglob("*.npz"))
    with np.load(path) as file:
        return path, {key: file[key] for key in file.files}


def openpose_tree():
    points = [[50.0 + k, 60.0 + 3 * k, 0.9] for k in range(len(BODY_25))]
    return {"version": 1.3, "people": [{"pose_keypoints_2d": sum(points, [])}, {"pose_keypoints_2d": []}]}


def scored(folder, protocol, truth, results):
    return evaluate.main(
        ["--protocol", protocol, "--truth", str(truth), "--results", str(results), "--json", str(folder / "s.json")]
    )


def prepared(folder, name, source, *more):
    return prepare.main([name, "--source", str(source), "--out", str(folder / "out.npz"), *more])


def coco_truth_scored(folder, harm, values, _):
    (folder / "results.json").write_text(json.dumps(coco_results()))
    write_mutated_json(folder / "truth.json", coco_tree(), values, harm)
    return scored(folder, "coco", folder / "truth.json", folder / "results.json")


def coco_truth_prepared(folder, harm, values, _):
    write_mutated_json(folder / "annotations" / "person_keypoints_train2017.json", coco_tree(), values, harm)
    return prepared(folder, "coco-2017", folder)


def coco_results_scored(folder, harm, values, _):
    (folder / "truth.json").write_text(json.dumps(coco_tree()))
    write_mutated_json(folder / "results.json", coco_results(), values, harm)
    return scored(folder, "coco", folder / "truth.json", folder / "results.json")


def spin_prepared(folder, harm, _, changes):
    write_mutated_npz(folder / "spin.npz", spin_arrays(), changes, harm)
    return prepared(folder, "spin", folder / "spin.npz")


def spin_truth_scored(folder, harm, _, changes):
    np.savez(folder / "results.npz", pred_joints=spin_arrays()["S"][:, :14, :3])
    write_mutated_npz(folder / "spin.npz", spin_arrays(), changes, harm)
    return scored(folder, "h36m-p2", folder / "spin.npz", folder / "results.npz")


def spin_results_scored(folder, harm, _, changes):
    arrays = spin_arrays()
    np.savez(folder / "truth.npz", **arrays)
    results = {"pred_joints": arrays["S"][:, :14, :3], "pose": arrays["pose"], "betas": arrays["shape"]}
    write_mutated_npz(folder / "results.npz", results | {"imgname": arrays["imgname"]}, changes, harm)
    return scored(folder, "h36m-p2", folder / "truth.npz", folder / "results.npz")


def plain_results_scored(folder, harm, _, changes):
    truth = make_truth(3, body=load_body("open"))
    np.savez(folder / "truth.npz", **truth)
    joints = np.random.default_rng(0).normal(0, 0.3, (3, 17, 3))
    results = {"joints": joints, "photo": truth["photo"], "person": truth["person"], "unit": np.array("m")}
    write_mutated_npz(folder / "results.npz", results | {"convention": np.array("coco17")}, changes, harm)
    return scored(folder, "open-bench", folder / "truth.npz", folder / "results.npz")


def own_results_scored(folder, harm, _, changes):
    np.savez(folder / "truth.npz", **make_truth(1, body=load_body("open")))
    path, arrays = own_arrays(folder / "out")
    write_mutated_npz(path, arrays, changes, harm)
    return scored(folder, "open-bench", folder / "truth.npz", folder / "out")


def bench_truth_scored(folder, harm, _, changes):
    body = load_body("open")
    write_results(folder / "out", make_truth(2, body=body), body=body)
    write_mutated_npz(folder / "truth.npz", make_truth(2, body=body), changes, harm)
    return scored(folder, "open-bench", folder / "truth.npz", folder / "out")


def openpose_prepared(folder, harm, values, _):
    np.savez(folder / "spin.npz", **spin_arrays())
    for row in range(3):
        changed = values if row == 0 else []
        write_mutated_json(
            folder / "op" / f"{row}_keypoints.json", openpose_tree(), changed, harm if row == 0 else None
        )
    return prepared(folder, "spin", folder / "spin.npz", "--openpose", str(folder / "op"))


RUNS = (
    *(coco_truth_scored, coco_truth_prepared, coco_results_scored, spin_prepared, spin_truth_scored),
    *(spin_results_scored, plain_results_scored, own_results_scored, bench_truth_scored, openpose_prepared),
)


@pytest.fixture
def one_body(monkeypatch):
    """The open body, loaded once for hundreds of runs."""
    monkeypatch.setattr(body_files, "load_body", functools.cache(load_body))


def ends_well(run, tmp_path, capsys, drawn):
    folder = tmp_path / "run"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    code = run(folder, *drawn)
    told = capsys.readouterr()
    assert code == 0 or (code in (1, 2, 3) and told.err.startswith("fitloop: ") and "Traceback" not in told.err)


@pytest.mark.parametrize("run", RUNS)
@QUICK
@given(drawn=st.tuples(damage, json_changes, array_changes))
@example(drawn=(None, [], []))
def test_a_mutated_file_ends_in_an_exit_code_and_a_sentence(run, one_body, tmp_path, capsys, drawn):
    ends_well(run, tmp_path, capsys, drawn)


@pytest.mark.slow
@pytest.mark.parametrize("run", RUNS)
@MANY
@seed(2026)
@given(drawn=st.tuples(damage, json_changes, array_changes))
def test_thousands_of_mutated_files_end_in_an_exit_code_and_a_sentence(run, one_body, tmp_path, capsys, drawn):
    ends_well(run, tmp_path, capsys, drawn)


@settings(QUICK, max_examples=60)
@given(changes=json_changes)
def test_every_annotation_is_a_person_or_counted_as_left_out(tmp_path, changes):
    path = tmp_path / "coco.json"
    write_mutated_json(path, coco_tree(), changes, None)
    tree = json.loads(path.read_text())
    try:
        file = read_coco_people(path)
    except ValueError:
        return
    left = sum(int(notice.split()[0]) for notice in file.notices if notice.split()[1] == "annotations")
    assert len(file.people) + left == len(tree["annotations"])
