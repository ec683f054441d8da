"""Arrays of the results file from people, and back."""

from collections.abc import Mapping

import numpy as np

from fitloop.body import JOINT_NAMES, Body, BodyEstimate, Detections, KeypointKinematics
from fitloop.evaluation.body_arrays import bodies_of
from fitloop.geometry import project
from fitloop.refinement import Reason
from fitloop.refinement.offsets import OffsetReason, Offsets
from fitloop.refinement.refiner import Refined


def _estimate_arrays(estimate: BodyEstimate, body: Body) -> dict[str, np.ndarray]:
    params, camera = estimate.params, estimate.camera
    joints = KeypointKinematics(body, JOINT_NAMES)(params)
    values = {
        **{"global_orient": params.global_orient, "body_pose": params.body_pose, "betas": params.betas},
        **{"transl": params.transl, "focal": camera.focal, "principal_point": camera.principal_point},
        **{"joints_3d": joints, "joints_2d": project(joints, camera)},
    }
    return {key: value.detach().cpu().numpy().astype(np.float32) for key, value in values.items()}


def _refined_arrays(refined: Refined, body: Body) -> dict[str, np.ndarray]:
    arrays = {f"refined_{key}": value for key, value in _estimate_arrays(refined.estimate, body).items()}
    arrays["refined_accepted"] = refined.accepted.cpu().numpy()
    arrays["refined_reason"] = np.array([Reason(code).name.lower() for code in refined.reason.tolist()], dtype="<U24")
    outcome = refined.outcome
    for name in ("withheld_before", "withheld_after", "overlap_before", "overlap_after"):
        arrays[f"refined_{name}"] = getattr(outcome, name).cpu().numpy().astype(np.float32)
    return arrays


def _offset_arrays(offsets: Offsets) -> dict[str, np.ndarray]:
    reasons = [OffsetReason(code).name.lower() for code in offsets.reason.tolist()]
    arrays = {
        # Half precision is exact to 0.1 mm, and the largest array of the file.
        "refined_offsets": offsets.rest.cpu().numpy().astype(np.float16),
        "refined_offsets_reason": np.array(reasons, dtype="<U24"),
    }
    for name in ("overlap_before", "overlap_after", "outline"):
        arrays[f"refined_offsets_{name}"] = getattr(offsets, name).cpu().numpy().astype(np.float32)
    return arrays


def _evidence_arrays(detections: Detections) -> dict[str, np.ndarray]:
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
