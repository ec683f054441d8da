"""What the main job found in one photo, and its file of plain arrays."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image as Picture
from torch import Tensor

from fitloop.body import Body, BodyEstimate, BodyParams, Detections, Image
from fitloop.body.files import whole_file
from fitloop.evaluation.body_arrays import STAGE_PREFIXES
from fitloop.fitting import Fit
from fitloop.pipelines.chain.results_file import (
    StoredRefinement,
    estimate_arrays,
    estimate_of,
    evidence_arrays,
    evidence_of,
    fit_arrays,
    fit_of,
    offset_arrays,
    offsets_of,
    refined_arrays,
    refinement_of,
    tuned_arrays,
    tuned_of,
)
from fitloop.refinement.offsets import Offsets, pose_offsets
from fitloop.refinement.subjects import Refined
from fitloop.regressor.photo_tuning import Tuned
from fitloop.rendering import draw_overlay
from fitloop.rendering.export import export_glb, export_obj, export_ply


@dataclass(frozen=True)
class People:
    """The people of one photo after every stage; one row per person in each record.

    people = fitloop.predict("photo.jpg")
    len(people), people.params.body_pose, people.fitted.energy
    for person in people:
        person.save(f"{person.name}.glb")
    """

    name: str
    """Path of the photo below its folder."""
    body: Body
    detections: Detections
    regressed: BodyEstimate
    fitted: Fit | None
    """None where fitting was switched off."""
    refined: Refined | StoredRefinement | None = None
    """None where bodies were not refined."""
    offsets: Offsets | None = None
    """Hair and clothes on the refined bodies; None where they were not asked for."""
    notices: tuple[str, ...] = ()
    """What the user should know about the evidence."""
    image: Image | None = None
    """The photo; None where it was not kept."""
    tuned: Tuned | None = None
    """What a network tuned to each person says (``--test-time``), from which fits start; None where none was."""

    def __len__(self) -> int:
        return len(self.detections.boxes)

    def __repr__(self) -> str:
        """Who and what is there; the records print their own numbers."""
        return f"People({self.name!r}, {len(self)} people: {', '.join(name for name, _ in self.stages())})"

    def __getitem__(self, row: int) -> "People":
        """One person of the photo, as people of one row."""
        if not -len(self) <= row < len(self):
            raise IndexError(f"{self.name!r} has {len(self)} people, there is no person {row}.")
        only = slice(row % len(self), row % len(self) + 1)
        stages = ("detections", "regressed", "tuned", "fitted", "refined", "offsets")
        parts = {name: getattr(self, name) for name in stages}
        return replace(self, **{name: None if part is None else part[only] for name, part in parts.items()})

    def __iter__(self) -> Iterator["People"]:
        """Each person of the photo, as people of one row."""
        return (self[row] for row in range(len(self)))

    @property
    def params(self) -> BodyParams:
        """Pose, shape and place of the bodies of the last stage: camera frame, metres."""
        return self.estimate.params

    @property
    def estimate(self) -> BodyEstimate:
        """The bodies of the last stage that ran."""
        return self.before_refinement if self.refined is None else self.refined.estimate

    @property
    def before_refinement(self) -> BodyEstimate:
        """The fitted bodies, or those that a fit would start from where fitting was switched off."""
        return self.start if self.fitted is None else self.fitted.estimate

    @property
    def start(self) -> BodyEstimate:
        """Where fits start: the regressed bodies, or those of the tuned network."""
        return self.regressed if self.tuned is None else self.tuned.estimate

    def stages(self) -> Iterator[tuple[str, BodyEstimate]]:
        """Name and bodies of every stage that ran, in order."""
        yield "regressed", self.regressed
        if self.tuned is not None:
            yield "tuned", self.tuned.estimate
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

    def draw(self, image: Image | None = None) -> Picture.Image:
        """Draw the bodies of the last stage over the photo, clothed where offsets were taken.

        Args:
            image: The photo; only needed where the people do not carry it, as after reading a results file.

        Returns:
            A picture of the photo's size.

        Raises:
            ValueError: If there is no photo to draw on.
        """
        image = self.image if image is None else image
        if image is None:
            raise ValueError(f"The photo {self.name!r} is not at hand: give it, draw(load_image(path)).")
        return Picture.fromarray(draw_overlay(image.pixels, self.surface(), self.body.faces, self.estimate.camera))

    def save(self, path: str | Path, person: int | None = None) -> None:
        """Write the bodies of the last stage as a mesh, clothed where offsets were taken, or everything as arrays.

        Meshes are in metres, y up. Several people are bodies of their own in .glb, one mesh in .obj and .ply.

        Args:
            path: Ends in ``.glb``, ``.obj``, ``.ply`` or ``.npz`` (docs/results_file.md).
            person: Row of the one to write; all people of the photo if not given.

        Raises:
            ValueError: If the name ends otherwise, or a mesh of nobody is asked for.
            OSError: If the file cannot be written; then none is left behind.
        """
        path, chosen = Path(path), self if person is None else self[person]
        kind = path.suffix.lower()
        if kind == ".npz":
            with whole_file(path) as file:
                np.savez(file, **chosen.to_arrays())  # pyright: ignore[reportArgumentType]
            return
        if kind not in (".glb", ".obj", ".ply"):
            raise ValueError(f"{path.name} should end in .glb, .obj or .ply for a mesh, or in .npz for arrays.")
        if len(chosen) == 0:
            raise ValueError(f"Nobody was found in {self.name!r}, so there is no mesh to write; .npz takes nobody too.")
        vertices, faces = chosen.surface(), self.body.faces
        if kind == ".glb":
            export_glb(path, vertices, faces)
            return
        first = torch.arange(len(chosen), device=faces.device)[:, None, None] * vertices.shape[1]
        (export_obj if kind == ".obj" else export_ply)(path, vertices.flatten(0, 1), (faces + first).flatten(0, 1))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Plain arrays of the results file; docs/results_file.md explains each."""
        arrays = {
            **estimate_arrays(self.before_refinement, self.body),
            **{f"regressed_{key}": value for key, value in estimate_arrays(self.regressed, self.body).items()},
            **evidence_arrays(self.detections),
            **fit_arrays(self.fitted, len(self)),
        }
        if self.tuned is not None:
            arrays |= tuned_arrays(self.tuned, self.body)
        if isinstance(self.refined, Refined):
            arrays |= refined_arrays(self.refined, self.body)
        if self.offsets is not None:
            arrays |= offset_arrays(self.offsets)
        if self.image is not None:
            arrays["image_size"] = np.array(self.image.pixels.shape[:2], np.int32)
        arrays["body"] = np.array(self.estimate.body)
        arrays["photo"] = np.array(self.name)
        arrays["notices"] = np.array(self.notices, dtype=np.str_)
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], body: Body) -> "People":
        """Read people back from the arrays of a results file, without photo and silhouettes.

        Args:
            arrays: What `numpy.load` gives of an .npz file of the main job.
            body: The body that the file names.

        Raises:
            ValueError: If the file names another body.
        """
        if str(arrays["body"]) != body.name:
            raise ValueError(f"The file speaks of body {str(arrays['body'])!r}, not {body.name!r}; load that one.")
        return cls(
            name=str(arrays["photo"]),
            body=body,
            detections=evidence_of(arrays),
            regressed=estimate_of(arrays, STAGE_PREFIXES["regressed"]),
            tuned=tuned_of(arrays),
            fitted=fit_of(arrays),
            refined=refinement_of(arrays),
            offsets=offsets_of(arrays),
            notices=tuple(str(notice) for notice in arrays["notices"]),
        )
