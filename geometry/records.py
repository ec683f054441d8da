"""The base of every record in the chain."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

Record = TypeVar("Record", bound="TensorRecord")


@dataclass(frozen=True)
class TensorRecord:
    """Base of every record in the chain: map, move, detach or index all tensors at once.

    Nested records are followed; fields that are neither tensors nor records (names, conventions, ``None``) are kept.
    """

    def map(self: Record, fn: Callable[[Tensor], Tensor]) -> Record:
        """Apply ``fn`` to every tensor and return the new record."""
        changed: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Tensor):
                changed[field.name] = fn(value)
            elif isinstance(value, TensorRecord):
                changed[field.name] = value.map(fn)
        return replace(self, **changed)

    def to(self: Record, *args: Any) -> Record:
        """Move or convert floating tensors as `torch.Tensor.to` does; integer tensors only change device."""
        dtypes = [a for a in args if isinstance(a, torch.dtype)]
        places = [a for a in args if not isinstance(a, torch.dtype)]

        def move(tensor: Tensor) -> Tensor:
            moved = tensor.to(*places) if places else tensor
            return moved.to(dtypes[0]) if dtypes and tensor.is_floating_point() else moved

        return self.map(move)

    def detach(self: Record) -> Record:
        """Cut every tensor from the autograd graph."""
        return self.map(torch.Tensor.detach)

    def __getitem__(self: Record, index: Any) -> Record:
        """Index the leading batch axes of every tensor."""
        return self.map(lambda tensor: tensor[index])


def _tensors(record: TensorRecord) -> list[Tensor]:
    values = [getattr(record, field.name) for field in fields(record)]
    found = [v for v in values if isinstance(v, Tensor)]
    for value in values:
        if isinstance(value, TensorRecord):
            found += _tensors(value)
    return found


def concatenate(records: list[Record]) -> Record:
    """Join records of one kind along their first batch axis.

    Args:
        records: At least one; fields that are not tensors must be equal in all of them.

    Raises:
        ValueError: If the list is empty, or fields that are not tensors differ.
    """
    if not records:
        raise ValueError("concatenate needs at least one record, got an empty list.")
    first = records[0]
    changed: dict[str, Any] = {}
    for field in fields(first):
        values = [getattr(record, field.name) for record in records]
        if all(isinstance(v, Tensor) for v in values):
            changed[field.name] = torch.cat(values)
        elif all(isinstance(v, TensorRecord) for v in values):
            changed[field.name] = concatenate(values)
        elif any(v != values[0] for v in values):
            raise ValueError(f"Records differ in {field.name}: {sorted({str(v) for v in values})}; join only equals.")
    return replace(first, **changed)


def where(condition: Tensor, first: Record, second: Record) -> Record:
    """Take each batch row from ``first`` where ``condition`` holds, else from ``second``.

    Args:
        condition: Boolean, shape of the leading batch axes.
        first: Taken where true.
        second: Taken where false; same kind and shapes as ``first``.
    """
    changed: dict[str, Any] = {}
    for field in fields(first):
        a, b = getattr(first, field.name), getattr(second, field.name)
        if isinstance(a, Tensor):
            mask = condition.reshape(condition.shape + (1,) * (a.ndim - condition.ndim))
            changed[field.name] = torch.where(mask, a, b)
        elif isinstance(a, TensorRecord):
            changed[field.name] = where(condition, a, b)
    return replace(first, **changed)


def check_batch(records: dict[str, TensorRecord], batch_ndim: int = 1) -> None:
    """Raise a `ValueError` that names both sides unless the leading batch axes of all records agree."""
    shapes = {name: tuple(_tensors(record)[0].shape[:batch_ndim]) for name, record in records.items()}
    if len(set(shapes.values())) > 1:
        found = ", ".join(f"{name} has {shape}" for name, shape in shapes.items())
        raise ValueError(f"Batch shapes disagree: {found}; give one row per person in each.")
