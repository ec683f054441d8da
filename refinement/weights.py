"""The displacement network's weights in a file."""

import json
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from body.assets import asset_path
from body.files import whole_file
from refinement.inputs import CHANNELS
from refinement.network import DisplacementNet, NetworkConfig

ASSETS = Path(__file__).parent / "assets"
SHIPPED = "displacement.safetensors"
FORMAT = "fitloop-displacement"


def save_network(path: Path, network: DisplacementNet) -> None:
    """Write weights whole or not at all, convolutions in half precision.

    Args:
        path: Ends in ``.safetensors``.
        network: What to write.
    """
    tensors = {}
    for name, tensor in network.state_dict().items():
        tensor = tensor.detach().cpu().contiguous()
        tensors[name] = tensor.half() if tensor.ndim == 4 else tensor
    about = {"format": FORMAT, "config": json.dumps(asdict(network.config)), "channels": json.dumps(CHANNELS)}
    with whole_file(path) as temporary:
        save_file(tensors, temporary, about)


def load_network(path: Path | None = None) -> DisplacementNet:
    """Read weights, ready to predict; the shipped ones if no file is given.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, of another kind, or for other input channels.
    """
    if path is None:
        return _shipped()
    if not path.is_file():
        raise FileNotFoundError(f"There are no weights {path}; train some with fitloop train-refinement.")
    try:
        with safe_open(path, framework="pt") as file:
            about, tensors = file.metadata() or {}, {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged or no safetensors file: {error}.") from error
    if about.get("format") != FORMAT or json.loads(about.get("channels", "{}")) != CHANNELS:
        raise ValueError(f"{path} holds no displacement network that looks at {', '.join(CHANNELS)}.")
    config = {key: tuple(value) for key, value in json.loads(about["config"]).items()}
    network = DisplacementNet(NetworkConfig(**config))
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise ValueError(f"{path} does not hold the network that it describes: {error}.") from error
    return network.to(memory_format=torch.channels_last).eval().requires_grad_(False)  # pyright: ignore[reportCallIssue]


@lru_cache(maxsize=1)
def _shipped() -> DisplacementNet:
    return load_network(asset_path(SHIPPED, ASSETS))
