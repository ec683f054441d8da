"""People in photos: 2D keypoints, and 3D landmarks and silhouettes where the detector has them."""

from detection.detector import DetectionReport as DetectionReport
from detection.detector import Detector as Detector
from detection.files import KeypointFile as KeypointFile
from detection.listed import BadKeypoints as BadKeypoints
from detection.load import DETECTOR_NAMES as DETECTOR_NAMES
from detection.load import DetectorConfig as DetectorConfig
from detection.load import load_detector as load_detector
from detection.mediapipe import MediapipeConfig as MediapipeConfig
from detection.mediapipe import MediapipeDetector as MediapipeDetector
from detection.mmpose import MmposeConfig as MmposeConfig
from detection.mmpose import MmposeDetector as MmposeDetector
from detection.rtmlib import RtmlibConfig as RtmlibConfig
from detection.rtmlib import RtmlibDetector as RtmlibDetector
