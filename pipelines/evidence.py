"""Which evidence a run uses: a detector, or the user's file."""

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
    return load_detector(config.detector)
