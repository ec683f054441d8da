"""Which evidence a run uses: a detector, or the user's file."""

from detection.mmpose import MMPoseConfig
from detection.rtmlib import RtmlibConfig

from detection import Detector, KeypointFile, load_detector
from pipelines.run_config import StagesConfig


def choose_detector(config: StagesConfig) -> Detector:
    """Make the source of people that the options ask for.

    Raises:
        ValueError: If a file or a setting is missing or wrong.
        ImportError: If the detector's package is not installed; says how to get it.
    """
    if config.keypoints is not None:
        return KeypointFile(config.keypoints)
    if config.detector == "mmpose":
        if config.detector_config is None or config.detector_weights is None:
            raise ValueError("--detector mmpose needs --detector-config FILE.py and --detector-weights FILE.pth.")
        return load_detector("mmpose", MMPoseConfig(config.detector_config, config.detector_weights))
    if config.detector == "rtmlib":
        return load_detector("rtmlib", RtmlibConfig(config.detector_weights))
    return load_detector("mediapipe")
