"""Every file is made here in its authors' format; the places of joints are checked by name."""

import json
import pickle

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from body.keypoints import BODY_25, COCO_17, LSP_14, MPII_16, SPIN_24
from data import converters

RNG = np.random.default_rng(0)


def joint(dataset, row, name):
    return dataset.keypoints[row, SPIN_24.index(name)].tolist()


@pytest.fixture
def lsp(tmp_path):
    joints = np.zeros((3, 14, 4))
    joints[:2] = RNG.integers(20, 200, (2, 14, 4))
    joints[2] = RNG.integers(0, 2, (14, 4))
    savemat(tmp_path / "joints.mat", {"joints": joints})
    return tmp_path, joints


def test_lsp_splits_in_the_middle_and_keeps_occluded_joints(lsp):
    folder, joints = lsp
    train, test = converters.convert_lsp(folder), converters.convert_lsp(folder, "test")
    assert train.image_names == ("images/im0001.jpg", "images/im0002.jpg")
    assert test.image_names == ("images/im0003.jpg", "images/im0004.jpg")
    assert joint(train, 1, "left_wrist") == [*joints[:2, LSP_14.index("left_wrist"), 1], 1.0]
    assert test.mask_names[0] == "data/lsp/im0003_segmentation.png"
    assert test.part_names[1] == "data/lsp/im0004_part_segmentation.png"
    assert (train.keypoints[:, 14:, 2] == 0).all() and (train.keypoints[:, :14, 2] == 1).all()


def test_the_crop_is_a_fifth_larger_than_the_box(lsp):
    folder, joints = lsp
    train = converters.convert_lsp(folder)
    points = joints[:2, :, 0].T
    assert train.scales[0] == pytest.approx(1.2 * np.ptp(points, axis=0).max() / 200)
    np.testing.assert_allclose(train.centers[0], (points.min(0) + points.max(0)) / 2)


@pytest.fixture
def lspet(tmp_path):
    joints = np.zeros((14, 3, 2))
    joints[:, :2] = RNG.integers(20, 200, (14, 2, 2))
    joints[:, 2] = 1
    joints[LSP_14.index("left_ankle"), :, 0] = -500.0, -500.0, 0.0
    savemat(tmp_path / "joints.mat", {"joints": joints})
    for number in (1, 2):
        (tmp_path / f"im{number:05d}.png").touch()
    return tmp_path, joints


def test_lspet_leaves_unannotated_joints_out_of_box_and_evidence(lspet):
    dataset = converters.convert_lspet(lspet[0])
    assert dataset.image_names == ("im00001.png", "im00002.png")
    assert joint(dataset, 0, "left_ankle") == [0.0, 0.0, 0.0]
    assert dataset.scales[0] < 1.2 * 180 / 200


def test_lspet_as_spin_converts_it_takes_them_for_observed(lspet):
    dataset = converters.convert_lspet(lspet[0], spin_compat=True)
    assert joint(dataset, 0, "left_ankle") == [-500.0, -500.0, 1.0]
    assert dataset.scales[0] > 1.2 * 500 / 200


def test_lsp_and_lspet_are_not_mistaken_for_each_other(lsp, tmp_path):
    with pytest.raises(ValueError, match=r"expected \(14, 3, photos\)"):
        converters.convert_lspet(lsp[0])
    savemat(tmp_path / "joints.mat", {"joints": np.zeros((14, 3, 10))})
    with pytest.raises(ValueError, match="prepare lspet"):
        converters.convert_lsp(tmp_path)


def test_lspet_needs_a_photo_per_annotation(lspet):
    (lspet[0] / "im00003.png").touch()
    with pytest.raises(ValueError, match="3 photos for 2 annotations"):
        converters.convert_lspet(lspet[0])


def test_lspet_dev_is_read_by_its_named_joints(tmp_path):
    joints = RNG.uniform(0, 100, (2, 14, 3)).astype(np.float32)
    joints[..., 2] = 1
    joints[0, 0] = 0
    order = np.array(LSP_14.keypoints)
    np.savez(tmp_path / "joints.npz", names=np.array(["a.jpg", "b.jpg"]), joints=joints, order=order)
    dataset = converters.convert_lspet_dev(tmp_path)
    assert dataset.image_names == ("images/a.jpg", "images/b.jpg")
    assert joint(dataset, 0, "right_ankle") == [0, 0, 0]
    assert joint(dataset, 1, "head_top") == joints[1, 13].tolist()
    np.savez(tmp_path / "joints.npz", names=np.array(["a.jpg", "b.jpg"]), joints=joints, order=order[::-1])
    with pytest.raises(ValueError, match="expected .* named right_ankle"):
        converters.convert_lspet_dev(tmp_path)


def structs(entries, fields):
    table = np.zeros((1, len(entries)), dtype=[(field, object) for field in fields])
    for column, entry in enumerate(entries):
        for field in fields:
            table[field][0, column] = entry.get(field, np.zeros((0, 0)))
    return table


@pytest.fixture
def mpii(tmp_path):
    """A complete person, one with a joint missing and one without any, a photo without people, a test photo."""
    points = RNG.integers(50, 400, (16, 2)).astype(float)

    def annotation(rows):
        return structs([{"x": x, "y": y, "id": float(n), "is_visible": 1.0} for n, x, y in rows], ["x", "y", "id"])

    everything = [(number, *points[number]) for number in reversed(range(16))]
    people = structs(
        [
            {"scale": 2.0, "objpos": {"x": 100.0, "y": 120.0}, "annopoints": {"point": annotation(everything)}},
            {"scale": 1.0, "objpos": {"x": 50.0, "y": 60.0}, "annopoints": {"point": annotation(everything[1:])}},
            {"x1": 4.0},
        ],
        ["scale", "objpos", "annopoints", "x1"],
    )
    alone = structs([{"scale": 1.0, "objpos": {"x": 9.0, "y": 9.0}, "annopoints": {"point": annotation(everything)}}],
                    ["scale", "objpos", "annopoints"])  # fmt: skip
    photos = structs(
        [
            {"image": {"name": "crowd.jpg"}, "annorect": people},
            {"image": {"name": "nobody.jpg"}},
            {"image": {"name": "test.jpg"}, "annorect": alone},
        ],
        ["image", "annorect"],
    )
    release = {"annolist": photos, "img_train": np.array([[1, 1, 0]])}
    savemat(tmp_path / "mpii_human_pose_v1_u12_1.mat", {"RELEASE": release})
    return tmp_path, points


def test_mpii_keeps_complete_training_people_with_the_hourglass_box(mpii):
    folder, points = mpii
    dataset = converters.convert_mpii(folder)
    assert dataset.image_names == ("images/crowd.jpg",)
    assert dataset.scales.tolist() == [2.5] and dataset.centers.tolist() == [[100.0, 150.0]]
    assert joint(dataset, 0, "pelvis") == [*points[MPII_16.index("pelvis")], 1.0]
    assert joint(dataset, 0, "thorax") == [*points[MPII_16.index("thorax")], 1.0]
    assert joint(dataset, 0, "neck") == [*points[MPII_16.index("upper_neck")], 1.0]
    assert joint(dataset, 0, "right_wrist") == [*points[MPII_16.index("right_wrist")], 1.0]
    assert dataset.keypoints[0, :, 2].sum() == 16


def test_mpii_of_the_hourglass_networks_is_read_as_it_is(tmp_path):
    h5py = pytest.importorskip("h5py")
    part = RNG.integers(5, 300, (2, 16, 2)).astype(float)
    part[1, 3] = 0
    with h5py.File(tmp_path / "train.h5", "w") as file:
        file["imgname"] = np.array([b"a.jpg", b"b.jpg"])
        file["center"], file["scale"], file["part"] = np.ones((2, 2)), np.array([2.0, 3.0]), part
    dataset = converters.convert_mpii(tmp_path)
    assert dataset.image_names == ("images/a.jpg",) and dataset.scales.tolist() == [2.0]
    assert joint(dataset, 0, "left_knee") == [*part[0, MPII_16.index("left_knee")], 1.0]


@pytest.fixture
def coco(tmp_path):
    whole = RNG.integers(1, 300, (17, 3))
    whole[:, 2] = RNG.integers(1, 3, 17)
    whole[0] = 0
    partial = whole.copy()
    partial[COCO_17.index("left_knee")] = 0
    for year in ("2014", "2017"):
        content = {
            "images": [{"id": 7, "file_name": "COCO_7.jpg"}],
            "annotations": [
                {"image_id": 7, "bbox": [10, 20, 40, 100], "keypoints": points.ravel().tolist()}
                for points in (whole, partial)
            ],
        }
        path = tmp_path / "annotations" / f"person_keypoints_train{year}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))
    return tmp_path, whole


@pytest.mark.parametrize("year", ["2014", "2017"])
def test_coco_keeps_people_with_all_limbs(coco, year):
    folder, whole = coco
    dataset = converters.convert_coco(folder, year)
    assert dataset.image_names == (f"train{year}/COCO_7.jpg",)
    assert dataset.centers.tolist() == [[30.0, 70.0]] and dataset.scales[0] == pytest.approx(0.6)
    assert joint(dataset, 0, "left_ear") == [*whole[COCO_17.index("left_ear"), :2], 1.0]
    assert joint(dataset, 0, "nose") == [0.0, 0.0, 0.0]


def test_truncated_coco_annotations_are_refused(coco):
    path = coco[0] / "annotations" / "person_keypoints_train2014.json"
    path.write_text(path.read_text()[:-30])
    with pytest.raises(ValueError, match="is not whole JSON"):
        converters.convert_coco(coco[0])


def test_human36m_protocol_2_is_the_frontal_camera(tmp_path):
    names = [f"S9_Walking.{camera}_000{n}.jpg" for n, camera in enumerate(("54138969", "60457274", "60457274"))]
    arrays = {"imgname": names, "center": np.arange(6.0).reshape(3, 2), "scale": np.ones(3)}
    np.savez(tmp_path / "h36m_valid_protocol1.npz", **arrays, S=np.ones((3, 24, 4)))
    assert len(converters.convert_human36m(tmp_path / "h36m_valid_protocol1.npz")) == 3
    frontal = converters.convert_human36m(tmp_path / "h36m_valid_protocol1.npz", "protocol2")
    assert frontal.image_names == tuple(names[1:]) and frontal.name == "h36m_valid_protocol2"
    np.savez(tmp_path / "other.npz", **arrays)
    with pytest.raises(ValueError, match="has no S"):
        converters.convert_human36m(tmp_path / "other.npz")


@pytest.fixture
def three_dhp_train(tmp_path):
    """Camera 4 of one sequence: four annotated frames, of which 1, 2 and 4 were extracted; in 2 a joint is outside."""
    place = tmp_path / "S1" / "Seq1"
    flat = RNG.uniform(100, 1900, (4, 28, 2))
    flat[1, 10] = 3000.0
    solid = RNG.uniform(-900, 900, (4, 28, 3))
    cells_2d, cells_3d = (np.empty((14, 1), object) for _ in range(2))
    for camera in range(14):
        cells_2d[camera, 0], cells_3d[camera, 0] = np.zeros((4, 56)), np.zeros((4, 84))
    cells_2d[4, 0], cells_3d[4, 0] = flat.reshape(4, 56), solid.reshape(4, 84)
    frames = place / "imageFrames" / "video_4"
    frames.mkdir(parents=True)
    for number in (1, 2, 4):
        (frames / f"frame_{number:06d}.jpg").touch()
    savemat(place / "annot.mat", {"annot2": cells_2d, "annot3": cells_3d})
    return tmp_path, flat, solid


def test_3dhp_training_frames_are_matched_by_number_and_complete(three_dhp_train):
    folder, flat, solid = three_dhp_train
    dataset = converters.convert_3dhp_train(folder, stride=1)
    names = [f"S1/Seq1/imageFrames/video_4/frame_{number:06d}.jpg" for number in (1, 4)]
    assert dataset.image_names == tuple(names)
    np.testing.assert_allclose(joint(dataset, 1, "left_shoulder"), [*flat[3, 9], 1.0], rtol=1e-6)
    np.testing.assert_allclose(joint(dataset, 1, "right_ankle"), [*flat[3, 25], 1.0], rtol=1e-6)
    np.testing.assert_allclose(joint(dataset, 1, "head"), [*flat[3, 7], 1.0], rtol=1e-6)
    neck = dataset.joints_3d[0, SPIN_24.index("neck")]
    np.testing.assert_allclose(neck, [*(solid[0, 5] - solid[0, 4]) / 1000.0, 1.0], atol=1e-6)
    assert (dataset.joints_3d[:, SPIN_24.index("pelvis"), :3] == 0).all()
    assert (dataset.keypoints[..., 2].sum(1) == 17).all()


def test_3dhp_training_keeps_every_tenth(three_dhp_train):
    assert len(converters.convert_3dhp_train(three_dhp_train[0])) == 1


def test_3dhp_frames_beyond_the_annotation_are_refused(three_dhp_train):
    (three_dhp_train[0] / "S1/Seq1/imageFrames/video_4/frame_000009.jpg").touch()
    with pytest.raises(ValueError, match="frame_000009.jpg has no annotation"):
        converters.convert_3dhp_train(three_dhp_train[0])


def test_3dhp_test_frames_are_the_valid_ones(tmp_path):
    h5py = pytest.importorskip("h5py")
    place = tmp_path / "mpi_inf_3dhp_test_set" / "TS1"
    (place / "imageSequence").mkdir(parents=True)
    flat, solid = RNG.uniform(1, 60, (3, 1, 17, 2)), RNG.uniform(-900, 900, (3, 1, 17, 3))
    flat[2, 0, 3] = 200.0
    for number in (2, 3):
        Image.new("RGB", (64, 64)).save(place / "imageSequence" / f"img_{number:06d}.jpg")
    with h5py.File(place / "annot_data.mat", "w") as file:
        file["annot2"], file["univ_annot3"], file["valid_frame"] = flat, solid, np.array([[0], [1], [1]])
    dataset = converters.convert_3dhp_test(tmp_path)
    assert dataset.image_names == ("mpi_inf_3dhp_test_set/TS1/imageSequence/img_000002.jpg",)
    np.testing.assert_allclose(joint(dataset, 0, "right_wrist"), [*flat[1, 0, 4], 1.0], rtol=1e-6)
    np.testing.assert_allclose(joint(dataset, 0, "head"), [*flat[1, 0, 0], 1.0], rtol=1e-6)
    spine = dataset.joints_3d[0, SPIN_24.index("spine"), :3]
    np.testing.assert_allclose(spine, (solid[1, 0, 15] - solid[1, 0, 14]) / 1000.0, atol=1e-6)


@pytest.fixture
def three_dpw(tmp_path):
    """Two people, three frames, a camera turned by 90 degrees about z; the second person's last frame is invalid."""
    turn = np.eye(4)
    turn[:2, :2] = [[0.0, -1.0], [1.0, 0.0]]
    poses = [np.zeros((3, 72)) + person for person in (0.0, 0.01)]
    poses2d = [np.concatenate([RNG.uniform(100, 500, (3, 2, 18)), np.ones((3, 1, 18))], 1) for _ in range(2)]
    poses2d[0][1, 2] = 0.0
    content = {
        **{"sequence": "downtown_toy_00", "poses": poses, "betas": [np.arange(10.0), np.arange(300.0)]},
        **{"genders": ["m", "f"], "cam_poses": np.stack([turn] * 3), "poses2d": poses2d},
        **{"campose_valid": [np.array([1, 1, 1]), np.array([1, 1, 0])], "texture_maps": [np.zeros(2)]},
        **{"img_frame_ids": np.arange(3), "cam_intrinsics": np.eye(3)},
    }
    place = tmp_path / "sequenceFiles" / "test"
    place.mkdir(parents=True)
    (place / "downtown_toy_00.pkl").write_bytes(pickle.dumps(content, protocol=2))
    return tmp_path, poses2d


def test_3dpw_turns_the_root_into_the_camera(three_dpw):
    folder, poses2d = three_dpw
    dataset = converters.convert_3dpw(folder)
    frames = [(0, "m"), (2, "m"), (0, "f"), (1, "f")]
    assert dataset.image_names == tuple(f"imageFiles/downtown_toy_00/image_{n:05d}.jpg" for n, _ in frames)
    assert dataset.genders == tuple(gender for _, gender in frames)
    np.testing.assert_allclose(dataset.pose[0, :3], [0.0, 0.0, np.pi / 2], atol=1e-6)
    np.testing.assert_allclose(dataset.pose[2, 3:], 0.01, atol=1e-6)
    assert dataset.betas[3].tolist() == list(range(10))
    assert dataset.has_params.all() and (dataset.keypoints == 0).all()
    seen = poses2d[1][1, :2].T
    np.testing.assert_allclose(dataset.centers[3], (seen.min(0) + seen.max(0)) / 2, rtol=1e-5)


class Bomb:
    def __reduce__(self):
        return print, ("boom",)


def test_a_hostile_3dpw_file_runs_nothing(three_dpw, capsys):
    (three_dpw[0] / "sequenceFiles" / "test" / "downtown_toy_00.pkl").write_bytes(pickle.dumps({"poses": Bomb()}))
    with pytest.raises(ValueError, match="is no usable file of arrays"):
        converters.convert_3dpw(three_dpw[0])
    assert capsys.readouterr().out == ""


def eft_entry(**changed):
    angle = np.eye(3)
    angle[1:, 1:] = [[0.0, -1.0], [1.0, 0.0]]
    entry = {
        "parm_pose": np.stack([angle] + [np.eye(3)] * 23).tolist(),
        **{"parm_shape": [0.5] * 10, "parm_cam": [0.9, 0.0, 0.0], "bbox_scale": 1.5, "bbox_center": [100.0, 90.0]},
        **{"joint_validity_openpose18": [True] * 18, "smpltype": "smpl", "annotId": 3, "imageName": "COCO_3.jpg"},
    }
    return {**entry, **changed}


def test_eft_fits_become_poses_with_the_keypoints_of_the_file(tmp_path):
    keypoints = RNG.uniform(0, 200, (49, 3))
    entries = [eft_entry(), eft_entry(gt_keypoint_2d=keypoints.tolist(), imageName="b.jpg")]
    entries.append(eft_entry(smpltype="smplx"))
    (tmp_path / "COCO2014-Part-ver01.json").write_text(json.dumps({"ver": 0.1, "data": entries}))
    dataset = converters.convert_eft(tmp_path / "COCO2014-Part-ver01.json", prefix="train2014/")
    assert dataset.image_names == ("train2014/COCO_3.jpg", "train2014/b.jpg")
    np.testing.assert_allclose(dataset.pose[0, :3], [np.pi / 2, 0.0, 0.0], atol=1e-6)
    assert (dataset.keypoints[0] == 0).all() and dataset.scales[0] == 1.5
    np.testing.assert_allclose(dataset.openpose[1], keypoints[:25], rtol=1e-6)
    np.testing.assert_allclose(dataset.keypoints[1], keypoints[25:], rtol=1e-6)


def test_eft_fits_of_other_shapes_are_refused(tmp_path):
    (tmp_path / "fits.json").write_text(json.dumps({"ver": 0.1, "data": [eft_entry(parm_shape=[0.0] * 16)]}))
    with pytest.raises(ValueError, match=r"fit 0 has pose, shape and keypoints of \(\(24, 3, 3\), \(16,\)"):
        converters.convert_eft(tmp_path / "fits.json")
    (tmp_path / "fits.json").write_text("[1, 2]")
    with pytest.raises(ValueError, match="no list 'data'"):
        converters.convert_eft(tmp_path / "fits.json")


@pytest.fixture
def openpose(lsp):
    """Next to the first person of LSP stand a good detection and one 100 pixels away; the second has a far one only."""
    folder, _ = lsp
    dataset = converters.convert_lsp(folder)
    detections = folder / "openpose"
    detections.mkdir()

    def person(row, shift):
        points = np.zeros((25, 3))
        for number, name in enumerate(BODY_25.keypoints):
            if name in SPIN_24.keypoints:
                points[number] = [*(dataset.keypoints[row, SPIN_24.index(name), :2] + shift), 0.8]
        return {"pose_keypoints_2d": points.ravel().tolist()}

    for row, people in ((0, [person(0, 100), person(0, 1)]), (1, [person(1, 100)])):
        path = detections / f"im{row + 1:04d}_keypoints.json"
        path.write_text(json.dumps({"version": 1.3, "people": people}))
    return dataset, detections


def test_openpose_gives_each_person_the_nearest_detection_or_none(openpose):
    dataset = converters.add_openpose(*openpose)
    knee = dataset.openpose[0, BODY_25.index("left_knee")]
    expected = dataset.keypoints[0, SPIN_24.index("left_knee"), :2] + 1
    np.testing.assert_allclose(knee, [*expected, 0.8], rtol=1e-6)
    assert (dataset.openpose[1] == 0).all()


def test_openpose_matched_as_spin_does_refuses_nothing_far_away(openpose):
    dataset = converters.add_openpose(*openpose, matching="spin_mpii")
    assert (dataset.openpose[1] != 0).any()


@pytest.mark.parametrize(
    ("convert", "words"),
    [
        (converters.convert_lsp, "joints.mat is missing: LSP"),
        (converters.convert_lspet, "joints.mat is missing: LSP-extended"),
        (converters.convert_mpii, "is missing: MPII"),
        (converters.convert_coco, "is missing: COCO"),
        (converters.convert_3dhp_train, "is missing: 3DHP"),
        (converters.convert_3dhp_test, "is missing: 3DHP"),
        (converters.convert_3dpw, "is missing: 3DPW"),
    ],
)
def test_an_empty_folder_says_what_is_missing(tmp_path, convert, words):
    with pytest.raises(FileNotFoundError, match=words):
        convert(tmp_path)


def test_a_truncated_matlab_file_is_refused(lsp):
    path = lsp[0] / "joints.mat"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match="cannot be read as a MATLAB file"):
        converters.convert_lsp(lsp[0])
