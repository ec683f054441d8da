from dataclasses import replace

import numpy as np
import pytest
import torch
from toy import stick_body

from fitloop.body import Detections, Image
from fitloop.body.keypoints import SMPL_24
from fitloop.geometry import camera_of
from fitloop.regressor import HeadConfig, HMRConfig, Weights, build_hmr, load_weights, save_weights
from fitloop.regressor.parts import (
    PartInputs,
    PartNet,
    PartNetConfig,
    load_part_net,
    part_channels,
    save_part_net,
)
from fitloop.regressor.regressor import NetworkRegressor

NET = PartNetConfig((4, 8, 8), 64)
GIVEN = HMRConfig("parts", width=4, image_size=32, parts=6, head=HeadConfig(1, 16, 0.0))
FINDING = replace(GIVEN, segmenter=NET)


def maps(people: int = 2, size: int = 32) -> torch.Tensor:
    return torch.randint(-1, 24, (people, size, size), generator=torch.Generator().manual_seed(0))


def test_each_pixel_is_told_one_of_the_labels():
    labels = PartNet(NET).eval().labels(torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    assert labels.shape == (2, 64, 64)
    assert int(labels.min()) >= -1
    assert int(labels.max()) < 24


def test_merged_parts_are_painted_alike():
    labels = maps()
    channels = part_channels(labels, 6)
    assert channels.shape == (2, 6, 32, 32)
    assert torch.equal(channels.sum(1) > 0, labels >= 0)
    model = build_hmr(GIVEN).eval()
    elbow_for_shoulder = torch.where(labels == 18, 16, labels)
    assert torch.equal(model(PartInputs(labels)).betas, model(PartInputs(elbow_for_shoulder)).betas)
    knee_for_shoulder = torch.where(labels == 4, 16, labels)
    assert not torch.equal(model(PartInputs(labels)).betas, model(PartInputs(knee_for_shoulder)).betas)


def test_an_encoder_without_parts_sees_joints_alone():
    model = build_hmr(replace(GIVEN, parts=0, part_joints=True)).eval()
    joints = torch.rand(2, 17, 32, 32, generator=torch.Generator().manual_seed(0))
    assert model(PartInputs(joints=joints)).rotations.shape == (2, 24, 3, 3)
    with pytest.raises(ValueError, match="heat maps of joints"):
        model(PartInputs(maps()))


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        (PartInputs(maps() + 20), "holds 43"),
        (PartInputs(maps(size=48)), "part map is 48 x 48 pixels, these weights read 32 x 32"),
        (PartInputs(), "read part maps, and there are none"),
        (PartInputs(crops=torch.zeros(2, 3, 64, 64)), "or train with --segmenter"),
    ],
)
def test_what_cannot_be_read_is_refused(inputs, told):
    with pytest.raises(ValueError, match=told):
        build_hmr(GIVEN).eval()(inputs)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"parts": 5}, "parts is 0 for none or one of 1, 3, 6, 12, 24, got 5"),
        ({"parts": 0}, "needs part_joints"),
        ({"encoder": "resnet18", "segmenter": NET}, "segmenter is for the encoder 'parts'"),
    ],
)
def test_impossible_networks_are_refused(changes, told):
    with pytest.raises(ValueError, match=told):
        replace(GIVEN, **changes)


def test_a_crop_that_cannot_be_halved_is_refused():
    with pytest.raises(ValueError, match="multiple of 8, got 60"):
        PartNetConfig((4, 8, 8), 60)


def test_found_parts_are_those_of_the_network_inside_and_it_stays_as_it_is():
    model = build_hmr(FINDING)
    segmenter = model.get_submodule("encoder.segmenter")
    assert isinstance(segmenter, PartNet)
    before = {name: tensor.clone() for name, tensor in segmenter.state_dict().items()}
    crops = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    model.train()(PartInputs(crops=crops)).rotations.sum().backward()
    assert all(torch.equal(before[name], tensor) for name, tensor in segmenter.state_dict().items())
    assert all(parameter.grad is None for parameter in segmenter.parameters())
    labels = segmenter.labels(crops)[:, ::2, ::2]
    model.eval()
    torch.testing.assert_close(model(PartInputs(labels)).betas, model(PartInputs(crops=crops)).betas)


def test_weights_travel_with_the_network_that_finds_parts(tmp_path):
    model = build_hmr(FINDING).eval()
    save_weights(tmp_path / "parts.safetensors", Weights(model, FINDING, "stick-1"), half=False)
    loaded = load_weights(tmp_path / "parts.safetensors")
    assert loaded.config == FINDING
    crops = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(loaded.model(PartInputs(crops=crops)).betas, model(PartInputs(crops=crops)).betas)


def test_other_trainings_do_not_start_from_it():
    with pytest.raises(ValueError, match="does not feed the encoder 'parts'"):
        Weights(build_hmr(FINDING), FINDING, "stick-1").to_train()


def test_the_main_job_regresses_bodies_from_photos():
    pixels = np.random.default_rng(0).integers(0, 255, (120, 100, 3), dtype=np.uint8)
    image = Image(pixels, camera_of(100, 120), "photo")
    keypoints = torch.rand(2, 24, 2, generator=torch.Generator().manual_seed(0)) * 90
    seen = Detections(keypoints, torch.ones(2, 24), torch.tensor([[0.0, 0.0, 90.0, 110.0]]).repeat(2, 1), SMPL_24.name)
    regressor = NetworkRegressor("parts", Weights(build_hmr(FINDING).eval(), FINDING, "stick-1"), stick_body())
    estimate = regressor(image, seen, image.camera)
    assert estimate.params.body_pose.shape == (2, 23, 3, 3)
    assert bool(torch.isfinite(estimate.params.transl).all())


def test_a_segmentation_network_is_read_as_written(tmp_path):
    network = PartNet(NET).eval()
    save_part_net(tmp_path / "net.safetensors", network)
    crops = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    loaded = load_part_net(tmp_path / "net.safetensors")
    assert loaded.config == NET
    torch.testing.assert_close(loaded(crops), network(crops), atol=0.05, rtol=0.05)


def test_other_files_are_no_segmentation_networks(tmp_path):
    with pytest.raises(FileNotFoundError, match="train some with fitloop train-parts"):
        load_part_net(tmp_path / "none.safetensors")
    (tmp_path / "torn.safetensors").write_bytes(b"torn")
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        load_part_net(tmp_path / "torn.safetensors")
    save_weights(tmp_path / "other.safetensors", Weights(build_hmr(GIVEN), GIVEN, "stick-1"))
    with pytest.raises(ValueError, match="holds no segmentation of parts but 'fitloop-regressor'"):
        load_part_net(tmp_path / "other.safetensors")
