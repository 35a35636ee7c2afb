"""Which numbers does a pickle hold? NumPy's arrays and PyTorch's tensors, from what a pickle says of them.

Nothing is called but np.frombuffer on bytes whose length was compared with the shape."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from tfpg.importing import pickles
from tfpg.importing.pickles import Damaged, Global, Made

NUMPY = frozenset(
    {Global("numpy", "dtype"), Global("numpy", "ndarray")}
    | {Global(f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")}
    | {Global(f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")})

_STORAGES = {"FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2"}
_TORCH = frozenset({Global("collections", "OrderedDict"), Global("torch._utils", "_rebuild_tensor_v2")}
                   | {Global("torch", name) for name in _STORAGES})


def numpy_array(value: Any) -> np.ndarray:
    """The array or scalar that a pickle describes; numbers of Python too. Errors: Damaged: it is none."""
    if isinstance(value, int | float):
        return np.asarray(value)
    if not isinstance(value, Made):
        raise Damaged("an array is missing")
    try:
        match value.kind.name, value.arguments:
            case "_frombuffer", (data, kind, shape, order):
                return _array(data, _dtype(kind), shape, order)
            case "_reconstruct", _:
                _, shape, kind, fortran, data = value.state
                return _array(data, _dtype(kind), shape, "F" if fortran else "C")
            case "scalar", (kind, data):
                return _array(data, _dtype(kind), (), "C")
    except (TypeError, ValueError) as error:
        raise Damaged(f"an array cannot be read ({error})") from None
    raise Damaged(f"{value.kind} is no array")


def tensors(archive: zipfile.ZipFile) -> dict[str, np.ndarray]:
    """The tensors of a state dictionary that torch.save wrote, by name. float16, float32 and float64 only.

    Errors: Damaged. UserError naming what such a file does not need."""
    listing = next((name for name in archive.namelist() if name.endswith("/data.pkl")), None)
    if listing is None:
        raise Damaged("it is no file of PyTorch 1.6 or later")
    folder = listing.removesuffix("data.pkl")
    if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") != b"little":
        raise Damaged("its numbers are not little-endian")
    found = pickles.read(archive.read(listing), _TORCH)
    if not isinstance(found, Made) or found.kind != Global("collections", "OrderedDict"):
        raise Damaged("it is no state dictionary")
    return {str(name): _tensor(tensor, archive, folder) for name, tensor in found.items.items()}


def state(value: Any) -> Mapping[str, Any]:
    """An object's attributes. Errors: Damaged: it has none."""
    if not isinstance(value, Made) or not isinstance(value.state, dict):
        raise Damaged("an object without attributes")
    return value.state


def _dtype(value: Any) -> np.dtype:
    """Numbers and truth values only."""
    if not isinstance(value, Made) or value.kind != Global("numpy", "dtype"):
        raise Damaged("an array without a type")
    name = value.arguments[0]
    order: Any = value.state[1] if value.state else "="
    if not isinstance(name, str) or name[:1] not in "fiub" or order not in "<>|=":
        raise Damaged(f"an array of type {name!r:.40}")
    return np.dtype(name).newbyteorder(order)


def _array(data: Any, dtype: np.dtype, shape: Any, order: Literal["C", "F"]) -> np.ndarray:
    sizes = tuple(shape)
    if not isinstance(data, bytes | bytearray) or not all(isinstance(n, int) and n >= 0 for n in sizes):
        raise Damaged("an array without bytes")
    if math.prod(sizes) * dtype.itemsize != len(data):
        raise Damaged(f"an array of shape {list(sizes)} with {len(data)} bytes")
    return np.frombuffer(bytes(data), dtype).reshape(sizes, order=order)


def _tensor(value: Any, archive: zipfile.ZipFile, folder: str) -> np.ndarray:
    try:
        if value.kind.name != "_rebuild_tensor_v2":
            raise Damaged("a tensor is missing")
        storage, offset, shape, strides = value.arguments[:4]
        _, kind, key, _, count = storage.reference
        dtype = np.dtype(_STORAGES[kind.name])
        numbers = _array(archive.read(f"{folder}data/{key}"), dtype, (count,), "C")
        last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
        if not (offset >= 0 and last < count and min((0, *shape, *strides)) >= 0 and math.prod(shape) <= count):
            raise Damaged("a tensor reaches beyond its numbers")
        size = dtype.itemsize
        view = np.lib.stride_tricks.as_strided(numbers[offset:], shape, [size * stride for stride in strides], writeable=False)
        return view.astype(np.float32)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise error if isinstance(error, Damaged) else Damaged(f"a tensor cannot be read ({error})") from None
