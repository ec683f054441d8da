"""What the correction network learns from: what was seen of each wrong body, and the true one.

The photos and estimates are those of ``fitloop train-refinement`` (`pipelines.lessons.erring_bodies`). Each is shown to
the displacement network once as it is and once in a mirror, and what it said is kept in files, so that training
itself looks at no picture.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from fitloop.body import Body, BodyEstimate, BodyParams, KeypointKinematics
from fitloop.body.files import whole_file
from fitloop.body.mirror import mirror_params
from fitloop.geometry import Crop, TensorRecord, concatenate
from fitloop.pipelines.lessons.displacement_batches import RefinementBatches, Rows, onto
from fitloop.pipelines.lessons.erring_bodies import estimates_to_rows, rows_to_estimates
from fitloop.refinement import DisplacementNet, Look, draw_bodies
from fitloop.refinement.clues import Clues, read_clues
from fitloop.refinement.correction import CorrectionInput, correction_input
from fitloop.refinement.crops import CROP_SIZE, crops_to_look_at, cut_photos
from fitloop.refinement.evidence import inside_photo
from fitloop.refinement.points import spread_points
from fitloop.refinement.weights import fingerprint

_AT_ONCE = 32


@dataclass(frozen=True)
class Lesson(TensorRecord):
    """What the network sees of people, in half precision, and what it should say."""

    seen: CorrectionInput
    rotations: Float[Tensor, "people joints 3 3"]
    """Of the estimate, local."""
    betas: Float[Tensor, "people betas"]
    true_rotations: Float[Tensor, "people joints 3 3"]
    true_betas: Float[Tensor, "people betas"]
    points: Float[Tensor, "people points 3"]
    """Joints and points of the true surface, camera frame, metres from the pelvis."""


@dataclass
class ClueReader:
    """Looks at the photos of a folder of samples."""

    folder: Path
    body: Body
    network: DisplacementNet
    slots: tuple[int, ...]
    """Which of the estimates kept with a photo (`refinement_samples.ESTIMATES`)."""

    def __post_init__(self) -> None:
        self.batches = RefinementBatches(self.folder, self.body, varied=False)
        self.about = {"reads": fingerprint(self.network), "estimates": " ".join(map(str, self.slots))}

    def __len__(self) -> int:
        """How many chunks of photos there are."""
        return len(self.batches.chunks)

    def read(self, chunk: int, mirrored: bool, path: Path) -> None:
        """Look at the photos of a chunk and write what was seen.

        Nothing is done if the file is there, from the same network and estimates.
        """
        if path.is_file() and _about(path) == self.about:
            return
        count = len(self.batches.chunks[chunk].photos)
        parts: dict[int, list[dict[str, Tensor]]] = {slot: [] for slot in self.slots}
        for first in range(0, count, _AT_ONCE):
            rows = self.batches.rows([(chunk, row) for row in range(first, min(first + _AT_ONCE, count))])
            rows = mirror_rows(rows, self.body) if mirrored else rows
            for slot in self.slots:
                clues = self._clues(rows, rows.estimates[slot])
                packed = {"estimate": estimates_to_rows(rows.estimates[slot]), "truth": estimates_to_rows(rows.truth)}
                parts[slot].append({**_arrays(clues), **packed})
        whole = {
            f"{slot}.{name}": torch.cat([p[name] for p in some]) for slot, some in parts.items() for name in some[0]
        }
        with whole_file(path) as temporary:
            save_file({name: value.cpu() for name, value in whole.items()}, temporary, self.about)

    def _clues(self, rows: Rows, estimate: BodyEstimate) -> Clues:
        size = (rows.photos.shape[-2], rows.photos.shape[-1])
        vertices = self.body(estimate.params).vertices
        crop, large = crops_to_look_at(vertices, estimate.camera, size)
        drawn = draw_bodies(self.body, estimate, crop, CROP_SIZE, self.batches.rasterizer)
        grids = rows.silhouettes[:, None] * rows.detected[:, None, None, None]
        silhouette = cut_photos(grids, onto(crop, rows.photos, grids), CROP_SIZE)[:, 0]
        inside = inside_photo(crop, CROP_SIZE, size)
        look = Look(crop, drawn, cut_photos(rows.photos, crop, CROP_SIZE), silhouette, inside, large)
        return read_clues(self.body, self.network, look, estimate, half=True)


def _about(path: Path) -> dict[str, str]:
    """What a file says of how it was made; nothing if it is damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}
    except SafetensorError:
        return {}


def mirror_rows(rows: Rows, body: Body) -> Rows:
    """The same people in a mirror."""
    width = float(rows.photos.shape[-1])

    def mirrored(estimate: BodyEstimate) -> BodyEstimate:
        middle = estimate.camera.principal_point
        middle = torch.stack([width - middle[:, 0], middle[:, 1]], -1)
        camera = replace(estimate.camera, principal_point=middle)
        return replace(estimate, params=mirror_params(estimate.params, body), camera=camera)

    return replace(
        rows,
        photos=rows.photos.flip(-1),
        masks=rows.masks.flip(-1),
        silhouettes=rows.silhouettes.flip(-1),
        truth=mirrored(rows.truth),
        estimates=[mirrored(one) for one in rows.estimates],
    )


def _arrays(clues: Clues) -> dict[str, Tensor]:
    """Half precision but for places in the photo."""
    found = {f.name: getattr(clues, f.name).half() for f in fields(Clues) if f.name != "crop"}
    return {**found, "crop": torch.cat([clues.crop.center, clues.crop.side[:, None]], -1)}


class LessonMaker:
    """Reads what `ClueReader` wrote."""

    def __init__(self, body: Body, blind: bool = False) -> None:
        """Prepare the body's points.

        Args:
            body: The body model.
            blind: Leave out what was seen in the photos.
        """
        self.body, self.blind = body, blind
        self.kinematics = KeypointKinematics(body, body.joint_names, spread_points(body).vertices)

    def __call__(self, path: Path) -> Iterator[Lesson]:
        """One lesson for each kind of estimate in a file."""
        arrays = load_file(path)
        for slot in sorted({name.partition(".")[0] for name in arrays}):
            some = {name.partition(".")[2]: value for name, value in arrays.items() if name.startswith(f"{slot}.")}
            yield self.lesson(some)

    def lesson(self, arrays: dict[str, Tensor]) -> Lesson:
        """People of whom a file tells."""
        estimate, truth = (rows_to_estimates(arrays[name], self.body.name) for name in ("estimate", "truth"))
        box = arrays["crop"]
        values = {f.name: arrays[f.name].float() for f in fields(Clues) if f.name != "crop"}
        clues = Clues(**values, crop=Crop(box[:, :2], box[:, 2], torch.zeros_like(box[:, 2])))
        return Lesson(
            correction_input(self.body, estimate, clues, self.blind).to(torch.float16),
            estimate.params.rotations,
            estimate.params.betas,
            truth.params.rotations,
            truth.params.betas,
            self.points(truth.params.rotations, truth.params.betas).half(),
        )

    def points(
        self, rotations: Float[Tensor, "people joints 3 3"], betas: Float[Tensor, "people betas"]
    ) -> Float[Tensor, "people points 3"]:
        """Joints and points of the surface of posed bodies, metres from the pelvis."""
        params = BodyParams(rotations[:, 0], rotations[:, 1:], betas, betas.new_zeros(len(betas), 3))
        placed = self.kinematics(params)
        return placed - placed[:, :1]


def all_lessons(maker: LessonMaker, paths: list[Path]) -> Lesson:
    """Everything that files tell, in memory: about 30 kB a person."""
    return concatenate([lesson for path in paths for lesson in maker(path)])
