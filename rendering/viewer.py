"""Bodies to turn in the browser: parts of a page that need no network and work from a file on disk.

A page holds `viewer_head` once, `viewer_body` once per body model, and `viewer_figure` once per photo or person. A
figure holds parameters, not vertices: the script skins the one embedded body when a figure comes into sight. Where
scenes would make a page too large to open, `scene_script` puts each into a file of its own, loaded when looked at.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from markupsafe import Markup
from torch import Tensor

from fitloop.body import Body, BodyEstimate
from fitloop.body.params import JOINT_PARENTS
from fitloop.geometry import rotmat_to_rotvec
from fitloop.rendering.pages import fragment
from fitloop.rendering.shading import PERSON_COLORS

_BONES = 4
"""Joints that may move a vertex, as in SMPL and the open body."""


def viewer_head() -> Markup:
    """Style and script of all viewers, 22 KB: once per page, in its head."""
    return _part("head")


def viewer_body(body: Body) -> Markup:
    """A body model for the viewers of a page, 1.7 MB for the open body: once per page and model.

    Coordinates and shape directions are rounded to 16 bits (under 0.1 mm). Pose correctives, which SMPL has and the
    open body has not, are left out: at bent joints the viewer then differs from the other outputs. A page with a user's
    own SMPL file holds that file's data.
    """
    template = body.template.double()
    directions = body.shapedirs.double().permute(2, 0, 1)
    unit = float(template.abs().max()) / 32767
    units = directions.abs().amax((1, 2)).clamp_min(1e-12) / 32767
    weights, bones = body.lbs_weights.double().topk(_BONES, dim=1)
    record = {
        "vertices": len(template),
        "betas": body.num_betas,
        "parents": list(JOINT_PARENTS),
        "template": _encode((template / unit).round(), np.int16),
        "template_unit": unit,
        "directions": _encode((directions / units[:, None, None]).round(), np.int16),
        "direction_units": units.tolist(),
        "joints": _encode(body.joint_regressor @ body.template, np.float32),
        "joint_directions": _encode(torch.einsum("jv,vcb->jcb", body.joint_regressor, body.shapedirs), np.float32),
        "bones": _encode(bones, np.uint8),
        "weights": _encode((weights / weights.sum(1, keepdim=True) * 65535).round(), np.uint16),
        "faces": _encode(body.faces, np.uint16 if len(template) < 65536 else np.uint32),
    }
    return _part("body", body.name, record)


def viewer_figure(scene: Mapping[str, Any]) -> Markup:
    """A figure that holds the scene it shows, as `viewer_scene` makes it."""
    return _part("figure", scene)


def scene_script(scene: Mapping[str, Any]) -> str:
    """A scene as a script to write beside a page, for a figure that names the script's address in ``data-scene``.

    Pages on disk may run scripts that lie beside them but not read other files, so this is a call and not plain JSON.
    """
    return f"fitloopViewer.arrive({json.dumps(scene, separators=(',', ':'), allow_nan=False)});\n"


def viewer_scene(
    stages: Mapping[str, BodyEstimate],
    size: tuple[int, int],
    photo: str | None = None,
    view: tuple[float, float, float, float] | None = None,
    texture: UInt8[np.ndarray, "vertices 3"] | None = None,
    offsets: Mapping[str, Float[np.ndarray, "people vertices 3"]] | None = None,
) -> dict[str, Any]:
    """What a figure shows: the people of one photo in 3D, from the photo's camera at first.

    Args:
        stages: Bodies by the name of their stage, in order ("regressed", "fitted", ...); the last is shown first. Each
            holds one row per person, seen with the camera of the first row. People whose parameters are not finite are
            left out.
        size: Height and width of the photo in pixels.
        photo: Address of the photo or a smaller copy, relative to the page, shown on a plane behind the people.
        view: Part of the photo to show first (x y x y, pixels), such as a person's box; by default the whole photo.
        texture: sRGB of each vertex of the body, worn by everybody; by default each person has a colour.
        offsets: Metres to add to the vertices of the rest pose (SMPL+D), for stages that have them; 108 KB for each
            person of the open body who has some.

    Raises:
        ValueError: If there is no stage, or the stages' bodies are of different models.
    """
    names = sorted({estimate.body for estimate in stages.values()})
    if len(names) != 1:
        raise ValueError(f"A viewer shows the stages of one body model, got {names or 'no stage'}.")
    focal, principal = _camera(list(stages.values())[-1], size)
    scene = {
        "body": names[0],
        "size": [size[1], size[0]],
        "view": [0, 0, size[1], size[0]] if view is None else [round(float(edge), 1) for edge in view],
        "focal": focal,
        "principal": principal,
        "photo": photo,
        "stages": [{"name": n, "people": _people(e, (offsets or {}).get(n))} for n, e in stages.items()],
    }
    if texture is not None:
        scene["texture"] = base64.b64encode(texture.tobytes()).decode("ascii")
        for person in (person for stage in scene["stages"] for person in stage["people"]):
            person["color"] = (1.0, 1.0, 1.0)
    return scene


def _camera(estimate: BodyEstimate, size: tuple[int, int]) -> tuple[float, list[float]]:
    focal, principal = estimate.camera.focal.reshape(-1), estimate.camera.principal_point.reshape(-1, 2)
    if len(focal) == 0:
        return float(max(size)), [size[1] / 2, size[0] / 2]
    return round(float(focal[0]), 3), [round(float(place), 3) for place in principal[0]]


def _people(estimate: BodyEstimate, offsets: np.ndarray | None) -> list[dict[str, Any]]:
    params = estimate.params.detach().to("cpu", torch.float64)
    poses = rotmat_to_rotvec(params.rotations).flatten(-2).reshape(-1, 3 * len(JOINT_PARENTS))
    rows = torch.cat([poses, params.betas.flatten(0, -2), params.transl.reshape(-1, 3)], dim=1)
    people = []
    for index, row in enumerate(rows):
        if bool(row.isfinite().all()):
            values = [round(value, 4) for value in row.tolist()]
            pose, betas, transl = values[: poses.shape[1]], values[poses.shape[1] : -3], values[-3:]
            color = PERSON_COLORS[index % len(PERSON_COLORS)]
            person: dict[str, Any] = {"pose": pose, "betas": betas, "transl": transl, "color": color}
            if offsets is not None and bool(offsets[index].any()):
                unit = float(np.abs(offsets[index]).max()) / 32767
                whole = torch.from_numpy(offsets[index].astype(np.float64) / unit).round()
                person |= {"offsets": _encode(whole, np.int16), "offset_unit": unit}
            people.append(person)
    return people


def _encode(values: Tensor, kind: type[np.generic]) -> str:
    """Little-endian bytes in base64."""
    array = values.detach().cpu().numpy().astype(np.dtype(kind).newbyteorder("<"))
    return base64.b64encode(array.tobytes()).decode("ascii")


def _part(macro: str, *values: Any) -> Markup:
    return fragment("fitloop.rendering", "viewer.html", macro, *values)
