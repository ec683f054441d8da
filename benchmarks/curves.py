"""Curves with their spread as a picture."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from fitloop.evaluation.report.plots import ticks

_COLORS = ((31, 119, 180), (214, 98, 39), (44, 140, 70), (150, 80, 170), (90, 90, 90))
_WIDTH, _HEIGHT = 640, 460
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 24, 60
_INK, _GRID = (40, 40, 40), (225, 225, 225)


@dataclass(frozen=True)
class Curve:
    """Points, joined from left to right."""

    label: str
    points: Sequence[tuple[float, float]]
    spread: Sequence[Sequence[float]] = field(default_factory=tuple)
    """Single values around the y of each point, drawn as small dots."""


@dataclass(frozen=True)
class Plot:
    """One picture."""

    below: str
    """What x is, with its unit."""
    beside: str
    """What y is."""
    curves: Sequence[Curve]


def draw_plots(path: Path, plots: Sequence[Plot]) -> None:
    """Write a PNG of plots side by side, both axes from 0.

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
    points = [point for curve in plot.curves for point in curve.points]
    heights = [y for _, y in points] + [y for curve in plot.curves for values in curve.spread for y in values]
    right, top = max([x for x, _ in points] + [1e-6]), 1.1 * max([*heights, 1e-6])

    def place(x: float, y: float) -> tuple[float, float]:
        across, up = (_WIDTH - _LEFT - _RIGHT) * x / right, (_HEIGHT - _TOP - _BOTTOM) * y / top
        return _LEFT + across, _HEIGHT - _BOTTOM - up

    for value in ticks(right):
        x, y = place(value, 0.0)
        pen.line([(x, y), place(value, top)], _GRID)
        pen.text((x, y + 8), f"{value:g}", _INK, font, "ma")
    for value in ticks(top):
        x, y = place(0.0, value)
        pen.line([(x, y), place(right, value)], _GRID)
        pen.text((x - 8, y), f"{value:g}", _INK, font, "rm")
    pen.text(((_LEFT + _WIDTH) / 2, _HEIGHT - 14), plot.below, _INK, font, "mm")
    pen.text((8, 12), plot.beside, _INK, font, "lm")
    for number, curve in enumerate(plot.curves):
        _curve(pen, curve, place, _COLORS[number % len(_COLORS)])
        pen.text((_LEFT + 14, _HEIGHT - _BOTTOM - 18 - 18 * number), curve.label, _COLORS[number], font, "lm")
    return picture


def _curve(pen: ImageDraw.ImageDraw, curve: Curve, place, color: tuple[int, int, int]) -> None:
    ordered = sorted(curve.points)
    pen.line([place(*point) for point in ordered], color, 2)
    for x, y in ordered:
        across, down = place(x, y)
        pen.ellipse([across - 4, down - 4, across + 4, down + 4], color)
    for (x, _), values in zip(curve.points, curve.spread, strict=False):
        for value in values:
            across, down = place(x, value)
            pen.line([(across - 6, down), (across + 6, down)], color)
