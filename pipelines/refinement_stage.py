"""Everything that ``--refine`` brings into the main job, each part made when it is first needed."""

from dataclasses import dataclass
from functools import cached_property

from body import Body, Image
from detection import MediapipeDetector
from pipelines.clothed import Dresser
from pipelines.people import People
from pipelines.refine import Refiner
from pipelines.refined_people import refine_people, with_silhouettes
from pipelines.run_config import StagesConfig
from pipelines.texture_file import Wearers, load_texture


@dataclass(frozen=True)
class RefinementStage:
    """Fitted people in, people that agree with the pixels out; clothed if asked for."""

    body: Body
    config: StagesConfig

    def __call__(self, image: Image, people: People) -> People:
        """Refine the people of a photo; the better of two bodies is kept."""
        seen = with_silhouettes(self.segmenter, image, people)
        refined = refine_people(self.refiner, image, seen, self.wearers)
        return self.dresser(image, refined) if self.config.offsets else refined

    @cached_property
    def segmenter(self) -> MediapipeDetector:
        """Boxes -> silhouettes, for evidence that comes without."""
        return MediapipeDetector()

    @cached_property
    def refiner(self) -> Refiner:
        """Fitted bodies -> bodies where the photo shows them."""
        return Refiner(self.body)

    @cached_property
    def wearers(self) -> Wearers | None:
        """Who wears a texture that `fitloop texture` made."""
        if self.config.texture is None:
            return None
        return Wearers(load_texture(self.config.texture, self.body), self.config.texture_people)

    @cached_property
    def dresser(self) -> Dresser:
        """Refined bodies -> the same with hair and clothes."""
        return Dresser(self.body)
