"""What the correction network learns from: what was seen of each wrong body, and the true one.

The photos are those of ``fitloop train-refinement`` (`pipelines.lessons.erring_bodies`); regressor and fit run anew,
for photos are dear and estimates age with both. Each body is shown to the displacement network once as it is and once
in a mirror, and what it said is kept in files, so that training itself looks at no picture.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from fitloop.body import Body, BodyEstimate, BodyParams, KeypointKinematics
from fitloop.body.files import whole_file
from fitloop.body.mirror import mirror_params
from fitloop.geometry import Crop, TensorRecord, concatenate, where
from fitloop.pipelines.lessons.displacement_batches import RefinementBatches, Rows, onto
from fitloop.pipelines.lessons.erring_bodies import estimates_to_rows, rows_to_estimates
from fitloop.pipelines.lessons.erring_fits import KINDS, ErringFits, detected_of
from fitloop.refinement import DisplacementNet, Look, draw_bodies
from fitloop.refinement.clues import Clues, read_clues
from fitloop.refinement.correction import CorrectionInput, correction_input
from fitloop.refinement.crops import CROP_SIZE, crops_to_look_at, cut_photos
from fitloop.refinement.evidence import inside_photo
from fitloop.refinement.grounds import Grounds, grounds_of, mirrored_grounds, no_grounds
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


@dataclass(frozen=True)
class Rested(TensorRecord):
    """Fitted bodies and what they rest on."""

    fitted: BodyEstimate
    rests: Grounds


@dataclass
class ClueReader:
    """Looks at the photos of a folder of samples."""

    folder: Path
    body: Body
    network: DisplacementNet
    fits: ErringFits
    kinds: tuple[str, ...]
    """Of evidence (`erring_fits.KINDS`)."""

    def __post_init__(self) -> None:
        self.batches = RefinementBatches(self.folder, self.body, varied=False)
        self.about = {
            "reads": fingerprint(self.network),
            "guesses": self.fits.guesser,
            "kinds": " ".join(self.kinds),
        }

    def __len__(self) -> int:
        """How many chunks of photos there are."""
        return len(self.batches.chunks)

    def read(self, chunk: int, paths: Mapping[bool, Path]) -> None:
        """Look at the photos of a chunk and write what was seen.

        Nothing is done for files that are there, from the same networks and kinds of evidence.

        Args:
            chunk: Its number.
            paths: Where what is seen of the photos goes (False), and of their mirror images (True).
        """
        missing = {mirrored: path for mirrored, path in paths.items() if _about(path) != self.about}
        if not missing:
            return
        erring = self.erring(chunk)
        for mirrored, path in missing.items():
            self._look(chunk, erring, mirrored, path)

    def _look(self, chunk: int, erring: Mapping[str, Rested], mirrored: bool, path: Path) -> None:
        count = len(self.batches.chunks[chunk].photos)
        parts: dict[str, list[dict[str, Tensor]]] = {kind: [] for kind in self.kinds}
        for first in range(0, count, _AT_ONCE):
            last = min(first + _AT_ONCE, count)
            rows = self.batches.rows([(chunk, row) for row in range(first, last)])
            rows = mirror_rows(rows, self.body) if mirrored else rows
            for kind, one in erring.items():
                estimate, rests = one.fitted[first:last], one.rests[first:last]
                if mirrored:
                    estimate = mirror_in_photo(estimate, float(rows.photos.shape[-1]), self.body)
                    rests = mirrored_grounds(rests)
                clues = self._clues(rows, estimate)
                packed = {"estimate": estimates_to_rows(estimate), "truth": estimates_to_rows(rows.truth)}
                parts[kind].append({**_arrays(clues), **_grounds_arrays(rests), **packed})
        whole = {
            f"{kind}.{name}": torch.cat([p[name] for p in some]) for kind, some in parts.items() for name in some[0]
        }
        with whole_file(path) as temporary:
            save_file({name: value.cpu() for name, value in whole.items()}, temporary, self.about)

    def erring(self, chunk: int) -> dict[str, Rested]:
        """Guess and fit everybody of a chunk from each kind of evidence, the same whenever it is asked for."""
        photos = self.batches.chunks[chunk]
        body = self.fits.body
        truth = rows_to_estimates(torch.from_numpy(np.array(photos.truth)), body.name)
        detected = detected_of(torch.from_numpy(np.array(photos.keypoints)))
        kept = [rows_to_estimates(one, body.name) for one in torch.from_numpy(np.array(photos.estimates)).unbind(1)]
        size = torch.tensor([photos.photos.shape[2], photos.photos.shape[1]]).float().expand(len(photos.photos), 2)
        found = {}
        for number, kind in enumerate(self.kinds):
            generator = torch.Generator().manual_seed(1_000_003 * number + chunk)
            # The focal length was known for some of them, and stays so.
            camera = kept[KINDS.index(kind)].camera
            one = self.fits.of_kind(kind, detected, truth, size, camera, generator)
            rests = grounds_of(body, one.fitted, one.seen, one.guess)
            there = self.body.template.device
            found[kind] = Rested(one.fitted.to(there), rests.to(there))
        return found

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
    """What a file says of how it was made; nothing if it is missing or damaged."""
    if not path.is_file():
        return {}
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}
    except SafetensorError:
        return {}


def mirror_in_photo(estimate: BodyEstimate, width: float, body: Body) -> BodyEstimate:
    """Bodies as the photo's mirror shows them.

    Args:
        estimate: The bodies.
        width: Of the photo, pixels.
        body: The body model.
    """
    middle = estimate.camera.principal_point
    middle = torch.stack([width - middle[:, 0], middle[:, 1]], -1)
    camera = replace(estimate.camera, principal_point=middle)
    return replace(estimate, params=mirror_params(estimate.params, body), camera=camera)


def mirror_rows(rows: Rows, body: Body) -> Rows:
    """The same people in a mirror."""
    width = float(rows.photos.shape[-1])

    def mirrored(estimate: BodyEstimate) -> BodyEstimate:
        return mirror_in_photo(estimate, width, body)

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


def _grounds_arrays(rests: Grounds) -> dict[str, Tensor]:
    return {f"rests_{f.name}": getattr(rests, f.name).half() for f in fields(Grounds)}


class LessonMaker:
    """Reads what `ClueReader` wrote."""

    def __init__(self, body: Body, blind: bool = False, unguessed: float = 0.0) -> None:
        """Prepare the body's points.

        Args:
            body: The body model.
            blind: Leave out what was seen in the photos.
            unguessed: Share of the people of whom it is not told where the fit started, as of fits from elsewhere.
        """
        self.body, self.blind, self.unguessed = body, blind, unguessed
        self.kinematics = KeypointKinematics(body, body.joint_names, spread_points(body).vertices)

    def __call__(self, path: Path, number: int = 0) -> Iterator[Lesson]:
        """One lesson for each kind of evidence in a file; people of whom no keypoint was seen teach nothing.

        Args:
            path: The file.
            number: Which of the files it is; another draws others whose guess is not told.
        """
        arrays, generator = load_file(path), torch.Generator().manual_seed(number)
        for slot in sorted({name.partition(".")[0] for name in arrays}):
            some = {name.partition(".")[2]: value for name, value in arrays.items() if name.startswith(f"{slot}.")}
            yield self.lesson(some, generator)

    def lesson(self, arrays: dict[str, Tensor], generator: torch.Generator) -> Lesson:
        """People of whom a file tells; the generator draws whose guess is not told."""
        arrays = {name: value[arrays["rests_known"][:, 0] > 0] for name, value in arrays.items()}
        estimate, truth = (rows_to_estimates(arrays[name], self.body.name) for name in ("estimate", "truth"))
        box = arrays["crop"]
        values = {f.name: arrays[f.name].float() for f in fields(Clues) if f.name != "crop"}
        clues = Clues(**values, crop=Crop(box[:, :2], box[:, 2], torch.zeros_like(box[:, 2])))
        known = Grounds(**{f.name: arrays[f"rests_{f.name}"].float() for f in fields(Grounds)})
        rests = self._forget(known, generator)
        return Lesson(
            correction_input(self.body, estimate, clues, rests, self.blind).to(torch.float16),
            estimate.params.rotations,
            estimate.params.betas,
            truth.params.rotations,
            truth.params.betas,
            self.points(truth.params.rotations, truth.params.betas).half(),
        )

    def _forget(self, rests: Grounds, generator: torch.Generator) -> Grounds:
        people = len(rests.known)
        kept = torch.rand(people, generator=generator) >= self.unguessed
        nothing = no_grounds(self.body, people)
        return replace(
            where(kept, rests, nothing),
            misfit=rests.misfit,
            known=torch.where(kept[:, None], rests.known, rests.known * rests.known.new_tensor([1.0, 0.0, 0.0])),
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
    return concatenate([lesson for number, path in enumerate(paths) for lesson in maker(path, number)])
