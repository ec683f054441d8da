from dataclasses import replace

import pytest
import torch

import fitloop.data.synthetic.parts as parts
from fitloop.body import JOINT_NAMES, BodyParams, load_body
from fitloop.body.params import upright
from fitloop.body.part_maps import NOBODY
from fitloop.data.synthetic import SyntheticPeopleBatch
from fitloop.data.synthetic.parts import PartStore, draw_parts
from fitloop.geometry import Camera, project

SIDE = 96


def standing() -> tuple[SyntheticPeopleBatch, torch.Tensor]:
    """The open body in T-pose, facing the camera, with a mask that is too wide; and where its joints are."""
    body, still = load_body(), upright(1)
    place = torch.tensor([[0.0, 0.2, 4.0]])
    params = BodyParams(still.global_orient, still.body_pose, torch.zeros(1, body.num_betas), place)
    camera = Camera(torch.tensor([170.0]), torch.tensor([[SIDE / 2, SIDE / 2]]))
    joints = project(body(params).joints, Camera(torch.tensor(170.0), torch.tensor([SIDE / 2, SIDE / 2])))[0]
    none = torch.zeros(1, 1)
    mask = torch.ones(1, SIDE, SIDE, dtype=torch.bool)
    pixels = torch.zeros(1, SIDE, SIDE, 3, dtype=torch.uint8)
    people = SyntheticPeopleBatch(
        pixels, params, camera, none[..., None].expand(1, 1, 2), none[..., None].expand(1, 1, 3), none.long(),
        torch.tensor([[0.0, 0.0, SIDE, SIDE]]), mask,
    )  # fmt: skip
    return people, joints


def test_the_pixel_of_a_joint_shows_its_part():
    people, joints = standing()
    labels = draw_parts(load_body(), people)[0]
    for name in ("left_elbow", "right_elbow", "left_hip", "right_knee", "head"):
        # Half way to the child, where the part is at its purest.
        child = {"left_elbow": "left_wrist", "right_elbow": "right_wrist", "left_hip": "left_knee",
                 "right_knee": "right_ankle", "head": "head"}[name]  # fmt: skip
        x, y = joints[[JOINT_NAMES.index(name), JOINT_NAMES.index(child)]].mean(0).floor().int().tolist()
        assert JOINT_NAMES[int(labels[y, x])] == name


def test_clothes_get_the_nearest_part_and_the_mask_cuts():
    people, joints = standing()
    mask = torch.zeros_like(people.masks)
    x, y = joints[JOINT_NAMES.index("left_wrist")].floor().int().tolist()
    mask[:, y - 8 : y + 9, x - 8 : x + 9] = True
    labels = draw_parts(load_body(), replace(people, masks=mask))[0]
    assert bool(((labels != NOBODY) == mask[0]).all())
    assert {JOINT_NAMES[int(label)] for label in labels[mask[0]].unique()} <= {"left_elbow", "left_wrist", "left_hand"}


def test_masks_of_another_size_are_refused():
    people, _ = standing()
    with pytest.raises(ValueError, match="masks are 48 x 48 pixels, the photos 96 x 96"):
        draw_parts(load_body(), replace(people, masks=people.masks[:, ::2, ::2]))


def test_an_empty_mask_is_refused():
    people, _ = standing()
    with pytest.raises(ValueError, match="mask of person 0 is empty"):
        draw_parts(load_body(), replace(people, masks=people.masks & False))


def test_a_map_is_drawn_once_and_kept(tmp_path, monkeypatch):
    people, _ = standing()
    first = PartStore(load_body(), tmp_path)([3], people)
    monkeypatch.setattr(parts, "draw_parts", None)
    again = PartStore(load_body(), tmp_path)([3], people)
    assert torch.equal(first, again)
    assert first.dtype == again.dtype == torch.int8
    with pytest.raises(TypeError):
        PartStore(load_body(), tmp_path)([2], people)


def test_somebody_hidden_altogether_has_no_parts(tmp_path):
    people, _ = standing()
    hidden = replace(people, masks=people.masks & False)
    assert bool((PartStore(load_body(), tmp_path)([0], hidden) == NOBODY).all())
