"""People of a photo: one by one, drawn, saved, and read back."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh
from fitting_scenes import see
from toy import random_params, stick_body

from fitloop.body import BodyEstimate, Image
from fitloop.fitting import Fit, Status
from fitloop.geometry import camera_of
from fitloop.pipelines.chain.people import People

BODY = stick_body()


def found(count: int = 3, image: bool = True) -> People:
    params = random_params(count, seed=1)
    params = replace(params, transl=params.transl + torch.tensor([0.0, 0.0, 4.0]))
    camera = camera_of(64, 48).map(lambda value: value.expand(count, *value.shape))
    estimate = BodyEstimate(params, camera, BODY.name)
    numbers = torch.arange(count)
    status = torch.full((count,), int(Status.STALLED))
    photo = Image(np.full((48, 64, 3), 90, np.uint8), camera_of(64, 48), "a/b.jpg")
    fitted = Fit(estimate, numbers.float(), status, numbers, numbers + 7)
    notices = ("One keypoint was huge.",)
    return People(
        "a/b.jpg", BODY, see(BODY, estimate), estimate, fitted, notices=notices, image=photo if image else None
    )


def test_each_person_is_people_of_one_row():
    people = found()
    each = list(people)
    assert [len(person) for person in each] == [1, 1, 1]
    assert torch.equal(each[2].params.transl, people.params.transl[2:])
    assert torch.equal(people[-1].params.betas, people[2].params.betas)
    assert each[1].fitted is not None and float(each[1].fitted.energy) == 1.0
    with pytest.raises(IndexError, match="has 3 people, there is no person 3"):
        people[3]
    assert list(found(0)) == []


def test_bodies_are_drawn_over_the_photo_they_were_found_in():
    picture = found().draw()
    assert picture.size == (64, 48) and len(picture.getcolors(10**6) or []) > 1
    assert found(0).draw().getcolors() == [(64 * 48, (90, 90, 90))]
    with pytest.raises(ValueError, match="give it, draw"):
        found(image=False).draw()


@pytest.mark.parametrize("suffix", [".glb", ".obj", ".ply"])
def test_a_mesh_holds_everybody_or_the_one_asked_for(tmp_path, suffix):
    people = found()
    for person, count in ((None, 3), (1, 1)):
        people.save(tmp_path / f"all{suffix}", person)
        mesh = trimesh.load(tmp_path / f"all{suffix}", force="mesh", process=False)
        assert len(mesh.faces) == count * len(BODY.faces)  # pyright: ignore[reportAttributeAccessIssue]


def test_a_file_of_another_kind_and_a_mesh_of_nobody_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"people.fbx should end in .glb, .obj or .ply"):
        found().save(tmp_path / "people.fbx")
    with pytest.raises(ValueError, match="Nobody was found"):
        found(0).save(tmp_path / "people.glb")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("count", [0, 3])
def test_a_results_file_is_read_back_to_the_same_people(tmp_path, count):
    people = found(count)
    people.save(tmp_path / "people.npz")
    with np.load(tmp_path / "people.npz", allow_pickle=False) as arrays:
        again = People.from_arrays(arrays, BODY)
        kept = {key: arrays[key] for key in arrays.files}
    assert kept.pop("image_size").tolist() == [48, 64]
    for key, value in again.to_arrays().items():
        np.testing.assert_array_equal(value, kept.pop(key), err_msg=key)
    assert not kept and again.name == "a/b.jpg"


def test_people_of_another_body_are_not_read(tmp_path):
    arrays = found().to_arrays() | {"body": np.array("smpl-x")}
    with pytest.raises(ValueError, match="body 'smpl-x', not 'stick"):
        People.from_arrays(arrays, BODY)
