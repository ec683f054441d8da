"""Which regressor a run uses, for whichever body."""

from dataclasses import replace

from fitloop.body import Body, BodyEstimate, Detections, Image, load_body
from fitloop.body.transfer import transfer
from fitloop.detection import Detector, KeypointFile, load_detector
from fitloop.detection.load import DetectorConfig
from fitloop.detection.mediapipe import MediapipeConfig
from fitloop.detection.mmpose import MmposeConfig
from fitloop.detection.rtmlib import RtmlibConfig
from fitloop.fitting import AFTER_REGRESSION, FitConfig
from fitloop.fitting.config import Start
from fitloop.fitting.starts import LIMBS
from fitloop.geometry import Camera
from fitloop.pipelines.chain.config import SourcesConfig, Starts
from fitloop.regressor import Regressor, load_regressor
from fitloop.regressor.regressor import SHIPPED

FOUR_TURNS: tuple[Start, ...] = ("mean", "yaw90", "back", "yaw270")


class TransferredRegressor:
    """A regressor of one body that serves another."""

    def __init__(self, regressor: Regressor, source: Body, target: Body) -> None:
        self.name = regressor.name
        self.regressor, self.source, self.target = regressor, source, target

    def __call__(self, image: Image | None, detections: Detections, camera: Camera) -> BodyEstimate:
        """Guess the open body and give its pose to the other, as sure as the guess was."""
        return self.over(self.regressor(image, detections, camera))

    def over(self, guess: BodyEstimate) -> BodyEstimate:
        """The same pose of the other body."""
        return replace(transfer(guess, self.source, self.target), uncertainty=guess.uncertainty)


def choose_regressor(config: SourcesConfig, body: Body) -> Regressor:
    """Make the regressor that the options ask for.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a checkpoint is damaged or belongs to another body.
    """
    open_body = load_body("open").to(body.template.device)
    if config.regressor in SHIPPED and body.name != open_body.name:
        return TransferredRegressor(load_regressor(config.regressor, open_body), open_body, body)
    return load_regressor(config.regressor, body)


def fit_after(regressor: Regressor, starts: Starts = "auto") -> FitConfig:
    """How its guesses are fitted: a guess is held on to, unless it is the mean pose, which saw nothing.

    Args:
        regressor: Whose guesses.
        starts: ``one`` starts at the guess alone; ``four`` also at the mean pose in four turns; ``auto`` only at the
            guess, and where the network is unsure which way a person faces and the detector gave no 3D landmarks,
            at the guess turned around. The mean pose itself gets its four turns by ``auto`` too, and limbs mirrored in
            depth, which help who knows nothing and mislead a guess.
    """
    guessed_nothing = regressor.name == "mean"
    plain = FitConfig() if guessed_nothing else AFTER_REGRESSION
    if starts == "one":
        return plain
    if guessed_nothing:
        return replace(plain, starts=FOUR_TURNS, limb_flips=tuple(LIMBS))
    if starts == "four":
        return replace(plain, starts=("init", *FOUR_TURNS))
    return replace(plain, doubtful_starts=("side",))


def choose_detector(config: SourcesConfig) -> Detector:
    """Make the source of people that the options ask for.

    Raises:
        ValueError: If a file or a setting is missing or wrong.
        ImportError: If the detector's package is not installed; says how to get it.
    """
    if config.keypoints is not None:
        return KeypointFile(config.keypoints)
    return load_detector(config.detector, _settings(config))


def _settings(config: SourcesConfig) -> DetectorConfig:
    boxes = None if config.boxes is None else str(config.boxes)
    if config.detector == "mmpose":
        return MmposeConfig(config.detector_config or "", config.detector_weights or "", config.device, boxes)
    if config.detector == "rtmlib":
        model, finder = config.detector_weights or RtmlibConfig().model, config.finder or RtmlibConfig().finder
        return RtmlibConfig(model, config.device, boxes, finder)
    return MediapipeConfig()
