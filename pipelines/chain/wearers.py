"""Who wears a person's texture."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.refinement.inputs import Appearance
from fitloop.refinement.person_texture import PersonTexture, photo_and_person


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
        # A number beyond the people found is told by `notices`, not an error: another detector may find more.
        if self.named:
            rows = [row for row in self._rows(photo) if row < len(boxes)]
        else:
            rows = [int((boxes[:, 2:] - boxes[:, :2]).prod(-1).argmax())] if len(boxes) else []
        if not rows:
            return None
        wearers = torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
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
