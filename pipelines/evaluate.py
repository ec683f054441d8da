"""Score results under a named protocol.

    fitloop evaluate --protocol open-bench --truth truth.npz --results out/ --json scores.json

docs/evaluation.md lists the protocols, the layouts of truth and results files, and every metric's definition.
"""

import datetime
import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from body import Body, load_body
from evaluation.masks import PART_NAMES
from evaluation.people import People
from evaluation.placing import GENDERS, Bodies
from evaluation.protocols import Protocol, protocol_named
from evaluation.results import Results, read_results
from evaluation.run import ScoreOptions, score
from evaluation.scorecard import Entry, Provenance, scorecard, text_table, write_csv, write_json
from evaluation.silhouettes import MaskSource
from evaluation.truth import read_truth
from pipelines.command_line import parse, stop
from pipelines.provenance import commit, hardware, versions

STAGE_LABELS = {
    "regressed": "regressed (HMR)",
    "fitted": "fitted (SMPLify)",
    "refined": "refined (dense)",
    "landmarks": "detector's own 3D landmarks",
    "result": "result",
}


@dataclass(frozen=True, kw_only=True)
class BodyFiles:
    """Bodies that parameters are posed with."""

    body: str = "open"
    """`open`, or the path of your SMPL file: the (neutral) body of the results."""
    male_body: Path | None = None
    """SMPL file for the truth of men (3dpw, rich)."""
    female_body: Path | None = None
    """SMPL file for the truth of women (3dpw, rich)."""
    joint_regressor: Path | None = None
    """`J_regressor_h36m.npy` for Human3.6M's joints; named landmarks of the body stand in for it."""

    def load(self) -> Bodies:
        """Load them all.

        Raises:
            FileNotFoundError: If a file is missing.
            ValueError: If one is not what it should be.
        """
        neutral = load_body(self.body)
        named: dict[str, Body] = {neutral.name: neutral}
        if self.body != "open":
            named |= {"smpl": neutral, load_body("open").name: load_body("open")}
        for gender, path in zip(GENDERS, (self.male_body, self.female_body), strict=True):
            if path is not None:
                named[gender] = load_body(path)
        return Bodies(named, None if self.joint_regressor is None else _load_regressor(self.joint_regressor, neutral))


def _load_regressor(path: Path, body: Body) -> torch.Tensor:
    if not path.is_file():
        raise FileNotFoundError(f"There is no joint regressor at {path}.")
    table = np.load(path, allow_pickle=False)
    if table.shape != (17, len(body.template)):
        raise ValueError(f"{path} has shape {table.shape}, expected (17, {len(body.template)}) for body {body.name}.")
    return torch.from_numpy(table.astype(np.float32))


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig(BodyFiles):
    """Score results under a named protocol: JSON and CSV, and a table on the terminal."""

    protocol: str
    """Its name: open-bench, lspet, coco, 3dpw, h36m-p1, h36m-p2, mpi-inf-3dhp, lsp, rich."""
    truth: Path
    """The protocol's truth file."""
    results: Path
    """A folder of results, SPIN's result .npz, a COCO keypoint results .json, or an .npz of joints."""
    json: Path
    """Where the scores go; the lines per person go beside it as .csv."""
    stage: Literal["all", "regressed", "fitted", "refined", "landmarks", "result"] = "all"
    """Score only this stage of the results."""
    label: str | None = None
    """What to call the results in tables."""
    others: tuple[str, ...] = ()
    """Further results to score beside them, each as LABEL=PATH, such as another run or another system."""
    weights: str | None = None
    """Which weights made them; taken from the run's own file where it says so."""
    convention: str | None = None
    """Names the joints of a plain results file, such as smpl24, coco17 or protocol."""
    unit: Literal["metres", "millimetres", "centimetres"] = "metres"
    """Of joints in a results file that does not say."""
    missing: Literal["error", "skip"] = "error"
    """People without a usable result: stop, or score the rest and say how many are missing."""
    trust: bool = False
    """Score results that look like another unit or joint order anyway."""
    masks: Path | None = None
    """Folder of mask and part files (lsp)."""
    part_order: tuple[str, ...] = PART_NAMES
    """What the labels 0, 1, ... of the part files mean."""
    seed: int = 0
    """Of the bootstrap intervals."""


def evaluate(config: EvaluateConfig) -> tuple[Protocol, People, list[Entry]]:
    """Score one results file or folder.

    Args:
        config: What to score, and how.

    Returns:
        The protocol, its people, and one entry per stage.

    Raises:
        FileNotFoundError: If something is not there.
        ValueError: If truth or results are not what they should be.
    """
    protocol = protocol_named(config.protocol)
    truth = read_truth(protocol, config.truth)
    bodies = config.load()
    options = ScoreOptions(config.missing, config.unit, config.trust)
    masks = MaskSource(config.masks, config.part_order)
    entries = []
    for label, path in [(config.label, config.results), *labelled_paths(config.others)]:
        results = read_results(path, protocol, truth, config.convention)
        results = _choose(results, config.stage) if path == config.results else results
        tables = score(protocol, truth, results, bodies, options, masks)
        entries += [Entry(stage_label(label, table.stage, len(tables) > 1), table) for table in tables]
    return protocol, truth, entries


def labelled_paths(words: tuple[str, ...]) -> list[tuple[str, Path]]:
    """Take LABEL=PATH apart.

    Raises:
        ValueError: If a word is not of this form.
    """
    pairs = [word.partition("=") for word in words]
    wrong = [word for word, pair in zip(words, pairs, strict=True) if not all(pair)]
    if wrong:
        raise ValueError(f"--others expects LABEL=PATH, got {wrong[0]!r}.")
    return [(label, Path(path)) for label, _, path in pairs]


def stage_label(label: str | None, stage: str, several: bool = True) -> str:
    """What readers call a stage of some results; one of ``several`` says which it is."""
    if label is None:
        return STAGE_LABELS[stage]
    return f"{label}, {STAGE_LABELS[stage]}" if several else label


class _OneStage:
    def __init__(self, results: Results, stage: str) -> None:
        self.results, self.stages = results, (stage,)

    @property
    def photos(self) -> tuple[str, ...] | None:
        return self.results.photos

    def read(self, photos):
        return {self.stages[0]: self.results.read(photos)[self.stages[0]]}


def _choose(results: Results, stage: str) -> Results:
    if stage == "all":
        return results
    if stage not in results.stages:
        raise ValueError(f"The results have no stage {stage!r}; they have {', '.join(results.stages)}.")
    return _OneStage(results, stage)


def weights_of(results: Path) -> str:
    """Which weights made some results, as the run's own file tells."""
    told = (results.parent if results.name == "results" else results) / "run.json"
    if not told.is_file():
        return "not stated"
    config = json.loads(told.read_text(encoding="utf-8")).get("config", {})
    given = config.get("keypoints")
    parts = [f"keypoints of {Path(given).name}"] if given else [f"detector {config.get('detector')}"]
    parts += [f"regressor {config['regressor']}"] if config.get("regressor") else []
    return ", ".join(parts)


def provenance(weights: str, arguments: list[str]) -> Provenance:
    """Commit, versions, hardware and date of this moment."""
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    return Provenance(commit(), versions(), hardware(), now, shlex.join(["fitloop", *arguments]), weights)


def main(arguments: list[str] | None = None) -> int:
    """Score results; return 0, or 2 after a sentence on what is wrong."""
    given = sys.argv[1:] if arguments is None else arguments
    config = parse(EvaluateConfig, given)
    try:
        protocol, truth, entries = evaluate(config)
        made_with = provenance(config.weights or weights_of(config.results), ["evaluate", *given])
        card = scorecard(protocol, truth, entries, made_with, config.seed)
        write_json(card, config.json)
        write_csv(truth, entries, config.json.with_suffix(".csv"))
    except (ValueError, FileNotFoundError) as error:
        return stop(str(error))
    except OSError as error:
        return stop(f"Cannot write {config.json}: {error.strerror}.", 3)
    print(f"{protocol.name}: {protocol.data_set}, {len(truth)} people.\n\n{text_table(card)}")
    for entry in card["entries"]:
        missing = [f"{entry['missing']} people have no result"] if entry["missing"] else []
        extra = [f"{entry['extra']} results belong to nobody"] if entry["extra"] else []
        for note in [*missing, *extra, *entry["notes"]]:
            print(f"{entry['label']}: {note}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
