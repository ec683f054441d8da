"""Plots as inline SVG: colours come from the page's style, so they follow light and dark."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from fitloop.rendering.pages import fragment

_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 10, 40


@dataclass(frozen=True)
class Series:
    """Numbers of one entry."""

    label: str
    color: int
    """Number of the page's stage colour."""
    values: np.ndarray


@dataclass(frozen=True)
class Axes:
    """Where numbers lie in a plot."""

    right: float
    """Largest x."""
    top: float
    """Largest y."""
    width: int = 480
    height: int = 260

    def x(self, value: float) -> float:
        """Horizontal place of a value."""
        return _LEFT + (self.width - _LEFT - _RIGHT) * min(value / self.right, 1.0)

    def y(self, value: float) -> float:
        """Vertical place of a value."""
        return self.height - _BOTTOM - (self.height - _TOP - _BOTTOM) * min(value / self.top, 1.0)


def ticks(limit: float, count: int = 5) -> list[float]:
    """Round values from 0 to ``limit``, about ``count`` of them."""
    # Steps that people count in: 1, 2, 2.5 or 5 times a power of ten.
    raw = limit / count
    power = 10.0 ** np.floor(np.log10(raw))
    step = float(min((s for s in (1.0, 2.0, 2.5, 5.0, 10.0) if s * power >= raw), default=10.0) * power)
    return [step * number for number in range(int(limit / step + 1e-9) + 1)]


def cumulative(series: Sequence[Series], title: str, unit: str, scale: float = 1.0) -> Markup:
    """Share of people whose error is at most x, one curve per series, up to the 98th percentile of all.

    Args:
        series: Errors; what is not finite is left out.
        title: Name of the metric.
        unit: Written at the axis.
        scale: Multiplies the values (100 for percent).
    """
    kept = [(item, scale * np.sort(item.values[np.isfinite(item.values)])) for item in series]
    kept = [(item, values) for item, values in kept if len(values)]
    if not kept:
        return Markup()
    # A few people with absurd errors would squeeze everybody else against the left edge.
    axes = Axes(max(float(np.percentile(np.concatenate([v for _, v in kept]), 98.0)), 1e-6), 100.0)
    lines = []
    for item, values in kept:
        shares = 100.0 * np.arange(1, len(values) + 1) / len(values)
        # More points than pixels would only make the page larger.
        picks = np.unique(np.linspace(0, len(values) - 1, 200).astype(int))
        points = [(0.0, 0.0), *zip(values[picks], shares[picks], strict=True)]
        path = " ".join(f"{axes.x(x):.1f},{axes.y(y):.1f}" for x, y in points if x <= axes.right)
        lines.append((item.color, path, f"{item.label}: median {np.median(values):.1f} {unit}"))
    told = "; ".join(f"{item.label} median {np.median(values):.1f} {unit}" for item, values in kept)
    inside = _frame(axes, f"{title} ({unit})", "people (%)") + _part("curves", lines)
    return _svg(axes, f"Share of people by {title}: {told}", inside)


def before_after(before: Series, after: Series, title: str, unit: str, scale: float = 1.0) -> Markup:
    """One dot per person: error before (x) and after (y); dots below the diagonal got better."""
    both = np.isfinite(before.values) & np.isfinite(after.values)
    if not both.any():
        return Markup()
    x, y = scale * before.values[both], scale * after.values[both]
    limit = max(float(np.percentile(np.concatenate([x, y]), 99.0)), 1e-6)
    # Both axes alike, so that the diagonal means no change.
    axes = Axes(limit, limit, 360, 330)
    better = int((y < x).sum())
    dots = _part("dots", axes, after.color, list(zip(x.tolist(), y.tolist(), strict=True)))
    told = f"{better} of {len(x)} people have a lower {title} after {after.label} than after {before.label}"
    return _svg(axes, told, _frame(axes, f"{before.label}: {title} ({unit})", f"{after.label}") + dots)


def lines(series: Sequence[tuple[Series, np.ndarray]], title: str, unit: str) -> Markup:
    """One line per series over numbers from 0 up, such as epochs.

    Args:
        series: Values with their places along x; what is not finite is left out.
        title: Written along y.
        unit: Of x, written at the axis.
    """
    kept = [(item, places, np.isfinite(item.values)) for item, places in series]
    kept = [(item, places[finite], item.values[finite]) for item, places, finite in kept if finite.any()]
    if not kept:
        return Markup()
    right, top = (max(float(part.max()) for part in parts) for parts in ([k[1] for k in kept], [k[2] for k in kept]))
    axes = Axes(max(right, 1.0), max(top, 1e-6))
    curves = []
    for item, places, values in kept:
        pairs = zip(places.tolist(), values.tolist(), strict=True)
        points = " ".join(f"{axes.x(x):.1f},{axes.y(max(y, 0.0)):.1f}" for x, y in pairs)
        curves.append((item.color, points, f"{item.label}: {values[-1]:.1f}"))
    told = "; ".join(f"{item.label} from {values[0]:.1f} to {values[-1]:.1f}" for item, _, values in kept)
    return _svg(axes, f"{title}: {told}", _frame(axes, unit, title) + _part("curves", curves))


def bars(rows: Sequence[tuple[str, Sequence[tuple[int, float, str]]]], title: str) -> Markup:
    """Grouped horizontal bars: per row a name and (colour, value, text) for each entry."""
    if not rows:
        return Markup()
    longest = max((value for _, group in rows for _, value, _ in group), default=0.0) or 1.0
    shares = [(name, [(color, value / longest, text) for color, value, text in group]) for name, group in rows]
    return _part("bars", shares, title)


def _frame(axes: Axes, below: str, beside: str) -> Markup:
    return _part("frame", axes, ticks(axes.right), ticks(axes.top, 4), below, beside)


def _svg(axes: Axes, title: str, inside: Markup) -> Markup:
    return _part("plot", axes, title, inside)


def _part(macro: str, *values: object) -> Markup:
    return fragment("fitloop.evaluation", "plots.html", macro, *values)
