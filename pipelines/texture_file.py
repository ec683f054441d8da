"""The file of a person's texture: plain arrays, written by `fitloop texture`, read by the main job."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from body import Body
from body.files import whole_file
from pipelines.run_config import photo_and_person
from refinement.inputs import Appearance
from refinement.texture import unknown_appearance

VERSION = 1
_ARRAYS = ("version", "body", "colors", "known", "betas", "photos")


@dataclass(frozen=True)
class PersonTexture:
    """Colours of one person's surface, and what they were taken from."""

    colors: UInt8[np.ndarray, "vertices 3"]
    """sRGB, one per vertex of the body."""
    known: Float[np.ndarray, "vertices"]
    """1: seen in a photo; 0.5: guessed from what was seen."""
    body: str
    """Name of the body whose vertices they are."""
    betas: Float[np.ndarray, "betas"]
    """The person's shape: median over the photos."""
    photos: tuple[str, ...]
    """What it was taken from, each as PHOTO:PERSON."""

    @property
    def fractions(self) -> Float[Tensor, "vertices 3"]:
        """SRGB in [0, 1]."""
        return torch.from_numpy(self.colors.astype(np.float32) / 255.0)

    def save(self, path: Path) -> None:
        """Write the file whole or not at all."""
        with whole_file(path) as file:
            np.savez_compressed(
                file,
                version=np.array(VERSION),
                body=np.array(self.body),
                colors=self.colors,
                known=self.known,
                betas=self.betas,
                photos=np.array(self.photos, dtype=np.str_),
            )

    def worn_by(self, wearers: Bool[Tensor, "people"]) -> Appearance:
        """The texture as refinement takes it: nothing is known of people who are not the one it belongs to."""
        nothing = unknown_appearance(len(wearers), len(self.colors))
        chosen = wearers.cpu()
        colors = torch.where(chosen[:, None, None], self.fractions, nothing.colors)
        known = torch.where(chosen[:, None], torch.from_numpy(self.known.astype(np.float32)), nothing.known)
        return Appearance(colors, known)


@dataclass(frozen=True)
class Wearers:
    """Who wears a person's texture in the photos of a run."""

    texture: PersonTexture
    named: tuple[str, ...] = ()
    """Each as PHOTO:PERSON; if there are none, the person with the largest box of every photo."""

    def appearance(self, photo: str, boxes: Float[Tensor, "people 4"]) -> Appearance | None:
        """What refinement is told of the people of a photo; None where nobody wears the texture.

        Args:
            photo: As results name it.
            boxes: Of its people, x y x y.
        """
        if self.named:
            rows = [row for row in self._rows(photo) if row < len(boxes)]
        else:
            rows = [int((boxes[:, 2:] - boxes[:, :2]).prod(-1).argmax())] if len(boxes) else []
        if not rows:
            return None
        wearers = torch.zeros(len(boxes), dtype=torch.bool)
        wearers[rows] = True
        return self.texture.worn_by(wearers)

    def notices(self, photo: str, people: int) -> tuple[str, ...]:
        """A sentence for each named person whom the photo does not show."""
        return tuple(
            f"--texture-people names person {row}, but the people found are {people}, counted from 0."
            for row in self._rows(photo)
            if row >= people
        )

    def _rows(self, photo: str) -> list[int]:
        return [row for name, row in map(photo_and_person, self.named) if name == photo]


def load_texture(path: Path, body: Body) -> PersonTexture:
    """Read a texture for a body.

    Args:
        path: From `fitloop texture`.
        body: Who shall wear it.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no texture, damaged, of a later version, or of another body.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no texture {path}; `fitloop texture` makes one from a finished run.")
    try:
        # numpy leaves a damaged archive open that it opened itself.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {name: file[name] for name in _ARRAYS}
    except (KeyError, ValueError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is no texture, or damaged; make it anew with `fitloop texture`.") from error
    if int(arrays["version"]) != VERSION:
        raise ValueError(f"{path} has version {int(arrays['version'])}, this program reads {VERSION}; make it anew.")
    if str(arrays["body"]) != body.name or arrays["colors"].shape != (len(body.template), 3):
        raise ValueError(
            f"{path} is a texture of body {str(arrays['body'])!r} with {len(arrays['colors'])} vertices, but this is "
            f"body {body.name!r} with {len(body.template)}; make one from a run with this body."
        )
    if arrays["colors"].dtype != np.uint8 or arrays["known"].shape != arrays["colors"].shape[:1]:
        raise ValueError(f"{path} is no texture: colors should be uint8 and known one number per vertex; make it anew.")
    photos = tuple(str(name) for name in arrays["photos"])
    return PersonTexture(arrays["colors"], arrays["known"], body.name, arrays["betas"].astype(np.float32), photos)
