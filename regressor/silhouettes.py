"""Silhouettes as supervision (Tung et al. 2017, Pavlakos et al. 2018): what a body's outline should be."""

import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.body import Body, BodyParams, KeypointKinematics
from fitloop.body.mirror import rest_pelvis
from fitloop.regressor.views import View, project_in_view
from fitloop.rendering.soft_silhouette import coarse_mesh, silhouette_distance, soft_silhouettes

SIZE = 32
"""Side of the pictures in pixels, across the view."""
SOFTNESS = 0.5
"""Pixels."""
CELL = 0.06
"""Metres between the vertices of the mesh that is drawn."""


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
