"""The open body before a camera, and colours that tell where on it one looks."""

from dataclasses import replace

import torch

from fitloop.body import Body, BodyEstimate, BodyParams, load_body, upright
from fitloop.geometry import camera_of, rotvec_to_rotmat
from fitloop.refinement import Look, Photo, draw_bodies, look_at
from fitloop.rendering import interpolate, load_rasterizer, unique_vertex_colors

SIZE = (240, 320)
BODY: Body = load_body("open")


def standing(*places: tuple[float, float, float]) -> BodyEstimate:
    """People with lowered arms at places of the camera frame, metres."""
    params = upright(len(places))
    pose = params.body_pose.clone()
    pose[:, 15] = rotvec_to_rotmat(torch.tensor((0.0, 0.0, -0.9)))
    pose[:, 16] = rotvec_to_rotmat(torch.tensor((0.0, 0.0, 0.9)))
    params = replace(params, body_pose=pose, transl=torch.tensor(places))
    camera = camera_of(SIZE[1], SIZE[0]).map(lambda value: value.expand(len(places), *value.shape))
    return BodyEstimate(params, camera, BODY.name)


def disturbed(truth: BodyEstimate, size: float = 0.08, seed: int = 0) -> BodyEstimate:
    """The same people, every joint turned a little and moved across by a few centimetres."""
    generator = torch.Generator().manual_seed(seed)
    params = truth.params
    turns = rotvec_to_rotmat(size * torch.randn(*params.rotations.shape[:-1], generator=generator))
    turned = params.rotations @ turns
    shift = 0.3 * size * torch.randn(len(turned), 3, generator=generator)
    return replace(truth, params=BodyParams(turned[:, 0], turned[:, 1:], params.betas, params.transl + shift))


def photograph(truth: BodyEstimate) -> Photo:
    """A photo of the first person in the colours of the T-pose, and everybody's silhouette."""
    rasterizer = load_rasterizer("auto")
    vertices = BODY(truth.params).vertices
    fragments = rasterizer(vertices, BODY.faces, truth.camera, SIZE)
    colors = interpolate(fragments[0], unique_vertex_colors(BODY.template), BODY.faces)
    boxes = torch.tensor([0.0, 0.0, SIZE[1], SIZE[0]]).expand(len(vertices), 4)
    return Photo((255.0 * colors).byte(), fragments.covered.float(), boxes)


def look(estimate: BodyEstimate, photo: Photo) -> Look:
    return look_at(BODY, photo, estimate, load_rasterizer("auto"))


def draw(estimate: BodyEstimate, seen: Look):
    return draw_bodies(BODY, estimate, seen.crop, seen.photo.shape[-1], load_rasterizer("auto"))
