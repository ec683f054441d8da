import numpy as np

from fitloop.body import JOINT_NAMES
from fitloop.data.synthetic.poses import PosePool, acrobatic, difficulty
from fitloop.data.synthetic.splits import held_out_of


def test_the_split_depends_on_names_alone_and_keeps_its_share():
    names = [f"thing{number}" for number in range(50)]
    chosen = held_out_of(names, 20)
    assert len(chosen) == 10
    assert held_out_of(names[::-1], 20) == chosen


def test_a_single_thing_is_never_held_out_and_two_are_parted():
    assert held_out_of(["only"], 20) == set()
    assert len(held_out_of(["one", "two"], 20)) == 1


def test_standing_is_easy_and_a_handstand_is_hard():
    poses = np.zeros((3, 24, 3), np.float32)
    poses[1, JOINT_NAMES.index("left_hip"), 0] = -1.5
    poses[2, 0, 0] = np.pi
    score = difficulty(poses)
    assert score[0] < 1e-3 < score[1] < score[2]


def test_the_acrobatic_pool_holds_the_hardest_frames_of_each_clip():
    poses = np.zeros((20, 24, 3), np.float32)
    poses[3:5, 0, 0] = 2.0
    pool = PosePool(poses, (np.arange(10), np.arange(10, 20)), ("first", "second"))
    hard = acrobatic(pool, share=0.1)
    assert hard.names == ("first",) and hard.clip_rows[0].tolist() == [3, 4]


def test_drawn_poses_come_from_the_pool_mirrored_or_not():
    poses = np.zeros((2, 24, 3), np.float32)
    poses[:, JOINT_NAMES.index("left_elbow"), 1] = 1.0
    pool = PosePool(poses, (np.arange(2),), ("clip",))
    rng = np.random.default_rng(0)
    drawn = np.stack([pool.draw(rng, 0.0) for _ in range(30)])
    left, right = (drawn[:, JOINT_NAMES.index(f"{side}_elbow"), 1] for side in ("left", "right"))
    assert set(left) == {0.0, 1.0} and set(right) == {0.0, -1.0}
    np.testing.assert_array_equal(left - right, 1.0)
