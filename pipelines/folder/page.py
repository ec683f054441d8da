"""``index.html`` of a run: photo, regressed and fitted bodies side by side, without network."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from fitloop.body import Body
from fitloop.body.files import whole_file
from fitloop.evaluation.body_arrays import NOT_FITTED, STAGE_PREFIXES
from fitloop.evaluation.people_table import NOBODY, skipped_row
from fitloop.pipelines.chain.results_file import estimate_of
from fitloop.pipelines.folder.config import RunConfig
from fitloop.pipelines.folder.pictures import page_picture, shrunk_size
from fitloop.pipelines.folder.summary import CHANCE, SHOWN_WHOLE, WORST, Summary
from fitloop.pipelines.pages.plain_words import fit_words, verdict_words
from fitloop.pipelines.video.page import clip_entries
from fitloop.refinement.correction import CorrectionConfig
from fitloop.rendering.pages import write_html
from fitloop.rendering.viewer import scene_script, viewer_body, viewer_scene

STAGES = {
    **{"photo": "Photo", "regressed": "Regressed", "tuned": "Tuned to the photo"},
    **{"fitted": "Fitted", "flow": "Displacements", "refined": "Refined", "clothed": "With hair and clothes"},
}
"""Pictures of a photo and what they are called; in the order of the page."""
_LEGEND = "(hue: the way the surface should go, as on the wheel; strength: how far)"


@dataclass(frozen=True)
class Picture:
    """One stage of a photo."""

    stage: str
    name: str
    caption: str
    """The name, and what a reader needs to know beside it."""
    link: str


@dataclass(frozen=True)
class Person:
    """One row of a photo's table."""

    status: str
    energy: float
    distance: float
    """Metres from the camera."""
    verdict: str
    """What became of refinement and clothes; empty without refinement."""
    mesh: str
    """Link; empty where no mesh was wanted."""


@dataclass(frozen=True)
class Entry:
    """What the page says of one photo."""

    name: str
    problem: str = ""
    """Why it could not be read; nothing else is known then."""
    width: int = 0
    height: int = 0
    """Of its pictures on the page, pixels."""
    view: tuple[int, int, int, int] = (0, 0, 0, 0)
    """The part of the photo that its 3D view begins with: the whole, pixels."""
    pictures: tuple[Picture, ...] = ()
    before_after: tuple[str, ...] = ()
    scene: str = ""
    """Link to what its 3D view shows; empty where nobody was found."""
    notices: tuple[str, ...] = ()
    people: tuple[Person, ...] = ()
    refined: bool = False
    results: str = ""


def write_page(config: RunConfig, photos: list[str], skipped: dict[str, str], body: Body) -> dict[str, Any]:
    """Write ``index.html`` from the results files, one photo at a time.

    Args:
        config: Names the folder and whether a page is wanted.
        photos: All photos of the run, in order.
        skipped: Photos that could not be read, and why.
        body: Whose parameters the results are; the page embeds it once.

    Returns:
        Counts of people and photos, and notices per photo.
    """
    summary = _uncounted()
    if "page" in config.outputs and len(photos) <= SHOWN_WHOLE:
        write_entries(config, _entries(config, photos, skipped, summary), len(photos), body)
        return summary
    found = Summary()
    for photo in photos:
        results = config.out / "results" / f"{photo}.npz"
        if not results.is_file():
            found.add(photo, [skipped_row(photo, skipped.get(photo, "Not read."))])
            continue
        with np.load(results, allow_pickle=False) as arrays:
            _count(photo, arrays, summary)
            found.add(photo, summary_rows(arrays))
    if "page" not in config.outputs:
        (config.out / "index.html").unlink(missing_ok=True)
        return summary
    write_sample(config, found, body)
    return summary


def write_sample(config: RunConfig, summary: Summary, body: Body) -> None:
    """Write a page of the few photos that stand for many, below what was counted of all.

    Args:
        config: Names folders of this machine; results of the photos that are shown lie there.
        summary: Of all photos.
        body: As for `write_page`.
    """
    every = summary.photos <= SHOWN_WHOLE
    entries = _entries(config, summary.shown(), summary.reasons, _uncounted())
    write_entries(config, entries, summary.photos, body, () if every else tuple(summary.facts()))


def write_entries(
    config: RunConfig, entries: Iterator[Entry], count: int, body: Body, facts: tuple[tuple[str, str], ...] = ()
) -> None:
    """Write ``index.html``.

    Args:
        config: Of the run.
        entries: What is shown, drawn from while the page is written.
        count: Photos of the run.
        body: As for `write_page`.
        facts: What was counted of all photos, where only some are shown.
    """
    about = {"name": config.images.name, "count": count, "stages": _stages(config), "body": viewer_body(body)}
    about |= {"facts": facts, "worst": WORST, "chance": CHANCE}
    about |= {"clips": clip_entries(config.out), "with_clips": (config.out / "motion").is_dir()}
    write_html(config.out / "index.html", "fitloop.pipelines", "run.html", photos=entries, **about)


def _uncounted() -> dict[str, Any]:
    return {"people": 0, "photos_done": 0, "photos_without_people": [], "notices": {}}


def summary_rows(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What `Summary` reads of a results file."""
    notice = " ".join(map(str, found["notices"]))
    status, energy, verdict = found["status"], found["energy"], found.get("refined_reason")
    rows = [
        {"status": str(status[row]), "energy": float(energy[row]), "notice": notice}
        | ({} if verdict is None else {"verdict": str(verdict[row])})
        for row in range(len(found["boxes"]))
    ]
    return rows or [{"status": NOBODY, "notice": notice}]


def _stages(config: RunConfig) -> str:
    stages = f"detector {config.detector if config.keypoints is None else config.keypoints.name}, "
    done = ("fitted by SMPLify" if config.fit else "not fitted") + (", refined" if config.refines else "")
    done += ", with offsets for hair and clothes" if config.offsets else ""
    return f"{stages}regressor {config.regressor}, {done}, body {config.body}"


def _entries(config: RunConfig, photos: list[str], skipped: dict[str, str], summary: dict[str, Any]) -> Iterator[Entry]:
    """What the page says of each photo, read when its turn comes; counts into ``summary`` on the way."""
    for photo in photos:
        results = config.out / "results" / f"{photo}.npz"
        if not results.is_file():
            yield Entry(photo, skipped.get(photo, "Not read."))
            continue
        with np.load(results, allow_pickle=False) as found:
            _count(photo, found, summary)
            if "page" in config.outputs:
                yield _entry(config.out, photo, found, config.correction)


def _count(photo: str, found: Mapping[str, Any], summary: dict[str, Any]) -> None:
    people = len(found["boxes"])
    summary["people"] += people
    summary["photos_done"] += 1
    if people == 0:
        summary["photos_without_people"].append(photo)
    if len(found["notices"]):
        summary["notices"][photo] = [str(notice) for notice in found["notices"]]


def _entry(out: Path, photo: str, found: Mapping[str, Any], correction: bool) -> Entry:
    height, width = (int(side) for side in found["image_size"])
    small = shrunk_size(height, width)
    drawn = {stage: page_picture(out, photo, stage) for stage in STAGES}
    links = {stage: _link(path, out) for stage, path in drawn.items() if path.is_file()}
    return Entry(
        name=photo,
        width=small[1],
        height=small[0],
        view=(0, 0, width, height),
        pictures=tuple(
            Picture(stage, STAGES[stage], _caption(stage, correction, str(found["body"])), link)
            for stage, link in links.items()
        ),
        before_after=(links["fitted"], links["refined"]) if {"fitted", "refined"} <= set(links) else (),
        scene=_write_scene(out, photo, found, links.get("photo")) if len(found["boxes"]) else "",
        notices=tuple(str(notice) for notice in found["notices"]),
        people=tuple(_person(out, photo, found, number) for number in range(len(found["boxes"]))),
        refined="refined_reason" in found,
        results=_link(out / "results" / f"{photo}.npz", out),
    )


def _caption(stage: str, correction: bool, body: str) -> str:
    if stage != "flow":
        return STAGES[stage]
    # The network looks at what the correction made of the fitted body, which the picture before this one does not show.
    corrected = correction and body == CorrectionConfig().body
    start = ", from the fitted body after a network corrected its pose, which no picture shows" if corrected else ""
    return f"{STAGES[stage]} {_LEGEND}{start}"


def _write_scene(out: Path, photo: str, found: Mapping[str, Any], picture: str | None) -> str:
    """Put what the 3D view shows beside the page and link to it.

    Clothes are 100 KB a person, so a page that held the scenes of thousands of photos could not be opened.
    """
    prefixes = {stage: prefix for stage, prefix in STAGE_PREFIXES.items() if f"{prefix}betas" in found}
    stages = {stage: estimate_of(found, prefix) for stage, prefix in prefixes.items()}
    if str(found["status"][0]) == NOT_FITTED:
        del stages["fitted"]
    offsets = {}
    if "refined_offsets" in found:
        stages["clothed"], offsets["clothed"] = stages["refined"], found["refined_offsets"].astype(np.float32)
    size = (int(found["image_size"][0]), int(found["image_size"][1]))
    path = out / "page" / f"{photo}.scene.js"
    with whole_file(path) as file:
        file.write_text(scene_script(viewer_scene(stages, size, picture, offsets=offsets)), encoding="utf-8")
    return _link(path, out)


def _link(path: Path, out: Path) -> str:
    return quote(os.fsencode(path.relative_to(out).as_posix()))


def _person(out: Path, photo: str, found: Mapping[str, Any], number: int) -> Person:
    mesh = out / "meshes" / photo / f"{number}.glb"
    return Person(
        status=fit_words(found["status"][number]),
        energy=float(found["energy"][number]),
        distance=float(found["transl"][number, 2]),
        verdict=_verdict(found, number),
        mesh=_link(mesh, out) if mesh.is_file() else "",
    )


def _verdict(found: Mapping[str, Any], number: int) -> str:
    kinds = {"": "refined_reason", "clothes ": "refined_offsets_reason"}
    return "; ".join(what + verdict_words(found[name][number]) for what, name in kinds.items() if name in found)
