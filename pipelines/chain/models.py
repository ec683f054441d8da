"""What the stages of a run work with."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from fitloop.body import Body, load_body
from fitloop.detection import Detector, KeypointFile
from fitloop.pipelines.chain.config import StagesConfig
from fitloop.pipelines.chain.refining import RefinementStage
from fitloop.pipelines.chain.sources import choose_detector, choose_regressor
from fitloop.pipelines.chain.tuning import TuningStage
from fitloop.pipelines.console.devices import open_device
from fitloop.regressor import Regressor


@dataclass(frozen=True)
class Models:
    """The models that the options ask for, each made when it is first needed."""

    config: StagesConfig = StagesConfig()

    def __post_init__(self) -> None:
        # A device that is not there is told before the first photo is searched.
        open_device(self.config.device)

    def expect(self, photos: Sequence[str]) -> None:
        """Open the keypoints, if a file has them, and see which photos they belong to, before the first photo."""
        if self.config.keypoints is not None and isinstance(self.detector, KeypointFile):
            self.detector.expect(photos)

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
    def tuning(self) -> TuningStage:
        """A guess -> what the network says after it was tuned to the person."""
        return TuningStage(self.regressor, self.config.test_time_steps)

    @cached_property
    def refinement(self) -> RefinementStage:
        """Fitted bodies -> bodies that agree with the photo's pixels."""
        return RefinementStage(self.body, self.config)
