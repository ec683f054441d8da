"""``index.html`` of a run: photo, regressed and fitted bodies side by side, without network."""

import html
import os
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from fitloop.body import Body
from fitloop.body.files import whole_file
from fitloop.evaluation.body_arrays import NOT_FITTED, STAGE_PREFIXES
from fitloop.pipelines.chain.results_file import estimate_of
from fitloop.pipelines.folder.config import RunConfig
from fitloop.pipelines.folder.pictures import page_picture
from fitloop.rendering.viewer import viewer_body, viewer_figure, viewer_head

_CAPTIONS = {
    **{"photo": "Photo", "regressed": "Regressed", "fitted": "Fitted"},
    **{"flow": "Displacements (colour: direction, strength: distance)", "refined": "Refined"},
    "clothed": "With hair and clothes",
}


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
    summary: dict[str, Any] = {"people": 0, "photos_done": 0, "photos_without_people": [], "notices": {}}
    with whole_file(config.out / "index.html") as path, path.open("w", encoding="utf-8") as page:
        page.write(_head(config, len(photos), body))
        for photo in photos:
            results = config.out / "results" / f"{photo}.npz"
            if not results.is_file():
                page.write(_article(photo, f'<p class="notice">{html.escape(skipped.get(photo, "Not read."))}</p>'))
                continue
            with np.load(results, allow_pickle=False) as found:
                page.write(_photo(config.out, photo, found, summary))
        page.write(_tail())
    if "page" not in config.outputs:
        (config.out / "index.html").unlink()
    return summary


def _head(config: RunConfig, count: int, body: Body) -> str:
    style = files("fitloop.pipelines").joinpath("assets/page.css").read_text(encoding="utf-8")
    stages = f"detector {config.detector if config.keypoints is None else config.keypoints.name}, "
    done = ("fitted by SMPLify" if config.fit else "not fitted") + (", refined" if config.refine else "")
    done += ", with offsets for hair and clothes" if config.offsets else ""
    stages += f"regressor {config.regressor}, {done}, body {config.body}"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>fitloop: {html.escape(config.images.name)}</title><style>{style}</style>{viewer_head()}</head>\n"
        f"<body><header><h1>{html.escape(config.images.name)}</h1><p>{count} photos; {html.escape(stages)}</p>"
        '<input type="search" placeholder="Filter by name" aria-label="Filter photos by name" id="filter">'
        f"</header>\n{viewer_body(body)}<main>\n"
    )


def _tail() -> str:
    script = (
        "document.getElementById('filter').addEventListener('input', e => {"
        "const wanted = e.target.value.toLowerCase();"
        "for (const a of document.querySelectorAll('article'))"
        " a.hidden = !a.dataset.name.toLowerCase().includes(wanted); });"
    )
    return f"</main><script>{script}</script></body></html>\n"


def _article(photo: str, inside: str) -> str:
    name = html.escape(photo)
    return f'<article data-name="{name}"><h2>{name}</h2>{inside}</article>\n'


def _photo(out: Path, photo: str, found: Any, summary: dict[str, Any]) -> str:
    people = len(found["boxes"])
    notices = [str(notice) for notice in found["notices"]]
    summary["people"] += people
    summary["photos_done"] += 1
    if people == 0:
        summary["photos_without_people"].append(photo)
    if notices:
        summary["notices"][photo] = notices
    figures = "".join(_figure(out, photo, stage) for stage in _CAPTIONS if page_picture(out, photo, stage).is_file())
    figures += _flicker(out, photo) if page_picture(out, photo, "refined").is_file() else ""
    told = "".join(f'<p class="notice">{html.escape(notice)}</p>' for notice in notices)
    table = _people_table(out, photo, found) if people else '<p class="empty">Nobody was found in this photo.</p>'
    turn = _turntable(out, photo, found) if people else ""
    return _article(photo, f'<div class="stages">{figures}</div>{turn}{told}{table}')


def _turntable(out: Path, photo: str, found: Any) -> str:
    prefixes = {stage: prefix for stage, prefix in STAGE_PREFIXES.items() if f"{prefix}betas" in found}
    stages = {stage: estimate_of(found, prefix) for stage, prefix in prefixes.items()}
    if str(found["status"][0]) == NOT_FITTED:
        del stages["fitted"]
    offsets = {}
    if "refined_offsets" in found:
        stages["clothed"], offsets["clothed"] = stages["refined"], found["refined_offsets"].astype(np.float32)
    backdrop = page_picture(out, photo, "photo")
    link = _link(backdrop, out) if backdrop.is_file() else None
    size = (int(found["image_size"][0]), int(found["image_size"][1]))
    figure = viewer_figure(stages, size, link, offsets=offsets)
    return f"<details><summary>Turn in 3D</summary>{figure}</details>"


def _figure(out: Path, photo: str, stage: str) -> str:
    link = _link(page_picture(out, photo, stage), out)
    caption = _CAPTIONS[stage]
    alt = html.escape(f"{caption}: {photo}")
    return f'<figure><img loading="lazy" src="{link}" alt="{alt}"><figcaption>{caption}</figcaption></figure>'


def _flicker(out: Path, photo: str) -> str:
    """Fitted and refined bodies in one place, in turn."""
    pictures = [_link(page_picture(out, photo, stage), out) for stage in ("fitted", "refined")]
    shown = "".join(f'<img loading="lazy" src="{link}" alt="">' for link in pictures)
    return f'<figure class="flicker"><div>{shown}</div><figcaption>Before and after, in turn</figcaption></figure>'


def _link(path: Path, out: Path) -> str:
    return quote(os.fsencode(path.relative_to(out).as_posix()))


def _people_table(out: Path, photo: str, found: Any) -> str:
    rows = ""
    for number in range(len(found["boxes"])):
        mesh = out / "meshes" / photo / f"{number}.glb"
        verdict = _verdict(found, number)
        files_told = f'<a href="{_link(mesh, out)}">mesh</a>' if mesh.is_file() else ""
        depth = float(found["transl"][number, 2])
        status = html.escape(str(found["status"][number]).replace("_", " "))
        rows += (
            f'<tr><td class="number">{number}</td><td>{status}</td>'
            f'<td class="number">{float(found["energy"][number]):.1f}</td>'
            f'<td class="number">{depth:.2f}</td>{verdict}<td>{files_told}</td></tr>'
        )
    results = _link(out / "results" / f"{photo}.npz", out)
    refined = "<th>refinement</th>" if "refined_reason" in found else ""
    return (
        '<div class="table"><table><thead><tr><th>person</th><th>fit</th><th>energy</th><th>distance (m)</th>'
        f"{refined}<th></th></tr></thead><tbody>{rows}</tbody></table></div>"
        f'<p><a href="{results}">results as arrays</a></p>'
    )


def _verdict(found: Any, number: int) -> str:
    if "refined_reason" not in found:
        return ""
    told = [_told("", found["refined_reason"][number])]
    if "refined_offsets_reason" in found:
        told.append(_told("clothes ", found["refined_offsets_reason"][number]))
    return f"<td>{'; '.join(told)}</td>"


def _told(what: str, reason: Any) -> str:
    return what + ("taken" if str(reason) == "better" else f"not taken: {html.escape(str(reason).replace('_', ' '))}")
