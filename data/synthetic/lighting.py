"""Light of a place: what its panorama sends from each direction, as a smooth sky and one sun."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

_SUN_RADIUS = np.radians(12.0)


@dataclass(frozen=True)
class Light:
    """Light on a small surface, in the frame that the panorama is turned to; units of the panorama's radiance."""

    sky: Float[np.ndarray, "9 3"]
    """Irradiance over pi by normal (x, y, z), for 1, y, z, x, xy, yz, 3z^2 - 1, xz, x^2 - y^2
    (Ramamoorthi and Hanrahan 2001)."""
    sun_direction: Float[np.ndarray, "3"]
    """Unit vector towards the brightest spot."""
    sun: Float[np.ndarray, "3"]
    """Irradiance over pi of a surface that faces it."""

    def turned(self, rotation: Float[np.ndarray, "3 3"]) -> "Light":
        """The same light in another frame.

        Args:
            rotation: From the frame of this light to the new one.
        """
        samples = _sphere_samples()
        values = _basis(samples @ rotation) @ self.sky
        sky = np.linalg.lstsq(_basis(samples), values, rcond=None)[0]
        return Light(sky.astype(np.float32), rotation @ self.sun_direction, self.sun)

    def on(self, normal: Float[np.ndarray, "3"]) -> tuple[np.ndarray, np.ndarray]:
        """Irradiance over pi from the sky and from the sun on a surface with this normal."""
        sky = np.maximum(_basis(normal[None])[0] @ self.sky, 0.0)
        return sky, self.sun * max(float(normal @ self.sun_direction), 0.0)

    def mirrored(self) -> "Light":
        """The same light with left and right swapped."""
        sign = np.array([1, 1, 1, -1, -1, 1, 1, -1, 1], np.float32)[:, None]
        return Light(self.sky * sign, self.sun_direction * np.array([-1.0, 1.0, 1.0]), self.sun)

    def tempered(self, exposure: tuple[float, float], max_sun: float) -> "Light":
        """The same light, exposed so that a person is neither black nor white, its colour casts halved.

        Args:
            exposure: Least and greatest mean irradiance over pi that is kept as it is.
            max_sun: The sun in multiples of the sky, at most.
        """
        around, direct = float(self.sky[0].mean()), float(self.sun.mean())
        strength = min(1.0, max_sun * around / max(direct, 1e-9))
        total = around + 0.5 * strength * direct
        factor = float(np.clip(total, *exposure)) / max(total, 1e-9)
        sky = factor * (0.5 * self.sky + 0.5 * self.sky.mean(-1, keepdims=True))
        sun = factor * strength * (0.5 * self.sun + 0.5 * direct)
        # Light that comes back from everything around keeps the dark side from going black.
        sky[1:] *= 0.75
        return Light(sky.astype(np.float32), self.sun_direction, sun.astype(np.float32))

    def scaled(self, factor: float) -> "Light":
        """The same light, brighter or darker."""
        return Light(self.sky * np.float32(factor), self.sun_direction, self.sun * np.float32(factor))


def panorama_directions(rows: int, columns: int) -> Float[np.ndarray, "rows columns 3"]:
    """Unit vectors of an equirectangular picture's pixels: x right, y down, z into the middle of the picture."""
    longitude = ((np.arange(columns) + 0.5) / columns - 0.5) * 2.0 * np.pi
    latitude = (0.5 - (np.arange(rows) + 0.5) / rows) * np.pi
    flat = np.cos(latitude)[:, None]
    height = np.broadcast_to(-np.sin(latitude)[:, None], (rows, columns))
    return np.stack([flat * np.sin(longitude), height, flat * np.cos(longitude)], -1)


def light_of(radiance: Float[np.ndarray, "rows columns 3"]) -> Light:
    """Split a panorama into a sky and a sun.

    Args:
        radiance: Linear RGB, equirectangular.
    """
    rows, columns = radiance.shape[:2]
    directions = panorama_directions(rows, columns)
    solid = np.broadcast_to(
        np.sqrt(1.0 - directions[..., 1] ** 2) * (np.pi / rows) * (2.0 * np.pi / columns), (rows, columns)
    )
    radiance = np.maximum(radiance.astype(np.float64), 0.0)
    luminance = radiance.mean(-1)
    middle = directions[np.unravel_index(luminance.argmax(), luminance.shape)]
    near = directions @ middle > np.cos(_SUN_RADIUS)
    around = np.median(radiance[(directions @ middle > np.cos(2.0 * _SUN_RADIUS)) & ~near], axis=0)
    excess = np.where(near[..., None], np.maximum(radiance - around, 0.0), 0.0)
    power = (excess * solid[..., None]).sum((0, 1))
    direction = (directions * (excess.mean(-1) * solid)[..., None]).sum((0, 1))
    direction = direction / max(float(np.linalg.norm(direction)), 1e-9)
    return Light(
        _irradiance(radiance - excess, directions, solid).astype(np.float32),
        direction,
        (power / np.pi).astype(np.float32),
    )


def _irradiance(radiance: np.ndarray, directions: np.ndarray, solid: np.ndarray) -> np.ndarray:
    """Least-squares fit of the basis to the irradiance at some normals: exact for skies of order 2."""
    normals = _sphere_samples()
    cosine = np.maximum(normals @ directions.reshape(-1, 3).T, 0.0)
    irradiance = cosine @ (radiance * solid[..., None]).reshape(-1, 3) / np.pi
    return np.linalg.lstsq(_basis(normals), irradiance, rcond=None)[0]


def _basis(n: np.ndarray) -> np.ndarray:
    x, y, z = n.T
    return np.stack([np.ones_like(x), y, z, x, x * y, y * z, 3.0 * z * z - 1.0, x * z, x * x - y * y], -1)


def _sphere_samples(count: int = 200) -> np.ndarray:
    """Directions spread evenly (Fibonacci)."""
    height = 1.0 - (2.0 * np.arange(count) + 1.0) / count
    angle = np.pi * (3.0 - 5.0**0.5) * np.arange(count)
    flat = np.sqrt(1.0 - height**2)
    return np.stack([flat * np.cos(angle), height, flat * np.sin(angle)], -1)
