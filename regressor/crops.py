"""Crops for the encoders of images."""

import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.body import Detections, Image
from fitloop.geometry import Camera, Crop
from fitloop.geometry.crops import sampling_grid, to_crop
from fitloop.regressor.keypoint_encoder import keypoint_inputs
from fitloop.regressor.models import HMRConfig
from fitloop.regressor.parts import PartInputs
from fitloop.regressor.proxy import ProxyInputs, joint_maps, make_proxy
from fitloop.regressor.recipes import crop_of, view_of
from fitloop.regressor.resnet import normalize_rgb
from fitloop.regressor.views import View


def cut_crops(image: Image, crop: Crop, size: int) -> Float[Tensor, "people 3 size size"]:
    """Cut squares out of a photo, RGB in [0, 1], black outside; large squares are blurred before they shrink.

    Args:
        image: The photo.
        crop: One square per person.
        size: Side of the result in pixels.
    """
    device = crop.side.device
    pixels = torch.from_numpy(image.pixels.copy()).to(device).permute(2, 0, 1)[None].float() / 255.0
    height, width = pixels.shape[-2:]
    cut = []
    for one in range(len(crop.side)):
        # Averaging whole pixels first keeps a strong reduction from skipping over detail.
        factor = max(1, int(float(crop.side[one]) / size))
        source = torch.nn.functional.avg_pool2d(pixels, factor, ceil_mode=True) if factor > 1 else pixels
        grid = sampling_grid(crop[one], size, height, width)
        # Pooling with a rest at the border stretches the photo; the grid follows.
        covered = torch.tensor([source.shape[-1] * factor, source.shape[-2] * factor], device=device)
        stretch = torch.tensor([width, height], device=device) / covered
        grid = (grid + 1.0) * stretch - 1.0
        cut.append(torch.nn.functional.grid_sample(source, grid[None], align_corners=False)[0])
    return torch.stack(cut) if cut else pixels.new_zeros(0, 3, size, size)


def cut_silhouettes(detections: Detections, crop: Crop, size: int) -> Float[Tensor, "people size size"]:
    """The detector's silhouettes on the grid of the crops; all 0 where it gives none."""
    grids, boxes = detections.silhouettes, detections.silhouette_boxes
    if grids is None or boxes is None:
        return crop.side.new_zeros(len(crop.side), size, size)
    cut = []
    for one in range(len(crop.side)):
        extent = boxes[one, 2:] - boxes[one, :2]
        ticks = (torch.arange(size, device=extent.device) + 0.5) / size * 2.0 - 1.0
        y, x = torch.meshgrid(ticks, ticks, indexing="ij")
        pixels = torch.stack([x, y], -1) * crop.side[one] / 2.0 + crop.center[one]
        grid = 2.0 * (pixels - boxes[one, :2]) / extent.clamp_min(1.0) - 1.0
        cut.append(torch.nn.functional.grid_sample(grids[one][None, None], grid[None], align_corners=False)[0, 0])
    return torch.stack(cut) if cut else crop.side.new_zeros(0, size, size)


def crop_inputs(
    image: Image, detections: Detections, camera: Camera, config: HMRConfig
) -> tuple[Float[Tensor, "people 3 height width"] | ProxyInputs | PartInputs, View]:
    """What an encoder of images reads, cut as its kind wants it, and the frame of its answer.

    Args:
        image: The photo.
        detections: Columns ordered as `fitloop.regressor.keypoint_encoder.KEYPOINT_NAMES`, full-image pixels.
        camera: One per person.
        config: Says which encoder, and of which kind.
    """
    recipe = config.recipe
    crop = crop_of(recipe, detections.boxes)
    crops = cut_crops(image, crop, config.photo_size)
    if config.encoder == "parts":
        points = to_crop(detections.keypoints, crop)
        joints = joint_maps(points, detections.confidence, config.image_size) if config.part_joints else None
        return PartInputs(None, normalize_rgb(crops), joints), view_of(recipe, detections.boxes, camera)
    if config.encoder != "proxy":
        height, width = config.crop_size
        # A crop that is narrower than high is the middle of the square: same pixels, one way of cutting.
        edge = (height - width) // 2
        crops = crops[..., edge : edge + width]
        return normalize_rgb(crops, recipe.mean, recipe.spread), view_of(recipe, detections.boxes, camera)
    points = to_crop(detections.keypoints, crop)
    silhouettes = cut_silhouettes(detections, crop, config.image_size)
    maps = make_proxy(crops, points, detections.confidence, silhouettes)
    # The view is that of the keypoints, whatever box the detector drew.
    keypoints, view = keypoint_inputs(detections, camera)
    return ProxyInputs(maps, keypoints), view
