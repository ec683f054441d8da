"""Clips through the main job: files, interruption, bad clips, with people of a stick figure seen perfectly."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage
from small_clips import shades, write_clip
from stick_stages import BODY, StickStages
from toy import random_params, toy_camera

from fitloop.body import BodyEstimate, Detections, KeypointKinematics, convention_named
from fitloop.detection.detector import DetectionReport
from fitloop.geometry import camera_of, project
from fitloop.pipelines.folder.config import RunConfig
from fitloop.pipelines.folder.run import run_folder
from fitloop.pipelines.video import looking

NAMES = tuple(str(name) for name in convention_named("coco17").landmarks)


class MovingStages(StickStages):
    """Sees one stick figure that walks through the picture, by the brightness of the frame; guesses it exactly."""

    class regressor:  # noqa: N801 - as the stages have it
        name = "mean"

        def __call__(self, image, detections, camera):
            count = len(detections.boxes)
            params = random_params(1, seed=0).map(lambda tensor: tensor.expand(count, *tensor.shape[1:]).clone())
            return BodyEstimate(params, camera, BODY.name)

    regressor = regressor()

    def detect(self, image):
        self.detected += 1
        if self.detected > self.fail_after:
            raise KeyboardInterrupt
        params = random_params(1, seed=0)
        time = float(image.pixels.mean()) / 255.0
        params = replace(params, transl=params.transl + torch.tensor([[time, 0.0, 0.0]]))
        points = KeypointKinematics(BODY, NAMES)(params)
        camera = camera_of(image.pixels.shape[1], image.pixels.shape[0]).map(lambda value: value[None])
        keypoints = project(points, camera)
        boxes = torch.cat([keypoints.amin(1), keypoints.amax(1)], -1)
        return DetectionReport(Detections(keypoints, torch.ones(1, 17), boxes, "coco17"))


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "walk.mp4", shades(14, 96, 128))


@pytest.fixture(autouse=True)
def short_stretches(monkeypatch):
    monkeypatch.setattr(looking, "STRETCH", 4)


def run(clip, out, stages=MovingStages, **changed):
    return run_folder(RunConfig(images=clip, out=out, **changed), stages)


def files(out):
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file() and path.name not in ("run.json", "config.yaml")
    }


def test_a_clip_gives_a_motion_results_of_every_frame_and_a_page(clip, tmp_path):
    out = tmp_path / "out"
    assert run(clip, out) == 0
    folder = out / "motion" / "walk.mp4"
    assert {path.name for path in folder.iterdir()} >= {"0.npz", "0.bvh", "0.glb", "overlay.mp4", "side_by_side.mp4"}
    with np.load(folder / "0.npz", allow_pickle=False) as motion:
        assert motion["poses"].shape == (14, 72)
        assert float(motion["mocap_frame_rate"]) == 10.0
        assert motion["seen"].all()
    with np.load(out / "results" / "walk.mp4" / "000013.npz", allow_pickle=False) as found:
        assert found["track"].tolist() == [0]
        assert found["image_size"].tolist() == [96, 128]
        assert found["body_pose"].shape == found["regressed_body_pose"].shape == (1, 23, 3, 3)
    assert "motion/walk.mp4/overlay.mp4" in (out / "index.html").read_text()
    told = json.loads((out / "run.json").read_text())
    assert told["state"] == "finished"


def test_an_interrupted_clip_goes_on_and_gives_the_same_files(clip, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert run(clip, whole) == 0
    assert run(clip, broken, lambda config: MovingStages(config, fail_after=9)) == 130
    second = {}

    def again(config):
        second["stages"] = MovingStages(config)
        return second["stages"]

    assert run(clip, broken, again) == 0
    assert second["stages"].detected == 6
    assert files(whole) == files(broken)


def test_a_finished_clip_is_kept_and_another_file_of_its_name_is_not(clip, tmp_path):
    out = tmp_path / "out"
    assert run(clip, out) == 0
    before = files(out)
    assert run(clip, out, lambda config: MovingStages(config, fail_after=0)) == 0
    assert files(out) == before
    write_clip(clip, shades(6, 96, 128))
    assert run(clip, out) == 0
    assert len(list((out / "results" / "walk.mp4").iterdir())) == 6


def test_a_part_of_a_clip_keeps_its_frames_numbers(clip, tmp_path):
    out = tmp_path / "out"
    assert run(clip, out, start=0.5, end=1.0, outputs=()) == 0
    names = sorted(path.stem for path in (out / "results" / "walk.mp4").iterdir())
    assert names == [f"{frame:06d}" for frame in range(5, 10)]
    with np.load(out / "motion" / "walk.mp4" / "0.npz", allow_pickle=False) as motion:
        assert motion["times"][0] == pytest.approx(0.5)


def test_a_folder_may_hold_clips_beside_photos(clip, tmp_path):
    pixels = np.zeros((48, 64, 3), np.uint8)
    PillowImage.fromarray(pixels).save(clip.parent / "nobody.png")
    out = tmp_path / "out"

    class Both(MovingStages):
        def detect(self, image):
            return StickStages.detect(self, image) if image.name == "nobody.png" else super().detect(image)

    assert run(clip.parent, out, Both, outputs=("page",)) == 0
    page = (out / "index.html").read_text()
    assert "walk.mp4" in page
    assert "nobody.png" in page
    assert (out / "motion" / "walk.mp4" / "0.npz").is_file()


def test_a_clip_that_cannot_be_read_is_told_and_the_others_are_done(clip, tmp_path, capsys):
    (clip.parent / "bad.mp4").write_bytes(b"no clip")
    out = tmp_path / "out"
    assert run(clip.parent, out, outputs=()) == 1
    assert "bad.mp4" in capsys.readouterr().err
    assert (out / "motion" / "walk.mp4" / "0.npz").is_file()


def test_a_clip_without_people_says_so(clip, tmp_path, capsys):
    class Nobody(MovingStages):
        def detect(self, image):
            return DetectionReport(super().detect(image).detections[:0])

    assert run(clip, tmp_path / "out", Nobody) == 0
    assert "Nobody was found" in capsys.readouterr().err


@pytest.mark.parametrize("bad", [{"frames_per_second": -1.0}, {"start": 2.0, "end": 1.0}])
def test_impossible_parts_are_refused_before_anything_is_read(clip, tmp_path, bad):
    with pytest.raises(ValueError, match="got"):
        RunConfig(images=clip, out=tmp_path / "out", **bad)


def test_the_toy_camera_is_not_that_of_the_clip(clip):
    assert float(toy_camera(1).focal) != float(camera_of(128, 96).focal)
