import os
from dataclasses import replace

import pytest
import torch
from toy import random_params

from fitloop.data.synthetic import LANDMARKS, SceneConfig, StoredPeople, SyntheticPeople, SyntheticPeopleBatch
from fitloop.geometry import Camera

SCENE = SceneConfig(height=32, width=40, maps=False)


class Drawer(SyntheticPeople):
    """Draws noise instead of people, and counts."""

    drawn = 0

    def __getitem__(self, index: int) -> SyntheticPeopleBatch:
        if not 0 <= index < len(self):
            raise IndexError(index)
        self.drawn += 1
        generator = torch.Generator().manual_seed(index)
        count = len(LANDMARKS)
        return SyntheticPeopleBatch(
            pixels=torch.randint(0, 256, (32, 40, 3), generator=generator, dtype=torch.uint8),
            params=random_params(seed=index),
            camera=Camera(torch.tensor(50.0), torch.tensor([20.0, 16.0])),
            landmarks_2d=torch.rand(count, 2, generator=generator),
            landmarks_3d=torch.rand(count, 3, generator=generator),
            visibility=torch.randint(0, 3, (count,), generator=generator),
            boxes=torch.rand(4, generator=generator),
            masks=torch.rand(32, 40, generator=generator) < 0.5,
        )


@pytest.fixture
def people(tmp_path) -> Drawer:
    return Drawer(tmp_path, length=100, config=SCENE)


def equal(first: SyntheticPeopleBatch, second: SyntheticPeopleBatch) -> bool:
    same = []
    first.map(lambda tensor: same.append(tensor) or tensor)
    other = []
    second.map(lambda tensor: other.append(tensor) or tensor)
    return all(a.dtype == b.dtype and torch.equal(a, b) for a, b in zip(same, other, strict=True))


def test_a_photo_is_drawn_once_and_read_the_same(tmp_path, people):
    store = StoredPeople(tmp_path / "kept", people)
    first = store[7]
    assert equal(store[7], first)
    assert equal(store[3], people[3])
    assert people.drawn == 3
    assert equal(StoredPeople(tmp_path / "kept", people)[7], first)
    assert people.drawn == 3


def test_what_was_never_drawn_is_not_taken_for_black(tmp_path, people):
    store = StoredPeople(tmp_path / "kept", people)
    store[50]
    assert equal(store[20], people[20])


def test_half_a_row_does_not_count(tmp_path, people):
    store = StoredPeople(tmp_path / "kept", people)
    whole = store[0]
    os.truncate(store.path, store.path.stat().st_size // 2)
    assert equal(store[0], whole)
    assert people.drawn == 2


def test_photos_of_another_kind_are_refused(tmp_path, people):
    StoredPeople(tmp_path / "kept", people)
    other = Drawer(tmp_path, length=100, config=replace(SCENE, occluded=0.9))
    with pytest.raises(ValueError, match="keeps other photos: scene differ"):
        StoredPeople(tmp_path / "kept", other)


def test_indices_end_where_the_photos_end(tmp_path, people):
    store = StoredPeople(tmp_path / "kept", people)
    assert len(store) == 100
    with pytest.raises(IndexError):
        store[100]


def test_a_full_disk_is_an_error_and_leaves_no_row(tmp_path, people, monkeypatch):
    store = StoredPeople(tmp_path / "kept", people)
    monkeypatch.setattr(os, "pwrite", lambda file, raw, place: len(raw) // 2)
    with pytest.raises(OSError, match="disk is full"):
        store[0]
    monkeypatch.undo()
    assert equal(store[0], people[0])
