"""The learning curve of a training as a picture: held-out errors by step, and those of the mean pose to beat."""

import json
import math
from pathlib import Path

import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

CURVES = {
    "pve": ("vertices", (200, 80, 30)),
    "mpjpe": ("joints (MPJPE)", (30, 90, 180)),
    "pa_mpjpe": ("joints after alignment (PA-MPJPE)", (40, 140, 70)),
}
_SIZE = (1120, 640)
_LEFT, _RIGHT, _TOP, _BOTTOM = 90, 45, 50, 70
_GRID = 50.0
_INK, _FAINT = (40, 40, 40), (215, 215, 215)


def draw_curve(metrics: Path, mean: dict[str, float], picture: Path) -> None:
    """Draw the held-out errors of a run.

    Args:
        metrics: ``metrics.jsonl`` of `fitloop train`.
        mean: ``score`` (metres), ``mpjpe`` and ``pa_mpjpe`` (millimetres) of the mean pose on people of the same kind.
        picture: PNG to write.

    Raises:
        FileNotFoundError: If there is no such run.
        ValueError: If it was never measured after its start.
    """
    if not metrics.is_file():
        raise FileNotFoundError(f"There is no {metrics}; give the folder of a run of fitloop train.")
    lines = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    # A run that was stopped measures some steps again: the last word counts.
    measured = sorted({line["step"]: line for line in lines if line["step"] > 0}.items())
    if not measured:
        raise ValueError(f"{metrics} has no evaluation after the start: train for longer.")
    to_beat = {"pve": 1000.0 * mean["score"], "mpjpe": mean["mpjpe"], "pa_mpjpe": mean["pa_mpjpe"]}
    curves = {name: [(step, line[name]) for step, line in measured if line.get(name) is not None] for name in CURVES}
    highest = max([*to_beat.values(), *(value for points in curves.values() for _, value in points)])
    chart = _Chart(measured[-1][0], _GRID * math.ceil(highest / _GRID))
    chart.draw_axes()
    for name, points in curves.items():
        if points:
            chart.draw_series(points, to_beat[name], *CURVES[name])
    chart.canvas.save(picture, optimize=True)


class _Chart:
    """Steps from left to right, millimetres from 0 upwards."""

    def __init__(self, steps: float, top: float) -> None:
        self.steps, self.top = steps, top
        self.canvas = PIL.Image.new("RGB", _SIZE, (255, 255, 255))
        self.pen = PIL.ImageDraw.Draw(self.canvas)
        self.font = PIL.ImageFont.load_default(17)

    def _at(self, step: float, value: float) -> tuple[float, float]:
        across = (_SIZE[0] - _LEFT - _RIGHT) * step / self.steps
        up = (_SIZE[1] - _TOP - _BOTTOM) * value / self.top
        return _LEFT + across, _SIZE[1] - _BOTTOM - up

    def draw_axes(self) -> None:
        for value in range(0, int(self.top) + 1, int(_GRID)):
            at = self._at(0, value)
            self.pen.line([at, self._at(self.steps, value)], _FAINT)
            self.pen.text((at[0] - 12, at[1]), str(value), _INK, self.font, "rm")
        spacing = max(1, round(self.steps / 5 / 500)) * 500
        for step in range(0, int(self.steps) + 1, spacing):
            x, y = self._at(step, 0)
            self.pen.line([(x, y), (x, y + 6)], _INK)
            self.pen.text((x, y + 12), f"{step:,}", _INK, self.font, "ma")
        self.pen.text((_LEFT, 14), "error on held-out drawn people, mm; dashed: the mean pose", _INK, self.font)
        middle = self._at(self.steps / 2, 0)
        self.pen.text((middle[0], middle[1] + 38), "batches", _INK, self.font, "ma")

    def draw_series(
        self, points: list[tuple[int, float]], to_beat: float, label: str, color: tuple[int, int, int]
    ) -> None:
        places = [self._at(*point) for point in points]
        self.pen.line(places, color, 3)
        for x, y in places:
            self.pen.ellipse([x - 4, y - 4, x + 4, y + 4], color)
        left, right = self._at(0, to_beat), self._at(self.steps, to_beat)
        for start in range(int(left[0]), int(right[0]), 16):
            self.pen.line([(start, left[1]), (min(start + 9, right[0]), left[1])], color, 2)
        told = f"{label}: {points[-1][1]:.0f}, mean pose {to_beat:.0f}"
        corner = places[-1][0], places[-1][1] - 10
        # White behind the words, so that they can be read where curves cross them.
        self.pen.rectangle(self.pen.textbbox(corner, told, self.font, "rs"), (255, 255, 255))
        self.pen.text(corner, told, color, self.font, "rs")
