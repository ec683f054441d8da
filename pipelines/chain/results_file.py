"""Arrays of the results file from people, and back."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from fitloop.body import JOINT_NAMES, Body, BodyEstimate, Detections
from fitloop.evaluation.body_arrays import NOT_FITTED, STAGE_PREFIXES, bodies_of
from fitloop.fitting import Fit, Status
from fitloop.geometry import TensorRecord, project
from fitloop.pipelines.chain.known import kinematics_of
from fitloop.refinement import Look, Reason
from fitloop.refinement.network import Displacement
from fitloop.refinement.offsets import OffsetReason, Offsets
from fitloop.refinement.subjects import Refined
from fitloop.regressor.photo_tuning import Tuned
from fitloop.rendering.flow import Flow

_NOT_KEPT = "A results file keeps no displacements; refine the photo again to see them."


@dataclass(frozen=True)
class StoredRefinement(TensorRecord):
    """What a results file keeps of `Refined`: the bodies and the verdicts, not what was seen on the way."""

    estimate: BodyEstimate
    """The refined body where it was taken, else the fitted one."""
    reason: Int[Tensor, "people"]
    """Codes of `fitloop.refinement.Reason`."""

    @property
    def accepted(self) -> Bool[Tensor, "people"]:
        """Whose refined body was taken."""
        return self.reason == int(Reason.BETTER)

    @property
    def flow(self) -> Flow:
        """Not kept: a `ValueError`."""
        raise ValueError(_NOT_KEPT)

    @property
    def look(self) -> Look:
        """Not kept: a `ValueError`."""
        raise ValueError(_NOT_KEPT)

    @property
    def displacement(self) -> Displacement:
        """Not kept: a `ValueError`."""
        raise ValueError(_NOT_KEPT)


def estimate_arrays(estimate: BodyEstimate, body: Body) -> dict[str, np.ndarray]:
    params, camera = estimate.params, estimate.camera
    joints = kinematics_of(body, JOINT_NAMES)(params)
    values = {
        **{"global_orient": params.global_orient, "body_pose": params.body_pose, "betas": params.betas},
        **{"transl": params.transl, "focal": camera.focal, "principal_point": camera.principal_point},
        **{"joints_3d": joints, "joints_2d": project(joints, camera)},
    }
    return {key: value.detach().cpu().numpy().astype(np.float32) for key, value in values.items()}


def tuned_arrays(tuned: Tuned, body: Body) -> dict[str, np.ndarray]:
    arrays = {f"tuned_{key}": value for key, value in estimate_arrays(tuned.estimate, body).items()}
    return arrays | {"tuned_steps": tuned.steps.cpu().numpy().astype(np.int32)}


def refined_arrays(refined: Refined, body: Body) -> dict[str, np.ndarray]:
    arrays = {f"refined_{key}": value for key, value in estimate_arrays(refined.estimate, body).items()}
    arrays["refined_accepted"] = refined.accepted.cpu().numpy()
    arrays["refined_reason"] = np.array([Reason(code).name.lower() for code in refined.reason.tolist()], dtype="<U24")
    outcome = refined.outcome
    for name in ("withheld_before", "withheld_after", "overlap_before", "overlap_after"):
        arrays[f"refined_{name}"] = getattr(outcome, name).cpu().numpy().astype(np.float32)
    return arrays


def offset_arrays(offsets: Offsets) -> dict[str, np.ndarray]:
    reasons = [OffsetReason(code).name.lower() for code in offsets.reason.tolist()]
    arrays = {
        # Half precision is exact to 0.1 mm, and the largest array of the file.
        "refined_offsets": offsets.rest.cpu().numpy().astype(np.float16),
        "refined_offsets_reason": np.array(reasons, dtype="<U24"),
    }
    for name in ("overlap_before", "overlap_after", "outline"):
        arrays[f"refined_offsets_{name}"] = getattr(offsets, name).cpu().numpy().astype(np.float32)
    return arrays


def fit_arrays(fitted: Fit | None, count: int) -> dict[str, np.ndarray]:
    """Energy and status of each person, and how the fit came about where there is one."""
    if fitted is None:
        return {"energy": np.full(count, np.nan, np.float32), "status": np.full(count, NOT_FITTED)}
    status = np.array([Status(code).name.lower() for code in fitted.status.tolist()], dtype="<U24")
    counted = {"fit_start": fitted.start, "fit_steps": fitted.steps}
    return {
        **{"energy": fitted.energy.detach().cpu().numpy().astype(np.float32), "status": status},
        **{key: value.cpu().numpy().astype(np.int32) for key, value in counted.items()},
    }


def evidence_arrays(detections: Detections) -> dict[str, np.ndarray]:
    points = np.concatenate([detections.keypoints.cpu().numpy(), detections.confidence.cpu().numpy()[..., None]], -1)
    arrays = {
        **{"keypoints": points.astype(np.float32), "convention": np.array(detections.convention)},
        "boxes": detections.boxes.cpu().numpy().astype(np.float32),
    }
    if detections.landmarks is not None and detections.landmark_confidence is not None:
        confidence = detections.landmark_confidence.cpu().numpy()[..., None]
        arrays["landmarks"] = np.concatenate([detections.landmarks.cpu().numpy(), confidence], -1).astype(np.float32)
    return arrays


def estimate_of(arrays: Mapping[str, np.ndarray], prefix: str) -> BodyEstimate:
    """Read the bodies of a stage back from a results file."""
    return BodyEstimate(*bodies_of(arrays, prefix), str(arrays["body"]))


def fit_of(arrays: Mapping[str, np.ndarray]) -> Fit | None:
    """Read the fit back; None where there was none. Starts and steps of older files are -1: they do not say."""
    words = [str(word) for word in arrays["status"]]
    if NOT_FITTED in words:
        return None
    unknown = np.full(len(words), -1, np.int32)
    status = torch.tensor([int(Status[word.upper()]) for word in words], dtype=torch.int64)
    start, steps = (torch.from_numpy(np.asarray(arrays.get(key, unknown))) for key in ("fit_start", "fit_steps"))
    return Fit(estimate_of(arrays, ""), torch.from_numpy(np.asarray(arrays["energy"])), status, start, steps)


def tuned_of(arrays: Mapping[str, np.ndarray]) -> Tuned | None:
    """Read what the tuned network said back; None where none was tuned."""
    if "tuned_steps" not in arrays:
        return None
    steps = torch.from_numpy(np.asarray(arrays["tuned_steps"]).astype(np.int64))
    return Tuned(estimate_of(arrays, STAGE_PREFIXES["tuned"]), steps)


def refinement_of(arrays: Mapping[str, np.ndarray]) -> StoredRefinement | None:
    """Read the refined bodies back; None where there were none."""
    if "refined_reason" not in arrays:
        return None
    reason = [int(Reason[str(word).upper()]) for word in arrays["refined_reason"]]
    return StoredRefinement(estimate_of(arrays, "refined_"), torch.tensor(reason, dtype=torch.int64))


def offsets_of(arrays: Mapping[str, np.ndarray]) -> Offsets | None:
    """Read hair and clothes back; None where they were not asked for."""
    if "refined_offsets" not in arrays:
        return None
    reason = [int(OffsetReason[str(word).upper()]) for word in arrays["refined_offsets_reason"]]
    names = ("overlap_before", "overlap_after", "outline")
    numbers = [torch.from_numpy(np.asarray(arrays[f"refined_offsets_{name}"])) for name in names]
    rest = torch.from_numpy(np.asarray(arrays["refined_offsets"]).astype(np.float32))
    return Offsets(rest, torch.tensor(reason, dtype=torch.int64), *numbers)


def evidence_of(arrays: Mapping[str, np.ndarray]) -> Detections:
    """Read the evidence back, without silhouettes, which the file does not keep."""
    points = torch.from_numpy(np.asarray(arrays["keypoints"]))
    found = Detections(
        points[..., :2], points[..., 2], torch.from_numpy(np.asarray(arrays["boxes"])), str(arrays["convention"])
    )
    if "landmarks" not in arrays:
        return found
    landmarks = torch.from_numpy(np.asarray(arrays["landmarks"]))
    return replace(found, landmarks=landmarks[..., :3], landmark_confidence=landmarks[..., 3])
