"""Which regressor a run uses, for whichever body."""

from body import Body, BodyEstimate, Detections, Image, load_body
from body.transfer import transfer
from fitting import AFTER_REGRESSION, FitConfig
from geometry import Camera
from pipelines.run_config import StagesConfig
from regressor import Regressor, load_regressor
from regressor.regressor import SHIPPED


class TransferredRegressor:
    """A regressor of one body that serves another."""

    def __init__(self, regressor: Regressor, source: Body, target: Body) -> None:
        self.name = regressor.name
        self.regressor, self.source, self.target = regressor, source, target

    def __call__(self, image: Image | None, detections: Detections, camera: Camera) -> BodyEstimate:
        """Guess the open body and give its pose to the other."""
        return transfer(self.regressor(image, detections, camera), self.source, self.target)


def choose_regressor(config: StagesConfig, body: Body) -> Regressor:
    """Make the regressor that the options ask for.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a checkpoint is damaged or belongs to another body.
    """
    open_body = load_body("open").to(body.template.device)
    if config.regressor in SHIPPED and body.name != open_body.name:
        return TransferredRegressor(load_regressor(config.regressor, open_body), open_body, body)
    return load_regressor(config.regressor, body)


def fit_after(regressor: Regressor) -> FitConfig:
    """How its guesses are fitted: a guess is held on to, unless it is the mean pose, which saw nothing."""
    return FitConfig() if regressor.name == "mean" else AFTER_REGRESSION
