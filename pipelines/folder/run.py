"""The main job over a folder: streaming, resumable, every file whole or absent."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

import torch

from fitloop.body.files import UNFINISHED, whole_file
from fitloop.data import find_images
from fitloop.data.addresses import folder_of
from fitloop.data.clip_files import find_clips
from fitloop.data.images import SUFFIXES, find_unread_pictures
from fitloop.data.places import open_place
from fitloop.pipelines.chain.people import People
from fitloop.pipelines.chain.photo import ImpossibleCamera, open_photo
from fitloop.pipelines.console.endings import DONE, INTERRUPTED, SOME_UNREADABLE, USAGE_ERROR, stop, stop_for
from fitloop.pipelines.console.options import config_to_tree, save_config
from fitloop.pipelines.console.progress import Progress
from fitloop.pipelines.folder.config import RunConfig
from fitloop.pipelines.folder.ending import first_names, tell_ending
from fitloop.pipelines.folder.journal import SAVE_INTERVAL, Journal
from fitloop.pipelines.folder.lease import Lease
from fitloop.pipelines.folder.looking import Looked, look_at_photos, photos_at_once, side_by_side
from fitloop.pipelines.folder.made_from import UNKNOWN, Sources
from fitloop.pipelines.folder.names import in_the_way, shortened
from fitloop.pipelines.folder.page import write_page
from fitloop.pipelines.folder.table import make_ready, write_table
from fitloop.pipelines.folder.writing import Writing, clear, results_path
from fitloop.pipelines.video.run import run_clips
from fitloop.refinement.person_texture import photo_and_person

FREE_TO_CHANGE = {"images", "out", "threads", "keypoints", "boxes", "workers", "scheduler"}
"""Options that may differ between runs into one place."""


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
        if not clips:
            config.refuse_without_clips(f"There is none in {config.images}.")
        config.out.mkdir(parents=True, exist_ok=True)
        with Lease(open_place(config.out)):
            _prepare_out(config)
            return _run_here(config, photos, clips, make_stages)
    except ValueError as error:
        return stop(str(error))
    except OSError as error:
        return stop_for(error)


def _run_here(config: RunConfig, photos: list[str], clips: list[str], make_stages: Callable[[RunConfig], Any]) -> int:
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    journal = Journal(config, len(photos))
    # One photo that is given itself lies in a folder whose others stay as they are.
    here = replace(config, images=config.images.parent) if config.images.is_file() else config
    try:
        if config.images.is_dir():
            journal.unread = [shortened(name) for name in _outside(find_unread_pictures(config.images), config)]
        make_ready()
        stages = make_stages(config)
        usable = leave_out(photos, config.out, journal)
        _process(here, usable, stages, journal)
        run_clips(here, clips, stages, journal)
        start = time.perf_counter()
        shown = sorted([*usable, *(name for name in journal.skipped if name not in set(usable))])
        summary = write_page(config, shown, journal.skipped, stages.body)
        journal.clock("page", start, len(photos))
        write_table(here, photos, journal, Sources(here, stages).stamp)
        journal.save("finished", summary)
    except KeyboardInterrupt:
        journal.save("interrupted")
        return stop("Interrupted; the same command continues where it was.", INTERRUPTED)
    except (ValueError, ImportError) as error:
        return stop(str(error), USAGE_ERROR)
    except OSError as error:
        return stop_for(error)
    tell_ending(config, summary, journal)
    return SOME_UNREADABLE if journal.skipped else DONE


def _list_photos(config: RunConfig, clips: list[str]) -> list[str]:
    if config.images.is_file():
        return [] if clips else [config.images.name]
    photos = _outside(find_images(config.images), config)
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
    ours = open_place(config.images).written_by_runs(open_place(config.out))
    return [name for name in names if not ours(name)]


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
    at_once = photos_at_once(config, stages)
    with (
        side_by_side(at_once),
        closing(look_at_photos(config, chain.from_iterable(waiting), stages, journal.watch)) as looked,
        Writing(config, journal, sources, 1 if journal.watch else min(at_once, config.batch_size)) as writing,
    ):
        before = 0
        for chunk in waiting:
            # The next photos are looked at, and the last ones written, while the people of these are fitted.
            crowd = list(_regressed(islice(looked, len(chunk)), stages, journal))
            start = time.perf_counter()
            journal.at(*(people.name for people, _ in crowd))
            fitted = stages.correct(*(people for people, _ in crowd))
            journal.clock("fitting", start, len(crowd))
            refined = _refined(config, fitted, stages, journal)
            writing.finish()
            if before:
                yield before
            for people, (_, image_size) in zip(refined, crowd, strict=True):
                journal.at(people.name)
                writing.add(people, image_size)
            before = len(chunk)
        writing.finish()
        yield before


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
            clear(config, photo)
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
