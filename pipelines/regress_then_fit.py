"""The main job: a folder of photos in, posed bodies out.

    python pipelines/regress_then_fit.py --images photos/ --out out/

A detector finds people and their 2D keypoints. A network (HMR, Kanazawa et al. 2018) guesses pose, shape and camera.
An optimiser (SMPLify, Bogo et al. 2016) corrects the guess until the body's joints fall on the keypoints.
A second network compares the body with the photo's pixels, and the body follows (Wehrbein et al. 2023).
"""

if __name__ == "__main__":
    from fitloop.pipelines.cli import run_program

    run_program("run")

import atexit
import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from fitloop.body import Image
from fitloop.detection import DetectionReport
from fitloop.pipelines.chain.crowd import fit_together
from fitloop.pipelines.chain.doubts import with_doubts
from fitloop.pipelines.chain.models import Models
from fitloop.pipelines.chain.people import People
from fitloop.pipelines.chain.sources import fit_after
from fitloop.pipelines.console.options import parse
from fitloop.pipelines.folder.config import RunConfig


@dataclass(frozen=True)
class Stages(Models):
    """The stages of one run.

    stages = fitloop.Stages(fitloop.pipelines.chain.config.StagesConfig(field_of_view=60.0))
    people = fitloop.pipelines.regress_then_fit.predict(fitloop.load_image("photo.jpg"), stages)
    """

    def detect(self, image: Image) -> DetectionReport:
        """Find the people of a photo."""
        return self.detector.detect_with_notices(image)

    def regress(self, image: Image, report: DetectionReport) -> People:
        """Guess the bodies of the people of a photo, by a network tuned to them if that is asked for."""
        detections = report.detections.to(self.config.device)
        count = len(detections.boxes)
        camera = image.camera.to(self.config.device).map(lambda value: value.expand(count, *value.shape))
        guess = self.regressor(image, detections, camera)
        people = People(image.name, self.body, detections, guess, fitted=None, notices=report.notices, image=image)
        return self.tuning(image, people) if self.config.test_time else people

    def correct(self, *crowd: People) -> list[People]:
        """Fit the guessed bodies of one or more photos to their keypoints, all in one batch."""
        if not self.config.fit:
            return list(crowd)
        config = fit_after(self.regressor, self.config.starts)
        return fit_together(crowd, replace(config, pose_prior=self.config.pose_prior))

    def refine(self, image: Image, people: People) -> People:
        """Move the fitted bodies to where the photo shows them; the better of the two is kept."""
        return self.refinement(image, people) if self.config.refines else people

    def refine_together(self, crowd: Sequence[People], open_image: Callable[[People], Image]) -> list[People]:
        """Refine the people of several photos in one batch; photos are opened when they are needed, and not kept."""
        return self.refinement.together(crowd, open_image) if self.config.refines else list(crowd)


def predict(image: Image, stages: Stages = Stages()) -> People:
    """Find, guess, fit and refine the people of one photo.

    Args:
        image: From `fitloop.data.load_image`.
        stages: What to run; make it once and use it for many photos.

    Returns:
        One row per person; none where nobody was found.
    """
    guessed = stages.regress(image, stages.detect(image))
    (corrected,) = stages.correct(guessed)
    return with_doubts(stages.refine(image, corrected))


def main(arguments: list[str] | None = None) -> int:
    """Run the main job on a folder; return the exit code (docs/running.md)."""
    from fitloop.pipelines.folder.run import run_folder

    # Half a second that Python takes to look through all modules for rings once more when it ends.
    atexit.register(gc.freeze)
    return run_folder(parse(RunConfig, arguments), Stages)
