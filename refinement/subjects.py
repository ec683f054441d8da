"""What refinement is told of the people of a photo, and what it says of them."""

from dataclasses import dataclass

from jaxtyping import Bool, Int
from torch import Tensor

from fitloop.body import BodyEstimate, Detections
from fitloop.geometry import TensorRecord
from fitloop.refinement.gate import Outcome, Reason
from fitloop.refinement.look import Look, Photo
from fitloop.refinement.network import Displacement
from fitloop.rendering.flow import Flow


@dataclass(frozen=True)
class Subjects:
    """The people of one photo whose bodies were fitted."""

    photo: Photo
    detections: Detections
    """The evidence that the bodies were fitted to."""
    fitted: BodyEstimate
    """At least one row."""
    usable: Bool[Tensor, "people"] | None = None
    """Whether each row really was fitted; all if not given."""
    guess: BodyEstimate | None = None
    """What the fits started from, with how sure that was; the correction reads it."""

    def __len__(self) -> int:
        return len(self.detections.boxes)


@dataclass(frozen=True)
class Refined(TensorRecord):
    """Bodies moved towards dense evidence, and what speaks for them; the better of two per person."""

    estimate: BodyEstimate
    """The refined body where it was taken, else the fitted one."""
    proposal: BodyEstimate
    """The refined body, taken or not."""
    reason: Int[Tensor, "people"]
    """Codes of `fitloop.refinement.Reason`."""
    outcome: Outcome
    """What the verdict rests on."""
    look: Look
    """The first round's, for pictures."""
    displacement: Displacement
    """The first round's prediction."""

    @property
    def flow(self) -> Flow:
        """The first round's prediction as a picture takes it."""
        look = self.look
        shown = look.drawn.fragments.covered & look.inside & look.seen[:, None, None]
        return Flow(self.displacement.offset, shown, look.crop.center, look.crop.side)

    @property
    def accepted(self) -> Bool[Tensor, "people"]:
        """Whose refined body was taken."""
        return self.reason == int(Reason.BETTER)
