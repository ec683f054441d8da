"""Silhouettes as supervision (Tung et al. 2017, Pavlakos et al. 2018): what a body's outline should be."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import grid_sample, max_pool2d

from fitloop.body import Body, BodyParams, Detections, KeypointKinematics
from fitloop.body.mirror import rest_pelvis
from fitloop.geometry import Camera, project
from fitloop.regressor.keypoint_encoder import to_known_landmarks
from fitloop.regressor.views import View, points_in_view, project_in_view
from fitloop.rendering.soft_silhouette import coarse_mesh, silhouette_distance, soft_silhouettes

SIZE = 32
"""Side of the pictures in pixels, across the view."""
SOFTNESS = 0.5
"""Pixels."""
CELL = 0.06
"""Metres between the vertices of the mesh that is drawn."""


UNKNOWN = -1.0
"""In masks: pixels of which nobody can say whether they belong to the person."""
_NEAR = 3
"""Pixels around a mask, across, in which its person's keypoints may lie."""


class SilhouetteLoss:
    """Draws a thinned-out body softly, and compares it with masks."""

    def __init__(self, body: Body) -> None:
        """Thin out the mesh.

        Args:
            body: The body being regressed.
        """
        self.body = body
        kept, self.faces = coarse_mesh(body.template, body.faces, CELL)
        self.kinematics = KeypointKinematics(body, (), tuple(kept.tolist()))

    def draw(self, params: BodyParams, view: View) -> Float[Tensor, "people size size"]:
        """Soft silhouettes of bodies in the frame of their views, across the view."""
        points = project_in_view(self.kinematics(params), view)
        return soft_silhouettes((0.5 * SIZE) * (points + 1.0), self.faces.to(points.device), SIZE, SOFTNESS)

    @torch.no_grad()
    def masks(
        self,
        rotations: Float[Tensor, "people joints 3 3"],
        betas: Float[Tensor, "people betas"],
        pelvis: Float[Tensor, "people 3"],
        view: View,
    ) -> Float[Tensor, "people size size"]:
        """Masks of people whose bodies are known, as a good detector would draw them: 1 or 0.

        Args:
            rotations: Root to view, then local.
            betas: Their shapes.
            pelvis: Where it is in the view's frame, metres.
            view: What they are seen through.
        """
        transl = pelvis - rest_pelvis(self.body, betas)
        return (self.draw(BodyParams(rotations[:, 0], rotations[:, 1:], betas, transl), view) > 0.5).to(betas)

    def __call__(self, params: BodyParams, view: View, masks: Float[Tensor, "people size size"]) -> Float[Tensor, ""]:
        """Mean of one minus the intersection over union; people without a mask do not count, and are not drawn.

        Raises:
            ValueError: If the masks have another size than `SIZE`.
        """
        if masks.shape[1:] != (SIZE, SIZE):
            raise ValueError(
                f"The masks are {masks.shape[1]} x {masks.shape[2]} pixels, drawn silhouettes {SIZE} x {SIZE} across "
                f"the person's view; bring them to one size."
            )
        rows = (masks.amax((-2, -1)) > 0.5).nonzero()[:, 0]
        if not len(rows):
            return 0.0 * params.betas.sum()
        return silhouette_distance(self.draw(params[rows], view[rows]), masks[rows]).mean()


def masks_in_view(
    detections: Detections, camera: Camera, view: View, photo: Float[Tensor, "people 2"] | None = None
) -> Float[Tensor, "people size size"]:
    """Silhouettes of detections across views of the people: 1 or 0, and `UNKNOWN` beyond the photo.

    A silhouette that leaves out half of the person's own keypoints is somebody else's and comes out empty, as where
    there is none.

    Args:
        detections: One row per person, any convention, full-image pixels.
        camera: One per person.
        view: One per person.
        photo: Its width and height in pixels; without, everything beyond a silhouette's grid counts as empty.
    """
    known = to_known_landmarks(detections)
    grids, boxes = detections.silhouettes, detections.silhouette_boxes
    if grids is None or boxes is None:
        return known.keypoints.new_zeros(len(known.keypoints), SIZE, SIZE)
    # Soft bodies come out wider than they are by half a pixel, and so do masks: one corner of a pixel is enough.
    pixels = _pixels_of(view, camera, torch.arange(SIZE + 1))
    corner, extent = boxes[:, None, None, :2], (boxes[:, None, None, 2:] - boxes[:, None, None, :2]).clamp_min(1.0)
    soft = grid_sample(grids[:, None], 2.0 * (pixels - corner) / extent - 1.0, align_corners=False)
    masks = (max_pool2d(soft, 2, 1)[:, 0] > 0.5).to(soft.dtype)
    near = max_pool2d(masks[:, None], _NEAR, 1, _NEAR // 2)
    places = points_in_view(known.keypoints, camera, view)[:, None]
    sure = (known.confidence > 0).to(soft.dtype)
    inside = grid_sample(near, places, mode="nearest", align_corners=False)[:, 0, 0] > 0.5
    own = (inside * sure).sum(-1) >= 0.5 * sure.sum(-1).clamp_min(1.0)
    masks = masks * own[:, None, None]
    if photo is None:
        return masks
    pixels = _pixels_of(view, camera, torch.arange(SIZE) + 0.5)
    beyond = ((pixels < 0) | (pixels > photo[:, None, None])).any(-1)
    return torch.where(beyond, UNKNOWN, masks)


def _pixels_of(view: View, camera: Camera, places: Tensor) -> Float[Tensor, "people rows columns 2"]:
    """Full-image pixels under places along both axes of a mask, counted in its pixels."""
    ticks = 2.0 * places.to(view.half_size) / SIZE - 1.0
    y, x = torch.meshgrid(ticks, ticks, indexing="ij")
    flat = torch.stack([x, y], -1).flatten(0, 1) * view.half_size[:, None, None]
    rays = torch.cat([flat, torch.ones_like(flat[..., :1])], -1) @ view.rotation
    return project(rays, camera).unflatten(1, (len(ticks), len(ticks)))
