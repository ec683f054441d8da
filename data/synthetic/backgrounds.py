"""Photos without people, and the camera and light that each was taken with."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import PIL.Image
from jaxtyping import Float, UInt8

from fitloop.data.mocap import HELD_OUT_PERCENT
from fitloop.data.synthetic.lighting import Light, light_of
from fitloop.data.synthetic.splits import held_out_of

_SIDE = 20
_CROPS_AROUND = 8


@dataclass(frozen=True)
class Background:
    """One photo of a place."""

    pixels: UInt8[np.ndarray, "side side 3"]
    light: Light
    """In the photo's camera frame if it were level: x right, y down, z forward and horizontal. Exposed as the photo."""
    pitch: float
    """Downward tilt of the camera, radians."""
    focal: float
    """Pixels of the photo."""


@dataclass(frozen=True)
class Places:
    """Panoramas of many places and perspective photos cut out of them."""

    folder: Path
    radiance: dict[str, np.ndarray]
    crops: tuple[str, ...]
    """File names."""

    def names(self, held_out: bool) -> list[str]:
        """File names of the photos of one side of the split, which is by place.

        Args:
            held_out: The side for testing instead of the one for training.
        """
        apart = held_out_of(sorted(self.radiance), HELD_OUT_PERCENT)
        return [name for name in self.crops if (_place(name) in apart) == held_out]

    def open(self, name: str) -> Background:
        """Read a photo and find its camera and light."""
        return _open(self.folder, name, _Radiance(self.radiance[_place(name)]))


class _Radiance:
    """A panorama that can be a key of a cache."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __hash__(self) -> int:
        return id(self.array)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Radiance) and other.array is self.array


def _place(name: str) -> str:
    return name.rpartition("_")[0]


def load_places(folder: Path) -> Places:
    """List the photos of ``crops`` and read ``lighting.npz``.

    Raises:
        FileNotFoundError: If one is missing.
    """
    path = folder / "lighting.npz"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; give the folder of assets that docs/synthetic.md describes.")
    with np.load(path, allow_pickle=False) as file:
        radiance = {
            str(name): panorama.astype(np.float32)
            for name, panorama in zip(file["names"], file["radiance"], strict=True)
        }
    crops = tuple(
        sorted(
            entry.name
            for entry in (folder / "crops").glob("*.jpg")
            if _place(entry.name.removesuffix(".jpg")) in radiance
        )
    )
    if not crops:
        raise FileNotFoundError(f"{folder / 'crops'} holds no photo of the places in {path}.")
    return Places(folder, radiance, tuple(name.removesuffix(".jpg") for name in crops))


@lru_cache(maxsize=400)
def _open(folder: Path, name: str, radiance: _Radiance) -> Background:
    with PIL.Image.open(folder / "crops" / f"{name}.jpg") as photo:
        pixels = np.asarray(photo.convert("RGB"))
    small = np.asarray(PIL.Image.fromarray(pixels).resize((_SIDE, _SIDE), PIL.Image.Resampling.BOX), np.float64) / 255.0
    linear = small**2.2
    turn = 2.0 * np.pi * int(name.rpartition("_")[2]) / _CROPS_AROUND
    yaw, pitch, field = _match(linear, radiance.array, turn)
    seen = _look(radiance.array, yaw, pitch, field)
    clear = (linear.max(-1) < 0.8) & (linear.min(-1) > 0.01)
    ratio = linear.mean(-1)[clear] / np.maximum(seen.mean(-1)[clear], 1e-6) if clear.sum() > 20 else np.array([1.0])
    cos, sin = np.cos(yaw), np.sin(yaw)
    level = np.array([[cos, 0.0, -sin], [0.0, 1.0, 0.0], [sin, 0.0, cos]])
    light = light_of(radiance.array).turned(level).scaled(float(np.median(ratio)))
    return Background(pixels, light, pitch, float(pixels.shape[1] / 2.0 / np.tan(field / 2.0)))


def _match(linear: np.ndarray, panorama: np.ndarray, turn: float) -> tuple[float, float, float]:
    """Yaw, downward pitch and field of view, radians, whose view of the panorama looks most like the photo."""
    photo = _normalized(linear)
    best = (-np.inf, turn, 0.0, np.radians(75.0))
    for field in np.radians([62.0, 70.0, 78.0]):
        for pitch in np.radians(np.arange(-10.0, 21.0, 4.0)):
            for yaw in turn + np.radians(np.arange(-12.0, 13.0, 6.0)):
                score = float((photo * _normalized(_look(panorama, yaw, pitch, field))).mean())
                best = max(best, (score, float(yaw), float(pitch), float(field)))
    return best[1:]


def _look(panorama: np.ndarray, yaw: float, pitch: float, field: float) -> Float[np.ndarray, "side side 3"]:
    ticks = (2.0 * (np.arange(_SIDE) + 0.5) / _SIDE - 1.0) * np.tan(field / 2.0)
    x, y = np.meshgrid(ticks, ticks)
    down = y * np.cos(pitch) + np.sin(pitch)
    forward = np.cos(pitch) - y * np.sin(pitch)
    longitude = np.arctan2(x, forward) + yaw
    latitude = np.arctan2(-down, np.hypot(x, forward))
    rows, columns = panorama.shape[:2]
    column = ((longitude / (2.0 * np.pi) + 0.5) * columns).astype(int) % columns
    row = ((0.5 - latitude / np.pi) * rows).astype(int).clip(0, rows - 1)
    return panorama[row, column]


def _normalized(linear: np.ndarray) -> np.ndarray:
    values = np.log(linear.mean(-1) + 0.01)
    return (values - values.mean()) / (values.std() + 1e-6)
