"""What `fitloop texture` writes: arrays, a rigged GLB, a picture from four sides, and a page with the body to turn."""

import html
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

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
from fitloop.rendering.rigged import export_rigged_glb
from fitloop.rendering.viewer import viewer_body, viewer_figure, viewer_head

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
    with whole_file(out / "index.html") as file:
        file.write_text(_page(body, texture, poses, given), encoding="utf-8")


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


def _page(
    body: Body, texture: PersonTexture, poses: list[tuple[str, BodyParams]], given: "Sequence[Contribution]"
) -> str:
    betas = torch.from_numpy(texture.betas)
    stages = {name: _centered(body, replace(params[0].to(torch.float32), betas=betas)) for name, params in poses}
    stages["T-pose"] = _standing(body, betas)
    camera = Camera(torch.tensor([_FOCAL]), torch.tensor([[_VIEWER[1] / 2.0, _VIEWER[0] / 2.0]]))
    bodies = {
        name: BodyEstimate(params.map(lambda value: value[None]), camera, body.name) for name, params in stages.items()
    }
    style = files("fitloop.pipelines").joinpath("assets/page.css").read_text(encoding="utf-8")
    seen = 100.0 * float((texture.known == 1).mean())
    rows = "".join(_table_row(one) for one in given)
    figure = viewer_figure(bodies, _VIEWER, texture=texture.colors)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>fitloop: a person's texture</title><style>{style}</style>{viewer_head()}</head>\n"
        f"<body><header><h1>A person's texture</h1><p>{seen:.0f} % of the surface was seen in {len(given)} "
        f"{'photo' if len(given) == 1 else 'photos'}, the rest is guessed; body {html.escape(body.name)}</p></header>\n"
        f'{viewer_body(body)}<main><article style="max-width:46rem">{figure}</article>'
        '<article><img src="contact.png" alt="The body from four sides" style="width:100%">'
        '<p><a href="body.glb">body.glb</a> (rigged, T-pose) &middot; '
        '<a href="texture.npz">texture.npz</a></p></article>'
        '<article class="table"><table><thead><tr><th>photo</th><th>surface seen (%)</th>'
        "<th>usual difference from the others (RGB, %)</th><th>silhouette</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></article></main></body></html>\n"
    )


def _table_row(one: "Contribution") -> str:
    distance = "" if np.isnan(one.distance) else f"{100.0 * one.distance:.0f}"
    return (
        f'<tr><td>{html.escape(one.chosen.name)}</td><td class="number">{100.0 * one.share:.0f}</td>'
        f'<td class="number">{distance}</td><td>{"used" if one.masked else "none"}</td></tr>'
    )
