"""Proxy representation: edges, joint heat maps and silhouette, where rendered and real people look alike.

After Sengupta et al. (STRAPS 2020: silhouette and heat maps; HierProb 2021: edges and heat maps). Appearance is gone,
so a network trained on rendered people has little to unlearn on photographs.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fitloop.body.keypoints import mirrored
from fitloop.geometry import TensorRecord
from fitloop.regressor.keypoint_encoder import KEYPOINT_NAMES, KeypointEncoder, KeypointInputs
from fitloop.regressor.resnet import ResNet

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
    grey = torch.nn.functional.pad(crops.mean(1, keepdim=True), (3, 3, 3, 3), mode="replicate")[:, 0]
    smooth = _filter(_filter(grey, (1.0, 4.0, 6.0, 4.0, 1.0), -1), (1.0, 4.0, 6.0, 4.0, 1.0), -2) / 256.0
    across = _filter(_filter(smooth, (-1.0, 0.0, 1.0), -1), (1.0, 2.0, 1.0), -2)
    down = _filter(_filter(smooth, (1.0, 2.0, 1.0), -1), (-1.0, 0.0, 1.0), -2)
    strength = (across.square() + down.square()).sqrt()
    thin = strength * _is_ridge(across.abs() >= down.abs(), strength)
    # A crop's own 95th percentile, so that dim and bright photos give the same edges; flat crops give none.
    flat = strength.flatten(1)
    level = flat.kthvalue(max(1, round(0.95 * flat.shape[1])), dim=1).values.clamp_min(0.04)
    return (thin / level[:, None, None]).clamp(0.0, 1.0)


def _filter(values: Tensor, taps: tuple[float, ...], dim: int) -> Tensor:
    """Correlate along one axis; what would need values beyond the border is left out."""
    length = values.shape[dim] - len(taps) + 1
    parts = [tap * values.narrow(dim, start, length) for start, tap in enumerate(taps) if tap]
    return sum(parts[1:], parts[0])


def _is_ridge(horizontal: Tensor, strength: Tensor) -> Tensor:
    """1 where the strength is no less than at both neighbours across the edge."""
    padded = torch.nn.functional.pad(strength, (1, 1, 1, 1))
    after = torch.where(horizontal, padded[:, 1:-1, 2:], padded[:, 2:, 1:-1])
    before = torch.where(horizontal, padded[:, 1:-1, :-2], padded[:, :-2, 1:-1])
    return ((strength >= after) & (strength > before)).to(strength.dtype)


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
    maps = joint_maps(points, confidence, crops.shape[-1])
    return torch.cat([edge_map(crops)[:, None], silhouettes[:, None], maps], dim=1)


def joint_maps(
    points: Float[Tensor, "people keypoints 2"], confidence: Float[Tensor, "people keypoints"], size: int
) -> Float[Tensor, "people joints size size"]:
    """Heat maps of `PROXY_JOINTS`.

    Args:
        points: Keypoints ordered as `KEYPOINT_NAMES`, [-1, 1] across the crop.
        confidence: 0 where not observed.
        size: Side of the maps in pixels.
    """
    columns = [KEYPOINT_NAMES.index(name) for name in PROXY_JOINTS]
    spare = [KEYPOINT_NAMES.index(_SUBSTITUTES.get(name, name)) for name in PROXY_JOINTS]
    use_spare = (confidence[:, spare] > confidence[:, columns])[..., None]
    chosen = torch.where(use_spare, points[:, spare], points[:, columns])
    sure = torch.maximum(confidence[:, spare], confidence[:, columns])
    return heat_maps(chosen, sure, size)


def mirror_proxy(proxy: Float[Tensor, "people channels size size"]) -> Float[Tensor, "people channels size size"]:
    """The proxy of the mirrored photo: left and right exchange places and names."""
    order = [0, 1] + [2 + PROXY_JOINTS.index(mirrored(name)) for name in PROXY_JOINTS]
    return proxy[:, order].flip(-1)


@dataclass(frozen=True)
class ProxyInputs(TensorRecord):
    """What the encoder reads of each person."""

    maps: Float[Tensor, "people channels size size"]
    """`make_proxy`."""
    keypoints: KeypointInputs
    """The same person for the keypoints encoder, in the view that the network answers in."""


class ProxyEncoder(nn.Module):
    """A ResNet-18 on the maps, whose features correct those of a keypoints encoder.

    Features are read twice: averaged over the crop, and half way, at a resolution of 8 pixels, where each heat map says
    a joint is. What lies around a joint says more of its limb than the whole crop does, and can be learnt sooner.

    The correction starts at 0, so that a keypoints encoder and head trained before give what they gave; the maps then
    have to teach only what keypoints do not say: what is in front, how stout, where undetected limbs are.
    """

    def __init__(self, width: int, keypoints: KeypointEncoder) -> None:
        """Join the two.

        Args:
            width: Channels of the ResNet's first stage; 64 as published.
            keypoints: Its width is that of the features.
        """
        super().__init__()
        self.maps = ResNet(18, NUM_PROXY_CHANNELS, width)
        self.keypoints = keypoints
        self.out_features = keypoints.out_features
        around_joints = len(PROXY_JOINTS) * 2 * width
        self.scale = nn.LayerNorm(around_joints + self.maps.out_features)
        self.correct = nn.Linear(around_joints + self.maps.out_features, self.out_features)
        nn.init.zeros_(self.correct.weight)
        nn.init.zeros_(self.correct.bias)

    def forward(self, inputs: ProxyInputs) -> Float[Tensor, "people features"]:
        """Encode people."""
        return self.keypoints(inputs.keypoints) + self.correct(self.scale(self.read(inputs.maps)))

    def read(self, maps: Float[Tensor, "people channels size size"]) -> Float[Tensor, "people read"]:
        """Features of the ResNet around each joint and over the crop."""
        early = self.maps.first_half(maps.contiguous(memory_format=torch.channels_last))
        weight = nn.functional.adaptive_avg_pool2d(maps[:, 2:], (early.shape[-2], early.shape[-1])).flatten(2)
        weight = weight / weight.sum(-1, keepdim=True).clamp_min(1e-4)
        around = weight.to(early.dtype) @ early.flatten(2).mT
        return torch.cat([around.flatten(1), self.maps.second_half(early)], -1)
