"""A device that is not there: real numbers on the CPU that say they lie elsewhere.

Tensors of the pretend device are computed on the CPU, and complain where tensors of a real one would: when one
operation is given tensors of both devices, or NumPy is given one that nobody moved back. So a whole stage runs with
true values, on a machine without an accelerator, and proves that it leaves nothing behind on the CPU.
"""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode

PRETEND = torch.device("privateuseone", 0)
"""PyTorch's name for a device that it does not know."""
_KERNELS = torch.library.Library("aten", "IMPL")
_MOVES = (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default, torch.ops.aten._copy_from.default)
_INDEXED = (
    *(torch.ops.aten.index.Tensor, torch.ops.aten.index_put.default, torch.ops.aten.index_put_.default),
    *(torch.ops.aten._index_put_impl_.default, torch.ops.aten._unsafe_index.Tensor),
)


@lru_cache(maxsize=1)
def introduce() -> None:
    """Make PyTorch accept the device, for as long as the process lives.

    Autograd counts the devices at its first backward pass, and never again: this must come before.
    """
    backend_registration._setup_privateuseone_for_python_backend(backend_module=_driver())
    # `torch.tensor(numbers, device=...)` and lists as indices go past the mode, straight to the device.
    for name, kernel in (("empty_strided", _empty_strided), ("_copy_from", _copy_from)):
        _KERNELS.impl(name, kernel, "PrivateUse1")


def _empty_strided(size, stride, *, dtype=None, layout=None, device=None, pin_memory=None) -> Tensor:
    del layout, device, pin_memory
    return PretendTensor(torch.empty_strided(size, stride, dtype=dtype))


def _copy_from(source: Tensor, target: Tensor, non_blocking: bool = False) -> Tensor:
    del non_blocking
    _plain(target, []).copy_(_plain(source, []))
    return target


def available() -> bool:
    """Whether this PyTorch lets devices be made in Python."""
    return hasattr(backend_registration, "_setup_privateuseone_for_python_backend")


def _driver() -> Any:
    class Driver(backend_registration._DummyBackendModule):
        def get_amp_supported_dtype(self) -> list[torch.dtype]:
            return [torch.bfloat16]

    return Driver()


class PretendTensor(Tensor):
    """A tensor on the CPU that says it lies on `PRETEND`."""

    elem: Tensor

    @staticmethod
    def __new__(cls, elem: Tensor) -> "PretendTensor":
        made = Tensor._make_wrapper_subclass(
            cls, elem.shape, elem.stride(), elem.storage_offset(), dtype=elem.dtype, device=PRETEND
        )
        made.elem = elem
        return made

    def tolist(self) -> Any:
        """As every device, gives its numbers to Python."""
        return self.elem.tolist()

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"PretendTensor({self.elem!r})"

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})


class PretendDevice(TorchDispatchMode):
    """While entered, tensors can be made on `PRETEND` and moved there and back."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0
        """How many were run on the pretend device."""
        self._overwrite = torch.__future__.get_overwrite_module_params_on_conversion()

    def __enter__(self) -> "PretendDevice":
        introduce()
        # Writing into the parameter that a network has would lose what makes it a tensor of this device.
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        torch.__future__.set_overwrite_module_params_on_conversion(self._overwrite)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = _run(func, args, kwargs or {})
        first = result[0] if isinstance(result, (tuple, list)) and result else result
        self.operations += isinstance(first, PretendTensor)
        return result


def _run(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    given: list[Tensor] = []
    plain_args = [_plain(value, given) for value in args]
    plain_kwargs = {name: _plain(value, given) for name, value in kwargs.items()}
    there = any(isinstance(one, PretendTensor) for one in given)
    if there and func not in _MOVES:
        _refuse_mixture(func, args, given)
    device = kwargs.get("device")
    to_pretend = there if device is None else torch.device(device).type == PRETEND.type
    if device is not None and to_pretend:
        plain_kwargs["device"] = torch.device("cpu")
    result = func(*plain_args, **plain_kwargs)
    if func._schema.is_mutable and plain_args and result is plain_args[0]:
        return args[0]
    return _wrapped(result) if to_pretend else result


def _refuse_mixture(func: Any, args: tuple[Any, ...], given: list[Tensor]) -> None:
    """As real devices do: only single numbers, and indices into a tensor, may lie on the CPU beside it."""
    if func in _INDEXED and isinstance(args[0], PretendTensor):
        given = [args[0], *args[2:3]]
    strangers = [one for one in given if not isinstance(one, PretendTensor) and one.ndim > 0]
    if strangers:
        shapes = ", ".join(str(tuple(one.shape)) for one in strangers)
        raise RuntimeError(f"Expected all tensors to be on the same device: {func} got {shapes} on the CPU.")


def _plain(value: Any, given: list[Tensor]) -> Any:
    """The value without the pretence; tensors are noted in ``given`` as they came."""
    if isinstance(value, Tensor):
        given.append(value)
        return value.elem if isinstance(value, PretendTensor) else value
    if isinstance(value, (list, tuple)):
        return type(value)([_plain(part, given) for part in value])
    return value


def _wrapped(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)([_wrapped(part) for part in value])
    return PretendTensor(value) if isinstance(value, Tensor) and not isinstance(value, PretendTensor) else value
