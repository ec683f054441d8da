"""SMPLify: bodies from keypoints, stage by stage, several starts side by side."""

from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fitloop.body import Body, BodyEstimate, Detections, KeypointKinematics, SurfaceEvidence
from fitloop.body.kinematics import Usable, usable_keypoints
from fitloop.body.params import NUM_JOINTS
from fitloop.fitting.camera import TORSO, least_squares_translation, torso_translation
from fitloop.fitting.config import FitConfig, StageConfig, Start
from fitloop.fitting.coordinates import BETAS, TRANSL, pack, unpack
from fitloop.fitting.evidence import check_inputs, check_surface, make_evidence, spreads_of
from fitloop.fitting.grip import make_grip
from fitloop.fitting.interpenetration import make_capsule_tables
from fitloop.fitting.landmark_tables import make_tables
from fitloop.fitting.landmarks import place_points
from fitloop.fitting.prior import load_pose_prior
from fitloop.fitting.problem import BodyProblem, Evidence, StageTables, make_stage_tables
from fitloop.fitting.solver import Minimum, Status, minimize
from fitloop.fitting.starts import flip_limb, make_starts
from fitloop.geometry import TensorRecord, concatenate

CPU_ROWS = 256
"""Bodies that a CPU works on at a time; more only miss its caches."""
NEAREST = 0.3
"""Metres: a start whose observed landmarks come nearer than this is moved back."""

_Settled = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
"""State, energy, status, start and steps of rows."""


@dataclass(frozen=True)
class Fit(TensorRecord):
    """A body moved towards its evidence.

    found: fitloop.Fit = fitloop.fit(body, seen, guess)
    found.estimate.params.body_pose, found.energy, found.converged
    """

    estimate: BodyEstimate
    energy: Float[Tensor, "*batch"]
    """Weighted sum of the last stage's terms, 0 for a perfect fit of the likeliest pose; compares between photos,
    because pixels are those of a 224-pixel crop around the person."""
    status: Int[Tensor, "*batch"]
    """Codes of `Status`."""
    start: Int[Tensor, "*batch"]
    """Which of ``config.starts`` won, counted on through ``config.doubtful_starts``."""
    steps: Int[Tensor, "*batch"]
    """Steps that the winning start took, all stages together."""

    @property
    def converged(self) -> Bool[Tensor, "*batch"]:
        """Whether the last stage came to rest."""
        return self.status == int(Status.CONVERGED)


def fit(
    body: Body,
    detections: Detections,
    init: BodyEstimate,
    config: FitConfig = FitConfig(),
    surface: SurfaceEvidence | None = None,
) -> Fit:
    """Move ``init`` towards ``detections``, stage by stage, and keep the best of the starts.

        body = fitloop.load_body()
        guess = fitloop.load_regressor("keypoints", body)(None, seen, camera)
        found = fitloop.fit(body, seen, guess)

    Everything is in the camera frame and full-image pixels. Inputs are left untouched, and no gradient flows back to
    them.

    Args:
        body: The body model.
        detections: 2D evidence, any convention; keypoints of confidence 0 and those without landmark are ignored.
        init: Where to start, one row per person, usually the regressor's output. If it says how sure it is, the told
            stages run and those with ``usual_turn`` hold on to each joint accordingly; the result says nothing of it.
        config: Stages, weights, starts.
        surface: Where single vertices were seen, one row per person, if that is known.

    Returns:
        The fit, with the same batch shape as ``init``. Rows with too little evidence keep their start and say so.

    Raises:
        ValueError: If body, convention, batch shapes or devices do not match.
    """
    check_inputs(body, detections, init)
    if surface is not None:
        check_surface(surface, init)
    batch = init.params.transl.shape[:-1]
    fitter = fitter_of(body, detections.convention, config, () if surface is None else surface.vertices)
    # One person costs what thousands of small operations cost to start: a fifth less without autograd's bookkeeping.
    # Inference mode spares small CPU tensors their bookkeeping; devices that lie outside PyTorch do not know it.
    with torch.inference_mode() if init.params.transl.device.type == "cpu" else torch.no_grad():
        flat = init.detach().map(lambda tensor: tensor.flatten(0, len(batch) - 1) if batch else tensor[None])
        seen = detections.detach().map(lambda tensor: tensor.flatten(0, len(batch) - 1) if batch else tensor[None])
        dtype = body.template.dtype
        seen, flat = seen.to(dtype), flat.to(dtype)
        if surface is not None:
            surface = surface.detach().to(dtype)
            surface = surface.map(lambda tensor: tensor.reshape(len(seen.boxes), *tensor.shape[len(batch) :]))
        found = []
        for rows in fitter.shares(flat.params.transl):
            found.append(fitter.fit(seen[rows], flat[rows], None if surface is None else surface[rows]))
        result = concatenate(found) if len(found) > 1 else found[0]
        result = result.map(lambda tensor: tensor.reshape(batch + tensor.shape[1:])).to(init.params.transl.dtype)
    # Copies are ordinary tensors again, which a loss may save for its gradient.
    return result.map(torch.clone)


class Fitter:
    """What `fit` prepares once for a body, a convention and a config."""

    def __init__(self, body: Body, convention: str, config: FitConfig, vertices: tuple[int, ...] = ()) -> None:
        """Gather the constants; see `fit` for the arguments."""
        self.body, self.config = body, config
        self.usable: Usable = usable_keypoints(body, convention, config.ignored)
        self.prior = load_pose_prior(config.pose_prior)
        self.kinematics = KeypointKinematics(body, self.usable.landmarks)
        self.surface = KeypointKinematics(body, (), vertices) if vertices else None
        place_it = {"device": body.template.device, "dtype": body.template.dtype}
        self.torso = torch.tensor([float(name in TORSO) for name in self.usable.landmarks], **place_it)
        self.stages = [self.prepare(stage) for stage in config.stages]
        self.told_stages = [self.prepare(stage) for stage in config.told_stages] or self.stages
        self.mean_pose = self.prior.mean.to(**place_it)

    def prepare(self, stage: StageConfig) -> StageTables:
        """Gather the constants of a stage."""
        free = (self._free_joints(stage), "transl" in stage.free, "betas" in stage.free)
        landmarks = make_tables(self.kinematics, *free)
        capsules = make_capsule_tables(self.body, *free) if stage.interpenetration > 0 else None
        scale = stage.robust_scale or self.config.robust_scale
        tables = make_stage_tables(stage, landmarks, self.prior, scale, capsules)
        return tables if self.surface is None else replace(tables, surface=make_tables(self.surface, *free))

    def _free_joints(self, stage: StageConfig) -> tuple[int, ...]:
        """Joints that turn at least one landmark: the others would follow the prior alone, so they stay as they are."""
        root = (0,) if "global_orient" in stage.free else ()
        if "body_pose" not in stage.free:
            return root
        turned = _turned_by(self.kinematics)
        turned = turned if self.surface is None else turned | _turned_by(self.surface)
        active = turned.tolist()
        return root + tuple(joint for joint in range(1, NUM_JOINTS) if active[joint])

    def shares(self, rows: Float[Tensor, "batch 3"]) -> tuple[Tensor, ...]:
        """Row numbers in shares whose working memory stays near a CPU's caches; everything at once elsewhere."""
        size = max(32, CPU_ROWS // len(self.config.starts)) if rows.device.type == "cpu" else max(1, len(rows))
        return torch.arange(len(rows), device=rows.device).split(size)

    def fit(self, detections: Detections, init: BodyEstimate, surface: SurfaceEvidence | None = None) -> Fit:
        """`fit` for checked, flat batches of the body's dtype."""
        evidence, _ = make_evidence(detections, init, self.usable, surface)
        given, spreads = pack(init.params), spreads_of(init)
        # A start that is not a number is no start: the mean pose takes its place.
        sound = torch.isfinite(given).all(-1, keepdim=True)
        if not bool(sound.all()):
            given = torch.where(sound, given, make_starts(torch.zeros_like(given), ("mean",), self.mean_pose))
        status = self._judge(evidence)
        fittable = (status < 0).nonzero()[:, 0]
        start, steps = torch.zeros_like(status), torch.zeros_like(status)
        if len(status) == 0:
            state, energy = given, given.new_zeros(0)
        elif len(fittable) == len(status):
            state, energy, status, start, steps = self._settle(given, evidence, spreads)
        else:
            state, energy = given.clone(), self._energy(given, evidence, spreads)
            sure = None if spreads is None else spreads[fittable]
            found = self._settle(given[fittable], evidence.take(fittable), sure) if len(fittable) else ()
            for whole, part in zip((state, energy, status, start, steps), found, strict=False):
                whole[fittable] = part
        # A start behind the camera has infinite energy; the largest number there is compares the same and is a number.
        energy = energy.clamp_max(torch.finfo(energy.dtype).max)
        params = unpack(state)
        params = replace(params, global_orient=_orthonormal(params.global_orient))
        return Fit(replace(init, params=params, uncertainty=None), energy, status, start, steps)

    def _settle(self, given: Tensor, evidence: Evidence, spreads: Tensor | None) -> _Settled:
        """Run the starts, and the further ones of rows that may face the other way."""
        settled = self._compete(given, evidence, spreads, self.config.starts)
        if spreads is None or not self.config.doubtful_starts:
            return settled
        doubtful = spreads[:, 0] > self.config.doubtful_root
        if evidence.centred is not None:
            doubtful = doubtful & (evidence.centred.weights == 0).all(-1)
        rows = doubtful.nonzero()[:, 0]
        if len(rows) == 0:
            return settled
        others = self._compete(given[rows], evidence.take(rows), spreads[rows], self.config.doubtful_starts)
        others[3].add_(len(self.config.starts))
        won = others[1] < settled[1][rows]
        for whole, part in zip(settled, others, strict=True):
            whole[rows[won]] = part[won]
        return settled

    def _compete(
        self, given: Tensor, evidence: Evidence, spreads: Tensor | None, chosen: tuple[Start, ...]
    ) -> _Settled:
        """Run every start side by side; the lowest energy of each row wins."""
        rows, starts = len(given), len(chosen)
        every = torch.arange(rows, device=given.device)
        seen = evidence if starts == 1 else evidence.take(every.repeat(starts))
        sure = spreads if spreads is None or starts == 1 else spreads[every.repeat(starts)]
        states = self._place_camera(make_starts(given, chosen, self.mean_pose), seen)
        stages = self.stages if spreads is None else self.told_stages
        found = self._run(stages, states, seen, sure)
        best = torch.zeros_like(every)
        if starts > 1:
            best = found.energy.view(starts, rows).argmin(0)
            found = Minimum(*(field[best * rows + every] for field in found))
        for limb in self.config.limb_flips:
            flipped = flip_limb(found.state, limb, self.body.rest_joints(found.state[:, BETAS]))
            other = self._run(stages[-1:], flipped, evidence, spreads)
            better = other.energy < found.energy
            pairs = zip(other, found, strict=True)
            found = Minimum(*(torch.where(better.view(-1, *[1] * (a.ndim - 1)), a, b) for a, b in pairs))
        return found.state, found.energy, found.status, best, found.steps

    def _judge(self, evidence: Evidence) -> Int[Tensor, "batch"]:
        """Flag rows whose evidence cannot place a body; -1 for the others."""
        seen = evidence.confidence > 0
        count = seen.sum(-1)
        weight = seen / count.clamp_min(1)[:, None]
        centred = evidence.observed - (weight[:, None] * evidence.observed).sum(-1, keepdim=True)
        (xx, xy), (_, yy) = (row.unbind(1) for row in ((weight[:, None] * centred) @ centred.mT).unbind(1))
        across = 0.5 * (xx + yy) - (0.25 * (xx - yy).square() + xy.square()).sqrt()
        status = torch.full_like(count, -1)
        # Coinciding points, or points on a line, fix neither size nor turn: less than half a pixel across, in the crop.
        status = torch.where(across < (0.25 + 1e-6 * (xx + yy)), int(Status.DEGENERATE), status)
        return torch.where(count < self.config.min_keypoints, int(Status.NOT_ENOUGH_EVIDENCE), status)

    def _run(self, stages: list[StageTables], states: Tensor, evidence: Evidence, spreads: Tensor | None) -> Minimum:
        steps = 0
        found = Minimum(states, states[:, 0], *[torch.zeros(len(states), dtype=torch.long, device=states.device)] * 2)
        for tables in stages:
            looked = evidence
            if tables.stage.keypoints == "torso":
                looked = replace(evidence, confidence=self._torso_confidence(evidence))
            grip = make_grip(tables.stage, tables.hold, tables.unknowns, spreads)
            problem = BodyProblem(tables, looked, found.state, grip)
            found = minimize(problem, found.state, tables.stage.solver)
            steps = steps + found.steps
        return found._replace(steps=steps)

    def _torso_confidence(self, evidence: Evidence) -> Tensor:
        """Confidence of the torso alone; of everything where less than three torso points were seen."""
        torso = evidence.confidence * self.torso
        return torch.where(((torso > 0).sum(-1) >= 3)[:, None], torso, evidence.confidence)

    def _place_camera(self, states: Tensor, evidence: Evidence) -> Tensor:
        states = states.clone()
        if self.config.camera_init != "none":
            states[:, TRANSL] = 0.0
        points = place_points(self.stages[0].landmarks, states)
        if self.config.camera_init == "torso":
            confidence = self._torso_confidence(evidence)
            shift = torso_translation(points, evidence.observed, confidence, evidence.focal)
        elif self.config.camera_init == "least_squares":
            shift = least_squares_translation(points, evidence.observed, evidence.confidence, evidence.focal)
        else:
            shift = torch.zeros_like(states[:, TRANSL])
        # Whatever is seen lies in front of the camera.
        nearest = torch.where(evidence.confidence > 0, points[:, 2], torch.inf).amin(-1) + shift[:, 2]
        shift[:, 2] += (NEAREST - nearest).clamp_min(0.0)
        states[:, TRANSL] += shift
        return states

    def _energy(self, states: Tensor, evidence: Evidence, spreads: Tensor | None) -> Tensor:
        stages = self.stages if spreads is None else self.told_stages
        return BodyProblem(stages[-1], evidence, states).evaluate(states).energy


def _turned_by(kinematics: KeypointKinematics) -> Bool[Tensor, "joints"]:
    """Which joints turn at least one landmark."""
    turns = torch.einsum("kp,pi->ki", kinematics.gather, kinematics.moved_by)
    own = torch.zeros_like(turns)
    own[kinematics.pair_landmark, kinematics.pair_joint] = (
        kinematics.pair_point - kinematics.pair_mass[:, None] * kinematics.joint_template[kinematics.pair_joint]
    ).norm(dim=-1)
    deeper = turns.clone()
    deeper[kinematics.pair_landmark, kinematics.pair_joint] = 0.0
    return ((deeper > 0) | (own > 1e-4)).any(0)


def _orthonormal(rotations: Float[Tensor, "batch 3 3"]) -> Float[Tensor, "batch 3 3"]:
    """Remove the rounding that products of rotations gather."""
    first = torch.nn.functional.normalize(rotations[..., 0], dim=-1)
    second = rotations[..., 1] - (first * rotations[..., 1]).sum(-1, keepdim=True) * first
    second = torch.nn.functional.normalize(second, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], dim=-1)


@lru_cache(maxsize=8)
def fitter_of(body: Body, convention: str, config: FitConfig, vertices: tuple[int, ...] = ()) -> Fitter:
    """The prepared fitter; prepared once and kept for the few used last."""
    return Fitter(body, convention, config, vertices)
