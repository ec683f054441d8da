"""One step of the loop, counted."""

import runpy
from pathlib import Path

import pytest
import torch
from PIL import Image

from fitloop.pipelines.spin.inputs import draw_augmentation
from fitloop.pipelines.spin.loop import SpinBatch
from fitloop.pipelines.spin.quirks import Quirks
from fitloop.pipelines.spin.samples import make_crowd
from fitloop.regressor import HeadConfig, HMRConfig, build_hmr

toy = runpy.run_path(str(Path(__file__).parents[2] / "spin_toy.py"))
toy_run, people, BODY = toy["toy_run"], toy["people"], toy["BODY"]


@pytest.mark.parametrize(
    ("encoder", "quirk", "looks"),
    [("keypoints", None, 2), ("keypoints", True, 1), ("resnet18", None, 1), ("resnet18", False, 2)],
)
def test_encoders_of_pixels_are_spared_the_second_look_where_nothing_is_said(tmp_path, encoder, quirk, looks):
    run = toy_run(tmp_path, quirks=Quirks(fit_from_augmented=quirk))
    seen = people(4, 1, "toy")
    for name in seen.image_names:
        Image.new("RGB", (640, 480)).save(tmp_path / name)
    crowd = make_crowd([seen], [tmp_path], BODY)
    run.loop.network = HMRConfig(encoder, image_size=32, width=8, head=HeadConfig(iterations=1, hidden=8))
    model = build_hmr(run.loop.network).train()
    counted = []
    model.register_forward_hook(lambda *_: counted.append(1))
    augmentation = draw_augmentation(4, crowd.photos, run.loop.config.teaching.augmentation, 0)
    run.loop.step(model, SpinBatch(torch.arange(4), crowd.samples, augmentation))
    assert len(counted) == looks
