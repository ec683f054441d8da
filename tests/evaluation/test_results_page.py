import json
from pathlib import Path

import pytest
from toy_bench import bodies, make_truth, write_results

from fitloop.evaluation.protocols import PROTOCOLS
from fitloop.evaluation.published import published_rows
from fitloop.evaluation.results import read_results
from fitloop.evaluation.results_page import insert_block, read_cards, readme_block, results_page
from fitloop.evaluation.results_page import write_results as write_pages
from fitloop.evaluation.run import score
from fitloop.evaluation.scorecard import Entry, Provenance, scorecard, write_json
from fitloop.evaluation.truth import read_truth

ROOT = Path(__file__).parent.parent.parent
MADE_WITH = Provenance("abc123", {"torch": "2"}, "a laptop", "2026-01-01T00:00:00+00:00", "fitloop evaluate", "none")


@pytest.fixture
def repository(tmp_path):
    import numpy as np

    arrays = make_truth(5)
    np.savez(tmp_path / "truth.npz", **arrays)
    write_results(tmp_path / "out", arrays)
    protocol = PROTOCOLS["open-bench"]
    truth = read_truth(protocol, tmp_path / "truth.npz")
    tables = score(protocol, truth, read_results(tmp_path / "out", protocol, truth), bodies())
    root = tmp_path / "repository"
    (root / "docs").mkdir(parents=True)
    write_json(scorecard(protocol, truth, [Entry(t.stage, t) for t in tables], MADE_WITH), root / "results/bench.json")
    (root / "README.md").write_text("# Title\n\n<!-- results -->\nold\n<!-- /results -->\n\nMore.\n")
    return root


def test_the_pages_of_this_repository_are_generated_from_its_results():
    cards = read_cards(ROOT / "results")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert insert_block(readme, readme_block(cards)) == readme, "run `python -m fitloop.evaluation.results_page`"
    assert (ROOT / "docs" / "results.md").read_text(encoding="utf-8") == results_page(cards), "run it again"


def test_pages_state_every_number_of_the_scorecard_and_what_made_it(repository):
    write_pages(repository)
    card = json.loads((repository / "results/bench.json").read_text())
    page, readme = (repository / "docs/results.md").read_text(), (repository / "README.md").read_text()
    mean = card["entries"][1]["metrics"]["mpjpe"]["mean"]
    assert f"| {mean:.1f} (" in page and f"| fitted | 5 of 5 | {mean:.1f} |" in readme
    assert "Commit abc123" in page and "a laptop" in page and "loose clothes" in page
    assert readme.startswith("# Title\n\n<!-- results -->\n|") and readme.endswith("<!-- /results -->\n\nMore.\n")
    assert "old" not in readme


def test_generating_twice_changes_nothing(repository):
    write_pages(repository)
    first = (repository / "README.md").read_text()
    write_pages(repository)
    assert (repository / "README.md").read_text() == first


def test_a_readme_without_markers_and_a_foreign_file_are_refused(repository):
    with pytest.raises(ValueError, match="needs the lines"):
        insert_block("# Title", "")
    (repository / "results/other.json").write_text("{}")
    with pytest.raises(ValueError, match="other.json is no scorecard"):
        write_pages(repository)


def test_published_rows_name_their_source_and_known_metrics():
    from fitloop.evaluation.protocols import METRICS

    rows = [row for name in PROTOCOLS for row in published_rows(name)]
    assert len(rows) > 30
    assert all(row.source and row.metrics and set(row.metrics) <= set(METRICS) for row in rows)
    assert all(value <= 1.0 for row in rows for name, value in row.metrics.items() if METRICS[name].unit == "share")
    assert published_rows("open-bench") == []
