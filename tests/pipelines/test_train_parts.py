import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from toy import random_params, stick_body

import fitloop.pipelines.lessons.image_batches as images
import fitloop.pipelines.train as regressor_program
import fitloop.pipelines.train_parts as program
from fitloop.body.part_maps import NOBODY
from fitloop.data.mocap import Mocap
from fitloop.data.synthetic import SyntheticPeopleBatch
from fitloop.geometry import Camera
from fitloop.pipelines.lessons.image_sampling import ImageSampling
from fitloop.pipelines.train_parts import PartsTrainConfig, main, train
from fitloop.pipelines.training.regressor_config import TrainConfig
from fitloop.regressor import HeadConfig, HMRConfig, load_weights
from fitloop.regressor.parts import PartNetConfig, load_part_net

SIDE = 48
HEAD, PELVIS = 15, 0


class Photos:
    """A white head and a bright pelvis on black, somewhere in the photo."""

    def __init__(self, *given):
        pass

    def __getitem__(self, index: int) -> SyntheticPeopleBatch:
        rng = np.random.default_rng(index)
        pixels, (row, column) = np.zeros((SIDE, SIDE, 3), np.uint8), rng.integers(8, 28, 2)
        pixels[row : row + 8, column : column + 12] = 255
        pixels[row + 8 : row + 16, column : column + 12] = (255, 0, 0)
        points = torch.zeros(1, 3)
        return SyntheticPeopleBatch(
            torch.from_numpy(pixels),
            random_params(seed=index % 100),
            Camera(torch.tensor(50.0), torch.tensor([SIDE / 2, SIDE / 2])),
            points[:, :2],
            points,
            torch.zeros(1, dtype=torch.int64),
            torch.tensor([4.0, 4.0, SIDE - 4.0, SIDE - 4.0]),
            torch.from_numpy(pixels[..., 0] > 0),
        )


class Maps:
    """Their parts."""

    def __init__(self, *given):
        pass

    def __call__(self, indices, people):
        labels = torch.full(people.pixels.shape[:3], NOBODY, dtype=torch.int8)
        labels[people.pixels[..., 0] > 0] = PELVIS
        labels[people.pixels[..., 2] > 0] = HEAD
        return labels


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    mocap = Mocap(np.zeros((4, 22, 3), np.float32), np.zeros(4, int), ("a",), ("b",), ("asf",))
    monkeypatch.setattr(images, "SyntheticPeople", Photos)
    monkeypatch.setattr(images, "PartStore", Maps)
    for module in (program, regressor_program):
        monkeypatch.setattr(module, "load_body", lambda *given: stick_body())
        monkeypatch.setattr(module, "split_mocap", lambda path: (mocap, mocap))


@pytest.fixture
def config(tmp_path) -> PartsTrainConfig:
    calm = replace(ImageSampling().pixels, channel_noise=0.0, occlusion=0.0)
    return PartsTrainConfig(
        mocap=Path("mocap.npz"),
        images=ImageSampling(assets=Path(), side=SIDE, photos=64, pixels=calm),
        out=tmp_path / "net",
        network=PartNetConfig((8, 16), 32),
        steps=40,
        batch_size=8,
        warmup=2,
        learning_rate=1e-2,
        average=0.8,
        evaluate_every=20,
        evaluate_people=70,
        save_every=20,
        precision="float32",
        threads=1,
    )


def test_parts_of_people_kept_apart_are_found_after_training(config):
    best = train(config)
    first = json.loads((config.out / "metrics.jsonl").read_text().splitlines()[0])
    assert best["iou_24"] > 35.0
    assert best["iou_24"] > 3.0 * first["iou_24"]
    assert best["missed"] == pytest.approx(100.0 - best["iou_24"])
    assert load_part_net(config.out / "parts.safetensors").config == config.network


def test_an_interrupted_run_goes_on_as_if_it_had_not_been(config, monkeypatch):
    config = replace(config, steps=4, evaluate_every=2, save_every=2)
    whole = train(config)
    halves = replace(config, out=config.out.with_name("halves"))
    gradient = program.PartsTraining.gradient

    def power_cut(self, step):
        if step == 3:
            raise SystemError
        return gradient(self, step)

    with monkeypatch.context() as patched:
        patched.setattr(program.PartsTraining, "gradient", power_cut)
        with pytest.raises(SystemError):
            train(halves)
    assert train(halves) == pytest.approx(whole)


def test_an_encoder_learns_from_what_the_network_finds(config):
    train(replace(config, steps=2))
    learned = TrainConfig(
        mocap=config.mocap,
        out=config.out.with_name("encoder"),
        model=HMRConfig("parts", width=4, image_size=32, parts=3, head=HeadConfig(1, 16, 0.0)),
        segmenter=config.out / "parts.safetensors",
        images=config.images,
        steps=2,
        batch_size=4,
        evaluate_every=2,
        evaluate_people=8,
        save_every=2,
        precision="float32",
        threads=1,
    )
    regressor_program.train(learned)
    found = load_weights(learned.out / "best.safetensors")
    assert found.config.segmenter == config.network
    inside = found.model.get_submodule("encoder.segmenter").state_dict()
    before = load_part_net(config.out / "parts.safetensors").state_dict()
    assert all(torch.equal(inside[name], tensor) for name, tensor in before.items())


def test_a_segmentation_network_is_for_the_encoder_of_parts(config):
    with pytest.raises(ValueError, match="segmenter is for the encoder 'parts', got 'resnet18'"):
        TrainConfig(
            mocap=config.mocap, model=HMRConfig("resnet18"), images=config.images, segmenter=Path("net.safetensors")
        )


def test_photos_are_needed(capsys, tmp_path):
    with pytest.raises(SystemExit):
        main(["--mocap", str(tmp_path / "mocap.npz"), "--out", str(tmp_path)])
    assert "Parts are learned from drawn photos" in capsys.readouterr().err
