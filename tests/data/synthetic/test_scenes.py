import numpy as np
import pytest
import torch

from fitloop.body import JOINT_NAMES, KeypointKinematics, load_body
from fitloop.data.synthetic import LANDMARKS, SceneConfig, render_person_scene
from fitloop.data.synthetic.placement import choose_backdrop, choose_camera, choose_person, place_main, place_other
from fitloop.data.synthetic.truth import HIDDEN, OUTSIDE, VISIBLE
from fitloop.geometry import Camera, project
from fitloop.rendering import load_rasterizer


def test_the_same_seed_gives_the_same_photo_and_another_seed_another(make_photo):
    first, again, other = make_photo(3, 1), make_photo(3, 1), make_photo(3, 2)
    assert np.array_equal(first.pixels, again.pixels)
    assert torch.equal(first.people[0].params.body_pose, again.people[0].params.body_pose)
    assert not np.array_equal(first.pixels, other.pixels)


def test_the_same_person_can_be_photographed_again(make_photo):
    first, second = (make_photo(3, index, people=(1, 1), same_person=True).people[0] for index in (1, 2))
    assert first.garments == second.garments and torch.equal(first.params.betas, second.params.betas)
    assert not torch.equal(first.params.body_pose, second.params.body_pose)
    other = make_photo(4, 1, people=(1, 1), same_person=True).people[0]
    assert not torch.equal(first.params.betas, other.params.betas)


def test_landmarks_are_those_of_the_body_with_the_true_parameters(make_photo):
    photo = make_photo(0, 0, people=(2, 2))
    kinematics = KeypointKinematics(load_body("open"), LANDMARKS)
    camera = Camera(torch.tensor(photo.view.focal), torch.tensor(photo.view.principal_point))
    for person in photo.people:
        points = kinematics(person.params)
        np.testing.assert_allclose(person.landmarks_3d, points.numpy(), atol=2e-4)
        np.testing.assert_allclose(person.landmarks_2d, project(points, camera).numpy(), atol=0.05)
        np.testing.assert_array_equal(person.joints, person.landmarks_3d[: len(JOINT_NAMES)])


def test_the_silhouette_and_depth_of_a_bare_body_are_those_of_the_rasterizer(assets, make_photo):
    photo = make_photo(0, 5, people=(1, 1), occluded=0.0, free_camera=1.0, truncated=0.0)
    person = photo.people[0]
    camera = Camera(torch.tensor(photo.view.focal), torch.tensor(photo.view.principal_point))
    body = load_body("open")
    bare = load_rasterizer("numba")(body(person.params).vertices, body.faces, camera, photo.view.size)
    # Clothes here lie within millimetres of the body, so only the rim differs.
    both, either = (person.mask & bare.covered.numpy()).sum(), (person.mask | bare.covered.numpy()).sum()
    assert both / either > 0.93
    inner = person.mask & bare.covered.numpy()
    assert np.median(np.abs(photo.maps.depth - bare.depth.numpy())[inner]) < 0.01


def test_normals_face_the_camera_and_parts_cover_the_person(make_photo):
    photo = make_photo(0, 7, occluded=0.0)
    seen = photo.maps.owners >= 0
    lengths = np.linalg.norm(photo.maps.normals, axis=-1)
    np.testing.assert_allclose(lengths[seen], 1.0, atol=1e-3)
    assert (photo.maps.normals[seen][:, 2] < 0.35).mean() > 0.98
    assert (photo.maps.parts[seen] >= 0).all() and (photo.maps.parts[photo.maps.owners < 0] == -1).all()
    assert (photo.maps.depth[seen] > 0).all() and (photo.maps.depth[photo.maps.owners == -1] == 0).all()


def test_landmarks_in_front_are_visible_and_those_behind_are_hidden(assets, make_photo):
    for index in range(6):
        photo = make_photo(1, index, people=(1, 1), occluded=0.0, truncated=0.0, free_camera=0.0, acrobatic=0.0)
        person = photo.people[0]
        eyes = [LANDMARKS.index(name) for name in ("left_eye", "right_eye")]
        depth = person.landmarks_3d[:, 2]
        head = depth[LANDMARKS.index("head")]
        for eye in eyes:
            if person.visibility[eye] == OUTSIDE:
                continue
            if depth[eye] > head + 0.07:
                assert person.visibility[eye] == HIDDEN


def test_landmarks_outside_the_picture_are_marked_so(make_photo):
    photo = make_photo(0, 2, truncated=1.0, person_height=(0.9, 1.0))
    height, width = photo.view.size
    for person in photo.people:
        x, y = person.landmarks_2d.T
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        np.testing.assert_array_equal(person.visibility == OUTSIDE, ~inside)
        assert set(person.visibility) <= {OUTSIDE, HIDDEN, VISIBLE}


def test_a_thing_in_front_hides_a_part_of_the_person(make_photo):
    shares = [make_photo(4, index, people=(1, 1), occluded=1.0).people[0].visible_share for index in range(6)]
    assert min(shares) < 0.9
    clear = [make_photo(4, index, people=(1, 1), occluded=0.0).people[0].visible_share for index in range(3)]
    assert clear == [1.0, 1.0, 1.0]


def test_people_stand_on_the_same_ground_below_the_camera(assets):
    config = SceneConfig(height=128, width=160, free_camera=0.0, truncated=0.0)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        backdrop = choose_backdrop(assets, assets.training, config, rng)
        plan = choose_camera(backdrop, config, rng)
        first, second = (choose_person(assets, assets.training, plan, config, rng) for _ in range(2))
        stood = first.vertices + place_main(first, plan, config, rng)
        beside = second.vertices + place_other(second, stood, plan, rng)
        ground = (stood @ plan.down).max()
        assert 0.7 <= ground <= 2.1
        assert (beside @ plan.down).max() == pytest.approx(ground, abs=1e-4)


def test_the_horizon_of_the_camera_is_that_of_the_background(assets):
    config = SceneConfig(height=128, width=160, free_camera=0.0, roll=0.0)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        backdrop = choose_backdrop(assets, assets.training, config, rng)
        plan = choose_camera(backdrop, config, rng)
        far = plan.rotation @ np.array([0.0, 0.0, -1e6])
        source = backdrop.source
        row = source.pixels.shape[0] / 2.0 - source.focal * np.tan(source.pitch)
        expected = 64.0 + (row - backdrop.center[1]) * backdrop.scale
        assert plan.view.screen(far[None])[0, 1] == pytest.approx(expected, abs=0.01)


def test_pixels_of_people_differ_from_the_background_and_are_neither_black_nor_white(make_photo):
    shades = []
    for index in range(6):
        photo = make_photo(8, index, occluded=0.0)
        shades.append(photo.pixels[photo.maps.owners == 0].mean())
    assert all(8 < shade < 250 for shade in shades) and np.ptp(shades) > 3


def test_without_maps_the_masks_remain(make_photo):
    with_maps, without = make_photo(0, 9), make_photo(0, 9, maps=False)
    assert without.maps is None and without.people[0].full_mask is None
    np.testing.assert_array_equal(with_maps.people[0].mask, without.people[0].mask)


def test_training_and_held_out_scenes_share_neither_places_nor_skins_nor_poses(assets):
    training, held_out = assets.training, assets.held_out
    place = {name.rpartition("_")[0] for name in training.backgrounds}
    assert place.isdisjoint(name.rpartition("_")[0] for name in held_out.backgrounds)
    for sex in (True, False):
        assert set(training.skins[sex]).isdisjoint(held_out.skins[sex])
    assert set(training.poses.names).isdisjoint(held_out.poses.names)
    for kind in ("male suit", "shoes", "hair", "top", "trousers"):
        names = {garment.name for garment in training.garments[kind]}
        assert names and names.isdisjoint(garment.name for garment in held_out.garments[kind])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"height": 8}, "at least 32 x 32"),
        ({"people": (0, 1)}, "at least 1 person"),
        ({"focal": (2.0, 1.0)}, "least to its greatest"),
        ({"occluded": 1.5}, "share between 0 and 1"),
    ],
)
def test_impossible_scenes_are_refused_with_the_reason(change, told):
    with pytest.raises(ValueError, match=told):
        SceneConfig(**change)


def test_an_unknown_split_is_refused(assets):
    with pytest.raises(ValueError, match="training, held-out"):
        assets.side("test")


def test_the_photo_does_not_change_the_assets(assets):
    before = assets.textures.texels.copy()
    render_person_scene(assets, (0, 1), SceneConfig(height=64, width=64))
    assert np.array_equal(before, assets.textures.texels)
