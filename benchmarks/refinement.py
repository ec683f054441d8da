"""Dense refinement, measured: on held-out synthetic people with exact truth, and on photos with annotated masks.

python -m benchmarks refinement synthetic --assets assets/ --out results/refinement
python -m benchmarks refinement photos --photos photos/ --out results/refinement
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import tyro
from jaxtyping import Float
from torch import Tensor

from benchmarks.refinement_people import Case, Scorer, synthetic_cases
from benchmarks.refinement_photos import photo_report
from fitloop.body import Body, BodyEstimate, load_body
from fitloop.body.files import whole_file
from fitloop.fitting import AFTER_REGRESSION, SolverConfig, fit
from fitloop.geometry import project
from fitloop.pipelines.chain.refining import dense_fit, make_refiner
from fitloop.pipelines.console.provenance import commit, hardware, versions
from fitloop.refinement import Displacement, Look, Photo, Reason, look_at
from fitloop.refinement.crops import crop_camera
from fitloop.refinement.inputs import Appearance
from fitloop.refinement.look import Sight, personal_texture
from fitloop.refinement.refiner import RefineConfig, Refiner
from fitloop.refinement.subjects import Refined
from fitloop.rendering import interpolate, load_rasterizer

_PATIENT = SolverConfig(max_steps=200, tolerance=1e-6, damping=0.1)
LONGER = replace(
    AFTER_REGRESSION,
    stages=tuple(replace(stage, solver=_PATIENT) for stage in AFTER_REGRESSION.stages),
    told_stages=tuple(replace(stage, solver=_PATIENT) for stage in AFTER_REGRESSION.told_stages),
)
"""SMPLify run on until nothing moves."""
ABLATIONS: tuple[tuple[str, ...], ...] = (
    *(("texture",), ("depth",), ("normals",), ("colors",), ("silhouette",), ("photo",)),
    ("texture", "depth", "normals", "colors"),
)
"""Groups of input channels set to 0 at test time; the network was trained with all of them."""


@dataclass(frozen=True)
class Synthetic:
    """Held-out subjects, garments and places; bodies as detector, regressor and fit leave them."""

    assets: Path
    """docs/synthetic.md."""
    out: Path
    """Where ``synthetic.json`` and ``synthetic.md`` go."""
    people: int = 100
    seed: int = 4300
    known_focal: bool = False
    """Give the pipeline the true focal length instead of the photo's diagonal."""
    drawn: bool = False
    """Keypoints are true ones disturbed as detectors err, instead of the embedded detector's."""
    ablate: bool = True
    """Also measure without single inputs, and with disturbed textures and light."""
    threads: int = 1

    def __call__(self) -> None:
        """Measure, print and write."""
        torch.set_num_threads(self.threads)
        body = load_body()
        found = list(synthetic_cases(body, self.assets, self.people, self.seed, self.known_focal, self.drawn))
        cases = [case for case in found if case is not None]
        results = measure(body, cases, self.ablate)
        results["about"] = {
            **{"photos": self.people, "people": len(cases), "missed": self.people - len(cases)},
            **{"known_focal": self.known_focal, "seed": self.seed, "drawn": self.drawn},
            **{"commit": commit(), "hardware": hardware(), "versions": versions()},
        }
        write(self.out, "synthetic-drawn" if self.drawn else "synthetic", results)


def measure(body: Body, cases: list[Case], ablate: bool) -> dict:
    """Errors of every stage and variant, means over people."""
    scorer, refiner, told = Scorer(body), make_refiner(body), ToldRefiner(body, dense_fit())
    correcting = make_refiner(body, replace(RefineConfig(), corrected=True))
    rows: dict[str, list[dict[str, float]]] = {}
    reasons: dict[str, int] = {}
    flow: list[tuple[float, float]] = []
    # The first call prepares the fit and compiles the drawing; times are those of all others.
    refiner(cases[0].photo, cases[0].detections, cases[0].fitted, guess=cases[0].regressed)
    refiner.seconds.clear()
    for case in cases:
        refined = refiner(case.photo, case.detections, case.fitted, guess=case.regressed)
        start = time.perf_counter()
        longer = fit(body, case.detections, case.regressed, LONGER).estimate
        refiner.seconds["(fitting longer)"] = refiner.seconds.get("(fitting longer)", 0.0) + time.perf_counter() - start
        stages = {"regressed": case.regressed, "fitted": case.fitted, "fitted longer": longer}
        stages |= {"refined": refined.estimate, "refined, no gate": refined.proposal}
        stages["refined, no gate, corrected first"] = _proposal(correcting, case, case.photo)
        stages["refined, told the truth"] = told.of(case)
        for name, estimate in stages.items():
            rows.setdefault(name, []).append(scorer(case, estimate))
        name = Reason(int(refined.reason[0])).name.lower()
        reasons[name] = reasons.get(name, 0) + 1
        flow.append(endpoint_errors(body, case, refined))
    results = {
        "errors": {name: means(values) for name, values in rows.items()},
        "per_person": {name: [value["pve"] for value in values] for name, values in rows.items()},
        "reasons": reasons,
        "displacement_percent_of_height": {
            "unrefined": statistics.fmean(before for before, _ in flow),
            "predicted": statistics.fmean(after for _, after in flow),
        },
        "milliseconds_per_person": {k: 1000.0 * v / len(cases) for k, v in refiner.seconds.items()},
    }
    if ablate:
        results["variants"] = {name: means(values) for name, values in _variants(body, cases, scorer).items()}
    return results


class ToldRefiner(Refiner):
    """Refinement by a network that knows the truth: what is left to gain."""

    case: Case

    def see(self, look: Look, texture: Appearance | None, twice: bool) -> Sight:
        """The true displacements of all drawn points, whether the photo shows them or not."""
        offset = true_displacement(self.body, look, true_places(self.body, self.case, look))
        told = Displacement(offset, torch.zeros_like(offset[:, 0]))
        seen = super().see(look, texture, twice)
        # The correction reads what the network makes of the photo; the rounds are told.
        return seen if twice else replace(seen, straight=replace(seen.straight, displacement=told))

    def of(self, case: Case) -> BodyEstimate:
        """Refine the person of a case."""
        self.case = case
        return self(case.photo, case.detections, case.fitted, guess=case.regressed).proposal


def true_places(body: Body, case: Case, look: Look) -> Float[Tensor, "people vertices 2"]:
    """Where the true body's vertices lie in the crops of a look."""
    return project(body(case.truth.params).vertices, crop_camera(case.truth.camera, look.crop, look.photo.shape[-1]))


def true_displacement(body: Body, look: Look, true: Tensor) -> Float[Tensor, "people 2 size size"]:
    """How far the drawn points of a look lie from their true places, crop pixels."""
    moved = true - project(look.drawn.vertices, look.drawn.camera)
    return interpolate(look.drawn.fragments, moved, body.faces).permute(0, 3, 1, 2)


def endpoint_errors(body: Body, case: Case, refined: Refined) -> tuple[float, float]:
    """Distance of drawn points from their true places before and after the predicted displacement, % of the height.

    Over the pixels of the first round's drawing that lie in the photo; what is hidden in the photo counts too.
    """
    look = refined.look
    true = true_places(body, case, look)
    truth = true_displacement(body, look, true)
    shown = look.drawn.fragments.covered & look.inside
    tall = 0.01 * float(true[..., 1].amax() - true[..., 1].amin())
    before, after = truth.norm(dim=1)[shown], (refined.displacement.offset - truth).norm(dim=1)[shown]
    return float(before.mean()) / tall, float(after.mean()) / tall


def _variants(body: Body, cases: list[Case], scorer: Scorer) -> dict[str, list[dict[str, float]]]:
    usual = replace(RefineConfig(), gated=False)
    configs: dict[str, RefineConfig] = {"all inputs": usual, "one round": replace(usual, rounds=1)}
    configs["three rounds"] = replace(usual, rounds=3)
    configs["corrected first"] = replace(usual, corrected=True)
    configs["corrected first, all joints held alike"] = replace(usual, corrected=True, held=False)
    configs["held to the fitted body, all joints alike"] = replace(usual, held=False)
    configs["rounds in the mirror too"] = replace(usual, rounds_twice=True)
    configs["uncertainty not used"] = replace(usual, weighted=False)
    for groups in ABLATIONS:
        configs[f"without {' '.join(groups)}"] = replace(usual, without=groups)
    refiners = {name: make_refiner(body, config) for name, config in configs.items()}
    changes: dict[str, Callable[[Photo, Case], Photo]] = {
        "true texture": lambda photo, case: replace(photo, texture=_true_texture(body, case, 0.0)),
        "true texture, noise 0.1": lambda photo, case: replace(photo, texture=_true_texture(body, case, 0.1)),
        "true texture, noise 0.3": lambda photo, case: replace(photo, texture=_true_texture(body, case, 0.3)),
        "light x 0.6": lambda photo, case: replace(photo, pixels=(0.6 * photo.pixels.float()).byte()),
        "light x 1.5": lambda photo, case: replace(photo, pixels=(1.5 * photo.pixels.float()).clamp(max=255).byte()),
        "no silhouette": lambda photo, case: replace(photo, silhouettes=None, silhouette_boxes=None),
    }
    found: dict[str, list[dict[str, float]]] = {}
    texture: Appearance | None = None
    for case in cases:
        for name, refiner in refiners.items():
            _add(found, name, scorer(case, _proposal(refiner, case, case.photo)))
        for name, change in changes.items():
            _add(found, name, scorer(case, _proposal(refiners["all inputs"], case, change(case.photo, case))))
        if texture is not None:
            stranger = replace(case.photo, texture=texture)
            _add(found, "another person's texture", scorer(case, _proposal(refiners["all inputs"], case, stranger)))
        texture = _true_texture(body, case, 0.0)
    return found


def _proposal(refiner: Refiner, case: Case, photo: Photo) -> BodyEstimate:
    return refiner(photo, case.detections, case.fitted, guess=case.regressed).proposal


def _add(found: dict[str, list[dict[str, float]]], name: str, errors: dict[str, float]) -> None:
    found.setdefault(name, []).append(errors)


def _true_texture(body: Body, case: Case, noise: float) -> Appearance:
    """Looked up with the true body, as photos in which the body is well aligned would give it."""
    look: Look = look_at(body, case.photo, case.truth, load_rasterizer("auto"))
    texture = personal_texture(body, [look])
    disturbance = noise * torch.randn(texture.colors.shape, generator=torch.Generator().manual_seed(0))
    return replace(texture, colors=(texture.colors + disturbance).clamp(0.0, 1.0))


def means(values: list[dict[str, float]]) -> dict[str, float]:
    """Mean of each metric over people, and the median of the surface's error, which mirrored bodies do not rule."""
    found = {name: statistics.fmean(value[name] for value in values) for name in values[0]}
    return {**found, "pve_median": statistics.median(value["pve"] for value in values)}


def write(out: Path, name: str, results: dict) -> None:
    """Write the numbers as JSON and as a table, and print the table."""
    with whole_file(out / f"{name}.json") as path:
        path.write_text(json.dumps(results, indent=1), encoding="utf-8")
    lines = []
    for title in ("errors", "variants"):
        table = results.get(title)
        if table:
            names = list(next(iter(table.values())))
            lines += ["", f"| {title} | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
            lines += [f"| {row} | " + " | ".join(f"{v[n]:.2f}" for n in names) + " |" for row, v in table.items()]
    for title in ("reasons", "displacement_percent_of_height", "milliseconds_per_person"):
        if title in results:
            told = ", ".join(
                f"{key} {value:.2f}" if isinstance(value, float) else f"{key} {value}"
                for key, value in results[title].items()
            )
            lines += ["", f"{title}: {told}"]
    text = "\n".join(lines) + "\n"
    with whole_file(out / f"{name}.md") as path:
        path.write_text(text, encoding="utf-8")
    print(text)


@dataclass(frozen=True)
class Photos:
    """Photos with annotated masks: overlap with them, and keypoints withheld from fit and refinement."""

    photos: Path
    """Folder with ``annotations.json`` in COCO's layout."""
    out: Path
    """Where ``photos.json``, ``photos.md`` and pictures of every tenth person go."""
    limit: int = 1000
    """Photos at most."""
    threads: int = 1

    def __call__(self) -> None:
        """Measure, print and write."""
        torch.set_num_threads(self.threads)
        results = photo_report(load_body(), self.photos, self.limit, self.out)
        results["about"] |= {"commit": commit(), "hardware": hardware(), "versions": versions()}
        write(self.out, "photos", results)


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line names."""
    command = tyro.extras.subcommand_cli_from_dict({"synthetic": Synthetic, "photos": Photos}, args=arguments)
    command()
    return 0


if __name__ == "__main__":
    sys.exit(main())
