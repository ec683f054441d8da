"""How the networks of each kind of checkpoint are fed, and what their answer means: one record per kind.

A network knows only the crops, numbers and frames it was trained with. Fed otherwise it still answers, wrongly and
without a word, so everything that differs between kinds stands here and nowhere else.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.geometry import Camera, Crop
from fitloop.geometry.rotations import SixDLayout
from fitloop.regressor.resnet import IMAGENET_MEAN, IMAGENET_SPREAD
from fitloop.regressor.views import View, view_of_boxes, weak_to_place

Kind = Literal["fitloop", "spin", "cliff", "hmr2"]


@dataclass(frozen=True)
class InputRecipe:
    """What a kind of network takes, and how its answer is read."""

    margin: float = 1.2
    """The crop over the smallest one of its shape that holds the person's box."""
    aspect: float = 1.0
    """Height of the crop over its width."""
    image_size: int = 224
    """Height of the published networks' crop, pixels."""
    mean: tuple[float, float, float] = IMAGENET_MEAN
    """Taken from RGB in [0, 1]."""
    spread: tuple[float, float, float] = IMAGENET_SPREAD
    """What the rest is divided by."""
    extra_inputs: int = 0
    """Numbers about the box that follow the features: none, or the three of `cliff_box_numbers`."""
    frame: Literal["view", "photo"] = "view"
    """Where the answered rotation and place live: the frame of a camera turned to the person, or the photo's own."""
    camera_point: Literal["pelvis", "origin"] = "pelvis"
    """What the weak camera places: the pelvis, or the origin of the body's own frame."""
    layout: SixDLayout = "interleaved"
    """Order of the six numbers of a rotation in the published networks."""


RECIPES: dict[Kind, InputRecipe] = {
    "fitloop": InputRecipe(),
    # SPIN never leaves its crop, where the person is straight ahead: the turned view is where that is true.
    "spin": InputRecipe(camera_point="origin"),
    # CLIFF is told where the box lies, and answers for the photo's camera (Li et al. 2022, sec. 3.2).
    "cliff": InputRecipe(
        margin=1.1, aspect=4.0 / 3.0, image_size=256, extra_inputs=3, frame="photo", camera_point="origin"
    ),
    # HMR 2.0 takes the detector's box as it is. Its crop's camera has a focal length of 5000 / 256 crops: as SPIN's, it
    # looks straight at the person, and the weak camera's scale says the same for any focal length.
    "hmr2": InputRecipe(margin=1.0, aspect=4.0 / 3.0, image_size=256, camera_point="origin", layout="block"),
}


def crop_of(recipe: InputRecipe, boxes: Float[Tensor, "people 4"]) -> Crop:
    """The square as high as the crop, around x y x y boxes; a narrower crop is the middle of it."""
    extent = (boxes[..., 2:] - boxes[..., :2]) * boxes.new_tensor([recipe.aspect, 1.0])
    side = recipe.margin * extent.amax(-1).clamp_min(1.0)
    return Crop((boxes[..., :2] + boxes[..., 2:]) / 2.0, side, torch.zeros_like(side))


def view_of(recipe: InputRecipe, boxes: Float[Tensor, "people 4"], camera: Camera) -> View:
    """The frame of the answer, and how large its crop is there."""
    if recipe.frame == "view":
        if recipe.aspect != 1.0:
            stretch = (0.5 * (recipe.aspect - 1.0)) * (boxes[..., 2] - boxes[..., 0])
            boxes = boxes + torch.stack([-stretch, 0.0 * stretch, stretch, 0.0 * stretch], -1)
        return view_of_boxes(boxes, camera, recipe.margin)
    straight = torch.eye(3, dtype=boxes.dtype, device=boxes.device).expand(len(boxes), 3, 3)
    return View(straight, crop_of(recipe, boxes).side / (2.0 * camera.focal))


def box_numbers(
    recipe: InputRecipe, boxes: Float[Tensor, "people 4"], camera: Camera
) -> Float[Tensor, "people extra"] | None:
    """The head's extra inputs; None for kinds that take none."""
    return cliff_box_numbers(crop_of(recipe, boxes), camera) if recipe.extra_inputs else None


def cliff_box_numbers(crop: Crop, camera: Camera) -> Float[Tensor, "people 3"]:
    """CLIFF's three inputs: the crop's offset from the principal point and its height, over the focal length.

    The paper's equation 5, brought to about [-1, 1] by what its authors measured on Human3.6M: 2.8, 0.24 and 0.06.
    """
    focal = camera.focal[:, None]
    offset = 2.8 * (crop.center - camera.principal_point) / focal
    return torch.cat([offset, (crop.side[:, None] - 0.24 * focal) / (0.06 * focal)], -1)


def answered_place(
    recipe: InputRecipe, weak: Float[Tensor, "people 3"], view: View, boxes: Float[Tensor, "people 4"], camera: Camera
) -> Float[Tensor, "people 3"]:
    """Where the weak camera puts the kind's `camera_point`, in the frame of the answer, metres.

    In the photo's frame the crop lies beside the optical axis, so its centre's ray is added:
    ``t = (tx + 2 (cx - W/2) / (b s), ty + 2 (cy - H/2) / (b s), 2 f / (b s))`` for a crop of height b.
    """
    place = weak_to_place(weak, view)
    if recipe.frame == "view":
        return place
    slope = (crop_of(recipe, boxes).center - camera.principal_point) / camera.focal[:, None]
    return torch.cat([place[:, :2] + slope * place[:, 2:], place[:, 2:]], -1)
