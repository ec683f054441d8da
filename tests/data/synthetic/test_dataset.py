import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from fitloop.data.synthetic import SceneConfig, SyntheticPeople, collate
from fitloop.data.synthetic.grades import GRADES, render_graded

SMALL = SceneConfig(height=64, width=64, maps=False)


def test_workers_give_the_same_samples_as_none(asset_folder):
    dataset = SyntheticPeople(asset_folder, 4, seed=7, config=SMALL, texture_side=32)
    alone = [dataset[index] for index in range(4)]
    loader = DataLoader(dataset, batch_size=2, num_workers=2, collate_fn=collate, multiprocessing_context="fork")
    for number, batch in enumerate(loader):
        assert batch.pixels.shape == (2, 64, 64, 3) and batch.params.body_pose.shape == (2, 23, 3, 3)
        for row in range(2):
            assert torch.equal(batch.pixels[row], alone[2 * number + row].pixels)
            # Workers run on one thread, so sums may be taken in another order: pixels agree, coordinates to rounding.
            expected = alone[2 * number + row].landmarks_2d
            torch.testing.assert_close(batch.landmarks_2d[row], expected, atol=1e-4, rtol=0)


def test_a_longer_dataset_begins_with_the_shorter_one(asset_folder):
    short, long = (SyntheticPeople(asset_folder, length, config=SMALL, texture_side=32) for length in (2, 5))
    assert torch.equal(short[1].pixels, long[1].pixels) and torch.equal(short[-1].pixels, long[1].pixels)


def test_the_box_holds_the_landmarks_inside_the_picture(asset_folder):
    sample = SyntheticPeople(asset_folder, 3, config=SMALL, texture_side=32)[2]
    joints = sample.landmarks_2d[:24][sample.visibility[:24] > 0]
    assert (joints >= sample.boxes[:2] - 0.5).all() and (joints <= sample.boxes[2:] + 0.5).all()


def test_wrong_lengths_and_indices_are_refused(asset_folder):
    with pytest.raises(ValueError, match="at least 0"):
        SyntheticPeople(asset_folder, -1)
    with pytest.raises(IndexError, match="asked for number 3"):
        SyntheticPeople(asset_folder, 3)[3]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="base_hm08.npz is missing"):
        SyntheticPeople(tmp_path / "nothing", 1)[0]


@pytest.mark.parametrize("grade", range(len(GRADES)))
def test_each_grade_is_as_hard_as_it_says(assets, grade):
    photo, given = render_graded(assets, 0, grade, per_grade=1)
    person = photo.people[0]
    assert given is GRADES[grade] and given.accepts(person)
    inside = (person.visibility > 0).mean()
    assert inside < 0.86 if given.name == "truncated" else inside > 0.98
    assert person.visible_share < 0.81 if given.name == "occluded" else person.visible_share > 0.96
    assert np.ptp(person.box[[1, 3]]) >= given.height[0]


def test_a_photo_beyond_the_benchmark_is_refused(assets):
    with pytest.raises(ValueError, match="has 5 photos, asked for number 5"):
        render_graded(assets, 0, 5, per_grade=1)
