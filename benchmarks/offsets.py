"""Offsets for hair and clothes, measured: on held-out synthetic dressed people, and on photos with annotated masks.

python -m benchmarks offsets synthetic --assets assets/ --out results/offsets
python -m benchmarks offsets photos --photos photos/ --out results/offsets
"""

import json
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
import tyro
from jaxtyping import Bool, Float
from PIL import Image as PillowImage
from scipy.spatial import KDTree
from torch import Tensor

from benchmarks.refinement_people import best_match, synthetic_cases
from benchmarks.refinement_photos import annotated_people
from fitloop.body import Body, BodyEstimate, SurfaceEvidence, load_body
from fitloop.body.files import whole_file
from fitloop.data import load_image
from fitloop.data.synthetic import SceneConfig, load_assets
from fitloop.data.synthetic.figures import Figure
from fitloop.data.synthetic.scenes import arrange
from fitloop.detection import MediapipeDetector
from fitloop.fitting import AFTER_REGRESSION, fit
from fitloop.geometry import Camera
from fitloop.pipelines.chain.refining import make_refiner
from fitloop.pipelines.console.provenance import commit, hardware, versions
from fitloop.pipelines.folder.pictures import shrink
from fitloop.refinement import Photo, gather_evidence, load_network, look_at, predict_displacement
from fitloop.refinement.offsets import OffsetConfig, OffsetReason, Offsets, find_offsets, pose_offsets
from fitloop.regressor import load_regressor
from fitloop.rendering import draw_overlay, load_rasterizer

SAMPLES = 8000
"""Points on each surface."""


@dataclass(frozen=True)
class Person:
    """Somebody with a known outline, and bodies to clothe."""

    name: str
    photo: Photo
    mask: Bool[Tensor, "height width"]
    """What is the person's, with hair and clothes."""
    starts: dict[str, BodyEstimate]
    """Bodies by where they come from."""
    silhouettes: dict[str, Photo]
    """What the offsets are told, for each of `starts`."""
    figure: Figure | None = None
    """The dressed person's true surface."""
    root: Float[Tensor, "3"] | None = None
    """The true pelvis."""


def synthetic_people(body: Body, assets: Path, count: int, seed: int) -> Iterator[Person]:
    """Held-out people: the pipeline's refined body, and the true body with the detector's and the true silhouette."""
    loaded, refiner = load_assets(assets), make_refiner(body)
    for number, case in enumerate(synthetic_cases(body, assets, count, seed, known_focal=False)):
        if case is None:
            continue
        refined = refiner(case.photo, case.detections, case.fitted, guess=case.regressed).estimate
        figure = arrange(loaded, (seed, number), SceneConfig(split="held-out")).cast[0].figure
        true = _told(case.photo, case.mask)
        starts = {"refined body": refined, "true body": case.truth, "true body, true outline": case.truth}
        told = {"refined body": case.photo, "true body": case.photo, "true body, true outline": true}
        root = body(case.truth.params).joints[0, 0]
        yield Person(f"synthetic-{number:03d}", case.photo, case.mask, starts, told, figure, root)


def _told(photo: Photo, mask: Tensor) -> Photo:
    """The same photo with a silhouette that is known to the pixel."""
    box = torch.tensor([[0.0, 0.0, mask.shape[1], mask.shape[0]]])
    return replace(photo, silhouettes=mask[None].float(), silhouette_boxes=box)


def photographed_people(body: Body, folder: Path, limit: int) -> Iterator[Person]:
    """Annotated people of photos that the pipeline finds, refined."""
    tree = json.loads((folder / "annotations.json").read_text(encoding="utf-8"))
    detector, regressor, refiner = MediapipeDetector(), load_regressor("keypoints", body), make_refiner(body)
    for entry in tree["images"][:limit]:
        listed = annotated_people(tree, entry)
        if not listed:
            continue
        image = load_image(folder / "images" / entry["file_name"])
        found = detector(image)
        for person in listed:
            row = best_match(found.boxes, person.box)
            if row is None:
                continue
            seen = found[row : row + 1]
            guess = regressor(image, seen, image.camera.map(lambda v: v[None]))
            fitted = fit(body, seen, guess, AFTER_REGRESSION)
            photo = Photo(torch.from_numpy(image.pixels), seen.silhouettes, seen.silhouette_boxes)
            refined = refiner(photo, seen, fitted.estimate, guess=guess).estimate
            name = f"{Path(entry['file_name']).stem}-{row}"
            yield Person(name, photo, person.mask, {"refined body": refined}, {"refined body": photo})


@dataclass
class Tally:
    """Scores of everybody so far, by start."""

    body: Body
    config: OffsetConfig
    rows: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    reasons: dict[str, dict[str, int]] = field(default_factory=dict)

    def add(self, start: str, person: Person) -> Offsets:
        """Find the offsets of one person, and see what they change."""
        estimate, rasterizer = person.starts[start], load_rasterizer("auto")
        surface = self._surface(person.photo, estimate) if self.config.dense > 0 else None
        begin = time.process_time()
        found = find_offsets(self.body, person.silhouettes[start], estimate, rasterizer, surface, self.config)
        row = {"cpu milliseconds": 1000.0 * (time.process_time() - begin), "taken": float(found.accepted[0])}
        mesh, size = self.body(estimate.params), person.mask.shape
        moved = pose_offsets(self.body, estimate.params, found.rest)
        for name, vertices in {"before": mesh.vertices, "after": mesh.vertices + moved}.items():
            covered = rasterizer(vertices, self.body.faces, estimate.camera, (size[0], size[1])).covered[0]
            union = (covered | person.mask).sum().clamp_min(1)
            row[f"iou {name}"] = 100.0 * float((covered & person.mask).sum() / union)
            if person.figure is not None and person.root is not None:
                ours = vertices[0] - mesh.joints[0, 0]
                row[f"distance {name}"] = 1000.0 * surface_distance(ours, self.body.faces, person.figure, person.root)
        self.rows.setdefault(start, []).append(row)
        reason, told = OffsetReason(int(found.reason[0])).name.lower(), self.reasons.setdefault(start, {})
        told[reason] = told.get(reason, 0) + 1
        return found

    def _surface(self, photo: Photo, estimate: BodyEstimate) -> SurfaceEvidence:
        look = look_at(self.body, photo, estimate, load_rasterizer("auto"))
        return gather_evidence(self.body, look, predict_displacement(self.body, load_network(), look))

    def results(self) -> dict:
        """Means and medians over people."""
        return {
            start: {
                **{name: statistics.fmean(row[name] for row in rows) for name in rows[0]},
                "iou gain, worst person": min(row["iou after"] - row["iou before"] for row in rows),
                "people": len(rows),
                "reasons": self.reasons[start],
            }
            for start, rows in self.rows.items()
        }


def surface_distance(vertices: Tensor, faces: Tensor, figure: Figure, root: Tensor) -> float:
    """Mean metres from points of a dressed person's surface to the nearest of a body's, pelvises laid together.

    Points are drawn evenly by area; what clothes hide of the true body does not count.
    """
    true = figure.vertices - root.numpy()
    ours = _on_surface(vertices.numpy(), faces.numpy(), 3 * SAMPLES)
    return float(KDTree(ours).query(_on_surface(true, figure.faces, SAMPLES))[0].mean())


def _on_surface(vertices: np.ndarray, faces: np.ndarray, count: int) -> np.ndarray:
    rng, corners = np.random.default_rng(0), vertices[faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=-1)
    chosen = corners[rng.choice(len(faces), count, p=area / area.sum())]
    weights = rng.dirichlet(np.ones(3), count)
    return np.einsum("pc,pcx->px", weights, chosen)


def draw_person(body: Body, person: Person, start: str, offsets: Offsets, path: Path) -> None:
    """Photo, bare body, clothed body, and outlines over the true mask, around the person."""
    pixels = person.photo.pixels.numpy()
    small, scale = shrink(pixels, 1200)
    estimate = person.starts[start]
    camera = Camera(estimate.camera.focal * scale, estimate.camera.principal_point * scale)
    bare = body(estimate.params).vertices
    panels = [small]
    for vertices in (bare, bare + pose_offsets(body, estimate.params, offsets.rest)):
        panels.append(draw_overlay(small, vertices, body.faces, camera))
    rows, columns = torch.nonzero(person.mask, as_tuple=True)
    low = [max(0, int(scale * float(v.min()) - 25)) for v in (rows, columns)]
    high = [int(scale * float(v.max()) + 25) for v in (rows, columns)]
    path.parent.mkdir(parents=True, exist_ok=True)
    cut = [panel[low[0] : high[0], low[1] : high[1]] for panel in panels]
    PillowImage.fromarray(np.concatenate(cut, 1)).save(path)


@dataclass(frozen=True)
class Measure:
    """Options of both kinds of people."""

    out: Path
    """Where the numbers and pictures go."""
    offsets: OffsetConfig = field(default_factory=OffsetConfig)
    pictures: int = 8
    """One person in so many is drawn."""
    threads: int = 1


@dataclass(frozen=True)
class Synthetic(Measure):
    """Held-out subjects, garments and places."""

    assets: Path = Path("assets")
    """docs/synthetic.md."""
    people: int = 40
    seed: int = 4300

    def __call__(self) -> None:
        """Measure, print and write."""
        torch.set_num_threads(self.threads)
        body = load_body()
        report(self, body, synthetic_people(body, self.assets, self.people, self.seed), "synthetic")


@dataclass(frozen=True)
class Photos(Measure):
    """Photos with annotated masks."""

    photos: Path = Path("photos")
    """Folder with ``images/`` and ``annotations.json`` in COCO's layout."""
    limit: int = 20
    """Photos at most."""

    def __call__(self) -> None:
        """Measure, print and write."""
        torch.set_num_threads(self.threads)
        body = load_body()
        report(self, body, photographed_people(body, self.photos, self.limit), "photos")


def report(measure: Measure, body: Body, people: Iterator[Person], name: str) -> None:
    """Clothe everybody, print a table, write it and some pictures."""
    tally = Tally(body, measure.offsets)
    for number, person in enumerate(people):
        for start in person.starts:
            found = tally.add(start, person)
            if number % measure.pictures == 0 and start == "refined body":
                reason = OffsetReason(int(found.reason[0])).name.lower()
                draw_person(body, person, start, found, measure.out / f"{person.name}-{reason}.png")
    results = tally.results()
    about = {"commit": commit(), "hardware": hardware(), "versions": versions()}
    with whole_file(measure.out / f"{name}.json") as path:
        path.write_text(json.dumps({"offsets": results, "about": about}, indent=1), encoding="utf-8")
    for start, values in results.items():
        print(
            f"{start}: " + ", ".join(f"{k} {v:.2f}" if isinstance(v, float) else f"{k} {v}" for k, v in values.items())
        )


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line names."""
    command = tyro.extras.subcommand_cli_from_dict({"synthetic": Synthetic, "photos": Photos}, args=arguments)
    command()
    return 0


if __name__ == "__main__":
    sys.exit(main())
