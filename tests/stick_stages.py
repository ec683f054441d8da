"""Stages of a stick figure for the main job over a folder."""

from dataclasses import replace

import torch
from toy import random_params, stick_body, toy_camera

from fitloop.body import BodyEstimate, Detections
from fitloop.detection.detector import DetectionReport
from fitloop.fitting import Fit, Status
from fitloop.pipelines.chain.people import People
from fitloop.pipelines.folder.config import RunConfig

BODY = stick_body()


class StickStages:
    """Finds as many people as the photo's top-left red value says; counts what it did."""

    body = BODY

    def __init__(self, config: RunConfig, fail_after: int = 10**9) -> None:
        self.config, self.fail_after, self.detected = config, fail_after, 0

    def expect(self, photos):
        self.expected = list(photos)

    def detect(self, image):
        self.detected += 1
        if self.detected > self.fail_after:
            raise KeyboardInterrupt
        count = int(image.pixels[0, 0, 0])
        keypoints = torch.full((count, 17, 2), 30.0)
        found = Detections(keypoints, torch.ones(count, 17), torch.zeros(count, 4), "coco17")
        return DetectionReport(found)

    def regress(self, image, report):
        detections = report.detections
        count = len(detections.boxes)
        estimate = BodyEstimate(random_params(count, seed=count), toy_camera(count), BODY.name)
        return People(image.name, BODY, detections, estimate, None)

    def correct(self, *crowd):
        return [replace(people, fitted=_fitted(people.regressed)) for people in crowd]

    def refine_together(self, crowd, open_image):
        return list(crowd)


def _fitted(regressed: BodyEstimate) -> Fit:
    count = len(regressed.params.transl)
    moved = replace(regressed, params=replace(regressed.params, betas=regressed.params.betas + 1.0))
    numbers = torch.arange(count)
    status = torch.full((count,), int(Status.CONVERGED))
    return Fit(moved, energy=numbers.float(), status=status, start=numbers, steps=numbers)
