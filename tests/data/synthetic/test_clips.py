"""Synthetic clips: people who move, cameras that stand or move, and what is true of every frame."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fitloop.body import BodyParams, load_body
from fitloop.data.synthetic import load_assets
from fitloop.data.synthetic.camera_paths import held, standing
from fitloop.data.synthetic.clip_files import join_clips, write_clip
from fitloop.data.synthetic.clips import ClipConfig, arrange_clip
from fitloop.data.synthetic.sequences import load_sequences
from fitloop.evaluation.protocols import protocol_named
from fitloop.evaluation.truth import read_truth
from tests.small_assets import write_assets

pytest.importorskip("av")
CONFIG = ClipConfig(seconds=0.3, height=64, width=80, crossing=0.34)
BODY = load_body("open")


@pytest.fixture(scope="module")
def assets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("assets")
    write_assets(folder)
    sequences = load_sequences(folder / "mocap" / "cmu_poses.npz", "training", CONFIG.recorded)
    return load_assets(folder, 32), sequences


def _arrange(assets, number):
    places, sequences = assets
    return arrange_clip(places, sequences, (7, number), CONFIG)


def test_kinds_are_spread_evenly_over_the_numbers():
    kinds = [ClipConfig().kind(number) for number in range(20)]
    assert [kinds.count(kind) for kind in ("static", "moving", "crossing")] == [8, 8, 4]
    assert kinds[4::5] == ["crossing"] * 4


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"frame_rate": 25.0}, "30 frames a second or a whole part"),
        ({"height": 63}, "even sides"),
        ({"crossing": 2.0}, "share"),
    ],
)
def test_options_that_make_no_clip_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        ClipConfig(**options)


def test_a_clip_is_the_same_each_time_and_its_truth_is_where_its_pixels_are(assets):
    clip = _arrange(assets, 0)
    first, again = ([photo.pixels for photo in _arrange(assets, 0).frames()] for _ in range(2))
    assert len(first) == CONFIG.frames and all((a == b).all() for a, b in zip(first, again, strict=True))
    photo = next(clip.frames())
    person, view = photo.people[0], photo.view
    joints = BODY(person.params).joints
    np.testing.assert_allclose(joints.numpy(), person.joints, atol=1e-3)
    y, x = np.nonzero(person.mask)
    middle = view.screen(person.joints)[:, :2].mean(0)
    assert x.min() - 2 < middle[0] < x.max() + 2 and y.min() - 2 < middle[1] < y.max() + 2


def test_a_held_camera_moves_the_world_and_not_the_person_in_it(assets):
    number = next(n for n in range(9) if CONFIG.kind(n) == "moving")
    clip = _arrange(assets, number)
    role = clip.roles[0]
    seen = [photo.people[0].joints for photo in clip.frames()]
    back = np.stack(seen) @ clip.path.rotations + clip.path.centers[:, None]
    np.testing.assert_allclose(back, role.joints.numpy(), atol=2e-3)
    assert np.abs(clip.path.rotations - np.eye(3)).max() > 1e-3


def test_the_background_moves_as_a_far_point_does(assets):
    backdrop = replace(_arrange(assets, 0).backdrop, mirrored=False, scale=2.0, roll=0.1)
    target = np.stack([np.linspace(-1, 1, 9), np.zeros(9), np.full(9, 4.0)], 1)
    path = held(target, 1.0, (0.3, 0.2), np.random.default_rng(0))
    for frame in (0, 8):
        moved = path.backdrop(backdrop, 100.0, frame)
        turn = path.rotations[frame]
        x, y = 100.0 * turn[:2, 2] / turn[2, 2]
        # The affine map of `show_backdrop`: the old middle of the background has moved to where its direction is seen.
        cos, sin = np.cos(0.1) / 2.0, np.sin(0.1) / 2.0
        place = np.array(moved.center) + (cos * x + sin * y, -sin * x + cos * y)
        np.testing.assert_allclose(place, backdrop.center, atol=1e-6)
    assert path.rotations[0][0, 2] > 0 > path.rotations[8][0, 2], "who walks to the right makes the camera turn right"
    assert (standing(3).rotations == np.eye(3)).all()


def test_two_people_cross(assets):
    number = next(n for n in range(9) if CONFIG.kind(n) == "crossing")
    clip = _arrange(assets, number)
    first, second = (role.joints[:, 0].numpy() for role in clip.roles)
    assert len(clip.roles) == 2 and (second[:, 2] > first[:, 2]).all()
    assert (first[-1] - first[0])[0] >= 0.0 >= (second[-1] - second[0])[0]


def test_steps_grow_with_the_legs_so_that_feet_rest(assets):
    sequence = assets[1][0]
    tall = torch.zeros(10)
    tall[0] = 2.0
    legs = [
        float(BODY.rest_joints(betas)[0, 1] - BODY.rest_joints(betas)[[10, 11], 1].mean())
        for betas in (torch.zeros(10), tall)
    ]
    means, talls = sequence.joints(BODY, torch.zeros(10))[:, 0], sequence.joints(BODY, tall)[:, 0]
    torch.testing.assert_close(talls, means * legs[1] / legs[0], atol=1e-5, rtol=1e-5)


def test_written_clips_are_what_the_protocol_reads(assets, tmp_path):
    import av

    for number in range(3):
        write_clip(tmp_path, _arrange(assets, number), number, CONFIG.frame_rate)
    join_clips(tmp_path, 3)
    truth = read_truth(protocol_named("open-bench-video"), tmp_path / "truth.npz")
    kinds = [CONFIG.kind(number) for number in range(3)]
    assert len(truth) == CONFIG.frames * (3 + kinds.count("crossing"))
    assert set(truth.labels["grade"]) == set(kinds) and truth.photos[0] == "000000.mp4/000000"
    assert truth.values["frame"].tolist()[: CONFIG.frames] == list(range(CONFIG.frames))
    with np.load(tmp_path / "truth.npz", allow_pickle=False) as file:
        rotation, center, joints = (file[key] for key in ("camera_rotation", "camera_center", "joints_3d"))
        params = BodyParams(*(torch.from_numpy(file[key]) for key in ("global_orient", "body_pose", "betas", "transl")))
    np.testing.assert_allclose(BODY(params).joints.numpy(), joints, atol=1e-3)
    world = joints @ rotation + center[:, None]
    assert world[..., 1].max() - world[..., 1].min() < 2.5 and world[:, 15, 1].min() > world[:, 7, 1].min()
    with av.open(str(tmp_path / "clips" / "000000.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == CONFIG.frames


def test_motion_capture_that_is_missing_or_too_short_is_told(assets, tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        load_sequences(tmp_path / "none.npz", "training", 10)
    write_assets(tmp_path / "assets")
    with pytest.raises(ValueError, match="no recording of 90 frames"):
        load_sequences(tmp_path / "assets" / "mocap" / "cmu_poses.npz", "training", 90)
