"""Endless training data for the keypoints encoder: mocap poses before random cameras, seen by a detector that errs.

Nothing is rendered and nothing lies on disk: landmarks come from the fast kinematics, a batch takes milliseconds.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.body import JOINT_NAMES, Body, BodyParams, Detections, KeypointKinematics, convention_named
from fitloop.data.detector_noise import DetectorNoise, NoiseConfig
from fitloop.data.mocap import Mocap, full_pose, mirror_pose
from fitloop.geometry import Camera, TensorRecord, project, rotvec_to_rotmat

LIMBS = tuple(
    [number for number, name in enumerate(JOINT_NAMES) if name.endswith(ends)]
    for ends in (
        ("hip", "knee", "ankle", "foot"),
        ("left_shoulder", "left_elbow", "left_wrist", "left_hand"),
        ("right_shoulder", "right_elbow", "right_wrist", "right_hand"),
    )
)
"""Joints of both legs, of the left and of the right arm."""
DrawPoses = Callable[[int, torch.Generator], Float[Tensor, "people 24 3 3"]]
"""Gives local rotations of people in a world with y up, root first, in SMPL's order."""


def mocap_poses(mocap: Mocap, balanced: bool = True) -> DrawPoses:
    """Draw poses from mocap, half of them mirrored.

    Args:
        mocap: Where they come from.
        balanced: Clips weigh as the square root of their length, so that long clips of one motion do not drown the
            rest and short ones are not repeated all the time; else all frames are alike.
    """
    clips, sizes = np.unique(mocap.clip, return_counts=True)
    weight = np.zeros(int(mocap.clip.max()) + 1)
    weight[clips] = sizes**-0.5 if balanced else 1.0
    edges = torch.from_numpy(np.cumsum(weight[mocap.clip]))
    poses = full_pose(mocap.pose)
    mirrored = full_pose(mirror_pose(mocap.pose))

    def draw(count: int, generator: torch.Generator) -> Float[Tensor, "people 24 3 3"]:
        places = torch.rand(count, generator=generator, dtype=edges.dtype) * edges[-1]
        frames = torch.searchsorted(edges, places).clamp_max(len(poses) - 1)
        flip = torch.rand(count, 1, 1, generator=generator) < 0.5
        return rotvec_to_rotmat(torch.where(flip, mirrored[frames], poses[frames]))

    return draw


@dataclass(frozen=True)
class KeypointSampling:
    """What the people, cameras and detectors look like; the defaults are what the shipped weights were trained with."""

    noise: NoiseConfig = field(default_factory=NoiseConfig)
    """How bad the detector is."""
    conventions: tuple[tuple[str, float], ...] = (
        *(("coco17", 3.0), ("body25", 2.0), ("mediapipe33", 3.0), ("lsp14", 1.5), ("mpii16", 1.0)),
        *(("h36m17", 1.0), ("3dhp17", 0.5), ("coco18", 0.5), ("spin24", 1.0), ("spin49", 1.0), ("smpl24", 0.5)),
    )
    """Keypoint conventions and how often each is drawn: all other keypoints are then absent."""
    betas_spread: float = 1.25
    """Standard deviation of the shape coefficients (HierProb, Sengupta et al. 2021)."""
    pitch: tuple[float, float] = (8.0, 14.0)
    """Mean and standard deviation of how far the camera looks down, degrees."""
    roll: float = 8.0
    """Standard deviation of the camera's roll, degrees."""
    field_of_view: tuple[float, float] = (20.0, 75.0)
    """Range of the diagonal field of view, degrees."""
    size: tuple[float, float] = (0.15, 1.3)
    """Range of the height of a standing person over the height of the photo; drawn log-uniformly."""
    tumbled: float = 0.12
    """Chance of a person turned anyhow: lying, falling, head first."""
    crossed: float = 0.0
    """Chance of each limb (both legs together, the left arm, the right arm) to come from another pose of the mocap, so
    that limbs meet in ways that no clip shows (Li et al. 2020, evolutionary training data)."""
    pose_spread: float = 4.0
    """Standard deviation of the turns added to every joint, degrees."""
    hand_spread: float = 18.0
    """The same for wrists, hands and feet, which the mocap does not know well."""

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn from."""
        for name, _ in self.conventions:
            convention_named(name)
        if not 0.0 < self.size[0] <= self.size[1]:
            raise ValueError(f"size must be a range of positive numbers, got {self.size}.")
        if not 0.0 <= self.crossed <= 1.0:
            raise ValueError(f"crossed is a chance, in [0, 1], got {self.crossed}.")


@dataclass(frozen=True)
class KeypointSamples(TensorRecord):
    """People, the camera that saw them and what a detector made of it."""

    params: BodyParams
    """The truth, camera frame."""
    camera: Camera
    points: Float[Tensor, "people landmarks 3"]
    """True landmarks, camera frame, metres; joints and surface points in the sampler's order."""
    keypoints: Float[Tensor, "people landmarks 2"]
    """Detected, full-image pixels."""
    confidence: Float[Tensor, "people landmarks"]
    """0 where the convention has no such keypoint or the detector missed it."""
    landmarks: Float[Tensor, "people landmarks 3"]
    """The detector's own 3D, metres, camera axes, relative to the middle of the hips."""
    landmark_confidence: Float[Tensor, "people landmarks"]
    """0 for all of a person whose detector has no 3D."""

    @property
    def detected(self) -> Detections:
        """All landmarks as a detector would hand them over, columns in the sampler's order, whatever the name says."""
        boxes = boxes_of(self.keypoints, self.confidence)
        return Detections(self.keypoints, self.confidence, boxes, "smpl24", self.landmarks, self.landmark_confidence)

    def detections(self, landmarks: tuple[str, ...], convention: str) -> Detections:
        """Write the samples in one convention, as a detector would hand them over; what was not seen stays unseen.

        Args:
            landmarks: The sampler's landmark names.
            convention: Name of the keypoint convention to write.
        """
        names = convention_named(convention).landmarks
        columns = torch.tensor([landmarks.index(name) if name in landmarks else -1 for name in names])
        known = (columns >= 0).float()
        confidence = self.confidence[:, columns] * known
        keypoints = torch.where(confidence[..., None] > 0, self.keypoints[:, columns], 0.0)
        return Detections(
            keypoints,
            confidence,
            boxes_of(keypoints, confidence),
            convention,
            self.landmarks[:, columns],
            self.landmark_confidence[:, columns] * known,
        )


def boxes_of(
    keypoints: Float[Tensor, "*batch keypoints 2"], confidence: Float[Tensor, "*batch keypoints"]
) -> Float[Tensor, "*batch 4"]:
    """Tight x y x y boxes of the keypoints that are observed; all zeros where none is."""
    seen = (confidence > 0)[..., None]
    low = torch.where(seen, keypoints, torch.inf).amin(-2)
    high = torch.where(seen, keypoints, -torch.inf).amax(-2)
    return torch.where(seen.any(-2), torch.cat([low, high], -1), 0.0)


class KeypointSampler:
    """Draws batches of `KeypointSamples`, the same ones for the same generator state."""

    def __init__(
        self,
        body: Body,
        landmarks: tuple[str, ...],
        draw_poses: DrawPoses,
        config: KeypointSampling = KeypointSampling(),
    ) -> None:
        """Prepare the kinematics.

        Args:
            body: Whose shapes to draw.
            landmarks: What to place and detect; every mirror image must be among them.
            draw_poses: Source of poses.
            config: People, cameras and detectors.
        """
        self.kinematics = KeypointKinematics(body, landmarks)
        self.num_betas = body.num_betas
        self.draw_poses = draw_poses
        self.config = config
        self.noise = DetectorNoise(landmarks, config.noise)
        names = [set(convention_named(name).landmarks) for name, _ in config.conventions]
        self.convention_table = torch.tensor([[name in known for name in landmarks] for known in names])
        self.convention_weights = torch.tensor([weight for _, weight in config.conventions])
        loose = torch.full((24,), config.pose_spread)
        loose[[10, 11, 20, 21, 22, 23]] = config.hand_spread
        self.joint_spread = torch.deg2rad(loose)

    def __call__(self, count: int, generator: torch.Generator) -> KeypointSamples:
        """Draw people.

        Args:
            count: How many.
            generator: Source of all randomness, on the CPU.
        """
        width, height = self._photo_size(count, generator)
        diagonal = (width.square() + height.square()).sqrt()
        view = torch.deg2rad(_between((count,), self.config.field_of_view, generator))
        focal = diagonal / (2.0 * torch.tan(view / 2.0))
        camera = Camera(focal, torch.stack([width, height], -1) / 2.0)
        return self.detect(self._people(count, camera, height, generator), camera, generator)

    def detect(self, params: BodyParams, camera: Camera, generator: torch.Generator) -> KeypointSamples:
        """What a detector would make of people.

        Args:
            params: The truth, camera frame.
            camera: One per person; its principal point is the middle of the photo.
            generator: Source of all randomness, on the CPU.
        """
        count = len(params.betas)
        points = self.kinematics(params)
        truth = project(points, camera)
        tall = 1.7 * camera.focal / self._middle(points)[:, 0, 2].clamp_min(0.3)
        keypoints, confidence = self.noise.detect(truth, tall, generator)
        seen = self._inside(truth, camera, points[..., 2], generator)
        number = torch.multinomial(self.convention_weights, count, replacement=True, generator=generator)
        confidence = confidence * (seen & self.convention_table[number])
        with_world = torch.rand(count, 1, generator=generator) < self.config.noise.landmarks
        return KeypointSamples(
            params,
            camera,
            points,
            torch.where(confidence[..., None] > 0, keypoints, 0.0),
            confidence,
            self.noise.world(points - self._middle(points), generator),
            confidence * with_world,
        )

    def _middle(self, points: Tensor) -> Tensor:
        hips = [self.kinematics.landmarks.index(name) for name in ("left_hip", "right_hip")]
        return points[:, hips].mean(1, keepdim=True)

    def _photo_size(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        ratio = torch.exp(0.35 * torch.randn(count, generator=generator)).clamp(0.5, 2.0)
        return 1000.0 * ratio.sqrt(), 1000.0 / ratio.sqrt()

    def _people(self, count: int, camera: Camera, height: Tensor, generator: torch.Generator) -> BodyParams:
        config = self.config
        rotations = self.draw_poses(count, generator)
        if config.crossed:
            rotations = _crossed(rotations, self.draw_poses(count, generator), config.crossed, generator)
        turns = torch.randn(count, 24, 3, generator=generator) * self.joint_spread[:, None]
        rotations = rotations @ rotvec_to_rotmat(turns)
        size = _between((count,), (0.0, 1.0), generator)
        size = config.size[0] * (config.size[1] / config.size[0]) ** size
        depth = (1.7 * camera.focal / (size * height)).clamp_min(0.9)
        # Where in the photo the person stands: anywhere, large people near the middle so that some of them is seen.
        room = (1.0 - 0.5 * size).clamp_min(0.15)[:, None]
        offset = (torch.rand(count, 2, generator=generator) - 0.5) * room * 2.0 * camera.principal_point
        place = torch.cat([offset / camera.focal[:, None] * depth[:, None], depth[:, None]], -1)
        view = _view_rotations(count, config, generator)
        betas = config.betas_spread * torch.randn(count, self.num_betas, generator=generator)
        transl = place - self.kinematics.joint_template[0] - betas @ self.kinematics.joint_dirs[0].mT
        return BodyParams(view @ rotations[:, 0], rotations[:, 1:], betas, transl)

    def _inside(self, truth: Tensor, camera: Camera, depth: Tensor, generator: torch.Generator) -> Tensor:
        size = 2.0 * camera.principal_point[:, None]
        inside = ((truth > 0) & (truth < size)).all(-1)
        # Some detectors guess what lies a little beyond the border.
        near = ((truth > -0.1 * size) & (truth < 1.1 * size)).all(-1)
        guesses = torch.rand(truth.shape[0], 1, generator=generator) < 0.3
        return (inside | (near & guesses)) & (depth > 0.2)


def _crossed(rotations: Tensor, others: Tensor, chance: float, generator: torch.Generator) -> Tensor:
    """Poses with limbs of others; trunk and head stay."""
    taken = torch.zeros(rotations.shape[:2], dtype=torch.bool)
    for limb in LIMBS:
        taken[:, limb] = torch.rand(len(taken), 1, generator=generator) < chance
    return torch.where(taken[..., None, None], others, rotations)


def _view_rotations(count: int, config: KeypointSampling, generator: torch.Generator) -> Tensor:
    """World (y up) to camera (y down): any yaw, some pitch and roll; a few people tumbled anyhow."""
    zero = torch.zeros(count)
    yaw = torch.pi * (2.0 * torch.rand(count, generator=generator) - 1.0)
    mean, spread = config.pitch
    pitch = torch.deg2rad(mean + spread * torch.randn(count, generator=generator))
    roll = torch.deg2rad(config.roll * torch.randn(count, generator=generator))
    tumble = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=-1)
    tumble = tumble * (torch.pi * torch.rand(count, 1, generator=generator))
    tumble = tumble * (torch.rand(count, 1, generator=generator) < config.tumbled)
    flip = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    turned = rotvec_to_rotmat(torch.stack([zero, yaw, zero], -1)) @ rotvec_to_rotmat(tumble)
    rolled = rotvec_to_rotmat(torch.stack([zero, zero, roll], -1))
    pitched = rotvec_to_rotmat(torch.stack([pitch, zero, zero], -1))
    return rolled @ pitched @ flip @ turned


def _between(shape: tuple[int, ...], ends: tuple[float, float], generator: torch.Generator) -> Tensor:
    return ends[0] + (ends[1] - ends[0]) * torch.rand(shape, generator=generator)
