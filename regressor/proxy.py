"""Proxy representation: edges, joint heat maps and silhouette, where rendered and real people look alike.

After Sengupta et al. (STRAPS 2020: silhouette and heat maps; HierProb 2021: edges and heat maps). Appearance is gone,
so a network trained on rendered people has little to unlearn on photographs.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from body.keypoints import mirrored
from regressor.keypoint_encoder import KEYPOINT_NAMES

PROXY_JOINTS = (
    *("nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder"),
    *("left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip"),
    *("left_knee", "right_knee", "left_ankle", "right_ankle"),
)
"""Heat maps, in order: COCO's keypoints."""
NUM_PROXY_CHANNELS = 2 + len(PROXY_JOINTS)
_SUBSTITUTES = {"left_hip": "left_hip_lsp", "right_hip": "right_hip_lsp"}


def edge_map(crops: Float[Tensor, "people 3 height width"]) -> Float[Tensor, "people height width"]:
    """Edge strength in [0, 1]: smoothed Sobel gradients thinned to ridges (Canny 1986), relative to the strong ones.

    Args:
        crops: RGB in [0, 1].
    """
    grey = crops.mean(1, keepdim=True)
    taps = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], dtype=crops.dtype, device=crops.device) / 16.0
    padded = torch.nn.functional.pad(grey, (2, 2, 2, 2), mode="replicate")
    smooth = torch.nn.functional.conv2d(padded, (taps[:, None] * taps)[None, None])
    padded = torch.nn.functional.pad(smooth, (1, 1, 1, 1), mode="replicate")
    slope = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]], dtype=crops.dtype, device=crops.device)
    gradient = torch.nn.functional.conv2d(padded, torch.stack([slope, slope.mT])[:, None])
    strength = gradient.norm(dim=1)
    thin = strength * _is_ridge(gradient, strength)
    # A crop's own 95th percentile, so that dim and bright photos give the same edges; flat crops give none.
    level = torch.quantile(strength.flatten(1), 0.95, dim=1).clamp_min(0.04)
    return (thin / level[:, None, None]).clamp(0.0, 1.0)


def _is_ridge(gradient: Tensor, strength: Tensor) -> Tensor:
    """1 where the strength is no less than at both neighbours across the edge."""
    padded = torch.nn.functional.pad(strength, (1, 1, 1, 1))
    height, width = strength.shape[-2:]
    horizontal = gradient[:, 0].abs() >= gradient[:, 1].abs()
    steps = torch.where(horizontal, 1, 0), torch.where(horizontal, 0, 1)
    beside = [padded[:, 1 : height + 1, 2:], padded[:, 1 : height + 1, :width]]
    below = [padded[:, 2:, 1 : width + 1], padded[:, :height, 1 : width + 1]]
    first = torch.where(steps[0] == 1, beside[0], below[0])
    second = torch.where(steps[0] == 1, beside[1], below[1])
    return ((strength >= first) & (strength > second)).to(strength.dtype)


def heat_maps(
    points: Float[Tensor, "people joints 2"],
    confidence: Float[Tensor, "people joints"],
    size: int,
    spread: float = 0.03,
) -> Float[Tensor, "people joints size size"]:
    """Gaussians of height ``confidence`` at each joint.

    Args:
        points: In the crop, [-1, 1] across it.
        confidence: 0 gives an empty map.
        size: Side of the maps in pixels.
        spread: Standard deviation, share of the crop's side.
    """
    ticks = (torch.arange(size, dtype=points.dtype, device=points.device) + 0.5) / size * 2.0 - 1.0
    # Separable: a row profile times a column profile.
    profile = torch.exp(-0.5 * ((ticks - points[..., None]) / (2.0 * spread)).square())
    return confidence[..., None, None] * profile[..., 1, :, None] * profile[..., 0, None, :]


def make_proxy(
    crops: Float[Tensor, "people 3 size size"],
    points: Float[Tensor, "people keypoints 2"],
    confidence: Float[Tensor, "people keypoints"],
    silhouettes: Float[Tensor, "people size size"],
) -> Float[Tensor, "people channels size size"]:
    """Stack edges, silhouette and heat maps: the input of the ``proxy`` encoder.

    Args:
        crops: RGB in [0, 1].
        points: Keypoints ordered as `KEYPOINT_NAMES`, [-1, 1] across the crop.
        confidence: 0 where not observed.
        silhouettes: Probability of belonging to the person; all 0 where the detector gives none.
    """
    columns = [KEYPOINT_NAMES.index(name) for name in PROXY_JOINTS]
    spare = [KEYPOINT_NAMES.index(_SUBSTITUTES.get(name, name)) for name in PROXY_JOINTS]
    use_spare = (confidence[:, spare] > confidence[:, columns])[..., None]
    chosen = torch.where(use_spare, points[:, spare], points[:, columns])
    sure = torch.maximum(confidence[:, spare], confidence[:, columns])
    maps = heat_maps(chosen, sure, crops.shape[-1])
    return torch.cat([edge_map(crops)[:, None], silhouettes[:, None], maps], dim=1)


def mirror_proxy(proxy: Float[Tensor, "people channels size size"]) -> Float[Tensor, "people channels size size"]:
    """The proxy of the mirrored photo: left and right exchange places and names."""
    order = [0, 1] + [2 + PROXY_JOINTS.index(mirrored(name)) for name in PROXY_JOINTS]
    return proxy[:, order].flip(-1)
