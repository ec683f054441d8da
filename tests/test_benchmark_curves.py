"""The one drawer of charts."""

import numpy as np
import PIL.Image

from benchmarks.curves import COLORS, Curve, Plot, draw_plots
from benchmarks.metrics import Metric
from benchmarks.tuning import LABELS, draw


def columns_of(path, color) -> np.ndarray:
    """Columns of the picture that hold the colour, above the labels."""
    pixels = np.asarray(PIL.Image.open(path).convert("RGB"))[:250]
    return np.flatnonzero((pixels == color).all(-1).any(0))


def test_x_that_grows_tenfold_gives_every_ten_the_same_room(tmp_path):
    curve = Curve("one", [(0.01, 5.0), (0.1, 5.0), (1.0, 5.0)])
    for plot, middle in ((Plot("s", "mm", [curve], "tenfold"), 0.5), (Plot("s", "mm", [curve]), 0.1)):
        draw_plots(tmp_path / "plot.png", [plot])
        pixels = np.asarray(PIL.Image.open(tmp_path / "plot.png").convert("RGB"))
        tall = np.flatnonzero((pixels[:250] == COLORS[0]).all(-1).sum(0) > 5)
        centers = [group.mean() for group in np.split(tall, np.flatnonzero(np.diff(tall) > 1) + 1)]
        assert abs(centers[1] - (70 + 550 * middle)) < 3 and abs(centers[2] - 620) < 4


def test_a_level_is_dashed_across_the_plot(tmp_path):
    draw_plots(
        tmp_path / "plot.png", [Plot("s", "mm", [Curve("one", [(0.0, 1.0), (1.0, 5.0)]), Curve("", (), level=4.0)])]
    )
    found = columns_of(tmp_path / "plot.png", COLORS[1])
    assert found[0] < 75 and found[-1] > 605 and 300 < len(found) < 400


def test_ways_of_tuning_are_drawn_with_the_guess_to_beat(tmp_path):
    metrics = [
        Metric(f"tuning.{way}.{step}_steps.{key}", value * (step + 1), "mm", "lower")
        for way in LABELS
        for step in (0, 9)
        for key, value in (("seconds", 0.01), ("mpjpe", 8.0))
    ]
    told = (("seconds", 0.0), ("mpjpe", 60.0))
    guess = [Metric(f"tuning.fit.guess.{key}", value, "", "lower") for key, value in told]
    draw([*metrics, *guess], tmp_path / "tuning.png", 4)
    assert len(columns_of(tmp_path / "tuning.png", COLORS[len(LABELS)])) > 300
