"""Whether a fit is believed: plausible pose, limbs apart, agreement with what else the detector saw."""

from dataclasses import dataclass
from itertools import combinations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fitloop.body import Body, BodyEstimate, BodyParams, Detections, KeypointKinematics
from fitloop.body.kinematics import usable_keypoints
from fitloop.body.params import JOINT_NAMES
from fitloop.fitting.config import FitConfig
from fitloop.fitting.evidence import CROP
from fitloop.fitting.prior import load_pose_prior
from fitloop.fitting.smplify import Fit
from fitloop.fitting.solver import Status
from fitloop.fitting.terms import geman_mcclure, pose_prior
from fitloop.geometry import Camera, align_procrustes, crop_of_box, project, rotmat_to_rotvec
from fitloop.rendering import load_rasterizer


@dataclass(frozen=True)
class PlausibilityConfig:
    """When a fit is not believed, however well its keypoints fall into place; 0 switches a test off."""

    pose_prior: float = 120.0
    """Largest energy of the pose above the prior's lowest; 99.9 % of the motion capture lies below 116."""
    interpenetration: float = 0.09
    """Deepest that two limbs may overlap, metres."""
    landmarks: float = 0.15
    """Largest mean distance to the detector's 3D landmarks after similarity alignment, metres, where it gave any."""
    silhouette: float = 0.4
    """Smallest intersection over union with the detector's silhouette, where it gave any."""

    def __post_init__(self) -> None:
        """Refuse negative limits."""
        for name in ("pose_prior", "interpenetration", "landmarks", "silhouette"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}.")


LIMBS = {
    "torso": ("pelvis", "spine3"),
    "head": ("neck", "head"),
    **{f"{side}_upper_arm": (f"{side}_shoulder", f"{side}_elbow") for side in ("left", "right")},
    **{f"{side}_forearm": (f"{side}_elbow", f"{side}_wrist") for side in ("left", "right")},
    **{f"{side}_thigh": (f"{side}_hip", f"{side}_knee") for side in ("left", "right")},
    **{f"{side}_shin": (f"{side}_knee", f"{side}_ankle") for side in ("left", "right")},
}
"""Capsules from joint to joint."""
NEIGHBOURS = {
    *(
        frozenset(("torso", name))
        for name in ("head", *(f"{s}_{p}" for s in ("left", "right") for p in ("upper_arm", "thigh")))
    ),
    *(frozenset((f"{side}_upper_arm", f"{side}_forearm")) for side in ("left", "right")),
    *(frozenset((f"{side}_thigh", f"{side}_shin")) for side in ("left", "right")),
    *(frozenset(("head", f"{side}_upper_arm")) for side in ("left", "right")),
    frozenset(("left_thigh", "right_thigh")),
}
"""Limbs that touch in every pose."""
SAMPLES = 5
"""Spheres along each capsule."""
GRID = 64
"""Pixels along the longer side of a compared silhouette."""


class Reprojection:
    """Mean robust reprojection error of bodies: what says whether a fit is good enough to be learned from."""

    def __init__(self, body: Body, convention: str, config: FitConfig, over_unseen: bool = False) -> None:
        """Prepare the kinematics.

        Args:
            body: Whose fits.
            convention: Of the evidence.
            config: Names ignored keypoints and the robust scale.
            over_unseen: Average over all keypoints, seen or not, as SPIN does.
        """
        self.usable = usable_keypoints(body, convention, config.ignored)
        self.kinematics = KeypointKinematics(body, self.usable.landmarks)
        self.scale, self.over_unseen = config.robust_scale, over_unseen

    def __call__(self, params: BodyParams, evidence: Detections, camera: Camera) -> Float[Tensor, "people"]:
        """Squared pixels of a 224-pixel crop, per keypoint; infinite where nothing was observed."""
        error, confidence = self.errors(params, evidence, camera)
        robust = (confidence.square()[..., None] * geman_mcclure(error, self.scale)).sum((-2, -1))
        counted = torch.full_like(robust, error.shape[1]) if self.over_unseen else confidence.square().sum(-1)
        return torch.where(confidence.sum(-1) > 0, robust / counted.clamp_min(1e-6), torch.inf)

    def errors(
        self, params: BodyParams, evidence: Detections, camera: Camera
    ) -> tuple[Float[Tensor, "people keypoints 2"], Float[Tensor, "people keypoints"]]:
        """Differences in pixels of a 224-pixel crop, and confidences."""
        columns = list(self.usable.keypoints)
        confidence = evidence.confidence[:, columns]
        difference = project(self.kinematics(params), camera) - evidence.keypoints[:, columns]
        side = crop_of_box(evidence.boxes).side
        error = difference * (CROP / side)[:, None, None]
        return torch.where((confidence > 0)[..., None], error, 0.0), confidence


class Gate:
    """Tests of plausibility."""

    def __init__(self, body: Body, convention: str, config: PlausibilityConfig, fit_config: FitConfig) -> None:
        """Measure the body's limbs.

        Args:
            body: Whose fits.
            convention: Of the evidence.
            config: Limits.
            fit_config: Names the pose prior.
        """
        self.body, self.config = body, config
        self.prior = load_pose_prior(fit_config.pose_prior).to(body.template.device, body.template.dtype)
        self.limbs = LimbOverlap(body)
        self.usable = usable_keypoints(body, convention)
        self.kinematics = KeypointKinematics(body, self.usable.landmarks)

    def __call__(self, fitted: Fit, evidence: Detections) -> dict[str, Bool[Tensor, "people"]]:
        """Say which fits are rejected, by reason; a fit may be rejected for several.

        Args:
            fitted: One row per person.
            evidence: Of the same people.
        """
        params, config = fitted.estimate.params, self.config
        nothing = (fitted.status == int(Status.NOT_ENOUGH_EVIDENCE)) | (fitted.status == int(Status.DEGENERATE))
        reasons = {"evidence": nothing}
        if config.pose_prior:
            reasons["pose_prior"] = self.pose_energy(params) > config.pose_prior
        if config.interpenetration:
            reasons["interpenetration"] = self.limbs(params) > config.interpenetration
        if config.landmarks and evidence.landmarks is not None:
            reasons["landmarks"] = self._landmark_distance(params, evidence) > config.landmarks
        if config.silhouette and evidence.silhouettes is not None:
            overlap = silhouette_overlap(self.body, fitted.estimate, evidence)
            reasons["silhouette"] = overlap < config.silhouette
        return reasons

    def pose_energy(self, params: BodyParams) -> Float[Tensor, "people"]:
        """Energy of the pose above the prior's lowest."""
        return pose_prior(rotmat_to_rotvec(params.body_pose).flatten(-2), self.prior)

    def _landmark_distance(self, params: BodyParams, evidence: Detections) -> Float[Tensor, "people"]:
        """Weighted mean distance after similarity alignment, metres; 0 for people without landmarks."""
        columns = list(self.usable.keypoints)
        assert evidence.landmarks is not None
        sure = evidence.confidence if evidence.landmark_confidence is None else evidence.landmark_confidence
        weight, seen = sure[:, columns], evidence.landmarks[:, columns]
        points = self.kinematics(params)
        distance = (align_procrustes(seen, points, weight) - points).norm(dim=-1)
        enough = (weight > 0).sum(-1) >= 6
        return torch.where(enough, (distance * weight).sum(-1) / weight.sum(-1).clamp_min(1e-6), 0.0)


class LimbOverlap:
    """How deep limbs that are no neighbours lie in one another, by spheres along their bones."""

    def __init__(self, body: Body) -> None:
        """Measure each limb's radius as the median distance of its vertices from the bone."""
        self.body = body
        rest = body.rest_joints(torch.zeros(body.num_betas).to(body.template))
        parts = body.vertex_parts
        self.ends = torch.tensor([[JOINT_NAMES.index(name) for name in ends] for ends in LIMBS.values()])
        radii = []
        for start, end in self.ends.tolist():
            vertices = body.template[parts == start]
            bone = rest[end] - rest[start]
            along = ((vertices - rest[start]) @ bone / bone.square().sum()).clamp(0.0, 1.0)
            radii.append((vertices - rest[start] - along[:, None] * bone).norm(dim=-1).median())
        self.radii = torch.stack(radii)
        names = list(LIMBS)
        pairs = [(a, b) for a, b in combinations(names, 2) if frozenset((a, b)) not in NEIGHBOURS]
        self.pairs = torch.tensor([[names.index(a), names.index(b)] for a, b in pairs])
        self.joints = KeypointKinematics(body, JOINT_NAMES)

    def __call__(self, params: BodyParams) -> Float[Tensor, "people"]:
        """Deepest overlap of any two limbs, metres; 0 where all are apart."""
        joints = self.joints(params)
        share = torch.linspace(0.0, 1.0, SAMPLES, dtype=joints.dtype, device=joints.device)[:, None]
        starts, ends = joints[:, self.ends[:, 0], None], joints[:, self.ends[:, 1], None]
        spheres = starts + share * (ends - starts)
        first, second = spheres[:, self.pairs[:, 0]], spheres[:, self.pairs[:, 1]]
        distance = torch.cdist(first, second).amin((-2, -1))
        reach = self.radii[self.pairs].sum(-1)
        return (reach - distance).clamp_min(0.0).amax(-1)


def silhouette_overlap(body: Body, estimate: BodyEstimate, evidence: Detections) -> Float[Tensor, "people"]:
    """Intersection over union of bodies and the detector's silhouettes; 1 for people without one."""
    grids, boxes = evidence.silhouettes, evidence.silhouette_boxes
    assert grids is not None and boxes is not None
    extent = (boxes[:, 2:] - boxes[:, :2]).clamp_min(1.0)
    side = extent.amax(-1)
    ticks = (torch.arange(GRID, dtype=side.dtype, device=side.device) + 0.5) / GRID
    y, x = torch.meshgrid(ticks, ticks, indexing="ij")
    share = torch.stack([x, y], -1) * (side[:, None] / extent)[:, None, None]
    sampled = torch.nn.functional.grid_sample(grids[:, None], 2.0 * share - 1.0, align_corners=False)[:, 0]
    seen = (sampled > 0.5) & (share <= 1.0).all(-1)
    zoom = GRID / side
    camera = Camera(estimate.camera.focal * zoom, (estimate.camera.principal_point - boxes[:, :2]) * zoom[:, None])
    rasterizer = load_rasterizer(device=body.template.device)
    drawn = rasterizer(body(estimate.params).vertices, body.faces, camera, (GRID, GRID)).covered
    drawn = drawn & (share <= 1.0).all(-1)
    union = (seen | drawn).sum((-2, -1))
    overlap = (seen & drawn).sum((-2, -1)) / union.clamp_min(1)
    return torch.where(seen.any(-1).any(-1), overlap, 1.0)
