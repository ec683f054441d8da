"""Curves with their spread, and what they have to beat, as a picture."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from PIL import Image, ImageDraw, ImageFont

from fitloop.evaluation.report.plots import ticks

COLORS = ((31, 119, 180), (214, 98, 39), (44, 140, 70), (150, 80, 170), (90, 90, 90), (190, 150, 20))
"""Of the curves of a plot, one after the other."""
_WIDTH, _HEIGHT = 640, 460
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 24, 60
_INK, _GRID = (40, 40, 40), (225, 225, 225)


@dataclass(frozen=True)
class Curve:
    """Points, joined from left to right; none where only the level counts."""

    label: str
    points: Sequence[tuple[float, float]]
    spread: Sequence[Sequence[float]] = field(default_factory=tuple)
    """Single values around the y of each point, drawn as small dots."""
    level: float | None = None
    """A y to compare with, dashed across the plot."""


@dataclass(frozen=True)
class Plot:
    """One picture."""

    below: str
    """What x is, with its unit."""
    beside: str
    """What y is."""
    curves: Sequence[Curve]
    steps: Literal["even", "tenfold"] = "even"
    """Whether x grows from 0 by equal steps, or tenfold from its smallest value."""


def draw_plots(path: Path, plots: Sequence[Plot]) -> None:
    """Write a PNG of plots side by side, axes from 0 but where x grows tenfold.

    Args:
        path: Where to write.
        plots: From left to right.
    """
    sheet = Image.new("RGB", (_WIDTH * len(plots), _HEIGHT), "white")
    for column, plot in enumerate(plots):
        sheet.paste(_draw(plot), (column * _WIDTH, 0))
    sheet.save(path)


def _draw(plot: Plot) -> Image.Image:
    picture = Image.new("RGB", (_WIDTH, _HEIGHT), "white")
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(13)
    top = 1.1 * max([*(height for curve in plot.curves for height in _heights(curve)), 1e-6])
    share, marks = _across([x for curve in plot.curves for x, _ in curve.points], plot.steps)

    def place(part: float, y: float) -> tuple[float, float]:
        across, up = (_WIDTH - _LEFT - _RIGHT) * part, (_HEIGHT - _TOP - _BOTTOM) * y / top
        return _LEFT + across, _HEIGHT - _BOTTOM - up

    for value in marks:
        x, y = place(share(value), 0.0)
        pen.line([(x, y), place(share(value), top)], _GRID)
        pen.text((x, y + 8), f"{value:g}", _INK, font, "ma")
    for value in ticks(top):
        x, y = place(0.0, value)
        pen.line([(x, y), place(1.0, value)], _GRID)
        pen.text((x - 8, y), f"{value:g}", _INK, font, "rm")
    pen.text(((_LEFT + _WIDTH) / 2, _HEIGHT - 14), plot.below, _INK, font, "mm")
    pen.text((8, 12), plot.beside, _INK, font, "lm")
    for number, curve in enumerate(plot.curves):
        color = COLORS[number % len(COLORS)]
        _curve(pen, curve, lambda x, y: place(share(x), y), color)
        if curve.level is not None:
            _dashed(pen, place(0.0, curve.level), place(1.0, curve.level), color)
        pen.text((_LEFT + 14, _HEIGHT - _BOTTOM - 18 - 18 * number), curve.label, color, font, "lm")
    return picture


def _heights(curve: Curve) -> list[float]:
    level = [] if curve.level is None else [curve.level]
    return [y for _, y in curve.points] + [y for values in curve.spread for y in values] + level


def _across(values: list[float], steps: str) -> tuple[Callable[[float], float], list[float]]:
    """Which share of the width lies left of a value, and the values to mark."""
    right = float(max([*values, 1e-6]))
    if steps == "even":
        return lambda x: x / right, ticks(right)
    left = min([*values, right])
    tens = range(math.floor(math.log10(left)), math.ceil(math.log10(right)) + 1)
    marks = [digit * 10.0**ten for ten in tens for digit in (1, 2, 5) if left <= digit * 10.0**ten <= right]
    return lambda x: math.log(x / left) / max(math.log(right / left), 1e-6), marks


def _curve(
    pen: ImageDraw.ImageDraw,
    curve: Curve,
    place: Callable[[float, float], tuple[float, float]],
    color: tuple[int, int, int],
) -> None:
    ordered = sorted(curve.points)
    pen.line([place(*point) for point in ordered], color, 2)
    for x, y in ordered:
        across, down = place(x, y)
        pen.ellipse([across - 4, down - 4, across + 4, down + 4], color)
    for (x, _), values in zip(curve.points, curve.spread, strict=False):
        for value in values:
            across, down = place(x, value)
            pen.line([(across - 6, down), (across + 6, down)], color)


def _dashed(
    pen: ImageDraw.ImageDraw, start: tuple[float, float], end: tuple[float, float], color: tuple[int, int, int]
) -> None:
    for x in range(int(start[0]), int(end[0]), 12):
        pen.line([(x, start[1]), (min(x + 7, end[0]), start[1])], color)
