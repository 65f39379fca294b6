"""Arrays of the store as lazy xarray variables.

Not through :func:`xarray.open_dataset`, for three reasons: arrays must be cut to what is whole
while another process lengthens them; strings must be Python objects, for NumPy's string type
cannot be padded or masked; and neither xarray nor Zarr should warn of chunks and files that are
as they should be.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from soupxr.store.zarrs import telling_of_damage

__all__ = ["lazy_variable"]


class _StoreArray(BackendArray):
    """One Zarr array, read when it is looked at, and read anew each time."""

    def __init__(self, array: Any, shape: tuple[int, ...]) -> None:
        self._array = array
        self._strings = array.dtype.kind == "T"
        self.shape = shape
        self.dtype = np.dtype(object) if self._strings else array.dtype

    def __getitem__(self, key: Any) -> npt.NDArray[Any]:
        values: npt.NDArray[Any] = indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.OUTER, self._read
        )
        return values

    def _read(self, key: tuple[Any, ...]) -> npt.NDArray[Any]:
        # The array may be longer than what is shown of it.
        bounded = tuple(
            slice(*part.indices(size)) if isinstance(part, slice) else part
            for part, size in zip(key, self.shape, strict=True)
        )
        with telling_of_damage(str(self._array.store_path)):
            values = np.asarray(self._array.oindex[bounded])
            return values.astype(object) if self._strings else values


def lazy_variable(array: Any, dims: tuple[str, ...], sizes: dict[str, int]) -> xr.Variable:
    """Show a Zarr array as a variable that is read when it is looked at.

    Parameters
    ----------
    array : zarr.Array
        At least as long as ``sizes`` says.
    dims : tuple of str
        Names of its dimensions.
    sizes : dict
        How much of each dimension is shown.
    """
    shape = tuple(sizes[dim] for dim in dims)
    data = indexing.LazilyIndexedArray(_StoreArray(array, shape))
    with telling_of_damage(str(array.store_path)):
        return xr.Variable(dims, data, attrs=dict(array.attrs))
