from pathlib import Path

import PIL.Image
import pytest

from benchmarks.curves import draw_plots
from benchmarks.parts import COLUMNS, plots, to_markdown, verdicts
from benchmarks.parts_rows import PartsConfig, answers, noise_at, questions

CONFIG = PartsConfig(mocap=Path("m"), assets=Path("a"), keep=Path("k"), segmenter=Path("s"))
NAMES = [name for question in questions(CONFIG) for name in question.rows]


def found(**changed: float) -> dict[str, list[dict[str, float]]]:
    """Two seeds a row, all alike but for the rows named."""
    rows = {}
    for number, name in enumerate(NAMES):
        error = changed.get(name.replace(" ", "_"), 100.0)
        rows[name] = [dict.fromkeys(COLUMNS, error) | {"iou": 90.0 - number} for error in (error, error + 2.0)]
    return rows


def test_every_claim_is_about_rows_that_are_trained():
    assert {name for answer in answers() for name in answer.rows} <= set(NAMES)


def test_rows_with_one_name_are_one_run():
    rows = [(name, row) for question in questions(CONFIG) for name, row in question.rows.items()]
    assert all(row == other for name, row in rows for again, other in rows if name == again)


def test_verdicts_ask_every_choice_of_seeds():
    told = verdicts(found(photo=150.0, silhouette=101.0))
    assert told["Coloured parts are a better input than the photo"] == "holds"
    assert told["A silhouette is not enough: 12 parts take a tenth off the error at least"] == "does not hold"
    assert told["Parts and joints together are better than either"] == "not told apart from noise"


def test_what_was_not_run_is_left_out(tmp_path):
    rows = {name: runs[:1] for name, runs in found(photo=150.0).items() if name in ("photo", "12 parts", "24 parts")}
    told = verdicts(rows)
    assert told["Coloured parts are a better input than the photo"] == "holds, by a row of one seed"
    assert set(told) == {
        "Coloured parts are a better input than the photo",
        "12 parts are enough: 24 take less than 3 % off",
    }
    assert "| joints |  |" in to_markdown(rows, questions(CONFIG), told)
    draw_plots(tmp_path / "curves.png", plots(rows))


def test_maps_get_worse_step_by_step():
    steps = [noise_at(level) for level in (0.0, 0.25, 0.5, 1.0)]
    assert steps[0].coarse == 1
    for better, worse in zip(steps, steps[1:], strict=False):
        assert (better.shift, better.coarse, better.wrong) < (worse.shift, worse.coarse, worse.wrong)


def test_the_table_has_a_row_for_each_training_and_the_verdicts():
    rows = found()
    text = to_markdown(rows, questions(CONFIG), verdicts(rows))
    assert "| photo | 101.0 (1.0) |" in text
    assert all(f"| {name} |" in text for name in NAMES)
    assert text.count("|---|---|\n") >= 1


@pytest.mark.parametrize("value", [0.0, 120.0])
def test_curves_are_drawn(tmp_path, value):
    draw_plots(tmp_path / "curves.png", plots(found(photo=value)))
    with PIL.Image.open(tmp_path / "curves.png") as picture:
        colors = {color for _, color in picture.convert("RGB").getcolors(1 << 20) or []}
    assert {(31, 119, 180), (214, 98, 39), (44, 140, 70)} <= colors
