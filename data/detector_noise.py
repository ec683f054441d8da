"""Mistakes of keypoint detectors: jitter, shared offsets, swapped sides, missed limbs, wrong depths.

Sizes are shares of the person's height in pixels, so that near and far people are disturbed alike. Magnitudes follow
what detectors do on everyday photos: about 1 % of the height at well seen joints, twice that at wrists and ankles, now
and then a keypoint somewhere else.

Confidences are of three kinds: 1 throughout, as of annotated joints; falling with the error, as the peaks of heat maps
do (OpenPose); and probabilities, as the embedded detector's: such a detector names every keypoint, guesses the hidden
ones, and says how likely each lies within `NEAR` of the truth.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fitloop.body.keypoints import mirrored

NEAR = 0.05
"""Share of the height within which a keypoint counts as right where confidences are probabilities."""
LIMBS = ("head", "left_arm", "right_arm", "left_leg", "right_leg", "torso")
_HEAD = ("nose", "eye", "ear", "mouth", "head", "jaw")
_ARM = ("elbow", "wrist", "hand", "pinky", "index", "thumb", "middle", "ring")
_LEG = ("knee", "ankle", "foot", "heel", "toe")
_LOOSENESS = {
    **{"wrist": 1.6, "hand": 1.8, "pinky": 2.0, "index": 2.0, "thumb": 1.8, "ankle": 1.5, "foot": 1.7, "heel": 1.7},
    **{"toe": 1.8, "elbow": 1.2, "knee": 1.2, "hip": 1.4, "pelvis": 1.2, "spine": 1.2, "ear": 1.1},
}


def limb_of(landmark: str) -> str:
    """Which of `LIMBS` a landmark belongs to."""
    for part, names in (("arm", _ARM), ("leg", _LEG)):
        if any(name in landmark for name in names):
            return ("left_" if landmark.startswith("left") else "right_") + part
    return "head" if any(name in landmark for name in _HEAD) else "torso"


def looseness_of(landmark: str) -> float:
    """How much more than a shoulder a landmark jitters."""
    return next((value for name, value in _LOOSENESS.items() if name in landmark), 1.0)


@dataclass(frozen=True)
class NoiseConfig:
    """How bad the detector is; the defaults are what the shipped weights were trained with."""

    jitter: tuple[float, float] = (0.002, 0.012)
    """Standard deviation of each keypoint, share of the height; drawn log-uniformly per person."""
    shared_offset: float = 0.6
    """Offset common to a limb, relative to the jitter."""
    convention_bias: float = 0.005
    """Further offset of each keypoint: annotators and detectors disagree where a hip is. Share of the height."""
    outliers: float = 0.02
    """Chance of a keypoint to be off by ten times the jitter."""
    swap: float = 0.02
    """Chance that left and right of the arms, and of the legs, are exchanged."""
    missed_limb: float = 0.08
    """Chance of each limb to be missed as a whole."""
    missed_keypoint: float = 0.05
    """Chance of each keypoint to be missed."""
    occluder: float = 0.2
    """Chance of a rectangle that hides part of the person."""
    crop: float = 0.2
    """Chance that everything below the hips or the knees is missed, or a side."""
    guessing: float = 0.4
    """Chance that the detector guesses what is hidden and its confidences are probabilities."""
    guessed_jitter: tuple[float, float] = (0.004, 0.022)
    """The jitter of what such a detector sees, as `jitter`; on drawn people the embedded one's is about that."""
    guessed_error: tuple[float, float] = (0.05, 0.22)
    """Standard deviation of what it guesses, share of the height; drawn log-uniformly for each limb."""
    landmarks: float = 0.5
    """Chance that the detector gives 3D landmarks."""
    landmark_error: float = 1.0
    """Scale of the errors of those landmarks; 1 is about 100 mm."""

    def scaled(self, factor: float) -> "NoiseConfig":
        """Same mistakes, ``factor`` times as large and as frequent."""
        low, high = self.jitter
        guessed_low, guessed_high = self.guessed_jitter
        return replace(
            self,
            jitter=(low * factor, high * factor),
            guessed_jitter=(guessed_low * factor, guessed_high * factor),
            convention_bias=self.convention_bias * factor,
            outliers=self.outliers * factor,
            swap=self.swap * factor,
            landmark_error=self.landmark_error * factor,
        )


class DetectorNoise:
    """Disturbs true landmarks as a detector would."""

    def __init__(self, landmarks: tuple[str, ...], config: NoiseConfig = NoiseConfig()) -> None:
        """Tabulate limbs and mirror images of ``landmarks``.

        Args:
            landmarks: Names in order; each needs its mirror image among them.
            config: How bad the detector is.
        """
        self.config = config
        self.limb = torch.tensor([LIMBS.index(limb_of(name)) for name in landmarks])
        self.looseness = torch.tensor([looseness_of(name) for name in landmarks])
        self.mirror = torch.tensor([landmarks.index(mirrored(name)) for name in landmarks])
        self.is_arm = torch.tensor(["arm" in limb_of(name) for name in landmarks])
        self.is_leg = torch.tensor(["leg" in limb_of(name) or "hip" in name for name in landmarks])

    def detect(
        self,
        truth: Float[Tensor, "people landmarks 2"],
        height: Float[Tensor, "people"],
        generator: torch.Generator,
    ) -> tuple[Float[Tensor, "people landmarks 2"], Float[Tensor, "people landmarks"]]:
        """Disturb projected landmarks and drop, or guess, what is hidden.

        Args:
            truth: Pixels.
            height: About how tall the person is in the photo, pixels.
            generator: Source of randomness.

        Returns:
            Detected pixels, and confidences: 0 where a keypoint was missed.
        """
        found, confidence = self.pixels(truth, height, generator)
        seen = self.seen(truth, generator)
        confidence = confidence * seen
        if self.config.guessing == 0:
            return found, confidence
        guesses = _chance((len(truth), 1), self.config.guessing, generator)
        guessed, probability = self.guessed(truth, seen, height, generator)
        return torch.where(guesses[..., None], guessed, found), torch.where(guesses, probability, confidence)

    def guessed(
        self,
        truth: Float[Tensor, "people landmarks 2"],
        seen: Bool[Tensor, "people landmarks"],
        height: Float[Tensor, "people"],
        generator: torch.Generator,
    ) -> tuple[Float[Tensor, "people landmarks 2"], Float[Tensor, "people landmarks"]]:
        """Disturb landmarks as a detector that names all of them and knows how well it sees each.

        Args:
            truth: Pixels.
            seen: What is not hidden.
            height: About how tall the person is in the photo, pixels.
            generator: Source of randomness.

        Returns:
            Pixels, and the probability that each lies within `NEAR` of the truth, as the detector judges it.
        """
        people, count = truth.shape[:2]
        config = self.config
        clear = _log_uniform(config.guessed_jitter, (people, 1), generator) * self.looseness
        clear = clear * torch.exp(0.4 * torch.randn(people, count, generator=generator))
        hidden = _log_uniform(config.guessed_error, (people, len(LIMBS)), generator)[:, self.limb]
        scale = torch.where(seen, (clear.square() + config.convention_bias**2).sqrt(), hidden)
        # Neighbours on a limb err together, the more the less of it is seen.
        shared = torch.randn(people, len(LIMBS), 2, generator=generator)[:, self.limb]
        own = torch.randn(people, count, 2, generator=generator)
        together = torch.where(seen, 0.3, 0.8)[..., None]
        drawn = together * shared + (1.0 - together.square()).sqrt() * own
        outlier = _chance((people, count), config.outliers, generator) & seen
        error = torch.where(outlier[..., None], 10.0, 1.0) * scale[..., None] * drawn
        found = self._swap(truth, generator) + error * height[:, None, None]
        # The chance that a Gaussian error stays near, less what tails cost; a detector judges its errors with noise.
        near = 0.95 * -torch.expm1(-(NEAR**2) / (2.2 * scale.square()).clamp_min(1e-12))
        noise = torch.randn(people, count, generator=generator) + torch.randn(people, 1, generator=generator)
        return found, torch.sigmoid(torch.logit(near.clamp_min(1e-3)) + 0.35 * noise)

    def pixels(
        self,
        truth: Float[Tensor, "people landmarks 2"],
        height: Float[Tensor, "people"],
        generator: torch.Generator,
    ) -> tuple[Float[Tensor, "people landmarks 2"], Float[Tensor, "people landmarks"]]:
        """Disturb projected landmarks.

        Args:
            truth: Pixels.
            height: About how tall the person is in the photo, pixels.
            generator: Source of randomness.

        Returns:
            Detected pixels, and confidences: high where the error is small, but not reliably so.
        """
        people, count = truth.shape[:2]
        loose = _log_uniform(self.config.jitter, (people, 1), generator) * self.looseness
        jitter = loose[..., None] * torch.randn(people, count, 2, generator=generator)
        outlier = _chance((people, count), self.config.outliers, generator)
        jitter = torch.where(outlier[..., None], 10.0 * jitter, jitter)
        shared = torch.randn(people, len(LIMBS), 2, generator=generator)[:, self.limb]
        bias = torch.randn(people, count, 2, generator=generator) * self.config.convention_bias
        error = jitter + self.config.shared_offset * loose[..., None] * shared + bias
        found = self._swap(truth, generator) + error * height[:, None, None]
        drop = error.norm(dim=-1) / 0.04 * _uniform((people, 1), generator)
        wobble = 0.15 * torch.rand(people, count, generator=generator)
        confidence = (1.0 - drop - wobble * _uniform((people, 1), generator)).clamp(0.1, 1.0)
        annotated = _chance((people, 1), 0.35, generator)
        return found, torch.where(annotated, torch.ones_like(confidence), confidence)

    def _swap(self, points: Tensor, generator: torch.Generator) -> Tensor:
        people = points.shape[0]
        arms = _chance((people, 1), self.config.swap, generator) & self.is_arm
        legs = _chance((people, 1), self.config.swap, generator) & self.is_leg
        return torch.where((arms | legs)[..., None], points[:, self.mirror], points)

    def seen(
        self, points: Float[Tensor, "people landmarks 2"], generator: torch.Generator
    ) -> Bool[Tensor, "people landmarks"]:
        """Which keypoints are not missed: single ones, limbs, behind an occluder, outside a close crop."""
        people, count = points.shape[:2]
        config = self.config
        limbs = ~_chance((people, len(LIMBS)), config.missed_limb, generator)
        limbs = limbs.index_fill(1, torch.tensor(LIMBS.index("torso")), True)
        seen = limbs[:, self.limb] & ~_chance((people, count), config.missed_keypoint, generator)
        low, high = points.amin(1, keepdim=True), points.amax(1, keepdim=True)
        place = (points - low) / (high - low).clamp_min(1.0)
        center, half = torch.rand(people, 1, 2, generator=generator), 0.1 + 0.2 * _uniform((people, 1, 2), generator)
        hidden = ((place - center).abs() < half).all(-1) & _chance((people, 1), config.occluder, generator)
        # A close crop hides what lies beyond a line: mostly the lower end of the photo, sometimes a side.
        axis = (torch.rand(people, 1, generator=generator) < 0.8).long()
        along = place.gather(-1, axis[..., None].expand(-1, count, 1))[..., 0]
        limit = 0.35 + 0.55 * _uniform((people, 1), generator)
        beyond = (along > limit) & _chance((people, 1), config.crop, generator)
        return seen & ~hidden & ~beyond

    def world(
        self, truth: Float[Tensor, "people landmarks 3"], generator: torch.Generator
    ) -> Float[Tensor, "people landmarks 3"]:
        """Disturb 3D landmarks (metres, camera axes, relative to the hips) as a single-photo estimator would.

        Its mistakes are mostly in depth and shared along limbs: flattened, tilted, limbs turned the wrong way.
        """
        people, count = truth.shape[:2]
        size = self.config.landmark_error
        depth = (1.0 - size * 0.45 * _uniform((people, 1), generator)).clamp_min(0.1)
        scale = torch.exp(size * 0.06 * torch.randn(people, 1, 1, generator=generator))
        flipped = _chance((people, len(LIMBS)), 0.06 * size, generator)[:, self.limb]
        depth = torch.where(flipped, -depth, depth)
        points = scale * torch.cat([truth[..., :2], truth[..., 2:] * depth[..., None]], -1)
        tilt = 0.11 * size * torch.randn(people, 1, 3, generator=generator)
        points = points + torch.linalg.cross(tilt.expand_as(points), points)
        axes = torch.tensor([0.6, 0.6, 1.4])
        shared = torch.randn(people, len(LIMBS), 3, generator=generator)[:, self.limb]
        own = torch.randn(people, count, 3, generator=generator)
        spread = size * (0.5 + _uniform((people, 1, 1), generator)) * axes * self.looseness[:, None]
        return points + spread * (0.026 * shared + 0.020 * own)


def _log_uniform(ends: tuple[float, float], shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    low, high = ends
    return low * (high / low) ** _uniform(shape, generator) if low > 0 else high * _uniform(shape, generator)


def _uniform(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator)


def _chance(shape: tuple[int, ...], chance: float, generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator) < chance
