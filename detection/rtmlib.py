"""RTMPose and RTMO models in ONNX, run by rtmlib through ONNX Runtime: no mmcv, no mmpose. Imported when first used."""

import contextlib
import importlib
import importlib.util
import io
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from fitloop.body.keypoints import COCO_17, HALPE_26, WHOLEBODY_133
from fitloop.body.records import Detections, Image
from fitloop.detection.detector import DetectionReport
from fitloop.detection.listed import nobody
from fitloop.detection.mediapipe import MediapipeConfig
from fitloop.detection.topdown import KeypointColumns, TopDownDetector, arranged

_logger = logging.getLogger(__name__)

_CONVENTIONS = {len(convention): convention for convention in (COCO_17, HALPE_26, WHOLEBODY_133)}
"""What RTMPose's and RTMO's body models speak, by their number of keypoints."""
_MODES = ("lightweight", "balanced", "performance")
_FINDERS = ("embedded", "yolox")
_RTMO = {"rtmo-s": "lightweight", "rtmo-m": "balanced", "rtmo-l": "performance"}
"""rtmlib's modes for RTMO, by the names of the models."""


@dataclass(frozen=True)
class RtmlibConfig:
    """Which RTMPose or RTMO model to run, and on which people."""

    model: str = "balanced"
    """An .onnx file, an address, or a name that rtmlib downloads to its cache: ``lightweight``, ``balanced`` or
    ``performance`` (RTMPose), ``rtmo-s``, ``rtmo-m`` or ``rtmo-l`` (RTMO, which finds the people itself)."""
    device: str = "cpu"
    """Where ONNX Runtime runs, such as ``cpu`` or ``cuda``."""
    boxes: str | None = None
    """File with the people's boxes (see `KeypointFile`). RTMO needs none."""
    finder: str = "embedded"
    """Who finds the people where there is no such file: ``embedded`` for the embedded detector, ``yolox`` for the
    person detector that rtmlib downloads beside ``model`` (of ``balanced`` where that is a file), or its .onnx file."""
    embedded: MediapipeConfig = MediapipeConfig()
    """Settings of the embedded detector."""


class RtmlibDetector(TopDownDetector):
    """Runs ``rtmlib.RTMPose`` on each person, or ``rtmlib.RTMO`` on the photo."""

    name = "rtmlib"

    def __init__(self, config: RtmlibConfig = RtmlibConfig()) -> None:
        """Check what can be checked without rtmlib; the model is read, or downloaded, at the first use.

        Raises:
            ImportError: If rtmlib or ONNX Runtime is not installed; says how to install them.
            ValueError: If the model file is missing.
        """
        missing = [package for package in ("rtmlib", "onnxruntime") if importlib.util.find_spec(package) is None]
        if missing:
            raise ImportError(
                f"{' and '.join(missing)} missing: pip install 'fitloop[rtmlib]' (this adds a second OpenCV "
                "package over the same files; pip install --no-deps rtmlib onnxruntime avoids that)."
            )
        if config.model not in (*_MODES, *_RTMO) and "://" not in config.model and not Path(config.model).is_file():
            raise ValueError(
                f"There is no model {config.model!r}; give an .onnx file or one of {', '.join((*_MODES, *_RTMO))}."
            )
        if config.finder not in _FINDERS and not Path(config.finder).is_file():
            raise ValueError(
                f"There is no person detector {config.finder!r}; give an .onnx file or one of {', '.join(_FINDERS)}."
            )
        self.config = config
        super().__init__(config.boxes, config.embedded)
        if config.boxes is None and config.finder != "embedded":
            self._boxes = _Finder(config)
        self._model: Any = None
        self._whole_photo = False

    def detect_with_notices(self, image: Image) -> DetectionReport:
        """Find the people; RTMO sees the whole photo, RTMPose the boxes."""
        columns = self._ready()
        if not self._whole_photo:
            return super().detect_with_notices(image)
        # RTMO was trained on BGR without normalization.
        keypoints, scores = self._model(np.ascontiguousarray(image.pixels[..., ::-1]))
        # rtmlib answers a photo without people with one person whose scores are all zero.
        seen = scores.max(-1) > 0
        if not seen.any():
            return DetectionReport(nobody(columns.convention.name), ())
        return DetectionReport(self._with_boxes(keypoints[seen], scores[seen], columns), ())

    def _with_boxes(self, keypoints: np.ndarray, scores: np.ndarray, columns: KeypointColumns) -> Detections:
        corners = np.concatenate((keypoints.min(1), keypoints.max(1)), -1).astype(np.float32)
        return arranged(keypoints, scores, torch.from_numpy(corners), columns)

    def _read_network(self) -> KeypointColumns:
        rtmlib = importlib.import_module("rtmlib")
        model = self._address(rtmlib)
        self._model = _opened(rtmlib.RTMPose, model, self.config.device)
        columns = self._speaks()
        if self._whole_photo:
            self._model = _opened(rtmlib.RTMO, self._model.onnx_model, self.config.device)
            self._model.model_input_size = _input_size(self._model, (640, 640))
        else:
            height, width = _input_size(self._model, (256, 192))
            self._model.model_input_size = (width, height)
        return columns

    def _address(self, rtmlib: Any) -> str:
        model = self.config.model
        if model in _RTMO:
            return rtmlib.Body.RTMO_MODE[_RTMO[model]]["pose"]
        return rtmlib.Body.MODE[model]["pose"] if model in _MODES else model

    def _see(
        self, image: Image, boxes: Float[torch.Tensor, "people 4"]
    ) -> tuple[Float[np.ndarray, "people keypoints 2"], Float[np.ndarray, "people keypoints"]]:
        # rtmlib normalizes with RGB means and converts nothing, and RTMPose was trained on RGB: RGB goes in.
        keypoints, scores = self._model(image.pixels, bboxes=list(boxes.double().numpy()))
        return np.asarray(keypoints), np.asarray(scores)

    def _speaks(self) -> KeypointColumns:
        shapes = [output.shape for output in self._model.session.get_outputs()]
        self._whole_photo = len(shapes) == 2 and len(shapes[1]) == 4
        if any(len(shape) < 3 for shape in shapes):
            raise ValueError(
                f"{self.config.model} gives outputs of shapes {shapes}, neither RTMPose's nor RTMO's; it may be a "
                "detector of boxes (YOLOX, RTMDet): give an RTMPose or RTMO file."
            )
        count = shapes[1][2] if self._whole_photo else shapes[0][1]
        # An axis that an export leaves open has a name instead of a number.
        if len(shapes) != 2 or not isinstance(count, int) or count not in _CONVENTIONS:
            raise ValueError(
                f"{self.config.model} gives {len(shapes)} outputs for {count} keypoints; models for bodies give 2 "
                "(RTMPose: SimCC x and y, RTMO: boxes and keypoints) for 17 (COCO), 26 (Halpe) or 133 "
                "(COCO-WholeBody) keypoints."
            )
        return KeypointColumns(_CONVENTIONS[count], tuple(range(count)))


class _Finder:
    """Boxes of people from YOLOX, rtmlib's person detector; read at the first photo."""

    def __init__(self, config: RtmlibConfig) -> None:
        self._config = config
        self._model: Any = None

    def __call__(self, image: Image) -> tuple[Float[torch.Tensor, "people 4"], tuple[str, ...]]:
        """Boxes of the photo's people, x y x y in full-image pixels, cut at the photo's edges; no notices."""
        if self._model is None:
            self._model = self._read()
        # YOLOX was trained on BGR.
        found = np.asarray(self._model(np.ascontiguousarray(image.pixels[..., ::-1])), np.float32).reshape(-1, 4)
        height, width = image.pixels.shape[:2]
        found = found.clip(0.0, (width, height, width, height))
        there = np.isfinite(found).all(-1) & (found[:, 2:] > found[:, :2]).all(-1)
        return torch.from_numpy(found[there].astype(np.float32)), ()

    def _read(self) -> Any:
        rtmlib = importlib.import_module("rtmlib")
        finder, mode = self._config.finder, self._config.model
        file = rtmlib.Body.MODE[mode if mode in _MODES else "balanced"]["det"] if finder == "yolox" else finder
        model = _opened(rtmlib.YOLOX, file, self._config.device)
        shapes = [output.shape for output in model.session.get_outputs()]
        # RTMPose's first output has a row of bins for each keypoint.
        if not shapes or len(shapes[0]) != 3 or shapes[0][1] in _CONVENTIONS:
            raise ValueError(
                f"{file} gives outputs of shapes {shapes}, not YOLOX's (photos, boxes, 5 or more numbers); give the "
                ".onnx file of a YOLOX person detector."
            )
        model.model_input_size = _input_size(model, (640, 640))
        return model


def _opened(kind: Any, file: str, device: str) -> Any:
    """One of rtmlib's models, downloaded if it is an address."""
    errors = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    unreadable = (errors.InvalidProtobuf, errors.InvalidGraph, errors.Fail, errors.NotImplemented, errors.NoModel)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        try:
            model = kind(file, device=device)
        except OSError as error:
            raise ValueError(_where_to_put(file, error)) from error
        except unreadable as error:
            told = str(error).splitlines()[0]
            raise ValueError(
                f"{file} is no ONNX model that ONNX Runtime can read ({told}); give an .onnx file."
            ) from error
    _logger.info("%s", said.getvalue().strip())
    return model


def _input_size(model: Any, usual: tuple[int, int]) -> tuple[int, int]:
    """Height and width that a model wants; the usual ones where its export leaves them open."""
    height, width = model.session.get_inputs()[0].shape[2:]
    return (height, width) if isinstance(height, int) and isinstance(width, int) else usual


def _where_to_put(address: str, error: OSError) -> str:
    folder = importlib.import_module("rtmlib.tools.file")._get_rtmhub_dir()
    file = address.rsplit("/", 1)[-1]
    return (
        f"rtmlib could not download {address} ({error}); put {file} into {Path(folder) / 'checkpoints'}, or give an "
        ".onnx file instead of the name."
    )
