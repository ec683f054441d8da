"""Which evidence a run uses: a detector, or the user's file."""

from detection import Detector, KeypointFile, load_detector
from detection.load import DetectorConfig
from detection.mediapipe import MediapipeConfig
from detection.mmpose import MmposeConfig
from detection.rtmlib import RtmlibConfig
from pipelines.run_config import StagesConfig


def choose_detector(config: StagesConfig) -> Detector:
    """Make the source of people that the options ask for.

    Raises:
        ValueError: If a file or a setting is missing or wrong.
        ImportError: If the detector's package is not installed; says how to get it.
    """
    if config.keypoints is not None:
        return KeypointFile(config.keypoints)
    return load_detector(config.detector, _settings(config))


def _settings(config: StagesConfig) -> DetectorConfig:
    boxes = None if config.boxes is None else str(config.boxes)
    if config.detector == "mmpose":
        return MmposeConfig(config.detector_config or "", config.detector_weights or "", config.device, boxes)
    if config.detector == "rtmlib":
        return RtmlibConfig(config.detector_weights or RtmlibConfig().model, config.device, boxes)
    return MediapipeConfig()
