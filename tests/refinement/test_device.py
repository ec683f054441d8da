"""Refinement and offsets work where the body lies: nothing stays behind on the CPU."""

from dataclasses import replace

import numpy as np
import torch
from fitting_scenes import see
from pretend import PRETEND
from refinement_scenes import BODY, SIZE, disturbed, photograph, standing

from fitloop.body import Image
from fitloop.fitting import Fit, Status
from fitloop.geometry import camera_of
from fitloop.pipelines.chain.people import People
from fitloop.pipelines.chain.refining import Dresser, make_refiner, refine_people
from fitloop.pipelines.chain.wearers import Wearers
from fitloop.refinement import DisplacementNet
from fitloop.refinement.clues import read_clues
from fitloop.refinement.correction import CorrectionConfig, CorrectionNet, correction_input
from fitloop.refinement.inpainting import fill_over_surface
from fitloop.refinement.look import look_at, personal_texture
from fitloop.refinement.network import NetworkConfig
from fitloop.refinement.offsets import OffsetConfig, OffsetReason, no_offsets
from fitloop.refinement.person_texture import PersonTexture
from fitloop.rendering import load_rasterizer

TRUTH = standing((-0.5, 0.1, 3.0), (0.6, 0.1, 3.4))
PHOTO = photograph(TRUTH)
FITTED = disturbed(TRUTH, 0.04)
COUNT = len(BODY.template)
TEXTURE = PersonTexture(
    np.full((COUNT, 3), 90, np.uint8), np.ones(COUNT, np.float32), BODY.name, np.zeros(10, np.float32), ()
)


def networks() -> tuple[DisplacementNet, CorrectionNet]:
    """Small ones, the second as wide as the first makes its inputs."""
    network = DisplacementNet(NetworkConfig((8, 8, 8), (1, 1, 1))).eval().requires_grad_(False)
    look = look_at(BODY, PHOTO, FITTED, load_rasterizer())
    clues = correction_input(BODY, FITTED, read_clues(BODY, network, look, FITTED))
    config = CorrectionConfig(BODY.name, clues.joints.shape[-1], clues.whole.shape[-1], width=16, layers=1, heads=2)
    return network, CorrectionNet(config).eval().requires_grad_(False)


def dressed(device: torch.device) -> People:
    """Two people, refined with networks that lie on the CPU, one in a texture, and clothed by dense evidence too."""
    body = BODY if device.type == "cpu" else BODY.to(device)
    seen = replace(see(BODY, TRUTH), silhouettes=PHOTO.silhouettes, silhouette_boxes=PHOTO.silhouette_boxes)
    numbers = torch.arange(2)
    fit = Fit(FITTED, numbers.float(), torch.full((2,), int(Status.CONVERGED)), numbers, numbers)
    people = People("a.jpg", body, seen.to(device), FITTED.to(device), fit.to(device))
    image = Image(PHOTO.pixels.numpy(), camera_of(SIZE[1], SIZE[0]), "a.jpg")
    torch.manual_seed(0)
    network, correction = networks()
    refiner = make_refiner(body, network=network, correction=correction)
    refined = refine_people(refiner, image, people, Wearers(TEXTURE))
    assert all(parameter.device.type == "cpu" for parameter in network.parameters()), "the caller's stays where it was"
    return Dresser(body, OffsetConfig(dense=0.5, rounds=1))(image, refined)


def test_people_refined_and_clothed_on_another_device_are_those_of_a_cpu(pretend_device):
    expected = dressed(torch.device("cpu"))
    before = pretend_device.operations
    found = dressed(PRETEND)
    assert pretend_device.operations > before + 1000
    places = {found.refined.estimate.params.transl.device, found.refined.displacement.offset.device}
    assert places | {found.offsets.rest.device, found.surface().device} == {PRETEND}
    arrays, wanted = found.to_arrays(), expected.to_arrays()
    for name in ("refined_reason", "refined_offsets_reason"):
        assert arrays[name].tolist() == wanted[name].tolist()
    for name in ("refined_transl", "refined_joints_3d", "refined_overlap_after", "refined_offsets"):
        np.testing.assert_allclose(arrays[name], wanted[name], atol=2e-3)


def test_textures_of_several_photos_are_merged_and_filled_where_they_lie(pretend_device):
    body, estimate = BODY.to(PRETEND), FITTED.to(PRETEND)
    look = look_at(body, PHOTO.to(PRETEND), estimate, load_rasterizer("auto", PRETEND))
    merged = personal_texture(body, [look, look])
    assert merged.colors.device == fill_over_surface(body, merged).colors.device == PRETEND
    nothing = no_offsets(body, 2, OffsetReason.NO_SILHOUETTE)
    assert {nothing.rest.device, nothing.reason.device, nothing.outline.device} == {PRETEND}


def test_nobody_and_people_beside_the_photo_are_cut_out_there_too(pretend_device):
    body, photo, rasterizer = BODY.to(PRETEND), PHOTO.to(PRETEND), load_rasterizer("auto", PRETEND)
    away = replace(FITTED, params=replace(FITTED.params, transl=FITTED.params.transl + torch.tensor([50.0, 0.0, 0.0])))
    look = look_at(body, photo, away.to(PRETEND), rasterizer)
    assert not look.seen.any() and look.photo.device == PRETEND
    bare = replace(photo, silhouettes=None, silhouette_boxes=None)
    assert look_at(body, bare, away[:0].to(PRETEND), rasterizer).photo.device == PRETEND
