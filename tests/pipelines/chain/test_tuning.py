"""Test-time tuning in the main job."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from toy import random_params, stick_body

from fitloop.body import Detections, Image, KeypointKinematics, convention_named, load_body, upright
from fitloop.detection import DetectionReport
from fitloop.geometry import camera_of, project
from fitloop.pipelines.chain.config import StagesConfig
from fitloop.pipelines.chain.people import People
from fitloop.pipelines.chain.sources import TransferredRegressor
from fitloop.pipelines.chain.tuning import TuningStage
from fitloop.pipelines.regress_then_fit import Stages
from fitloop.regressor import load_regressor

CAMERA = camera_of(640, 480)
IMAGE = Image(np.zeros((480, 640, 3), np.uint8), CAMERA, "a.jpg")


@pytest.fixture(scope="module")
def seen():
    """One person seen whole, and one of whom only two keypoints are."""
    params = replace(upright(2), transl=torch.tensor([[-0.7, 0.1, 4.0], [0.7, 0.1, 4.5]]))
    names = tuple(str(name) for name in convention_named("coco17").landmarks)
    camera = CAMERA.map(lambda value: value.expand(2, *value.shape))
    points = project(KeypointKinematics(load_body(), names)(params), camera)
    sure = torch.ones(2, 17)
    sure[1, 2:] = 0.0
    return Detections(points, sure, torch.cat([points.amin(1), points.amax(1)], -1), "coco17")


@pytest.fixture(scope="module")
def people(seen):
    stages = Stages(StagesConfig(test_time=True, test_time_steps=3, refine=False))
    return stages.correct(stages.regress(IMAGE, DetectionReport(seen)))[0]


def test_the_tuned_answer_is_a_stage_of_its_own_from_which_the_fit_starts(people, seen):
    assert [name for name, _ in people.stages()] == ["regressed", "tuned", "fitted"]
    assert people.start is people.tuned.estimate
    plain = Stages(StagesConfig(refine=False)).regress(IMAGE, DetectionReport(seen))
    assert torch.equal(people.regressed.params.body_pose, plain.regressed.params.body_pose)
    assert not torch.equal(people.start.params.body_pose[0], people.regressed.params.body_pose[0])


def test_who_is_not_tuned_to_is_told(people):
    assert people.tuned.steps.tolist() == [3, 0]
    assert [told for told in people.notices if "was not tuned" in told][0].startswith("Person 1")


def test_the_results_file_keeps_guess_and_tuned_answer_apart(people):
    arrays = people.to_arrays()
    assert arrays["tuned_steps"].tolist() == [3, 0]
    back = People.from_arrays(arrays, people.body)
    for stage in ("regressed", "tuned"):
        mine, theirs = (dict(one.stages())[stage].params.body_pose for one in (people, back))
        torch.testing.assert_close(mine, theirs)
    assert len(people[0].tuned.steps) == 1


def test_without_the_option_nothing_of_it_is_in_the_file(seen):
    plain = Stages(StagesConfig(refine=False)).regress(IMAGE, DetectionReport(seen))
    assert plain.tuned is None and not any(key.startswith("tuned") for key in plain.to_arrays())


def test_the_network_of_one_body_is_tuned_for_another(seen):
    body, stick = load_body(), stick_body()
    transferred = TransferredRegressor(load_regressor("keypoints", body), body, stick)
    tuned = TuningStage(transferred, 1).over_time(seen, CAMERA.map(lambda value: value.expand(2, *value.shape)))
    assert tuned.estimate.body == stick.name and tuned.estimate.params.betas.shape == random_params(2).betas.shape


def test_the_mean_pose_has_no_network():
    with pytest.raises(ValueError, match="--regressor mean has none"):
        StagesConfig(test_time=True, regressor="mean")
    with pytest.raises(ValueError, match="has no network"):
        TuningStage(load_regressor("mean", load_body()), 3)


def test_steps_without_tuning_and_no_steps_are_refused():
    with pytest.raises(ValueError, match="--test-time-steps would be ignored"):
        StagesConfig(test_time_steps=3)
    with pytest.raises(ValueError, match="at least 1"):
        StagesConfig(test_time=True, test_time_steps=0)
