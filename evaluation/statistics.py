"""Numbers that stand for many: means, percentiles, bootstrap confidence intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

PERCENTILES = (5, 25, 50, 75, 95)
_CHUNK = 32


@dataclass(frozen=True)
class Summary:
    """One metric over all people that have it."""

    count: int
    """People with a finite value."""
    mean: float
    low: float
    """Lower end of the confidence interval of the mean."""
    high: float
    """Upper end of the confidence interval of the mean."""
    percentiles: dict[str, float]
    """By name: ``p5``, ``p25``, ``p50``, ``p75``, ``p95``."""


def bootstrap_mean(
    values: Float[np.ndarray, "people metrics"],
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[Float[np.ndarray, "metrics"], Float[np.ndarray, "metrics"]]:
    """Percentile bootstrap interval of the mean (Efron and Tibshirani 1993, chapter 13).

    Args:
        values: Finite; people are drawn once for all metrics.
        resamples: How many sets of people are drawn with replacement.
        level: Share of the resampled means inside the interval.
        seed: The same seed gives the same interval.

    Raises:
        ValueError: If there are no values or ``level`` is not between 0 and 1.
    """
    people = len(values)
    if people == 0:
        raise ValueError("A confidence interval needs at least one value, got none.")
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must lie between 0 and 1, got {level}.")
    generator = np.random.default_rng(seed)
    means = np.empty((resamples, values.shape[1]))
    for start in range(0, resamples, _CHUNK):
        rows = min(_CHUNK, resamples - start)
        drawn = generator.integers(0, people, (rows, people)) + people * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * people).reshape(rows, people)
        means[start : start + rows] = counts.astype(np.float64) @ values / people
    low, high = np.quantile(means, [(1.0 - level) / 2.0, (1.0 + level) / 2.0], axis=0)
    return low, high


def summarize(values: Float[np.ndarray, "people"], seed: int = 0) -> Summary | None:
    """Mean with its 95 % bootstrap interval, and percentiles; leaves out what is not finite; None if all is."""
    return summarize_columns({"": values}, seed).get("")


def summarize_columns(columns: Mapping[str, Float[np.ndarray, "people"]], seed: int = 0) -> dict[str, Summary]:
    """`summarize` of several metrics of the same people; those without any finite value are absent."""
    groups: dict[bytes, list[str]] = {}
    for name, column in columns.items():
        groups.setdefault(np.isfinite(column).tobytes(), []).append(name)
    found = {}
    for names in groups.values():
        finite = np.isfinite(columns[names[0]])
        if finite.any():
            table = np.stack([np.asarray(columns[name], np.float64)[finite] for name in names], -1)
            found |= dict(zip(names, _summaries(table, seed), strict=True))
    return {name: found[name] for name in columns if name in found}


def _summaries(table: Float[np.ndarray, "people metrics"], seed: int) -> list[Summary]:
    low, high = bootstrap_mean(table, seed=seed)
    quantiles = np.percentile(table, PERCENTILES, axis=0)
    names = [f"p{percent}" for percent in PERCENTILES]
    found = []
    for number, mean in enumerate(table.mean(0)):
        named = dict(zip(names, map(float, quantiles[:, number]), strict=True))
        found.append(Summary(len(table), float(mean), float(low[number]), float(high[number]), named))
    return found


def at_percentiles(values: Float[np.ndarray, "people"], percents: Sequence[int | float]) -> list[int]:
    """Rows whose value lies at each percentile of the finite ones (nearest rank), as in Figure 3 of HMR.

    Args:
        values: One per person.
        percents: Between 0 and 100; 100 is the largest value.
    """
    order = [int(row) for row in np.argsort(values, kind="stable") if np.isfinite(values[row])]
    if not order:
        return []
    return [order[max(0, int(np.ceil(percent / 100.0 * len(order))) - 1)] for percent in percents]
