"""What is a result, and how is it kept? One flat xarray.Dataset, in one NetCDF file with check sums.

HDF5's sums cover the arrays; attributes, names and dimensions have none. So a line with the SHA-256 sum of all that is before it ends
the file, behind what HDF5 reads.

Every estimate x in it comes with x_stderr, x_low, x_high and a count."""

from __future__ import annotations

import hashlib
import io
import os
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import h5netcdf
import numpy as np
import xarray as xr
from xarray.backends import H5NetCDFStore

from tfpg import storage
from tfpg.errors import UserError

_LAST_LINE = re.compile(rb"\ntfpg sha256 ([0-9a-f]{64})\n")
_SUMMED = b"\x89HDF\r\n\x1a\n\x00"  # HDF5 with the headers of files that are not compact
_LARGE = 1_500  # bytes
_LENGTH = len(b"\ntfpg sha256 \n") + 64  # of it

REWARD, STEPS = {"units": "reward"}, {"units": "steps"}


def save(dataset: xr.Dataset, path: str | os.PathLike, *, compact: bool = False) -> Path:
    """Writes a Dataset as NetCDF 4; every array has dimensions and carries HDF5's fletcher32 sum, the file a SHA-256 sum of it all.

    A summed array takes 2.5 kB at least, so that a hundred of some numbers are large. `compact`: the file's sum alone, in the
    shorter of two formats: HDF5 with its arrays packed, or NetCDF 3, which has some 100 bytes beside an array's numbers.
    Texts are stored as characters, for a sum over HDF5's variable-length strings covers their addresses only.
    Returns: the file. Errors: UserError when the disk refuses; ValueError for a variable without dimensions, which
    HDF5 cannot sum: put it into the attributes."""
    path = Path(path)
    bare = [name for name, variable in dataset.variables.items() if not variable.dims]
    if bare:
        raise ValueError(f"{', '.join(map(str, bare))}: no dimensions, so no check sum; use an attribute")
    storage.make_directory(path.absolute().parent)
    # In memory first: on a full disk HDF5 fails in destructors, and can end the process.
    data = min((_packed(dataset), *_classic(dataset)), key=len) if compact else _summed(dataset)
    storage.write_bytes(path, data + b"\ntfpg sha256 %s\n" % hashlib.sha256(data).hexdigest().encode())
    return path


def _summed(dataset: xr.Dataset) -> bytes:
    encoding = {name: {"fletcher32": True} | _characters(variable) for name, variable in dataset.variables.items()}
    return bytes(dataset.to_netcdf(engine="h5netcdf", encoding=encoding))


def _packed(dataset: xr.Dataset) -> bytes:
    """NetCDF 4 with HDF5's newer headers, which cost a packed array some hundred bytes where the old ones cost 2.5 kB."""
    encoding = {name: ({"zlib": True, "shuffle": True} if variable.nbytes > _LARGE else {}) | _characters(variable)
                for name, variable in dataset.variables.items()}
    file = io.BytesIO()
    with h5netcdf.File(file, "w", libver="latest") as whole:
        dataset.dump_to_store(H5NetCDFStore(whole, mode="w"), encoding=encoding)
    return file.getvalue()


def _classic(dataset: xr.Dataset) -> tuple[bytes, ...]:
    """NetCDF 3, where it holds everything: whole numbers of 32 bits at most, no lists of texts."""
    try:
        return (bytes(dataset.to_netcdf(engine="scipy", format="NETCDF3_64BIT")),)
    except (ValueError, TypeError, OverflowError):
        return ()


def _characters(variable: xr.Variable) -> dict[str, str]:
    return {"dtype": "S1"} if variable.dtype.kind in "OUS" else {}


def load(path: str | os.PathLike) -> xr.Dataset:
    """Reads a Dataset wholly. Errors: UserError naming a missing or damaged file."""
    with storage.user_errors("read", path):
        whole = _whole(Path(path))
    if not whole:
        raise UserError(f"{path} is damaged: it does not end with the SHA-256 sum of what it holds.")
    try:
        engine = _engine(Path(path))
        with warnings.catch_warnings(), xr.open_dataset(path, engine=engine) as dataset:
            warnings.simplefilter("error")  # a damaged header can surface as a mere warning
            loaded = dataset.load() if engine == "h5netcdf" else _wide(dataset.load())
        for name, variable in loaded.variables.items():
            np.asarray(variable)
            if not variable.dims:
                raise ValueError(f"{name} has lost its dimensions")
        return loaded
    except Exception as error:  # a flipped bit can fail anywhere in HDF5 and its readers
        raise UserError(f"{path} is damaged: it cannot be read as NetCDF ({(str(error).splitlines() or [''])[0][:200]}).") from error


def _engine(path: Path) -> Literal["scipy", "h5netcdf"]:
    with open(path, "rb") as file:
        return "scipy" if file.read(3) == b"CDF" else "h5netcdf"


def _wide(dataset: xr.Dataset) -> xr.Dataset:
    """With whole numbers of 64 bits and numbers in this machine's order of bytes, which NetCDF 3 does not have."""
    found = dataset.copy()
    for name, variable in dataset.variables.items():
        kind = np.dtype(np.int64) if variable.dtype.kind == "i" and variable.dtype.itemsize == 4 else variable.dtype.newbyteorder("=")
        found[name] = variable.astype(kind)
    return found


def _whole(path: Path) -> bool:
    """Whether a file has the sum that it ends with.

    One without it passes only where it is of an older version, whose arrays have HDF5's own sums: nothing else covers compact ones."""
    total = hashlib.sha256()
    with open(path, "rb") as file:
        old = file.read(len(_SUMMED)) == _SUMMED
        left = max(0, file.seek(0, os.SEEK_END) - _LENGTH)
        file.seek(left)
        found = _LAST_LINE.fullmatch(file.read())
        if found is None:
            return old
        file.seek(0)
        while left:
            block = file.read(min(left, 2**20))
            total.update(block)
            left -= len(block)
    return total.hexdigest().encode() == found[1]


def estimate(name: str, found: Any, dims: Sequence[str], shape: Sequence[int], counted: str | None, **attrs: Any) -> dict:
    """The variables of an estimate. Args: counted: unit of its count; None: counted elsewhere."""
    fields = {"": found.mean, "_stderr": found.stderr, "_low": found.low, "_high": found.high}
    variables = {name + suffix: field(values, dims, shape, **(attrs if not suffix else {})) for suffix, values in fields.items()}
    if counted is not None:
        variables[f"{name}_count"] = field(np.broadcast_to(found.count, np.shape(found.mean)), dims, shape, units=counted)
    return variables


def field(values: Any, dims: Sequence[str], shape: Sequence[int], **attrs: Any) -> tuple:
    """A variable of so many dimensions from values in any shape, as xarray takes it."""
    return tuple(dims), np.asarray(values).reshape(shape), attrs
