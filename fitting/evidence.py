"""From detections to what the energy reads: known landmarks only, pixels scaled to a 224-pixel crop."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fitloop.body import Body, BodyEstimate, Detections, SurfaceEvidence, convention_named
from fitloop.body.kinematics import Usable
from fitloop.body.params import NUM_JOINTS
from fitloop.fitting.problem import Evidence, SeenSurface
from fitloop.fitting.terms import centre_landmarks
from fitloop.geometry import crop_of_box

CROP = 224.0
"""Side in pixels of the square crop, SPIN's, in which residuals are counted: so energies compare between photos."""
FARTHEST = 1e4
"""Crop pixels; coordinates beyond are moved there, so that nonsense stays finite."""


def check_surface(surface: SurfaceEvidence, init: BodyEstimate) -> None:
    """Raise a `ValueError` that names both sides where seen vertices and start do not belong together."""
    expected = (*init.params.transl.shape[:-1], len(surface.vertices))
    for name, found in (("targets", surface.targets.shape[:-1]), ("confidence", surface.confidence.shape)):
        if tuple(found) != expected:
            raise ValueError(
                f"surface.{name} has shape {tuple(found)}, expected {expected}: "
                "one row per body and one column per vertex."
            )


def check_inputs(body: Body, detections: Detections, init: BodyEstimate) -> None:
    """Raise a `ValueError` that names both sides where body, detections and start do not belong together."""
    if init.body != body.name:
        raise ValueError(f"The start belongs to body {init.body!r}, the body to fit is {body.name!r}; they do not mix.")
    body.check(init.params)
    expected = len(convention_named(detections.convention))
    found = detections.keypoints.shape[-2]
    if found != expected:
        raise ValueError(f"Convention {detections.convention!r} has {expected} keypoints, the detections have {found}.")
    people, bodies = detections.confidence.shape[:-1], init.params.transl.shape[:-1]
    shapes = {
        "detections.keypoints": detections.keypoints.shape[:-2],
        "detections.boxes": detections.boxes.shape[:-1],
        "init.camera": init.camera.focal.shape,
        "init": bodies,
    }
    for name, shape in shapes.items():
        if shape != people:
            raise ValueError(
                f"{name} has batch shape {tuple(shape)}, detections.confidence {tuple(people)}; they must agree."
            )
    told = init.uncertainty
    if told is not None and (told.rotations.shape, told.betas.shape) != ((*bodies, NUM_JOINTS), bodies):
        raise ValueError(
            f"init.uncertainty has shapes {tuple(told.rotations.shape)} and {tuple(told.betas.shape)}, expected "
            f"{(*bodies, NUM_JOINTS)} and {tuple(bodies)}: one number per rotation and one for the shape."
        )
    devices = {
        "body": body.template.device,
        "detections": detections.keypoints.device,
        "init": init.params.transl.device,
    }
    if len(set(devices.values())) > 1:
        raise ValueError(f"Body, detections and start lie on different devices: {devices}; move them together.")


def crop_scale(detections: Detections, seen: Bool[Tensor, "batch keypoints"]) -> Float[Tensor, "batch"]:
    """Crop pixels per photo pixel: 224 over SPIN's square around the box; around the keypoints if there is no box."""
    boxes = detections.boxes
    low = torch.where(seen[..., None], detections.keypoints, torch.inf).amin(-2)
    high = torch.where(seen[..., None], detections.keypoints, -torch.inf).amax(-2)
    valid = torch.isfinite(boxes).all(-1) & ((boxes[:, 2:] - boxes[:, :2]) > 1.0).all(-1)
    around = torch.nan_to_num(torch.cat([low, high], dim=-1), posinf=0.0, neginf=0.0)
    return CROP / crop_of_box(torch.where(valid[:, None], boxes, around)).side


def make_evidence(
    detections: Detections, init: BodyEstimate, usable: Usable, surface: SurfaceEvidence | None = None
) -> tuple[Evidence, Tensor]:
    """Prepare the evidence of flat batches, and the crop's scale per row.

    What has coordinates or a confidence that is not finite counts as not observed.
    """
    finite = torch.isfinite(detections.keypoints).all(-1) & torch.isfinite(detections.confidence)
    confidence = torch.where(finite, detections.confidence, 0.0).clamp(0.0, 1.0)
    scale = crop_scale(detections, confidence > 0)
    columns = torch.tensor(usable.keypoints, device=confidence.device)
    confidence = confidence[:, columns]
    offset = _from_middle(detections.keypoints[:, columns], confidence, init, scale)
    seen = None
    if surface is not None:
        seen = _seen_surface(surface, init, scale)
    return Evidence(offset, confidence, init.camera.focal * scale, _centred(detections, columns), seen), scale


def spreads_of(init: BodyEstimate) -> Float[Tensor, "batch parts"] | None:
    """Standard deviations of the start: root and body joints in radians, then shape; None where it does not say."""
    told = init.uncertainty
    return None if told is None else told.parts


def _seen_surface(surface: SurfaceEvidence, init: BodyEstimate, scale: Tensor) -> SeenSurface:
    finite = torch.isfinite(surface.targets).all(-1) & torch.isfinite(surface.confidence)
    metric = surface.metric
    if metric is not None:
        finite = finite & torch.isfinite(metric).flatten(-2).all(-1)
        metric = torch.where(finite[..., None, None], metric, 0.0).permute(0, 2, 3, 1).contiguous()
    weight = torch.where(finite, surface.confidence, 0.0).clamp(0.0, 1.0)
    return SeenSurface(_from_middle(surface.targets, weight, init, scale), weight, metric)


def _from_middle(pixels: Tensor, confidence: Tensor, init: BodyEstimate, scale: Tensor) -> Tensor:
    """Crop pixels from the principal point, (batch, 2, points); 0 where nothing was observed."""
    offset = (pixels - init.camera.principal_point[:, None]) * scale[:, None, None]
    return torch.where((confidence > 0)[..., None], offset, 0.0).clamp(-FARTHEST, FARTHEST).mT


def _centred(detections: Detections, columns: Tensor):
    if detections.landmarks is None:
        return None
    points = detections.landmarks[:, columns]
    given = detections.landmark_confidence
    weight = torch.ones_like(points[..., 0]) if given is None else given[:, columns]
    finite = torch.isfinite(points).all(-1) & torch.isfinite(weight)
    weight = torch.where(finite, weight, 0.0).clamp(0.0, 1.0)
    return centre_landmarks(torch.where(finite[..., None], points, 0.0).mT, weight)
