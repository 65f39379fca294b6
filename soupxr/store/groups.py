"""Groups that only some stores have, made when they are first needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from soupxr.schema import Variable
from soupxr.store.address import exclusive
from soupxr.store.lookup import Store
from soupxr.store.zarrs import dims_of, make_array, open_group, telling_of_disk

__all__ = ["require_group"]


def require_group(
    address: str,
    path: str,
    variables: Mapping[str, Variable],
    sizes: Mapping[str, int] | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> None:
    """Make an optional group with its arrays, as long as the store's, where there is none.

    Parameters
    ----------
    path : str
        Such as ``"out_of_fold/fast"``.
    variables : mapping of str to Variable
        Its arrays.
    sizes : mapping of str to int, optional
        Sizes of dimensions that the store does not have.
    attributes : mapping, optional
        Attributes of the group.
    """
    if len(Store(address).optional(path)) == len(variables):
        return  # without waiting for the lock
    with exclusive(address):
        store = Store(address)
        if path in store.group and len(store.optional(path)) == len(variables):
            return
        known = dict(sizes or {})
        for name in ("ethogram", "annotation"):
            array = store.arrays[name]
            known |= dict(zip(dims_of(array), array.shape, strict=True))
        with telling_of_disk(address):
            group = open_group(address).require_group(path)
            group.attrs.update(attributes or {})
            for name, variable in variables.items():
                if name not in group:
                    make_array(group, name, variable, known)
