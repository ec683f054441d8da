"""The file of a person's texture: plain arrays, written by `fitloop texture`, read by the main job."""

import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from fitloop.body import Body, BodyEstimate
from fitloop.body.files import whole_file
from fitloop.refinement.inpainting import fill_over_surface
from fitloop.refinement.inputs import Appearance
from fitloop.refinement.texture import SEEN, merge_appearances, unknown_appearance

MIN_SHARED = 100
"""Vertices that a photo must share with others to be compared with them."""


@dataclass(frozen=True)
class Chosen:
    """The person in one photo."""

    photo: str
    person: int
    estimate: BodyEstimate
    """One row."""
    box: Float[Tensor, "1 4"]
    size: tuple[int, int]
    """Height and width of the photo when the run read it."""

    @property
    def name(self) -> str:
        """As ``--people`` names it."""
        return f"{self.photo}:{self.person}"


@dataclass(frozen=True)
class Contribution:
    """What one photo gave."""

    chosen: Chosen
    look: Appearance
    masked: bool
    """Whether the detector's silhouette was used."""
    distance: float = float("nan")
    """Median distance (RGB in [0, 1]) from what the other photos show of the same surface; NaN where they show less
    than `MIN_SHARED` vertices of it."""

    @property
    def share(self) -> float:
        """Share of the vertices that the photo shows."""
        return float((self.look.known > SEEN).float().mean())


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
        place = wearers.device
        nothing = unknown_appearance(len(wearers), len(self.colors), place)
        colors, known = self.fractions.to(place), torch.from_numpy(self.known.astype(np.float32)).to(place)
        return Appearance(
            torch.where(wearers[:, None, None], colors, nothing.colors),
            torch.where(wearers[:, None], known, nothing.known),
        )


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


def photo_and_person(name: str) -> tuple[str, int]:
    """Photo and row of a person named as PHOTO:PERSON.

    Raises:
        ValueError: If the name is none.
    """
    photo, _, row = name.rpartition(":")
    if not photo or not (row.isascii() and row.isdigit()):
        raise ValueError(f"A person is named as PHOTO:PERSON, such as a.jpg:0, got {name!r}.")
    return photo, int(row)


def make_texture(body: Body, given: list[Contribution]) -> tuple[PersonTexture, list[Contribution]]:
    """Merge what photos gave and continue it over the surface.

    Args:
        body: The body model.
        given: From `gather_colors`, at least one.

    Returns:
        The texture, and the contributions with their distances from it.

    Raises:
        ValueError: If no photo shows any of the surface.
    """
    merged = merge_appearances([one.look for one in given])
    if not bool((merged.known > 0).any()):
        raise ValueError("No photo shows enough of the person's surface to take colours from.")
    whole = fill_over_surface(body, merged)
    told = [replace(one, distance=_distance(one, [other for other in given if other is not one])) for one in given]
    # A median: one photo in which the body was fitted badly must not change the person's shape.
    betas = torch.cat([one.chosen.estimate.params.betas for one in given]).median(0).values
    colors = (255.0 * whole.colors[0]).round().clamp(0, 255).byte().cpu().numpy()
    names = tuple(one.chosen.name for one in given)
    return PersonTexture(colors, whole.known[0].cpu().numpy(), body.name, betas.cpu().numpy(), names), told


def _distance(one: Contribution, others: list[Contribution]) -> float:
    if not others:
        return float("nan")
    merged = merge_appearances([other.look for other in others])
    shared = (one.look.known > SEEN) & (merged.known > 0)
    apart = (one.look.colors - merged.colors).norm(dim=-1)[shared]
    return float(apart.median()) if len(apart) >= MIN_SHARED else float("nan")
