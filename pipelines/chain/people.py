"""What the main job found in one photo, and its file of plain arrays."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor

from fitloop.body import Body, BodyEstimate, Detections
from fitloop.body.files import whole_file
from fitloop.evaluation.body_arrays import NOT_FITTED
from fitloop.fitting import Fit, Status
from fitloop.pipelines.chain.results_file import (
    _estimate_arrays,
    _evidence_arrays,
    _offset_arrays,
    _refined_arrays,
)
from fitloop.refinement.offsets import Offsets, pose_offsets
from fitloop.refinement.refiner import Refined
from fitloop.rendering.export import export_glb


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
