"""Detectors by name."""

from typing import Literal

from detection.detector import Detector
from detection.mediapipe import MediapipeConfig, MediapipeDetector

DetectorName = Literal["mediapipe"]


def load_detector(name: str, config: MediapipeConfig | None = None) -> Detector:
    """Make a detector; its networks are read at its first call.

    Args:
        name: One of `DetectorName`.
        config: Settings of that detector; its defaults if not given.

    Raises:
        ValueError: If there is no such detector, or the settings are another one's; names the known ones.
    """
    if name != "mediapipe":
        raise ValueError(f"Unknown detector {name!r}; known: mediapipe.")
    return MediapipeDetector(config or MediapipeConfig())
