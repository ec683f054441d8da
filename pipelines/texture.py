"""The coloured surface of one person, from one photo or several of a finished run.

    fitloop texture --results out/ --images photos/ --largest --out person/
    fitloop texture --results out/ --images photos/ --people a.jpg:0 b.jpg:1 --out person/

Each photo's colours are looked up at the visible vertices of the body that the run found in it, photos are merged by
what most of them show, and what no photo shows continues what was seen (docs/texture.md).
"""

if __name__ == "__main__":
    from fitloop.pipelines.cli import run_program

    run_program("texture")

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from fitloop.body import Body, load_body
from fitloop.data import load_image
from fitloop.detection import MediapipeDetector
from fitloop.evaluation.body_arrays import STAGE_PREFIXES
from fitloop.fitting import Status
from fitloop.pipelines.chain.results_file import estimate_of
from fitloop.pipelines.console.devices import open_device
from fitloop.pipelines.console.endings import USAGE_ERROR, stop, stop_for, warn
from fitloop.pipelines.console.options import parse, refuse_ignored
from fitloop.pipelines.pages.texture_page import write_outputs
from fitloop.refinement import Look, Photo, look_at
from fitloop.refinement.gate import overlap
from fitloop.refinement.person_texture import Chosen, Contribution, make_texture, photo_and_person
from fitloop.refinement.texture import look_up
from fitloop.rendering import load_rasterizer

CROP = 512
"""Pixels along an edge of what is looked at: half a centimetre of a standing person each."""
MARGIN = 1.0 / 128.0
"""Left out beside outlines and edges of depth, over the side of the crop: 1.6 cm of a standing person."""
MIN_OVERLAP = 0.25
"""A silhouette that shares less with the drawn body is somebody else's."""
_UNUSABLE = tuple(Status(code).name.lower() for code in (Status.NOT_ENOUGH_EVIDENCE, Status.DEGENERATE))


@dataclass(frozen=True, kw_only=True)
class TextureConfig:
    """Collect the colours of one person from photos of a finished run: arrays, a rigged GLB, pictures and a page."""

    results: Path
    """Folder of a finished run of the main job."""
    images: Path
    """Folder of its photos, or the photo if it was one."""
    out: Path = Path("person")
    """Gets texture.npz, body.glb, contact.png and index.html."""
    people: tuple[str, ...] = ()
    """Who it is in each photo, as PHOTO:PERSON, such as `a.jpg:0 b.jpg:1`; only these photos are used."""
    largest: bool = False
    """Take the person with the largest box of every photo."""
    masks: bool = True
    """Take colours only from where the embedded detector sees the person."""
    body: str = "open"
    """`open`, or the path of your SMPL file: the body of the run."""
    device: str = "cpu"
    """Where bodies are drawn and colours looked up: `cpu` or `cuda`."""
    threads: int | None = None
    """CPU threads; as many as there are cores if not given."""

    def __post_init__(self) -> None:
        refuse_ignored(self, {"largest": (not self.people, "give --people or --largest, not both.")})


def choose_people(config: TextureConfig) -> list[Chosen]:
    """Find the person in the run's photos.

    Raises:
        FileNotFoundError: If there are no results.
        ValueError: If it is not clear who is meant.
    """
    folder = config.results / "results"
    if not folder.is_dir():
        raise FileNotFoundError(
            f"There are no results in {config.results}: give the --out of a finished `fitloop run`."
        )
    files = {path.relative_to(folder).as_posix()[: -len(".npz")]: path for path in sorted(folder.rglob("*.npz"))}
    if not config.people:
        found = [_read(path, photo, None, config.largest) for photo, path in files.items()]
        people = [person for person in found if person is not None]
    else:
        wanted = [photo_and_person(name) for name in config.people]
        photos = [photo for photo, _ in wanted]
        twice = sorted({photo for photo in photos if photos.count(photo) > 1})
        if twice:
            raise ValueError(f"--people names {', '.join(twice)} more than once, but it is about one person.")
        missing = [photo for photo in photos if photo not in files]
        if missing:
            known = ", ".join(list(files)[:5]) + (", ..." if len(files) > 5 else "")
            raise ValueError(f"{config.results} has no results of {', '.join(missing)}; it has {known or 'none'}.")
        people = [person for photo, row in wanted if (person := _read(files[photo], photo, row, False)) is not None]
    if not people:
        raise ValueError(f"No photo in {config.results} shows a fitted person to take colours from.")
    return people


def _read(path: Path, photo: str, row: int | None, largest: bool) -> Chosen | None:
    with np.load(path, allow_pickle=False) as found:
        count = len(found["boxes"])
        if row is None and count == 0:
            return None
        if row is None and count > 1 and not largest:
            raise ValueError(f"{photo} shows {count} people: say who is meant with --people {photo}:0, or --largest.")
        if row is not None and row >= count:
            told = f"numbers 0 to {count - 1}" if count else "nobody"
            raise ValueError(f"{photo} has no person {row}: the run found {told}.")
        boxes = found["boxes"].astype(np.float32)
        row = int((boxes[:, 2:] - boxes[:, :2]).prod(-1).argmax()) if row is None else row
        if str(found["status"][row]) in _UNUSABLE:
            warn(f"{photo}:{row} is left out: it has no fit ({str(found['status'][row]).replace('_', ' ')}).")
            return None
        # The last stage that ran lies nearest to what the photo shows.
        prefix = STAGE_PREFIXES["refined"] if "refined_betas" in found else ""
        height, width = found["image_size"].tolist()
        estimate = estimate_of(found, prefix)[row : row + 1]
        return Chosen(photo, row, estimate, torch.from_numpy(boxes[row : row + 1]), (height, width))


def gather_colors(body: Body, people: list[Chosen], images: Path, masks: bool) -> Iterator[Contribution]:
    """Look the colours up in each photo; photos in which the body cannot be seen are told and left out.

    Raises:
        UnreadableImage: If a photo is missing or damaged.
        ValueError: If a photo is not the one that the run read, or a body is of another model.
    """
    detector = MediapipeDetector() if masks else None
    for chosen in people:
        if chosen.estimate.body != body.name:
            raise ValueError(
                f"{chosen.photo} was fitted with body {chosen.estimate.body!r}, not {body.name!r}: see --body."
            )
        look, masked = _look(body, chosen, images, detector)
        if not bool(look.seen[0]):
            warn(f"{chosen.name} is left out: its body lies outside the photo or is too small.")
            continue
        # Without a silhouette of this person all of the drawn body counts, as far as it lies in the photo.
        mask = look.silhouette if masked else look.inside.to(look.silhouette.dtype)
        yield Contribution(chosen, look_up(look.drawn, look.photo, mask, MARGIN), masked)


def _look(body: Body, chosen: Chosen, images: Path, detector: MediapipeDetector | None) -> tuple[Look, bool]:
    image = load_image(images / chosen.photo, chosen.photo)
    # A photo of the same name but another size would give colours from beside the person.
    if image.pixels.shape[:2] != chosen.size:
        raise ValueError(
            f"{images / chosen.photo} has {image.pixels.shape[1]} x {image.pixels.shape[0]} pixels, "
            f"the run read one of {chosen.size[1]} x {chosen.size[0]}: give the folder that the run read."
        )
    photo, device = Photo(torch.from_numpy(image.pixels)), body.template.device
    if detector is not None:
        seen = detector.in_boxes(image, chosen.box)
        photo = replace(photo, silhouettes=seen.silhouettes, silhouette_boxes=seen.silhouette_boxes)
    look = look_at(body, photo.to(device), chosen.estimate.to(device), load_rasterizer("auto", device), CROP)
    shared = overlap(look.drawn.fragments.covered & look.inside, look.silhouette)
    return look, bool(shared[0] >= MIN_OVERLAP)


def main(arguments: list[str] | None = None) -> int:
    """Make the texture; return 0, 2 after a sentence on what is wrong, or 3 if it cannot be written."""
    config = parse(TextureConfig, arguments)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    try:
        body = load_body(config.body).to(open_device(config.device))
        folder = config.images.parent if config.images.is_file() else config.images
        given = list(gather_colors(body, choose_people(config), folder, config.masks))
        if not given:
            raise ValueError("No photo shows the person.")
        texture, given = make_texture(body, given)
    except (ValueError, ImportError) as error:
        return stop(str(error), USAGE_ERROR)
    except OSError as error:
        return stop_for(error)
    try:
        # Files and pictures are made of what was merged, wherever that was done.
        write_outputs(config.out, body.to("cpu"), texture, given)
    except OSError as error:
        return stop_for(error)
    seen = 100.0 * float((texture.known == 1).mean())
    told = f"{seen:.0f} % of the surface seen in {len(given)} {'photo' if len(given) == 1 else 'photos'}"
    print(f"{told}, the rest guessed. Look at {config.out / 'index.html'}")
    return 0
