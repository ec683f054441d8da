"""The main job over a folder: streaming, resumable, every file whole or absent."""

import errno
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import cache
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fitloop.body.files import UNFINISHED, whole_file
from fitloop.data import find_images
from fitloop.data.addresses import folder_of
from fitloop.data.clip_files import find_clips
from fitloop.data.images import SUFFIXES, find_unread_pictures
from fitloop.data.places import open_place
from fitloop.pipelines.chain.doubts import with_doubts
from fitloop.pipelines.chain.people import People
from fitloop.pipelines.chain.photo import ImpossibleCamera, open_photo
from fitloop.pipelines.console.endings import CANNOT_WRITE, DONE, INTERRUPTED, SOME_UNREADABLE, USAGE_ERROR, stop
from fitloop.pipelines.console.options import config_to_tree, save_config
from fitloop.pipelines.console.progress import Progress
from fitloop.pipelines.folder.config import RunConfig
from fitloop.pipelines.folder.ending import first_names, tell_ending
from fitloop.pipelines.folder.journal import SAVE_INTERVAL, Journal
from fitloop.pipelines.folder.lease import Lease
from fitloop.pipelines.folder.looking import Looked, look_at_photos
from fitloop.pipelines.folder.made_from import KEY, UNKNOWN, Sources
from fitloop.pipelines.folder.names import in_the_way, shortened
from fitloop.pipelines.folder.page import write_page
from fitloop.pipelines.folder.pictures import page_picture, write_pictures
from fitloop.pipelines.folder.rigs import KINDS as RIGS
from fitloop.pipelines.folder.rigs import write_rigs
from fitloop.pipelines.folder.table import make_ready, write_table
from fitloop.pipelines.video.run import run_clips
from fitloop.refinement.person_texture import photo_and_person

FREE_TO_CHANGE = {"images", "out", "threads", "keypoints", "boxes", "workers", "scheduler"}
"""Options that may differ between runs into one place."""
_PICTURES = {"overlays", "page", "motion"}
"""Folders of a run that hold pictures and clips of its own."""
_BAD_NAME = {errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL}
"""Errors of a file system that cannot hold a photo's name."""


def run_folder(config: RunConfig, make_stages: Callable[[RunConfig], Any]) -> int:
    """Run the main job; return the exit code that docs/running.md explains.

    Args:
        config: What to do.
        make_stages: Builds the stages of a config.
    """
    if config.scaled:
        # One process over a folder needs nothing of what several need.
        from fitloop.pipelines.cluster.run import run_anywhere

        return run_anywhere(config, make_stages)
    config = replace(config, images=folder_of(config.images), out=folder_of(config.out))
    try:
        clips = _outside(find_clips(config.images), config)
        photos = _list_photos(config, clips)
        config.out.mkdir(parents=True, exist_ok=True)
        with Lease(open_place(config.out)):
            _prepare_out(config)
            return _run_here(config, photos, clips, make_stages)
    except (ValueError, FileNotFoundError) as error:
        return stop(str(error))
    except OSError as error:
        return stop(f"Cannot write to {config.out}: {error.strerror}. Choose another --out.", CANNOT_WRITE)


def _run_here(config: RunConfig, photos: list[str], clips: list[str], make_stages: Callable[[RunConfig], Any]) -> int:
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    journal = Journal(config, len(photos))
    try:
        if config.images.is_dir():
            journal.unread = [shortened(name) for name in _outside(find_unread_pictures(config.images), config)]
        make_ready()
        stages = make_stages(config)
        usable = leave_out(photos, config.out, journal)
        _process(config, usable, stages, journal)
        run_clips(config, clips, stages, journal)
        start = time.perf_counter()
        shown = sorted([*usable, *(name for name in journal.skipped if name not in set(usable))])
        summary = write_page(config, shown, journal.skipped, stages.body)
        journal.clock("page", start, len(photos))
        write_table(config, photos, journal, Sources(config, stages).stamp)
        journal.save("finished", summary)
    except KeyboardInterrupt:
        journal.save("interrupted")
        return stop("Interrupted; the same command continues where it was.", INTERRUPTED)
    except (ValueError, ImportError, FileNotFoundError) as error:
        return stop(str(error), USAGE_ERROR)
    except OSError as error:
        return stop(f"Cannot write to {config.out}: {error}. Free space or choose another --out.", CANNOT_WRITE)
    tell_ending(config, summary, journal)
    return SOME_UNREADABLE if journal.skipped else DONE


def results_path(config: RunConfig, photo: str) -> Path:
    """Where the results of a photo lie."""
    return config.out / "results" / f"{photo}.npz"


def _list_photos(config: RunConfig, clips: list[str]) -> list[str]:
    photos = [] if clips and config.images.is_file() else _outside(find_images(config.images), config)
    if not photos and not clips:
        unread = first_names(find_unread_pictures(config.images))
        others = f" Pictures of other kinds are there: {unread}; convert to .jpg or .png." if unread else ""
        raise ValueError(f"No photos in {config.images}: expected files that end in {', '.join(SUFFIXES)}.{others}")
    strangers = sorted({photo_and_person(name)[0] for name in config.texture_people} - set(photos))
    if strangers:
        raise ValueError(f"--texture-people names {', '.join(strangers)}, which {config.images} does not hold.")
    return photos


def _outside(names: list[str], config: RunConfig) -> list[str]:
    """Files of the folder of photos that this program did not write there, in this run or an earlier one."""
    out, root = config.out.resolve(), config.images.resolve()

    @cache
    def holds_results(folder: Path) -> bool:
        return folder == out or (folder / "run.json").is_file()

    def is_ours(name: str) -> bool:
        first, *_ = (below := Path(name)).parts
        return any(holds_results(root / folder) for folder in below.parents[:-1]) or (
            first in _PICTURES and holds_results(root)
        )

    return [name for name in names if not is_ours(name)]


def leave_out(photos: list[str], out: Path, journal: Journal) -> list[str]:
    """Photos whose results can be written; the others are told."""
    reasons = {photo: in_the_way(photo, out) for photo in photos}
    journal.skipped |= {shortened(photo): reason for photo, reason in reasons.items() if reason is not None}
    return [photo for photo in photos if reasons[photo] is None]


def _prepare_out(config: RunConfig) -> None:
    earlier = config.out / "config.yaml"
    for leftover in list(config.out.rglob(f"{UNFINISHED}*")):
        leftover.unlink()
    if earlier.is_file():
        import yaml

        before = yaml.safe_load(earlier.read_text(encoding="utf-8")) or {}
        # Where nothing was made yet, as after a mistake in the options, there is nothing to mix.
        if next((config.out / "results").rglob("*.npz"), None) is not None:
            refuse_other_options(before, config_to_tree(config), str(config.out))
    with whole_file(earlier) as file:
        save_config(config, file)


def refuse_other_options(before: dict[str, Any], now: dict[str, Any], place: str) -> None:
    """Refuse to mix results of different options in one place.

    Args:
        before: Options of the earlier run.
        now: Options of this one.
        place: What to call where they lie.

    Raises:
        ValueError: Names the options that differ.
    """
    changed = sorted(key for key in now if key not in FREE_TO_CHANGE and before.get(key, now[key]) != now[key])
    if changed:
        told = ", ".join(f"{key} was {before[key]!r} and is {now[key]!r}" for key in changed)
        raise ValueError(f"{place} holds results of another run ({told}). Choose another --out or empty it.")


def _process(config: RunConfig, photos: list[str], stages: Any, journal: Journal) -> None:
    sources = Sources(config, stages)
    waiting = waiting_batches(config, photos, sources, journal)
    done = len(photos) - sum(map(len, waiting))
    if not waiting:
        return
    # A file that cannot be read is told once, not once per photo.
    stages.expect(photos)
    with Progress(len(photos), "photo", done=done) as progress:
        for count in process_batches(config, waiting, stages, journal, sources):
            progress.advance(count)
            if time.monotonic() - journal.saved > SAVE_INTERVAL:
                journal.save("running")


def process_batches(
    config: RunConfig, waiting: list[list[str]], stages: Any, journal: Journal, sources: Sources
) -> Iterator[int]:
    """Take photos through the stages and write what was found; give the number of photos of each batch.

    Args:
        config: Of the run.
        waiting: Photos, in batches.
        stages: What they go through.
        journal: Told times, and photos that could not be used.
        sources: What results are made from.
    """
    looked = look_at_photos(config, chain.from_iterable(waiting), stages, journal.watch)
    with closing(looked):
        for chunk in waiting:
            # The next photos are being looked at while the people of these are fitted and drawn.
            crowd = list(_regressed(islice(looked, len(chunk)), stages, journal))
            start = time.perf_counter()
            journal.at(*(people.name for people, _ in crowd))
            fitted = stages.correct(*(people for people, _ in crowd))
            journal.clock("fitting", start, len(crowd))
            refined = _refined(config, fitted, stages, journal)
            for people, (_, image_size) in zip(refined, crowd, strict=True):
                journal.at(people.name)
                people = with_doubts(people)
                try:
                    _write(config, people, image_size, journal, sources)
                except OSError as error:
                    if error.errno not in _BAD_NAME:
                        raise
                    _clear(config, people.name)
                    journal.skipped[people.name] = f"Its results cannot be written under its name: {error.strerror}."
                journal.made.add(people.name)
            yield len(chunk)


def waiting_batches(config: RunConfig, photos: list[str], sources: Sources, journal: Journal) -> list[list[str]]:
    """Photos to be done, in the batches of an undisturbed run; results of what has changed are removed."""
    unreadable, waiting = _skipped_before(config), []
    for start in range(0, len(photos), config.batch_size):
        chunk = photos[start : start + config.batch_size]
        there = [photo for photo in chunk if results_path(config, photo).is_file()]
        changes = {photo: sources.changes(photo, results_path(config, photo)) for photo in there}
        journal.remade |= {photo: list(told) for photo, told in changes.items() if told and told != (UNKNOWN,)}
        todo = [photo for photo in chunk if photo not in there or photo in journal.remade]
        # A batch that was interrupted is done again as a whole: then its numbers are the same to the last bit.
        if any(photo not in there and photo not in unreadable for photo in chunk):
            todo = chunk
        for photo in todo:
            _clear(config, photo)
        kept = [photo for photo in chunk if photo not in todo]
        journal.kept += len(kept)
        journal.unknown += sum(changes[photo] == (UNKNOWN,) for photo in kept)
        waiting += [todo] if todo else []
    sources.photo_hashes.save()
    return waiting


def _skipped_before(config: RunConfig) -> set[str]:
    try:
        return set(json.loads((config.out / "run.json").read_text(encoding="utf-8"))["skipped"])
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _clear(config: RunConfig, photo: str) -> None:
    """Remove all that an earlier run wrote of a photo, the results file first."""
    results_path(config, photo).unlink(missing_ok=True)
    for kind in ("meshes", *RIGS):
        shutil.rmtree(config.out / kind / photo, ignore_errors=True)
    (config.out / "overlays" / f"{photo}.jpg").unlink(missing_ok=True)
    for stage in ("photo", "regressed", "tuned", "fitted", "flow", "refined", "clothed"):
        page_picture(config.out, photo, stage).unlink(missing_ok=True)


def _regressed(looked: Iterator[Looked], stages: Any, journal: Journal) -> Iterator[tuple[People, tuple[int, int]]]:
    for look in looked:
        if look.image is None or look.report is None:
            # A focal length that fits not even the first photo is a mistake in the options.
            if isinstance(look.trouble, ImpossibleCamera) and not journal.timed:
                raise look.trouble
            journal.skipped[look.photo] = str(look.trouble)
            continue
        # Photos are looked at side by side: these seconds may add up to more than have passed.
        journal.clock("reading", time.perf_counter() - look.reading)
        journal.clock("detection", time.perf_counter() - look.detection)
        start = time.perf_counter()
        journal.at(look.photo)
        people = stages.regress(look.image, look.report)
        journal.clock("regression", start)
        # Photos are read again where they are needed: a batch of large ones would fill the memory.
        yield replace(people, image=None), (look.image.pixels.shape[0], look.image.pixels.shape[1])


def _refined(config: RunConfig, crowd: list[People], stages: Any, journal: Journal) -> list[People]:
    if not config.refines or not any(map(len, crowd)):
        return crowd
    start = time.perf_counter()
    refined = stages.refine_together(crowd, lambda people: open_photo(config.images, people.name, config))
    journal.clock("refinement", start, len(crowd))
    return refined


def _write(config: RunConfig, people: People, image_size: tuple[int, int], journal: Journal, sources: Sources) -> None:
    start = time.perf_counter()
    if "meshes" in config.outputs:
        for number in range(len(people)):
            people.save(config.out / "meshes" / people.name / f"{number}.glb", number)
    write_rigs(config, people)
    journal.clock("meshes", start)
    start = time.perf_counter()
    write_pictures(config, people, lambda: open_photo(config.images, people.name, config).pixels)
    journal.clock("pictures", start)
    record = np.array(json.dumps(sources.record(people.name)))
    arrays = people.to_arrays() | {"image_size": np.array(image_size, np.int32), KEY: record}
    with whole_file(results_path(config, people.name)) as file:
        np.savez(file, **arrays)  # pyright: ignore[reportArgumentType]
