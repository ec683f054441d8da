"""What `fitloop texture` writes: arrays, a rigged GLB, a picture from four sides, and a page with the body to turn."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image as PillowImage
from PIL import ImageDraw
from torch import Tensor

from fitloop.body import Body, BodyEstimate, BodyParams, upright
from fitloop.body.files import whole_file
from fitloop.geometry import Camera, rotvec_to_rotmat
from fitloop.refinement.person_texture import PersonTexture
from fitloop.rendering.overlays import draw_side_view
from fitloop.rendering.pages import write_html
from fitloop.rendering.rigged import export_rigged_glb
from fitloop.rendering.viewer import viewer_body, viewer_scene

if TYPE_CHECKING:
    from fitloop.refinement.person_texture import Contribution

SIDES = (("front", 0.0), ("left side", 90.0), ("back", 180.0), ("right side", 270.0))
"""Names, and degrees by which the body is turned."""
TILE = (640, 420)
"""Height and width of each view."""
LOWERED = 0.95
"""Radians by which the arms hang from the T-pose in the picture."""
MOST_POSES = 12
"""Photos whose poses the page shows and the GLB holds at most."""
_VIEWER = (900, 900)
_FOCAL, _DISTANCE = 1500.0, 3.6
_NOT_SEEN = 0.45
"""Share of its colour that a guessed vertex keeps in the lower row; the rest is grey."""


def write_outputs(out: Path, body: Body, texture: PersonTexture, given: "Sequence[Contribution]") -> None:
    """Write texture.npz, body.glb, contact.png and index.html.

    Raises:
        OSError: If one cannot be written.
    """
    poses = [(one.chosen.name, one.chosen.estimate.params) for one in given[:MOST_POSES]]
    texture.save(out / "texture.npz")
    betas = torch.from_numpy(texture.betas)
    export_rigged_glb(
        out / "body.glb", body, betas, texture.fractions, torch.cat([params.rotations for _, params in poses])
    )
    with whole_file(out / "contact.png") as file:
        PillowImage.fromarray(contact_sheet(body, texture)).save(file, format="PNG")
    values = {"body_name": body.name, "body": viewer_body(body), "scene": _scene(body, texture, poses), "given": given}
    seen = 100.0 * float((texture.known == 1).mean())
    write_html(out / "index.html", "fitloop.pipelines", "texture.html", seen=seen, **values)


def contact_sheet(body: Body, texture: PersonTexture) -> np.ndarray:
    """The body from four sides; below, the same with what no photo showed in grey; (height, width, 3) RGB uint8."""
    params = _standing(body, torch.from_numpy(texture.betas))
    arms = [body.joint_names.index(name) - 1 for name in ("left_shoulder", "right_shoulder")]
    pose = params.body_pose.clone()
    pose[arms] = rotvec_to_rotmat(torch.tensor([[0.0, 0.0, -LOWERED], [0.0, 0.0, LOWERED]]))
    vertices = body(replace(params, body_pose=pose)).vertices
    colors = texture.fractions
    seen = torch.from_numpy(texture.known == 1)[:, None]
    marked = torch.where(seen, colors, _NOT_SEEN * colors + (1.0 - _NOT_SEEN) * 0.75)
    rows = [_row(body, vertices, shown) for shown in (colors, marked)]
    sheet = PillowImage.fromarray(np.concatenate(rows))
    draw = ImageDraw.Draw(sheet)
    for column, (name, _) in enumerate(SIDES):
        draw.text((column * TILE[1] + 12, 10), name, fill=(70, 75, 82))
        draw.text((column * TILE[1] + 12, TILE[0] + 10), f"{name}, guessed parts pale", fill=(70, 75, 82))
    return np.asarray(sheet)


def _row(body: Body, vertices: Tensor, colors: Tensor) -> np.ndarray:
    return np.concatenate([draw_side_view(vertices, body.faces, TILE, colors, turn) for _, turn in SIDES], axis=1)


def _standing(body: Body, betas: Tensor) -> BodyParams:
    """T-pose before the page's camera, its middle on the axis."""
    params = replace(upright(), betas=betas)
    return _centered(body, params)


def _centered(body: Body, params: BodyParams) -> BodyParams:
    vertices = body(replace(params, transl=torch.zeros(3))).vertices
    middle = (vertices.amin(0) + vertices.amax(0)) / 2.0
    return replace(params, transl=torch.tensor([0.0, 0.0, _DISTANCE]) - middle)


def _scene(body: Body, texture: PersonTexture, poses: list[tuple[str, BodyParams]]) -> dict[str, Any]:
    """The coloured body in the poses of the photos, the T-pose first."""
    betas = torch.from_numpy(texture.betas)
    stages = {name: _centered(body, replace(params[0].to(torch.float32), betas=betas)) for name, params in poses}
    stages["T-pose"] = _standing(body, betas)
    camera = Camera(torch.tensor([_FOCAL]), torch.tensor([[_VIEWER[1] / 2.0, _VIEWER[0] / 2.0]]))
    bodies = {
        name: BodyEstimate(params.map(lambda value: value[None]), camera, body.name) for name, params in stages.items()
    }
    return viewer_scene(bodies, _VIEWER, texture=texture.colors)
