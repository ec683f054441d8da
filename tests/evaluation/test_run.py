import numpy as np
import pytest
import torch
from toy import stick_body
from toy_bench import bodies, disturbed, make_truth, params_of, photo_names, write_results

from fitloop.body import JOINT_NAMES, KeypointKinematics
from fitloop.body.keypoints import LSP_14, mirrored
from fitloop.evaluation import run as run_module
from fitloop.evaluation.protocols import PROTOCOLS
from fitloop.evaluation.results import read_results
from fitloop.evaluation.run import ScoreOptions, blocks, score
from fitloop.evaluation.truth import read_truth

BENCH = PROTOCOLS["open-bench"]


@pytest.fixture
def bench(tmp_path):
    def make(count=12, **changes):
        truth = make_truth(count) | changes
        np.savez(tmp_path / "truth.npz", **truth)
        return truth, read_truth(BENCH, tmp_path / "truth.npz")

    return make


def score_plain(tmp_path, truth, options=ScoreOptions(), **arrays):
    np.savez(tmp_path / "plain.npz", **arrays)
    return score(BENCH, truth, read_results(tmp_path / "plain.npz", BENCH, truth), bodies(), options)[0]


def joints_of(truth, order=BENCH.joints):
    return KeypointKinematics(stick_body(), order)(params_of(truth)).numpy()


def test_the_truth_itself_scores_perfectly(bench, tmp_path):
    arrays, truth = bench()
    write_results(tmp_path / "out", arrays, regressed=0.0, fitted=0.0)
    tables = score(BENCH, truth, read_results(tmp_path / "out", BENCH, truth), bodies())
    for table in tables:
        for name in set(table.columns) - {"pck_150", "auc"}:
            np.testing.assert_allclose(table.columns[name], 0.0, atol=0.06, err_msg=f"{table.stage} {name}")
        assert (table.columns["pck_150"] == 1.0).all()


def test_every_stage_of_a_run_is_scored_and_the_nearer_one_is_better(bench, tmp_path):
    arrays, truth = bench()
    write_results(tmp_path / "out", arrays)
    tables = {t.stage: t for t in score(BENCH, truth, read_results(tmp_path / "out", BENCH, truth), bodies())}
    assert list(tables) == ["regressed", "fitted", "landmarks"]
    assert tables["fitted"].columns["mpjpe"].mean() < 0.5 * tables["regressed"].columns["mpjpe"].mean()
    np.testing.assert_allclose(tables["landmarks"].columns["mpjpe"], tables["regressed"].columns["mpjpe"], rtol=1e-3)
    assert "pve" not in tables["landmarks"].columns
    assert tables["fitted"].values["energy"][0] == 1.0
    assert tables["fitted"].labels["status"][3] == "converged"


def test_the_metrics_of_a_person_are_those_of_the_plain_formulas(bench, tmp_path):
    arrays, truth = bench(3)
    write_results(tmp_path / "out", arrays, fitted=0.2)
    table = score(BENCH, truth, read_results(tmp_path / "out", BENCH, truth), bodies())[1]
    body, target = stick_body(), params_of(arrays)
    estimate = disturbed(target, 0.2)
    ours, theirs = body(estimate), body(target)
    hips = [JOINT_NAMES.index("left_hip"), JOINT_NAMES.index("right_hip")]
    difference = (ours.vertices - ours.joints[:, hips].mean(1, keepdim=True)) - (
        theirs.vertices - theirs.joints[:, hips].mean(1, keepdim=True)
    )
    np.testing.assert_allclose(table.columns["pve"], 1000 * difference.norm(dim=-1).mean(-1).numpy(), rtol=1e-4)
    apart = body.place(ours, BENCH.joints) - ours.joints[:, hips].mean(1, keepdim=True)
    apart -= body.place(theirs, BENCH.joints) - theirs.joints[:, hips].mean(1, keepdim=True)
    np.testing.assert_allclose(table.columns["mpjpe"], 1000 * apart.norm(dim=-1).mean(-1).numpy(), rtol=1e-4)


def test_blocks_give_what_one_block_gives(bench, tmp_path, monkeypatch):
    arrays, truth = bench(12)
    results = read_results(write_results(tmp_path / "out", arrays), BENCH, truth)
    whole = score(BENCH, truth, results, bodies())[1]
    monkeypatch.setattr(run_module, "BLOCK", 5)
    parts = score(BENCH, truth, results, bodies())[1]
    for name, column in whole.columns.items():
        np.testing.assert_allclose(parts.columns[name], column, rtol=1e-4, atol=1e-3)


def test_people_of_one_photo_stay_in_one_block(bench, monkeypatch):
    _, truth = bench(6, photo=np.array(["a", "b", "a", "c", "a", "b"]))
    monkeypatch.setattr(run_module, "BLOCK", 2)
    assert [rows.tolist() for rows in blocks(truth)] == [[0, 2, 4], [1, 5], [3]]


def test_people_of_one_photo_are_told_apart_by_their_boxes(bench, tmp_path):
    arrays, truth = bench(4, photo=np.array(["a.jpg"] * 4))
    arrays["transl"][:, 0] = [-1.5, -0.5, 0.5, 1.5]
    from toy import toy_camera
    from toy_bench import boxes_of

    arrays["boxes"] = boxes_of(params_of(arrays), toy_camera(4), stick_body()).numpy()
    np.savez(tmp_path / "truth.npz", **arrays)
    truth = read_truth(BENCH, tmp_path / "truth.npz")
    shuffled = {key: value[[2, 0, 3, 1]] if value.ndim else value for key, value in arrays.items()}
    results = read_results(write_results(tmp_path / "out", shuffled, fitted=0.0), BENCH, truth)
    table = score(BENCH, truth, results, bodies())[1]
    np.testing.assert_allclose(table.columns["mpjpe"], 0.0, atol=0.01)
    assert table.labels["row"] == ("1", "3", "0", "2")


def test_missing_people_stop_the_scoring_unless_they_may_be_skipped(bench, tmp_path):
    arrays, truth = bench(5)
    folder = write_results(tmp_path / "out", arrays)
    (folder / "results" / "people" / "0002.jpg.npz").unlink()
    results = read_results(folder, BENCH, truth)
    with pytest.raises(ValueError, match="1 of 5 people have no usable result .*0002.jpg"):
        score(BENCH, truth, results, bodies())
    table = score(BENCH, truth, results, bodies(), ScoreOptions(missing="skip"))[0]
    assert table.missing == 1 and np.isnan(table.columns["mpjpe"][2]) and np.isfinite(table.columns["mpjpe"][3])


def test_results_that_are_not_finite_count_as_missing_and_are_named(bench, tmp_path):
    arrays, truth = bench(4)
    joints = joints_of(arrays)
    joints[1] = np.nan
    with pytest.raises(ValueError, match="1 of 4 people"):
        score_plain(tmp_path, truth, joints=joints)
    table = score_plain(tmp_path, truth, ScoreOptions(missing="skip"), joints=joints)
    assert any("not finite" in note for note in table.notes)


def test_another_photo_set_is_an_error_that_names_a_photo(bench, tmp_path):
    arrays, truth = bench(3)
    results = read_results(write_results(tmp_path / "out", arrays | {"photo": np.array(["x.jpg"] * 3)}), BENCH, truth)
    with pytest.raises(ValueError, match="Not one of the 3 people.*people/0000.jpg"):
        score(BENCH, truth, results, bodies(), ScoreOptions(missing="skip"))


def test_millimetres_are_noticed_and_can_be_declared(bench, tmp_path):
    arrays, truth = bench(3)
    joints = 1000.0 * joints_of(arrays)
    with pytest.raises(ValueError, match="in millimetres"):
        score_plain(tmp_path, truth, joints=joints)
    table = score_plain(tmp_path, truth, ScoreOptions(unit="millimetres"), joints=joints)
    np.testing.assert_allclose(table.columns["mpjpe"], 0.0, atol=0.01)
    table = score_plain(tmp_path, truth, joints=joints, unit=np.array("mm"))
    np.testing.assert_allclose(table.columns["mpjpe"], 0.0, atol=0.01)


def test_centimetres_are_noticed(bench, tmp_path):
    arrays, truth = bench(3)
    with pytest.raises(ValueError, match="in centimetres"):
        score_plain(tmp_path, truth, joints=100.0 * joints_of(arrays))


def test_another_joint_order_is_noticed(bench, tmp_path):
    arrays, truth = bench(6)
    order = np.random.default_rng(0).permutation(len(BENCH.joints))
    with pytest.raises(ValueError, match="another order"):
        score_plain(tmp_path, truth, joints=joints_of(arrays)[:, order])
    assert score_plain(tmp_path, truth, ScoreOptions(trust=True), joints=joints_of(arrays)[:, order]).notes


def test_an_order_of_nobodys_is_refused_though_its_limbs_are_about_as_long(bench, tmp_path):
    arrays, truth = bench(20)
    joints = joints_of(arrays)
    swapped = np.arange(len(BENCH.joints))
    swapped[[0, 5, 12]] = [5, 12, 0]
    with pytest.raises(ValueError, match="what is called .* lies where .* belongs"):
        score_plain(tmp_path, truth, joints=joints[:, swapped])
    with pytest.raises(ValueError, match="another order"):
        score_plain(tmp_path, truth, joints=joints[:, ::-1])
    for order in (np.random.default_rng(seed).permutation(len(BENCH.joints)) for seed in range(5)):
        with pytest.raises(ValueError, match="another order"):
            score_plain(tmp_path, truth, joints=joints[:, order])


def test_bad_estimates_are_scored_and_not_taken_for_another_order(bench, tmp_path):
    arrays, truth = bench(20)
    joints = joints_of(arrays)
    noise = 0.1 * np.random.default_rng(0).normal(size=joints.shape)
    for bad in (joints + noise, np.roll(joints, 1, axis=0), np.broadcast_to(joints[:1], joints.shape)):
        # What the points are taken to be is told; that their order looks wrong is not.
        assert [note for note in score_plain(tmp_path, truth, joints=bad).notes if "are taken to be" not in note] == []


def test_swapped_sides_and_other_axes_are_told(bench, tmp_path):
    arrays, truth = bench(12)
    swapped = [BENCH.joints.index(mirrored(name)) for name in BENCH.joints]
    table = score_plain(tmp_path, truth, joints=joints_of(arrays)[:, swapped])
    assert any("left and right are swapped" in note for note in table.notes)
    table = score_plain(tmp_path, truth, joints=joints_of(arrays) * [1.0, -1.0, -1.0])
    assert any("y points up" in note for note in table.notes)


def test_joints_named_by_another_convention_are_found_by_name(bench, tmp_path):
    arrays, truth = bench(3)
    joints = KeypointKinematics(stick_body(), JOINT_NAMES)(params_of(arrays)).numpy()
    table = score_plain(tmp_path, truth, joints=joints, convention=np.array("smpl24"), photo=np.array(photo_names(3)))
    np.testing.assert_allclose(table.columns["mpjpe"], 0.0, atol=0.01)
    assert any("12 of 13 joints, without nose" in note for note in table.notes)


def test_a_person_named_twice_is_an_error(bench, tmp_path):
    arrays, truth = bench(3)
    photos, persons = np.array(photo_names(3)[:2] + photo_names(1)), np.array(["0"] * 3)
    with pytest.raises(ValueError, match=r"more than once.*'0' in 'people/0000.jpg'"):
        score_plain(tmp_path, truth, joints=joints_of(arrays), photo=photos, person=persons)


def test_rows_without_photo_names_must_be_as_many_as_the_truth(bench, tmp_path):
    arrays, truth = bench(4)
    with pytest.raises(ValueError, match="3 rows, the truth has 4"):
        score_plain(tmp_path, truth, joints=joints_of(arrays)[:3])


def test_one_person_is_scored_and_the_missing_interval_is_told(bench, tmp_path):
    arrays, truth = bench(1)
    table = score_plain(tmp_path, truth, joints=joints_of(arrays))
    assert any("one person only" in note for note in table.notes)


def test_photos_in_another_folder_are_found_by_their_file_name(bench, tmp_path):
    arrays, truth = bench(3)
    moved = np.array([f"elsewhere/{name.split('/')[1]}" for name in photo_names(3)])
    table = score_plain(tmp_path, truth, joints=joints_of(arrays), photo=moved)
    assert table.missing == 0


def test_results_of_another_body_get_no_vertex_error(bench, tmp_path):
    from dataclasses import replace

    arrays, truth = bench(3)
    other = replace(stick_body(), name="other-1", faces=stick_body().faces.flip(1))
    results = read_results(write_results(tmp_path / "out", arrays, body=other), BENCH, truth)
    table = score(BENCH, truth, results, bodies(other))[1]
    assert "mpjpe" in table.columns and "pve" not in table.columns


def test_a_body_that_was_not_loaded_is_named(bench, tmp_path):
    arrays, truth = bench(2, body=np.array("smpl"))
    results = read_results(write_results(tmp_path / "out", arrays), BENCH, truth)
    with pytest.raises(ValueError, match="Body 'smpl' is needed.*--body"):
        score(BENCH, truth, results, bodies())


def test_lspet_scores_projected_bodies_on_annotated_joints(tmp_path):
    arrays = make_truth(6)
    points = KeypointKinematics(stick_body(), tuple(filter(None, LSP_14.landmarks)))(params_of(arrays))
    from toy import toy_camera

    from fitloop.geometry import project

    pixels = project(points, toy_camera(6))
    visible = torch.ones(6, 14, 1)
    visible[0, 3] = 0.0
    pixels[1, 0] += torch.tensor([0.0, 400.0])
    np.savez(tmp_path / "joints.npz", names=np.array(photo_names(6)), joints=torch.cat([pixels, visible], -1).numpy())
    protocol = PROTOCOLS["lspet"]
    truth = read_truth(protocol, tmp_path / "joints.npz")
    results = read_results(write_results(tmp_path / "out", arrays, fitted=0.0), protocol, truth)
    tables = {table.stage: table for table in score(protocol, truth, results, bodies())}
    np.testing.assert_allclose(tables["fitted"].columns["pck_01"], [1, 13 / 14, 1, 1, 1, 1], rtol=1e-6)
    assert np.isnan(tables["fitted"].joint_errors[0, 3])
    assert any("without neck, head_top" in note for note in tables["landmarks"].notes)
