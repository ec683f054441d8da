"""Detectors by name."""

from fitloop.detection.detector import Detector
from fitloop.detection.mediapipe import MediapipeConfig, MediapipeDetector
from fitloop.detection.mmpose import MmposeConfig, MmposeDetector
from fitloop.detection.rtmlib import RtmlibConfig, RtmlibDetector

DetectorConfig = MediapipeConfig | MmposeConfig | RtmlibConfig

_DETECTORS: dict[str, tuple[type, type]] = {
    "mediapipe": (MediapipeDetector, MediapipeConfig),
    "mmpose": (MmposeDetector, MmposeConfig),
    "rtmlib": (RtmlibDetector, RtmlibConfig),
}
DETECTOR_NAMES = tuple(_DETECTORS)
"""Names that `load_detector` knows."""


def load_detector(name: str = "mediapipe", config: DetectorConfig | None = None) -> Detector:
    """Make a detector; its networks are read at its first use, and its package is imported then.

        seen = fitloop.load_detector()(fitloop.load_image("photo.jpg"))

    Args:
        name: One of `DETECTOR_NAMES`.
        config: Settings of that detector; its defaults if not given.

    Raises:
        ValueError: If there is no such detector, or the settings are another one's; names the known ones.
        ImportError: If the detector's package is not installed; says how to install it.
    """
    if name not in _DETECTORS:
        raise ValueError(f"Unknown detector {name!r}; known: {', '.join(DETECTOR_NAMES)}.")
    make, kind = _DETECTORS[name]
    if config is not None and not isinstance(config, kind):
        raise ValueError(f"The detector {name} takes a {kind.__name__}, got {type(config).__name__}.")
    return make(kind() if config is None else config)
