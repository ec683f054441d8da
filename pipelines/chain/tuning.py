"""Test-time tuning in the main job: the network's weights follow what is seen of each person, and it answers again."""

from dataclasses import replace

from fitloop.body import Detections, Image
from fitloop.geometry import Camera
from fitloop.pipelines.chain.people import People
from fitloop.pipelines.chain.sources import TransferredRegressor
from fitloop.regressor import Regressor
from fitloop.regressor.photo_tuning import PhotoTuner, Tuned, TuningConfig
from fitloop.regressor.regressor import NetworkRegressor

SILHOUETTE = 0.1
"""Weight of a detector's silhouettes, which are coarse and clothed; exact ones are worth three times as much."""
MOTION = 1.0
"""Weight of the motion of clips."""


class TuningStage:
    """Tunes copies of a regressor's network; the regressor itself stays as it is."""

    def __init__(self, regressor: Regressor, steps: int) -> None:
        """Find the network.

        Args:
            regressor: A network, or one that serves another body.
            steps: Of each tuning.

        Raises:
            ValueError: If the regressor has no network.
        """
        transferred = isinstance(regressor, TransferredRegressor)
        network = regressor.regressor if transferred else regressor
        if not isinstance(network, NetworkRegressor):
            raise ValueError(f"The regressor {regressor.name!r} has no network whose weights could be tuned.")
        self.photos = PhotoTuner(network, TuningConfig(steps, silhouette=SILHOUETTE))
        self.clips = PhotoTuner(network, TuningConfig(steps, motion=MOTION))
        self.transferred = regressor if transferred else None

    def __call__(self, image: Image, people: People) -> People:
        """Tune to each person of a photo; who cannot be tuned to keeps the guess, and a notice says so."""
        tuned = self._own(self.photos(image, people.detections, people.regressed.camera))
        told = tuple(
            f"Person {row}: the network was not tuned, for want of keypoints or of finite numbers; its guess stands."
            for row in (tuned.steps == 0).nonzero()[:, 0].tolist()
        )
        return replace(people, tuned=tuned, notices=people.notices + told)

    def over_time(self, detections: Detections, camera: Camera) -> Tuned:
        """Tune to one person over the frames of a clip, neighbours holding each other.

        Args:
            detections: One row per frame.
            camera: One per frame.
        """
        return self._own(self.clips.track(detections, camera))

    def _own(self, tuned: Tuned) -> Tuned:
        return tuned if self.transferred is None else replace(tuned, estimate=self.transferred.over(tuned.estimate))
