import pytest

from fitloop.body.keypoint_names import columns_of, convention_of, known_name, say_nothing
from fitloop.body.keypoints import COCO_17, CONVENTIONS

H36M_WRITTEN = (
    "Hip RHip RKnee RFoot LHip LKnee LFoot Spine Thorax Neck/Nose Head LShoulder LElbow LWrist RShoulder RElbow RWrist"
)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        *((text, "left_shoulder") for text in ("LShoulder", "left shoulder", "LEFT-SHOULDER", "shoulder_l", "L.Sho")),
        *((text, "right_knee") for text in ("Right_Knee", "RKnee", "r_knee", "rightKnee", "knee.R")),
        *((text, "mid_hip") for text in ("MidHip", "pelvis", "Hip", "root", "hip_center")),
        *((text, "neck") for text in ("Neck", "05_neck", "upper_neck", "head_bottom")),
        *(("left_eye_(inner)", "left_eye_inner"), ("mouth_left", "left_mouth"), ("LBigToe", "left_big_toe")),
        *((text, "left_hip") for text in ("kp_left_hip", "11left_hip", "Person: left hip", "left_hip_joint")),
        *(("wheel", None), ("", None), ("front_left_light", None)),
    ],
)
def test_a_name_is_known_in_any_spelling(written, name):
    assert known_name(written) == name


@pytest.mark.parametrize("convention", CONVENTIONS.values(), ids=CONVENTIONS)
def test_every_convention_is_known_by_its_own_names(convention):
    found = convention_of(convention.keypoints)
    assert found.convention is convention and found.in_order and found.unknown == ()


def test_right_before_left_is_brought_into_order():
    names = [name.replace("left", "R").replace("right", "left").replace("R_", "right_") for name in COCO_17.keypoints]
    found = convention_of(names)
    assert found.convention is COCO_17
    assert [names[column] for column in found.columns if column is not None] == list(COCO_17.keypoints)


@pytest.mark.parametrize(
    ("written", "convention"),
    [
        (H36M_WRITTEN, "h36m17"),
        ("Pelvis RHip RKnee RAnkle LHip LKnee LAnkle Spine1 Neck Nose Head LShoulder LElbow LWrist RShoulder RElbow"
         " RWrist", "h36m17"),
        ("top_head neck " + " ".join(COCO_17.keypoints[5:]), "lsp14"),
        ("nose head_bottom head_top left_ear right_ear " + " ".join(COCO_17.keypoints[5:]), "halpe26"),
        (" ".join([*COCO_17.keypoints, "neck"]), "coco18"),
    ],
)  # fmt: skip
def test_the_convention_that_fits_is_adopted_and_all_names_find_a_place(written, convention):
    found = convention_of(written.split())
    assert found.convention.name == convention and found.unknown == ()


def test_of_videopose_names_the_foot_is_the_ankle_and_the_thorax_the_neck():
    names = H36M_WRITTEN.split()
    columns = dict(zip(CONVENTIONS["h36m17"].keypoints, columns_of(names, "h36m17"), strict=True))
    for keypoint, written in {"right_ankle": "RFoot", "neck": "Thorax", "jaw": "Neck/Nose", "head_top": "Head"}.items():
        assert names[columns[keypoint] or 0] == written


def test_unknown_names_stay_unobserved_where_enough_remain():
    names = [*COCO_17.keypoints[:12], "tail", "left_knee", "hat", "right_ankle"]
    found = convention_of(names)
    assert found.convention is COCO_17 and found.unknown == ("tail", "hat")
    assert found.columns[COCO_17.index("left_knee")] == 13 and found.columns[COCO_17.index("left_ankle")] is None


def test_one_name_given_twice_is_no_place():
    names = [*COCO_17.keypoints[:16], "left_knee"]
    assert columns_of(names, COCO_17)[COCO_17.index("left_knee")] is None


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["wheel", "door", "light"], "wheel, door, light.*0 of these 3 names.*coco17.*at least 8"),
        (COCO_17.keypoints[:5], "5 of these 5 names"),
        ([*COCO_17.keypoints[:12], "L_F_Paw", "R_F_Paw"], "animal"),
    ],
)
def test_names_of_something_else_are_refused_and_both_are_named(names, words):
    with pytest.raises(ValueError, match=words):
        convention_of(names)


def test_numbers_for_names_say_nothing():
    assert say_nothing(["0", "kp_1", "Keypoint 2", ""])
    assert not say_nothing(["0", "nose"])
