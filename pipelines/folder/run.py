"""The main job over a folder: streaming, resumable, every file whole or absent."""

import os
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fitloop.body import Image
from fitloop.body.files import UNFINISHED, whole_file
from fitloop.data import UnreadableImage, find_images
from fitloop.detection import BadKeypoints, DetectionReport
from fitloop.detection.in_order import in_order
from fitloop.pipelines.chain.people import People
from fitloop.pipelines.chain.photo import open_photo
from fitloop.pipelines.console.endings import CANNOT_WRITE, DONE, INTERRUPTED, SOME_UNREADABLE, USAGE_ERROR, stop
from fitloop.pipelines.console.options import config_to_tree, save_config
from fitloop.pipelines.console.progress import Progress
from fitloop.pipelines.folder.config import RunConfig
from fitloop.pipelines.folder.journal import SAVE_INTERVAL, Journal
from fitloop.pipelines.folder.page import write_page
from fitloop.pipelines.folder.pictures import write_pictures
from fitloop.refinement.person_texture import photo_and_person

_FREE_TO_CHANGE = {"images", "out", "threads"}


def run_folder(config: RunConfig, make_stages: Callable[[RunConfig], Any]) -> int:
    """Run the main job; return the exit code that docs/running.md explains.

    Args:
        config: What to do.
        make_stages: Builds the stages of a config.
    """
    try:
        photos = _list_photos(config)
        _prepare_out(config)
    except (ValueError, FileNotFoundError) as error:
        return stop(str(error))
    except OSError as error:
        return stop(f"Cannot write to {config.out}: {error.strerror}. Choose another --out.", CANNOT_WRITE)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    journal = Journal(config, len(photos))
    try:
        stages = make_stages(config)
        _process(config, photos, stages, journal)
        start = time.perf_counter()
        summary = write_page(config, photos, journal.skipped, stages.body)
        journal.clock("page", start, len(photos))
        journal.save("finished", summary)
    except KeyboardInterrupt:
        journal.save("interrupted")
        return stop("Interrupted; the same command continues where it was.", INTERRUPTED)
    except (ValueError, ImportError, FileNotFoundError) as error:
        return stop(str(error), USAGE_ERROR)
    except OSError as error:
        return stop(f"Cannot write to {config.out}: {error}. Free space or choose another --out.", CANNOT_WRITE)
    _tell(config, summary, journal)
    return SOME_UNREADABLE if journal.skipped else DONE


def results_path(config: RunConfig, photo: str) -> Path:
    """Where the results of a photo lie."""
    return config.out / "results" / f"{photo}.npz"


def _list_photos(config: RunConfig) -> list[str]:
    out = config.out.resolve()
    root = config.images.resolve()
    photos = [photo for photo in find_images(config.images) if out not in (root / photo).parents or out == root]
    if not photos:
        raise ValueError(f"No photos in {config.images}: expected .jpg, .png, .webp, .bmp, .tif or .gif files.")
    strangers = sorted({photo_and_person(name)[0] for name in config.texture_people} - set(photos))
    if strangers:
        raise ValueError(f"--texture-people names {', '.join(strangers)}, which {config.images} does not hold.")
    return photos


def _prepare_out(config: RunConfig) -> None:
    earlier = config.out / "config.yaml"
    config.out.mkdir(parents=True, exist_ok=True)
    for leftover in list(config.out.rglob(f"{UNFINISHED}*")):
        leftover.unlink()
    if earlier.is_file():
        import yaml

        before = yaml.safe_load(earlier.read_text(encoding="utf-8")) or {}
        now = config_to_tree(config)
        changed = sorted(key for key in now if key not in _FREE_TO_CHANGE and before.get(key, now[key]) != now[key])
        if changed:
            told = ", ".join(f"{key} was {before[key]!r} and is {now[key]!r}" for key in changed)
            raise ValueError(f"{config.out} holds results of another run ({told}). Choose another --out or empty it.")
    with whole_file(earlier) as file:
        save_config(config, file)


def _process(config: RunConfig, photos: list[str], stages: Any, journal: Journal) -> None:
    chunks = [photos[start : start + config.batch_size] for start in range(0, len(photos), config.batch_size)]
    waiting = [chunk for chunk in chunks if not all(results_path(config, photo).is_file() for photo in chunk)]
    done = len(photos) - sum(map(len, waiting))
    looked = _looked(config, chain.from_iterable(waiting), stages)
    with Progress(len(photos), "photo", done=done) as progress, closing(looked):
        for chunk in waiting:
            # The next photos are being looked at while the people of these are fitted and drawn.
            crowd = list(_regressed(islice(looked, len(chunk)), stages, journal))
            start = time.perf_counter()
            fitted = stages.correct(*(people for people, _ in crowd))
            journal.clock("fitting", start, len(crowd))
            for people, (_, image_size) in zip(fitted, crowd, strict=True):
                _write(config, _refined(config, people, stages, journal), image_size, journal)
            progress.advance(len(chunk))
            if time.monotonic() - journal.saved > SAVE_INTERVAL:
                journal.save("running")


@dataclass(frozen=True)
class Looked:
    """A photo, its people, and how many seconds each took."""

    photo: str
    image: Image | None = None
    """None where the photo cannot be used."""
    report: DetectionReport | None = None
    trouble: str = ""
    reading: float = 0.0
    detection: float = 0.0


def _looked(config: RunConfig, photos: Iterator[str], stages: Any) -> Generator[Looked, None, None]:
    """Read photos and find their people, in order; several at once where the detector allows it."""

    def look(photo: str) -> Looked:
        start = time.perf_counter()
        try:
            image = open_photo(config.images, photo, config)
            read = time.perf_counter()
            report = stages.detect(image)
        except (UnreadableImage, BadKeypoints) as error:
            return Looked(photo, trouble=str(error))
        return Looked(photo, image, report, "", read - start, time.perf_counter() - read)

    if getattr(getattr(stages, "detector", None), "thread_safe", False):
        return in_order(look, photos, config.threads or os.cpu_count() or 1)
    return (look(photo) for photo in photos)


def _regressed(looked: Iterator[Looked], stages: Any, journal: Journal) -> Iterator[tuple[People, tuple[int, int]]]:
    for look in looked:
        if look.image is None or look.report is None:
            journal.skipped[look.photo] = look.trouble
            continue
        # Photos are looked at side by side: these seconds may add up to more than have passed.
        journal.clock("reading", time.perf_counter() - look.reading)
        journal.clock("detection", time.perf_counter() - look.detection)
        start = time.perf_counter()
        people = stages.regress(look.image, look.report)
        journal.clock("regression", start)
        yield people, (look.image.pixels.shape[0], look.image.pixels.shape[1])


def _refined(config: RunConfig, people: People, stages: Any, journal: Journal) -> People:
    if not config.refine or len(people) == 0:
        return people
    start = time.perf_counter()
    refined = stages.refine(open_photo(config.images, people.name, config), people)
    journal.clock("refinement", start)
    return refined


def _write(config: RunConfig, people: People, image_size: tuple[int, int], journal: Journal) -> None:
    start = time.perf_counter()
    if "meshes" in config.outputs:
        for number in range(len(people)):
            people.save(config.out / "meshes" / people.name / f"{number}.glb", number)
    journal.clock("meshes", start)
    start = time.perf_counter()
    write_pictures(config, people, lambda: open_photo(config.images, people.name, config).pixels)
    journal.clock("pictures", start)
    arrays = people.to_arrays() | {"image_size": np.array(image_size, np.int32)}
    with whole_file(results_path(config, people.name)) as file:
        np.savez(file, **arrays)  # pyright: ignore[reportArgumentType]


def _tell(config: RunConfig, summary: dict[str, Any], journal: Journal) -> None:
    for photo, reason in journal.skipped.items():
        stop(f"skipped {photo!r}: {reason}")
    for photo, notices in summary["notices"].items():
        stop(f"{photo!r}: {' '.join(notices)}")
    print(f"{summary['people']} people in {summary['photos_done']} photos. Look at {config.out / 'index.html'}")
