"""Offsets for hair and clothes on the bodies of a photo, after their refinement."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from body import Body, Image
from pipelines.refined_people import photo_of
from refinement import gather_evidence
from refinement.offset_space import offset_space
from refinement.offsets import OffsetConfig, find_offsets
from rendering import Rasterizer, load_rasterizer

if TYPE_CHECKING:
    from pipelines.people import People


@dataclass
class Dresser:
    """The last, optional stage, prepared once."""

    body: Body
    config: OffsetConfig = field(default_factory=OffsetConfig)

    def __post_init__(self) -> None:
        self._body = self.body.to("cpu")
        offset_space(self._body)
        self._rasterizer: Rasterizer = load_rasterizer("auto")

    def __call__(self, image: Image, people: "People") -> "People":
        """Clothe the people of a photo; those for whom nothing is gained stay bare, with a reason.

        Args:
            image: The photo that the people were found in.
            people: After refinement; without it they stay as they are.
        """
        refined = people.refined
        if refined is None or len(people) == 0:
            return people
        estimate, surface = refined.estimate.to("cpu"), None
        if self.config.dense > 0:
            surface = gather_evidence(self._body, refined.look, refined.displacement)
        offsets = find_offsets(self._body, photo_of(image, people), estimate, self._rasterizer, surface, self.config)
        return replace(people, offsets=offsets)
