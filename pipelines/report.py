"""One page that compares regression, fitting and refinement, person by person.

    fitloop report --results out/ --images photos/ --out report.html
    fitloop report --protocol open-bench --truth truth.npz --results out/ --images photos/ --out report.html

The page needs no network. The same tables lie beside it as .md and .json.
"""

if __name__ == "__main__":
    from fitloop.pipelines.cli import run_program

    run_program("report")

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from fitloop.body.files import whole_file
from fitloop.data import UnreadableImage, load_image
from fitloop.evaluation.body_files import BodyFiles, body_files_used
from fitloop.evaluation.matching import resolve_photos
from fitloop.evaluation.own_results import LANDMARKS, is_table, own_results, read_run, weights_of
from fitloop.evaluation.people import ScoredPeople
from fitloop.evaluation.protocols import EVIDENCE, PROTOCOLS, Protocol, protocol_named
from fitloop.evaluation.published import published_rows
from fitloop.evaluation.report.data import ReportData, Shown
from fitloop.evaluation.report.page import report_page
from fitloop.evaluation.report.text import report_json, report_markdown
from fitloop.evaluation.results import Results, labelled_paths, read_results
from fitloop.evaluation.run import ScoreOptions, score
from fitloop.evaluation.scorecard import Entry, scorecard, stage_label, write_json
from fitloop.evaluation.silhouettes import MaskSource
from fitloop.evaluation.tables import Table
from fitloop.evaluation.truth import read_truth
from fitloop.pipelines.console.endings import sentence_of, stop
from fitloop.pipelines.console.options import parse, refuse_ignored
from fitloop.pipelines.console.provenance import provenance

COLORS = {"regressed": 0, "fitted": 1, "refined": 2, LANDMARKS: 3}


@dataclass(frozen=True, kw_only=True)
class ReportConfig(BodyFiles):
    """Compare regression, fitting and refinement on one page that needs no network."""

    results: Path
    """The run's folder or address, its people.parquet, or any file that `fitloop evaluate` reads."""
    out: Path
    """The page, ending in .html; .md and .json of the same name go beside it."""
    images: Path | None = None
    """Folder of the photos; without it the page has bodies but no photos."""
    protocol: str | None = None
    """Score under this protocol; without one, bodies are compared with the keypoints they were fitted to."""
    truth: Path | None = None
    """The protocol's truth file."""
    others: tuple[str, ...] = ()
    """Further results to compare, each as LABEL=PATH, such as another run or another system."""
    title: str = "Regression against refinement"
    """Heading of the page."""
    pictures: int = 500
    """People with pictures and a 3D view at most, the worst first; all have their numbers."""
    weights: str | None = None
    """Which weights made the results; taken from the run's own file where it says so."""
    masks: Path | None = None
    """Folder of mask and part files (lsp)."""
    trust: bool = False
    """Score results that look like another unit or joint order anyway."""
    seed: int = 0
    """Of the bootstrap intervals."""

    def __post_init__(self) -> None:
        if self.out.suffix.lower() not in (".html", ".htm"):
            raise ValueError(f"--out is the page to write and ends in .html, got {str(self.out)!r}.")
        if (self.protocol is None) != (self.truth is None):
            raise ValueError("Give --protocol and --truth together, or neither.")
        protocol = EVIDENCE if self.protocol is None else PROTOCOLS.get(self.protocol, EVIDENCE)
        masks = (protocol.name == "lsp", "only the protocol lsp has mask files.")
        refuse_ignored(self, {**body_files_used(protocol), "masks": masks})
        if self.pictures < 0:
            raise ValueError(f"--pictures must not be negative, got {self.pictures}.")


def make_report(config: ReportConfig, arguments: list[str]) -> ReportData:
    """Score everything and gather what the page shows.

    Args:
        config: What to compare.
        arguments: The command line, for the record.

    Raises:
        FileNotFoundError: If something is not there.
        ValueError: If truth or results are not what they should be.
    """
    protocol, truth = _truth(config)
    bodies = config.load()
    shown: list[Shown] = []
    for label, path in [(None, config.results), *labelled_paths(config.others)]:
        results = read_results(path, protocol, truth)
        options = ScoreOptions(missing="skip", trust=config.trust)
        tables = score(protocol, truth, results, bodies, options, MaskSource(config.masks))
        for table in tables:
            if protocol is EVIDENCE and table.stage == LANDMARKS:
                continue
            color = 4 + len(shown) % 4 if label else COLORS.get(table.stage, 5)
            shown.append(
                Shown(
                    Entry(stage_label(label, table.stage, len(tables) > 1), table),
                    color,
                    _bodies(results, table, truth),
                    label is not None,
                )
            )
    made_with = provenance(config.weights or weights_of(config.results), ["report", *arguments])
    card = scorecard(protocol, truth, [item.entry for item in shown], made_with, config.seed)
    return ReportData(
        title=config.title,
        protocol=protocol,
        truth=truth,
        card=card,
        shown=tuple(shown),
        bodies=bodies,
        photo=_photos(config.images),
        published=tuple(published_rows(protocol.name)),
        timings=_timings(config.results),
        pictures=config.pictures,
    )


def _truth(config: ReportConfig) -> tuple[Protocol, ScoredPeople]:
    if config.protocol is not None and config.truth is not None:
        protocol = protocol_named(config.protocol)
        return protocol, read_truth(protocol, config.truth)
    if not config.results.exists() and not is_table(config.results):
        raise FileNotFoundError(f"There are no results at {config.results}.")
    own = own_results(config.results)
    evidence = own.read(None)[own.stages[0]]
    if evidence.keypoints is None:
        raise ValueError(f"{config.results} holds no keypoints to compare with: give --protocol and --truth.")
    return EVIDENCE, replace(evidence, params=None, camera=None, body=None, labels={}, joints=None)


def _bodies(results: Results, table: Table, truth: ScoredPeople) -> Callable[[Sequence[int]], ScoredPeople] | None:
    if table.body is None:
        return None
    names = resolve_photos(tuple(dict.fromkeys(truth.photos or ())), results.photos or ())

    def read(rows: Sequence[int]) -> ScoredPeople:
        if results.photos is None:
            return results.read(None)[table.stage].take(np.array(rows, np.int64))
        photos = [names[(truth.photos or ())[row]] for row in rows]
        people = results.read(list(dict.fromkeys(photos)))[table.stage]
        place = {key: number for number, key in enumerate(zip(people.photos or (), people.persons or (), strict=False))}
        persons = table.labels.get("row", ("",) * len(truth))
        chosen = [place[(photo, persons[row])] for photo, row in zip(photos, rows, strict=True)]
        return people.take(np.array(chosen, np.int64))

    return read


def _photos(folder: Path | None) -> Callable[[str], np.ndarray | None]:
    @lru_cache(maxsize=4)
    def read(name: str) -> np.ndarray | None:
        if folder is None or not (folder / name).is_file():
            return None
        try:
            return load_image(folder / name).pixels
        except UnreadableImage:
            return None

    return read


def _timings(results: Path) -> dict[str, Any]:
    return (read_run(results) or {}).get("timings", {})


def main(arguments: list[str] | None = None) -> int:
    """Write the report; return 0, or 2 after a sentence on what is wrong."""
    given = sys.argv[1:] if arguments is None else arguments
    config = parse(ReportConfig, given)
    try:
        data = make_report(config, given)
        page = report_page(data)
        for path, text in ((config.out, page), (config.out.with_suffix(".md"), report_markdown(data))):
            with whole_file(path) as file:
                file.write_text(text, encoding="utf-8")
        write_json(report_json(data), config.out.with_suffix(".json"))
    except (ValueError, FileNotFoundError) as error:
        return stop(sentence_of(error))
    except OSError as error:
        return stop(f"Cannot write {config.out}: {error.strerror}.", 3)
    print(f"{len(data.truth)} people, {len(page) / 1e6:.1f} MB. Look at {config.out}")
    return 0
