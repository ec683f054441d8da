"""SPIN's first-order fitter in plain form: Adam on the full mesh, by autograd. The anchor of tests and benchmarks.

After the description of SMPLify inside SPIN (Kolotouros et al. 2019): 100 steps on orientation and translation over the
torso, then 100 on pose, shape and orientation with the camera fixed. Needs the ``smplx`` package, which poses the mesh.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.body import Body, BodyEstimate, BodyMesh, BodyParams, Detections
from fitloop.body.keypoints import DERIVED_LANDMARKS
from fitloop.body.kinematics import usable_keypoints
from fitloop.body.params import JOINT_NAMES
from fitloop.body.smpl import smplx_layer
from fitloop.fitting.camera import TORSO
from fitloop.fitting.config import StageConfig
from fitloop.fitting.evidence import check_inputs, make_evidence
from fitloop.fitting.prior import load_pose_prior
from fitloop.fitting.problem import Evidence
from fitloop.fitting.smplify import Fit
from fitloop.fitting.solver import Status
from fitloop.fitting.terms import angle_prior, pose_prior, reprojection, shape_prior
from fitloop.geometry import rotmat_to_rotvec, rotvec_to_rotmat

SPIN_IGNORED = ("neck_lsp", "left_hip", "right_hip", "left_hip_lsp", "right_hip_lsp")
"""Landmarks whose confidence SPIN sets to 0 before the body stage."""


@dataclass(frozen=True)
class ReferenceConfig:
    """SPIN's settings."""

    steps: int = 100
    """Adam steps of each of the two stages."""
    learning_rate: float = 1e-2
    """Of Adam, betas (0.9, 0.999)."""
    robust_scale: float = 100.0
    """Geman-McClure scale, in pixels of the 224-pixel crop."""
    weights: StageConfig = StageConfig(pose_prior=4.78, angle_prior=15.2, shape_prior=5.0)
    """Pose, angle and shape prior; the defaults are SPIN's."""
    depth_weight: float = 100.0
    """Per metre that the camera stage changes the depth."""
    spin_compat: bool = False
    """Leave neck and hips out of the body stage, as SPIN does; off, every keypoint counts in both stages."""
    pose_prior: str = "open"
    """``open`` or a path, as in `FitConfig`."""


class ReferenceFitter:
    """The fitter for one body and convention; made once, because the mesh model is large."""

    def __init__(self, body: Body, convention: str, config: ReferenceConfig = ReferenceConfig()) -> None:
        """Build the mesh model.

        Args:
            body: Any body.
            convention: Name in `fitloop.body.keypoints.CONVENTIONS`.
            config: SPIN's settings.
        """
        self.body, self.config = body, config
        self.usable = usable_keypoints(body, convention)
        self.layer: Any = smplx_layer(body)
        self.prior = load_pose_prior(config.pose_prior).to(body.template.device, body.template.dtype)
        rows = torch.stack([_surface_weights(body, name) for name in self.usable.landmarks])
        self.used = rows.any(0).nonzero()[:, 0]
        self.by_vertex = rows[:, self.used]
        self.by_joint = torch.stack([_joint_weights(body, name) for name in self.usable.landmarks])
        names = self.usable.landmarks
        self.torso = torch.tensor([name in TORSO for name in names], device=body.template.device)
        self.ignored = torch.tensor([name in SPIN_IGNORED for name in names], device=body.template.device)

    def landmarks(self, params: BodyParams) -> Float[Tensor, "batch landmarks 3"]:
        """Place the keypoints' landmarks by posing the whole mesh."""
        posed = self.layer(
            betas=params.betas,
            body_pose=params.body_pose,
            global_orient=params.global_orient[:, None],
            transl=params.transl,
            pose2rot=False,
        )
        mesh = BodyMesh(posed.vertices, posed.joints[:, : len(JOINT_NAMES)])
        return self.by_vertex @ mesh.vertices[:, self.used] + self.by_joint @ mesh.joints

    def fit(self, detections: Detections, init: BodyEstimate) -> Fit:
        """Fit a flat batch of people.

        Args:
            detections: 2D evidence of the fitter's convention.
            init: One row per person, the translation included: SPIN takes the network's.

        Raises:
            ValueError: If body, convention or batch shapes do not match.
        """
        check_inputs(self.body, detections, init)
        evidence, _ = make_evidence(detections, init, self.usable)
        start = init.params
        free = {
            "orient": rotmat_to_rotvec(start.global_orient).clone(),
            "pose": rotmat_to_rotvec(start.body_pose).flatten(1).clone(),
            "betas": start.betas.clone(),
            "transl": start.transl.clone(),
        }
        depth = start.transl[:, 2].clone()

        def camera_loss() -> Tensor:
            error = (self._project(free, evidence) - evidence.observed.mT)[:, self.torso]
            held = self.config.depth_weight**2 * (free["transl"][:, 2] - depth).square()
            return error.square().sum((1, 2)) + held

        self._descend(free, ("orient", "transl"), camera_loss)
        looked = evidence
        if self.config.spin_compat:
            looked = replace(evidence, confidence=torch.where(self.ignored, 0.0, evidence.confidence))
        self._descend(free, ("pose", "betas", "orient"), lambda: self.energy(free, looked))
        with torch.no_grad():
            energy = self.energy(free, evidence)
            params = _params(free)
        steps = torch.full_like(energy, 2 * self.config.steps, dtype=torch.long)
        done = torch.full_like(steps, int(Status.MAX_STEPS))
        return Fit(replace(init, params=params), energy, done, torch.zeros_like(steps), steps)

    def energy(self, free: dict[str, Tensor], evidence: Evidence) -> Float[Tensor, "batch"]:
        """SMPLify's energy of each row, the plain sum of the terms."""
        weights = self.config.weights
        projected = self._project(free, evidence)
        return (
            reprojection(projected, evidence.observed.mT, evidence.confidence, self.config.robust_scale)
            + weights.pose_prior**2 * pose_prior(free["pose"], self.prior)
            + weights.angle_prior**2 * angle_prior(free["pose"])
            + weights.shape_prior**2 * shape_prior(free["betas"])
        )

    def _project(self, free: dict[str, Tensor], evidence: Evidence) -> Tensor:
        points = self.landmarks(_params(free))
        return points[..., :2] / points[..., 2:].clamp_min(1e-3) * evidence.focal[:, None, None]

    def _descend(self, free: dict[str, Tensor], names: tuple[str, ...], loss: Callable[[], Tensor]) -> None:
        """Adam on the sum over the batch, which equals Adam on each row alone."""
        for name in names:
            free[name].requires_grad_()
        optimizer = torch.optim.Adam([free[name] for name in names], lr=self.config.learning_rate)
        for _ in range(self.config.steps):
            optimizer.zero_grad()
            loss().sum().backward()
            optimizer.step()
        for name in names:
            free[name].requires_grad_(False)


def _params(free: dict[str, Tensor]) -> BodyParams:
    pose = rotvec_to_rotmat(free["pose"].unflatten(-1, (-1, 3)))
    return BodyParams(rotvec_to_rotmat(free["orient"]), pose, free["betas"], free["transl"])


def _surface_weights(body: Body, name: str) -> Tensor:
    if name in body.landmark_names:
        return body.landmark_weights[body.landmark_names.index(name)]
    return torch.zeros_like(body.template[:, 0])


def _joint_weights(body: Body, name: str) -> Tensor:
    weights = body.template.new_zeros(len(JOINT_NAMES))
    if name not in body.landmark_names:
        joints = DERIVED_LANDMARKS.get(name, (name,))
        weights[[JOINT_NAMES.index(joint) for joint in joints]] = 1.0 / len(joints)
    return weights
