"""``--device`` moves every training: a step and an evaluation of each on a device that is not there."""

import runpy
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from pretend import PRETEND
from refinement_scenes import BODY
from sample_scenes import samples
from toy import stick_body

import fitloop.pipelines.train as train
import fitloop.pipelines.train_correction as train_correction
import fitloop.pipelines.train_refinement as train_refinement
from fitloop.pipelines.lessons.displacement_batches import BatchConfig
from fitloop.pipelines.lessons.erring_bodies import SampleConfig
from fitloop.pipelines.spin.training import SpinTraining
from fitloop.pipelines.training.loop import descend
from fitloop.pipelines.training.regressor_config import TrainConfig
from fitloop.refinement import DisplacementNet
from fitloop.refinement.network import NetworkConfig
from fitloop.refinement.weights import save_network
from fitloop.regressor import HeadConfig, HMRConfig, LossConfig

_CAST = torch.library.Library("_", "IMPL")
toy = runpy.run_path(str(Path(__file__).parents[2] / "spin_toy.py"))
SMALL = NetworkConfig((8, 8, 8), (1, 1, 1))


@lru_cache(maxsize=1)
def _can_learn() -> None:
    """Let gradients flow on the pretend device, and let its mixed precision change nothing."""
    torch.utils.rename_privateuse1_backend(PRETEND.type)
    _CAST.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")


@pytest.fixture(autouse=True)
def casts(monkeypatch, pretend_device) -> list[str]:
    """The devices that mixed precision was asked for."""
    del pretend_device
    _can_learn()
    asked, autocast = [], torch.autocast

    def watched(device: str, *options, **named):
        asked.append(device)
        return autocast(device, *options, **named)

    monkeypatch.setattr(torch, "autocast", watched)
    return asked


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for name, seed in (("training", 0), ("held-out", 1)):
        samples(seed).save(folder / name, 0)
    torch.manual_seed(0)
    save_network(folder / "start.safetensors", DisplacementNet(SMALL))
    return folder


def learn_there(training) -> dict[str, float]:
    """Two steps, an evaluation and the best weights; the second step meets what the first one left."""
    assert all(weight.device == PRETEND for weight in training.state.model.parameters())
    for _ in range(2):
        losses = descend(training, 1e-4, 1.0)
    assert all(value.device == PRETEND for value in losses.values())
    with training.state.average.applied_to(training.state.model):
        errors = training.evaluate()
        training.write_best(training.out / "best.safetensors")
    assert np.isfinite([errors[training.measures[0]]]).all()
    return errors


def test_the_regressor_and_its_discriminator_learn_there(tmp_path, monkeypatch, casts):
    rng, clips = np.random.default_rng(0), 10
    pose = (0.2 * rng.standard_normal((100, 22, 3))).astype(np.float16)
    named = {"clip_id": "clip", "clip_subject": "Subject #", "clip_source": "toy", "clip_quality": "asf"}
    np.savez(
        tmp_path / "mocap.npz",
        pose=pose,
        clip_start=np.arange(clips) * 10,
        clip_len=np.full(clips, 10),
        distinct=np.ones(100, bool),
        **{name: np.array([f"{text}{n}" for n in range(clips)]) for name, text in named.items()},  # pyright: ignore[reportArgumentType]
    )
    monkeypatch.setattr(train, "load_body", lambda source: stick_body())
    model = HMRConfig(width=16, blocks=1, head=HeadConfig(2, 16, 0.1))
    config = TrainConfig(
        mocap=tmp_path / "mocap.npz",
        out=tmp_path / "out",
        model=model,
        loss=LossConfig(adversarial=0.1),
        batch_size=4,
        evaluate_people=4,
    )
    learn_there(train.open_training(config, PRETEND))
    assert set(casts) == {PRETEND.type}


def test_the_displacement_network_learns_there(photos, tmp_path, casts):
    for name in ("training", "held-out"):
        (tmp_path / name).symlink_to(photos / name)
    config = train_refinement.RefinementTrainConfig(
        samples=SampleConfig(tmp_path),
        out=tmp_path,
        network=SMALL,
        batches=BatchConfig(size=32, moved=0.5, light=0.2),
        batch_size=2,
        pool=8,
        held_out_photos=32,
    )
    learn_there(train_refinement.open_training(config, BODY.to(PRETEND)))
    assert set(casts) == {PRETEND.type}


def test_the_correction_network_looks_and_learns_there(photos, tmp_path, casts):
    config = train_correction.CorrectionTrainConfig(
        samples=(photos,),
        displacement=photos / "start.safetensors",
        kinds=("detected", "coco17"),
        out=tmp_path,
        batch_size=4,
        width=16,
        layers=1,
    )
    learn_there(train_correction.open_training(config, PRETEND))
    assert set(casts) == {PRETEND.type}


@pytest.mark.parametrize("options", [{}, {"spin_compat": True}, {"mode": "static", "use_truth": True}])
def test_fitting_in_the_loop_learns_there(tmp_path, options):
    training = SpinTraining(toy["toy_run"](tmp_path, device=str(PRETEND), **options))
    training.begin()
    errors = learn_there(training)
    assert training.run.loop.device == PRETEND and "error_2d" in errors
    training.save()
    again = toy["toy_run"](tmp_path, device=str(PRETEND), **options)
    assert again.state.step == 2 and next(again.state.model.parameters()).device == PRETEND
