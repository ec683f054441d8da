import torch

from fitloop.geometry import Crop, camera_of, project
from fitloop.refinement.crops import crop_camera, crop_of_bodies, cut_photo, cut_silhouettes
from fitloop.refinement.evidence import inside_photo


def square(center, side) -> Crop:
    return Crop(torch.tensor([center]), torch.tensor([float(side)]), torch.zeros(1))


def test_the_crop_camera_sees_points_where_the_crop_shows_them():
    camera = camera_of(640, 480).map(lambda value: value[None])
    points = torch.tensor([[[0.2, -0.4, 3.0], [0.1, 0.3, 2.0]]])
    crop = square((300.0, 200.0), 240.0)
    there = project(points, crop_camera(camera, crop, 128))
    expected = (project(points, camera) - torch.tensor([180.0, 80.0])) * 128 / 240
    torch.testing.assert_close(there, expected)


def test_the_crop_holds_the_part_of_the_body_in_the_photo():
    pixels = torch.tensor([[[-50.0, 20.0], [40.0, 70.0]]])
    crop = crop_of_bodies(pixels, torch.ones(1, 2), (100, 200), margin=1.0)
    torch.testing.assert_close(crop.center, torch.tensor([[20.0, 45.0]]))
    torch.testing.assert_close(crop.side, torch.tensor([50.0]))


def test_bodies_off_the_photo_or_behind_the_camera_have_no_crop():
    pixels = torch.tensor([[[300.0, 20.0], [340.0, 70.0]], [[20.0, 20.0], [60.0, 60.0]]])
    depth = torch.tensor([[2.0, 2.0], [-1.0, -1.0]])
    assert (crop_of_bodies(pixels, depth, (100, 200)).side == 0).all()


def test_a_cut_of_the_photo_s_own_size_is_the_photo():
    photo = (torch.rand(64, 64, 3, generator=torch.Generator().manual_seed(0)) * 255).byte()
    cut = cut_photo(photo, square((32.0, 32.0), 64.0), 64)
    torch.testing.assert_close(cut[0], photo.permute(2, 0, 1).float() / 255.0)


def test_large_squares_are_averaged_and_what_lies_outside_is_black():
    photo = torch.full((400, 400, 3), 100, dtype=torch.uint8)
    photo[::2] = 200
    cut = cut_photo(photo, square((400.0, 200.0), 400.0), 50)
    torch.testing.assert_close(cut[0, :, 5:45, 3:22], torch.full((3, 40, 19), 150.0 / 255.0), atol=2e-3, rtol=0)
    assert (cut[0, :, :, 28:] == 0).all()
    assert (cut_photo(photo, square((4000.0, 200.0), 100.0), 50) == 0).all()


def test_photos_smaller_than_the_crop_are_enlarged():
    photo = torch.zeros(20, 20, 3, dtype=torch.uint8)
    photo[:, 10:] = 255
    cut = cut_photo(photo, square((10.0, 10.0), 20.0), 128)
    # The outermost half pixel of the photo fades into the black around it.
    assert (cut[0, :, :, :60] < 0.01).all() and (cut[0, :, 4:-4, 68:-4] > 0.99).all()


def test_silhouettes_are_cut_as_photos_are():
    grid = torch.zeros(1, 40, 40)
    grid[:, 10:30, 20:] = 1.0
    cut = cut_silhouettes(grid, torch.tensor([[100.0, 100.0, 180.0, 180.0]]), square((140.0, 140.0), 80.0), 40)
    torch.testing.assert_close(cut, grid)


def test_pixels_beyond_the_border_are_not_inside():
    inside = inside_photo(square((0.0, 50.0), 40.0), 8, (100, 100))
    assert not inside[0, :, :4].any() and inside[0, :, 4:].all()
