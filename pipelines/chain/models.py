"""What the stages of a run work with."""

from dataclasses import dataclass
from functools import cached_property

from fitloop.body import Body, load_body
from fitloop.detection import Detector
from fitloop.pipelines.chain.config import StagesConfig
from fitloop.pipelines.chain.refining import RefinementStage
from fitloop.pipelines.chain.sources import choose_detector, choose_regressor
from fitloop.regressor import Regressor


@dataclass(frozen=True)
class Models:
    """The models that the options ask for, each made when it is first needed."""

    config: StagesConfig = StagesConfig()

    @cached_property
    def body(self) -> Body:
        """The body model that every stage speaks of."""
        return load_body(self.config.body).to(self.config.device)

    @cached_property
    def detector(self) -> Detector:
        """Photo -> people with 2D keypoints."""
        return choose_detector(self.config)

    @cached_property
    def regressor(self) -> Regressor:
        """Keypoints or pixels -> a first guess of the body."""
        return choose_regressor(self.config, self.body)

    @cached_property
    def refinement(self) -> RefinementStage:
        """Fitted bodies -> bodies that agree with the photo's pixels."""
        return RefinementStage(self.body, self.config)
