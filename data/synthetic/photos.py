"""One picture out of background and figures, as a camera would have taken it."""

import io
from dataclasses import dataclass

import numpy as np
import PIL.Image
import PIL.ImageFilter
from jaxtyping import Float, UInt8

from fitloop.data.synthetic.drawing import SUPERSAMPLING, Drawing, to_linear, to_srgb
from fitloop.data.synthetic.placement import Backdrop


def show_backdrop(
    backdrop: Backdrop, size: tuple[int, int], rng: np.random.Generator
) -> Float[np.ndarray, "height width 3"]:
    """The background as the picture shows it, sometimes out of focus; linear light."""
    height, width = size
    photo = PIL.Image.fromarray(backdrop.source.pixels)
    cos, sin = np.cos(backdrop.roll) / backdrop.scale, np.sin(backdrop.roll) / backdrop.scale
    x, y = backdrop.center
    move = (cos, sin, x - cos * width / 2.0 - sin * height / 2.0, -sin, cos, y + sin * width / 2.0 - cos * height / 2.0)
    if backdrop.scale < 1.0:
        photo = photo.filter(PIL.ImageFilter.GaussianBlur(float(0.4 / backdrop.scale)))
    shown = photo.transform((width, height), PIL.Image.Transform.AFFINE, move, PIL.Image.Resampling.BICUBIC)
    if rng.random() < 0.3:
        shown = shown.filter(PIL.ImageFilter.GaussianBlur(float(rng.uniform(0.002, 0.006)) * height))
    if backdrop.mirrored:
        shown = shown.transpose(PIL.Image.Transpose.FLIP_LEFT_RIGHT)
    return to_linear(np.asarray(shown))


def average(values: Float[np.ndarray, "rows columns channels"]) -> Float[np.ndarray, "height width channels"]:
    """Mean of each block of `SUPERSAMPLING` pixels."""
    result = values[::SUPERSAMPLING, ::SUPERSAMPLING].astype(np.float32)
    for row in range(SUPERSAMPLING):
        for column in range(SUPERSAMPLING):
            if row or column:
                result = result + values[row::SUPERSAMPLING, column::SUPERSAMPLING]
    return result / np.float32(SUPERSAMPLING**2)


def lay_over(
    ground: Float[np.ndarray, "height width 3"], drawing: Drawing, lit: Float[np.ndarray, "rows columns 3"]
) -> Float[np.ndarray, "height width 3"]:
    """Lay a drawing over a background, both linear; edges blend."""
    top, bottom, left, right = drawing.window
    cover = average(drawing.covered[..., None].astype(np.float32))
    light = average(lit)
    # A shoulder for highlights: film and sensors do not clip at once.
    bright = light > 0.7
    light[bright] = 0.7 + 0.3 * (1.0 - np.exp(-(light[bright] - 0.7) / 0.3))
    result = ground.copy()
    result[top:bottom, left:right] = (1.0 - cover) * ground[top:bottom, left:right] + light
    return result


def take(light: Float[np.ndarray, "height width 3"], rng: np.random.Generator) -> UInt8[np.ndarray, "height width 3"]:
    """Take the photo: exposure, white balance, blur, noise and JPEG, each drawn at random."""
    gain = np.exp(rng.normal(0.0, 0.12)) * np.exp(rng.normal(0.0, 0.03, 3))
    values = to_srgb(light * gain.astype(np.float32))
    contrast = float(np.exp(rng.normal(0.0, 0.06)))
    values = 0.5 + contrast * (values - 0.5) if rng.random() < 0.5 else values
    picture = PIL.Image.fromarray((255.0 * values.clip(0.0, 1.0)).astype(np.uint8))
    if rng.random() < 0.6:
        picture = picture.filter(PIL.ImageFilter.GaussianBlur(float(rng.uniform(0.2, 0.8))))
    if rng.random() < 0.6:
        picture = add_noise(picture, float(rng.uniform(0.003, 0.025)), rng)
    memory = io.BytesIO()
    picture.save(memory, "JPEG", quality=int(rng.integers(55, 96)))
    with PIL.Image.open(memory) as stored:
        return np.array(stored.convert("RGB"))


def add_noise(picture: PIL.Image.Image, strength: float, rng: np.random.Generator) -> PIL.Image.Image:
    """Add a sensor's noise, most of it the same in all channels; ``strength`` in shares of white."""
    pixels = np.asarray(picture).astype(np.float32)
    noise = rng.standard_normal(pixels.shape[:2], np.float32)[..., None] + 0.4 * rng.standard_normal(
        pixels.shape, np.float32
    )
    return PIL.Image.fromarray((pixels + 255.0 * strength * noise).clip(0, 255).astype(np.uint8))


@dataclass(frozen=True)
class Film:
    """What a video camera makes of light: the same in all frames of a clip but for the noise."""

    gain: Float[np.ndarray, "3"]
    contrast: float
    blur: float
    noise: float
    """Share of white."""

    @staticmethod
    def draw(rng: np.random.Generator) -> "Film":
        """Choose exposure, white balance, contrast, blur and noise at random."""
        gain = np.exp(rng.normal(0.0, 0.12)) * np.exp(rng.normal(0.0, 0.03, 3))
        contrast = float(np.exp(rng.normal(0.0, 0.06)))
        return Film(gain, contrast, float(rng.uniform(0.2, 0.7)), float(rng.uniform(0.003, 0.015)))

    def take(
        self, light: Float[np.ndarray, "height width 3"], rng: np.random.Generator
    ) -> UInt8[np.ndarray, "height width 3"]:
        """Take a frame of linear light; the noise comes from ``rng``."""
        values = 0.5 + self.contrast * (to_srgb(light * self.gain.astype(np.float32)) - 0.5)
        picture = PIL.Image.fromarray((255.0 * values.clip(0.0, 1.0)).astype(np.uint8))
        return np.asarray(add_noise(picture.filter(PIL.ImageFilter.GaussianBlur(self.blur)), self.noise, rng))
