"""Textures of a person from photos, measured: are the colours right, and does refinement gain by them?

python -m benchmarks texture --assets assets/ --out results/texture

Held-out synthetic people, several photos of each; detector, regressor and fit find the bodies. The texture is made from
all photos but the last, whose true looks judge it, and in which the body is refined with it.
"""

import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import tyro

from benchmarks.refinement import means, write
from benchmarks.refinement_people import MATCH, Case, Scorer
from fitloop.body import Body, BodyEstimate, Image, load_body
from fitloop.data.synthetic import SceneConfig, SyntheticPhoto, load_assets, render_person_scene
from fitloop.detection import MediapipeConfig, MediapipeDetector
from fitloop.geometry import Camera
from fitloop.geometry.cameras import camera_of
from fitloop.pipelines.chain.refining import make_refiner
from fitloop.pipelines.console.provenance import commit, hardware, versions
from fitloop.pipelines.regress_then_fit import Stages
from fitloop.pipelines.texture import CROP, MARGIN
from fitloop.refinement import Photo, look_at
from fitloop.refinement.inpainting import fill_over_surface
from fitloop.refinement.inputs import Appearance
from fitloop.refinement.refiner import RefineConfig
from fitloop.refinement.texture import body_cells, fill_unseen, look_up, merge_appearances
from fitloop.rendering import load_rasterizer

SCENES = SceneConfig(
    split="held-out",
    people=(1, 1),
    person_height=(0.6, 0.85),
    truncated=0.0,
    occluded=0.0,
    acrobatic=0.0,
    same_person=True,
    maps=False,
)


@dataclass(frozen=True)
class Texture:
    """Colours and refinement of synthetic people seen in several photos."""

    assets: Path
    """docs/synthetic.md."""
    out: Path
    """Where ``texture.json`` and ``texture.md`` go."""
    people: int = 24
    photos: int = 4
    """Of each; the last is kept for judging."""
    seed: int = 900
    threads: int = 1

    def __call__(self) -> None:
        """Measure, print and write."""
        torch.set_num_threads(self.threads)
        body = load_body()
        found = [album for album in albums(body, self) if album is not None]
        results = measure(body, found)
        results["about"] = {
            **{"people": len(found), "missed": self.people - len(found), "photos": self.photos, "seed": self.seed},
            **{"commit": commit(), "hardware": hardware(), "versions": versions()},
        }
        write(self.out, "texture", results)
        print("\n".join(f"{name}: {value:.2f}" for name, value in results["texture"].items()))


def albums(body: Body, config: Texture) -> Iterator[list[Case] | None]:
    """Photos of each person as the pipeline sees them; None where it finds too few."""
    assets, detector, stages = (
        load_assets(config.assets),
        MediapipeDetector(MediapipeConfig(threads=config.threads)),
        Stages(),
    )
    for person in range(config.people):
        photos = [render_person_scene(assets, (config.seed, person, k), SCENES) for k in range(config.photos)]
        cases = [_case(body, photo, detector, stages) for photo in photos]
        kept = [case for case in cases[:-1] if case is not None]
        yield [*kept, cases[-1]] if kept and cases[-1] is not None else None


def _case(body: Body, photo: SyntheticPhoto, detector: MediapipeDetector, stages: Stages) -> Case | None:
    person = photo.people[0]
    height, width = photo.pixels.shape[:2]
    image = Image(photo.pixels, camera_of(width, height), "")
    seen = detector.detect_with_notices(image)
    people = stages.correct(stages.regress(image, seen))[0]
    row = _same(people.detections.boxes, torch.as_tensor(person.box, dtype=torch.float32))
    if row is None or people.fitted is None:
        return None
    camera = Camera(torch.tensor(photo.view.focal), torch.tensor(photo.view.principal_point, dtype=torch.float32))
    params, camera = person.params.map(lambda value: value[None]), camera.map(lambda value: value[None])
    truth = BodyEstimate(params, camera, body.name)
    found = people.detections[row : row + 1]
    rows = slice(row, row + 1)
    return Case(
        Photo(torch.from_numpy(photo.pixels), found.silhouettes, found.silhouette_boxes),
        found,
        truth,
        torch.from_numpy(person.mask),
        people.regressed[rows],
        people.fitted.estimate[rows],
    )


def _same(boxes: torch.Tensor, box: torch.Tensor) -> int | None:
    if not len(boxes):
        return None
    low, high = torch.maximum(boxes[:, :2], box[:2]), torch.minimum(boxes[:, 2:], box[2:])
    shared = (high - low).clamp_min(0).prod(-1)
    share = shared / ((boxes[:, 2:] - boxes[:, :2]).prod(-1) + (box[2:] - box[:2]).prod() - shared)
    return int(share.argmax()) if float(share.max()) >= MATCH else None


def measure(body: Body, found: list[list[Case]]) -> dict:
    """Colour errors of the textures, and errors of bodies refined with them; means over people."""
    scorer, refiner = Scorer(body), make_refiner(body, replace(RefineConfig(), gated=False))
    textures = [merge_appearances([_seen(body, case) for case in album[:-1]]) for album in found]
    whole = [fill_over_surface(body, texture) for texture in textures]
    colors: dict[str, list[float]] = {}
    rows: dict[str, list[dict[str, float]]] = {}
    for number, album in enumerate(found):
        case = album[-1]
        true = merge_appearances([_seen(body, replace(one, fitted=one.truth)) for one in album])
        for name, value in _colour_errors(body, textures[number], whole[number], true).items():
            colors.setdefault(name, []).append(value)
        worn = {
            "guessed from this photo": None,
            "own texture": whole[number],
            "another person's texture": whole[number - 1],
        }
        rows.setdefault("fitted", []).append(scorer(case, case.fitted))
        for name, texture in worn.items():
            photo = replace(case.photo, texture=texture)
            refined = refiner(photo, case.detections, case.fitted, guess=case.regressed)
            rows.setdefault(f"refined, {name}", []).append(scorer(case, refined.proposal))
    return {
        "errors": {name: means(values) for name, values in rows.items()},
        "texture": {name: statistics.fmean(v for v in values if v == v) for name, values in colors.items()},
    }


def _seen(body: Body, case: Case) -> Appearance:
    look = look_at(body, case.photo, case.fitted, load_rasterizer("auto"), CROP)
    return look_up(look.drawn, look.photo, look.silhouette, MARGIN)


def _colour_errors(body: Body, merged: Appearance, whole: Appearance, true: Appearance) -> dict[str, float]:
    """Mean absolute difference from the colours that true bodies show, % of the full range."""
    known, judged = merged.known[0] > 0, true.known[0] > 0
    cells = fill_unseen(merged, body_cells(body))

    def apart(texture: Appearance, where: torch.Tensor) -> float:
        return 100.0 * float((texture.colors - true.colors)[0].abs().mean(-1)[where].mean())

    return {
        "surface seen, %": 100.0 * float(known.float().mean()),
        "error where seen, %": apart(whole, known & judged),
        "error where guessed, %": apart(whole, ~known & judged),
        "error where guessed by part, %": apart(cells, ~known & judged),
    }


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line names."""
    tyro.cli(Texture, args=arguments)()
    return 0


if __name__ == "__main__":
    sys.exit(main())
