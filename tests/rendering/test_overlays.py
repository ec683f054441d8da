"""Pictures of bodies over photos."""

import numpy as np
import pytest
import torch

from fitloop.geometry import Camera
from fitloop.rendering import OverlayStyle, draw_overlay, draw_side_view
from fitloop.rendering.overlays import TILE
from fitloop.rendering.shading import person_colors, shade, turn_about_vertical

OPAQUE = OverlayStyle(alpha=1.0)


@pytest.fixture
def photo():
    return np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)


@pytest.fixture
def camera():
    return Camera(torch.tensor(150.0), torch.tensor([60.0, 45.0]))


def _changed(picture, photo):
    return (picture != photo).any(-1)


def test_a_body_changes_only_the_pixels_that_it_touches(make_sphere, photo, camera):
    before = photo.copy()
    vertices, faces = make_sphere()
    picture = draw_overlay(photo, vertices[None], faces, camera)
    assert picture.shape == photo.shape and picture.dtype == np.uint8
    assert (photo == before).all(), "the photo is left alone"
    rows, columns = np.mgrid[:90, :120]
    distance = np.hypot(columns + 0.5 - 60, rows + 0.5 - 45)
    radius = 150 * 0.5 / (9 - 0.25) ** 0.5
    changed = _changed(picture, photo)
    assert changed[distance < radius - 2].mean() > 0.99 and not changed[distance > radius + 2].any()


def test_the_nearer_body_hides_the_farther_one_whatever_their_order(make_sphere, photo, camera):
    near, faces = make_sphere(center=(0.0, 0.0, 2.5))
    far, _ = make_sphere(center=(0.2, 0.0, 4.0))
    colors = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    first = draw_overlay(photo, torch.stack([near, far]), faces, camera, colors, OPAQUE)
    second = draw_overlay(photo, torch.stack([far, near]), faces, camera, colors.flip(0), OPAQUE)
    assert np.abs(first.astype(int) - second).max() <= 1
    middle = first[45, 60].astype(int)
    assert middle[0] > middle[2] + 50


def test_bodies_that_cross_hide_one_another_pixel_by_pixel(make_sphere, photo, camera):
    left, faces = make_sphere(center=(-0.2, 0.0, 3.0))
    right, _ = make_sphere(center=(0.2, 0.0, 3.0))
    colors = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    picture = draw_overlay(photo, torch.stack([left, right]), faces, camera, colors, OPAQUE).astype(int)
    assert picture[45, 50, 0] > picture[45, 50, 2] and picture[45, 70, 2] > picture[45, 70, 0]


def test_people_keep_their_own_cameras(make_sphere, photo, camera):
    vertices, faces = make_sphere()
    other = Camera(torch.tensor(75.0), torch.tensor([30.0, 20.0]))
    cameras = Camera(
        torch.stack([camera.focal, other.focal]), torch.stack([camera.principal_point, other.principal_point])
    )
    behind = vertices + torch.tensor([0.0, 0.0, 3.0])
    together = draw_overlay(photo, torch.stack([behind, vertices]), faces, cameras)
    alone = draw_overlay(photo, vertices[None], faces, other, person_colors(2)[1:])
    away = ~_changed(draw_overlay(photo, behind[None], faces, camera), photo)
    assert (together[away] == alone[away]).all() and _changed(alone, photo)[away].any()


def test_tiles_leave_no_seams(make_sphere, monkeypatch):
    vertices, faces = make_sphere()
    photo = np.zeros((TILE + 90, TILE + 120, 3), np.uint8)
    camera = Camera(torch.tensor(3.5 * TILE), torch.tensor([TILE + 1.0, TILE - 3.0]))
    tiled = draw_overlay(photo, vertices[None], faces, camera)
    monkeypatch.setattr("fitloop.rendering.overlays.TILE", 4096)
    whole = draw_overlay(photo, vertices[None], faces, camera)
    assert _changed(whole, photo).mean() > 0.3
    # Tiles round pixel coordinates differently, so a sample on an edge may fall to the other side.
    assert (np.abs(tiled.astype(int) - whole).max(-1) > 2).mean() < 1e-3


def test_edges_are_smooth_with_two_samples_and_hard_with_one(make_sphere, camera):
    vertices, faces = make_sphere()
    photo = np.zeros((90, 120, 3), np.uint8)
    white = torch.ones(1, 3)
    faintest = []
    for samples in (1, 2):
        picture = draw_overlay(photo, vertices[None], faces, camera, white, OverlayStyle(1.0, samples))
        faintest.append(int(picture[..., 1][picture[..., 1] > 0].min()))
    assert faintest[1] < 0.5 * faintest[0], "a quarter of a pixel at the border gives a quarter of the colour"


def test_alpha_mixes_body_and_photo(make_sphere, photo, camera):
    vertices, faces = make_sphere()
    clear = draw_overlay(photo, vertices[None], faces, camera, style=OverlayStyle(alpha=0.0))
    assert (clear == photo).all()
    full = draw_overlay(photo, vertices[None], faces, camera, style=OPAQUE).astype(float)
    half = draw_overlay(photo, vertices[None], faces, camera, style=OverlayStyle(alpha=0.5))
    inside = (slice(40, 50), slice(50, 70))
    assert np.abs(half[inside] - (full[inside] + photo[inside]) / 2).max() <= 1.5


def test_nobody_and_people_out_of_sight_leave_the_photo_as_it_is(make_sphere, photo, camera):
    vertices, faces = make_sphere()
    out_of_sight = (
        vertices[None][:0],
        (vertices * torch.tensor([1.0, 1.0, -1.0]))[None],
        (vertices + torch.tensor([100.0, 0.0, 0.0]))[None],
        torch.full_like(vertices, torch.nan)[None],
    )
    for people in out_of_sight:
        assert (draw_overlay(photo, people, faces, camera) == photo).all()


def test_a_wrong_number_of_colours_or_cameras_is_refused(make_sphere, photo, camera):
    vertices, faces = make_sphere()
    people = vertices.expand(2, -1, -1)
    with pytest.raises(ValueError, match="There are 2 people, 3 colours"):
        draw_overlay(photo, people, faces, camera, person_colors(3))
    with pytest.raises(ValueError, match=r"cameras of shape \(3,\)"):
        draw_overlay(photo, people, faces, camera.map(lambda tensor: tensor.expand((3, *tensor.shape))))
    with pytest.raises(ValueError, match="alpha lies between 0 and 1, got 2"):
        OverlayStyle(alpha=2.0)
    with pytest.raises(ValueError, match="samples lies between 1 and 4, got 9"):
        OverlayStyle(samples=9)


def test_the_side_view_is_filled_by_the_body_wherever_it_stands(make_sphere):
    vertices, faces = make_sphere()
    tall = (vertices - torch.tensor([0.0, 0.0, 3.0])) * torch.tensor([0.3, 1.0, 0.3])
    places = torch.tensor([[0.0, 0.0, 3.0], [9.0, 2.0, -4.0]])
    pictures = [draw_side_view(tall + place, faces, (200, 100)) for place in places]
    assert np.abs(pictures[0].astype(int) - pictures[1]).max() <= 4
    blue = pictures[0][..., 2].astype(int) - pictures[0][..., 0] > 25
    rows, columns = np.nonzero(blue)
    assert 160 <= np.ptp(rows) <= 180 and abs(columns.mean() - 50) < 1.5


def test_the_side_view_shows_what_lies_behind_on_the_right(make_sphere):
    vertices, faces = make_sphere()
    deep = (vertices - torch.tensor([0.0, 0.0, 3.0])) * torch.tensor([0.1, 0.5, 1.0])
    turned = turn_about_vertical(deep + torch.tensor([4.0, 0.0, 9.0]), 90.0)
    behind = deep[:, 2].argmax()
    assert turned[behind, 0] == pytest.approx(float(turned[:, 0].max()), abs=1e-5)
    assert np.ptp(turned[:, 0].numpy()) == pytest.approx(1.0, abs=1e-3)


def test_a_body_that_is_not_finite_has_no_side_view(make_sphere):
    vertices, faces = make_sphere()
    with pytest.raises(ValueError, match="finite vertices"):
        draw_side_view(vertices * torch.nan, faces, (20, 20))


@pytest.mark.parametrize("batch", [(), (1,), (2, 3)])
def test_light_falls_from_above_and_colours_stay_in_range(make_sphere, batch):
    vertices, faces = make_sphere()
    people = vertices.expand(*batch, -1, -1) if batch else vertices
    colors = torch.tensor([[0.5, 0.5, 0.5]]).expand(*batch, 1, 3)
    shaded = shade(people, faces, colors)
    assert shaded.shape == people.shape and shaded.amin() >= 0 and shaded.amax() <= 1
    front = vertices[:, 2] < 2.8
    top, bottom = front & (vertices[:, 1] < -0.3), front & (vertices[:, 1] > 0.3)
    assert (shaded[..., top, :].mean((-1, -2)) > shaded[..., bottom, :].mean((-1, -2)) + 0.1).all()


def test_compiled_creases_are_as_dark_as_those_of_the_readable_twin(make_sphere):
    ball, faces = make_sphere()
    vertices = torch.stack([ball, ball * (1.0 + 0.1 * (40.0 * ball[:, 1:2]).sin())])
    colors = torch.full((2, 1, 3), 0.5)
    # A mesh that keeps its gradient takes the readable way.
    readable = shade(vertices.clone().requires_grad_(), faces, colors).detach()
    shaded = shade(vertices, faces, colors)
    torch.testing.assert_close(shaded, readable, rtol=0, atol=1e-4)
    assert shaded[1].std() > shaded[0].std() + 0.02, "creases are dark"
