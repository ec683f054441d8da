"""The motion of one person: bodies of one shape over the frames of a clip."""

from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

from fitloop.body.params import BodyParams
from fitloop.geometry.cameras import Camera
from fitloop.geometry.records import TensorRecord


@dataclass(frozen=True)
class Motion(TensorRecord):
    """One person's bodies, one row per frame from the first to the last in which the person is followed.

    Frames without evidence in between are there, too, bridged by their neighbours.
    """

    params: BodyParams
    """Camera frame, metres; ``betas`` are the same in every row."""
    camera: Camera
    """One row per frame, pixels of the frame."""
    times: Float[Tensor, "frames"]
    """Time of each row in the clip, seconds."""
    seen: Bool[Tensor, "frames"]
    """Whether the frame had evidence of the person; where not, the body is bridged from its neighbours."""
    frame_rate: float
    """Rows per second."""
    to_world_rotation: Float[Tensor, "3 3"] | None = None
    """Camera to a world with z up (AMASS's frame); None where the camera moves or the floor is unknown."""
    to_world_translation: Float[Tensor, "3"] | None = None
    """Metres; a point x of the camera frame lies at ``rotation @ x + translation``, the floor at z = 0."""
    body: str = "open-1"
    """Name of the body model the parameters belong to."""
    track: int = 0
    """Number of the person in the clip."""
