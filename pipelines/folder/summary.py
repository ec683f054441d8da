"""What a run found, in numbers, and the few photos that stand for many: memory does not grow with their number."""

import hashlib
import heapq
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fitloop.evaluation.people_table import NOBODY, SKIPPED
from fitloop.pipelines.pages.plain_words import fit_words, verdict_words

SHOWN_WHOLE = 1000
"""Photos up to which the page shows all of them."""
WORST, CHANCE, TROUBLED = 200, 200, 100
"""Of more photos the page shows so many: of the highest energies, drawn by chance, and not done."""
_STEPS_PER_TENFOLD = 20
"""Energies are counted in steps of 12 %."""
KEPT_NAMES = 1000
"""Names that ``run.json`` lists at most where there may be a million."""


@dataclass
class Summary:
    """Counts of photos and people, and which photos to show."""

    photos: int = 0
    people: int = 0
    nobody: int = 0
    skipped: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    reasons: dict[str, str] = field(default_factory=dict)
    """Of the first photos that were not done."""
    notices: dict[str, str] = field(default_factory=dict)
    """Of the first photos with doubts."""
    empty: list[str] = field(default_factory=list)
    """The first photos without people."""
    _energies: Counter[int] = field(default_factory=Counter)
    _worst: list[tuple[float, str]] = field(default_factory=list)
    _chance: list[tuple[int, str]] = field(default_factory=list)

    def add(self, photo: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Count a photo.

        Args:
            photo: Its name.
            rows: Of the table; ``person``, ``status``, ``verdict``, ``energy`` and ``notice`` are read.
        """
        self.photos += 1
        worst, told = -math.inf, ""
        for row in rows:
            told = row.get("notice") or ""
            if row["status"] in (NOBODY, SKIPPED):
                self._add_empty(photo, row["status"] == SKIPPED, told)
                continue
            self.people += 1
            self.statuses[row["status"]] += 1
            if row.get("verdict"):
                self.verdicts[row["verdict"]] += 1
            energy = row.get("energy")
            if energy is not None and math.isfinite(energy):
                worst = max(worst, energy)
                self._energies[math.floor(_STEPS_PER_TENFOLD * math.log10(max(energy, 1e-6)))] += 1
        if told and photo not in self.reasons and len(self.notices) < KEPT_NAMES:
            self.notices[photo] = told
        _keep(self._worst, (worst, photo), WORST)
        # The digest is a draw that is the same in every run, whatever the order.
        drawn = int.from_bytes(hashlib.sha256(photo.encode("utf-8", "surrogateescape")).digest()[:8], "big")
        _keep(self._chance, (drawn, photo), CHANCE)

    def _add_empty(self, photo: str, skipped: bool, reason: str) -> None:
        if skipped:
            self.skipped += 1
            if len(self.reasons) < KEPT_NAMES:
                self.reasons[photo] = reason
        else:
            self.nobody += 1
            if len(self.empty) < KEPT_NAMES:
                self.empty.append(photo)

    def shown(self) -> list[str]:
        """Photos that stand for all, in order of their names."""
        worst = {photo for energy, photo in self._worst if math.isfinite(energy)}
        return sorted(worst | {photo for _, photo in self._chance} | set(list(self.reasons)[:TROUBLED]))

    def percentile(self, share: float) -> float:
        """Energy below which a share of the people lies, within 12 %; NaN without energies."""
        left = share * sum(self._energies.values())
        for step in sorted(self._energies):
            left -= self._energies[step]
            if left <= 0:
                return 10.0 ** ((step + 0.5) / _STEPS_PER_TENFOLD)
        return math.nan

    def facts(self) -> list[tuple[str, str]]:
        """What the page says above its photos: names and values."""
        told = [("photos", f"{self.photos:,}"), ("people", f"{self.people:,}")]
        told += [("photos without people", f"{self.nobody:,}"), ("photos not done", f"{self.skipped:,}")]
        if self._energies:
            shares = ((0.5, "half"), (0.9, "90 %"), (0.99, "99 %"))
            told += [(f"energy of {name} of the people below", _short(self.percentile(p))) for p, name in shares]
        told += [(f"fit: {fit_words(name)}", f"{count:,}") for name, count in self.statuses.most_common()]
        told += [(f"refinement: {verdict_words(name)}", f"{n:,}") for name, n in self.verdicts.most_common()]
        return told


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 100.0 else f"{number:.2g}"


def _keep(heap: list[Any], item: Any, most: int) -> None:
    """Keep the ``most`` largest items."""
    if len(heap) < most:
        heapq.heappush(heap, item)
    elif item > heap[0]:
        heapq.heapreplace(heap, item)
