"""Plots as inline SVG: colours come from the page's style, so they follow light and dark."""

import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

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
    raw = limit / count
    power = 10.0 ** np.floor(np.log10(raw))
    step = float(min((s for s in (1.0, 2.0, 2.5, 5.0, 10.0) if s * power >= raw), default=10.0) * power)
    return [step * number for number in range(int(limit / step + 1e-9) + 1)]


def cumulative(series: Sequence[Series], title: str, unit: str, scale: float = 1.0) -> str:
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
        return ""
    axes = Axes(max(float(np.percentile(np.concatenate([v for _, v in kept]), 98.0)), 1e-6), 100.0)
    lines = []
    for item, values in kept:
        shares = 100.0 * np.arange(1, len(values) + 1) / len(values)
        picks = np.unique(np.linspace(0, len(values) - 1, 200).astype(int))
        points = [(0.0, 0.0), *zip(values[picks], shares[picks], strict=True)]
        path = " ".join(f"{axes.x(x):.1f},{axes.y(y):.1f}" for x, y in points if x <= axes.right)
        median = float(np.median(values))
        tip = f"{html.escape(item.label)}: median {median:.1f} {html.escape(unit)}"
        lines.append(f'<polyline class="line stage-{item.color}" points="{path}"><title>{tip}</title></polyline>')
    told = "; ".join(f"{item.label} median {np.median(values):.1f} {unit}" for item, values in kept)
    frame = _frame(axes, f"{title} ({unit})", "people (%)")
    return _svg(axes, f"Share of people by {title}: {told}", frame + "".join(lines))


def before_after(before: Series, after: Series, title: str, unit: str, scale: float = 1.0) -> str:
    """One dot per person: error before (x) and after (y); dots below the diagonal got better."""
    both = np.isfinite(before.values) & np.isfinite(after.values)
    if not both.any():
        return ""
    x, y = scale * before.values[both], scale * after.values[both]
    limit = max(float(np.percentile(np.concatenate([x, y]), 99.0)), 1e-6)
    axes = Axes(limit, limit, 360, 330)
    better = int((y < x).sum())
    dots = "".join(
        f'<circle class="dot stage-{after.color}" cx="{axes.x(a):.1f}" cy="{axes.y(b):.1f}" r="2.4"/>'
        for a, b in zip(x, y, strict=True)
    )
    line = (
        f'<line class="diagonal" x1="{axes.x(0.0):.1f}" y1="{axes.y(0.0):.1f}" x2="{axes.x(limit):.1f}" '
        f'y2="{axes.y(limit):.1f}"/>'
    )
    frame = _frame(axes, f"{before.label}: {title} ({unit})", f"{after.label}")
    told = f"{better} of {len(x)} people have a lower {title} after {after.label} than after {before.label}"
    return _svg(axes, told, frame + line + dots)


def lines(series: Sequence[tuple[Series, np.ndarray]], title: str, unit: str) -> str:
    """One line per series over numbers from 0 up, such as epochs.

    Args:
        series: Values with their places along x; what is not finite is left out.
        title: Written along y.
        unit: Of x, written at the axis.
    """
    kept = [(item, places, np.isfinite(item.values)) for item, places in series]
    kept = [(item, places[finite], item.values[finite]) for item, places, finite in kept if finite.any()]
    if not kept:
        return ""
    right, top = (max(float(part.max()) for part in parts) for parts in ([k[1] for k in kept], [k[2] for k in kept]))
    axes = Axes(max(right, 1.0), max(top, 1e-6))
    drawn = []
    for item, places, values in kept:
        points = " ".join(f"{axes.x(x):.1f},{axes.y(max(y, 0.0)):.1f}" for x, y in zip(places, values, strict=True))
        tip = html.escape(f"{item.label}: {values[-1]:.1f}")
        drawn.append(f'<polyline class="line stage-{item.color}" points="{points}"><title>{tip}</title></polyline>')
    told = "; ".join(f"{item.label} from {values[0]:.1f} to {values[-1]:.1f}" for item, _, values in kept)
    return _svg(axes, f"{title}: {told}", _frame(axes, unit, title) + "".join(drawn))


def bars(rows: Sequence[tuple[str, Sequence[tuple[int, float, str]]]], title: str) -> str:
    """Grouped horizontal bars: per row a name and (colour, value, text) for each entry."""
    if not rows:
        return ""
    limit = max((value for _, group in rows for _, value, _ in group), default=0.0) or 1.0
    height, parts, y = 14, [], 4.0
    for name, group in rows:
        middle = y + height * len(group) / 2 + 4
        parts.append(f'<text class="name" x="112" y="{middle:.0f}" text-anchor="end">{html.escape(name)}</text>')
        for color, value, text in group:
            width = 280.0 * value / limit
            parts.append(
                f'<rect class="bar stage-{color}" x="120" y="{y:.0f}" width="{width:.1f}" height="11" rx="2"/>'
            )
            parts.append(f'<text class="value" x="{126 + width:.1f}" y="{y + 9:.0f}">{html.escape(text)}</text>')
            y += height
        y += 6
    return (
        f'<svg class="plot bars" viewBox="0 0 480 {y:.0f}" role="img" aria-label="{html.escape(title)}">'
        f"{''.join(parts)}</svg>"
    )


def _frame(axes: Axes, below: str, beside: str) -> str:
    floor, right = axes.y(0.0), axes.x(axes.right)
    parts = [f'<line class="axis" x1="{_LEFT}" y1="{floor:.1f}" x2="{right:.1f}" y2="{floor:.1f}"/>']
    for value in ticks(axes.right):
        place = axes.x(value)
        parts.append(f'<text class="tick" x="{place:.1f}" y="{floor + 15:.1f}" text-anchor="middle">{value:g}</text>')
    for value in ticks(axes.top, 4):
        place = axes.y(value)
        parts.append(f'<line class="grid" x1="{_LEFT}" y1="{place:.1f}" x2="{right:.1f}" y2="{place:.1f}"/>')
        parts.append(f'<text class="tick" x="{_LEFT - 6}" y="{place + 4:.1f}" text-anchor="end">{value:g}</text>')
    middle = (_LEFT + right) / 2
    parts.append(
        f'<text class="label" x="{middle:.1f}" y="{axes.height - 6}" text-anchor="middle">{html.escape(below)}</text>'
    )
    height = (axes.height - _BOTTOM + _TOP) / 2
    parts.append(
        f'<text class="label" transform="translate(12 {height:.0f}) rotate(-90)" text-anchor="middle">'
        f"{html.escape(beside)}</text>"
    )
    return "".join(parts)


def _svg(axes: Axes, title: str, inside: str) -> str:
    told = html.escape(title)
    return f'<svg class="plot" viewBox="0 0 {axes.width} {axes.height}" role="img" aria-label="{told}">{inside}</svg>'
