"""Score results under a named protocol.

    fitloop evaluate --protocol open-bench --truth truth.npz --results out/
    fitloop evaluate --protocol open-bench --truth truth.npz --results out/ --json scores.json

docs/evaluation.md lists the protocols, the layouts of truth and results files, and every metric's definition.
"""

if __name__ == "__main__":
    from fitloop.pipelines.cli import run_program

    run_program("evaluate")

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fitloop.evaluation.body_files import BodyFiles, body_files_used
from fitloop.evaluation.masks import PART_NAMES
from fitloop.evaluation.own_results import weights_of
from fitloop.evaluation.people import ScoredPeople
from fitloop.evaluation.protocols import PROTOCOLS, Protocol, protocol_named
from fitloop.evaluation.results import labelled_paths, only_stage, read_results
from fitloop.evaluation.run import ScoreOptions, score
from fitloop.evaluation.scorecard import Entry, scorecard, stage_label, text_table, write_csv, write_json
from fitloop.evaluation.silhouettes import MaskSource
from fitloop.evaluation.truth import read_truth
from fitloop.pipelines.console.endings import sentence_of, stop
from fitloop.pipelines.console.options import parse, refuse_ignored
from fitloop.pipelines.console.provenance import provenance


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig(BodyFiles):
    """Score results under a named protocol: JSON and CSV, and a table on the terminal."""

    protocol: str
    """Its name: open-bench, open-bench-video, lspet, coco, 3dpw, h36m-p1, h36m-p2, mpi-inf-3dhp, lsp, rich."""
    truth: Path
    """The protocol's truth file."""
    results: Path
    """A folder or an address of results, people.parquet, SPIN's result .npz, a COCO keypoint results .json, or an .npz
    of joints."""
    json: Path | None = None
    """Where the scores go, and beside it the lines per person as .csv; without it they are only printed."""
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

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            return
        protocol = PROTOCOLS[self.protocol]
        plain = any(str(path).endswith(".npz") for path in (self.results, *self.others))
        refuse_ignored(
            self,
            {
                **body_files_used(protocol),
                "convention": (plain, "it names the joints of a plain .npz file of results."),
                "unit": (plain, "it is that of the joints in a plain .npz file of results."),
                "masks": (protocol.name == "lsp", "only the protocol lsp has mask files."),
                "part_order": (self.masks is not None, "it is that of the part files in --masks."),
            },
        )


def evaluate(config: EvaluateConfig) -> tuple[Protocol, ScoredPeople, list[Entry]]:
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
        results = only_stage(results, config.stage) if path == config.results else results
        tables = score(protocol, truth, results, bodies, options, masks)
        entries += [Entry(stage_label(label, table.stage, len(tables) > 1), table) for table in tables]
    return protocol, truth, entries


def main(arguments: list[str] | None = None) -> int:
    """Score results; return 0, or 2 after a sentence on what is wrong."""
    given = sys.argv[1:] if arguments is None else arguments
    config = parse(EvaluateConfig, given)
    try:
        protocol, truth, entries = evaluate(config)
        made_with = provenance(config.weights or weights_of(config.results), ["evaluate", *given])
        card = scorecard(protocol, truth, entries, made_with, config.seed)
    except (ValueError, FileNotFoundError) as error:
        return stop(sentence_of(error))
    except OSError as error:
        return stop(f"A file cannot be read: {sentence_of(error)}.")
    try:
        if config.json is not None:
            write_json(card, config.json)
            write_csv(truth, entries, config.json.with_suffix(".csv"))
    except OSError as error:
        return stop(f"Cannot write {config.json}: {error.strerror}.", 3)
    _say(f"{protocol.name}: {protocol.data_set}, {len(truth)} people.\n\n{text_table(card)}")
    for notice in truth.notices:
        _say(f"{config.truth.name}: {notice}.")
    for entry in card["entries"]:
        missing = [f"{entry['missing']} people have no result"] if entry["missing"] else []
        extra = [f"{entry['extra']} results belong to nobody"] if entry["extra"] else []
        for note in [*missing, *extra, *entry["notes"]]:
            _say(f"{entry['label']}: {note}.")
    return 0


def _say(text: str) -> None:
    """Print, whatever letters of file names the terminal lacks."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding))
