"""RTMPose models exported to ONNX, run by rtmlib through ONNX Runtime: no mmcv, no mmpose. Imported when first used."""

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

from fitloop.body.keypoints import COCO_17
from fitloop.body.records import Image
from fitloop.detection.mediapipe import MediapipeConfig
from fitloop.detection.topdown import KeypointColumns, TopDownDetector, columns_of

_logger = logging.getLogger(__name__)

_FEET = ("big_toe", "small_toe", "heel")
_NAMES = {
    17: [*COCO_17.keypoints],
    26: [
        *(*COCO_17.keypoints, "head", "neck", "mid_hip"),
        *(f"{side}_{part}" for part in _FEET for side in ("left", "right")),
    ],
    133: [
        *(*COCO_17.keypoints, *(f"{side}_{part}" for side in ("left", "right") for part in _FEET)),
        *(f"face_or_hand_{index}" for index in range(110)),
    ],
}
"""Keypoints of RTMPose's body models by their number: COCO, Halpe26, COCO-WholeBody."""
_MODES = ("lightweight", "balanced", "performance")


@dataclass(frozen=True)
class RtmlibConfig:
    """Which RTMPose model to run, and on which people."""

    model: str = "balanced"
    """An .onnx file, an address, or rtmlib's own choice ``lightweight``, ``balanced`` or ``performance``, which rtmlib
    downloads to its cache."""
    device: str = "cpu"
    """Where ONNX Runtime runs, such as ``cpu`` or ``cuda``."""
    boxes: str | None = None
    """File with the people's boxes (see `KeypointFile`); the embedded detector finds them if not given."""
    embedded: MediapipeConfig = MediapipeConfig()
    """Settings of the embedded detector."""


class RtmlibDetector(TopDownDetector):
    """Runs ``rtmlib.RTMPose`` on each person."""

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
                f"{' and '.join(missing)} missing: pip install 'fitloop[rtmlib]' && pip install --no-deps rtmlib "
                "(with its dependencies rtmlib would overwrite the OpenCV that mediapipe needs)."
            )
        if config.model not in _MODES and "://" not in config.model and not Path(config.model).is_file():
            raise ValueError(f"There is no model {config.model!r}; give an .onnx file or one of {', '.join(_MODES)}.")
        self.config = config
        super().__init__(config.boxes, config.embedded)
        self._model: Any = None

    def _read_network(self) -> KeypointColumns:
        rtmlib = importlib.import_module("rtmlib")
        model = rtmlib.Body.MODE[self.config.model]["pose"] if self.config.model in _MODES else self.config.model
        with contextlib.redirect_stdout(io.StringIO()) as said:
            self._model = rtmlib.RTMPose(model, device=self.config.device)
        _logger.info("%s", said.getvalue().strip())
        height, width = self._model.session.get_inputs()[0].shape[2:]
        self._model.model_input_size = (int(width), int(height))
        return self._speaks()

    def _see(
        self, image: Image, boxes: Float[torch.Tensor, "people 4"]
    ) -> tuple[Float[np.ndarray, "people keypoints 2"], Float[np.ndarray, "people keypoints"]]:
        # rtmlib normalizes with RGB means and converts nothing, and RTMPose was trained on RGB: RGB goes in.
        keypoints, scores = self._model(image.pixels, bboxes=list(boxes.double().numpy()))
        return np.asarray(keypoints), np.asarray(scores)

    def _speaks(self) -> KeypointColumns:
        outputs = self._model.session.get_outputs()
        count = outputs[0].shape[1]
        if len(outputs) != 2 or count not in _NAMES:
            raise ValueError(
                f"{self.config.model} gives {len(outputs)} outputs for {count} keypoints; RTMPose models for bodies "
                "give 2 (SimCC x and y) for 17 (COCO), 26 (Halpe) or 133 (COCO-WholeBody) keypoints."
            )
        return columns_of(_NAMES[count])
