"""People in photos: 2D keypoints, and 3D landmarks and silhouettes where the detector has them."""

from fitloop.detection.detector import DetectionReport as DetectionReport
from fitloop.detection.detector import Detector as Detector
from fitloop.detection.files import KeypointFile as KeypointFile
from fitloop.detection.listed import BadKeypoints as BadKeypoints
from fitloop.detection.load import DETECTOR_NAMES as DETECTOR_NAMES
from fitloop.detection.load import DetectorConfig as DetectorConfig
from fitloop.detection.load import load_detector as load_detector
from fitloop.detection.mediapipe import MediapipeConfig as MediapipeConfig
from fitloop.detection.mediapipe import MediapipeDetector as MediapipeDetector
from fitloop.detection.mmpose import MmposeConfig as MmposeConfig
from fitloop.detection.mmpose import MmposeDetector as MmposeDetector
from fitloop.detection.rtmlib import RtmlibConfig as RtmlibConfig
from fitloop.detection.rtmlib import RtmlibDetector as RtmlibDetector
