"""Several data sets as one, mixed with weights as SPIN does."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor

IN_THE_WILD: Literal["in-the-wild"] = "in-the-wild"
SPIN_SHARES = {"h36m": 0.3, IN_THE_WILD: 0.6, "mpi-inf-3dhp": 0.1}
"""SPIN's mixture: the data sets in the wild share 0.6 in proportion to their sizes."""


@dataclass(frozen=True)
class Mixture:
    """How often each data set is drawn from; rows are numbered through all data sets, one after the other."""

    sizes: tuple[int, ...]
    """People of each data set."""
    shares: tuple[float, ...]
    """Chance of each data set; adds up to 1."""

    def __post_init__(self) -> None:
        """Refuse shares that are no chances."""
        if len(self.sizes) != len(self.shares) or min(self.sizes, default=0) < 1:
            raise ValueError(f"Give one share per data set that is not empty, got sizes {self.sizes}, {self.shares}.")
        if min(self.shares) < 0 or abs(sum(self.shares) - 1.0) > 1e-6:
            raise ValueError(f"Shares must not be negative and must add up to 1, got {self.shares}.")

    def __len__(self) -> int:
        """People in all."""
        return sum(self.sizes)

    @property
    def starts(self) -> tuple[int, ...]:
        """Number of the first row of each data set."""
        return tuple(sum(self.sizes[:number]) for number in range(len(self.sizes)))

    def epoch(self, generator: torch.Generator, length: int | None = None) -> Int[Tensor, "rows"]:
        """Draw the rows of one epoch.

        Each place of the epoch draws a data set by its share; within a data set, rows come from shuffled passes, so
        that none repeats before all were seen.

        Args:
            generator: Source of randomness; the same state gives the same epoch.
            length: Rows to draw; as many as the largest data set has if not given (SPIN's epoch).
        """
        length = max(self.sizes) if length is None else length
        weights = torch.tensor(self.shares, dtype=torch.float64)
        chosen = torch.multinomial(weights, length, replacement=True, generator=generator)
        rows = torch.empty(length, dtype=torch.long)
        for number, (start, size) in enumerate(zip(self.starts, self.sizes, strict=True)):
            places = (chosen == number).nonzero()[:, 0]
            # Whole shuffled passes: a small data set is drawn from several times, but evenly.
            passes = -(-len(places) // size)
            order = [torch.randperm(size, generator=generator) for _ in range(passes)]
            if order:
                rows[places] = start + torch.cat(order)[: len(places)]
        return rows

    def locate(self, rows: Int[Tensor, "rows"]) -> tuple[Int[Tensor, "rows"], Int[Tensor, "rows"]]:
        """Which data set each row is of, and its number there."""
        starts = torch.tensor(self.starts)
        number = torch.bucketize(rows, starts, right=True) - 1
        return number, rows - starts[number]


def proportional(sizes: tuple[int, ...]) -> Mixture:
    """Every person equally likely."""
    return Mixture(sizes, tuple(size / sum(sizes) for size in sizes))


def weighted(sizes: tuple[int, ...], weights: tuple[float, ...]) -> Mixture:
    """Data sets drawn in proportion to ``weights``.

    Raises:
        ValueError: If the numbers differ or no weight is positive.
    """
    if len(sizes) != len(weights) or min(weights, default=0.0) < 0 or sum(weights) <= 0:
        raise ValueError(f"Give one weight per data set, none negative, not all zero; got {weights} for {sizes}.")
    return Mixture(sizes, tuple(weight / sum(weights) for weight in weights))


def spin_mixture(sizes: dict[str, int]) -> Mixture:
    """SPIN's mixture of data sets: 30 % Human3.6M, 10 % MPI-INF-3DHP, 60 % all others in proportion to their sizes.

    Args:
        sizes: People of each data set by name (``h36m``, ``mpi-inf-3dhp``, others). Where one of the two is not there,
            its share goes to the rest in proportion.
    """
    # All data sets in the wild share one part, so that a new one does not take from Human3.6M.
    wild = sum(size for name, size in sizes.items() if name not in SPIN_SHARES)
    shares = [
        SPIN_SHARES[name] if name in SPIN_SHARES else SPIN_SHARES[IN_THE_WILD] * size / wild
        for name, size in sizes.items()
    ]
    return weighted(tuple(sizes.values()), tuple(shares))
