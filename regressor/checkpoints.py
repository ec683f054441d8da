"""Weights in files: ours in safetensors with a header; those of SPIN, CLIFF, HMR 2.0 and torchvision, strictly."""

import json
import pickle
import warnings
import zipfile
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from fitloop.body import Body
from fitloop.body.files import whole_file
from fitloop.body.own_weights import read_own_weights
from fitloop.body.safe_pickle import numpy_globals
from fitloop.body.tensor_files import load_tensors
from fitloop.regressor.hmr import HMR, HeadConfig
from fitloop.regressor.hmr2 import HMR2Config, our_names
from fitloop.regressor.keypoint_encoder import KEYPOINT_NAMES
from fitloop.regressor.models import HMRConfig, build_hmr
from fitloop.regressor.parts import part_net_config
from fitloop.regressor.recipes import RECIPES, Kind
from fitloop.regressor.state_dicts import check_fit, load_strictly, some, with_counters
from fitloop.regressor.vit import VitConfig

FORMAT = "fitloop-regressor"
VERSION = 1
_BACKBONE = ("conv1.", "bn1.", "layer1.", "layer2.", "layer3.", "layer4.")
_HEAD = ("fc1.", "fc2.", "decpose.", "decshape.", "deccam.", "init_pose", "init_shape", "init_cam")
_DAMAGED = (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, AttributeError, TypeError, IndexError)
"""What `torch.load` raises on files that are truncated, of another kind, or hold more than tensors."""


@dataclass(frozen=True)
class Weights:
    """A network with its weights, and what it belongs to."""

    model: HMR
    config: HMRConfig
    body: str
    """Name of the body it was trained for, or its family (``smpl`` for every SMPL file)."""

    def to_train(self) -> "Weights":
        """The weights as training goes on with them: fed and read as networks of this project are.

        Trainings that start from whole weights do not teach how sure a network is, so it no longer says.

        Raises:
            ValueError: If their head takes numbers that training does not give.
        """
        if self.config.encoder == "parts":
            raise ValueError(
                "Training on photos does not feed the encoder 'parts' with part maps; train it with fitloop train."
            )
        if self.config.recipe.extra_inputs or self.config.encoder == "vit":
            raise ValueError(
                f"Training does not feed networks of the kind {self.config.kind!r}: their crops and box numbers are "
                "others. Start from weights of SPIN or of this project."
            )
        known = self.silent()
        return replace(known, config=replace(known.config, kind="fitloop", camera_point=None))

    def silent(self) -> "Weights":
        """The same network without what says how sure it is."""
        if not self.config.head.uncertainty:
            return self
        config = replace(self.config, head=replace(self.config.head, uncertainty=0))
        model = build_hmr(config)
        tensors = {name: value for name, value in self.model.state_dict().items() if not is_of_spread(name)}
        load_strictly(model, tensors, "The network without what says how sure it is")
        return replace(self, model=model.train(self.model.training), config=config)

    def check_body(self, body: Body) -> None:
        """Raise a `ValueError` that names both sides unless the weights were trained for ``body``."""
        if self.body not in (body.name, body.name.split("-")[0]):
            raise ValueError(
                f"These weights regress body {self.body!r}, but body {body.name!r} is loaded. Load the body they "
                "belong to, use the regressor 'mean', or train weights for this body with fitloop train."
            )


def save_weights(path: Path, weights: Weights, half: bool = True) -> None:
    """Write weights whole or not at all.

    Args:
        path: Ends in ``.safetensors``.
        weights: What to write.
        half: Store floating tensors in half precision.

    Raises:
        OSError: If the file cannot be written; an old file of that name is then untouched.
    """
    tensors = {}
    for name, tensor in weights.model.state_dict().items():
        tensor = tensor.detach().cpu()
        tensors[name] = (tensor.half() if half and tensor.is_floating_point() else tensor).contiguous()
    metadata = {
        "format": FORMAT,
        "version": str(VERSION),
        "body": weights.body,
        "config": json.dumps(asdict(weights.config)),
        "keypoints": json.dumps(KEYPOINT_NAMES),
    }
    with whole_file(path) as temporary:
        save_file(tensors, temporary, metadata)


def load_weights(path: Path) -> Weights:
    """Read weights of ours, or import SPIN's, CLIFF's or HMR 2.0's, strictly.

    Args:
        path: ``.safetensors`` written by `save_weights`, ``.ckpt`` of HMR 2.0; anything else is taken for SPIN's or
            CLIFF's.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, of another kind or version, or its tensors are not the network's; names them.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no checkpoint {path}; give 'keypoints', 'proxy', 'mean', or the path of a file."
        )
    if path.suffix == ".ckpt":
        return import_hmr2(path)
    return _load_ours(path) if path.suffix == ".safetensors" else import_spin(path)


def _load_ours(path: Path) -> Weights:
    header, tensors = read_own_weights(path, FORMAT, VERSION)
    try:
        config = _config(json.loads(header["config"]))
        keypoints, body = tuple(json.loads(header["keypoints"])), header["body"]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} does not say what network it holds ({error}); its header was changed.") from error
    if config.encoder in ("keypoints", "proxy") and keypoints != KEYPOINT_NAMES:
        raise ValueError(f"{path} was trained with other keypoints: {sorted(set(keypoints) ^ set(KEYPOINT_NAMES))}.")
    # Shapes are compared before a network of the header's size takes memory, and no weights are drawn in vain.
    with torch.device("meta"):
        model = build_hmr(config)
    check_fit(model, tensors, str(path))
    model.load_state_dict({name: _widen(tensor) for name, tensor in tensors.items()}, strict=True, assign=True)
    return Weights(model.eval(), config, body)


def _widen(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _config(tree: dict) -> HMRConfig:
    known = {field.name for field in fields(HMRConfig)}
    if set(tree) - known:
        raise KeyError(f"unknown {sorted(set(tree) - known)}")
    tree = {**tree, "head": HeadConfig(**tree["head"])}
    if tree.get("segmenter") is not None:
        tree["segmenter"] = part_net_config(tree["segmenter"])
    if tree.get("hmr2") is not None:
        tree["hmr2"] = HMR2Config(**{**tree["hmr2"], "vit": VitConfig(**tree["hmr2"]["vit"])})
    return HMRConfig(**tree)


def read_torch_file(path: Path) -> dict:
    """Read a PyTorch checkpoint that holds tensors, NumPy arrays, numbers and text only; nothing in it is run.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, no checkpoint, or holds other objects.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no checkpoint {path}; give the path of a file of weights.")
    try:
        # SPIN keeps the order of its data beside the weights, as an array or as a list.
        with warnings.catch_warnings(), torch.serialization.safe_globals(numpy_globals()):
            # PyTorch warns of other pickle protocols before it reads or refuses them, which is what counts here.
            warnings.simplefilter("ignore", UserWarning)
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (*_DAMAGED, OSError, zipfile.BadZipFile) as error:
        # PyTorch's own message tells users to switch its protection off.
        no_tensors = isinstance(error, pickle.UnpicklingError)
        reason = "it holds more than tensors, or is none" if no_tensors else " ".join(str(error).split())[:200]
        raise ValueError(
            f"{path} cannot be read as a checkpoint of tensors ({reason}). If it is yours and holds other objects, "
            "save its 'model' alone again."
        ) from error
    if not isinstance(loaded, dict):
        raise ValueError(f"{path} holds a {type(loaded).__name__}; a checkpoint is a dictionary of tensors.")
    return loaded


def import_spin(path: Path) -> Weights:
    """Import a checkpoint of SPIN or CLIFF (ResNet-50), of Kolotouros et al. 2019 or Li et al. 2022.

    SPIN's keys are flat; CLIFF has its backbone under ``encoder.`` and three more inputs of the head, by which it is
    known. Mean parameters come from the ``init_*`` buffers.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, or keys are missing, extra, or of another shape; names some of them.
    """
    loaded = read_torch_file(path)
    tensors = loaded.get("model", loaded)
    if not isinstance(tensors, dict) or not all(isinstance(value, Tensor) for value in tensors.values()):
        held = some([str(key) for key in loaded])
        raise ValueError(f"{path} has no 'model' made of tensors; SPIN's checkpoints have. It holds {held}.")
    renamed = {_our_name(str(name)): _widen(value) for name, value in tensors.items()}
    config = _imported_config("cliff" if _takes_box_numbers(renamed) else "spin")
    model = build_hmr(config)
    load_strictly(model, with_counters(renamed, model), str(path))
    return Weights(model.eval(), config, "smpl")


def import_hmr2(path: Path, sizes: HMR2Config = HMR2Config()) -> Weights:
    """Import a checkpoint of HMR 2.0 (ViT-H, Goel et al. 2023) by its tensors alone; nothing in it is run.

    Args:
        path: Lightning's ``.ckpt`` as released, or its state dict.
        sizes: Of another network of this kind.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, or keys are missing, extra, or of another shape; names some of them.
    """
    tensors = {name: _widen(value) for name, value in our_names(load_tensors(path)).items()}
    head = HeadConfig(iterations=1, layout=RECIPES["hmr2"].layout)
    config = HMRConfig("vit", image_size=RECIPES["hmr2"].image_size, head=head, kind="hmr2", hmr2=sizes)
    # Two thirds of a billion numbers: drawing them first, or copying them, takes longer than reading them.
    with torch.device("meta"):
        model = build_hmr(config)
    check_fit(model, tensors, str(path))
    model.load_state_dict(tensors, strict=True, assign=True)
    return Weights(model.eval(), config, "smpl")


def _takes_box_numbers(tensors: dict[str, Tensor]) -> bool:
    first = tensors.get("head.fc1.weight")
    # 2048 features, 144 numbers of pose, 10 of shape, 3 of the camera, and the three about the box.
    return first is not None and first.shape[1:] == (2048 + 144 + 10 + 3 + RECIPES["cliff"].extra_inputs,)


def _imported_config(kind: Kind) -> HMRConfig:
    recipe = RECIPES[kind]
    head = HeadConfig(layout=recipe.layout, extra_inputs=recipe.extra_inputs)
    return HMRConfig("resnet50", width=64, image_size=recipe.image_size, head=head, kind=kind)


def _our_name(name: str) -> str:
    name = name.removeprefix("module.")
    if name.startswith(_BACKBONE):
        return "encoder." + name
    return "head." + name if name.startswith(_HEAD) else name


def is_of_spread(name: str) -> bool:
    """Whether a tensor of this name says how sure a network is."""
    return name.startswith("head.spread.")
