"""SMPLify's energy as a problem for the solver: the visible sum of weighted terms."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.body.params import NUM_JOINTS
from fitloop.fitting.config import StageConfig
from fitloop.fitting.coordinates import BETAS, ORIENT, POSE, TRANSL, eye_and_crosses, logarithm
from fitloop.fitting.grip import Grip, Held, Unknowns, hold_of
from fitloop.fitting.interpenetration import CapsuleTables, interpenetration_lines
from fitloop.fitting.landmarks import LandmarkTables, move, place, pull
from fitloop.fitting.mixture_prior import PosePrior
from fitloop.fitting.solver import Quadratic
from fitloop.fitting.terms import (
    ANGLE_COLUMNS,
    ANGLE_SIGNS,
    Centred,
    landmark_lines,
    reprojection_lines,
)
from fitloop.fitting.vae_prior import VaePrior, VaeTables

POSE_SIZE = 3 * (NUM_JOINTS - 1)
MIN_DEPTH = 0.1
"""Metres: an observed landmark nearer than this, or behind the camera, makes the energy infinite."""


class SeenSurface(NamedTuple):
    """Where vertices were seen, in the pixels of `Evidence`."""

    observed: Float[Tensor, "batch 2 vertices"]
    confidence: Float[Tensor, "batch vertices"]
    metric: Float[Tensor, "batch 2 2 vertices"] | None = None

    def take(self, rows: Tensor) -> "SeenSurface":
        """Keep only some rows."""
        metric = None if self.metric is None else self.metric[rows]
        return SeenSurface(self.observed[rows], self.confidence[rows], metric)


@dataclass(frozen=True)
class Evidence:
    """What one batch row sees, in pixels of a 224-pixel crop around the person, from the principal point."""

    observed: Float[Tensor, "batch 2 landmarks"]
    confidence: Float[Tensor, "batch landmarks"]
    focal: Float[Tensor, "batch"]
    centred: Centred | None
    """The detector's 3D landmarks, if any."""
    surface: SeenSurface | None = None
    """Where single vertices were seen, if known."""

    def take(self, rows: Tensor) -> "Evidence":
        """Keep only some rows."""
        centred = None if self.centred is None else Centred(*(value[rows] for value in self.centred))
        surface = None if self.surface is None else self.surface.take(rows)
        return Evidence(self.observed[rows], self.confidence[rows], self.focal[rows], centred, surface)


@dataclass(frozen=True)
class StageTables:
    """Constants of one stage: everything that no row changes."""

    stage: StageConfig
    landmarks: LandmarkTables
    robust_scale: float
    means: Float[Tensor, "components pose"]
    precisions: Float[Tensor, "pose columns"]
    """Of all components side by side."""
    shifts: Float[Tensor, "columns"]
    """Precision times mean, side by side."""
    constants: Float[Tensor, "components"]
    curvature: Float[Tensor, "components unknowns unknowns"]
    """Weighted Hessian of pose and shape prior for each component."""
    pose_columns: Tensor
    """Of the 69 pose values, those that are free."""
    angle_columns: Tensor
    """Of the 69 pose values, the four bending angles."""
    angle_signs: Tensor
    angle_free: Tensor
    """Of the four bending angles, those that are free."""
    angle_unknowns: Tensor
    """Where these lie among the unknowns."""
    capsules: CapsuleTables | None
    """None where interpenetration does not count."""
    root: int
    """Unknowns of the root: 3 or 0."""
    hold: Float[Tensor, "numbers"]
    """Of each number of a packed body, how much its square counts from the anchor; the root's turn counts apart."""
    surface: LandmarkTables | None = None
    """Of the vertices that were seen, with the same joints free; None where there are none."""
    vae: VaeTables | None = None
    """The networks of a `VaePrior`; its mixture is among the tables above."""

    @property
    def unknowns(self) -> Unknowns:
        """Where the unknowns lie that a grip is about."""
        betas = self.landmarks.dirs.shape[0] if self.landmarks.betas else 0
        return Unknowns(self.curvature.shape[-1], self.root, self.pose_columns, betas)


def make_stage_tables(
    stage: StageConfig,
    landmarks: LandmarkTables,
    prior: PosePrior | VaePrior,
    robust_scale: float,
    capsules: CapsuleTables | None = None,
) -> StageTables:
    """Gather the constants of a stage.

    Args:
        stage: Weights.
        landmarks: The keypoints' landmarks and what is free.
        prior: Over poses.
        robust_scale: Geman-McClure scale, crop pixels.
        capsules: With the same joints free, where interpenetration counts.
    """
    device, dtype = landmarks.base.device, landmarks.base.dtype
    root = 3 * int(0 in landmarks.free)
    joints = [joint for joint in landmarks.free if joint > 0]
    columns = torch.tensor([3 * (joint - 1) + axis for joint in joints for axis in range(3)], dtype=torch.long)
    vae = VaeTables(prior, columns, landmarks.base) if isinstance(prior, VaePrior) else None
    prior = prior.mixture if isinstance(prior, VaePrior) else prior
    betas = landmarks.dirs.shape[0]
    size = root + len(columns) + 3 * landmarks.transl + betas * landmarks.betas
    components = len(prior.means)
    curvature = torch.zeros(components, size, size, dtype=torch.float64)
    pose = slice(root, root + len(columns))
    curvature[:, pose, pose] = stage.pose_prior**2 * prior.precisions[:, columns][:, :, columns]
    diagonal = curvature.diagonal(dim1=1, dim2=2)
    if landmarks.betas:
        diagonal[:, -betas:] += 2.0 * (stage.shape_prior**2 + stage.start_prior**2)
    if landmarks.transl:
        place_unknowns = slice(root + len(columns), root + len(columns) + 3)
        diagonal[:, place_unknowns] += 2.0 * stage.place_prior**2
        diagonal[:, place_unknowns.stop - 1] += 2.0 * stage.depth_prior**2
    diagonal[:, pose] += 2.0 * stage.start_prior**2
    bending = [k for k, column in enumerate(ANGLE_COLUMNS) if column in columns.tolist()]
    unknowns = [root + columns.tolist().index(ANGLE_COLUMNS[k]) for k in bending]
    place_it = {"device": device, "dtype": dtype}
    return StageTables(
        stage,
        landmarks,
        robust_scale,
        prior.means.to(**place_it),
        prior.precisions.permute(1, 0, 2).flatten(1).to(**place_it).contiguous(),
        (prior.precisions @ prior.means[..., None]).flatten().to(**place_it),
        (prior.constants - prior.constants.min()).to(**place_it),
        curvature.to(**place_it),
        columns.to(device),
        torch.tensor(ANGLE_COLUMNS, device=device),
        torch.tensor(ANGLE_SIGNS, **place_it),
        torch.tensor(bending, dtype=torch.long, device=device),
        torch.tensor(unknowns, dtype=torch.long, device=device),
        capsules,
        root,
        hold_of(stage, betas).to(**place_it),
        vae=vae,
    )


@dataclass(frozen=True)
class BodyProblem:
    """Rows of bodies, each with its own evidence."""

    tables: StageTables
    evidence: Evidence
    anchor: Float[Tensor, "batch numbers"]
    """The packed start, for the priors that hold on to it."""
    grip: Grip | None = None
    """How firmly; None for all rows and joints alike."""

    def __getitem__(self, rows: Tensor) -> "BodyProblem":
        """Keep only some rows."""
        grip = None if self.grip is None else self.grip.take(rows)
        return replace(self, evidence=self.evidence.take(rows), anchor=self.anchor[rows], grip=grip)

    def move(self, state: Tensor, step: Tensor) -> Tensor:
        """Apply a step to packed bodies."""
        return move(self.tables.landmarks, state, step)

    def evaluate(self, state: Tensor) -> Quadratic:
        """Energy, gradient and Gauss-Newton matrix of all terms."""
        energy, gradient, hessian = self._priors(state)
        for term_energy, residuals, lines in self._evidence_lines(state):
            energy = energy + term_energy
            gradient = gradient + (lines @ residuals[..., None])[..., 0]
            hessian.baddbmm_(lines, lines.mT)
        return Quadratic(energy, gradient, hessian)

    def _evidence_lines(self, state: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
        evidence, tables = self.evidence, self.tables.landmarks
        placed = place(tables, state)
        seen = reprojection_lines(
            placed.points, evidence.observed, evidence.confidence, evidence.focal, self.tables.robust_scale
        )
        behind = ((placed.points[:, 2] < MIN_DEPTH) & (evidence.confidence > 0)).any(-1)
        energy = torch.where(behind, torch.inf, seen.energy)
        weight, centred = self.tables.stage.landmarks, evidence.centred
        covectors, count = seen.covectors, seen.residuals.shape[1] * seen.residuals.shape[2]
        if centred is not None and weight > 0:
            # One pull for both: at batch 1 the number of operations decides.
            axes, _ = eye_and_crosses(state.dtype, state.device)
            covectors = torch.cat([covectors, axes[:, :, None] * centred.weights[:, None, None]], dim=2)
        lines = pull(tables, placed, covectors)
        found = [(energy, seen.residuals.flatten(1), lines[:, :, :count])]
        if evidence.surface is not None and self.tables.surface is not None and self.tables.stage.surface > 0:
            found.append(self._surface_lines(state, evidence.surface, self.tables.surface))
        if centred is not None and weight > 0:
            residuals, by_landmarks = landmark_lines(lines[:, :, count:], placed.points, centred)
            scale = 2.0**0.5 * weight
            residuals = scale * residuals
            found.append((0.5 * residuals.square().sum(-1), residuals, scale * by_landmarks))
        if self.tables.capsules is not None:
            scale = 2.0**0.5 * self.tables.stage.interpenetration
            depth, lines = interpenetration_lines(self.tables.capsules, state)
            found.append(((0.5 * scale**2) * depth.square().sum(-1), scale * depth, scale * lines))
        return found

    def _surface_lines(
        self, state: Tensor, surface: SeenSurface, tables: LandmarkTables
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Robust distance of vertices to where they were seen: `terms.reprojection` with its own scale and weight."""
        placed = place(tables, state)
        weight = self.tables.stage.surface * surface.confidence
        scale = self.tables.stage.surface_scale
        seen = reprojection_lines(placed.points, surface.observed, weight, self.evidence.focal, scale, surface.metric)
        behind = ((placed.points[:, 2] < MIN_DEPTH) & (weight > 0)).any(-1)
        energy = torch.where(behind, torch.inf, seen.energy)
        return energy, seen.residuals.flatten(1), pull(tables, placed, seen.covectors)

    def _priors(self, state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        tables, stage = self.tables, self.tables.stage
        pose, betas = state[:, POSE], state[:, BETAS]
        pulls = (pose @ tables.precisions - tables.shifts).view(len(pose), *tables.means.shape)
        energies = 0.5 * ((pose[:, None] - tables.means) * pulls).sum(-1) + tables.constants
        least, component = energies.min(-1)
        bent = (pose.index_select(1, tables.angle_columns) * tables.angle_signs).clamp_max(20.0).exp().square()
        energy = (
            stage.pose_prior**2 * least
            + stage.angle_prior**2 * bent.sum(-1)
            + stage.shape_prior**2 * betas.square().sum(-1)
        )
        chosen = component[:, None, None].expand(-1, 1, POSE_SIZE)
        by_pose = stage.pose_prior**2 * pulls.gather(1, chosen)[:, 0]
        by_betas = 2.0 * stage.shape_prior**2 * betas
        hessian = tables.curvature.index_select(0, component)
        by_root = by_transl = torch.zeros_like(state[:, :3])
        held = self._anchored(state)
        if held is not None:
            energy, by_pose, by_betas = energy + held.energy, by_pose + held.pose, by_betas + held.betas
            by_root, by_transl = held.root, held.transl
            if tables.root:
                hessian[:, :3, :3].add_(held.root_curvature)
            if self.grip is not None:
                hessian.diagonal(dim1=1, dim2=2).add_(self.grip.diagonal)
        by_free = by_pose.index_select(1, tables.pose_columns)
        if tables.vae is not None and stage.pose_prior > 0:
            drawn = tables.vae.add_to(hessian, pose, tables.root, stage.pose_prior**2)
            energy, by_free = energy + drawn.energy, by_free + drawn.gradient
        blocks = [by_root, by_free] if tables.root else [by_free]
        blocks += [by_transl] if tables.landmarks.transl else []
        blocks += [by_betas] if tables.landmarks.betas else []
        gradient = torch.cat(blocks, dim=1)
        if len(tables.angle_free):
            curve = (2.0 * stage.angle_prior**2) * bent.index_select(1, tables.angle_free)
            gradient.index_add_(1, tables.angle_unknowns, curve * tables.angle_signs.index_select(0, tables.angle_free))
            # exp(2 s a) is convex: its exact curvature costs no more than the Gauss-Newton half of it.
            hessian.diagonal(dim1=1, dim2=2).index_add_(1, tables.angle_unknowns, 2.0 * curve)
        return energy, gradient, hessian

    def _anchored(self, state: Tensor) -> Held | None:
        """What holds a body to its anchor, if anything does."""
        stage = self.tables.stage
        if stage.start_prior == stage.place_prior == stage.depth_prior == 0:
            return None
        offset = state - self.anchor
        hold, turn = self.tables.hold, state.new_full((len(state),), stage.start_prior**2)
        if self.grip is not None:
            hold, turn = self.grip.hold, self.grip.turn
        weighted = hold * offset
        anchor, orient = (rows[:, ORIENT].view(-1, 3, 3) for rows in (self.anchor, state))
        angle = logarithm(anchor.mT @ orient)
        energy = (weighted * offset).sum(-1) + turn * angle.square().sum(-1)
        slope = 2.0 * weighted
        # For the inverse J of the right Jacobian at the vector a, J' a = a, and J' J stretches only across a.
        half = (0.5 * angle.norm(dim=-1)).clamp_min(1e-6)[:, None, None]
        axis = angle[..., None] / (2.0 * half)
        across = (half / half.sin()).square()
        eye, _ = eye_and_crosses(state.dtype, state.device)
        twice = 2.0 * turn[:, None]
        curvature = twice[..., None] * (across * eye + (1.0 - across) * (axis @ axis.mT))
        return Held(energy, slope[:, POSE], slope[:, BETAS], slope[:, TRANSL], twice * angle, curvature)
