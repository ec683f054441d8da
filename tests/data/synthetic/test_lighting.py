import numpy as np
import pytest

from fitloop.data.synthetic.lighting import light_of, panorama_directions

UP = np.array([0.0, -1.0, 0.0])


def test_an_even_sky_lights_every_surface_alike_by_its_radiance():
    light = light_of(np.full((32, 64, 3), 0.7))
    for normal in (UP, -UP, np.array([0.6, 0.0, 0.8])):
        sky, sun = light.on(normal)
        np.testing.assert_allclose(sky, 0.7, rtol=0.01)
        np.testing.assert_allclose(sun, 0.0, atol=1e-6)


def test_a_sky_that_is_bright_above_lights_upward_surfaces_as_half_and_half():
    radiance = np.where(panorama_directions(64, 128)[..., 1:2] < 0, 1.0, 0.0) * np.ones(3)
    light = light_of(radiance)
    np.testing.assert_allclose(light.on(UP)[0], 1.0, atol=0.08)
    np.testing.assert_allclose(light.on(-UP)[0], 0.0, atol=0.08)
    np.testing.assert_allclose(light.on(np.array([1.0, 0.0, 0.0]))[0], 0.5, atol=0.03)


def test_a_bright_spot_becomes_a_sun_with_its_power_and_direction():
    directions = panorama_directions(64, 128)
    towards = np.array([0.5, -0.6, 0.62])
    towards /= np.linalg.norm(towards)
    spot = directions @ towards > np.cos(np.radians(5.0))
    light = light_of(np.where(spot[..., None], 100.0, 0.1) * np.ones(3))
    assert light.sun_direction @ towards > 0.999
    solid = 2.0 * np.pi * (1.0 - np.cos(np.radians(5.0)))
    np.testing.assert_allclose(light.sun, 99.9 * solid / np.pi, rtol=0.15)


def test_turned_light_on_a_turned_surface_is_the_same():
    rng = np.random.default_rng(0)
    light = light_of(rng.uniform(0.0, 1.0, (16, 32, 3)) ** 4 * 10.0)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    rotation *= np.linalg.det(rotation)
    turned = light.turned(rotation)
    normal = np.array([0.36, -0.48, 0.8])
    for before, after in zip(light.on(normal), turned.on(rotation @ normal), strict=True):
        np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5)


def test_mirrored_light_falls_on_mirrored_surfaces():
    light = light_of(np.random.default_rng(1).uniform(0.0, 3.0, (16, 32, 3)))
    normal = np.array([0.36, -0.48, 0.8])
    for before, after in zip(light.on(normal), light.mirrored().on(normal * [-1, 1, 1]), strict=True):
        np.testing.assert_allclose(after, before, rtol=1e-5)


@pytest.mark.parametrize("brightness", [1e-3, 1.0, 1e3])
def test_exposure_brings_any_place_into_range(brightness):
    radiance = brightness * np.random.default_rng(2).uniform(0.0, 1.0, (16, 32, 3))
    light = light_of(radiance).tempered((0.4, 1.1), 3.0)
    total = light.sky[0].mean() + 0.5 * light.sun.mean()
    assert 0.35 < total < 1.15 and light.sun.mean() <= 3.01 * light.sky[0].mean()
