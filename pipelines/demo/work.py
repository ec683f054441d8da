"""Work on one file: the main job over a folder that holds nothing else."""

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fitloop.body import Image
from fitloop.detection import DetectionReport
from fitloop.pipelines.chain.people import People
from fitloop.pipelines.demo.config import DemoConfig
from fitloop.pipelines.demo.telling import ToldLines, say, tell
from fitloop.pipelines.demo.uploads import Refused, check_clip, is_clip
from fitloop.pipelines.folder.run import run_folder
from fitloop.pipelines.regress_then_fit import Stages

FAILED = "The work on this file failed. The server goes on."


@dataclass(frozen=True)
class ToldStages(Stages):
    """The stages of a run, each of which says when it begins."""

    def detect(self, image: Image) -> DetectionReport:
        """Find the people of a photo."""
        say("Looking for people")
        return super().detect(image)

    def regress(self, image: Image, report: DetectionReport) -> People:
        """Guess the bodies of the people of a photo."""
        say("Guessing the bodies")
        return super().regress(image, report)

    def correct(self, *crowd: People) -> list[People]:
        """Fit the guessed bodies."""
        say("Fitting the bodies to the keypoints")
        return super().correct(*crowd)

    def refine(self, image: Image, people: People) -> People:
        """Move the fitted bodies to where the photo shows them."""
        say("Refining the bodies by the photo's pixels")
        refined = super().refine(image, people)
        say("Drawing pictures and writing files")
        return refined


def work_on(folder: Path, config: DemoConfig, stages: Any) -> str:
    """Run the main job over the file in ``in/``; its results go to ``out/`` beside it.

    Args:
        folder: Of this file alone.
        config: Names the stages and limits.
        stages: What finds, guesses, fits and refines; kept from file to file.

    Returns:
        Why there are no results, a sentence for who dropped the file; empty if there are.
    """
    (path,) = (folder / "in").iterdir()
    said = ToldLines(folder)
    tell(folder, "Reading the file")
    try:
        run = config.run(folder / "in", folder / "out", check_clip(path, config) if is_clip(path.name) else None)
    except Refused as error:
        return str(error)
    if is_clip(path.name):
        tell(folder, "Following the people from frame to frame")
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        code = run_folder(run, lambda _: stages)
    return _without_folder(_problem(folder, code, said.sentences), folder)


def _problem(folder: Path, code: int, sentences: list[str]) -> str:
    try:
        skipped = json.loads((folder / "out" / "run.json").read_text(encoding="utf-8"))["skipped"]
    except FileNotFoundError:
        skipped = {}
    if skipped:
        return next(iter(skipped.values()))
    if code:
        return sentences[-1] if sentences else FAILED
    return ""


def _without_folder(told: str, folder: Path) -> str:
    """A sentence without the places on this machine that it names."""
    return told.replace(f"{folder / 'in'}/", "").replace(str(folder), "")
