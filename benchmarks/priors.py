"""The pose priors against one another: the Gaussian mixture, the autoencoder, and half of each.

    python -m benchmarks priors --mocap cmu_poses.npz --lspet LSPET --real3d REAL3D --picture samples.png

Held-out motion capture as a detector sees it (`benchmarks.people`), given joints of gymnasts (LSP Extended, `LSPET`
holds ``joints.npz``), and photos with true 3D joints (`benchmarks.real3d`). ``--plain`` names an autoencoder trained
without L_orth and L_det, to be compared with the shipped one::

    fitloop train-prior --kind vae --mocap cmu_poses.npz --vae.orth 0 --vae.det 0 --out PLAIN
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import tyro
from torch import Tensor

from benchmarks import real3d
from benchmarks.lspet import joint_errors, load_people
from benchmarks.metrics import Metric, write_metrics
from benchmarks.people import People, make_people
from benchmarks.prior_pictures import draw_priors
from benchmarks.scores import score
from fitloop.body import Body, BodyEstimate, Detections, KeypointKinematics, convention_named, load_body
from fitloop.data.mocap import full_pose, load_mocap
from fitloop.fitting import AFTER_REGRESSION, Fit, FitConfig, StageConfig, fit, load_pose_prior
from fitloop.fitting.terms import pose_prior
from fitloop.fitting.vae_prior import NUM_TURNED, VaePrior
from fitloop.fitting.vae_prior_files import save_vae_prior
from fitloop.fitting.vae_prior_training import joint_places
from fitloop.geometry import project, rotmat_to_rotvec, rotvec_to_rotmat
from fitloop.geometry.rotations import project_to_rotation
from fitloop.regressor import load_regressor

NAMES = ("open", "vae", "both")
FROM_NEAR = FitConfig(stages=(StageConfig(landmarks=0.0),))
AFTER = replace(AFTER_REGRESSION, stages=tuple(replace(stage, landmarks=0.0) for stage in AFTER_REGRESSION.stages))
PCK = 0.1
"""Share of the box's longer side within which a joint counts as found."""


@dataclass(frozen=True, kw_only=True)
class PriorsConfig:
    """Measure the pose priors."""

    mocap: Path
    """The file cmu_poses.npz; only held-out subjects are used."""
    lspet: Path | None = None
    """Folder with the joints of LSP Extended."""
    real3d: Path | None = None
    """Folder with photos and true 3D joints."""
    plain: Path | None = None
    """An autoencoder trained without L_orth and L_det."""
    picture: Path | None = None
    """Where to draw samples and interpolations."""
    people: int = 512
    """People from the motion capture."""
    priors: tuple[str, ...] = NAMES
    """Names or files."""
    code_alone: bool = False
    """Fit people from the motion capture under the autoencoder's code alone, too: what it decodes does not count."""
    json: Path | None = None
    """Write the metrics here."""


def main(arguments: list[str]) -> int:
    """Measure and print; return the exit code."""
    config = tyro.cli(PriorsConfig, args=arguments)
    body = load_body()
    people = make_people(body, config.mocap, config.people)
    metrics = of_motion_capture(config.priors, body, people)
    if config.code_alone:
        metrics += of_code_alone(body, people)
    metrics += of_decoders(config, body)
    if config.lspet is not None:
        metrics += of_gymnasts(config, body, config.lspet)
    if config.real3d is not None:
        metrics += of_photos(config, config.real3d)
    for metric in metrics:
        print(f"{metric.key:52s} {metric.value:10.4g} {metric.unit}")
    if config.json is not None:
        write_metrics(metrics, config.json)
    if config.picture is not None:
        draw_priors(config.picture, body, load_mocap(config.mocap).held_out())
    return 0


def of_code_alone(body: Body, people: People) -> list[Metric]:
    """`of_motion_capture` under an autoencoder in which the distance to what is decoded weighs nothing."""
    prior = load_pose_prior("vae")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "code_alone.safetensors"
        save_vae_prior(path, replace(prior, deviation=1e4 * prior.deviation))
        return of_motion_capture((str(path),), body, people)


def of_motion_capture(names: tuple[str, ...], body: Body, people: People) -> list[Metric]:
    """Errors and times of fits from a start near the truth, and from the regressor's guess."""
    seen = replace(people.detections, landmarks=None, landmark_confidence=None)
    guess = load_regressor("keypoints", body)(None, seen, people.truth.camera)
    metrics = []
    for name in names:
        for start, init, fitting in (("near", people.near, FROM_NEAR), ("regressed", guess, AFTER)):
            result, seconds = _timed(body, seen, init, replace(fitting, pose_prior=name))
            found = score(body, result.estimate, people.truth, seen.convention)
            key = f"priors.mocap.{start}.{Path(name).stem}"
            metrics += [
                Metric(f"{key}.mpjpe", found.mpjpe, "mm", "lower"),
                Metric(f"{key}.pa_mpjpe", found.pa_mpjpe, "mm", "lower"),
                Metric(f"{key}.error_2d", found.error_2d, "% of box side", "lower"),
                Metric(f"{key}.steps", float(result.steps.float().mean()), "steps", "none"),
                Metric(f"{key}.ms", 1000.0 * seconds / len(seen.boxes), "ms of CPU per person", "lower"),
                *_energies(key, result.estimate),
            ]
    return metrics


def _timed(body: Body, seen: Detections, init: BodyEstimate, config: FitConfig) -> tuple[Fit, float]:
    """A fit and the shortest CPU time of two; what is prepared once does not count."""
    result, seconds = fit(body, seen, init, config), []
    for _ in range(2):
        begin = time.process_time()
        result = fit(body, seen, init, config)
        seconds.append(time.process_time() - begin)
    return result, min(seconds)


def _energies(key: str, estimate: BodyEstimate) -> list[Metric]:
    """What each prior says of the poses, its own and the other's."""
    poses = rotmat_to_rotvec(estimate.params.body_pose).flatten(1).double()
    return [
        Metric(f"{key}.energy_{name}", float(pose_prior(poses, load_pose_prior(name)).median()), "nats", "none")
        for name in ("open", "vae")
    ]


def of_gymnasts(config: PriorsConfig, body: Body, folder: Path) -> list[Metric]:
    """2D errors of fits to given joints, from the mean pose and from the regressor's guess."""
    detections, mean = load_people(folder)
    mean = replace(mean, body=body.name)
    guess = load_regressor("keypoints", body)(None, detections, mean.camera)
    metrics = []
    for name in config.priors:
        for start, init, fitting in (("mean", mean, FitConfig()), ("regressed", guess, AFTER_REGRESSION)):
            result = fit(body, detections, init, replace(fitting, pose_prior=name))
            errors = 100.0 * joint_errors(body, result.estimate, detections)
            key = f"priors.lspet.{start}.{name}"
            metrics += [
                Metric(f"{key}.joint_error", float(errors.nanmean()), "% of box side", "lower"),
                Metric(f"{key}.pck", _pck(body, result.estimate, detections), "% within 0.1 of the box side", "higher"),
                *_energies(key, result.estimate),
            ]
    return metrics


def _pck(body: Body, estimate: BodyEstimate, seen: Detections) -> float:
    names = tuple(str(name) for name in convention_named(seen.convention).landmarks)
    pixels = project(KeypointKinematics(body, names)(estimate.params), estimate.camera)
    reach = PCK * (seen.boxes[:, 2:] - seen.boxes[:, :2]).amax(-1, keepdim=True)
    near = (pixels - seen.keypoints).norm(dim=-1) < reach
    return 100.0 * float(near[seen.confidence > 0].float().mean())


def of_photos(config: PriorsConfig, folder: Path) -> list[Metric]:
    """Errors on photos with true 3D joints, from OpenPose's and from exact keypoints."""
    scenes, metrics = real3d.load_scenes(folder, "known"), []
    for name in config.priors:
        measuring = real3d.Real3dConfig(data=folder, pose_prior=name)
        for evidence in ("openpose", "exact"):
            stages = real3d.measure(measuring, scenes, evidence)
            metrics += real3d.metrics_of(f"priors.real3d.{evidence}.{name}", list(stages.values())[-1])[:4]
    return metrics


def of_decoders(config: PriorsConfig, body: Body) -> list[Metric]:
    """How near to rotations decoders answer, and what projecting on rotations changes."""
    held_out = load_mocap(config.mocap).held_out().sample(4000, torch.Generator().manual_seed(0))
    poses = full_pose(held_out)[:, 1:].flatten(1).double()
    rest = body.rest_joints(torch.zeros(body.num_betas)).double()
    metrics = []
    for key, source in (("vae", "vae"), ("plain", config.plain)):
        prior = None if source is None else load_pose_prior(source)
        if isinstance(prior, VaePrior):
            metrics += _of_decoder(f"priors.decoder.{key}", prior, poses, rest)
    return metrics


def _of_decoder(key: str, prior: VaePrior, poses: Tensor, rest: Tensor) -> list[Metric]:
    truth = rotvec_to_rotmat(poses[:, : 3 * NUM_TURNED].unflatten(-1, (NUM_TURNED, 3)))
    latent = torch.randn(4000, prior.decoder.first.shape[1], generator=torch.Generator().manual_seed(0)).double()
    metrics = []
    for name, matrices in (("held_out", prior.matrices(prior.encode(poses))), ("samples", prior.matrices(latent))):
        gram = matrices @ matrices.mT - torch.eye(3, dtype=matrices.dtype)
        metrics += [
            Metric(f"{key}.{name}.l_orth", float(gram.square().sum((-2, -1)).mean()), "per joint", "lower"),
            Metric(f"{key}.{name}.l_det", float((torch.linalg.det(matrices) - 1.0).abs().mean()), "per joint", "lower"),
        ]
    raw = prior.matrices(prior.encode(poses))
    places = joint_places(truth, rest)
    for name, matrices in (("without_svd", raw), ("with_svd", project_to_rotation(raw))):
        distance = 1000.0 * (joint_places(matrices, rest) - places).norm(dim=-1).mean()
        metrics.append(Metric(f"{key}.rebuilt.{name}", float(distance), "mm, mean over joints", "lower"))
    return metrics
