"""Numbers that stand for many: means, percentiles, bootstrap confidence intervals."""

from collections.abc import Sequence
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
    values: Float[np.ndarray, "people"],
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean (Efron and Tibshirani 1993, chapter 13).

    Args:
        values: One per person, finite.
        resamples: How many sets of people are drawn with replacement.
        level: Share of the resampled means inside the interval.
        seed: The same seed gives the same interval.

    Raises:
        ValueError: If there are no values or ``level`` is not between 0 and 1.
    """
    if len(values) == 0:
        raise ValueError("A confidence interval needs at least one value, got none.")
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must lie between 0 and 1, got {level}.")
    generator = np.random.default_rng(seed)
    means = np.empty(resamples)
    for start in range(0, resamples, _CHUNK):
        rows = min(_CHUNK, resamples - start)
        means[start : start + rows] = values[generator.integers(0, len(values), (rows, len(values)))].mean(-1)
    low, high = np.quantile(means, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return float(low), float(high)


def summarize(values: Float[np.ndarray, "people"], seed: int = 0) -> Summary | None:
    """Mean with its 95 % bootstrap interval, and percentiles; leaves out what is not finite; None if all is."""
    finite = np.asarray(values, np.float64)[np.isfinite(values)]
    if len(finite) == 0:
        return None
    low, high = bootstrap_mean(finite, seed=seed)
    quantiles = np.percentile(finite, PERCENTILES)
    named = {f"p{percent}": float(value) for percent, value in zip(PERCENTILES, quantiles, strict=True)}
    return Summary(len(finite), float(finite.mean()), low, high, named)


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
