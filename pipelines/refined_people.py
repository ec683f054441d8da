"""Refining the people of a photo, and the picture of what moved them."""

import colorsys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn.functional import grid_sample, max_pool2d

from body import Image
from detection import MediapipeDetector
from fitting import Status
from pipelines.refine import Refined, Refiner
from pipelines.texture_file import Wearers
from refinement import Photo

if TYPE_CHECKING:
    from pipelines.people import People

_INSIDE = 0.3
"""Probability from which a keypoint lies on the person."""
STRONGEST = 10.0
"""Crop pixels (of 128) of displacement that get the strongest colour."""


def refine_people(refiner: Refiner, image: Image, people: "People", wearers: Wearers | None = None) -> "People":
    """Refine the fitted bodies of a photo; people without a fit keep what they have.

    Args:
        refiner: Of the same body.
        image: The photo that the people were found in.
        people: After fitting.
        wearers: Who wears a texture that other photos gave.
    """
    if people.fitted is None or len(people) == 0:
        return people
    seen, photo = people.detections, photo_of(image, people)
    notices = people.notices
    if wearers is not None:
        notices += wearers.notices(people.name, len(people))
        photo = replace(photo, texture=wearers.appearance(people.name, seen.boxes.cpu()))
    status = people.fitted.status
    usable = (status != int(Status.NOT_ENOUGH_EVIDENCE)) & (status != int(Status.DEGENERATE))
    return replace(people, refined=refiner(photo, seen, people.fitted.estimate, usable), notices=notices)


def with_silhouettes(detector: MediapipeDetector, image: Image, people: "People") -> "People":
    """Add what the embedded detector sees of people whose keypoints came without silhouettes.

    It looks into their boxes. What it sees is somebody else's, and counts as nothing, where it leaves out half of the
    keypoints that were seen.
    """
    seen = people.detections
    if seen.silhouettes is not None or len(people) == 0:
        return people
    found = detector.in_boxes(image, seen.boxes.cpu())
    assert found.silhouettes is not None and found.silhouette_boxes is not None
    low, high = found.silhouette_boxes[:, None, :2], found.silhouette_boxes[:, None, 2:]
    grid = 2.0 * (seen.keypoints.cpu() - low) / (high - low).clamp_min(1.0) - 1.0
    near = max_pool2d(found.silhouettes[:, None], 5, 1, 2)
    inside = grid_sample(near, grid[:, None], align_corners=False)[:, 0, 0] > _INSIDE
    sure = (seen.confidence.cpu() > 0).float()
    agreed = (inside * sure).sum(-1) >= 0.5 * sure.sum(-1).clamp_min(1.0)
    silhouettes = found.silhouettes * agreed[:, None, None]
    place = seen.boxes.device
    shown = replace(seen, silhouettes=silhouettes.to(place), silhouette_boxes=found.silhouette_boxes.to(place))
    return replace(people, detections=shown)


def photo_of(image: Image, people: "People") -> Photo:
    """What refinement looks at: the pixels, and the detector's silhouettes of the people."""
    seen = people.detections
    return Photo(torch.from_numpy(image.pixels), _cpu(seen.silhouettes), _cpu(seen.silhouette_boxes))


def _cpu(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.cpu()


def draw_flow(pixels: UInt8[np.ndarray, "height width 3"], scale: float, refined: Refined) -> np.ndarray:
    """Colour the bodies by where their points were sent: hue for the direction, strength for the distance.

    Args:
        pixels: The photo, or a copy shrunk by ``scale``.
        scale: Pixels of ``pixels`` per full-image pixel.
        refined: What the first round predicted.
    """
    picture = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1) / 255.0
    picture = 0.35 + 0.5 * picture.mean(0, keepdim=True).expand(3, -1, -1)
    height, width = pixels.shape[:2]
    colors = flow_colors(refined.displacement.offset)
    shown = (refined.look.drawn.fragments.covered & refined.look.inside).float()
    for person in refined.look.seen.nonzero()[:, 0].tolist():
        crop = refined.look.crop[person]
        y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
        grid = 2.0 * (torch.stack([x, y], -1) / scale - crop.center) / crop.side
        layer = torch.cat([colors[person], shown[person : person + 1]])[None]
        drawn = grid_sample(layer, grid[None].to(layer.dtype), mode="nearest", align_corners=False)[0]
        picture = torch.where(drawn[3:] > 0.5, drawn[:3], picture)
    return (255.0 * picture.permute(1, 2, 0)).clamp(0, 255).byte().numpy()


def flow_colors(offset: Float[Tensor, "people 2 size size"]) -> Float[Tensor, "people 3 size size"]:
    """White where nothing moves; hue turns with the direction."""
    wheel = torch.tensor([colorsys.hsv_to_rgb(k / 256.0, 1.0, 1.0) for k in range(256)])
    hue = (torch.atan2(offset[:, 1], offset[:, 0]) / (2.0 * torch.pi) * 256.0).long() % 256
    strength = (offset.norm(dim=1, keepdim=True) / STRONGEST).clamp_max(1.0)
    return 1.0 - strength * (1.0 - wheel[hue].permute(0, 3, 1, 2))
