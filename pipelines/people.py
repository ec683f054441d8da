"""What the main job found in one photo, and its file of plain arrays."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from body import JOINT_NAMES, Body, BodyEstimate, BodyParams, Detections, KeypointKinematics
from body.files import whole_file
from fitting import Fit, Status
from geometry import Camera, project
from pipelines.refine import Refined
from refinement import Reason
from refinement.offsets import OffsetReason, Offsets, pose_offsets
from rendering.export import export_glb

NOT_FITTED = "not_fitted"
STAGE_PREFIXES = {"regressed": "regressed_", "fitted": "", "refined": "refined_"}
"""How the arrays of each stage begin in the results file."""

_PARAMS = ("global_orient", "body_pose", "betas", "transl")
_CAMERA = ("focal", "principal_point")


@dataclass(frozen=True)
class People:
    """The people of one photo after every stage; one row per person in each record."""

    name: str
    """Path of the photo below its folder."""
    body: Body
    detections: Detections
    regressed: BodyEstimate
    fitted: Fit | None
    """None where fitting was switched off."""
    refined: Refined | None = None
    """None where bodies were not refined."""
    offsets: Offsets | None = None
    """Hair and clothes on the refined bodies; None where they were not asked for."""
    notices: tuple[str, ...] = ()
    """What the user should know about the evidence."""

    def __len__(self) -> int:
        return len(self.detections.boxes)

    @property
    def estimate(self) -> BodyEstimate:
        """The bodies of the last stage that ran."""
        return self.before_refinement if self.refined is None else self.refined.estimate

    @property
    def before_refinement(self) -> BodyEstimate:
        """The fitted bodies, or the regressed ones where fitting was switched off."""
        return self.regressed if self.fitted is None else self.fitted.estimate

    def stages(self) -> Iterator[tuple[str, BodyEstimate]]:
        """Name and bodies of every stage that ran, in order."""
        yield "regressed", self.regressed
        if self.fitted is not None:
            yield "fitted", self.fitted.estimate
        if self.refined is not None:
            yield "refined", self.refined.estimate

    def surface(self, rows: slice = slice(None)) -> Float[Tensor, "people vertices 3"]:
        """Bodies of the last stage that ran, clothed where offsets were taken: camera frame, metres.

        Args:
            rows: Which people; all if not given.
        """
        params = self.estimate.params[rows]
        bare = self.body(params).vertices
        if self.offsets is None:
            return bare
        return bare + pose_offsets(self.body, params, self.offsets.rest[rows].to(bare))

    def save(self, path: str | Path, person: int | None = None) -> None:
        """Write the bodies of the last stage as binary glTF, clothed where offsets were taken: metres, y up.

        Args:
            path: Ends in ``.glb``.
            person: Row of the one to write; all people of the photo if not given.
        """
        rows = slice(None) if person is None else slice(person, person + 1)
        with whole_file(Path(path)) as file:
            export_glb(file, self.surface(rows), self.body.faces)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Plain arrays of the results file; docs/results_file.md explains each."""
        arrays = {**_estimate_arrays(self.before_refinement, self.body)}
        arrays |= {f"regressed_{key}": value for key, value in _estimate_arrays(self.regressed, self.body).items()}
        arrays |= _evidence_arrays(self.detections)
        count = len(self)
        if self.fitted is None:
            arrays["energy"] = np.full(count, np.nan, np.float32)
            arrays["status"] = np.full(count, NOT_FITTED)
        else:
            arrays["energy"] = self.fitted.energy.detach().cpu().numpy().astype(np.float32)
            arrays["status"] = np.array(
                [Status(code).name.lower() for code in self.fitted.status.tolist()], dtype="<U24"
            )
        if self.refined is not None:
            arrays |= _refined_arrays(self.refined, self.body)
        if self.offsets is not None:
            arrays |= _offset_arrays(self.offsets)
        arrays["body"] = np.array(self.estimate.body)
        arrays["photo"] = np.array(self.name)
        arrays["notices"] = np.array(self.notices, dtype=np.str_)
        return arrays


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
    tensors = {key: torch.from_numpy(np.asarray(arrays[prefix + key])) for key in _PARAMS + _CAMERA}
    params = BodyParams(*(tensors[key] for key in _PARAMS))
    return BodyEstimate(params, Camera(*(tensors[key] for key in _CAMERA)), str(arrays["body"]))
