"""Synthetic people: photos with exact truth, from a folder of openly licensed assets.

python pipelines/synthesize.py --assets assets/ --out synthetic/ --count 100
python pipelines/synthesize.py --assets assets/ --out open-bench/ --preset open-bench
python pipelines/synthesize.py --assets assets/ --out open-bench-video/ --preset open-bench --video
"""

if __name__ == "__main__":
    from fitloop.pipelines.cli import run_program

    run_program("synthesize")

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

import numpy as np

from fitloop.body.files import whole_file
from fitloop.data.synthetic import SceneConfig, load_assets, render_person_scene
from fitloop.data.synthetic.clip_files import join_clips, write_clip
from fitloop.data.synthetic.clips import ClipConfig, arrange_clip
from fitloop.data.synthetic.files import join_truth, truth_arrays, write_photo
from fitloop.data.synthetic.grades import GRADES, PEOPLE_PER_GRADE, render_graded
from fitloop.data.synthetic.sequences import load_sequences
from fitloop.pipelines.console.endings import INTERRUPTED, USAGE_ERROR, stop, stop_for
from fitloop.pipelines.console.options import config_to_tree, load_config, parse, refuse_ignored, save_config
from fitloop.pipelines.console.progress import Progress
from fitloop.pipelines.pages.contact_sheet import write_contact_sheet

CLIPS = 20
"""So many clips has the benchmark, and who asks for none in particular."""
BENCH_CLIPS = ClipConfig(split="held-out")
_FREE_TO_CHANGE = {"assets", "out", "count", "workers"}


@dataclass(frozen=True)
class SynthesizeConfig:
    """Render synthetic people with exact truth into a folder that can be looked through."""

    assets: Path = Path("assets")
    """Folder with mocap/, people/ and backgrounds/; docs/synthetic.md describes it."""
    out: Path = Path("synthetic")
    """Gets photos/, masks/, maps/, truth/, truth.npz, contact.jpg and contact.html; clips/ in place of pictures."""
    count: int | None = None
    """How many photos; 100 if not given, 500 for open-bench (100 of each grade); of clips 20."""
    seed: int = 0
    """The same seed gives the same photos on any number of workers."""
    preset: Literal["scenes", "open-bench"] = "scenes"
    """`scenes`: photos as the options of `--scene` ask for. `open-bench`: the test set of the tables in the docs:
    photos in five grades from plain to hard, of poses, clothes and places that training never sees."""
    scene: SceneConfig = field(default_factory=SceneConfig)
    """What scenes are like; open-bench has its own."""
    video: bool = False
    """Draw clips: people who move as the motion capture's own sequences do, before cameras that stand or move."""
    clip: ClipConfig = field(default_factory=ClipConfig)
    """What clips are like; open-bench has its own: 20 of held-out people, 3 s each at 30 frames a second."""
    texture_side: int = 512
    """Texels along the finest level of each texture."""
    workers: int = 1
    """Processes that draw."""

    def __post_init__(self) -> None:
        own = self.preset == "scenes"
        why = "clips have their own settings." if self.video else "open-bench has scenes of its own."
        told = "open-bench has clips of its own." if self.video else "only --video draws clips."
        refuse_ignored(self, {"scene": (own and not self.video, why), "clip": (own and self.video, told)})
        if self.workers < 1:
            raise ValueError(f"At least 1 process has to draw, got workers {self.workers}.")
        if self.seed < 0:
            raise ValueError(f"A seed is at least 0, got {self.seed}.")
        if self.photos < 1:
            raise ValueError(f"At least 1 photo has to be drawn, got count {self.count}.")
        if self.preset == "open-bench" and not self.video and self.photos % len(GRADES):
            raise ValueError(f"open-bench has {len(GRADES)} grades of equal size, {self.photos} photos do not divide.")

    @property
    def photos(self) -> int:
        """How many photos or clips there will be."""
        if self.count is not None:
            return self.count
        if self.video:
            return CLIPS
        return PEOPLE_PER_GRADE * len(GRADES) if self.preset == "open-bench" else 100


def main(arguments: list[str] | None = None) -> int:
    """Render; return 0, 2 for wrong input, 3 if writing failed, 130 if stopped."""
    config = parse(SynthesizeConfig, arguments)
    try:
        _prepare(config)
        _render_all(config)
        _finish(config)
    except ValueError as error:
        return stop(str(error), USAGE_ERROR)
    except OSError as error:
        return stop_for(error)
    except KeyboardInterrupt:
        return stop("Interrupted; the same command continues where it was.", INTERRUPTED)
    what, where = ("clips", "contact.jpg") if config.video else ("photos", "contact.html")
    print(f"{config.photos} {what}. Look at {config.out / where}")
    return 0


def _prepare(config: SynthesizeConfig) -> None:
    saved = config.out / "config.yaml"
    if saved.is_file():
        before, now = config_to_tree(load_config(saved, SynthesizeConfig)), config_to_tree(config)
        changed = sorted(key for key in now if key not in _FREE_TO_CHANGE and before[key] != now[key])
        if config.preset == "open-bench" and before["count"] != now["count"]:
            changed.append("count")
        if changed:
            raise ValueError(f"{config.out} holds photos made with another {', '.join(changed)}; choose another --out.")
    # Photos beyond the count would lie beside a truth that does not know them.
    there = max((int(path.stem) + 1 for path in (config.out / "truth").glob("[0-9]*.npz")), default=0)
    if there > config.photos:
        what = "clips" if config.video else "photos"
        raise ValueError(
            f"{config.out} holds {there} {what} of an earlier run, more than --count {config.photos}: give --count "
            f"{there} or more, or choose another --out."
        )
    config.out.mkdir(parents=True, exist_ok=True)
    with whole_file(saved) as file:
        save_config(config, file)


def _truth_path(config: SynthesizeConfig, number: int) -> Path:
    return config.out / "truth" / f"{number:06d}.npz"


def _render_all(config: SynthesizeConfig) -> None:
    waiting = [number for number in range(config.photos) if not _truth_path(config, number).is_file()]
    if not waiting:
        return
    load_assets(config.assets, config.texture_side)
    with Progress(config.photos, "clip" if config.video else "photo", done=config.photos - len(waiting)) as progress:
        for _ in _rendered(config, waiting):
            progress.advance(1)


def _rendered(config: SynthesizeConfig, waiting: list[int]) -> Iterator[int]:
    if config.workers == 1:
        for number in waiting:
            yield _render_one(config, number)
        return
    with ProcessPoolExecutor(config.workers, mp_context=get_context("fork")) as pool:
        jobs = [pool.submit(_render_one, config, number) for number in waiting]
        try:
            for job in as_completed(jobs):
                yield job.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _render_one(config: SynthesizeConfig, number: int) -> int:
    import torch

    torch.set_num_threads(1)
    assets = load_assets(config.assets, config.texture_side)
    if config.video:
        clip = config.clip if config.preset == "scenes" else BENCH_CLIPS
        sequences = load_sequences(config.assets / "mocap" / "cmu_poses.npz", clip.split, clip.recorded)
        write_clip(config.out, arrange_clip(assets, sequences, (config.seed, number), clip), number, clip.frame_rate)
        return number
    if config.preset == "open-bench":
        photo, grade = render_graded(assets, config.seed, number, config.photos // len(GRADES))
        label = grade.name
    else:
        photo, label = render_person_scene(assets, (config.seed, number), config.scene), "scene"
    write_photo(config.out, photo, truth_arrays(photo, f"{number:06d}.jpg", assets.dressmaker.body.name, label))
    return number


def _finish(config: SynthesizeConfig) -> None:
    if config.video:
        join_clips(config.out, config.photos)
        return
    arrays = join_truth([_truth_path(config, number) for number in range(config.photos)])
    with whole_file(config.out / "truth.npz") as file:
        np.savez_compressed(file, **arrays)  # pyright: ignore[reportArgumentType]
    write_contact_sheet(config.out, arrays)
