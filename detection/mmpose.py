"""Keypoints from the user's own mmpose model (top-down, not ViTPose). Imports mmpose when first used."""

import contextlib
import importlib
import importlib.util
import logging
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from fitloop.body.records import Image
from fitloop.body.safe_pickle import numpy_globals
from fitloop.detection.mediapipe import MediapipeConfig
from fitloop.detection.topdown import KeypointColumns, TopDownDetector, columns_of

INSTALL = "detection/install_mmpose.sh"
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MmposeConfig:
    """Which mmpose model to run, and on which people."""

    config: str = ""
    """The model's config file."""
    checkpoint: str = ""
    """Its weights: a file, or an address that mmengine can load."""
    device: str = "cpu"
    """Where to run, such as ``cpu`` or ``cuda:0``."""
    boxes: str | None = None
    """File with the people's boxes (see `KeypointFile`); the embedded detector finds them if not given."""
    embedded: MediapipeConfig = MediapipeConfig()
    """Settings of the embedded detector."""


class MmposeDetector(TopDownDetector):
    """Runs ``init_model`` and ``inference_topdown`` of mmpose 1.x."""

    name = "mmpose"

    def __init__(self, config: MmposeConfig) -> None:
        """Check what can be checked without mmpose; the model is read at the first use.

        Raises:
            ImportError: If mmpose is not installed; names the script that installs it.
            ValueError: If the config or the checkpoint is missing.
        """
        if importlib.util.find_spec("mmpose") is None:
            raise ImportError(
                f"mmpose is not installed in this environment: run {INSTALL} (see docs/mmpose.md), or choose another "
                "detector: mediapipe needs nothing more, rtmlib runs exported RTMPose models."
            )
        if not Path(config.config).is_file():
            raise ValueError(f"There is no mmpose config file {config.config!r}; give the .py file of your model.")
        if not config.checkpoint or ("://" not in config.checkpoint and not Path(config.checkpoint).is_file()):
            raise ValueError(f"There is no checkpoint {config.checkpoint!r}; give the .pth file that fits the config.")
        self.config = config
        super().__init__(config.boxes, config.embedded)
        self._model: Any = None
        self._operators: torch.library.Library | None = None

    def _read_network(self) -> KeypointColumns:
        """Read config and weights.

        Raises:
            ImportError: If the config is built from parts that are not installed, as ViTPose's is; names the first.
        """
        with _quiet(), _pose_checkpoints():
            self._operators = torchvision_operators()
            apis = importlib.import_module("mmpose.apis")
            with _missing_parts_told(self.config.config):
                self._model = apis.init_model(self.config.config, self.config.checkpoint, device=self.config.device)
        meta = self._model.dataset_meta
        names = [meta["keypoint_id2name"][index] for index in range(meta["num_keypoints"])]
        columns = columns_of(names, str(meta.get("dataset_name", "")))
        _logger.info("mmpose model of %s speaks %s", meta.get("dataset_name"), columns.convention.name)
        return columns

    def _see(
        self, image: Image, boxes: Float[torch.Tensor, "people 4"]
    ) -> tuple[Float[np.ndarray, "people keypoints 2"], Float[np.ndarray, "people keypoints"]]:
        apis = importlib.import_module("mmpose.apis")
        bgr = np.ascontiguousarray(image.pixels[..., ::-1])
        with _quiet():
            samples = apis.inference_topdown(self._model, bgr, boxes.numpy().astype(np.float32))
        found = [sample.pred_instances for sample in samples]
        keypoints = np.concatenate([_array(person.keypoints) for person in found])
        return keypoints, np.concatenate([_array(person.keypoint_scores) for person in found])


def _array(values: Any) -> np.ndarray:
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the deprecation warnings of mmpose and its companions from the user, who cannot act on them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _missing_parts_told(config: str) -> Iterator[None]:
    """Say in one sentence what mmengine's registry says in a page: a part of the config that no package declared."""
    try:
        yield
    except KeyError as error:
        part = re.search(r"'?([\w.]+)'? is not in the", str(error))
        if part is None:
            raise
        package = part[1].split(".")[0] if "." in part[1] else "the package that declares it"
        raise ImportError(
            f"The model of {config} is built with {part[1]}, and {package} is not installed: {INSTALL} installs what "
            "RTMPose and HRNet need; ViTPose and other models on mmpretrain do not work here."
        ) from error


@contextlib.contextmanager
def _pose_checkpoints() -> Iterator[None]:
    """Let `torch.load` read what mmpose puts beside the weights (NumPy arrays, training history), and nothing else.

    Code in a checkpoint still does not run. A checkpoint with other contents fails with PyTorch's message; whoever
    trusts the file can set TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1.
    """
    history = importlib.import_module("mmengine.logging.history_buffer").HistoryBuffer
    with torch.serialization.safe_globals([*numpy_globals(), history]):
        yield


def torchvision_operators() -> torch.library.Library | None:
    """Declare the operators that `import torchvision` expects, where a build for CUDA meets a torch for the CPU.

    Poses need none of them; only their names must exist. A torchvision that fits torch declares them by itself. The
    declarations live as long as the library that is returned.
    """
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "does not exist" not in str(error):
            raise
    else:
        return None
    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    importlib.import_module("torchvision")
    return library
